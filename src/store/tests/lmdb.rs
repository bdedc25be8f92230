use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::wire::Record;

const KIB: usize = 1024;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn limits(first: usize, most: usize) -> MapLimits {
    MapLimits { first, most }
}

fn decide(store: &Store, round: u64, letters: usize, bytes: usize) -> Result<Option<Verdict>, StoreError> {
    let letters = (0..letters).map(|_| (mailbox_id(1), letter(1, round, &vec![round as u8; bytes]))).collect();
    Decisions::new(store.clone(), 10_000, HISTORY).apply(Record::Decided { verdict: verdict(round, STORED), letters })
}

#[test]
fn directory_and_files_are_their_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/store");
    drop(Store::lmdb(&path, MapLimits::default()).unwrap());
    assert_eq!(mode(&path), 0o700);
    let files: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3);
    assert!(files.iter().all(|file| mode(file) == 0o600));
    for lax in files.iter().chain([&path]) {
        let before = mode(lax);
        fs::set_permissions(lax, fs::Permissions::from_mode(before | 0o040)).unwrap();
        let refused = Store::lmdb(&path, MapLimits::default());
        assert!(matches!(refused, Err(StoreError::Permissions(named)) if named == *lax));
        fs::set_permissions(lax, fs::Permissions::from_mode(before)).unwrap();
        Store::lmdb(&path, MapLimits::default()).unwrap();
    }
}

#[test]
fn a_second_opening_is_refused_until_the_first_ends() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::lmdb(&dir.path().join("store"), MapLimits::default()).unwrap();
    let clone = first.clone();
    drop(first);
    let second = Store::lmdb(&dir.path().join("store"), MapLimits::default());
    assert!(matches!(second, Err(StoreError::InUse(path)) if path == dir.path().join("store")));
    drop(clone);
    Store::lmdb(&dir.path().join("store"), MapLimits::default()).unwrap();
}

#[test]
fn the_map_grows_when_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::lmdb(&dir.path().join("store"), limits(64 * KIB, 64 << 20)).unwrap();
    for round in 1..=20 {
        decide(&store, round, 10, 20 * KIB).unwrap();
    }
    let held = Mailbox::new(store.clone()).poll(&mailbox_id(1), 0, 1000).unwrap();
    let whole = |(_, letter): &(u64, StoredLetter)| letter.letter == vec![letter.round as u8; 20 * KIB];
    assert!(held.len() == 200 && held.iter().all(whole));
    drop(store);
    // What is there opens under limits that are smaller.
    let store = Store::lmdb(&dir.path().join("store"), limits(64 * KIB, 64 * KIB)).unwrap();
    assert_eq!(Mailbox::new(store.clone()).totals().unwrap().letters, 200);
    assert!(matches!(decide(&store, 21, 10, 20 * KIB), Err(StoreError::Full)));
}

#[test]
fn a_store_that_could_not_be_reopened_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let (place, away) = (dir.path().join("store"), dir.path().join("away"));
    let store = Store::lmdb(&place, limits(64 * KIB, 64 << 20)).unwrap();
    decide(&store, 1, 1, KIB).unwrap();
    fs::rename(&place, &away).unwrap();
    for _ in 0..2 {
        assert!(matches!(decide(&store, 2, 10, 20 * KIB), Err(StoreError::Io(_))), "it must grow and cannot");
    }
    fs::rename(&away, &place).unwrap();
    decide(&store, 2, 10, 20 * KIB).unwrap();
    assert_eq!(Mailbox::new(store).totals().unwrap().letters, 11);
}

#[test]
fn readers_go_on_while_the_map_grows() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::lmdb(&dir.path().join("store"), limits(64 * KIB, 64 << 20)).unwrap();
    decide(&store, 1, 1, KIB).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mailbox = Mailbox::new(store.clone());
                for _ in 0..5000 {
                    assert!(*mailbox.poll(&mailbox_id(1), 0, 1).unwrap()[0].1.letter == [1; KIB]);
                }
            });
        }
        for round in 2..=20 {
            decide(&store, round, 10, 20 * KIB).unwrap();
        }
    });
    assert_eq!(Mailbox::new(store).totals().unwrap().letters, 191);
}

