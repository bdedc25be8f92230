//! Confirm and release: what the seal of a round asks for.

use crate::round::seal::{Ending, Event as SealEvent, Fact, Message as SealMessage, Secret, Stage, Step as SealStep};
use crate::wire::{
    AbortReason, Bond, Outcome, PeerMessage, Record, Release, ReleasedShare, SecretPart, Slot, Statement, Verdict,
};

use super::super::blame::Kept;
use super::super::{Mix, Persisting};
use super::{To, burn};

impl Mix {
    pub(in crate::mix) fn slot(&self, round: u64) -> Option<Slot> {
        let document = self.epochs.document(round)?;
        Some(Slot { network: document.network, epoch: document.epoch, round })
    }

    /// Tells the seal of a round what happened, and does what it asks for.
    pub(in crate::mix) fn sealed_event(&mut self, round: u64, event: SealEvent) {
        let why = burn::why(&event);
        self.sealed_event_for(round, event, why);
    }

    /// The same, with what the verdict says if it burns the round.
    pub(in crate::mix) fn sealed_event_for(&mut self, round: u64, event: SealEvent, why: AbortReason) {
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        let before = sealing.seal.stage();
        let Ok(steps) = sealing.seal.handle(event) else { return self.reject("unexpected", 1) };
        let burns = sealing.seal.stage() == Stage::Burning && before != Stage::Burning;
        steps.into_iter().for_each(|step| self.sealed_step(round, step));
        if burns {
            if why == AbortReason::Transcript {
                // Two transcripts, or one mix with two: nobody may open this.
                self.reject("bad_confirm", 1);
            }
            self.burn_begins(round, why);
        }
        let published = self.sealings.get(&round).is_some_and(|sealing| sealing.seal.stage() == Stage::Published);
        if published && before != Stage::Published {
            self.burn_ends(round);
        }
    }

    fn sealed_step(&mut self, round: u64, step: SealStep) {
        match step {
            SealStep::Persist(fact) => self.persist_bond(round, fact),
            // A mix that has stopped confirms nothing: the round is not opened.
            SealStep::Say(SealMessage::Confirm(_)) if !self.goes_on() => {}
            SealStep::Say(SealMessage::Confirm(transcript)) => self.say_confirm(round, transcript),
            SealStep::Say(SealMessage::Share) => self.release_sealed(round),
            SealStep::Erase(Secret::Share) => {
                self.epochs.erase_share(round);
                if let Some(exit) = self.exit.as_mut() {
                    exit.forget_shares(round);
                }
            }
            SealStep::Erase(Secret::OnionKey) => {
                self.epochs.erase_onion_key(round);
                if let Some(sealing) = self.sealings.get_mut(&round).filter(|sealing| sealing.blame.is_none()) {
                    // Released, or let go: nobody will ever ask.
                    sealing.kept = Kept::default();
                }
            }
            SealStep::Say(SealMessage::Accusation(mismatch)) => self.say_accusation(round, mismatch),
            SealStep::Say(SealMessage::Burnt) => self.say_burnt(round),
            SealStep::Say(SealMessage::OnionKey) => self.publish_onion_key(round),
            SealStep::Stop => self.stop_unexplained(),
            SealStep::Open => self.open_released(round),
            SealStep::Equivocated(_) => self.reject("second_confirm", 1),
            // Verdicts go their own way.
            SealStep::Say(_) => {}
        }
    }

    fn persist_bond(&mut self, round: u64, fact: Fact) {
        let Some(sealing) = self.sealings.get(&round) else { return };
        let members = sealing.list().map(|list| list.members().digest());
        let bond = match (fact, members) {
            (Fact::Confirmed, _) => Bond::Confirmed,
            (Fact::Burning, _) => Bond::Burning { confirmed: sealing.seal.has_confirmed() },
            (Fact::Released, Some(members)) => Bond::Released { members },
            // A verdict is a record of its own.
            _ => return,
        };
        self.persist(Record::Sealed { round, bond }, Persisting::Sealed(round, bond));
    }

