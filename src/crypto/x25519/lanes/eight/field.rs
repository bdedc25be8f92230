//! The field of 2^255 - 19 in eight lanes of double-precision limbs.
//!
//! An element is five limbs l0 .. l4, each a vector of eight doubles that hold integers: the value of a lane is the sum
//! of l_i 2^(51 i). Nothing rounds unless said so; every double below is an exact integer.
//!
//! # A product of two limbs
//! The fused multiply-add is a 53-bit multiplier. With C = 3 2^103, a sum in [2^104, 2^105) has a last place of 2^52, so
//! rounding C + a b towards minus infinity gives h = C + 2^52 H, where H = floor(a b / 2^52); then C + 2^52 - h =
//! -2^52 (H - 1) is exact, and so is the second one, l = a b - 2^52 (H - 1) = 2^52 + L, where L = a b mod 2^52 lies in
//! [0, 2^52). The bits of both doubles are integers with a constant on top: those of h are HIGH + H, those of l are
//! LOW + L. So sums of halves are sums of 64-bit integers, modulo 2^64, and the constants are taken off once a column.
//! It needs |a b| < 2^103; with C a little larger, by 2^101 (`HALF`), still |a b| < 2^103 - 2^101.
//!
//! # Bounds
//! *Reduced* limbs, which `carry` leaves, are within 2^50 + 2^10. *Loose* ones, sums and differences of two reduced
//! ones, are within 2^51 + 2^22 (what `add_a24` leaves is the largest). `mul` and `square` take loose
//! elements and return reduced ones:
//!
//! - a b is within (2^51 + 2^22)^2 < 2^102 + 2^75, as the product needs; H is within 2^50 + 2^23.
//! - Column k sums n_k low halves, each in [0, 2^52), and twice the n_(k-1) high halves of the column before, whose unit
//!   2^52 2^(51 (k-1)) is 2 2^(51 k). n = 1, 2, 3, 4, 5, 4, 3, 2, 1 for k = 0 .. 8.
//! - As 2^255 = 19 modulo p, column k + 5 counts 19 times in column k. `bound` adds up what each of the five columns is
//!   within: the largest is column 0, with (1 + 19 4) 2^52 of low halves and 19 2 5 (2^50 + 2^23) of high ones, 2^59.1.
//! - What the constants of all halves add up to modulo 2^64, `ON_TOP`, is a multiple of 2^51 and far enough from both ends
//!   that no column wraps around, which the compiler checks. So a column's lower 51 bits are those of its value, and its
//!   upper 13 the carry and a constant, which `carry` takes off where it turns integers into doubles.
//! - 2^50 more (`HALF`, or a constant in column 0) makes the digit balanced: lower bits less 2^50 are in [-2^50, 2^50).
//! - The carry of a column within 2^59.1 is within 2^8.1 + 1. Column 4, whose carry counts 19 times in limb 0, has no low
//!   halves from above and few high ones, 5 2^52 + (2 4 + 19 2 1) (2^50 + 2^23) < 2^56.2: its carry is within 2^5.2 + 1,
//!   and 19 times that within 2^10. So all limbs are reduced.
//!
//! `square` computes the same columns.

use core::arch::x86_64::*;

use super::super::terms;
use super::super::vectors::{integers, of_integers};

/// Eight elements, one a lane.
#[derive(Clone, Copy)]
pub(super) struct Element([__m512d; 5]);

/// Limbs as integers, limb by limb, each of eight lanes: how elements rest outside registers.
pub(super) type Limbs = [[i64; 8]; 5];

const LIMB_BITS: u32 = 51;
const LIMB_MASK: i64 = (1 << LIMB_BITS) - 1;
/// The bits of C = 3 2^103, and so what every high half has on top.
const HIGH: u64 = 0x4678_0000_0000_0000;
/// The bits of 2^52, and so what every low half has on top.
const LOW: u64 = 0x4330_0000_0000_0000;

/// Half of 2^50, to go on top of one of a column's high halves: doubled with them, it balances the next column's digit.
const HALF: u64 = 1 << 49;

/// The constants of the halves in column k: of its low ones and, doubled, of the high ones of the column before.
const fn constants(k: usize) -> u64 {
    let high = if k == 0 { 0 } else { terms(k - 1) };
    terms(k).wrapping_mul(LOW).wrapping_add(high.wrapping_mul(2).wrapping_mul(HIGH))
}

