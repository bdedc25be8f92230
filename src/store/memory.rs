//! A store in memory, for tests and simulations.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::kv::Visit;
use super::{Change, Kv, StoreError, Table};

type Entries = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// A disk that is none. Clones are the same disk: a test keeps one, drops the store that "crashes", and opens another
/// store on it.
#[derive(Clone, Default)]
pub struct Memory(Arc<RwLock<Entries>>);

impl Memory {
    /// A copy of the disk as it is now, which no longer follows it.
    pub fn image(&self) -> Self {
        Self(Arc::new(RwLock::new(self.entries().clone())))
    }

    fn entries(&self) -> RwLockReadGuard<'_, Entries> {
        // A writer that panicked did so before the first change: nothing in a commit can.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kv for Memory {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries().get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        for ((_, key), value) in self.entries().range((table, from.to_vec())..).take_while(|((t, _), _)| *t == table) {
            if let ControlFlow::Break(()) = visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                Change::Put { table, key, value } => {
                    entries.insert((table, key), value.to_vec());
                }
                Change::Delete { table, key } => {
                    entries.remove(&(table, key));
                }
                Change::DeleteRange { table, from, to } => {
                    let mut tail = entries.split_off(&(table, from.clone()));
                    if from < to {
                        entries.append(&mut tail.split_off(&(table, to)));
                    } else {
                        entries.append(&mut tail);
                    }
                }
            }
        }
        Ok(())
    }
}
