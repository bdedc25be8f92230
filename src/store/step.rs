//! Stores, and the steps by which they change.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::wire::codec::{self, Decode, Encode};

use super::{Change, Kv, Lmdb, MapLimits, Memory, StoreError, Table, Value, epochs, inbox, mailbox};

/// The oldest format of keys and values that this program reads; what it writes is behind all [`UPGRADES`].
const OLDEST_VERSION: u32 = 1;
pub(super) const VERSION_KEY: &[u8] = b"version";
const PAYLOAD_KEY: &[u8] = b"payload";

/// Changes the tables from one format to the next.
type Upgrade = fn(&mut Step<'_>) -> Result<(), StoreError>;

/// The first brings a store of [`OLDEST_VERSION`] to the format after it, and so on; each is one commit, together with
/// the number of the format that it reaches. A new format is a new last entry here and a new file in `tests/stores`.
const UPGRADES: [Upgrade; 3] = [inbox::count_bytes, epochs::forget_chain, mailbox::remember_gone];

/// An open store. Clones are the same store: the decisions and the mailboxes of an exit share one.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    kv: Box<dyn Kv>,
    /// Held by the one step that runs: what it has read stays true until its commit.
    turn: Mutex<()>,
}

impl Store {
    /// Opens the store in directory `dir`, and creates it if need be.
    ///
    /// # Errors
    /// If another process has it open, others may access it, its format is unknown, or the disk fails.
    pub fn lmdb(dir: &Path, limits: MapLimits) -> Result<Self, StoreError> {
        Self::open(Lmdb::open(dir, limits)?)
    }

    /// An empty store in memory.
    pub fn memory() -> Self {
        Self::open(Memory::default()).expect("memory does not fail and an empty store has no version")
    }

    /// Opens the store in `kv`: an empty one gets a format, an older one is upgraded.
    ///
    /// # Errors
    /// If the format is unknown, if there are contents without one, or if the backend fails.
    pub fn open(kv: impl Kv + 'static) -> Result<Self, StoreError> {
        Self::upgraded(kv, OLDEST_VERSION, &UPGRADES)
    }

    /// Opens the store in `kv` and brings it from whatever format of `oldest` and later it has to the last.
    pub(super) fn upgraded(kv: impl Kv + 'static, oldest: u32, upgrades: &[Upgrade]) -> Result<Self, StoreError> {
        let store = Self(Arc::new(Shared { kv: Box::new(kv), turn: Mutex::new(()) }));
        let newest = oldest + upgrades.len() as u32;
        let found = match store.record::<u32>(Table::Meta, VERSION_KEY)? {
            Some(found) if (oldest..=newest).contains(&found) => found,
            Some(found) => return Err(StoreError::Version { found, oldest, newest }),
            None if store.has_contents()? => return Err(StoreError::Damaged(Table::Meta)),
            None => {
                store.step(|step| write_version(step, newest))?;
                newest
            }
        };
        for (upgrade, from) in upgrades.iter().zip(oldest..).skip((found - oldest) as usize) {
            store.step(|step| {
                upgrade(step)?;
                write_version(step, from + 1)
            })?;
        }
        Ok(store)
    }

    /// Ties the store to packets of `payload` bytes of content: letters and fragments in it have no other size.
    ///
    /// # Errors
    /// [`StoreError::Payload`] if it is tied to another size, or if the backend fails.
    pub fn tie_to_payload(&self, payload: u32) -> Result<(), StoreError> {
        self.step(|step| match step.record::<u32>(Table::Meta, PAYLOAD_KEY)? {
            Some(found) if found != payload => Err(StoreError::Payload { found, wanted: payload }),
            Some(_) => Ok(()),
            None => {
                step.put_record(Table::Meta, PAYLOAD_KEY, &payload);
                Ok(())
            }
        })
    }

    fn has_contents(&self) -> Result<bool, StoreError> {
        let mut any = false;
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Meta) {
            self.kv().scan(table, &[], &mut |_, _| {
                any = true;
                ControlFlow::Break(())
            })?;
        }
        Ok(any)
    }

    /// Runs `work` alone and makes what it put and deleted one commit; none if it changed nothing or failed.
    pub(super) fn step<T>(&self, work: impl FnOnce(&mut Step<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // A step that panicked has committed nothing.
        let _turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut step = Step { kv: self.kv(), ranges: Vec::new(), values: BTreeMap::new() };
        let done = work(&mut step)?;
        let changes = step.changes();
        if !changes.is_empty() {
            self.kv().commit(changes)?;
        }
        Ok(done)
    }

    pub(super) fn kv(&self) -> &dyn Kv {
        self.0.kv.as_ref()
    }

    pub(super) fn record<T: Decode<()> + Encode>(&self, table: Table, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.kv().get(table, key)?.map(|bytes| parse(table, &bytes)).transpose()
    }
}

