//! Signing verdicts: the exit's decision goes to the entry, from there to every mix, and back with signatures.

use crate::crypto::Signature;
use crate::round::Ruling;
use crate::wire::{Outcome, PeerMessage, Record, SignedVerdict, Verdict};

use super::{Action, Mix, Note, Persisting};

impl Mix {
    /// A decision arrives: at the entry from the exit, at another mix from the entry.
    pub(super) fn decision(&mut self, from: usize, verdict: Verdict, signature: Signature) {
        let exit = self.exit_index();
        self.compare_verdict(exit, &verdict, signature);
        if self.own == 0 && from == exit {
            return self.decision_at_entry(verdict, signature);
        }
        if self.own == 0 || self.is_exit() || from != 0 {
            return self.reject("unexpected", 1);
        }
        let round = verdict.round;
        if let Some(known) = self.signed.get(&round) {
            return if *known == verdict { self.send_verdict_signature(round) } else { self.reject("bad_verdict", 1) };
        }
        if self.is_signing(round) {
            // The entry repeats what it has no answer to.
            return;
        }
        let sound = verdict.is_signed_by(&self.identities[exit], &signature) && self.is_plausible(&verdict);
        if !sound {
            return self.reject("bad_verdict", 1);
        }
        self.ending(&verdict);
        self.persist(Record::Signed { verdict: verdict.clone() }, Persisting::Signed(verdict));
    }

    /// What a mix can tell of a decision: it is of this network and of a round's own epoch; a round is stored only if
    /// this mix has handed its batch on, and for the very clients that were in it. Else the exit could leave clients
    /// out, and see whose letters come again. Only a mix that has lost the round by a restart cannot tell.
    fn is_plausible(&self, verdict: &Verdict) -> bool {
        let Some(document) = self.epochs.document(verdict.round) else { return false };
        if let Some(known) = self.signed.get(&verdict.round) {
            // The entry restarts with verdicts it has signed and not completed, and knows nothing else of their rounds.
            return known == verdict;
        }
        let restarted = document.mixes.get(self.own).is_none_or(|mix| mix.boot != self.boot);
        let held = self.transit.get(&verdict.round);
        let members = match (verdict.outcome, held) {
            (Outcome::Aborted(_), _) => verdict.members.count() == 0,
            // Says no more than that everybody's contents go again.
            (Outcome::OpenedNotStored, _) => true,
            (_, Some(transit)) => transit.was_forwarded() && transit.members == verdict.members,
            (_, None) => restarted,
        };
        let roster = self.network.roster.clients.len();
        // The list of a round before the roster changed has that roster's length.
        let fits = verdict.members.fits(roster) || document.roster != self.network.roster.digest();
        let same = verdict.network == document.network && verdict.epoch == document.epoch;
        members && same && fits && self.may_end(verdict)
    }

    fn decision_at_entry(&mut self, verdict: Verdict, signature: Signature) {
        let exit = self.exit_index();
        let known = self.entry.as_ref().and_then(|entry| entry.complete.get(&verdict.round)).cloned();
        if let Some(complete) = known {
            return self.send(exit, PeerMessage::VerdictComplete(complete));
        }
        if !self.is_plausible(&verdict) {
            return self.reject("bad_verdict", 1);
        }
        self.spend_decided(&verdict, &signature);
        let Some(entry) = self.entry.as_mut() else { return };
        let ruling = entry.docket.decide(&self.identities[exit], self.network.mixes(), verdict, signature);
        match ruling {
            Ruling::Decided(verdict) => {
                self.ending(&verdict);
                self.persist(Record::Signed { verdict: verdict.clone() }, Persisting::Signed(verdict));
            }
            Ruling::Refused => self.reject("bad_verdict", 1),
            Ruling::Waiting | Ruling::Complete(_) => {}
        }
    }

    /// A mix has had a round aborted that is not open yet, as whoever signs a batch for the next round can: its number is spent. Else
    /// the next epoch could begin with it, and the exit, which decides once, never give it a verdict of that epoch.
    fn spend_decided(&mut self, verdict: &Verdict, signature: &Signature) {
        let by_exit = verdict.is_signed_by(&self.identities[self.exit_index()], signature);
        let Some(entry) = self.entry.as_mut().filter(|entry| by_exit && !entry.opening && verdict.round > entry.opened)
        else {
            return;
        };
        entry.opened = verdict.round;
        entry.docket.open(verdict.epoch, verdict.round);
        self.persist(Record::Opened { round: verdict.round }, Persisting::Known);
    }

