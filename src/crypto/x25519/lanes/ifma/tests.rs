//! The field at the bounds of its limbs.

use super::super::bytes::freeze;
use super::super::reference::{limbs, reference};
use super::Detected;
use super::bounds::REDUCED;
use super::field::{Element, Limbs};

const NUMBERS: usize = 1 << 15;
const ONE: [i64; 5] = [1, 0, 0, 0, 0];

/// a b + sign c d, as limbs.
fn two(a: &[i64; 5], b: &[i64; 5], c: &[i64; 5], d: &[i64; 5], sign: i64) -> [i64; 5] {
    let (mut sum, other) = (reference(a, b), reference(c, d));
    sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += sign * other);
    sum
}

/// Limbs up to the bound and not below 0, by number.
fn reduced(number: usize) -> Limbs {
    limbs(number, REDUCED as i64 - 1).map(|limb| limb.map(i64::abs))
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn check(first: usize, second: usize) {
    let (a, b) = (reduced(first), reduced(second));
    let [x, y] = [&a, &b].map(|limbs| Element::of_vectors(limbs.map(|limb| super::super::vectors::of_integers(limb))));
    let (zero, one) = (Element::zero(), Element::one());
    let mut balanced = limbs(first, 1 << 50);
    for limb in balanced.iter_mut().flatten() {
        *limb = (*limb).clamp(-(1 << 50), 1 << 50);
    }
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
        x.product(one).minus(y.product(one)),
        Element::from_limbs(&a),
        Element::from_limbs(&balanced),
        x.blend(y, 0b1010_0101),
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
            two(&a, &ONE, &b, &ONE, -1),
            a,
            balanced,
            if 0b1010_0101 >> lane & 1 == 1 { b } else { a },
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
