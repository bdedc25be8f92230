//! The field of 2^255 - 19 in four lanes of double-precision limbs, for AVX2 with FMA.
//!
//! An element is five limbs l0 .. l4, each a vector of four doubles that hold integers: the value of a lane is the sum of
//! l_i 2^(51 i). Nothing rounds unless said so; every double below is an exact integer.
//!
//! # A product of two limbs
//! The fused multiply-add is a 53-bit multiplier. With C = 3 2^102, a sum in [2^103, 2^104) has a last place of 2^51, so
//! rounding C + a b to the nearest gives h = C + 2^51 H, where H is an integer nearest to a b / 2^51 (rounded up to 2^104
//! it has the bits that follow, so that what is said of bits holds there too); then h - C - 3 2^51 = 2^51 (H - 3) is exact,
//! and so is l = a b - 2^51 (H - 3) = 3 2^51 + L, where L = a b - 2^51 H lies in [-2^50, 2^50]: l is in [2^52, 2^53). The
//! bits of both doubles are integers with a constant on top: those of h are HIGH + H, those of l are LOW + L. So sums of
//! halves are sums of 64-bit integers, modulo 2^64, and the constants are taken off once a column. It needs |a b| <= 2^102;
//! with C a little larger, by 2^100 (`HALF`), |a b| <= 2^102 - 2^100.
//!
//! # Columns
//! Column k of a product sums the low halves of all a_i b_j with i + j = k and the high halves of those with
//! i + j = k - 1; as 2^255 = 19 modulo p, column k + 5 counts 19 times in column k. `Columns` are the five that remain, as
//! integers with constants on top. A sum or difference of two products is that of their columns, carried afterwards: that
//! takes a carry for the sum and one for the difference, as the two products would by themselves, but leaves limbs as small
//! as theirs. Of limbs that are added after the carry a product could just exceed 2^102.
//!
//! `bounds.rs` shows that nothing leaves its range.

use core::arch::x86_64::*;
use core::hint::black_box;

use super::bounds::{
    ADDEND, BALANCE, HALF, HIGH, INTEGER, LIMB_BITS, LIMB_MASK, LOW, MINUS_ONE, PRODUCT, SQUARE, all_missing, combined,
    unbias,
};

/// Four elements, one a lane.
#[derive(Clone, Copy)]
pub(super) struct Element([__m256d; 5]);

/// A product that is not carried yet, of a kind that has constants of its own on top.
#[derive(Clone, Copy)]
pub(super) struct Columns<const KIND: usize>([__m256i; 5]);

/// Limbs as integers, limb by limb, each of four lanes: how elements rest outside registers.
pub(super) type Limbs = [[i64; 4]; 5];

#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_int(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi64(a, b)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn each(value: u64) -> __m256i {
    _mm256_set1_epi64x(value as i64)
}

/// The halves of four products of limbs: HIGH + `more` + H and LOW + L.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn product(a: __m256d, b: __m256d, more: u64) -> (__m256i, __m256i) {
    let c = _mm256_set1_pd(f64::from_bits(HIGH + more));
    let c_and_three = _mm256_set1_pd(f64::from_bits(HIGH + more + 3));
    let high = _mm256_fmadd_pd(a, b, c);
    let low = _mm256_fmsub_pd(a, b, _mm256_sub_pd(high, c_and_three));
    (_mm256_castpd_si256(high), _mm256_castpd_si256(low))
}

/// Adds products of a column: low halves to `low`, high ones, with more on top, to `high`.
macro_rules! more {
    ($low:ident, $high:ident $(; $a:expr, $b:expr, $more:expr)*) => {
        $(
            let (high, low) = product($a, $b, $more);
            let $low = add_int($low, low);
            let $high = add_int($high, high);
        )*
    };
}

/// Sums a column's products onto `low`, which has the high halves of the column before, and their high ones to `high`.
macro_rules! column {
    ($low:ident, $high:ident; $a:expr, $b:expr, $more:expr $(; $rest:expr, $other:expr, $again:expr)*) => {
        let ($high, low) = product($a, $b, $more);
        let $low = add_int($low, low);
        more!($low, $high $(; $rest, $other, $again)*);
    };
}

impl Element {
    /// Of any limbs that are integers.
    #[cfg(test)]
    pub(super) fn of_vectors(limbs: [__m256d; 5]) -> Self {
        Self(limbs)
    }

