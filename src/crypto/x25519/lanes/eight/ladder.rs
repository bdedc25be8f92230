//! Eight Montgomery ladders side by side (RFC 7748, section 5).
//!
//! Scalars act only as bits of lane masks: no branch and no address depends on one.

use super::super::masks::{BITS, Masks};
use super::field::Element;

/// k P and (k + 1) P as X : Z, in lanes that are swapped the other way round, reduced.
struct State {
    x2: Element,
    z2: Element,
    x3: Element,
    z3: Element,
}

/// X and Z of each lane's scalar times the point with that lane's u, both reduced. `u` is loose.
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn ladder(masks: &Masks, u: Element) -> (Element, Element) {
    let mut state = State { x2: Element::one(), z2: Element::zero(), x3: u, z3: Element::one() };
    let mut swapped = 0;
    for i in (3..BITS).rev() {
        step(&mut state, u, swapped ^ masks.of(i));
        swapped = masks.of(i);
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
fn step(state: &mut State, u: Element, second: u8) {
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
