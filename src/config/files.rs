//! Reading and writing small files so that nobody else can have, and nothing is ever half there.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::libc;
use zeroize::Zeroizing;

/// A file or directory that cannot be read or written, or must not be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is none.
    #[error("{} does not exist\nhelp: make it with `init`, or correct the path", .0.display())]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("cannot read {}: {source}\nhelp: make it readable for this user", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}: {source}\nhelp: make its directory writable for this user", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is longer than a file of its kind can be.
    #[error("{} is longer than {limit} bytes\nhelp: give the right file", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most bytes it may have.
        limit: usize,
    },
    /// It is not text.
    #[error("{} is not UTF-8 text\nhelp: give the right file, or save it as UTF-8", .0.display())]
    NotText(PathBuf),
    /// It is a directory, a pipe or a device.
    #[error("{} is no regular file\nhelp: put a regular file in its place", .0.display())]
    NotAFile(PathBuf),
    /// It is a symbolic link where a secret should be.
    #[error("{} is a symbolic link\nhelp: put the key itself in its place", .0.display())]
    Symlink(PathBuf),
    /// Others may read or change it.
    #[error("{} is open to other users (mode {mode:04o})\nhelp: chmod {} {}", path.display(), if *dir { 700 } else { 600 }, path.display())]
    Lax {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Whether it is a directory.
        dir: bool,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}, not to user {user}\nhelp: chown {user} {}, or run as its owner", path.display(), path.display())]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who runs this.
        user: u32,
    },
}

/// Reads a public text file of at most `limit` bytes.
pub(super) fn read_text(path: &Path, limit: usize) -> Result<String, FileError> {
    // Without O_NONBLOCK opening a pipe that nobody writes to would never return.
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|e| read_error(path, e))?;
    regular(path, &file)?;
    let mut bytes = Vec::new();
    read_bounded(path, &file, limit, &mut bytes)?;
    String::from_utf8(bytes).map_err(|_| FileError::NotText(path.into()))
}

/// The most bytes of a secret key file: an Ed25519 key, PKCS#8 version 2 in PEM, has 168.
const MAX_SECRET_BYTES: usize = 1024;

