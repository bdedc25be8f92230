//! The shuffle of a batch.

use rand::seq::SliceRandom;

/// A uniformly random permutation of `0..count`: element `i` of the output batch is input `permutation[i]`.
///
/// Fisher-Yates with unbiased indices from a cryptographic generator; nothing about arrival order survives.
pub fn permutation(rng: &mut impl rand::CryptoRng, count: usize) -> Vec<u32> {
    let count = u32::try_from(count).expect("a batch holds fewer than 2^32 packets");
    let mut order: Vec<u32> = (0..count).collect();
    order.shuffle(rng);
    order
}
