//! A store on disk: one LMDB environment in a directory of its own.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::ops::{Bound, ControlFlow};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, MdbError, ReservedSpace, WithoutTls};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::kv::{Visit, key};
use super::{Change, Kv, StoreError, Table, Value, pages};

/// How much address space the map takes, in bytes; rounded up to 64 KiB.
///
/// The map is address space, not memory and not disk: the file is as long as what has been written. So the first size
/// is far beyond what a mix or client usually holds, and the map, which can grow only while nobody reads, hardly ever
/// grows.
#[derive(Clone, Copy, Debug)]
pub struct MapLimits {
    /// At first; it is doubled whenever it is full.
    pub first: usize,
    /// At most; then contents are refused with [`StoreError::Full`].
    pub most: usize,
}

impl Default for MapLimits {
    /// 16 GiB, an hour of 64 KiB letters at 64 a second unread, and at most 256 GiB.
    fn default() -> Self {
        Self { first: 16 << 30, most: 256 << 30 }
    }
}

/// A multiple of every page size in use (4, 16, 64 KiB).
pub(super) const MAP_UNIT: usize = 64 << 10;

/// Beyond the limit, for commits without contents: a full exit must still write that it did not store, and deleting
/// takes fresh pages too, as LMDB copies what it changes.
const RESERVE: usize = 4 << 20;

/// Reads at one time; threads that may block in a daemon are fewer.
const MAX_READERS: u32 = 1024;

/// A value that is written only to make a transaction.
const TOUCHED: &[u8] = b"touched";

const LOCK_FILE: &str = "store.lock";
const DATA_FILE: &str = "data.mdb";
/// Ours, then LMDB's.
const FILES: [&str; 3] = [LOCK_FILE, DATA_FILE, "lock.mdb"];
/// In the lock file once there is something in the data file: LMDB makes a new one where it finds none, and a store that
/// has lost its file must not look like one that has just been made.
const MADE: &[u8] = b"made\n";

/// The backend on disk. All tables are in LMDB's unnamed database, under their number.
pub struct Lmdb {
    dir: PathBuf,
    first: usize,
    most: usize,
    /// `None` only if growing failed and going back failed too; the next call tries again.
    open: RwLock<Option<Open>>,
    /// Locked as long as the environment is open; dropped after it, as fields drop in order.
    _lock: File,
}

struct Open {
    env: Env<WithoutTls>,
    entries: Database<'static, Bytes, Bytes>,
    map: usize,
}