fn write_version(step: &mut Step<'_>, version: u32) -> Result<(), StoreError> {
    step.put_record(Table::Meta, VERSION_KEY, &version);
    Ok(())
}

/// Changes on their way to a commit. Reads by key see them; scans see the last commit.
pub(super) struct Step<'a> {
    kv: &'a dyn Kv,
    /// Deleted before any of `values` is written.
    ranges: Vec<(Table, Vec<u8>, Vec<u8>)>,
    values: BTreeMap<(Table, Vec<u8>), Option<Value>>,
}

impl Step<'_> {
    /// What [`collect`] sees: the last commit.
    pub(super) fn committed(&self) -> &dyn Kv {
        self.kv
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = self.values.get(&(table, key.to_vec())) {
            return Ok(value.as_ref().map(Value::to_vec));
        }
        let deleted = |(t, from, to): &(Table, Vec<u8>, Vec<u8>)| *t == table && &from[..] <= key && key < &to[..];
        if self.ranges.iter().any(deleted) { Ok(None) } else { self.kv.get(table, key) }
    }

    pub(super) fn record<T: Decode<()> + Encode>(&self, table: Table, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.get(table, key)?.map(|bytes| parse(table, &bytes)).transpose()
    }

    pub(super) fn put(&mut self, table: Table, key: &[u8], value: impl Into<Value>) {
        self.values.insert((table, key.to_vec()), Some(value.into()));
    }

    pub(super) fn put_record<T: Encode>(&mut self, table: Table, key: &[u8], value: &T) {
        self.put(table, key, codec::encode(value));
    }

    pub(super) fn delete(&mut self, table: Table, key: &[u8]) {
        self.values.insert((table, key.to_vec()), None);
    }

    /// Deletes `from <= key < to`, put in this step or before.
    pub(super) fn delete_range(&mut self, table: Table, from: &[u8], to: &[u8]) {
        self.values.retain(|(t, key), _| *t != table || &key[..] < from || &key[..] >= to);
        self.ranges.push((table, from.to_vec(), to.to_vec()));
    }

    /// The values of the first keys of `table`, at most `count`, as this step has them.
    pub(super) fn first(&self, table: Table, count: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut entries = BTreeMap::new();
        self.kv.scan(table, &[], &mut |key, value| {
            let at = (table, key.to_vec());
            let is_deleted = self.ranges.iter().any(|(t, from, to)| *t == table && (from..to).contains(&&at.1));
            if !is_deleted && !self.values.contains_key(&at) && entries.len() < count {
                entries.insert(at.1, value.to_vec());
            }
            if entries.len() < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let put = self.values.iter().filter(|((t, _), _)| *t == table);
        entries.extend(put.filter_map(|((_, key), value)| Some((key.clone(), value.as_ref()?.to_vec()))));
        Ok(entries.into_values().take(count).collect())
    }

    fn changes(self) -> Vec<Change> {
        let ranges = self.ranges.into_iter().map(|(table, from, to)| Change::DeleteRange { table, from, to });
        let values = self.values.into_iter().map(|((table, key), value)| match value {
            Some(value) => Change::Put { table, key, value },
            None => Change::Delete { table, key },
        });
        ranges.chain(values).collect()
    }
}

/// What `take` makes of the entries of `table` from `from` on, until it makes nothing of one.
pub(super) fn collect<T>(
    kv: &dyn Kv,
    table: Table,
    from: &[u8],
    mut take: impl FnMut(&[u8], &[u8]) -> Option<Result<T, StoreError>>,
) -> Result<Vec<T>, StoreError> {
    let mut taken = Vec::new();
    kv.scan(table, from, &mut |key, value| match take(key, value) {
        Some(item) => {
            taken.push(item);
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    })?;
    taken.into_iter().collect()
}

/// A value that [`Step::put_record`] wrote.
pub(super) fn parse<T: Decode<()> + Encode>(table: Table, bytes: &[u8]) -> Result<T, StoreError> {
    codec::decode(bytes).map_err(|_| StoreError::Damaged(table))
}
