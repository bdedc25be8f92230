//! What limbs and columns are below, which the compiler checks.
//!
//! *Reduced* limbs, which `carry` leaves, are below 2^51 + 2^15. A product of two is far below 2^104; its low half is below
//! 2^52, its high half below `HIGH`. `column` adds up what a column is below: 2^59 at most, for column 0, of 1 + 19 * 4 low
//! halves and 2 * 19 * 5 high ones. A difference adds `ABOVE`, a multiple of p larger than any column, so it is never below 0.
//! The largest column, `ABOVE` and one more, is below 2^61; sums and `add_a24` stay below that. So a carry is below 2^10,
//! and 19 times that of column 4 below 2^15.

use super::super::terms;

pub(super) const LIMB_BITS: u32 = 51;
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;
/// The limbs of p.
pub(super) const PRIME: [u64; 5] = [LIMB_MASK - 18, LIMB_MASK, LIMB_MASK, LIMB_MASK, LIMB_MASK];

/// What the limbs of a reduced element are below.
pub(super) const REDUCED: u64 = (1 << LIMB_BITS) + (1 << 15);
/// (A - 2) / 4 of the curve, RFC 7748's a24.
pub(super) const A24: u64 = 121_665;

/// What a low half is below.
const LOW: u64 = 1 << 52;
/// What a high half is below.
const HIGH: u64 = ((REDUCED as u128 * REDUCED as u128) >> 52) as u64 + 1;

/// What column k, with 19 times column k + 5, is below.
const fn column(k: usize) -> u64 {
    let low = terms(k) + 19 * terms(k + 5);
    let high = 19 * terms(k + 4) + if k == 0 { 0 } else { terms(k - 1) };
    low * LOW + 2 * high * HIGH
}

/// 2^9 p, limb by limb.
pub(super) const ABOVE: [u64; 5] = {
    let mut above = PRIME;
    let mut k = 0;
    while k < 5 {
        above[k] <<= 9;
        assert!(above[k] >= column(k), "a difference is not below 0");
        let more = LOW + 38 * ((REDUCED as u128 * A24 as u128) >> 52) as u64;
        assert!(above[k] >= column(k) + more, "what `add_a24` leaves is below a difference's bound");
        let most = above[k] + column(k);
        assert!(most < 1 << 61, "nothing wraps around");
        let carry = most >> LIMB_BITS;
        assert!(
            LIMB_MASK + if k == 4 { 19 * carry } else { carry } < REDUCED,
            "a digit and a carry are a reduced limb"
        );
        k += 1;
    }
    above
};
const _: () = {
    assert!(REDUCED < 1 << 52, "the multiplication takes all bits of a reduced limb");
    assert!(PRIME[0] >= 1 << 50, "what `from_limbs` adds leaves nothing below 0");
    assert!((REDUCED as u128 * A24 as u128) >> 52 < 1 << 32, "a high half of `add_a24` has 32 bits");
};
