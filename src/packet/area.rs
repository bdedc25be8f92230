//! Memory for many packets.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// From how many bytes on it is pages of its own. Below it are the few packets of most clients and what a mix peels at a time
/// (2 MiB, and 48 bytes a packet), all of one size, which an allocator hands out again as they are; above it, submissions of thousands
/// of packets and packets of megabytes.
const PAGES_FROM: usize = 3 << 20;

/// Bytes that grow, in pages of their own where they are many.
///
/// An allocator keeps what was freed between what was not: of batches of 234 MiB an entry held half a batch more. Pages go
/// back to the system with their area. They cost a fault each when they are first written, which for small ones is a tenth
/// of what the entry does for a packet; so they are huge ones where the system has them, and an area of which one byte has come
/// holds 2 MiB.
pub(super) struct Area {
    memory: Memory,
    len: usize,
}

/// Bytes that are there, zero until they are written.
enum Memory {
    Heap(Vec<u8>),
    Pages(MmapMut),
}

impl Area {
    /// No bytes yet, and room for `room`.
    pub(super) fn with_room(room: usize) -> Self {
        Self { memory: Memory::zeroed(room), len: 0 }
    }

    /// `len` zeros.
    pub(super) fn zeroed(len: usize) -> Self {
        Self { memory: Memory::zeroed(len), len }
    }

    /// Puts `bytes` behind those that are there. Beyond the room that there is it takes twice as much.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let end = self.reach(bytes.len());
        self.memory.bytes_mut()[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    /// Puts `count` zeros there.
    pub(super) fn extend_zeros(&mut self, count: usize) {
        self.len = self.reach(count);
    }

    /// The end of `more` bytes behind those that are there, with room for them.
    fn reach(&mut self, more: usize) -> usize {
        let end = self.len + more;
        if end > self.memory.bytes().len() {
            let mut larger = Memory::zeroed(end.max(2 * self.len));
            larger.bytes_mut()[..self.len].copy_from_slice(self);
            self.memory = larger;
        }
        end
    }
}

impl Memory {
    fn zeroed(len: usize) -> Self {
        let Some(pages) = (len >= PAGES_FROM).then(|| MmapMut::map_anon(len).ok()).flatten() else {
            // A system that gives no pages has perhaps some that the allocator holds.
            return Memory::Heap(vec![0; len]);
        };
        // A system that has no huge ones gives small ones.
        #[cfg(target_os = "linux")]
        let _ = pages.advise(memmap2::Advice::HugePage);
        Memory::Pages(pages)
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Memory::Heap(bytes) => bytes,
            Memory::Pages(pages) => pages,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Memory::Heap(bytes) => bytes,
            Memory::Pages(pages) => pages,
        }
    }
}

impl Deref for Area {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory.bytes()[..self.len]
    }
}

impl DerefMut for Area {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory.bytes_mut()[..self.len]
    }
}

impl AsRef<[u8]> for Area {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_there_stays_as_it_grows_into_pages() {
        let piece: Vec<u8> = (0..251).collect();
        let mut area = Area::with_room(piece.len());
        let mut in_pages = 0;
        for count in 1..=2 * PAGES_FROM / piece.len() {
            area.extend(&piece);
            area.extend_zeros(5);
            assert_eq!(area.len(), count * (piece.len() + 5));
            assert_eq!(matches!(area.memory, Memory::Pages(_)), area.memory.bytes().len() >= PAGES_FROM);
            in_pages += usize::from(matches!(area.memory, Memory::Pages(_)));
        }
        assert!(in_pages > 0);
        for there in area.chunks_exact(piece.len() + 5) {
            assert_eq!((&there[..piece.len()], &there[piece.len()..]), (&piece[..], &[0; 5][..]));
        }
        assert!(matches!(Area::zeroed(PAGES_FROM).memory, Memory::Pages(_)));
        assert!(Area::zeroed(PAGES_FROM).iter().all(|byte| *byte == 0));
    }
}
