//! The way back through a shuffle.

use zeroize::Zeroizing;

/// Where each packet of a shuffled batch came from, so that rows of any width can go back, one a packet. Secret: this
/// *is* the shuffle.
pub struct Origins {
    /// For each place of the output its place in the input; `inputs` and above for what this mix has added.
    places: Zeroizing<Vec<u32>>,
    inputs: usize,
}

impl Origins {
    /// # Panics
    /// If `places` are no permutation's: a shuffle draws them.
    pub(super) fn new(places: Zeroizing<Vec<u32>>, inputs: usize) -> Self {
        assert!(inputs <= places.len(), "every input is in the output");
        debug_assert!({
            let mut sorted = places.clone();
            sorted.sort_unstable();
            sorted.iter().copied().eq(0..places.len() as u32)
        });
        Self { places, inputs }
    }

    /// How many packets this mix took in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many packets this mix handed on: its inputs and its own noise.
    pub fn outputs(&self) -> usize {
        self.places.len()
    }

    /// This mix's own noise: each one's place in the output, and which it is.
    pub fn noise(&self) -> impl Iterator<Item = (usize, usize)> {
        let origins = self.places.iter().enumerate();
        origins.filter_map(|(output, place)| Some((output, (*place as usize).checked_sub(self.inputs)?)))
    }

    /// Puts rows of `width` bytes, one for each output in order, into the order of the inputs; those of noise stay
    /// behind. `None` unless there is exactly one row for each output.
    pub fn gather(&self, width: usize, rows: &[u8]) -> Option<Vec<u8>> {
        if self.outputs().checked_mul(width) != Some(rows.len()) {
            return None;
        }
        let mut inputs = vec![0; self.inputs * width];
        for (output, place) in self.places.iter().enumerate() {
            let place = *place as usize;
            if place < self.inputs {
                inputs[place * width..][..width].copy_from_slice(&rows[output * width..][..width]);
            }
        }
        Some(inputs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;
    use crate::crypto::Csprng;
    use crate::packet::permutation;

    proptest! {
        #[test]
        fn what_went_through_a_shuffle_comes_back_as_it_was(
            inputs in 0usize..200, noise in 0usize..20, width in 0usize..40, seed: u64,
        ) {
            let order = permutation(&mut Csprng::seed_from_u64(seed), inputs + noise);
            let row = |place: u32| (0..width).map(move |byte| (place as usize * 31 + byte) as u8);
            let there: Vec<u8> = order.iter().flat_map(|place| row(*place)).collect();
            let origins = Origins::new(Zeroizing::new(order.clone()), inputs);
            let back: Vec<u8> = (0..inputs as u32).flat_map(row).collect();
            prop_assert_eq!(origins.gather(width, &there), Some(back));

            let own: Vec<_> = origins.noise().collect();
            prop_assert_eq!(own.len(), noise);
            for (output, which) in own {
                prop_assert_eq!(order[output] as usize, inputs + which);
            }
        }
    }

    #[test]
    fn one_row_for_each_output_and_no_other_number_goes_back() {
        let origins = Origins::new(Zeroizing::new(vec![2, 0, 1]), 2);
        assert_eq!(origins.gather(2, &[9, 9, 1, 2, 3, 4]), Some(vec![1, 2, 3, 4]));
        for bytes in [0, 4, 5, 7, 8] {
            assert_eq!(origins.gather(2, &vec![0; bytes]), None);
        }
        assert_eq!(origins.gather(usize::MAX, &[0; 3]), None);
    }
}
