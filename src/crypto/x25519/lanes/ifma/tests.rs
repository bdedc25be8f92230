//! The field at the bounds of its limbs.

use super::super::bytes::freeze;
use super::super::reference::{limbs, reference};
use super::super::vectors::of_integers;
use super::Detected;
use super::bounds::{LIMB_MASK, REDUCED};
use super::field::{Element, Limbs};

const NUMBERS: usize = 1 << 15;
const ONE: [i64; 5] = [1, 0, 0, 0, 0];

/// a b + sign c d, as limbs.
fn two(a: &[i64; 5], b: &[i64; 5], c: &[i64; 5], d: &[i64; 5], sign: i64) -> [i64; 5] {
    let (mut sum, other) = (reference(a, b), reference(c, d));
    sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += sign * other);
    sum
}

/// Limbs up to the bound, by number: in the even lanes any combination of eight, in the odd ones of seven and the bound less
/// something.
fn reduced(number: usize) -> Limbs {
    // (2^51 - 1) (2^51 + 1) has the largest low half there is.
    let mask = LIMB_MASK as i64;
    let choices = [REDUCED as i64 - 1, mask, mask + 2, mask + 4, REDUCED as i64 - 2, 0, 1, (1 << 50) + 12_345];
    let mut limbs = [[0; 8]; 5];
    for (i, limb) in limbs.iter_mut().enumerate() {
        for (lane, limb) in limb.iter_mut().enumerate() {
            let choice = choices[(number >> (3 * i)) % 8];
            *limb = if lane % 2 == 0 { choice } else { (choice - lane as i64 / 2).max(0) };
        }
    }
    limbs
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn check(first: usize, second: usize) {
    let (a, b) = (reduced(first), reduced(second));
    let [x, y] = [&a, &b].map(|limbs| Element::of_vectors(limbs.map(|limb| of_integers(limb))));
    let zero = Element::zero();
    let balanced = limbs(first, 1 << 50);
    let found = [
        x.mul(y),
        x.square(),
        x.product(y).plus(y.product(x)),
        x.product(y).minus(x.squared()),
        zero.squared().minus(x.squared()),
        zero.squared().minus(x.product(y)),
        x.squared().plus(y.squared()),
        x.add_a24(y.squared()),
        x.add_a24(y.product(x)),
        // The largest differences there are.
        x.squared().minus(zero.squared()),
        x.product(y).minus(zero.squared()),
        x.columns().minus(y.columns()),
        x.columns().plus(y.columns()),
        Element::from_limbs(&a),
        Element::from_limbs(&balanced),
        x.blend(y, 0b0010_1101),
    ];
    let out = found.map(|found| {
        let mut limbs = [[0; 8]; 5];
        found.to_limbs(&mut limbs);
        limbs
    });
    for lane in 0..8 {
        let [a, b, balanced] = [&a, &b, &balanced].map(|limbs: &Limbs| limbs.map(|limb| limb[lane]));
        let (zero, a24) = ([0; 5], [121_665, 0, 0, 0, 0]);
        let expected = [
            reference(&a, &b),
            reference(&a, &a),
            two(&a, &b, &b, &a, 1),
            two(&a, &b, &a, &a, -1),
            two(&zero, &zero, &a, &a, -1),
            two(&zero, &zero, &a, &b, -1),
            two(&a, &a, &b, &b, 1),
            two(&a, &a24, &b, &b, 1),
            two(&a, &a24, &b, &a, 1),
            two(&a, &a, &zero, &zero, -1),
            two(&a, &b, &zero, &zero, -1),
            two(&a, &ONE, &b, &ONE, -1),
            two(&a, &ONE, &b, &ONE, 1),
            a,
            balanced,
            if 0b0010_1101 >> lane & 1 == 1 { b } else { a },
        ];
        for (which, (out, expected)) in out.iter().zip(expected).enumerate() {
            let found = out.map(|limb| limb[lane]);
            assert!(
                found.iter().all(|limb| (0..REDUCED as i64).contains(limb)),
                "{which} of {first}, {second}: {found:?}"
            );
            assert_eq!(freeze(&found), freeze(&expected), "{which} of {first}, {second}, lane {lane}");
        }
    }
}

#[test]
#[expect(unsafe_code, reason = "as in `Detected::batch`")]
fn limbs_at_their_bounds_give_exact_and_bounded_results() {
    if Detected::new().is_none() {
        return;
    }
    for first in 0..NUMBERS {
        // Another walk, all at the upper bound, and the same.
        for second in [first.wrapping_mul(0x9e37) % NUMBERS, 0, first] {
            // SAFETY: `Detected::new` has found all target features of the function.
            unsafe { check(first, second) };
        }
    }
}