impl Lmdb {
    /// Opens the directory, and creates it, mode 0700, if need be. It must be on a local file system.
    ///
    /// # Errors
    /// If another process has it open, if others than its owner have rights on it, if it cannot be written, if its file
    /// is gone or damaged, or if the disk fails. Nothing in it has changed then.
    pub fn open(dir: &Path, limits: MapLimits) -> Result<Self, StoreError> {
        let failed = |error| io_error(dir, error);
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        refuse_lax(dir)?;
        let lock_path = dir.join(LOCK_FILE);
        let mut lock = OpenOptions::new();
        let mut lock =
            lock.create(true).truncate(false).read(true).write(true).mode(0o600).open(&lock_path).map_err(failed)?;
        for file in FILES {
            refuse_lax(&dir.join(file))?;
        }
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse(dir.to_path_buf()),
            TryLockError::Error(error) => failed(error),
        })?;
        let mut mark = Vec::new();
        lock.read_to_end(&mut mark).map_err(failed)?;
        let data = dir.join(DATA_FILE);
        let gone = || StoreError::DamagedFile { path: data.clone(), what: "what was in it is gone" };
        if !mark.is_empty() && fs::metadata(&data).map_or(0, |found| found.len()) == 0 {
            return Err(gone());
        }
        pages::check(&data)?;
        let most = limits.most.max(1).next_multiple_of(MAP_UNIT);
        let first = limits.first.max(1).next_multiple_of(MAP_UNIT).min(most);
        let open = Open::new(dir, first)?;
        if mark.is_empty() {
            open.write(&[touch()]).map_err(|error| store_error(dir, error))?;
            lock.write_all(MADE).and_then(|()| lock.sync_all()).map_err(failed)?;
        } else if open.is_empty().map_err(|error| store_error(dir, error))? {
            return Err(gone());
        }
        Ok(Self { dir: dir.to_path_buf(), first, most, open: RwLock::new(Some(open)), _lock: lock })
    }

    fn with_open<T>(&self, work: impl FnOnce(&Open) -> heed::Result<T>) -> Result<T, StoreError> {
        // Nothing that holds the lock for writing panics half-way.
        let mut open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if open.is_none() {
            drop(open);
            self.remap(self.first)?;
            open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        }
        let open = open.as_ref().ok_or_else(|| io::Error::other("the database could not be reopened"))?;
        work(open).map_err(|error| store_error(&self.dir, error))
    }

    /// Whether the disk and the process's limits have room for as many bytes as changes hold, and some pages.
    fn has_room(&self, changes: &[Change]) -> bool {
        let value = |change: &Change| if let Change::Put { value, .. } = change { value.bytes() as u64 } else { 0 };
        let needed = changes.iter().map(value).sum::<u64>() + MAP_UNIT as u64;
        let free = statvfs(&self.dir).map_or(u64::MAX, |disk| disk.blocks_available() * disk.fragment_size());
        let limit = getrlimit(Resource::RLIMIT_FSIZE).map_or(u64::MAX, |(soft, _)| soft);
        let length = fs::metadata(self.dir.join(DATA_FILE)).map_or(0, |found| found.len());
        needed <= free && length.saturating_add(needed) <= limit
    }

    /// Closes the environment, which waits for all readers, and opens it with another map.
    fn remap(&self, map: usize) -> Result<(), StoreError> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let before = open.take().map(|open| open.map);
        match Open::new(&self.dir, map) {
            Ok(grown) => *open = Some(grown),
            Err(error) => {
                *open = before.and_then(|map| Open::new(&self.dir, map).ok());
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Open {
    fn new(dir: &Path, map: usize) -> Result<Self, StoreError> {
        let failed = |error| store_error(dir, error);
        let env = open_environment(dir, map).map_err(failed)?;
        let reader = env.read_txn().map_err(failed)?;
        let entries = env
            .open_databases_and_commit(reader, |opener, reader| {
                opener.open_database::<Bytes, Bytes>(reader, None).map(CommitOrAbort::<_, ()>::Commit)
            })
            .map_err(failed)?
            .commit()
            .flatten()
            .expect("the unnamed database always exists");
        Ok(Self { env, entries, map })
    }

    fn is_empty(&self) -> heed::Result<bool> {
        let reader = self.env.read_txn()?;
        self.entries.is_empty(&reader)
    }

    fn write(&self, changes: &[Change]) -> heed::Result<()> {
        let mut writer = self.env.write_txn()?;
        for change in changes {
            match change {
                Change::Put { table, key, value } => {
                    let write =
                        |space: &mut ReservedSpace<'_>| value.pieces().try_for_each(|piece| space.write_all(piece));
                    self.entries.put_reserved(&mut writer, &flat(*table, key), value.bytes(), write)?;
                }
                Change::Delete { table, key } => {
                    self.entries.delete(&mut writer, &flat(*table, key))?;
                }
                Change::DeleteRange { table, from, to } if from < to => {
                    let (from, to) = (flat(*table, from), flat(*table, to));
                    let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
                    self.entries.delete_range(&mut writer, &range)?;
                }
                Change::DeleteRange { .. } => {}
            }
        }
        writer.commit()
    }
}

impl Kv for Lmdb {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with_open(|open| {
            let reader = open.env.read_txn()?;
            Ok(open.entries.get(&reader, &flat(table, key))?.map(<[u8]>::to_vec))
        })
    }

    fn scan(&self, table: Table, from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.with_open(|open| {
            let reader = open.env.read_txn()?;
            let (from, next_table) = (flat(table, from), [table as u8 + 1]);
            let range = (Bound::Included(&from[..]), Bound::Excluded(&next_table[..]));
            for entry in open.entries.range(&reader, &range)? {
                let (key, value) = entry?;
                if let ControlFlow::Break(()) = visit(&key[1..], value) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let content = changes.iter().any(|change| matches!(change, Change::Put { table, .. } if table.holds_content()));
        let ceiling = if content { self.most } else { self.most + RESERVE };
        let mut touched = !content;
        loop {
            let map = self.with_open(|open| Ok(open.map))?;
            if map > ceiling {
                self.remap(ceiling)?;
                continue;
            }
            let written = self.with_open(|open| open.write(&changes)).map_err(|error| match error {
                StoreError::Io(error) if is_cut_short(&error) && !self.has_room(&changes) => StoreError::Full,
                error => error,
            });
            match written {
                Err(StoreError::Database(heed::Error::Mdb(MdbError::MapFull))) if map < ceiling => {
                    let limit = if map < self.most { self.most } else { ceiling };
                    self.remap(map.saturating_mul(2).min(limit))?;
                }
                Err(StoreError::Full | StoreError::Database(heed::Error::Mdb(MdbError::MapFull))) if !touched => {
                    // LMDB reuses what a transaction freed only from the second one after it on.
                    touched = true;
                    self.commit(vec![touch()])?;
                }
                Err(StoreError::Database(heed::Error::Mdb(MdbError::MapFull))) => return Err(StoreError::Full),
                Err(StoreError::Database(error @ heed::Error::Mdb(MdbError::Panic))) => {
                    // The disk failed while LMDB wrote its first pages: it takes nothing more before it is opened anew,
                    // which shows what is on the disk.
                    self.remap(map)?;
                    return Err(StoreError::Database(error));
                }
                done => return done,
            }
        }
    }
}

/// heed has no safe way to open an environment, as a map is sound only while nobody else changes its file.
#[expect(unsafe_code, reason = "mapping a file is unsafe; the call says why it is sound here")]
fn open_environment(dir: &Path, map: usize) -> heed::Result<Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map).max_readers(MAX_READERS);
    // SAFETY: no other process writes the mapped file: the caller holds the advisory lock on `store.lock` for as long
    // as the environment is open, LMDB's own lock file is in use (no flag is set), and the directory and its files
    // are the owner's alone, which `refuse_lax` has checked. Within this process heed refuses a second environment of
    // the same path.
    unsafe { options.open(dir) }
}

fn flat(table: Table, bytes: &[u8]) -> Vec<u8> {
    key(&[&[table as u8], bytes])
}

fn touch() -> Change {
    Change::Put { table: Table::Meta, key: TOUCHED.to_vec(), value: Value::default() }
}

fn refuse_lax(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Err(StoreError::Permissions(path.to_path_buf())),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error(path, error)),
        _ => Ok(()),
    }
}