/// Reads a secret that belongs to this user alone.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<String>, FileError> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| {
        if error.raw_os_error() == Some(libc::ELOOP) {
            FileError::Symlink(path.into())
        } else {
            read_error(path, error)
        }
    })?;
    let metadata = regular(path, &file)?;
    private(path, metadata.uid(), metadata.mode(), false)?;
    // Room for all of it: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES + 1));
    read_bounded(path, &file, MAX_SECRET_BYTES, &mut bytes)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| FileError::NotText(path.into()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Puts a secret at `path`, mode 0600 from its first byte on, unless there is something: `false` then.
///
/// It is complete on disk before it has its name, so no crash leaves half a key.
pub(super) fn create_secret(path: &Path, secret: &[u8]) -> Result<bool, FileError> {
    let write = |source| FileError::Write { path: path.into(), source };
    let draft = Draft::new(path, 0o600, secret).map_err(write)?;
    // A link, unlike a rename, never replaces.
    let created = match fs::hard_link(&draft.path, path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(write(error)),
    };
    drop(draft);
    sync_parent(path).map_err(write)?;
    Ok(created)
}

/// Puts `content` at `path`, whole, whatever was there.
pub(crate) fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<(), FileError> {
    let write = |source| FileError::Write { path: path.into(), source };
    let draft = Draft::new(path, mode, content).map_err(write)?;
    fs::set_permissions(&draft.path, Permissions::from_mode(mode)).map_err(write)?;
    fs::rename(&draft.path, path).map_err(write)?;
    sync_parent(path).map_err(write)
}

/// Makes `dir` with mode 0700, or takes it as it is if it passes [`check_dir`]. An empty one is closed to others:
/// nothing in it can have been read.
pub(super) fn create_dir(dir: &Path) -> Result<(), FileError> {
    let write = |source| FileError::Write { path: dir.into(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(write)?;
    if fs::read_dir(dir).map_err(|e| read_error(dir, e))?.next().is_none() {
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(write)?;
    }
    check_dir(dir)?;
    sync_parent(dir).map_err(write)
}

/// Refuses a directory that is not this user's alone.
pub(super) fn check_dir(dir: &Path) -> Result<(), FileError> {
    let metadata = fs::metadata(dir).map_err(|e| read_error(dir, e))?;
    private(dir, metadata.uid(), metadata.mode(), true)
}

/// A file on its way to its name; removed if it does not get there.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn new(target: &Path, mode: u32, content: &[u8]) -> io::Result<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = target.with_file_name(format!(".{name}.{}-{serial}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        let draft = Self { path };
        file.write_all(content)?;
        file.sync_all()?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is nothing to remove, and a draft that stays does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

/// A name is on disk only when its directory is.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

fn regular(path: &Path, file: &File) -> Result<fs::Metadata, FileError> {
    let metadata = file.metadata().map_err(|e| read_error(path, e))?;
    if metadata.is_file() { Ok(metadata) } else { Err(FileError::NotAFile(path.into())) }
}

fn private(path: &Path, owner: u32, mode: u32, dir: bool) -> Result<(), FileError> {
    let user = nix::unistd::geteuid().as_raw();
    if owner != user {
        return Err(FileError::Owner { path: path.into(), owner, user });
    }
    if mode & 0o077 != 0 {
        return Err(FileError::Lax { path: path.into(), mode: mode & 0o7777, dir });
    }
    Ok(())
}

fn read_bounded(path: &Path, file: &File, limit: usize, bytes: &mut Vec<u8>) -> Result<(), FileError> {
    file.take(limit as u64 + 1).read_to_end(bytes).map_err(|e| read_error(path, e))?;
    if bytes.len() > limit { Err(FileError::TooLong { path: path.into(), limit }) } else { Ok(()) }
}

fn read_error(path: &Path, source: io::Error) -> FileError {
    match source.kind() {
        io::ErrorKind::NotFound => FileError::Missing(path.into()),
        _ => FileError::Read { path: path.into(), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_alone_is_trusted() {
        let user = nix::unistd::geteuid().as_raw();
        let path = Path::new("key");
        assert!(private(path, user, 0o100_600, false).is_ok());
        assert!(matches!(private(path, user + 1, 0o100_600, false), Err(FileError::Owner { .. })));
        for bit in [0o001, 0o002, 0o004, 0o010, 0o020, 0o040] {
            let error = private(path, user, 0o100_600 | bit, false).expect_err("a bit for others");
            assert!(error.to_string().ends_with("help: chmod 600 key"), "{error}");
        }
        let error = private(path, user, 0o040_755, true).expect_err("a bit for others");
        assert!(error.to_string().ends_with("help: chmod 700 key"), "{error}");
    }

    #[test]
    fn a_secret_is_created_private_once_and_leaves_no_draft() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.key");
        assert!(create_secret(&path, b"one").expect("writable"));
        assert!(!create_secret(&path, b"two").expect("writable"));
        assert_eq!(read_secret(&path).expect("readable").as_str(), "one");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
    }

    #[test]
    fn links_pipes_and_giants_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let (real, link, pipe) = (dir.path().join("real"), dir.path().join("link"), dir.path().join("pipe"));
        create_secret(&real, &[b'x'; MAX_SECRET_BYTES + 1]).expect("writable");
        std::os::unix::fs::symlink(&real, &link).expect("writable");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).expect("writable");
        assert!(matches!(read_secret(&real), Err(FileError::TooLong { .. })));
        assert!(matches!(read_secret(&link), Err(FileError::Symlink(_))));
        assert!(matches!(read_secret(&pipe), Err(FileError::NotAFile(_))));
        assert!(matches!(read_text(&pipe, 10), Err(FileError::NotAFile(_))));
        assert!(matches!(read_text(&real, 10), Err(FileError::TooLong { .. })));
        assert!(matches!(read_text(&dir.path().join("none"), 10), Err(FileError::Missing(_))));
    }
}
