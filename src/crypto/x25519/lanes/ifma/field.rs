//! The field of 2^255 - 19 in eight lanes of 52-bit integers, for AVX-512 with IFMA.
//!
//! An element is five limbs l0 .. l4, each a vector of eight integers that are not negative: the value of a lane is the sum of
//! l_i 2^(51 i).
//!
//! # A product of two limbs
//! Two instructions multiply the lowest 52 bits of two integers and add to a third the lowest 52 bits of the product, or
//! the upper 52.
//!
//! # Columns
//! Column k of a product sums the low halves of all a_i b_j with i + j = k and twice the high halves of those with
//! i + j = k - 1, whose unit 2^52 2^(51 (k-1)) is 2 2^(51 k). As 2^255 = 19 modulo p, column k + 5 counts 19 times in column k.
//! `Columns` are the five that remain. Limbs have one bit to spare, too few to multiply sums of them, so sums and differences
//! are those of columns, before they are carried; `bounds.rs` shows that nothing leaves its range.

use core::arch::x86_64::*;

use super::super::vectors::{integers, of_integers};
use super::bounds::{A24, ABOVE, LIMB_BITS, LIMB_MASK, PRIME};

/// Eight elements, one a lane, reduced.
#[derive(Clone, Copy)]
pub(super) struct Element([__m512i; 5]);

/// Eight products that are not carried yet.
#[derive(Clone, Copy)]
pub(super) struct Columns([__m512i; 5]);

