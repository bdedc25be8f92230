mod decisions;
mod fixtures;
mod inbox;
mod lmdb;
mod mailbox;
mod outbox;
mod outbox_model;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::kv::Visit;
use super::*;
use crate::crypto::{Digest, MailboxId};
use crate::wire::{EpochDocument, Members, Outcome, SignedEpoch, StoredLetter, Verdict};

/// Rounds whose verdicts are kept.
const HISTORY: u32 = 300;

/// Something to open a store on, again and again; every store is dropped before the next is opened.
trait Disk {
    fn try_open(&self) -> Result<Store, StoreError>;

    fn open(&self) -> Store {
        self.try_open().unwrap()
    }
}

impl Disk for Memory {
    fn try_open(&self) -> Result<Store, StoreError> {
        Store::open(self.clone())
    }
}

impl Disk for tempfile::TempDir {
    fn try_open(&self) -> Result<Store, StoreError> {
        Store::lmdb(&self.path().join("store"), MapLimits::default())
    }
}

/// Runs a test on both backends.
fn on_each_disk(test: impl Fn(&dyn Disk)) {
    test(&Memory::default());
    test(&tempfile::tempdir().unwrap());
}

/// Memory that counts commits and refuses those with contents while it is full.
#[derive(Clone, Default)]
struct Watched {
    memory: Memory,
    commits: Arc<AtomicUsize>,
    full: Arc<AtomicBool>,
}

impl Watched {
    /// Commits since the last call.
    fn commits(&self) -> usize {
        self.commits.swap(0, Ordering::SeqCst)
    }
}

impl Kv for Watched {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.memory.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.memory.scan(table, from, visit)
    }

    fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let content = changes.iter().any(|change| matches!(change, Change::Put { table, .. } if table.holds_content()));
        if content && self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Full);
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.memory.commit(changes)
    }
}

fn verdict(round: u64, outcome: Outcome) -> Verdict {
    Verdict { network: Digest([1; 32]), epoch: 1, round, members: Members::none(9), outcome }
}

const STORED: Outcome = Outcome::Stored { refused: 0 };

fn letter(epoch: u64, round: u64, bytes: &[u8]) -> StoredLetter {
    StoredLetter { epoch, round, letter: bytes.to_vec().into() }
}

fn mailbox_id(number: u8) -> MailboxId {
    MailboxId([number; 16])
}

fn document(epoch: u64, previous: u8) -> SignedEpoch {
    let document = EpochDocument::sample(epoch, Digest([previous; 32]));
    SignedEpoch { document, signatures: Vec::new() }
}

#[test]
fn a_commit_makes_its_changes_in_order_and_scans_keep_to_their_table() {
    fn check(kv: &dyn Kv) {
        let put = |table, key: &[u8]| Change::Put { table, key: key.to_vec(), value: key.to_vec().into() };
        let range =
            |from: &[u8], to: &[u8]| Change::DeleteRange { table: Table::Queue, from: from.to_vec(), to: to.to_vec() };
        kv.commit(vec![
            put(Table::Queue, b"a"),
            put(Table::Queue, b"b"),
            put(Table::Queue, b"c"),
            put(Table::Queue, b"d"),
            range(b"b", b"d"),
            range(b"d", b"a"),
            put(Table::Queue, b"bb"),
            put(Table::Rounds, b"e"),
            put(Table::Fragments, b"f"),
            put(Table::Fragments, b"g"),
            Change::Delete { table: Table::Fragments, key: b"f".to_vec() },
            Change::Delete { table: Table::Fragments, key: b"absent".to_vec() },
        ])
        .unwrap();
        let keys = |from: &[u8]| step::collect(kv, Table::Queue, from, |key, _| Some(Ok(key.to_vec()))).unwrap();
        assert_eq!(keys(b""), [b"a".to_vec(), b"bb".to_vec(), b"d".to_vec()]);
        assert_eq!(keys(b"b"), [b"bb".to_vec(), b"d".to_vec()]);
        assert_eq!(kv.get(Table::Fragments, b"f").unwrap(), None);
        assert_eq!(kv.get(Table::Fragments, b"g").unwrap().as_deref(), Some(&b"g"[..]));
        assert_eq!(kv.get(Table::Queue, b"g").unwrap(), None);
    }
    check(&Memory::default());
    let dir = tempfile::tempdir().unwrap();
    check(&Lmdb::open(&dir.path().join("store"), MapLimits::default()).unwrap());
}

#[test]
fn a_step_reads_what_it_wrote() {
    let store = Store::memory();
    let put = |step: &mut step::Step<'_>, key: &[u8]| step.put(Table::Queue, key, key.to_vec());
    store
        .step(|step| {
            put(step, b"a");
            put(step, b"b");
            Ok(())
        })
        .unwrap();
    store
        .step(|step| {
            put(step, b"c");
            step.delete_range(Table::Queue, b"a", b"d");
            put(step, b"b");
            for (key, there) in [(b"a", false), (b"b", true), (b"c", false)] {
                assert_eq!(step.get(Table::Queue, key).unwrap().is_some(), there, "{key:?}");
            }
            step.delete(Table::Queue, b"b");
            assert_eq!(step.get(Table::Queue, b"b").unwrap(), None);
            put(step, b"b");
            Ok(())
        })
        .unwrap();
    let left = step::collect(store.kv(), Table::Queue, &[], |key, _| Some(Ok(key.to_vec()))).unwrap();
    assert_eq!(left, [b"b".to_vec()]);
}

