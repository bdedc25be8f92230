//! The field at the bounds of its limbs.

use core::arch::x86_64::*;

use super::super::bytes::freeze;
use super::super::reference::{limbs, reference};
use super::Detected;
use super::bounds::{LOOSE, REDUCED};
use super::field::{Element, Limbs};

const NUMBERS: usize = 1 << 15;

/// a b + c d, or a b - c d, as limbs.
fn two(a: &[i64; 5], b: &[i64; 5], c: &[i64; 5], d: &[i64; 5], sign: i64) -> [i64; 5] {
    let (mut sum, other) = (reference(a, b), reference(c, d));
    sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += sign * other);
    sum
}

/// As `from_limbs`, of loose limbs too.
#[target_feature(enable = "avx2,fma")]
fn element(limbs: &Limbs) -> Element {
    Element::of_vectors(limbs.map(|[a, b, c, d]| _mm256_setr_pd(a as f64, b as f64, c as f64, d as f64)))
}

/// As `to_limbs`, of loose limbs too.
#[target_feature(enable = "avx2,fma")]
fn integers(element: Element) -> Limbs {
    element.vectors().map(|vector| {
        let bits = _mm256_castpd_si256(vector);
        [
            _mm256_extract_epi64::<0>(bits),
            _mm256_extract_epi64::<1>(bits),
            _mm256_extract_epi64::<2>(bits),
            _mm256_extract_epi64::<3>(bits),
        ]
        .map(|bits| f64::from_bits(bits as u64) as i64)
    })
}

#[target_feature(enable = "avx2,fma")]
fn check(first: usize, second: usize) {
    let loose = limbs(first, LOOSE as i64);
    let (a, b) = (limbs(first, REDUCED as i64), limbs(second, REDUCED as i64));
    let [l, x, y] = [&loose, &a, &b].map(|limbs| element(limbs));
    let mut again = [[0; 4]; 5];
    Element::from_limbs(&a).to_limbs(&mut again);
    assert_eq!((again, integers(x)), (a, a));
    let found = [
        l.mul(y),
        y.mul(l),
        x.square(),
        x.add_a24(y),
        x.add(y),
        x.sub(y),
        l.product(y).plus(y.addend(l)),
        l.product(y).minus(x.addend(y)),
        x.squared().plus(l.addend(y)),
        x.squared().minus(l.addend(y)),
        x.squared().minus(y.squared()),
        l.addend(y).carry(),
        // The largest difference there is.
        l.product(y).minus(Element::zero().sub(l).addend(y)),
    ];
    let out = found.map(|found| integers(found));
    for lane in 0..4 {
        let [l, a, b] = [&loose, &a, &b].map(|limbs: &Limbs| limbs.map(|limb| limb[lane]));
        let (zero, one) = ([0; 5], [1, 0, 0, 0, 0]);
        let expected = [
            (reference(&l, &b), REDUCED),
            (reference(&b, &l), REDUCED),
            (reference(&a, &a), REDUCED),
            (two(&a, &[121_665, 0, 0, 0, 0], &b, &one, 1), LOOSE),
            (two(&a, &one, &b, &one, 1), LOOSE),
            (two(&a, &one, &b, &one, -1), LOOSE),
            (two(&l, &b, &b, &l, 1), REDUCED),
            (two(&l, &b, &a, &b, -1), REDUCED),
            (two(&a, &a, &l, &b, 1), REDUCED),
            (two(&a, &a, &l, &b, -1), REDUCED),
            (two(&a, &a, &b, &b, -1), REDUCED),
            (two(&l, &b, &zero, &zero, 1), REDUCED),
            (two(&l, &b, &l.map(|limb| -limb), &b, -1), REDUCED),
        ];
        for (which, (out, (expected, bound))) in out.iter().zip(expected).enumerate() {
            let found = out.map(|limb| limb[lane]);
            assert!(found.iter().all(|limb| limb.unsigned_abs() <= bound), "{which} of {first}, {second}: {found:?}");
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
        // Another walk, all at the upper bound, all at the lower, and the same.
        for second in [first.wrapping_mul(0x9e37) % NUMBERS, 0, 0o11111, first] {
            // SAFETY: `Detected::new` has found both target features of the function.
            unsafe { check(first, second) };
        }
    }
}