/// What the value of column k + 19 column (k + 5) is within, and its digit's 2^50.
const fn bound(k: usize) -> u64 {
    let low = terms(k) + 19 * terms(k + 5);
    let high = 19 * terms(k + 4) + if k == 0 { 0 } else { terms(k - 1) };
    low * (1 << 52) + 2 * high * ((1 << 50) + (1 << 23)) + (1 << 50)
}

/// What column k + 19 column (k + 5) has on top, modulo 2^64, in units of 2^51: so much more is its carry. A square doubles
/// what it has computed once, so its columns have the same constants.
const ON_TOP: [u64; 5] = {
    let mut on_top = [0; 5];
    let mut k = 0;
    while k < 5 {
        let all = constants(k).wrapping_add(constants(k + 5).wrapping_mul(19));
        assert!(all.is_multiple_of(1 << LIMB_BITS), "the constants leave a column's digit alone");
        assert!(all >= bound(k) && all <= u64::MAX - bound(k), "no column wraps around");
        on_top[k] = all >> LIMB_BITS;
        k += 1;
    }
    on_top
};

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn add_int(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi64(a, b)
}

/// The halves of eight products of limbs: HIGH + `more` + H and LOW + L.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn product(a: __m512d, b: __m512d, more: u64) -> (__m512i, __m512i) {
    const DOWN: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
    let c = _mm512_set1_pd(f64::from_bits(HIGH + more));
    let c_and_one = _mm512_set1_pd(f64::from_bits(HIGH + more + 1));
    let high = _mm512_fmadd_round_pd::<DOWN>(a, b, c);
    let low = _mm512_fmadd_pd(a, b, _mm512_sub_pd(c_and_one, high));
    (_mm512_castpd_si512(high), _mm512_castpd_si512(low))
}

/// Sums a column's products: `low` has twice the high halves of the column before; `more` goes on top of the high ones.
macro_rules! column {
    ($low:ident, $high:ident + $more:expr; $a:expr, $b:expr $(; $c:expr, $d:expr)*) => {
        let ($high, low) = product($a, $b, $more);
        $low = add_int($low, low);
        $(
            let (high, low) = product($c, $d, 0);
            $low = add_int($low, low);
            let $high = add_int($high, high);
        )*
    };
}

impl Element {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn zero() -> Self {
        Self([_mm512_setzero_pd(); 5])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn one() -> Self {
        let mut one = Self::zero();
        one.0[0] = _mm512_set1_pd(1.0);
        one
    }

    /// Limbs of less than 2^53 each.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn from_limbs(limbs: &Limbs) -> Self {
        let mut element = Self::zero();
        for (vector, lane) in element.0.iter_mut().zip(limbs) {
            *vector = _mm512_cvtepi64_pd(of_integers(*lane));
        }
        element
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn to_limbs(self, limbs: &mut Limbs) {
        for (vector, lanes) in self.0.into_iter().zip(limbs) {
            *lanes = integers(_mm512_cvtpd_epi64(vector));
        }
    }

    /// Of reduced elements, loose.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn add(self, other: Self) -> Self {
        let mut sum = self;
        for (a, b) in sum.0.iter_mut().zip(other.0) {
            *a = _mm512_add_pd(*a, b);
        }
        sum
    }