    pub(in crate::mix) fn bond_on_disk(&mut self, round: u64, bond: Bond) {
        let fact = match bond {
            Bond::Confirmed => Fact::Confirmed,
            Bond::Released { .. } => Fact::Released,
            Bond::Burning { .. } => Fact::Burning,
        };
        self.sealed_event(round, SealEvent::Persisted(fact));
    }

    fn release_sealed(&mut self, round: u64) {
        let transcript = self.sealings.get(&round).and_then(|sealing| sealing.seal.transcript());
        let (Some(slot), Some(share), Some(transcript)) = (self.slot(round), self.epochs.share(round), transcript)
        else {
            return;
        };
        let release = Release { slot, transcript, share: ReleasedShare::from_bytes(*share.expose()) };
        let signature = release.sign(&self.key);
        let share = SecretPart(*share.expose());
        let message = PeerMessage::Release { epoch: slot.epoch, round, transcript, share, signature };
        self.say(round, To::One(self.exit_index()), message);
    }

    /// The round is not to be opened by this mix's doing any more.
    pub(in crate::mix) fn let_go(&mut self, round: u64) {
        self.sealed_event(round, SealEvent::TimedOut);
    }

    /// Whether this mix may sign the verdict: what it has said in a sealed round binds it.
    pub(in crate::mix) fn may_end(&self, verdict: &Verdict) -> bool {
        let Some(sealing) = self.sealings.get(&verdict.round) else { return self.may_end_lost(verdict) };
        let listed = sealing.list().is_some_and(|list| *list.members() == verdict.members);
        (listed || !verdict.outcome.is_stored()) && sealing.seal.may_sign(ending(verdict.outcome)).is_ok()
    }

    /// The same of a round of which this mix knows no more than what it is bound to: it has restarted.
    fn may_end_lost(&self, verdict: &Verdict) -> bool {
        let bond = self.bonds.get(&verdict.round);
        match (verdict.outcome, bond) {
            (Outcome::Aborted(_), bond) => matches!(bond, None | Some(Bond::Burning { confirmed: false })),
            (Outcome::Stored { .. }, Some(Bond::Released { members })) => verdict.members.digest() == *members,
            // Without this mix's share nobody has opened it, where all are needed. With its disk it would have lost the bond.
            (Outcome::Stored { .. }, _) => {
                let epoch = verdict.epoch;
                let remembers = self.remembers_from.is_some_and(|first| first <= epoch);
                !(remembers && self.is_sealed() && self.position().needs_all())
            }
            (Outcome::OpenedNotStored, _) => true,
        }
    }

    /// This mix is about to sign how the round ended.
    pub(in crate::mix) fn ending(&mut self, verdict: &Verdict) {
        if !self.is_exit() {
            self.sealed_event(verdict.round, SealEvent::Decision(ending(verdict.outcome)));
        }
    }

    /// How the exit ends a round that it does not open: once it has confirmed, others may have released.
    pub(in crate::mix) fn unopened(&mut self, round: u64, reason: AbortReason) -> Outcome {
        if !self.is_burning(round) {
            self.let_go(round);
        }
        let sealing = self.sealings.get(&round);
        let bond = self.bonds.get(&round);
        let bound = bond.is_some_and(|bond| *bond != Bond::Burning { confirmed: false })
            || sealing.is_some_and(|sealing| sealing.seal.has_confirmed());
        if bound { Outcome::OpenedNotStored } else { Outcome::Aborted(reason) }
    }
}

fn ending(outcome: Outcome) -> Ending {
    match outcome {
        Outcome::Stored { .. } => Ending::Stored,
        Outcome::Aborted(_) => Ending::Aborted,
        Outcome::OpenedNotStored => Ending::OpenedNotStored,
    }
}
