//! The rhythm of polls, and what may be acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use rand::RngExt;

use crate::crypto::Csprng;

use super::RequestId;

/// One poll for each ticket, at a fixed offset behind it, whatever the last answers held.
pub(super) struct Polls {
    offset: Duration,
    limit: usize,
    due: VecDeque<(Duration, u64)>,
    waiting: VecDeque<RequestId>,
    answers: Vec<Answer>,
    delivered: Vec<Answer>,
    sent: u64,
    acknowledged: u64,
    /// The cursor of the last answer taken into work: the next poll asks for what is behind it. An answer that was
    /// lost or dropped does not move it, so nothing is skipped.
    after: u64,
}

/// An answer being opened or delivered, or on disk.
#[derive(Clone, Copy)]
struct Answer {
    id: RequestId,
    cursor: u64,
    /// How many polls had been sent when it came.
    sent: u64,
}

impl Polls {
    /// The offset is drawn once, so that the clients of a network do not all poll at one moment. `limit`: how many polls
    /// may be open, and how many answers in work.
    pub(super) fn new(rng: &mut Csprng, span_ms: u32, limit: usize) -> Self {
        let offset = Duration::from_micros(rng.random_range(0..u64::from(span_ms.max(1)) * 1000));
        Self {
            offset,
            limit,
            due: VecDeque::new(),
            waiting: VecDeque::new(),
            answers: Vec::new(),
            delivered: Vec::new(),
            sent: 0,
            acknowledged: 0,
            after: 0,
        }
    }

    /// Plans the poll of a ticket that has just come; `false` if an older plan had to give way.
    #[must_use]
    pub(super) fn plan(&mut self, now: Duration, round: u64) -> bool {
        self.due.push_back((now.saturating_add(self.offset), round));
        let room = self.due.len() <= self.limit;
        if !room {
            self.due.pop_front();
        }
        room
    }

    /// When the next poll is due.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.due.front().map(|(at, _)| *at)
    }

    /// The round of a poll that is due.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<u64> {
        let (at, round) = *self.due.front()?;
        (at <= now).then(|| {
            self.due.pop_front();
            round
        })
    }

    /// A poll goes out: what it acknowledges, behind which cursor it asks, and an older one to be given up for it if too many are open.
    ///
    /// Acknowledged is only what was on disk *and* had come before the poll before this one. Without the second half the
    /// exit could time an answer to just before a poll and see from the acknowledgement whether anything in it had to be
    /// written, that is, whether it held mail or dummies.
    pub(super) fn send(&mut self, id: RequestId) -> (u64, u64, Option<RequestId>) {
        let sent = self.sent;
        for answer in self.delivered.extract_if(.., |answer| answer.sent < sent) {
            self.acknowledged = self.acknowledged.max(answer.cursor);
        }
        self.sent += 1;
        self.waiting.push_back(id);
        let given_up = if self.waiting.len() > self.limit { self.waiting.pop_front() } else { None };
        (self.acknowledged, self.after, given_up)
    }

    /// The poll is over, answered or not.
    pub(super) fn over(&mut self, id: RequestId) {
        self.waiting.retain(|waiting| *waiting != id);
    }

    /// Takes an answer into work; `false` if too many are. It will come again.
    #[must_use]
    pub(super) fn answered(&mut self, id: RequestId, cursor: u64) -> bool {
        let room = self.answers.len() < self.limit;
        if room {
            self.after = self.after.max(cursor);
            self.answers.push(Answer { id, cursor, sent: self.sent });
        }
        room
    }

    /// Whether an answer of this poll is in work.
    pub(super) fn is_in_work(&self, id: RequestId) -> bool {
        self.answers.iter().any(|answer| answer.id == id)
    }

    /// The answer's letters are on disk.
    pub(super) fn delivered(&mut self, id: RequestId) {
        let limit = self.limit;
        self.delivered.extend(self.answers.extract_if(.., |answer| answer.id == id));
        // Only an exit that answers polls and then takes none gets here; what is not acknowledged comes again.
        self.delivered.truncate(limit);
    }

    /// Drops all plans and open polls.
    pub(super) fn clear(&mut self) {
        self.due.clear();
        self.waiting.clear();
    }
}
