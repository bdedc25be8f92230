//! Eight Montgomery ladders side by side (RFC 7748, section 5), and the inversion behind them.
//!
//! Scalars act only as bits of lane masks: no branch and no address depends on one.

use core::arch::x86_64::__mmask8;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::field::Element;
use crate::crypto::SecretKey;

/// Bits of a clamped scalar.
const BITS: usize = 255;

/// Bit i of eight clamped scalars: lane l's is bit l of mask i. Bit 255 is 0, and not asked for.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Masks([__mmask8; BITS + 1]);

impl Masks {
    /// Of no scalars.
    pub(super) fn none() -> Self {
        Self([0; BITS + 1])
    }

    /// One scalar in all lanes.
    pub(super) fn shared(scalar: &SecretKey) -> Self {
        let mut masks = Self::none();
        masks.set(&[scalar; 8]);
        masks
    }

    /// Each lane its own, of as many lanes as there are scalars, at most eight.
    pub(super) fn set(&mut self, scalars: &[&SecretKey]) {
        for (at, masks) in self.0.chunks_exact_mut(8).enumerate() {
            let mut rows = [0; 8];
            for (row, scalar) in rows.iter_mut().zip(scalars) {
                *row = scalar.expose()[at];
            }
            masks.copy_from_slice(&transposed(u64::from_le_bytes(rows)).to_le_bytes());
        }
        // Clamped: a multiple of 8, with its highest bit where it always is.
        self.0[..3].fill(0);
        self.0[BITS - 1] = !0;
    }
}

/// Bit l of byte j becomes bit j of byte l ("Hacker's Delight", section 7-3).
fn transposed(mut rows: u64) -> u64 {
    for (distance, mask) in [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)] {
        let exchanged = (rows ^ (rows >> distance)) & mask;
        rows ^= exchanged ^ (exchanged << distance);
    }
    rows
}

/// k P and (k + 1) P as X : Z, reduced.
struct State {
    x2: Element,
    z2: Element,
    x3: Element,
    z3: Element,
}

/// X and Z of each lane's scalar times the point with that lane's u, both reduced. `u` is loose, at most 2^51 a limb.
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn ladder(masks: &Masks, u: Element) -> (Element, Element) {
    let mut state = State { x2: Element::one(), z2: Element::zero(), x3: u, z3: Element::one() };
    let mut swapped = 0;
    for i in (3..BITS).rev() {
        step(&mut state, u, swapped ^ masks.0[i]);
        swapped = masks.0[i];
    }
    // The three lowest bits are 0: doublings alone.
    let (mut x, mut z) = (state.x2.blend(state.x3, swapped), state.z2.blend(state.z3, swapped));
    for _ in 0..3 {
        (x, z) = double(x.add(z), x.sub(z));
    }
    (x, z)
}

/// One step: doubles the first point, in the lanes of `second` the second one, and adds the two, whose difference is the
/// point with `u`.
///
/// The sum is the same whichever of the two comes first: exchanging them exchanges `da` and `cb`, of which the sum and
/// the square of the difference are used. So only what is doubled is chosen.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512dq")]
fn step(state: &mut State, u: Element, second: __mmask8) {
    let (a, b) = (state.x2.add(state.z2), state.x2.sub(state.z2));
    let (c, d) = (state.x3.add(state.z3), state.x3.sub(state.z3));
    let (da, cb) = (d.mul(a), c.mul(b));
    (state.x2, state.z2) = double(a.blend(c, second), b.blend(d, second));
    state.x3 = da.add(cb).square();
    state.z3 = u.mul(da.sub(cb).square());
}

/// Twice the point whose X + Z and X - Z are `sum` and `difference`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn double(sum: Element, difference: Element) -> (Element, Element) {
    let (aa, bb) = (sum.square(), difference.square());
    let e = aa.sub(bb);
    (aa.mul(bb), e.mul(e.add_a24(aa)))
}

/// 1 / z in each lane, as z^(p - 2) = z^(2^255 - 21); 0 of 0.
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn invert(z: Element) -> Element {
    // z_n is z^(2^n - 1).
    let z2 = z.square();
    let z9 = z2.square_times(2).mul(z);
    let z11 = z9.mul(z2);
    let z_5 = z11.square().mul(z9);
    let z_10 = z_5.square_times(5).mul(z_5);
    let z_20 = z_10.square_times(10).mul(z_10);
    let z_40 = z_20.square_times(20).mul(z_20);
    let z_50 = z_40.square_times(10).mul(z_10);
    let z_100 = z_50.square_times(50).mul(z_50);
    let z_200 = z_100.square_times(100).mul(z_100);
    let z_250 = z_200.square_times(50).mul(z_50);
    z_250.square_times(5).mul(z11)
}