fn store_error(dir: &Path, error: heed::Error) -> StoreError {
    let damaged = |what| StoreError::DamagedFile { path: dir.join(DATA_FILE), what };
    match error {
        heed::Error::Io(error) => io_error(dir, error),
        heed::Error::Mdb(MdbError::Invalid | MdbError::VersionMismatch) => damaged("it is not of LMDB's form"),
        heed::Error::Mdb(MdbError::Corrupted | MdbError::PageNotFound) => damaged("a page holds something else"),
        other => StoreError::Database(other),
    }
}

/// LMDB's word for a write that ended early, as it does where the disk ends; the system's for a disk that fails.
fn is_cut_short(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EIO as i32)
}

fn io_error(dir: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        // The disk's own end, the user's share of it, or what the process may write into one file.
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StoreError::Full,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            StoreError::Unwritable { path: dir.into(), source: error }
        }
        _ => StoreError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_a_quota_and_a_limit_on_files_are_all_full() {
        use nix::errno::Errno;
        for (number, full) in [(Errno::ENOSPC, true), (Errno::EDQUOT, true), (Errno::EFBIG, true), (Errno::EIO, false)]
        {
            let error = store_error(Path::new("store"), heed::Error::Io(io::Error::from_raw_os_error(number as i32)));
            assert_eq!(matches!(error, StoreError::Full), full, "{number}: {error}");
        }
    }
}