#[test]
fn a_failed_step_changes_nothing() {
    let store = Store::memory();
    let failed = store.step(|step| -> Result<(), StoreError> {
        step.put(Table::Queue, b"a", Vec::new());
        Err(StoreError::NoMessage)
    });
    assert!(failed.is_err());
    assert_eq!(store.kv().get(Table::Queue, b"a").unwrap(), None);
}

#[test]
fn a_store_is_tied_to_the_payload_of_what_is_in_it() {
    on_each_disk(|disk| {
        disk.open().tie_to_payload(1024).unwrap();
        let other = disk.open().tie_to_payload(2048);
        assert!(matches!(other, Err(StoreError::Payload { found: 1024, wanted: 2048 })));
        disk.open().tie_to_payload(1024).unwrap();
    });
}

#[test]
fn a_store_of_unknown_format_is_refused() {
    for unknown in [0, u32::MAX] {
        on_each_disk(|disk| {
            let change = |step: &mut step::Step<'_>| {
                step.put_record(Table::Meta, step::VERSION_KEY, &unknown);
                Ok(())
            };
            disk.open().step(change).unwrap();
            // Refused is not changed: it is refused again.
            for _ in 0..2 {
                assert!(matches!(disk.try_open(), Err(StoreError::Version { found, .. }) if found == unknown));
            }
        });
    }
}

#[test]
fn contents_without_a_format_are_not_taken_for_a_new_store() {
    on_each_disk(|disk| {
        let lose = |step: &mut step::Step<'_>| {
            step.put(Table::Queue, b"a", Vec::new());
            step.delete(Table::Meta, step::VERSION_KEY);
            Ok(())
        };
        disk.open().step(lose).unwrap();
        for _ in 0..2 {
            assert!(matches!(disk.try_open(), Err(StoreError::Damaged(Table::Meta))));
        }
    });
}

#[test]
fn an_older_store_is_upgraded_once_step_by_step() {
    fn append(step: &mut step::Step<'_>, digit: u8) -> Result<(), StoreError> {
        let before = step.get(Table::Queue, b"digits")?.unwrap_or_default();
        step.put(Table::Queue, b"digits", [before, vec![digit]].concat());
        Ok(())
    }
    let memory = Memory::default();
    let digits = || memory.get(Table::Queue, b"digits").unwrap().unwrap_or_default();
    Store::upgraded(memory.clone(), 1, &[]).unwrap();
    Store::upgraded(memory.clone(), 1, &[|step| append(step, 2)]).unwrap();
    assert_eq!(digits(), [2]);
    // A step that fails leaves the store as the one before it left it.
    let failing = Store::upgraded(memory.clone(), 1, &[|_| Ok(()), |step| append(step, 3), |_| Err(StoreError::Full)]);
    assert!(matches!(failing, Err(StoreError::Full)));
    assert_eq!(digits(), [2, 3]);
    Store::upgraded(memory.clone(), 3, &[|step| append(step, 4)]).unwrap();
    assert_eq!(digits(), [2, 3, 4]);
    let old = Store::upgraded(memory.clone(), 1, &[]);
    assert!(matches!(old, Err(StoreError::Version { found: 4, oldest: 1, newest: 1 })));
}

#[test]
fn the_first_values_are_those_that_the_step_leaves() {
    on_each_disk(|disk| {
        let store = disk.open();
        let put = |step: &mut step::Step<'_>, keys: &[u8]| {
            keys.iter().for_each(|k| step.put(Table::Read, &[*k], vec![*k]));
            Ok(())
        };
        store.step(|step| put(step, &[2, 3, 4, 5, 7, 9])).unwrap();
        let first = |step: &step::Step<'_>, count| {
            step.first(Table::Read, count).unwrap().iter().map(|value| value[0]).collect::<Vec<_>>()
        };
        let change = |step: &mut step::Step<'_>| {
            step.put(Table::Unread, &[0], Vec::new());
            step.delete(Table::Read, &[2]);
            step.delete_range(Table::Read, &[4], &[6]);
            put(step, &[1, 5, 8])?;
            assert_eq!((first(step, 4), first(step, 9)), (vec![1, 3, 5, 7], vec![1, 3, 5, 7, 8, 9]));
            Ok(())
        };
        store.step(change).unwrap();
        let left = store.step(|step| Ok(first(step, 9))).unwrap();
        assert_eq!(left, [1, 3, 5, 7, 8, 9], "and so does the commit");
    });
}

#[test]
fn an_image_of_the_disk_no_longer_follows_it() {
    let memory = Memory::default();
    let image = memory.image();
    let epochs = Epochs::new(memory.open());
    epochs.remember(&document(1, 0)).unwrap();
    assert_eq!(Epochs::new(memory.open()).all().unwrap().len(), 1);
    assert_eq!(Epochs::new(image.open()).all().unwrap().len(), 0);
}

#[test]
fn a_client_keeps_its_newest_epochs_and_no_second_one_of_a_number() {
    on_each_disk(|disk| {
        let last = EPOCHS_KEPT as u64 + 3;
        {
            let epochs = Epochs::new(disk.open());
            for number in 1..=last {
                epochs.remember(&document(number, 0)).unwrap();
            }
            epochs.remember(&document(last, 0)).unwrap();
            assert!(matches!(epochs.remember(&document(last, 9)), Err(StoreError::AlreadySigned(n)) if n == last));
            // Older than all that are kept: not kept either.
            epochs.remember(&document(2, 0)).unwrap();
        }
        let numbers: Vec<u64> = Epochs::new(disk.open()).all().unwrap().iter().map(|e| e.document.epoch).collect();
        assert_eq!(numbers, (4..=last).collect::<Vec<_>>());
    });
}
