//! Eight Montgomery ladders side by side (RFC 7748, section 5).
//!
//! Scalars act only as bits of lane masks: no branch and no address depends on one.

use super::super::masks::{BITS, Masks};
use super::field::Element;

/// k P and (k + 1) P, in lanes that are swapped the other way round, each as X + Z and X - Z.
struct State {
    sum2: Element,
    difference2: Element,
    sum3: Element,
    difference3: Element,
}

/// X and Z of each lane's scalar times the point with that lane's u.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn ladder(masks: &Masks, u: Element) -> (Element, Element) {
    let one = Element::one();
    let (sum3, difference3) = sum_and_difference(u, one);
    let mut state = State { sum2: one, difference2: one, sum3, difference3 };
    let mut swapped = 0;
    for i in (3..BITS).rev() {
        step(&mut state, u, swapped ^ masks.of(i));
        swapped = masks.of(i);
    }
    // The three lowest bits are 0: doublings alone.
    let mut sum = state.sum2.blend(state.sum3, swapped);
    let mut difference = state.difference2.blend(state.difference3, swapped);
    for _ in 0..3 {
        (sum, difference) = double(sum, difference);
    }
    // 2 X and 2 Z: the factor cancels in X / Z.
    sum_and_difference(sum, difference)
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn sum_and_difference(a: Element, b: Element) -> (Element, Element) {
    let (a, b) = (a.columns(), b.columns());
    (a.plus(b), a.minus(b))
}

/// One step: doubles the first point, in the lanes of `second` the second one, and adds the two, whose difference is the
/// point with `u`.
///
/// The sum is the same whichever of the two comes first: exchanging them exchanges `da` and `cb`, of which the sum and
/// the square of the difference are used. So only what is doubled is chosen.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn step(state: &mut State, u: Element, second: u8) {
    let da = state.difference3.product(state.sum2);
    let cb = state.sum3.product(state.difference2);
    let sum = state.sum2.blend(state.sum3, second);
    let difference = state.difference2.blend(state.difference3, second);
    let x3 = da.plus(cb).squared();
    let z3 = da.minus(cb).square().product(u);
    (state.sum3, state.difference3) = (x3.plus(z3), x3.minus(z3));
    (state.sum2, state.difference2) = double(sum, difference);
}

/// Twice the point whose X + Z and X - Z are `sum` and `difference`, in the same form.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn double(sum: Element, difference: Element) -> (Element, Element) {
    let (aa, bb) = (sum.squared(), difference.squared());
    let e = aa.minus(bb);
    let (x, z) = (aa.carry().product(bb.carry()), e.add_a24(aa).product(e));
    (x.plus(z), x.minus(z))
}
