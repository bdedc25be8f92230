//! When a new epoch is needed, and both sides of making it.

use std::time::Duration;

use crate::blame::Evidence;
use crate::crypto::{Digest, Signature};
use crate::epoch::{EpochKeys, Proposal, Proposed, Step, WrongDealing};
use crate::wire::{
    AbortReason, EpochCall, EpochDocument, EpochRefusalReason, MixKeys, PeerMessage, Record, SignedEpoch, SubShares,
};

use super::{Action, Mix, Note, Persisting};

/// An attempt that has not succeeded by then is given up.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Pause after the first failed attempt; doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No pause is longer. Each attempt that some mix has signed costs a number, and letters age by numbers: attempts that
/// fail for a day cost as many as `retention_epochs` has by default. A mix that comes back waits for none of it.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Mix {
    /// The entry learns of a peer's run. If it is not the one whose keys the epoch holds, those keys are lost.
    pub(super) fn restarted_peer(&mut self, now: Duration, from: usize) {
        let boot = self.links[from].boot;
        // A document of an earlier network file may have had fewer mixes.
        let expected = self.epochs.latest().map(|signed| signed.document.mixes.get(from).map(|mix| mix.boot));
        if self.own == 0 && expected.is_some_and(|expected| boot != expected) {
            self.lost_keys(now);
        }
    }

    /// Some mix has lost the round keys of the present epoch: open rounds are over and a new epoch is due at once.
    pub(super) fn lost_keys(&mut self, now: Duration) {
        let Some(entry) = self.entry.as_mut() else { return };
        entry.renew = true;
        entry.attempt_at = now;
        entry.pause = FIRST_PAUSE;
        self.drop_collection(AbortReason::Lost);
        self.abort_open_rounds(AbortReason::Lost);
    }

    /// The first round of the epoch that is due, if one is due and everybody needed for making it is there.
    fn epoch_due(&self) -> Option<u64> {
        let entry = self.entry.as_ref().filter(|entry| entry.proposal.is_none())?;
        let parameters = &self.network.parameters;
        let (there, enough) = self.crowd();
        // A number on its way to the disk is spent.
        let next = entry.opened + 1 + u64::from(entry.opening);
        let first_round = match self.epochs.latest().map(|signed| &signed.document) {
            None => next,
            // Numbers that a document has claimed are skipped: no round number may lie in two epochs.
            Some(latest) if entry.renew => next.max(latest.first_round + 1),
            Some(latest) => {
                let left = (latest.last_round() + 1).saturating_sub(next);
                if left > u64::from(parameters.renewal_rounds()) {
                    return None;
                }
                next.max(latest.last_round() + 1)
            }
        };
        (self.all_linked() && there >= enough && !self.stopping && self.goes_on()).then_some(first_round)
    }

    fn all_linked(&self) -> bool {
        self.links.iter().skip(1).all(|link| link.up)
    }

    /// How many clients there are for the next epoch, and how many it needs.
    fn crowd(&self) -> (u32, u32) {
        let Some(entry) = self.entry.as_ref() else { return (0, u32::MAX) };
        let parameters = &self.network.parameters;
        let registered = entry.registered.len() as u32;
        match self.epochs.latest() {
            None => (registered, parameters.start_clients),
            Some(_) if entry.attendance.is_shrinking() => (entry.waiting(), parameters.min_clients),
            Some(latest) => (registered, self.quorum(latest.document.members)),
        }
    }

    /// When the entry stops waiting for members of the present epoch, if nothing else is in the way of a round.
    pub(super) fn shrinks_at(&self) -> Option<Duration> {
        let entry = self.entry.as_ref()?;
        let idle = self.goes_on()
            && entry.proposal.is_none()
            && entry.collection.is_none()
            && !entry.opening
            && !self.stopping;
        let waits = idle && self.all_linked() && self.epochs.latest().is_some() && !entry.attendance.is_shrinking();
        waits.then(|| entry.attendance.shrinks_at(&self.network.parameters))
    }

    /// Too few of the members have been there for too long: the next epoch is for those who are.
    pub(super) fn shrink_due(&mut self, now: Duration) {
        let Some(members) = self.epochs.latest().map(|signed| signed.document.members) else { return };
        if self.shrinks_at().is_none_or(|at| now < at) {
            return;
        }
        let quorum = self.quorum(members);
        let Some(entry) = self.entry.as_mut() else { return };
        if entry.waiting() >= quorum && !entry.attendance.was_short_of(quorum) {
            return entry.attendance.progress(now);
        }
        entry.attendance.shrink();
        entry.renew = true;
        entry.attempt_at = now;
        entry.pause = FIRST_PAUSE;
    }

    /// When the entry next does something about epochs.
    pub(super) fn agree_at(&self) -> Option<Duration> {
        let entry = self.entry.as_ref()?;
        match entry.proposal {
            Some(_) => Some(entry.attempt_until),
            None => self.epoch_due().map(|_| entry.attempt_at),
        }
    }

    /// The entry calls for an epoch that is due, and gives up an attempt that takes too long.
    pub(super) fn agree_due(&mut self, now: Duration) {
        if self.agree_at().is_none_or(|at| now < at) {
            return;
        }
        let Some(first_round) = self.epoch_due() else { return self.attempt_failed(now) };
        let (there, _) = self.crowd();
        let Some(entry) = self.entry.as_mut() else { return };
        let members = entry.attendance.members(there, self.network.parameters.min_clients);
        let epoch = self.epochs.latest_epoch().max(entry.epoch_tried) + 1;
        entry.attempt_until = now + ATTEMPT;
        let call = EpochCall {
            epoch,
            previous: self.epochs.latest().cloned(),
            first_round,
            rounds: self.network.parameters.epoch_rounds,
        };
        let proposed_at = self.started_at_ms + now.as_millis() as u64;
        let made = Proposal::new(&mut self.rng, &self.network, call, self.boot, members, proposed_at);
        let Ok((proposal, step)) = made else { return };
        entry.proposal = Some(proposal);
        self.step(step);
    }

    /// The attempt under way, if any, is given up; the next waits for longer.
    pub(super) fn attempt_failed(&mut self, now: Duration) {
        let Some(entry) = self.entry.as_mut() else { return };
        if entry.proposal.take().is_some() {
            entry.attempt_at = now + entry.pause;
            entry.pause = (entry.pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(super) fn epoch_keys(&mut self, now: Duration, from: usize, epoch: u64, keys: MixKeys) {
        let proposal = self.entry.as_mut().and_then(|entry| entry.proposal.as_mut());
        let Some(proposal) = proposal else { return };
        if Some(keys.boot) != self.links[from].boot {
            return;
        }
        let outcome = proposal.keys(from, epoch, keys, &self.key);
        self.proposed(now, outcome);
    }

    pub(super) fn epoch_opening(&mut self, now: Duration, from: usize, epoch: u64, opening: Vec<u8>) {
        let proposal = self.entry.as_mut().and_then(|entry| entry.proposal.as_mut());
        let Some(proposal) = proposal else { return };
        let outcome = proposal.opening(&self.epochs, from, epoch, opening);
        self.proposed(now, outcome);
    }

    /// Another mix has dealt to this one, for an epoch of which fewer than all mixes open a round.
    pub(super) fn epoch_sub_shares(&mut self, now: Duration, from: usize, sub_shares: SubShares) {
        let identity = &self.identities[from];
        let Some(entry) = self.entry.as_mut() else {
            let steps = self.assent.sub_shares(identity, from, sub_shares);
            return steps.into_iter().for_each(|step| self.step(step));
        };
        let Some(proposal) = entry.proposal.as_mut() else { return };
        let outcome = proposal.sub_shares(identity, from, sub_shares);
        self.proposed(now, outcome);
    }

    pub(super) fn epoch_signature(&mut self, now: Duration, from: usize, epoch: u64, signature: Signature) {
        let proposal = self.entry.as_mut().and_then(|entry| entry.proposal.as_mut());
        let Some(proposal) = proposal else { return };
        let outcome = proposal.signature(&self.identities[from], from, epoch, signature);
        self.proposed(now, outcome);
    }

    /// A mix does not go along. If it knows a later document, the entry had lost that one.
    pub(super) fn epoch_refused(
        &mut self,
        now: Duration,
        epoch: u64,
        reason: EpochRefusalReason,
        newest: Option<SignedEpoch>,
    ) {
        let Some(entry) = self.entry.as_mut() else { return };
        if entry.proposal.as_ref().is_none_or(|proposal| proposal.epoch() != epoch) {
            return;
        }
        if reason == EpochRefusalReason::Signed {
            entry.epoch_tried = entry.epoch_tried.max(epoch);
        }
        self.reject("epoch_refused", 1);
        if let Some(newest) = newest {
            self.compare_document(&newest);
            self.epoch_recalled(now, newest);
        }
        self.attempt_failed(now);
    }

    /// Another mix shows a document. Of each number there is one, whoever shows it.
    pub(super) fn epoch_shown(&mut self, now: Duration, from: usize, signed: SignedEpoch) {
        self.compare_document(&signed);
        match (self.own, from) {
            (0, _) => self.epoch_recalled(now, signed),
            (_, 0) => self.epoch_completed(signed),
            _ => self.reject("unexpected", 1),
        }
    }

    /// Another mix shows a document. One that the entry does not know it has lost, with its disk: rounds of it may have
    /// been opened by the run that knew it, so their numbers are spent. Verdicts of them are made when clients ask.
    fn epoch_recalled(&mut self, now: Duration, signed: SignedEpoch) {
        if signed.verify(&self.network).is_err() {
            return self.reject("bad_document", 1);
        }
        let Some(entry) = self.entry.as_mut() else { return };
        if signed.document.epoch > self.epochs.latest_epoch() {
            let spent = signed.document.last_round();
            entry.renew = true;
            if entry.opened < spent {
                entry.opened = spent;
                self.persist(Record::Opened { round: spent }, Persisting::Known);
            }
            self.epochs.adopt(signed.clone(), None);
            self.attempt_failed(now);
        } else if !self.epochs.backfill(signed.clone()) {
            return;
        }
        self.persist(Record::Epoch(signed), Persisting::Known);
    }

    fn proposed(&mut self, now: Duration, outcome: Proposed) {
        match outcome {
            Proposed::Waiting => {}
            Proposed::Steps(steps) => steps.into_iter().for_each(|step| self.step(step)),
            Proposed::Sign(record) => {
                // Only a signature spends a number: an attempt that comes to nothing ages no letter.
                if let Some(entry) = self.entry.as_mut()
                    && let Some(proposal) = &entry.proposal
                {
                    entry.epoch_tried = entry.epoch_tried.max(proposal.epoch());
                }
                self.step(Step::Persist(record));
            }
            Proposed::Complete(signed, keys) => {
                self.persist(Record::Epoch((*signed).clone()), Persisting::Epoch(signed, Some(Box::new(keys))));
            }
            Proposed::Failed => {
                self.reject("bad_document", 1);
                self.attempt_failed(now);
            }
            Proposed::Wrong(wrong) => {
                self.step(Step::Convict(wrong));
                self.attempt_failed(now);
            }
        }
    }

    pub(super) fn epoch_called(&mut self, call: EpochCall) {
        if !self.goes_on() {
            return self.reject("stopped", 1);
        }
        if let Some(previous) = &call.previous {
            self.compare_document(previous);
        }
        let steps = self.assent.call(&mut self.rng, &mut self.epochs, call, self.boot, self.own);
        steps.into_iter().for_each(|step| self.step(step));
    }

    pub(super) fn epoch_committed(&mut self, epoch: u64, dealings: Vec<Digest>) {
        let steps = self.assent.commitments(&self.key, epoch, dealings);
        steps.into_iter().for_each(|step| self.step(step));
    }

    pub(super) fn epoch_proposed(&mut self, document: EpochDocument, openings: Vec<Vec<u8>>) {
        if !self.goes_on() {
            return self.reject("stopped", 1);
        }
        let steps = self.assent.proposal(&self.epochs, self.own, document, openings);
        steps.into_iter().for_each(|step| self.step(step));
    }

    /// A complete document. Streams are not ordered, so that of several that were missed the newest may come first; it
    /// holds this mix's own signature, which no second one of its number has.
    fn epoch_completed(&mut self, signed: SignedEpoch) {
        if signed.verify(&self.network).is_err() {
            return self.reject("bad_document", 1);
        }
        if signed.document.epoch <= self.epochs.latest_epoch() {
            if self.epochs.backfill(signed.clone()) {
                self.persist(Record::Epoch(signed), Persisting::Known);
            }
            return;
        }
        let keys = self.assent.complete(self.own, &signed.document);
        if keys.is_none() {
            // Missed: it only links the chain. The next one may be right behind it.
            self.epochs.adopt(signed.clone(), None);
            return self.persist(Record::Epoch(signed), Persisting::Known);
        }
        self.persist(Record::Epoch(signed.clone()), Persisting::Epoch(Box::new(signed), keys.map(Box::new)));
    }

    pub(super) fn epoch_signed_on_disk(&mut self, epoch: u64) {
        let step = match self.entry.as_mut() {
            Some(entry) => {
                let proposal = entry.proposal.as_mut().filter(|proposal| proposal.epoch() == epoch);
                proposal.and_then(|proposal| proposal.persisted(&self.key))
            }
            None => self.assent.persisted(epoch, &self.key),
        };
        step.into_iter().for_each(|step| self.step(step));
    }

    /// A complete document is on disk: its keys count from now on.
    pub(super) fn epoch_on_disk(&mut self, now: Duration, signed: SignedEpoch, keys: Option<EpochKeys>) {
        if signed.document.epoch <= self.epochs.latest_epoch() {
            return;
        }
        let epoch = signed.document.epoch;
        let complete = PeerMessage::EpochComplete(signed.clone());
        let boots: Vec<_> = signed.document.mixes.iter().map(|mix| mix.boot).collect();
        self.epochs.adopt(signed, keys);
        self.actions.push_back(Action::Note(Note::EpochBegan { epoch }));
        let first = self.epochs.latest().map_or(0, |signed| signed.document.first_round);
        self.forget_sealings(first);
        self.opened_meanwhile(now);
        if let Some(entry) = self.entry.as_mut() {
            if entry.renew {
                // Numbers before it are skipped.
                entry.opened = entry.opened.max(first - 1);
            }
            entry.attendance.epoch_began(now, !entry.renew);
            entry.proposal = None;
            entry.renew = false;
            entry.pause = FIRST_PAUSE;
            entry.attempt_at = now;
            self.broadcast(&complete);
            // What a mix refused for want of a document it may take now.
            (1..boots.len()).for_each(|mix| self.resend_verdicts(mix));
            // A mix may have restarted between its keys and its signature.
            let restarted = (1..boots.len()).any(|mix| self.links[mix].boot.is_some_and(|boot| boot != boots[mix]));
            if restarted {
                self.lost_keys(now);
            } else {
                self.started(now);
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Say(message) if self.own == 0 => self.broadcast(&message),
            Step::Say(message) => self.send(0, message),
            Step::Tell(to, message) => self.send(to, message),
            Step::Persist(record @ Record::EpochSigned { epoch, .. }) => {
                self.persist(record, Persisting::EpochSigned(epoch));
            }
            Step::Persist(record) => self.persist(record, Persisting::Known),
            Step::Convict(wrong) => {
                self.reject("wrong_sub_share", 1);
                let WrongDealing { window, dealer, receiver, round, opening, dealt } = *wrong;
                self.found(Evidence::of_sub_share(&window, (dealer, receiver), round, &opening, dealt));
            }
        }
    }

    /// Another mix is back, whose newest document is of `epoch`. The entry tells the others what they may have missed, documents and
    /// which clients are out; the others tell an entry that lacks documents, as it has lost its disk. One that has them all knows
    /// best who is out: its operator is the first who lets a client in again.
    pub(super) fn tell_what_is_missed(&mut self, to: usize, epoch: u64) {
        let missed = self.epochs.chain_after(epoch);
        let has_lost_disk = to == 0 && !missed.is_empty();
        if self.own != 0 && !has_lost_disk {
            return;
        }
        self.show_who_is_out(to);
        for document in missed {
            self.send(to, PeerMessage::EpochComplete(document));
        }
    }
}
