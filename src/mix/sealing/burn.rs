//! Burning a round: a signed mismatch leads every mix to erase its share, to say so, and to publish its onion key.

use crate::crypto::{Digest, Signature};
use crate::packet::PeelError;
use crate::round::IntakeError;
use crate::round::seal::Event as SealEvent;
use crate::wire::{AbortReason, Accusation, Burnt, Mismatch, OnionKey, PeerMessage, Slot, Statement};

use super::super::Mix;
use super::super::blame::Blame;
use super::super::transit::Transit;
use super::To;

/// Burnt rounds whose data outlive their verdicts, at a time.
const MOST: usize = 2;

impl Mix {
    /// What others signed of a round does not fit: `subject` is the statement that shows it.
    pub(in crate::mix) fn accuse(&mut self, round: u64, mismatch: Mismatch, subject: Digest) {
        if let Some(sealing) = self.sealings.get_mut(&round) {
            sealing.subject = Some(subject);
        }
        self.sealed_event(round, SealEvent::Mismatch(mismatch));
        // Without a seal to burn, or behind the point of no return.
        if !self.is_burning(round) {
            self.void(round, reason(mismatch));
        }
    }

    /// A batch is not taken: whoever signed it is accused, if anybody did.
    pub(in crate::mix) fn void_intake(&mut self, round: u64, error: IntakeError) {
        let reason = match error {
            IntakeError::Layer { error: PeelError::Malformed, .. } => "malformed",
            IntakeError::Layer { error: PeelError::LowOrder, .. } => "low_order",
            IntakeError::Layer { error: PeelError::BadTag, .. } => "bad_tag",
            IntakeError::Replay { .. } => "replay",
            IntakeError::Mismatch => "bad_batch",
            IntakeError::SecondBatch => "second_batch",
        };
        self.reject(reason, 1);
        let intake = self.transit.get(&round).and_then(Transit::intake);
        let incoming = intake.map(|intake| (intake.header().header.subject(), intake.hashes().to_vec()));
        let hop = self.own as u8;
        let mismatch = match error {
            IntakeError::Layer { place, .. } => Some(Mismatch::Layer { hop, place }),
            IntakeError::Replay { place } => Some(Mismatch::Replay { hop, place }),
            // Nobody has signed these bytes.
            IntakeError::Mismatch | IntakeError::SecondBatch => None,
        };
        match (mismatch.filter(|_| self.is_sealed()), incoming) {
            (Some(mismatch), Some((subject, hashes))) => {
                self.keep_hashes(round, self.own, hashes);
                self.accuse(round, mismatch, subject);
            }
            _ => self.void(round, error.reason()),
        }
    }

    /// Whether the round burns, or is burnt and blame has not ended.
    pub(in crate::mix) fn is_burning(&self, round: u64) -> bool {
        self.sealings.get(&round).is_some_and(|sealing| sealing.blame.is_some())
    }

    /// The seal of a round has decided to burn it. The exit is not asked to abort it: who signs a verdict lets go of its keys,
    /// and one that overtook the accusation would end the burn. The exit decides when all have published, or too late.
    pub(super) fn burn_begins(&mut self, round: u64, why: AbortReason) {
        if !self.position().needs_all() {
            return self.void(round, why);
        }
        self.make_room();
        let mixes = self.network.mixes();
        if let Some(sealing) = self.sealings.get_mut(&round) {
            sealing.blame = Some(Box::new(Blame::new(mixes)));
            sealing.why = Some(why);
        }
        self.forget_batch(round, why);
    }

    /// Of too many burning rounds the one goes that is replayed, or else the oldest.
    fn make_room(&mut self) {
        let burning =
            self.sealings.iter().filter_map(|(round, sealing)| Some((*round, sealing.blame.as_ref()?.is_done())));
        let burning: Vec<(u64, bool)> = burning.collect();
        if burning.len() < MOST {
            return;
        }
        let done = burning.iter().find(|(_, done)| *done);
        if done.is_none() {
            self.reject("burn_dropped", 1);
        }
        if let Some((round, _)) = done.or(burning.first()) {
            self.forget_blame(*round);
        }
    }

    /// The exit has published its key, after all had burnt the round: it says how the round ended.
    pub(super) fn burn_ends(&mut self, round: u64) {
        let why = self.sealings.get(&round).and_then(|sealing| sealing.why);
        if let Some(why) =
            why.filter(|_| self.is_exit() && !self.signed.contains_key(&round) && !self.is_deciding(round))
        {
            self.end_unopened(round, why);
        }
    }

    pub(super) fn say_accusation(&mut self, round: u64, mismatch: Mismatch) {
        let (Some(slot), Some(sealing)) = (self.slot(round), self.sealings.get(&round)) else { return };
        let subject = sealing.subject.or_else(|| sealing.confirmed(mismatch)).unwrap_or(Digest([0; 32]));
        let accusation = Accusation { slot, mismatch, subject };
        let signature = accusation.sign(&self.key);
        self.note_accusation(self.own, accusation.clone(), signature);
        self.say(round, To::All, PeerMessage::Accusation { accusation, signature });
    }

