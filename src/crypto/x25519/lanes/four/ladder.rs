//! Four Montgomery ladders side by side (RFC 7748, section 5).
//!
//! Scalars act only as lane masks: no branch and no address depends on one.

use super::super::masks::{BITS, Masks};
use super::field::Element;

/// k P and (k + 1) P, in lanes that are swapped the other way round, each as X + Z and X - Z, reduced.
struct State {
    sum2: Element,
    difference2: Element,
    sum3: Element,
    difference3: Element,
}

/// X and Z of each lane's scalar times the point with that lane's u, both reduced. `u` is reduced even with 1 more or less.
#[target_feature(enable = "avx2,fma")]
pub(super) fn ladder(masks: &Masks, u: Element) -> (Element, Element) {
    let one = Element::one();
    let mut state = State { sum2: one, difference2: one, sum3: u.add(one), difference3: u.sub(one) };
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
    // 2 X and 2 Z are loose; a product with 1 reduces them, and the factor cancels in X / Z.
    (sum.add(difference).mul(one), sum.sub(difference).mul(one))
}

/// One step: doubles the first point, in the lanes of `second` the second one, and adds the two, whose difference is the
/// point with `u`.
///
/// The sum is the same whichever of the two comes first: exchanging them exchanges `da` and `cb`, of which the sum and
/// the square of the difference are used. So only what is doubled is chosen.
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn step(state: &mut State, u: Element, second: u8) {
    let da = state.difference3.product(state.sum2);
    let cb = state.sum3.addend(state.difference2);
    let sum = state.sum2.blend(state.sum3, second);
    let difference = state.difference2.blend(state.difference3, second);
    let x3 = da.plus(cb).squared();
    let z3 = da.minus(cb).square().addend(u);
    (state.sum3, state.difference3) = (x3.plus(z3), x3.minus(z3));
    (state.sum2, state.difference2) = double(sum, difference);
}

/// Twice the point whose X + Z and X - Z are `sum` and `difference`, in the same form.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn double(sum: Element, difference: Element) -> (Element, Element) {
    let (aa, bb) = (sum.squared(), difference.squared());
    let (e, aa, bb) = (aa.minus(bb), aa.carry(), bb.carry());
    let (x, z) = (aa.product(bb), e.add_a24(aa).addend(e));
    (x.plus(z), x.minus(z))
}
