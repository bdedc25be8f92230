//! X25519 for many points at once: eight Montgomery ladders in the eight 64-bit lanes of AVX-512 registers.
//!
//! `field.rs` has the arithmetic with its bounds, `ladder.rs` the ladder, this file the batch: points and scalars into
//! lanes, one inversion for all (Montgomery's trick: invert the product of all Z, then take them apart again), and
//! canonical bytes out. Nothing here branches on a secret or uses one as an index. Whatever rests in memory is cleared,
//! and the stack below, where the compiler may have spilled registers, is written over.

mod field;
mod ladder;
#[cfg(test)]
mod reference;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::batch::{BATCH, Scalars};
use crate::crypto::{PublicKey, clear_stack};
use field::{Element, Limbs};
use ladder::{Masks, invert, ladder};

/// Ladders side by side.
pub(super) const LANES: usize = 8;
/// Vectors of a batch: those that share an inversion.
const VECTORS: usize = BATCH / LANES;

/// Shows that the processor can run the lanes.
#[derive(Clone, Copy)]
pub(super) struct Lanes(());

impl Lanes {
    /// `Some` if the processor, and the system's handling of its registers, has AVX-512 F and DQ.
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq")).then_some(Self(()))
    }

    /// X25519 of RFC 7748 for each point into the same place of `out`; all zero where that is the result. Any 32 bytes are
    /// a point; all values of one are taken alike, and no lane's result depends on another's point.
    ///
    /// # Panics
    /// If the lengths differ.
    pub(super) fn multiply(self, scalars: Scalars<'_>, points: &[PublicKey], out: &mut [[u8; 32]]) {
        assert_eq!(points.len(), out.len(), "one result a point");
        if let Scalars::Each(scalars) = scalars {
            assert_eq!(scalars.len(), points.len(), "one scalar a point");
        }
        let mut chain = Chain { x: [NO_LIMBS; VECTORS], z: [NO_LIMBS; VECTORS], product: [NO_LIMBS; VECTORS] };
        for (i, (points, out)) in points.chunks(BATCH).zip(out.chunks_mut(BATCH)).enumerate() {
            let from = i * BATCH;
            self.batch(scalars.of(from..from + points.len()), points, &mut chain, out);
            clear_stack();
        }
    }

    #[expect(unsafe_code, reason = "the compiler cannot know what the processor has; this value does")]
    fn batch(self, scalars: Scalars<'_>, points: &[PublicKey], chain: &mut Chain, out: &mut [[u8; 32]]) {
        // SAFETY: the function is safe but for its target features, avx512f and avx512dq; `detect`, which alone makes a
        // `Lanes`, has found both on this machine.
        unsafe { batch(scalars, points, chain, out) }
    }
}

/// What a batch keeps between its ladders and its inversion, cleared when done.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Chain {
    x: [Limbs; VECTORS],
    z: [Limbs; VECTORS],
    /// Of all z so far.
    product: [Limbs; VECTORS],
}

const NO_LIMBS: Limbs = [[0; LANES]; 5];

/// At most [`BATCH`] points.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512dq")]
fn batch(scalars: Scalars<'_>, points: &[PublicKey], chain: &mut Chain, out: &mut [[u8; 32]]) {
    let vectors = points.len().div_ceil(LANES);
    let mut masks = match scalars {
        Scalars::Shared(scalar) => Masks::shared(scalar),
        Scalars::Each(_) => Masks::none(),
    };
    // Bit l of mask v: the result of lane l in vector v is zero.
    let mut zero = [0u8; VECTORS];
    let mut product = Element::one();
    for (v, points) in points.chunks(LANES).enumerate() {
        if let Scalars::Each(all) = scalars {
            masks.set(&all[v * LANES..][..points.len()]);
        }
        let (x, z) = ladder(&masks, load(points));
        // Z = 0 would make the product, and so everybody's inverse in this lane, 0.
        z.to_limbs(&mut chain.z[v]);
        zero[v] = zeros(&chain.z[v]);
        let z = z.blend(Element::one(), zero[v]);
        x.to_limbs(&mut chain.x[v]);
        z.to_limbs(&mut chain.z[v]);
        product = product.mul(z);
        product.to_limbs(&mut chain.product[v]);
    }
    let mut inverse = invert(product);
    for v in (0..vectors).rev() {
        let before = if v == 0 { Element::one() } else { Element::from_limbs(&chain.product[v - 1]) };
        let u = Element::from_limbs(&chain.x[v]).mul(inverse.mul(before));
        inverse = inverse.mul(Element::from_limbs(&chain.z[v]));
        u.blend(Element::zero(), zero[v]).to_limbs(&mut chain.x[v]);
        for (lane, out) in out[v * LANES..].iter_mut().take(LANES).enumerate() {
            *out = to_bytes(&lane_of(&chain.x[v], lane));
        }
    }
    zero.zeroize();
}

