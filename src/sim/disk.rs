//! A disk that can be full, fail, be slow, or lie about what it has written.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::store::{Change, Kv, Memory, StoreError, Table, Visit};

/// How long a commit takes on a sound disk.
pub(super) const COMMIT: Duration = Duration::from_micros(500);

/// What a disk does with commits. Reads never fail.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Failing {
    /// It takes them.
    #[default]
    Never,
    /// It has room for deletions and decisions, and for nothing that users write.
    FullForContent,
    /// It takes nothing.
    Full,
    /// Every n-th fails.
    Each(u32),
    /// Every n-th is taken, and said to have failed: a disk that breaks between the write and its word.
    Lies(u32),
    /// It takes nothing new for this table.
    For(Table),
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

struct State {
    /// What a reader sees.
    live: Memory,
    failing: Failing,
    commits: u32,
    delay: Duration,
    /// Without synchronisation: what a crash leaves, and how many commits may be missing in it.
    unsynced: Option<(Memory, usize)>,
    /// Commits that a crash would take back.
    pending: VecDeque<Vec<Change>>,
    forgets_names: bool,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            live: Memory::default(),
            failing: Failing::Never,
            commits: 0,
            delay: COMMIT,
            unsynced: None,
            pending: VecDeque::new(),
            forgets_names: false,
        })))
    }
}

impl SimDisk {
    /// What it does with commits from now on.
    pub fn fail(&self, failing: Failing) {
        self.state().failing = failing;
    }

    /// How long a commit takes from now on.
    pub fn slow(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// How long a commit takes.
    pub fn delay(&self) -> Duration {
        self.state().delay
    }

    /// From now on a crash takes back up to `commits` commits that were said to be durable.
    pub fn leave_unsynced(&self, commits: usize) {
        let mut state = self.state();
        let durable = state.live.image();
        state.unsynced = Some((durable, commits));
    }

    /// From now on it does not keep the names of messages that were received.
    pub fn forget_names(&self) {
        self.state().forgets_names = true;
    }

    /// Power goes: what was not synchronised is lost.
    pub fn crash(&self) {
        let mut state = self.state();
        if let Some((durable, _)) = &state.unsynced {
            state.live = durable.image();
        }
        state.pending.clear();
    }

    /// How many rows each table has.
    pub fn rows(&self) -> BTreeMap<Table, usize> {
        let state = self.state();
        let count = |table: &Table| {
            let mut rows = 0;
            let counted = state.live.scan(*table, &[], &mut |_, _| {
                rows += 1;
                ControlFlow::Continue(())
            });
            (*table, counted.map_or(0, |()| rows))
        };
        Table::ALL.iter().map(count).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kv for SimDisk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let live = self.state().live.clone();
        live.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let live = self.state().live.clone();
        live.scan(table, from, visit)
    }

    fn commit(&self, mut changes: Vec<Change>) -> Result<(), StoreError> {
        let mut state = self.state();
        state.commits = state.commits.wrapping_add(1);
        let puts = |wanted: &dyn Fn(Table) -> bool| {
            changes.iter().any(|change| matches!(change, Change::Put { table, .. } if wanted(*table)))
        };
        let refused = match state.failing {
            Failing::Never => false,
            Failing::FullForContent => puts(&|table| table.holds_content()),
            Failing::Full => true,
            Failing::For(refused) => puts(&|table| table == refused),
            Failing::Each(n) => state.commits.is_multiple_of(n.max(1)),
            Failing::Lies(_) => false,
        };
        let lies = matches!(state.failing, Failing::Lies(n) if state.commits.is_multiple_of(n.max(1)));
        if refused {
            return Err(StoreError::Full);
        }
        if state.forgets_names {
            changes.retain(|change| !matches!(change, Change::Put { table: Table::Seen, .. }));
        }
        state.live.commit(changes.clone())?;
        let State { unsynced, pending, .. } = &mut *state;
        if let Some((durable, most)) = unsynced {
            pending.push_back(changes);
            while pending.len() > *most {
                durable.commit(pending.pop_front().unwrap_or_default())?;
            }
        }
        if lies { Err(StoreError::Full) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(table: Table, key: u8) -> Vec<Change> {
        vec![Change::Put { table, key: vec![key], value: vec![key].into() }]
    }

    #[test]
    fn it_refuses_what_it_is_told_to_and_keeps_the_rest() {
        let disk = SimDisk::default();
        disk.fail(Failing::FullForContent);
        assert!(disk.commit(put(Table::Letters, 1)).is_err() && disk.commit(put(Table::Signed, 1)).is_ok());
        disk.fail(Failing::Full);
        assert!(disk.commit(put(Table::Signed, 2)).is_err());
        disk.fail(Failing::Each(2));
        let refused = (0..10).filter(|key| disk.commit(put(Table::Meta, *key)).is_err()).count();
        assert_eq!(refused, 5);
        assert_eq!((disk.rows()[&Table::Letters], disk.rows()[&Table::Signed], disk.rows()[&Table::Meta]), (0, 1, 5));
    }

    #[test]
    fn a_crash_takes_back_only_what_was_not_synchronised() {
        let disk = SimDisk::default();
        disk.commit(put(Table::Meta, 0)).expect("sound");
        disk.crash();
        assert_eq!(disk.rows()[&Table::Meta], 1, "durable when the commit returned");
        disk.leave_unsynced(2);
        (1..6).for_each(|key| disk.commit(put(Table::Meta, key)).expect("sound"));
        assert_eq!(disk.rows()[&Table::Meta], 6);
        disk.crash();
        assert_eq!(disk.rows()[&Table::Meta], 4, "the last two are gone");
    }
}