    /// The own signature is on disk: it may go out, and the round's key goes.
    pub(super) fn verdict_signed_on_disk(&mut self, verdict: Verdict) {
        let round = verdict.round;
        let (outcome, clients) = (verdict.outcome, verdict.members.count());
        self.remember_signed(verdict.clone());
        self.round_over(round);
        if self.own != 0 {
            self.counters.round_ended(outcome);
            self.actions.push_back(Action::Note(Note::RoundEnded { round, outcome, clients }));
            return self.send_verdict_signature(round);
        }
        for to in 1..self.exit_index() {
            self.say_decision(to, round);
        }
        let signature = verdict.sign(&self.key);
        self.verdict_signature(0, round, signature);
    }

    fn say_decision(&mut self, to: usize, round: u64) {
        let Some(entry) = self.entry.as_ref() else { return };
        let decision = entry.docket.unsigned_by(to).find(|(verdict, _)| verdict.round == round).cloned();
        if let Some((verdict, signature)) = decision {
            self.send(to, PeerMessage::Decision { verdict, signature });
        }
    }

    fn send_verdict_signature(&mut self, round: u64) {
        if let Some(verdict) = self.signed.get(&round) {
            let signature = verdict.sign(&self.key);
            self.send(0, PeerMessage::VerdictSignature { round, signature });
        }
    }

    pub(super) fn verdict_signature(&mut self, from: usize, round: u64, signature: Signature) {
        let Some(entry) = self.entry.as_mut() else { return };
        match entry.docket.sign(&self.identities, from, round, signature) {
            Ruling::Complete(signed) => {
                self.persist(Record::Complete((*signed).clone()), Persisting::Complete(signed));
            }
            Ruling::Refused => self.reject("bad_verdict", 1),
            Ruling::Waiting | Ruling::Decided(_) => {}
        }
    }

    /// The complete verdict is on the entry's disk: tickets may carry it.
    pub(super) fn verdict_complete_on_disk(&mut self, signed: SignedVerdict) {
        let Some(entry) = self.entry.as_mut() else { return };
        let (round, outcome, clients) = (signed.verdict.round, signed.verdict.outcome, signed.verdict.members.count());
        entry.deadlines.remove(&round);
        entry.docket.close(round);
        entry.complete.insert(round, signed.clone());
        while entry.complete.len() > self.network.parameters.history_rounds as usize {
            entry.complete.pop_first();
        }
        self.counters.round_ended(outcome);
        self.actions.push_back(Action::Note(Note::RoundEnded { round, outcome, clients }));
        self.broadcast(&PeerMessage::VerdictComplete(signed));
    }

    pub(super) fn verdict_completed(&mut self, signed: SignedVerdict) {
        self.compare_verdicts(&signed);
        if !signed.verify(&self.identities) {
            return self.reject("bad_verdict", 1);
        }
        self.confirmed(signed.verdict.round);
    }

    /// A peer is back: it may have missed what waits for it.
    pub(super) fn resend_verdicts(&mut self, to: usize) {
        let exit = self.exit_index();
        if let Some(entry) = self.entry.as_ref() {
            let aborts: Vec<_> = entry.docket.aborts().filter(|_| to == exit).collect();
            let decisions: Vec<_> = entry.docket.unsigned_by(to).cloned().collect();
            for (epoch, round, reason) in aborts {
                self.send(to, PeerMessage::Abort { epoch, round, reason });
            }
            for (verdict, signature) in decisions {
                self.send(to, PeerMessage::Decision { verdict, signature });
            }
        } else if to == exit {
            let voids = self.transit.iter().filter_map(|(round, transit)| Some((*round, transit.void()?)));
            for (round, reason) in voids.filter(|(round, _)| !self.is_burning(*round)).collect::<Vec<_>>() {
                let epoch = self.epochs.document(round).map_or(0, |document| document.epoch);
                self.send(to, PeerMessage::Abort { epoch, round, reason });
            }
        }
        if to == 0 {
            self.resend_decisions();
        }
    }

    /// Nothing more will be done with a round's packets or keys.
    pub(super) fn round_over(&mut self, round: u64) {
        self.transit.remove(&round);
        self.hand_overs.remove(&round);
        self.bonds.remove(&round);
        if self.is_burning(round) {
            // Its share goes with the burn; the onion key may still have to be published.
            return;
        }
        self.sealing_over(round);
        self.epochs.erase(round);
        if let Some(exit) = self.exit.as_mut() {
            exit.forget_shares(round);
        }
    }

    pub(super) fn remember_signed(&mut self, verdict: Verdict) {
        self.signed.insert(verdict.round, verdict);
        while self.signed.len() > self.network.parameters.history_rounds as usize {
            self.signed.pop_first();
        }
    }
}