/// Up to eight points; lanes without one get the base point.
#[target_feature(enable = "avx512f,avx512dq")]
fn load(points: &[PublicKey]) -> Element {
    let mut limbs = NO_LIMBS;
    limbs[0] = [9; LANES];
    for (lane, point) in points.iter().enumerate() {
        for (limb, value) in limbs.iter_mut().zip(from_bytes(&point.0)) {
            limb[lane] = value;
        }
    }
    Element::from_limbs(&limbs)
}

const MASK: i64 = (1 << 51) - 1;

/// The lowest 255 bits, 51 a limb.
fn from_bytes(bytes: &[u8; 32]) -> [i64; 5] {
    let word = |at: usize| i64::from_le_bytes(*bytes[at..].first_chunk().expect("a word ends within 32 bytes"));
    let limb = |at: usize, shift: u32| (word(at) >> shift) & MASK;
    [limb(0, 0), limb(6, 3), limb(12, 6), limb(19, 1), limb(24, 12)]
}

fn lane_of(limbs: &Limbs, lane: usize) -> [i64; 5] {
    limbs.map(|limb| limb[lane])
}

/// The lanes whose value is 0 modulo p.
fn zeros(limbs: &Limbs) -> u8 {
    let mut mask = 0;
    for lane in 0..LANES {
        let any = freeze(&lane_of(limbs, lane)).into_iter().fold(0, |any, limb| any | limb);
        // Limbs are below 2^51: only of 0 does the predecessor have a sign.
        mask |= (((any - 1) >> 63) as u8 & 1) << lane;
    }
    mask
}

/// The canonical limbs, in [0, 2^51) and below p in all, of limbs within 2^52.
fn freeze(limbs: &[i64; 5]) -> [i64; 5] {
    // 4 p on top makes every limb positive, and below 2^54.
    let mut t = *limbs;
    for (i, limb) in t.iter_mut().enumerate() {
        *limb += 4 * if i == 0 { MASK - 18 } else { MASK };
    }
    // After the first pass limbs 1 to 4 are below 2^51 and limb 0 below 2^51 + 19 8. In the second a carry goes on only
    // through full limbs and leaves zeros, so that 19 times the last carry, at most 1, does not fill limb 0.
    for _ in 0..2 {
        let carried = pass(&mut t);
        t[0] += 19 * carried;
    }
    // The value is below 2^255 < 2 p, and at least p if and only if 19 more would be 2^255 at least.
    let mut more = t;
    more[0] += 19;
    let above = pass(&mut more);
    t[0] += 19 * above;
    pass(&mut t);
    t
}

/// Carries each limb's bits above 51 into the next; returns those of the last.
fn pass(limbs: &mut [i64; 5]) -> i64 {
    let mut carried = 0;
    for limb in limbs {
        *limb += carried;
        carried = *limb >> 51;
        *limb &= MASK;
    }
    carried
}

/// Canonical bytes.
fn to_bytes(limbs: &[i64; 5]) -> [u8; 32] {
    let t = freeze(limbs).map(|limb| limb as u64);
    let words = [t[0] | t[1] << 51, t[1] >> 13 | t[2] << 38, t[2] >> 26 | t[3] << 25, t[3] >> 39 | t[4] << 12];
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