    pub(super) fn say_burnt(&mut self, round: u64) {
        let Some(slot) = self.slot(round) else { return };
        let burnt = Burnt { slot };
        let signature = burnt.sign(&self.key);
        self.say(round, To::All, PeerMessage::Burnt { burnt, signature });
    }

    pub(super) fn publish_onion_key(&mut self, round: u64) {
        let (Some(slot), Some(key)) = (self.slot(round), self.epochs.onion_key(round)) else { return };
        let noise = self.sealings.get(&round).map(|sealing| sealing.kept.noise.0.to_vec()).unwrap_or_default();
        let key = OnionKey { slot, key, noise };
        let signature = key.sign(&self.key);
        self.keep_onion_key(self.own, round, (key.clone(), signature));
        self.say(round, To::All, PeerMessage::OnionKey { key, signature });
        let Some(sealing) = self.sealings.get(&round) else { return };
        let headers = sealing.headers(round);
        self.say(round, To::All, PeerMessage::Headers(headers));
        self.restore_onions(round);
    }

    /// Another mix accuses.
    pub(in crate::mix) fn accused_by(&mut self, from: usize, accusation: Accusation, signature: Signature) {
        let round = accusation.slot.round;
        if !self.is_statement(from, accusation.slot, &accusation, &signature) {
            return self.reject("bad_accusation", 1);
        }
        if self.sealing(round).is_none() {
            return;
        }
        let why = reason(accusation.mismatch);
        self.sealed_event_for(round, SealEvent::Accusation { from }, why);
        self.note_accusation(from, accusation, signature);
    }

    fn note_accusation(&mut self, from: usize, accusation: Accusation, signature: Signature) {
        let blame = self.sealings.get_mut(&accusation.slot.round).and_then(|sealing| sealing.blame.as_mut());
        if let Some(blame) = blame {
            blame.accused(from as u8 + 1, accusation, signature);
        }
    }

    /// Another mix has erased its share.
    pub(in crate::mix) fn burnt_by(&mut self, from: usize, burnt: &Burnt, signature: &Signature) {
        if !self.is_statement(from, burnt.slot, burnt, signature) {
            return self.reject("bad_burnt", 1);
        }
        let round = burnt.slot.round;
        if self.sealing(round).is_some() {
            self.sealed_event(round, SealEvent::Burnt { from });
        }
    }

    /// Another mix publishes its onion key.
    pub(in crate::mix) fn onion_key_of(&mut self, from: usize, key: &OnionKey, signature: &Signature) {
        let round = key.slot.round;
        let public = self.epochs.document(round).and_then(|document| {
            let position = document.position(round)?;
            document.mixes.get(from)?.onion_keys.get(position).copied()
        });
        let sound = self.is_statement(from, key.slot, key, signature);
        if !sound || !public.is_some_and(|public| key.belongs_to(&public)) {
            return self.reject("bad_onion_key", 1);
        }
        // What comes before this mix burns the round matters too: its seal keeps who has published.
        if self.sealing(round).is_none() {
            return;
        }
        self.keep_onion_key(from, round, (key.clone(), *signature));
        self.sealed_event(round, SealEvent::OnionKey { from });
    }

    /// The first word of each counts.
    fn keep_onion_key(&mut self, from: usize, round: u64, key: (OnionKey, Signature)) {
        if let Some(sealing) = self.sealings.get_mut(&round)
            && let Some(place) = sealing.keys.get_mut(from)
        {
            place.get_or_insert(key);
        }
    }

    fn is_statement(&self, from: usize, slot: Slot, statement: &impl Statement, signature: &Signature) -> bool {
        self.slot(slot.round) == Some(slot) && statement.is_signed_by(&self.identities[from], signature)
    }

    /// What was kept of a burnt round goes, and its keys with it.
    pub(in crate::mix) fn forget_blame(&mut self, round: u64) {
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        sealing.blame = None;
        self.sealed_event(round, SealEvent::TimedOut);
        if self.signed.contains_key(&round) {
            self.round_over(round);
        }
    }
}

/// What the verdict says of it.
fn reason(mismatch: Mismatch) -> AbortReason {
    match mismatch {
        Mismatch::Layer { .. } => AbortReason::BadLayer,
        Mismatch::Replay { .. } => AbortReason::Replay,
        Mismatch::Noise { .. } | Mismatch::Echo { .. } => AbortReason::BadEcho,
        Mismatch::Equivocation { .. } => AbortReason::SecondBatch,
        Mismatch::Header { .. } => AbortReason::BadBatch,
        Mismatch::Transcript { .. } => AbortReason::Transcript,
    }
}

/// What it says if this event makes a seal burn.
pub(super) fn why(event: &SealEvent) -> AbortReason {
    match event {
        SealEvent::Mismatch(mismatch) => reason(*mismatch),
        _ => AbortReason::Transcript,
    }
}
