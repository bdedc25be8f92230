//! Whether LMDB's file is whole, found out without mapping it.
//!
//! LMDB believes its file: a page that lies behind the end of a file cut short ends the process with a signal, a page
//! number that is none leads anywhere. So both trees are walked with plain reads before the file is mapped, down to
//! the head of every value that has pages of its own. Their contents are not looked at: what is in them is checked
//! by whoever decodes it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::StoreError;

/// In front of a page: number 8 | unused 2 | flags 2 | end of the pointers 2 | begin of the nodes 2, in the machine's
/// byte order. In place of the last two, a value's first page has how many there are.
const HEAD: usize = 16;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const VALUE: u16 = 4;
const META: u16 = 8;
/// In front of a node's key: size or page 4 | flags, or the page's upper bits, 2 | size of the key 2.
const NODE_HEAD: usize = 8;
/// A node's flag: its value has pages of its own.
const APART: u16 = 1;

const MAGIC: u32 = 0xbeef_c0de;
/// Behind a meta page's head: magic 4 | version 4 | address 8 | size of the map 8 | two trees of 48 | last page 8 |
/// transaction 8. A tree: page size 4 in the first | flags 2 | depth 2 | counts 8 x 4 | root 8.
const META_BYTES: usize = 24 + 2 * TREE + 16;
const TREE: usize = 48;
/// The root of an empty tree.
const NONE: u64 = u64::MAX;
/// LMDB's own bound is 32.
const MAX_DEPTH: u16 = 32;

/// Looks at the file in `path`; one that is not there, or empty, is whole.
///
/// # Errors
/// [`StoreError::DamagedFile`] if LMDB must not be let near it; any failure to read.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    // Numbers of pages have the size of a pointer, and the file another form.
    if cfg!(not(target_pointer_width = "64")) {
        return Ok(());
    }
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let bytes = file.metadata()?.len();
    if bytes == 0 {
        return Ok(());
    }
    match Walk::new(&file, bytes).and_then(|mut walk| walk.trees()) {
        Ok(()) => Ok(()),
        Err(Fault::Damage(what)) => Err(StoreError::DamagedFile { path: path.into(), what }),
        Err(Fault::Io(error)) => Err(error.into()),
    }
}

/// Why a walk ends early.
enum Fault {
    Damage(&'static str),
    Io(io::Error),
}

struct Walk<'a> {
    file: &'a File,
    page: usize,
    /// Pages that are in the file and that LMDB counts.
    pages: u64,
    /// Pages that the walk may still meet: no page is in two places.
    left: u64,
    roots: [(u64, u16); 2],
}

impl<'a> Walk<'a> {
    /// Begins with the newer meta page, as LMDB does.
    fn new(file: &'a File, bytes: u64) -> Result<Self, Fault> {
        let mut meta = [0; HEAD + META_BYTES];
        read(file, &mut meta, 0)?;
        let page = u32_at(&meta, HEAD + 24) as usize;
        if !page.is_power_of_two() || !(512..=65536).contains(&page) {
            return Err(Fault::Damage("its first page is not LMDB's"));
        }
        let mut other = meta;
        read(file, &mut other, page as u64)?;
        let sound = |meta: &[u8]| u16_at(meta, 10) & META != 0 && u32_at(meta, HEAD) == MAGIC;
        if !sound(&meta) || !sound(&other) {
            return Err(Fault::Damage("its first pages are not LMDB's"));
        }
        let transaction = |meta: &[u8]| u64_at(meta, HEAD + META_BYTES - 8);
        let newer = if transaction(&other) > transaction(&meta) { &other } else { &meta };
        let counted = u64_at(newer, HEAD + META_BYTES - 16).saturating_add(1);
        let tree = |at: usize| (u64_at(newer, at + TREE - 8), u16_at(newer, at + 6));
        let pages = counted.min(bytes / page as u64);
        Ok(Self { file, page, pages, left: pages, roots: [tree(HEAD + 24), tree(HEAD + 24 + TREE)] })
    }

    fn trees(&mut self) -> Result<(), Fault> {
        for (root, depth) in self.roots {
            if root != NONE {
                if depth == 0 || depth > MAX_DEPTH {
                    return Err(Fault::Damage("a tree has no depth"));
                }
                self.tree(root, depth)?;
            }
        }
        Ok(())
    }

    fn tree(&mut self, number: u64, depth: u16) -> Result<(), Fault> {
        self.meet(number, 1)?;
        let mut page = vec![0; self.page];
        read(self.file, &mut page, number * self.page as u64)?;
        let expected = if depth == 1 { LEAF } else { BRANCH };
        let (pointers, nodes) = (usize::from(u16_at(&page, 12)), usize::from(u16_at(&page, 14)));
        let sound = u64_at(&page, 0) == number && u16_at(&page, 10) == expected;
        if !sound || pointers < HEAD || pointers > nodes || nodes > self.page {
            return Err(Fault::Damage("a page holds something else"));
        }
        for pointer in (HEAD..pointers.saturating_sub(1)).step_by(2) {
            let at = usize::from(u16_at(&page, pointer));
            let node = page.get(at..).filter(|node| at >= nodes && node.len() >= NODE_HEAD);
            let node = node.ok_or(Fault::Damage("a page's entries are not in it"))?;
            let (size, flags, key) = (u32_at(node, 0), u16_at(node, 4), usize::from(u16_at(node, 6)));
            if depth > 1 {
                self.tree(u64::from(size) | u64::from(flags) << 32, depth - 1)?;
                continue;
            }
            let stored = if flags & APART != 0 { 8 } else { size as usize };
            let value = node.get(NODE_HEAD + key..).filter(|value| value.len() >= stored);
            let value = value.ok_or(Fault::Damage("an entry is longer than its page"))?;
            if flags & APART != 0 {
                self.value(u64_at(value, 0), size)?;
            }
        }
        Ok(())
    }

    /// A value of `size` bytes with pages of its own, from `number` on.
    fn value(&mut self, number: u64, size: u32) -> Result<(), Fault> {
        let count = (size as usize + HEAD).div_ceil(self.page);
        self.meet(number, count as u64)?;
        let mut head = [0; HEAD];
        read(self.file, &mut head, number * self.page as u64)?;
        let sound = u64_at(&head, 0) == number && u16_at(&head, 10) == VALUE && u32_at(&head, 12) as usize == count;
        if sound { Ok(()) } else { Err(Fault::Damage("a value's first page holds something else")) }
    }

    /// Pages behind the two meta pages, each met once.
    fn meet(&mut self, number: u64, count: u64) -> Result<(), Fault> {
        let within = number >= 2 && number.checked_add(count).is_some_and(|end| end <= self.pages);
        self.left = self.left.checked_sub(count).ok_or(Fault::Damage("a page is in two places"))?;
        if within { Ok(()) } else { Err(Fault::Damage("it is cut short")) }
    }
}

fn read(file: &File, out: &mut [u8], at: u64) -> Result<(), Fault> {
    file.read_exact_at(out, at).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::Damage("it is cut short"),
        _ => Fault::Io(error),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes_at(bytes, at))
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("every caller has looked at the length")
}
