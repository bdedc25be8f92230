//! What the entry does not take: clients hand it to this mix, which signs no list of the round without it.
//!
//! The entry says when a round opens. From then on, for as long as it would take submissions itself, this mix takes what
//! clients hand over; then it tells the entry whose it has, and shows what the entry asks for. An entry that says nothing, or
//! leaves somebody out, gets no signature under the list. The entry's side is in `gather`.

use std::time::Duration;

use crate::round::{HandOverCheck, HandOvers, Job, List, Submission, SubmissionFault, piece};
use crate::wire::{Exhibit, PeerMessage, Refusal, Reply};

use super::{Action, Mix, Note, RequestId};

impl Mix {
    /// The entry has opened a round; or says it again.
    pub(super) fn round_opened(&mut self, now: Duration, epoch: u64, round: u64) {
        if self.hand_overs.contains_key(&round) {
            return;
        }
        if epoch > self.epochs.latest_epoch() {
            // Its document is on its way to this mix's disk, and the epoch's first round did not wait for that.
            self.opened_early = Some((epoch, round));
            return;
        }
        let ended = self.signed.contains_key(&round) || self.is_deciding(round);
        let rules = self.list_rules(round).filter(|rules| rules.context.epoch == epoch && !ended);
        let (Some(rules), Some(keys), true) = (rules, self.epochs.list_keys(round), self.network.hands_over()) else {
            return self.reject("wrong_round", 1);
        };
        let closes_at = now + Duration::from_millis(self.network.parameters.submit_ms.into());
        let check = HandOverCheck::new(rules, keys, self.own);
        self.hand_overs.insert(round, (HandOvers::new(closes_at, check), Vec::new()));
        // As many as there are rounds without a verdict. Of one that is dropped no list is signed.
        if self.hand_overs.len() > self.network.parameters.verdict_rounds as usize {
            self.hand_overs.pop_first();
        }
    }

    /// A document is on disk: its first round may have been opened meanwhile.
    pub(super) fn opened_meanwhile(&mut self, now: Duration) {
        if let Some((epoch, round)) = self.opened_early.take() {
            self.round_opened(now, epoch, round);
        }
    }

    /// A client hands over what it has no receipt for.
    pub(super) fn hand_over(
        &mut self,
        now: Duration,
        id: RequestId,
        client: u32,
        round: u64,
        submission: Option<Submission>,
    ) {
        let Some(submission) = submission.filter(|submission| self.fits(submission)) else {
            return self.refuse(id, Refusal::Malformed, "malformed");
        };
        let Some((hand_overs, asked)) = self.hand_overs.get_mut(&round) else {
            return self.refuse(id, Refusal::WrongRound, "wrong_round");
        };
        if hand_overs.close(now) {
            return self.refuse(id, Refusal::Late, "late");
        }
        let Some(check) = hand_overs.attempt(client) else {
            return self.refuse(id, Refusal::Duplicate, "duplicate");
        };
        asked.push((client, id));
        self.actions.push_back(Action::Work(Job::HandOver { round, client, submission, check }));
    }

    pub(super) fn hand_over_judged(&mut self, round: u64, client: u32, result: Result<Vec<u8>, SubmissionFault>) {
        let Some((hand_overs, asked)) = self.hand_overs.get_mut(&round) else { return };
        let at = asked.iter().position(|(asker, _)| *asker == client);
        let id = at.map(|at| asked.swap_remove(at).1);
        let taken = hand_overs.take(client, result);
        let reply = match taken {
            Ok(()) => Reply::HandedOver { round },
            Err(_) => Reply::Refused(Refusal::Malformed),
        };
        match taken {
            Ok(()) => {
                self.counters.handed_over += 1;
                self.actions.push_back(Action::Note(Note::HandedOver));
            }
            Err(fault) => self.reject(fault.reason(), 1),
        }
        if let Some(id) = id {
            self.reply(id, reply);
        }
        self.say_handed_over(round);
    }

    pub(super) fn hand_overs_wake_at(&self) -> Option<Duration> {
        self.hand_overs.values().filter_map(|(hand_overs, _)| hand_overs.closes_at()).min()
    }

    /// Closes what is due, and tells the entry.
    pub(super) fn hand_overs_due(&mut self, now: Duration) {
        let due = self.hand_overs.iter().filter(|(_, (open, _))| open.closes_at().is_some_and(|at| now >= at));
        for round in due.map(|(round, _)| *round).collect::<Vec<_>>() {
            if let Some((hand_overs, _)) = self.hand_overs.get_mut(&round) {
                hand_overs.close(now);
            }
            self.say_handed_over(round);
        }
    }

    fn say_handed_over(&mut self, round: u64) {
        let roster = self.network.roster.clients.len();
        let settled = self.hand_overs.get(&round).filter(|(hand_overs, _)| hand_overs.is_settled());
        if let Some(clients) = settled.map(|(hand_overs, _)| hand_overs.clients(roster)) {
            self.send(0, PeerMessage::HandedOver { round, clients });
        }
    }

    /// The entry is back: it may have missed whose submissions are here.
    pub(super) fn resend_handed_over(&mut self, to: usize) {
        if to == 0 {
            self.hand_overs
                .keys()
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|round| self.say_handed_over(round));
        }
    }

    /// The entry asks for a submission that was handed over.
    pub(super) fn submission_asked(&mut self, round: u64, client: u32, number: u32) {
        let hand_overs = self.hand_overs.get(&round).filter(|(hand_overs, _)| hand_overs.is_settled());
        let bytes = hand_overs.and_then(|(hand_overs, _)| hand_overs.submission(client));
        match bytes.and_then(|bytes| piece(bytes, number)) {
            Some(piece) => self.send(0, PeerMessage::Show { round, exhibit: Exhibit::Submission { client }, piece }),
            None => self.reject("bad_exhibit", 1),
        }
    }

    /// Why this mix does not sign a round's first list, if clients had not the time to hand over what the entry refused them, or
    /// one that did is not in it. Of a list that holds everybody neither can be.
    pub(super) fn left_out(&self, round: u64, list: &List) -> Option<&'static str> {
        let evicted = self.convicts.evicted();
        if !self.network.hands_over() || self.is_everybody(|client| list.members().contains(client)) {
            return None;
        }
        match self.hand_overs.get(&round) {
            Some((hand_overs, _)) if hand_overs.is_settled() => {
                hand_overs.are_left_out(list, evicted).then_some("left_out")
            }
            _ => Some("early_list"),
        }
    }

    /// Whether `contains` all clients of the roster that are not out.
    pub(super) fn is_everybody(&self, contains: impl Fn(u32) -> bool) -> bool {
        let evicted = self.convicts.evicted();
        (0..self.network.roster.clients.len() as u32).all(|client| evicted.contains(&client) || contains(client))
    }
}
