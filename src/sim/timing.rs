//! Experiment T8: whether the time of X25519 tells scalars apart.

use std::hint::black_box;
use std::time::Instant;

use rand::{RngExt, SeedableRng};

use super::anonymity::{undisturbed, welch_t};
use crate::crypto::{Backend, Csprng, PublicKey, Scalars, SecretKey, multiply};

/// |t| below this says nothing; a sound implementation exceeds it about once in 150,000 runs.
pub const T_BOUND: f64 = 4.5;
/// Points of a sample: one vector of lanes.
const POINTS: usize = 8;
/// Steps of about a nanosecond for a bit, in the control.
const MOMENT: u32 = 8;

/// What the statistic says.
pub struct Timing {
    /// Welch's t of fixed against random scalars.
    pub t: f64,
    /// Samples of a fixed scalar and of random ones that were counted.
    pub samples: [usize; 2],
    /// Their mean times in nanoseconds.
    pub means: [f64; 2],
}

/// Times `samples` calls of `backend`, each of eight points, under a fixed scalar or a random one, in random order.
///
/// With `control` each call also takes a few nanoseconds for every bit that the scalar has, a hundredth of its time in all: what
/// the statistic must find.
pub fn timing(backend: Backend, samples: usize, seed: u64, control: bool) -> Timing {
    let mut rng = Csprng::seed_from_u64(seed);
    // All bits that a clamped scalar may lack are 0, as far from a random one as can be.
    let fixed = [0; 32];
    let peers: Vec<PublicKey> = (0..POINTS).map(|_| SecretKey::random(&mut rng).public_key()).collect();
    let mut out = [[0; 32]; POINTS];
    let mut taken: Vec<(usize, f64)> = Vec::with_capacity(samples);
    for _ in 0..samples {
        // Both are drawn for either kind, and the one that is used is copied to the same place.
        let random = SecretKey::random(&mut rng);
        let kind = rng.random_range(0..2);
        let own = SecretKey::from_bytes([fixed, *random.expose()][kind]);
        let began = Instant::now();
        multiply(backend, Scalars::Shared(black_box(&own)), &peers, &mut out);
        if control {
            let bits: u32 = own.expose().iter().map(|byte| byte.count_ones()).sum();
            black_box((0..bits * MOMENT).fold(1u64, |x, bit| black_box(x.rotate_left(7) ^ u64::from(bit))));
        }
        taken.push((kind, began.elapsed().as_nanos() as f64));
        black_box(&mut out);
    }
    let kinds = undisturbed(&[0, 1].map(|kind| {
        let of_kind = taken.iter().filter(|(of, _)| *of == kind);
        of_kind.map(|(_, time)| *time).collect()
    }));
    let t = welch_t(&kinds[0], &kinds[1]);
    Timing { t, samples: kinds.map(|kind| kind.count as usize), means: kinds.map(|kind| kind.mean) }
}
