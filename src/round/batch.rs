//! A whole batch on its way out.

use zeroize::Zeroizing;

use crate::crypto::{Csprng, Digest};
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

    /// A batch left in the order of arrival: what the statistics must notice.
    #[cfg(any(test, feature = "sim"))]
    pub fn in_order(geometry: Geometry, segments: Vec<Slots>) -> Self {
        let count = segments.iter().map(Slots::len).sum::<usize>() as u32;
        Self::ordered(geometry, segments, Noise::none(geometry), (0..count).collect())
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

    /// [`crate::wire::onion_digest`] of each packet in its new order; nothing before [`Shuffled::digest`].
    pub fn hashes(&self) -> &[Digest] {
        &self.hashes
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
    //! Experiment T1: what leaves a mix is in uniformly random order. Bounds are those at which a sound shuffle fails
    //! once in a thousand runs; the seed is fixed, and the control, through the same path, must be outside.

    use rand::SeedableRng;

    use super::*;

    /// A batch of `count` packets in two segments whose peeled packets carry their place of arrival; the order out.
    fn order(rng: &mut Csprng, count: usize, shuffle: bool) -> Vec<usize> {
        let geometry = Geometry::new(2, 256).expect("valid");
        let half = count / 2;
        let segments = [0..half, half..count]
            .map(|places| {
                let mut slots = Slots::zeroed(geometry, places.len());
                places.enumerate().for_each(|(slot, place)| slots.peeled_mut(slot)[0] = place as u8);
                slots
            })
            .into();
        let batch =
            if shuffle { Shuffled::new(rng, geometry, segments) } else { Shuffled::in_order(geometry, segments) };
        batch.packets().map(|packet| usize::from(packet[0])).collect()
    }

    fn chi_square(counts: &[u32]) -> f64 {
        let expected = counts.iter().sum::<u32>() as f64 / counts.len() as f64;
        counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
    }

    /// Chi-square over all 120 orders of five packets, with `skipped` of 100 rounds not shuffled.
    fn permutations(skipped: u32) -> f64 {
        let mut rng = Csprng::seed_from_u64(120);
        let mut counts = [0; 120];
        for round in 0..120_000u32 {
            let order = order(&mut rng, 5, round % 100 >= skipped);
            // The order's number: each place counts the later packets that come before it.
            let number = (0..5).fold(0, |number, at| {
                number * (5 - at) + order[at + 1..].iter().filter(|later| **later < order[at]).count()
            });
            counts[number] += 1;
        }
        chi_square(&counts)
    }

    /// Chi-square over places in and out of 16 packets; (N - 1) / N for the table's fixed margins.
    fn places(skipped: u32) -> f64 {
        let mut rng = Csprng::seed_from_u64(16);
        let mut counts = [0; 256];
        for round in 0..20_000u32 {
            let order = order(&mut rng, 16, round % 100 >= skipped);
            order.iter().enumerate().for_each(|(out, place)| counts[out * 16 + place] += 1);
        }
        chi_square(&counts) * 15.0 / 16.0
    }

    #[test]
    fn t1_the_shuffle_is_uniform_and_a_hundredth_without_it_shows() {
        let (sound, control) = (permutations(0), permutations(1));
        println!("T1, N = 5: chi2(119) = {sound:.1} in [70.0, 185.1]; control {control:.1}");
        assert!((70.0..=185.1).contains(&sound), "{sound}");
        assert!(control > 185.1, "{control}");
        let (sound, control) = (places(0), places(1));
        println!("T1, N = 16: chi2(225) = {sound:.1} in [154.5, 312.6]; control {control:.1}");
        assert!((154.5..=312.6).contains(&sound), "{sound}");
        assert!(control > 312.6, "{control}");
    }
}
