//! A whole batch on its way out.

use crate::crypto::Csprng;
use crate::packet::{Geometry, Slots, permutation};
use crate::wire::SignedBatchHeader;

/// Peeled packets in a uniformly random order. The packets stay where they are; only the order is drawn.
pub struct Shuffled {
    geometry: Geometry,
    segments: Vec<Slots>,
    order: Vec<(u32, u32)>,
}

impl Shuffled {
    /// Shuffles all packets of all segments together.
    pub fn new(rng: &mut Csprng, geometry: Geometry, segments: Vec<Slots>) -> Self {
        let places: Vec<(u32, u32)> = segments
            .iter()
            .enumerate()
            .flat_map(|(segment, slots)| (0..slots.len()).map(move |slot| (segment as u32, slot as u32)))
            .collect();
        let order = permutation(rng, places.len()).into_iter().map(|place| places[place as usize]).collect();
        Self { geometry, segments, order }
    }

    /// The packets' shape.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// How many packets.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The peeled packets, W bytes each, in their new order.
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.packet(index))
    }

    /// The packet at `index` of the new order.
    pub fn packet(&self, index: usize) -> &[u8] {
        let (segment, slot) = self.order[index];
        self.segments[segment as usize].peeled(slot as usize)
    }

    /// As [`Shuffled::packets`], to be changed in place.
    pub fn for_each_mut(&mut self, mut visit: impl FnMut(&mut [u8])) {
        for (segment, slot) in &self.order {
            visit(self.segments[*segment as usize].peeled_mut(*slot as usize));
        }
    }
}

/// What goes to the next mix: the same bytes however often the link breaks.
pub struct OutgoingBatch {
    /// The signed header.
    pub header: SignedBatchHeader,
    /// The packets behind it.
    pub packets: Shuffled,
}
