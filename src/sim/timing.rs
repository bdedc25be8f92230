//! Experiment T8: whether the time of X25519 tells scalars apart.

use std::hint::black_box;
use std::time::Instant;

use rand::{RngExt, SeedableRng};

use crate::crypto::{Backend, Csprng, PublicKey, Scalars, SecretKey, multiply};

/// |t| below this says nothing; a sound implementation exceeds it about once in 150,000 runs.
pub const T_BOUND: f64 = 4.5;
/// Points of a sample: one vector of lanes.
const POINTS: usize = 8;
/// The slower half of the samples, of both kinds together, is left out: in it something else ran, perhaps on the same core.
const KEPT: f64 = 0.5;

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
    let mut times: Vec<f64> = taken.iter().map(|(_, time)| *time).collect();
    times.sort_by(f64::total_cmp);
    let most = times.get((times.len() as f64 * KEPT) as usize).copied().unwrap_or(f64::INFINITY);
    let kinds = [0, 1].map(|kind| {
        let of_kind = taken.iter().filter(|(of, time)| *of == kind && *time <= most);
        moments(of_kind.map(|(_, time)| *time))
    });
    let [(n, mean, variance), (other_n, other_mean, other_variance)] = kinds;
    let t = (mean - other_mean) / (variance / n as f64 + other_variance / other_n as f64).sqrt();
    Timing { t, samples: [n, other_n], means: [mean, other_mean] }
}

/// Count, mean and variance.
fn moments(values: impl Iterator<Item = f64>) -> (usize, f64, f64) {
    let (mut n, mut mean, mut squares) = (0, 0.0, 0.0);
    for value in values {
        n += 1;
        let away = value - mean;
        mean += away / n as f64;
        squares += away * (value - mean);
    }
    (n, mean, squares / (n as f64 - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_textbook() {
        let (n, mean, variance) = moments([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter());
        assert_eq!((n, mean), (8, 5.0));
        assert!((variance - 32.0 / 7.0).abs() < 1e-12, "{variance}");
    }
}
