//! What waits for the disk, and what is done when it has answered.

use std::time::Duration;

use crate::blame::{Evidence, Finding};
use crate::crypto::Identity;
use crate::epoch::EpochKeys;
use crate::wire::{Bond, Record, SignedEpoch, SignedVerdict, Verdict};

use super::{Action, Mix, PersistError};

/// Pause before a record that the disk did not take is tried again.
const REPEAT: Duration = Duration::from_secs(1);

/// What waits for a record to be on disk.
pub(super) enum Persisting {
    EpochSigned(u64),
    Epoch(Box<SignedEpoch>, Option<Box<EpochKeys>>),
    Known,
    Opened(u64),
    Decided(Verdict),
    Signed(Verdict),
    Complete(Box<SignedVerdict>),
    Sealed(u64, Bond),
    Convicted(Finding, Box<Evidence>),
    Readmitted(Identity),
}

impl Persisting {
    /// Whether `older`, which the disk did not take either, need not be tried again beside this.
    fn supersedes(&self, older: &Self) -> bool {
        match (self, older) {
            // A later document is asked for only when the attempt at the earlier one is over.
            (Persisting::EpochSigned(_), Persisting::EpochSigned(_)) => true,
            (Persisting::Epoch(own, _), Persisting::Epoch(older, _)) => own.document.epoch == older.document.epoch,
            (Persisting::Signed(own), Persisting::Signed(older)) => own.round == older.round,
            (Persisting::Complete(own), Persisting::Complete(older)) => own.verdict.round == older.verdict.round,
            (Persisting::Sealed(own, _), Persisting::Sealed(older, _)) => own == older,
            _ => false,
        }
    }
}

impl Mix {
    /// Puts a record on disk; what waits for it is told by [`Mix::persisted`].
    pub(super) fn persist(&mut self, record: Record, then: Persisting) {
        let token = self.next_token;
        self.next_token += 1;
        // Decisions carry letters and have their own way to fail.
        let again = (!matches!(record, Record::Decided { .. } | Record::Opened { .. })).then(|| record.clone());
        self.persisting.insert(token, (then, again));
        self.actions.push_back(Action::Persist { token, record });
    }

    /// Whether this mix's signature under a verdict on `round` waits for the disk.
    pub(super) fn is_signing(&self, round: u64) -> bool {
        let mut under_way = self.persisting.values().map(|(what, _)| what);
        let mut repeated = self.repeats.iter().map(|(_, _, what)| what);
        let signs = |what: &Persisting| matches!(what, Persisting::Signed(verdict) if verdict.round == round);
        under_way.any(signs) || repeated.any(signs)
    }

    pub(super) fn persisted(&mut self, now: Duration, token: u64, result: Result<Option<Verdict>, PersistError>) {
        let Some((what, record)) = self.persisting.remove(&token) else { return };
        let result = match result {
            Ok(filled_in) => filled_in,
            Err(error) => return self.persist_failed(now, what, record, error),
        };
        match what {
            Persisting::EpochSigned(epoch) => self.epoch_signed_on_disk(epoch),
            Persisting::Epoch(signed, keys) => self.epoch_on_disk(now, *signed, keys.map(|keys| *keys)),
            Persisting::Known => {}
            Persisting::Opened(round) => self.round_opened_on_disk(now, round),
            Persisting::Decided(verdict) => self.decided_on_disk(now, result.unwrap_or(verdict)),
            Persisting::Signed(verdict) => self.verdict_signed_on_disk(verdict),
            Persisting::Complete(signed) => self.verdict_complete_on_disk(*signed),
            Persisting::Sealed(round, bond) => self.bond_on_disk(round, bond),
            Persisting::Convicted(finding, evidence) => self.conviction_on_disk(finding, *evidence),
            Persisting::Readmitted(party) => self.readmitted_on_disk(party),
        }
    }

    /// The disk did not take a record: nothing that would follow from it is said before it does.
    fn persist_failed(&mut self, now: Duration, what: Persisting, record: Option<Record>, error: PersistError) {
        self.reject(error.reason(), 1);
        match (what, record, error) {
            (Persisting::Decided(verdict), _, error) => self.decision_not_stored(now, verdict, error),
            (Persisting::Opened(round), _, error) => self.round_not_opened(now, round, error),
            (what, Some(record), PersistError::Disk) => {
                self.repeats.retain(|(_, _, older)| !what.supersedes(older));
                self.repeats.push((now + REPEAT, record, what));
            }
            (Persisting::EpochSigned(_) | Persisting::Epoch(..), _, _) => self.attempt_failed(now),
            _ => {}
        }
    }

    /// Tries again what the disk did not take.
    pub(super) fn persist_again(&mut self, now: Duration) {
        let due: Vec<_> = self.repeats.extract_if(.., |(at, _, _)| now >= *at).collect();
        due.into_iter().for_each(|(_, record, what)| self.persist(record, what));
    }
}