    #[cfg(test)]
    pub(super) fn vectors(self) -> [__m256d; 5] {
        self.0
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn zero() -> Self {
        Self([_mm256_setzero_pd(); 5])
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn one() -> Self {
        let mut one = Self::zero();
        one.0[0] = _mm256_set1_pd(1.0);
        one
    }

    /// Limbs of less than 2^51 each, of either sign.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn from_limbs(limbs: &Limbs) -> Self {
        let mut element = Self::zero();
        for (vector, &[a, b, c, d]) in element.0.iter_mut().zip(limbs) {
            let biased = add_int(_mm256_setr_epi64x(a, b, c, d), each(LOW));
            *vector = _mm256_sub_pd(_mm256_castsi256_pd(biased), _mm256_set1_pd(f64::from_bits(LOW)));
        }
        element
    }

    /// Of a reduced element.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn to_limbs(self, limbs: &mut Limbs) {
        for (vector, lanes) in self.0.into_iter().zip(limbs) {
            let biased = _mm256_castpd_si256(_mm256_add_pd(vector, _mm256_set1_pd(f64::from_bits(LOW))));
            let integers = _mm256_sub_epi64(biased, each(LOW));
            *lanes = [
                _mm256_extract_epi64::<0>(integers),
                _mm256_extract_epi64::<1>(integers),
                _mm256_extract_epi64::<2>(integers),
                _mm256_extract_epi64::<3>(integers),
            ];
        }
    }

    /// Of reduced elements, loose.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn add(self, other: Self) -> Self {
        let mut sum = self;
        for (a, b) in sum.0.iter_mut().zip(other.0) {
            *a = _mm256_add_pd(*a, b);
        }
        sum
    }

    /// Of reduced elements, loose.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn sub(self, other: Self) -> Self {
        let mut difference = self;
        for (a, b) in difference.0.iter_mut().zip(other.0) {
            *a = _mm256_sub_pd(*a, b);
        }
        difference
    }

    /// In each lane `other` where `mask` has a bit, else `self`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn blend(self, other: Self, mask: u8) -> Self {
        let (mut blended, mask) = (self, _mm256_castsi256_pd(spread(mask)));
        for (a, b) in blended.0.iter_mut().zip(other.0) {
            *a = _mm256_blendv_pd(*a, b, mask);
        }
        blended
    }

    /// Of a loose and a reduced element, in whichever order, reduced.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn mul(self, other: Self) -> Self {
        self.product(other).carry()
    }

    /// Of a reduced element, reduced.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn square(self) -> Self {
        self.squared().carry()
    }

    /// Of a loose and a reduced element, in whichever order.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn product(self, other: Self) -> Columns<PRODUCT> {
        Columns(self.columns::<BALANCE>(other))
    }

    /// Of a loose and a reduced element, in whichever order.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn addend(self, other: Self) -> Columns<ADDEND> {
        Columns(self.columns::<0>(other))
    }

    /// Row by row, and the compiler does not know how many rows there are: if it did, it would compute all products first
    /// and keep them in memory.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn columns<const START: u64>(self, other: Self) -> [__m256i; 5] {
        let [b0, b1, b2, b3, b4] = other.0;
        let start = each(START);
        let [mut c0, mut c1, mut c2, mut c3, mut c4] = [start; 5];
        let mut done = [start; 5];
        // Of row i, c0 is column i.
        for (a, done) in self.0.iter().zip(&mut done).take(black_box(5)) {
            let (h0, l0) = product(*a, b0, 0);
            *done = add_int(c0, l0);
            let (h1, l1) = product(*a, b1, 0);
            c0 = add_int(add_int(c1, h0), l1);
            let (h2, l2) = product(*a, b2, 0);
            c1 = add_int(add_int(c2, h1), l2);
            let (h3, l3) = product(*a, b3, 0);
            c2 = add_int(add_int(c3, h2), l3);
            let (h4, l4) = product(*a, b4, 0);
            c3 = add_int(add_int(c4, h3), l4);
            c4 = h4;
        }
        let [d0, d1, d2, d3, d4] = done;
        [folded(d0, c0), folded(d1, c1), folded(d2, c2), folded(d3, c3), folded(d4, c4)]
    }

    /// Of a reduced element.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn squared(self) -> Columns<SQUARE> {
        let [a0, a1, a2, a3, a4] = self.0;
        let double = |a| _mm256_add_pd(a, a);
        let (d0, d1, d2, d3) = (double(a0), double(a1), double(a2), double(a3));
        let (c5, c4) = product(d0, a4, HALF);
        more!(c4, c5; d1, a3, HALF; a2, a2, 0);
        // Now, and not with what follows: all of it at once does not fit into the registers.
        let c4 = black_box(c4);
        column!(c5, c6; d1, a4, HALF; d2, a3, HALF);
        column!(c6, c7; d2, a4, HALF; a3, a3, HALF);
        column!(c7, c8; d3, a4, 0);
        column!(c8, c9; a4, a4, 0);
        let (c1, c0) = product(a0, a0, 0);
        let c0 = folded(c0, c5);
        column!(c1, c2; d0, a1, 0);
        let c1 = folded(c1, c6);
        column!(c2, c3; d0, a2, HALF; a1, a1, HALF);
        let c2 = folded(c2, c7);
        column!(c3, h3; d0, a3, HALF; d1, a2, HALF);
        let c3 = folded(c3, c8);
        Columns([c0, c1, c2, c3, folded(add_int(c4, h3), c9)])
    }

    /// `self` squared `n` times, reduced.
    #[inline(never)]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn square_times(mut self, n: usize) -> Self {
        for _ in 0..n {
            self = self.square();
        }
        self
    }

    /// 121665 `self` + `other`, of reduced elements, loose: all in the floating-point unit.
    ///
    /// 121665 l is within 2^67; adding M = 3 2^102 rounds it to M + 2^51 q with the nearest q, |q| <= 2^16, so the rest is
    /// within 2^50. With `other` and the carry q (19 q into limb 0) a limb is within 2^50 + 2^50 + 2^10 + 2^20.3.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn add_a24(self, other: Self) -> Self {
        const M: f64 = (3u128 << 102) as f64;
        const UNIT: f64 = (1u64 << LIMB_BITS) as f64;
        let (a24, m) = (_mm256_set1_pd(121_665.0), _mm256_set1_pd(M));
        let (mut rest, mut carried) = (self.0, self.0);
        for i in 0..5 {
            // 2^51 q.
            carried[i] = _mm256_sub_pd(_mm256_fmadd_pd(self.0[i], a24, m), m);
            rest[i] = _mm256_add_pd(_mm256_fmsub_pd(self.0[i], a24, carried[i]), other.0[i]);
        }
        let (by_one, by_19) = (_mm256_set1_pd(1.0 / UNIT), _mm256_set1_pd(19.0 / UNIT));
        let mut sum = self;
        sum.0[0] = _mm256_fmadd_pd(carried[4], by_19, rest[0]);
        for i in 1..5 {
            sum.0[i] = _mm256_fmadd_pd(carried[i - 1], by_one, rest[i]);
        }
        sum
    }
}