    /// Of reduced elements, loose.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn sub(self, other: Self) -> Self {
        let mut difference = self;
        for (a, b) in difference.0.iter_mut().zip(other.0) {
            *a = _mm512_sub_pd(*a, b);
        }
        difference
    }

    /// In each lane `other` where `mask` has a bit, else `self`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn blend(self, other: Self, mask: u8) -> Self {
        let mut blended = self;
        for (a, b) in blended.0.iter_mut().zip(other.0) {
            *a = _mm512_mask_blend_pd(mask, *a, b);
        }
        blended
    }

    /// Of loose elements, reduced.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn mul(self, other: Self) -> Self {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        let mut c0 = _mm512_set1_epi64(2 * HALF as i64);
        column!(c0, h0 + HALF; a0, b0);
        let mut c1 = add_int(h0, h0);
        column!(c1, h1 + HALF; a0, b1; a1, b0);
        let mut c2 = add_int(h1, h1);
        column!(c2, h2 + HALF; a0, b2; a1, b1; a2, b0);
        let mut c3 = add_int(h2, h2);
        column!(c3, h3 + HALF; a0, b3; a1, b2; a2, b1; a3, b0);
        let mut c4 = add_int(h3, h3);
        column!(c4, h4 + 0; a0, b4; a1, b3; a2, b2; a3, b1; a4, b0);
        let mut c5 = add_int(h4, h4);
        column!(c5, h5 + 0; a1, b4; a2, b3; a3, b2; a4, b1);
        let mut c6 = add_int(h5, h5);
        column!(c6, h6 + 0; a2, b4; a3, b3; a4, b2);
        let mut c7 = add_int(h6, h6);
        column!(c7, h7 + 0; a3, b4; a4, b3);
        let mut c8 = add_int(h7, h7);
        column!(c8, h8 + 0; a4, b4);
        let c9 = add_int(h8, h8);
        carry(fold([c0, c1, c2, c3, c4], [c5, c6, c7, c8, c9]))
    }

    /// Of a loose element, reduced.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn square(self) -> Self {
        let [a0, a1, a2, a3, a4] = self.0;
        // Off the diagonal a_i a_j stands for two products, so c begins as half a column without the diagonal's low half: the
        // low halves, the high ones of the column before, h, twice, that of its diagonal, d, once. It is doubled when all is
        // there, and so is what d has on top; what h has, twice.
        let double = |x| _mm512_add_epi64(x, x);
        let (d0, l0) = product(a0, a0, HALF);
        let c0 = add_int(_mm512_set1_epi64(2 * HALF as i64), l0);
        let mut c1 = d0;
        column!(c1, h1 + HALF / 2; a0, a1);
        let c1 = double(c1);
        let mut c2 = double(h1);
        column!(c2, h2 + 0; a0, a2);
        let (d2, l2) = product(a1, a1, HALF);
        let c2 = add_int(double(c2), l2);
        let mut c3 = add_int(double(h2), d2);
        column!(c3, h3 + HALF / 2; a0, a3; a1, a2);
        let c3 = double(c3);
        let mut c4 = double(h3);
        column!(c4, h4 + 0; a0, a4; a1, a3);
        let (d4, l4) = product(a2, a2, 0);
        let c4 = add_int(double(c4), l4);
        let mut c5 = add_int(double(h4), d4);
        column!(c5, h5 + 0; a1, a4; a2, a3);
        let c5 = double(c5);
        let mut c6 = double(h5);
        column!(c6, h6 + 0; a2, a4);
        let (d6, l6) = product(a3, a3, 0);
        let c6 = add_int(double(c6), l6);
        let mut c7 = add_int(double(h6), d6);
        column!(c7, h7 + 0; a3, a4);
        let c7 = double(c7);
        let (d8, l8) = product(a4, a4, 0);
        let c8 = add_int(double(double(h7)), l8);
        let c9 = double(d8);
        carry(fold([c0, c1, c2, c3, c4], [c5, c6, c7, c8, c9]))
    }

    /// `self` squared `n` times, reduced.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn square_times(mut self, n: usize) -> Self {
        for _ in 0..n {
            self = self.square();
        }
        self
    }

    /// 121665 `self` + `other`, of a loose and a reduced element, loose: all in the floating-point unit.
    ///
    /// 121665 l is within 2^68; adding M = 3 2^102 rounds it to M + 2^51 q with the nearest q, |q| <= 2^17, so the rest is
    /// within 2^50. With `other` and the carry q (19 q into limb 0) a limb is within 2^50 + 2^50 + 2^10 + 2^21.3.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    pub(super) fn add_a24(self, other: Self) -> Self {
        const M: f64 = (3u128 << 102) as f64;
        const UNIT: f64 = (1u64 << LIMB_BITS) as f64;
        let (a24, m) = (_mm512_set1_pd(121_665.0), _mm512_set1_pd(M));
        let (mut rest, mut carried) = (self.0, self.0);
        for i in 0..5 {
            let rounded = _mm512_fmadd_pd(self.0[i], a24, m);
            carried[i] = _mm512_sub_pd(m, rounded);
            rest[i] = _mm512_add_pd(_mm512_fmadd_pd(self.0[i], a24, carried[i]), other.0[i]);
        }
        // `carried` is -2^51 q.
        let (by_one, by_19) = (_mm512_set1_pd(-1.0 / UNIT), _mm512_set1_pd(-19.0 / UNIT));
        let mut sum = self;
        sum.0[0] = _mm512_fmadd_pd(carried[4], by_19, rest[0]);
        for i in 1..5 {
            sum.0[i] = _mm512_fmadd_pd(carried[i - 1], by_one, rest[i]);
        }
        sum
    }
}

