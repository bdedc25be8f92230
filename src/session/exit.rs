//! What a session says to the exit: polls, at their own rhythm, and what becomes of the answers.

use crate::wire::{LETTER_HEADER_BYTES, PollAnswer, Request};

use super::engine::{Pending, max_fragments};
use super::open::Limits;
use super::{Action, Link, OpenJob, Opened, RequestId, Session};

impl Session {
    /// One poll for each ticket's round, letters or not.
    pub(super) fn poll(&mut self, round: u64) {
        if self.status.exit.is_none() {
            self.status.counters.polls_skipped += 1;
            return;
        }
        let id = self.await_answer(Pending::Poll);
        let (acknowledged, after, given_up) = self.polls.send(id);
        if let Some(oldest) = given_up {
            self.cancel(oldest);
            self.status.counters.polls_skipped += 1;
        }
        let (acknowledged, after) = (acknowledged.to_le_bytes(), after.to_le_bytes());
        let request = Request::PollMessages { round, capability: *self.capability, acknowledged, after };
        self.act(Action::Request { link: Link::Exit, id, request });
    }

    /// An answer has one size, whatever it holds.
    pub(super) fn letters(&mut self, id: RequestId, answer: &PollAnswer, mut letters: Vec<u8>) {
        self.polls.over(id);
        let parameters = &self.network.parameters;
        let place = LETTER_HEADER_BYTES + self.geometry.letter();
        let count = u32::from_le_bytes(answer.count);
        if count > parameters.poll_letters || letters.len() != place * parameters.poll_letters as usize {
            self.status.counters.answers_malformed += 1;
            return;
        }
        if !self.polls.answered(id, u64::from_le_bytes(answer.cursor)) {
            self.status.counters.answers_dropped += 1;
            return;
        }
        letters.truncate(place * count as usize);
        let job = OpenJob {
            id,
            geometry: self.geometry,
            correspondence: self.correspondence.clone(),
            contacts: self.contacts.clone(),
            limits: Limits {
                epoch: self.chain.epoch(),
                retention: u64::from(parameters.retention_epochs),
                fragments: max_fragments(&self.network),
            },
            letters,
        };
        self.act(Action::Open(Box::new(job)));
    }

    /// Every answer is delivered, also one of dummies only: the disk and the acknowledgement behind it see no difference.
    pub(super) fn opened(&mut self, opened: Opened) {
        let Opened { id, mut arrivals, mut counts, .. } = opened;
        if self.polls.is_in_work(id) {
            // An epoch may have begun while the job ran: an id that expired with the last one may be forgotten by now.
            let (epoch, opened) = (self.chain.epoch(), arrivals.len());
            arrivals.retain(|arrival| arrival.expiry >= epoch);
            counts.expired += (opened - arrivals.len()) as u64;
            self.status.counters.add_letters(&counts);
            self.act(Action::Deliver { id, epoch, arrivals });
        }
    }
}