#[test]
fn letters_of_a_round_fill_the_pages_of_the_disk() {
    const LETTERS: usize = 450;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::lmdb(&dir.path().join("store"), MapLimits::default()).unwrap();
    decide(&store, 1, LETTERS, 2 * KIB).unwrap();
    let length = fs::metadata(dir.path().join("store/data.mdb")).unwrap().len() as usize;
    assert!(length < LETTERS * 2 * KIB * 5 / 4, "{length} bytes for {LETTERS} letters of 2 KiB");
}

#[test]
fn a_full_store_destroys_nothing_and_still_decides_and_deletes() {
    let dir = tempfile::tempdir().unwrap();
    let small = limits(64 * KIB, 1024 * KIB);
    let store = Store::lmdb(&dir.path().join("store"), small).unwrap();
    let mailbox = Mailbox::new(store.clone());
    let decisions = Decisions::new(store.clone(), 10_000, HISTORY);
    // First large letters, then small ones into what is left.
    let (mut round, mut stored) = (1, 0);
    for (letters, bytes) in [(3, 20 * KIB), (1, 3 * KIB), (1, 3 * KIB)] {
        loop {
            match decide(&store, round, letters, bytes) {
                Ok(_) => (round, stored) = (round + 1, stored + letters as u64),
                Err(StoreError::Full) => break,
                Err(error) => panic!("{error}"),
            }
            assert!(round < 1000, "a megabyte is full after a while");
        }
    }
    assert!(stored > 20, "{stored}");
    assert_eq!(mailbox.totals().unwrap().letters, stored);

    // Full is full, however often it is tried, and there is still room to say so, which letters do not get.
    for round in round..round + 300 {
        assert!(matches!(decide(&store, round, 3, 20 * KIB), Err(StoreError::Full)));
        let verdict = verdict(round, Outcome::OpenedNotStored);
        assert_eq!(
            decisions.apply(Record::Decided { verdict: verdict.clone(), letters: Vec::new() }).unwrap(),
            Some(verdict)
        );
    }
    assert!(matches!(decide(&store, 5000, 3, 3 * KIB), Err(StoreError::Full)));
    let held = mailbox.poll(&mailbox_id(1), 0, 10_000).unwrap();
    assert_eq!(held.len() as u64, stored);
    assert!(held.iter().all(|(_, letter)| letter.letter.iter().all(|byte| *byte == letter.round as u8)));

    // A larger limit helps at the next start.
    drop((mailbox, decisions, store));
    {
        let store = Store::lmdb(&dir.path().join("store"), limits(64 * KIB, 2048 * KIB)).unwrap();
        decide(&store, 5000, 3, 20 * KIB).unwrap();
        assert_eq!(Mailbox::new(store).totals().unwrap().letters, stored + 3);
    }
    // And so does the owner, under the old one.
    let store = Store::lmdb(&dir.path().join("store"), small).unwrap();
    assert!(matches!(decide(&store, 5001, 3, 20 * KIB), Err(StoreError::Full)));
    Mailbox::new(store.clone()).acknowledge(&mailbox_id(1), u64::MAX).unwrap();
    decide(&store, 5001, 3, 20 * KIB).unwrap();
    decide(&store, 5002, 3, 20 * KIB).unwrap();
    assert_eq!(Mailbox::new(store).totals().unwrap().letters, 6);
}

/// A directory with a store of some 60 pages, and what its file holds.
fn made() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::lmdb(&dir.path().join("store"), MapLimits::default()).unwrap();
    for round in 1..=20 {
        decide(&store, round, 4, if round % 2 == 0 { 9 * KIB } else { 200 }).unwrap();
    }
    drop(store);
    let data = dir.path().join("store/data.mdb");
    let bytes = fs::read(&data).unwrap();
    assert!(bytes.len() > 60 * 4 * KIB, "{}", bytes.len());
    (dir, data, bytes)
}

fn reopen(dir: &tempfile::TempDir) -> Result<Store, StoreError> {
    Store::lmdb(&dir.path().join("store"), MapLimits::default())
}

