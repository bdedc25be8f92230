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

    /// A batch left in the order of arrival: what the statistics must notice.
    #[cfg(any(test, feature = "sim"))]
    pub fn in_order(geometry: Geometry, segments: Vec<Slots>) -> Self {
        let order = (0..segments.len() as u32)
            .flat_map(|segment| (0..segments[segment as usize].len() as u32).map(move |slot| (segment, slot)))
            .collect();
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