impl<const KIND: usize> Columns<KIND> {
    /// The product, reduced.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn carry(self) -> Element {
        carry(self.0, const { all_missing(combined(KIND, KIND, 0)) }, const { unbias(combined(KIND, KIND, 0)) })
    }

    /// The sum of two products, reduced.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn plus<const OTHER: usize>(self, other: Columns<OTHER>) -> Element {
        let mut sum = self.0;
        for (a, b) in sum.iter_mut().zip(other.0) {
            *a = add_int(*a, b);
        }
        carry(sum, const { all_missing(combined(KIND, OTHER, 1)) }, const { unbias(combined(KIND, OTHER, 1)) })
    }

    /// The difference of two products, reduced.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn minus<const OTHER: usize>(self, other: Columns<OTHER>) -> Element {
        let mut difference = self.0;
        for (a, b) in difference.iter_mut().zip(other.0) {
            *a = _mm256_sub_epi64(*a, b);
        }
        carry(
            difference,
            const { all_missing(combined(KIND, OTHER, MINUS_ONE)) },
            const { unbias(combined(KIND, OTHER, MINUS_ONE)) },
        )
    }
}

/// All ones in the lanes whose bit `lanes` has.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn spread(lanes: u8) -> __m256i {
    let each = _mm256_setr_epi64x(1, 2, 4, 8);
    _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(i64::from(lanes)), each), each)
}

/// `low` + 19 `high`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn folded(low: __m256i, high: __m256i) -> __m256i {
    // If the shift were known, the compiler would multiply by 19 instead: two instructions in the unit that the fused ones
    // need.
    let by_9 = add_int(_mm256_sllv_epi64(high, each(black_box(3))), high);
    add_int(add_int(low, high), add_int(by_9, by_9))
}

/// A reduced element of columns that lack `missing`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn carry(columns: [__m256i; 5], missing: [u64; 5], unbias: [f64; 5]) -> Element {
    let mut columns = columns;
    for (column, missing) in columns.iter_mut().zip(missing) {
        if missing != 0 {
            *column = add_int(*column, each(missing));
        }
    }
    let mut carried = columns;
    for i in 0..5 {
        carried[(i + 1) % 5] = _mm256_srli_epi64::<{ LIMB_BITS as i32 }>(columns[i]);
    }
    carried[0] = _mm256_mul_epu32(carried[0], each(19));
    let mut element = Element::zero();
    for i in 0..5 {
        // The double 2^52 + digit, to which the carry is added as an integer, below 2^53 still.
        let digit = _mm256_or_si256(_mm256_and_si256(columns[i], each(LIMB_MASK)), each(INTEGER));
        let biased = _mm256_castsi256_pd(add_int(digit, carried[i]));
        element.0[i] = _mm256_sub_pd(biased, _mm256_set1_pd(unbias[i]));
    }
    element
}
