//! The lanes against the library and the reference, point by point.

use rand::{Rng, RngExt, SeedableRng};

use crate::crypto::{BATCH, Backend, Csprng, PublicKey, Scalars, SecretKey, multiply, to_hex};

/// Every how many points the reference, the slowest, is asked too.
pub const DALEK_SHARE: usize = 64;
/// Every how many batches each point has a scalar of its own; in the others it is one for all.
const OWN_SCALARS: u64 = 8;

/// X25519 of drawn points in one of [`Backend::IN_LANES`] held against aws-lc, all of them, and
/// x25519-dalek, every [`DALEK_SHARE`]th. Batches have all lengths up to [`BATCH`]; an eighth of the points lies near
/// 0, p, 2^255 and 2^256 or has limbs at their bounds.
pub struct Lanes {
    rng: Csprng,
    lanes: Backend,
    /// Points compared so far.
    pub points: u64,
    /// Of these with the reference too.
    pub dalek: u64,
}

/// Where two backends differ.
#[derive(Debug, thiserror::Error)]
#[error("{backend} has {theirs} of scalar {scalar} and point {point}, the lanes {ours}")]
pub struct Difference {
    /// Which one the lanes were held against.
    pub backend: Backend,
    /// In hex.
    pub scalar: String,
    /// In hex.
    pub point: String,
    /// The lanes' result in hex.
    pub ours: String,
    /// The other's in hex.
    pub theirs: String,
}

impl Lanes {
    /// A comparison of `lanes` whose points follow from `seed`; `None` if it is none, or if this processor does not have them.
    pub fn new(lanes: Backend, seed: u64) -> Option<Self> {
        (Backend::IN_LANES.contains(&lanes) && lanes.is_available()).then(|| Self {
            rng: Csprng::seed_from_u64(seed),
            lanes,
            points: 0,
            dalek: 0,
        })
    }

    /// Compares one batch more.
    ///
    /// # Errors
    /// The first point on which the lanes differ from another backend.
    pub fn batch(&mut self) -> Result<(), Box<Difference>> {
        let rng = &mut self.rng;
        // Most are full: that is what the lanes are for.
        let count = if rng.random_range(0..4) == 0 { rng.random_range(1..=BATCH) } else { BATCH };
        let points: Vec<PublicKey> = (0..count).map(|_| point(rng)).collect();
        let own = if rng.random_range(0..OWN_SCALARS) == 0 { count } else { 1 };
        let secrets: Vec<SecretKey> = (0..own).map(|_| SecretKey::random(rng)).collect();
        let each: Vec<&SecretKey> = (0..count).map(|i| &secrets[i % own]).collect();
        let scalars = if own == 1 { Scalars::Shared(&secrets[0]) } else { Scalars::Each(&each) };
        let mut ours = vec![[0; 32]; count];
        multiply(self.lanes, scalars, &points, &mut ours);

        let mut theirs = vec![[0; 32]; count];
        multiply(Backend::AwsLc, scalars, &points, &mut theirs);
        let difference = |backend, i: usize, theirs: &[u8; 32]| Difference {
            backend,
            scalar: to_hex(each[i].expose()),
            point: to_hex(&points[i].0),
            ours: to_hex(&ours[i]),
            theirs: to_hex(theirs),
        };
        if let Some(i) = (0..count).find(|i| ours[*i] != theirs[*i]) {
            return Err(Box::new(difference(Backend::AwsLc, i, &theirs[i])));
        }
        let first = rng.random_range(0..DALEK_SHARE);
        for i in (first..count).step_by(DALEK_SHARE) {
            let mut reference = [[0; 32]];
            multiply(Backend::Dalek, Scalars::Shared(each[i]), &points[i..=i], &mut reference);
            if reference[0] != ours[i] {
                return Err(Box::new(difference(Backend::Dalek, i, &reference[0])));
            }
            self.dalek += 1;
        }
        self.points += count as u64;
        Ok(())
    }
}

/// Any 32 bytes; of one in eight the limbs are at their bounds or close to an end of the range.
fn point(rng: &mut Csprng) -> PublicKey {
    let mut bytes = [0; 32];
    match rng.random_range(0..16) {
        0 => {
            // Below 40 from 0, from 2^255, so around p, or from 2^256.
            let high = [0x00, 0x7f, 0xff][rng.random_range(0..3)];
            bytes = [if high == 0 { 0 } else { 0xff }; 32];
            let near: u8 = rng.random_range(0..40);
            bytes[0] = if high == 0 { near } else { 0xff - near };
            bytes[31] = high;
        }
        1 => {
            for i in 0..5 {
                let limb = [0, 1, (1 << 50) - 1, 1 << 50, (1 << 51) - 1][rng.random_range(0..5)];
                put(&mut bytes, 51 * i, limb);
            }
            bytes[31] |= rng.random_range(0..2) << 7;
        }
        _ => rng.fill_bytes(&mut bytes),
    }
    PublicKey(bytes)
}

/// Adds `limb` at bit `at`.
fn put(bytes: &mut [u8; 32], at: usize, limb: u64) {
    let spread = u128::from(limb) << (at % 8);
    for (byte, part) in bytes[at / 8..].iter_mut().zip(spread.to_le_bytes()) {
        *byte |= part;
    }
}
