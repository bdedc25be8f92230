//! Files that somebody else has named, onto the disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::session::content::safe_name;

/// Saves `data` in `dir` under a safe form of `name`, mode 0600, and returns the path: complete and on disk before it
/// has its name. Nothing is overwritten; another name is found.
///
/// # Errors
/// If the directory cannot be written.
pub(super) fn save(dir: &Path, name: &str, data: &[u8]) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let dir = dir.canonicalize()?;
    let draft = Draft::write(&dir, data)?;
    let name = safe_name(name);
    for number in 1..=MOST_NAMESAKES {
        let path = dir.join(numbered(&name, number));
        // A link, unlike a rename, never replaces.
        match fs::hard_link(&draft.0, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            linked => {
                linked?;
                File::open(&dir)?.sync_all()?;
                return Ok(path);
            }
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, format!("{MOST_NAMESAKES} files are called {name}")))
}

/// The file with this very content that [`save`] has saved under this name before, if it is still there.
pub(super) fn saved_before(dir: &Path, name: &str, data: &[u8]) -> Option<PathBuf> {
    let (dir, name) = (dir.canonicalize().ok()?, safe_name(name));
    let paths = (1..=MOST_NAMESAKES).map(|number| dir.join(numbered(&name, number)));
    let mut there = paths.take_while(|path| path.is_file());
    there.find(|path| fs::read(path).is_ok_and(|content| content == data))
}

/// What fits behind a safe name: " (999)".
const MOST_NAMESAKES: u32 = 999;

/// `report.pdf`, `report (2).pdf`.
fn numbered(name: &str, number: u32) -> String {
    if number == 1 {
        return name.into();
    }
    match name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((stem, extension)) => format!("{stem} ({number}).{extension}"),
        None => format!("{name} ({number})"),
    }
}

/// A file on its way to its name; this one goes in any case.
struct Draft(PathBuf);

impl Draft {
    fn write(dir: &Path, data: &[u8]) -> io::Result<Self> {
        let (mut file, draft) = Self::create(dir)?;
        file.write_all(data)?;
        file.sync_all()?;
        Ok(draft)
    }

    fn create(dir: &Path) -> io::Result<(File, Self)> {
        let mut serial = 0;
        loop {
            let path = dir.join(format!(".mixnet-{}-{serial}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok((file, Self(path))),
                // Of a process with this id that was killed.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && serial < MOST_NAMESAKES => serial += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What stays does no harm.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nothing_is_overwritten_and_nothing_leaves_the_directory() {
        let outer = tempfile::tempdir().expect("a directory");
        let dir = outer.path().join("new").join("received");
        let saved = |name: &str, data: &[u8]| {
            let path = save(&dir, name, data).expect("writable");
            assert_eq!(fs::read(&path).expect("there"), data);
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
            assert_eq!(path.parent(), dir.canonicalize().ok().as_deref());
            path.file_name().expect("a name").to_str().expect("text").to_owned()
        };
        assert_eq!(saved("a.tar.gz", b"one"), "a.tar.gz");
        assert_eq!(saved("a.tar.gz", b"two"), "a.tar (2).gz");
        assert_eq!(saved("a.tar.gz", b""), "a.tar (3).gz");
        assert_eq!(saved("../../a.tar.gz", b"four"), "a.tar (4).gz");
        assert_eq!(saved("plain", b"x"), "plain");
        assert_eq!(saved("plain", b"x"), "plain (2)");
        assert_eq!(saved(".bashrc", b"x"), "bashrc");
        assert_eq!(fs::read_dir(&dir).expect("there").count(), 7, "drafts stay");
        assert_eq!(fs::read(dir.join("a.tar.gz")).expect("there"), b"one");
    }

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("target");
        std::os::unix::fs::symlink(&target, dir.path().join("a")).expect("writable");
        let path = save(dir.path(), "a", b"x").expect("writable");
        assert!(path.ends_with("a (2)") && !target.exists());
    }

    #[test]
    fn what_was_saved_is_found_again() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(saved_before(dir.path(), "a", b"x"), None);
        save(dir.path(), "a", b"x").expect("writable");
        let second = save(dir.path(), "a", b"y").expect("writable");
        assert_eq!(saved_before(dir.path(), "a", b"y"), Some(second));
        assert_eq!(saved_before(dir.path(), "a", b"z"), None);
    }
}