/// Opens it and reads all there is.
fn read_all(dir: &tempfile::TempDir) -> Result<usize, StoreError> {
    let store = reopen(dir)?;
    Decisions::new(store.clone(), 10_000, HISTORY).recover()?;
    Ok(Mailbox::new(store).poll(&mailbox_id(1), 0, 1000)?.len())
}

#[test]
fn a_file_cut_short_is_refused_and_left_alone() {
    let (dir, data, whole) = made();
    assert_eq!(read_all(&dir).unwrap(), 80);
    let whole = fs::read(&data).map(|now| if now.len() > whole.len() { now } else { whole }).unwrap();
    // Not one length kills the process, and none is taken for an empty store.
    let mut refused = 0;
    for length in (0..whole.len()).step_by(4 * KIB).chain([1, 100, 5000, whole.len() - 1]) {
        fs::write(&data, &whole[..length]).unwrap();
        match read_all(&dir) {
            Err(StoreError::DamagedFile { path, .. }) => {
                refused += 1;
                assert_eq!(path, data);
                assert_eq!(fs::read(&data).unwrap(), &whole[..length], "{length}");
            }
            // Its last pages may be free ones.
            Ok(80) => {}
            other => panic!("{length}: {other:?}"),
        }
    }
    assert!(refused > whole.len() / (4 * KIB) / 2, "{refused}");
    fs::remove_file(&data).unwrap();
    assert!(matches!(reopen(&dir), Err(StoreError::DamagedFile { .. })), "a lost file is not an empty store");
    assert!(!data.exists());
    fs::write(&data, &whole).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(read_all(&dir).unwrap(), 80, "what was put back is there");
}

#[test]
fn a_page_of_garbage_neither_kills_nor_empties() {
    let (dir, data, whole) = made();
    let mut refused = 0;
    for page in 0..whole.len() / (4 * KIB) {
        for garbage in [0xff, 0] {
            let mut bytes = whole.clone();
            bytes[page * 4 * KIB..(page + 1) * 4 * KIB].fill(garbage);
            fs::write(&data, &bytes).unwrap();
            match read_all(&dir) {
                Err(StoreError::DamagedFile { .. } | StoreError::Damaged(_)) => {
                    refused += 1;
                    assert_eq!(fs::read(&data).unwrap(), bytes);
                }
                // A free page, or the inside of a letter, which its seal protects.
                Ok(80) => {}
                other => panic!("page {page}: {other:?}"),
            }
        }
    }
    assert!(refused > 50, "{refused}");
    fs::write(&data, &whole).unwrap();
    assert_eq!(read_all(&dir).unwrap(), 80);
}

#[test]
fn a_directory_that_may_only_be_read_says_so_and_is_left_alone() {
    let (dir, data, whole) = made();
    let store = dir.path().join("store");
    let files: Vec<_> = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path()).collect();
    let modes = |of_dir, of_file| {
        fs::set_permissions(&store, fs::Permissions::from_mode(of_dir)).unwrap();
        files.iter().for_each(|file| fs::set_permissions(file, fs::Permissions::from_mode(of_file)).unwrap());
    };
    modes(0o500, 0o400);
    let refused = as_nobody(&[dir.path(), &store], &files, || reopen(&dir).err());
    assert!(matches!(refused, Some(StoreError::Unwritable { path, .. }) if path == store));
    modes(0o700, 0o600);
    assert_eq!(fs::read(&data).unwrap(), whole);
    assert_eq!(read_all(&dir).unwrap(), 80);
}

/// Root may write whatever the modes say; then the files become another user's, and this thread for a moment that user.
fn as_nobody<T>(dirs: &[&Path], files: &[PathBuf], work: impl FnOnce() -> T) -> T {
    use std::os::unix::fs::chown;
    if !nix::unistd::geteuid().is_root() {
        return work();
    }
    let nobody = nix::unistd::Uid::from_raw(65534);
    let all = || dirs.iter().copied().chain(files.iter().map(PathBuf::as_path));
    all().for_each(|path| chown(path, Some(nobody.as_raw()), None).unwrap());
    let root = nix::unistd::setfsuid(nobody);
    let done = work();
    nix::unistd::setfsuid(root);
    all().for_each(|path| chown(path, Some(root.as_raw()), None).unwrap());
    done
}
