//! Memory for many packets.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// From how many bytes on an area has pages of its own. Below it are the few packets of most clients and what a mix peels at a time
/// (2 MiB, and 48 bytes a packet), all of one size, which an allocator hands out again as they are; above it, submissions of thousands
/// of packets and packets of megabytes.
const PAGES_FROM: usize = 3 << 20;

/// Bytes that grow, in pages of their own where there is room for many. Memory is taken as they come.
///
/// An allocator keeps what was freed between what was not: of batches of 234 MiB an entry held half a batch more. Pages go
/// back to the system with their area. Each costs a fault when it is first written, so they are huge ones where the system has
/// them: an area of which one byte has come holds 2 MiB then.
pub(super) enum Area {
    /// The allocator's.
    Heap(Vec<u8>),
    /// The first `len` bytes of `pages`, behind which are zeros.
    Pages {
        /// Its own.
        pages: MmapMut,
        /// How many have been put there.
        len: usize,
    },
}

impl Area {
    /// No bytes yet, and room for `room`.
    pub(super) fn with_room(room: usize) -> Self {
        let Some(pages) = (room >= PAGES_FROM).then(|| MmapMut::map_anon(room).ok()).flatten() else {
            // A system that gives no pages has perhaps some that the allocator holds.
            return Area::Heap(Vec::with_capacity(room));
        };
        // A system that has no huge ones gives small ones.
        #[cfg(target_os = "linux")]
        let _ = pages.advise(memmap2::Advice::HugePage);
        Area::Pages { pages, len: 0 }
    }

    /// `len` zeros.
    pub(super) fn zeroed(len: usize) -> Self {
        let mut area = Self::with_room(len);
        area.extend_zeros(len);
        area
    }

    /// Puts `bytes` behind those that are there.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        match self {
            Area::Heap(heap) => heap.extend_from_slice(bytes),
            Area::Pages { pages, len } => {
                pages[*len..][..bytes.len()].copy_from_slice(bytes);
                *len += bytes.len();
            }
        }
    }

    /// Puts `count` zeros there.
    pub(super) fn extend_zeros(&mut self, count: usize) {
        self.make_room(count);
        match self {
            Area::Heap(heap) => heap.resize(heap.len() + count, 0),
            Area::Pages { len, .. } => *len += count,
        }
    }

    /// What outgrows its pages goes on in the allocator's memory, which grows by itself.
    fn make_room(&mut self, more: usize) {
        if let Area::Pages { pages, len } = self
            && more > pages.len() - *len
        {
            *self = Area::Heap(pages[..*len].to_vec());
        }
    }
}

impl Deref for Area {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Area::Heap(heap) => heap,
            Area::Pages { pages, len } => &pages[..*len],
        }
    }
}

impl DerefMut for Area {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Area::Heap(heap) => heap,
            Area::Pages { pages, len } => &mut pages[..*len],
        }
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
    fn what_was_put_there_stays_in_pages_in_the_heap_and_from_one_to_the_other() {
        let piece: Vec<u8> = (0..251).collect();
        let unit = piece.len() + 5;
        for room in [0, unit, PAGES_FROM - 1, PAGES_FROM] {
            let mut area = Area::with_room(room);
            for count in 1..=(PAGES_FROM + 2 * unit) / unit {
                area.extend(&piece);
                area.extend_zeros(5);
                assert_eq!(area.len(), count * unit);
                assert_eq!(matches!(area, Area::Pages { .. }), room == PAGES_FROM && area.len() <= room);
            }
            for there in area.chunks_exact(unit) {
                assert_eq!((&there[..piece.len()], &there[piece.len()..]), (&piece[..], &[0; 5][..]));
            }
        }
        for len in [PAGES_FROM - 1, PAGES_FROM] {
            let zeros = Area::zeroed(len);
            assert_eq!(matches!(zeros, Area::Pages { .. }), len == PAGES_FROM);
            assert!(zeros.len() == len && zeros.iter().all(|byte| *byte == 0));
        }
    }
}
