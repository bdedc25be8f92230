//! AVX-512's vectors of eight integers, in and out, without pointers.

use core::arch::x86_64::*;

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn of_integers([a, b, c, d, e, f, g, h]: [i64; 8]) -> __m512i {
    _mm512_setr_epi64(a, b, c, d, e, f, g, h)
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn integers(vector: __m512i) -> [i64; 8] {
    let quarters = [
        _mm512_extracti64x2_epi64::<0>(vector),
        _mm512_extracti64x2_epi64::<1>(vector),
        _mm512_extracti64x2_epi64::<2>(vector),
        _mm512_extracti64x2_epi64::<3>(vector),
    ];
    let mut integers = [0; 8];
    for (pair, quarter) in integers.chunks_exact_mut(2).zip(quarters) {
        pair[0] = _mm_extract_epi64::<0>(quarter);
        pair[1] = _mm_extract_epi64::<1>(quarter);
    }
    integers
}
