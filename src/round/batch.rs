//! A whole batch on its way out.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::crypto::{Csprng, Defence, Defences, Digest};
use crate::packet::{Geometry, Slots, permutation};
use crate::wire::{SignedBatchHeader, batch_digest, onion_digests};

use super::{Noise, Origins, ReturnPath};

/// Peeled packets in a uniformly random order. The packets stay where they are; only the order is drawn.
pub struct Shuffled {
    geometry: Geometry,
    segments: Vec<Slots>,
    /// Of each packet in order of arrival, the mix's own behind them: segment and slot.
    places: Vec<(u32, u32)>,
    /// For each place of the new order the one of arrival.
    order: Zeroizing<Vec<u32>>,
    path: Option<ReturnPath>,
    /// Of each packet in the new order, once they are digested.
    hashes: Vec<Digest>,
}

impl Shuffled {
    /// Shuffles all packets of all segments together.
    pub fn new(rng: &mut Csprng, geometry: Geometry, segments: Vec<Slots>) -> Self {
        Self::with_noise(rng, geometry, segments, Noise::none(geometry))
    }

    /// As [`Shuffled::new`], with the mix's own packets among them.
    pub fn with_noise(rng: &mut Csprng, geometry: Geometry, segments: Vec<Slots>, noise: Noise) -> Self {
        let count = segments.iter().map(Slots::len).sum::<usize>() + noise.len();
        Self::ordered(geometry, segments, noise, permutation(rng, count))
    }

    /// As [`Shuffled::with_noise`], or in the order of arrival where an experiment does without [`Defence::Shuffle`].
    pub fn by_a_mix(
        rng: &mut Csprng,
        defences: Defences,
        geometry: Geometry,
        segments: Vec<Slots>,
        noise: Noise,
    ) -> Self {
        match defences.stands(Defence::Shuffle) {
            true => Self::with_noise(rng, geometry, segments, noise),
            false => Self::in_order(geometry, segments, noise),
        }
    }

    /// A batch left in the order of arrival, with the mix's own packets behind it: what the statistics must notice.
    pub(crate) fn in_order(geometry: Geometry, segments: Vec<Slots>, noise: Noise) -> Self {
        let count = (segments.iter().map(Slots::len).sum::<usize>() + noise.len()) as u32;
        Self::ordered(geometry, segments, noise, (0..count).collect())
    }

    /// For each place of the new order the one of arrival, `None` for the mix's own noise: what this mix alone knows.
    #[cfg(any(test, feature = "sim"))]
    pub fn order(&self) -> impl Iterator<Item = Option<u32>> {
        let inputs = self.len() - self.segments.last().map_or(0, Slots::len);
        self.order.iter().map(move |place| Some(*place).filter(|place| (*place as usize) < inputs))
    }

    /// Noise is one more segment, the last; so what lies behind the inputs is noise, in every order.
    pub(super) fn ordered(geometry: Geometry, mut segments: Vec<Slots>, noise: Noise, order: Vec<u32>) -> Self {
        let order = Zeroizing::new(order);
        let keys: Vec<_> = segments.iter_mut().map(Slots::take_echo_keys).collect();
        let origins = Origins::new(order.clone(), order.len() - noise.len());
        let path = Some(ReturnPath::new(origins, keys, noise.echoes));
        segments.push(noise.packets);
        let places = (0..)
            .zip(&segments)
            .flat_map(|(segment, slots)| (0..slots.len() as u32).map(move |slot| (segment, slot)))
            .collect();
        Self { geometry, segments, places, order, path, hashes: Vec::new() }
    }

    /// Takes what the mix keeps of the round when the batch has left; `None` if it was taken, so that no pass runs
    /// twice.
    pub fn take_return_path(&mut self) -> Option<ReturnPath> {
        self.path.take()
    }

    /// The digest of the batch as it leaves, and of each packet, which stay here.
    pub fn digest(&mut self) -> Digest {
        self.hashes = onion_digests(self.packets());
        batch_digest(&self.hashes)
    }

    /// Takes [`crate::wire::onion_digest`] of each packet in its new order; nothing before [`Shuffled::digest`].
    pub fn take_hashes(&mut self) -> Vec<Digest> {
        std::mem::take(&mut self.hashes)
    }

    /// The packets in order of arrival, peeled; behind them, in a segment of its own, the mix's noise.
    pub fn arrived(&self) -> &[Slots] {
        &self.segments
    }

    /// The mix's own noise: the place of each packet in the new order, ascending, and its W bytes.
    pub fn noise(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let inputs = self.len() - self.segments.last().map_or(0, Slots::len);
        let own = (0u32..).zip(&*self.order).filter(move |(_, place)| **place as usize >= inputs);
        own.map(|(place, _)| (place, self.packet(place as usize)))
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
        let (segment, slot) = self.places[self.order[index] as usize];
        self.segments[segment as usize].peeled(slot as usize)
    }

    /// As [`Shuffled::packets`], to be changed in place.
    pub fn packets_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let mut arrived: Vec<Option<&mut [u8]>> =
            self.segments.iter_mut().flat_map(Slots::all_peeled_mut).map(Some).collect();
        self.order.iter().map(move |place| arrived[*place as usize].take().expect("an order has each place once"))
    }

    /// The packets in their new order, each a piece of the memory in which it arrived: nothing is copied, and the memory stays
    /// until the last piece is gone.
    pub(super) fn into_packets(self) -> impl Iterator<Item = Bytes> {
        let place = |place: &u32| {
            let (segment, slot) = self.places[*place as usize];
            (segment as usize, self.segments[segment as usize].peeled_at(slot as usize))
        };
        let pieces: Vec<_> = self.order.iter().map(place).collect();
        let memory: Vec<Bytes> = self.segments.into_iter().map(Slots::into_bytes).collect();
        pieces.into_iter().map(move |(segment, at)| memory[segment].slice(at))
    }
}

/// What goes to the next mix: the same bytes however often the link breaks.
pub struct OutgoingBatch {
    /// The signed header.
    pub header: SignedBatchHeader,
    /// The packets behind it.
    pub packets: Shuffled,
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn packets_go_in_their_order_and_out_of_the_memory_in_which_they_came() {
        let geometry = Geometry::new(3, 256).expect("in range");
        let segment = |count: u8| {
            let mut slots = Slots::zeroed(geometry, count.into());
            (0..count).for_each(|i| slots.peeled_mut(i.into()).fill(count + i));
            slots
        };
        let batch = Shuffled::new(&mut Csprng::seed_from_u64(3), geometry, vec![segment(2), segment(5)]);
        let lay: Vec<_> = batch.packets().map(|packet| (packet.as_ptr(), packet.to_vec())).collect();
        let lie: Vec<_> = batch.into_packets().map(|piece| (piece.as_ptr(), piece.to_vec())).collect();
        assert_eq!(lie, lay);
    }
}