/// The five columns: `low` + 19 `high`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn fold(low: [__m512i; 5], high: [__m512i; 5]) -> [__m512i; 5] {
    let mut columns = low;
    for i in 0..5 {
        columns[i] = add_int(low[i], _mm512_mullo_epi64(high[i], _mm512_set1_epi64(19)));
    }
    columns
}

/// A reduced element from biased columns.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn carry(columns: [__m512i; 5]) -> Element {
    let (mask, low) = (_mm512_set1_epi64(LIMB_MASK), _mm512_set1_epi64(LOW as i64));
    let mut carried = columns;
    for i in 0..5 {
        carried[(i + 1) % 5] = _mm512_srli_epi64::<LIMB_BITS>(columns[i]);
    }
    carried[0] = _mm512_mul_epu32(carried[0], _mm512_set1_epi64(19));
    let mut element = Element::zero();
    for i in 0..5 {
        // (column & mask) | low: the double 2^52 + digit, to which the carry is added as an integer, below 2^53 still.
        let digit = _mm512_ternarylogic_epi64::<0xf8>(low, columns[i], mask);
        let biased = _mm512_castsi512_pd(add_int(digit, carried[i]));
        let unbias = (1 << 52) + (1 << 50) + if i == 0 { 19 * ON_TOP[4] } else { ON_TOP[i - 1] };
        element.0[i] = _mm512_sub_pd(biased, _mm512_set1_pd(unbias as f64));
    }
    element
}

#[cfg(test)]
mod tests {
    use super::super::super::bytes::freeze;
    use super::super::super::reference::{limbs, reference};
    use super::super::Detected;
    use super::*;

    /// Within what `carry` promises.
    const REDUCED: i64 = (1 << 50) + (1 << 10);
    /// Within what `mul` and `square` take.
    const LOOSE: i64 = (1 << 51) + (1 << 22);

    #[target_feature(enable = "avx512f,avx512dq")]
    fn check(number: usize) {
        let (a, b) = (limbs(number, LOOSE), limbs(number.wrapping_mul(0x9e37) % (1 << 15), LOOSE));
        let small = limbs(number.wrapping_mul(0x79b9) % (1 << 15), REDUCED);
        let [x, y, r] = [&a, &b, &small].map(|limbs| Element::from_limbs(limbs));
        let mut found = [[[0; 8]; 5]; 3];
        x.mul(y).to_limbs(&mut found[0]);
        x.square().to_limbs(&mut found[1]);
        x.add_a24(r).to_limbs(&mut found[2]);
        let lane_of = |limbs: &Limbs, lane: usize| limbs.map(|limb| limb[lane]);
        for lane in 0..8 {
            let [a, b, r] = [&a, &b, &small].map(|limbs| lane_of(limbs, lane));
            let mut a24 = reference(&a, &[121_665, 0, 0, 0, 0]);
            a24.iter_mut().zip(r).for_each(|(limb, r)| *limb += r);
            for (found, (expected, bound)) in
                found.iter().zip([(reference(&a, &b), REDUCED), (reference(&a, &a), REDUCED), (a24, LOOSE)])
            {
                let found = lane_of(found, lane);
                assert!(found.iter().all(|limb| limb.abs() <= bound), "{number}: {found:?}");
                assert_eq!(freeze(&found), freeze(&expected), "{number}, lane {lane}");
            }
        }
    }

    #[test]
    #[expect(unsafe_code, reason = "as in `Detected::batch`")]
    fn limbs_at_their_bounds_give_exact_and_bounded_results() {
        if Detected::new().is_none() {
            return;
        }
        for number in 0..1 << 15 {
            // SAFETY: `Detected::new` has found both target features of the function.
            unsafe { check(number) };
        }
    }
}