/// Limbs as integers, limb by limb, each of eight lanes: how elements rest outside registers.
pub(super) type Limbs = [[i64; 8]; 5];

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn each(value: u64) -> __m512i {
    _mm512_set1_epi64(value as i64)
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi64(a, b)
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn twice(a: __m512i) -> __m512i {
    add(a, a)
}

/// `sum` and low halves of products.
macro_rules! low {
    ($sum:expr $(; $a:ident $b:ident)*) => {{
        let sum = $sum;
        $(let sum = _mm512_madd52lo_epu64(sum, $a, $b);)*
        sum
    }};
}

/// `sum` and high halves of products.
macro_rules! high {
    ($sum:expr $(; $a:ident $b:ident)*) => {{
        let sum = $sum;
        $(let sum = _mm512_madd52hi_epu64(sum, $a, $b);)*
        sum
    }};
}

impl Element {
    /// Limbs as they are.
    #[inline]
    pub(super) fn columns(self) -> Columns {
        Columns(self.0)
    }

    #[cfg(test)]
    pub(super) fn of_vectors(limbs: [__m512i; 5]) -> Self {
        Self(limbs)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn zero() -> Self {
        Self([_mm512_setzero_si512(); 5])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn one() -> Self {
        let mut one = Self::zero();
        one.0[0] = each(1);
        one
    }

    /// Limbs from -2^50 up to what `to_limbs` leaves, below `REDUCED`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn from_limbs(limbs: &Limbs) -> Self {
        let mut columns = [_mm512_setzero_si512(); 5];
        for ((column, limbs), prime) in columns.iter_mut().zip(limbs).zip(PRIME) {
            *column = add(of_integers(*limbs), each(prime));
        }
        Columns(columns).carry()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn to_limbs(self, limbs: &mut Limbs) {
        for (vector, lanes) in self.0.into_iter().zip(limbs) {
            *lanes = integers(vector);
        }
    }

    /// In each lane `other` where `mask` has a bit, else `self`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn blend(self, other: Self, mask: u8) -> Self {
        let mut blended = self;
        for (a, b) in blended.0.iter_mut().zip(other.0) {
            *a = _mm512_mask_blend_epi64(mask, *a, b);
        }
        blended
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn mul(self, other: Self) -> Self {
        self.product(other).carry()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn square(self) -> Self {
        self.squared().carry()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn product(self, other: Self) -> Columns {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        let zero = _mm512_setzero_si512();
        let c0 = low!(zero; a0 b0);
        let h0 = high!(zero; a0 b0);
        let c1 = low!(twice(h0); a0 b1; a1 b0);
        let h1 = high!(zero; a0 b1; a1 b0);
        let c2 = low!(twice(h1); a0 b2; a1 b1; a2 b0);
        let h2 = high!(zero; a0 b2; a1 b1; a2 b0);
        let c3 = low!(twice(h2); a0 b3; a1 b2; a2 b1; a3 b0);
        let h3 = high!(zero; a0 b3; a1 b2; a2 b1; a3 b0);
        let c4 = low!(twice(h3); a0 b4; a1 b3; a2 b2; a3 b1; a4 b0);
        let h4 = high!(zero; a0 b4; a1 b3; a2 b2; a3 b1; a4 b0);
        let c5 = low!(twice(h4); a1 b4; a2 b3; a3 b2; a4 b1);
        let h5 = high!(zero; a1 b4; a2 b3; a3 b2; a4 b1);
        let c6 = low!(twice(h5); a2 b4; a3 b3; a4 b2);
        let h6 = high!(zero; a2 b4; a3 b3; a4 b2);
        let c7 = low!(twice(h6); a3 b4; a4 b3);
        let h7 = high!(zero; a3 b4; a4 b3);
        let c8 = low!(twice(h7); a4 b4);
        let h8 = high!(zero; a4 b4);
        fold([c0, c1, c2, c3, c4], [c5, c6, c7, c8, twice(h8)])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn squared(self) -> Columns {
        let [a0, a1, a2, a3, a4] = self.0;
        let zero = _mm512_setzero_si512();
        // Off the diagonal a_i a_j stands for two products. A column without its diagonal's low half is twice this sum: its
        // low halves, twice h, the high halves off the diagonal of the column before, and once that column's diagonal high half.
        let c0 = low!(zero; a0 a0);
        let c1 = twice(low!(high!(zero; a0 a0); a0 a1));
        let h1 = high!(zero; a0 a1);
        let c2 = low!(twice(low!(twice(h1); a0 a2)); a1 a1);
        let h2 = high!(zero; a0 a2);
        let c3 = twice(low!(high!(twice(h2); a1 a1); a0 a3; a1 a2));
        let h3 = high!(zero; a0 a3; a1 a2);
        let c4 = low!(twice(low!(twice(h3); a0 a4; a1 a3)); a2 a2);
        let h4 = high!(zero; a0 a4; a1 a3);
        let c5 = twice(low!(high!(twice(h4); a2 a2); a1 a4; a2 a3));
        let h5 = high!(zero; a1 a4; a2 a3);
        let c6 = low!(twice(low!(twice(h5); a2 a4)); a3 a3);
        let h6 = high!(zero; a2 a4);
        let c7 = twice(low!(high!(twice(h6); a3 a3); a3 a4));
        let h7 = high!(zero; a3 a4);
        let c8 = low!(twice(twice(h7)); a4 a4);
        let h8 = high!(zero; a4 a4);
        fold([c0, c1, c2, c3, c4], [c5, c6, c7, c8, twice(h8)])
    }

    /// `self` squared `n` times.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn square_times(mut self, n: usize) -> Self {
        for _ in 0..n {
            self = self.square();
        }
        self
    }

    /// 121665 `self` + `other`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn add_a24(self, other: Columns) -> Self {
        let (a24, zero) = (each(A24), _mm512_setzero_si512());
        let mut columns = other.0;
        for (i, a) in self.0.into_iter().enumerate() {
            let h = high!(zero; a a24);
            columns[i] = low!(columns[i]; a a24);
            let next = &mut columns[(i + 1) % 5];
            *next = add(*next, if i == 4 { _mm512_mul_epu32(h, each(38)) } else { twice(h) });
        }
        Columns(columns).carry()
    }
}

impl Columns {
    /// The element that the columns are.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn carry(self) -> Element {
        let mut carried = self.0;
        for i in 0..5 {
            carried[(i + 1) % 5] = _mm512_srli_epi64::<LIMB_BITS>(self.0[i]);
        }
        carried[0] = _mm512_mul_epu32(carried[0], each(19));
        let mut limbs = self.0;
        for (limb, carried) in limbs.iter_mut().zip(carried) {
            *limb = add(_mm512_and_si512(*limb, each(LIMB_MASK)), carried);
        }
        Element(limbs)
    }

    /// The sum of two products.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn plus(self, other: Self) -> Element {
        let mut sum = self;
        for (a, b) in sum.0.iter_mut().zip(other.0) {
            *a = add(*a, b);
        }
        sum.carry()
    }

    /// The difference of two products.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn minus(self, other: Self) -> Element {
        let mut difference = self;
        for ((a, b), above) in difference.0.iter_mut().zip(other.0).zip(ABOVE) {
            *a = add(*a, _mm512_sub_epi64(each(above), b));
        }
        difference.carry()
    }
}

/// The five columns: `low` + 19 `high`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn fold(low: [__m512i; 5], high: [__m512i; 5]) -> Columns {
    let mut columns = low;
    for (column, high) in columns.iter_mut().zip(high) {
        *column = add(*column, _mm512_mullo_epi64(high, each(19)));
    }
    Columns(columns)
}
