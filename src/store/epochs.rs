//! Complete epoch documents: a client's newest few, and the chain that a mix keeps.

use crate::wire::SignedEpoch;

use super::step::{Step, collect, parse};
use super::{Kv, Store, StoreError, Table};

/// Documents that a client keeps: the last one's digest ties the chain to what it has seen, the others cover rounds
/// that still wait for their verdicts.
pub const EPOCHS_KEPT: usize = 8;

/// The complete documents that a client has accepted.
pub struct Epochs {
    store: Store,
}

impl Epochs {
    /// Those in `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Adds a document, which has been verified, and forgets the oldest beyond [`EPOCHS_KEPT`].
    ///
    /// # Errors
    /// If another document of its number is known.
    pub fn remember(&self, epoch: &SignedEpoch) -> Result<(), StoreError> {
        self.store.step(|step| append(step, epoch, EPOCHS_KEPT))
    }

    /// The documents kept, oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn all(&self) -> Result<Vec<SignedEpoch>, StoreError> {
        chain(self.store.kv())
    }
}

/// Adds a document to the chain, of which the newest `kept` remain.
pub(super) fn append(step: &mut Step<'_>, epoch: &SignedEpoch, kept: usize) -> Result<(), StoreError> {
    let number = epoch.document.epoch;
    if let Some(known) = step.record::<SignedEpoch>(Table::Chain, &number.to_be_bytes())? {
        let same = known.document.digest() == epoch.document.digest();
        return if same { Ok(()) } else { Err(StoreError::AlreadySigned(number)) };
    }
    step.put_record(Table::Chain, &number.to_be_bytes(), epoch);
    let mut keys = collect(step.committed(), Table::Chain, &[], |key, _| Some(Ok(key.to_vec())))?;
    keys.push(number.to_be_bytes().to_vec());
    keys.sort_unstable();
    for stale in keys.iter().take(keys.len().saturating_sub(kept)) {
        step.delete(Table::Chain, stale);
    }
    Ok(())
}

/// Drops documents of before joint round keys, which no program reads any more: the chain begins again. What rounds brought
/// about does not need them.
pub(super) fn forget_chain(step: &mut Step<'_>) -> Result<(), StoreError> {
    for key in collect(step.committed(), Table::Chain, &[], |key, _| Some(Ok(key.to_vec())))? {
        step.delete(Table::Chain, &key);
    }
    Ok(())
}

/// All documents, oldest first.
pub(super) fn chain(kv: &dyn Kv) -> Result<Vec<SignedEpoch>, StoreError> {
    collect(kv, Table::Chain, &[], |_, value| Some(parse(Table::Chain, value)))
}
