//! What limbs and columns are within, and the constants on top of columns.
//!
//! *Reduced* limbs, which all carrying leaves, are within 2^50 + 2^10. *Loose* ones, which `add_a24` and sums or
//! differences of two reduced elements leave, are within 2^51 + 2^22. `mul` takes a loose element and a reduced one,
//! `square` a reduced one, of which it doubles limbs:
//!
//! - a b is within (2^51 + 2^22) (2^50 + 2^10) < 2^101 + 2^73, as the product needs; H is within 2^50 + 2^22.
//! - `bound` adds up what each column is within. The largest is column 0, with 1 + 19 4 low halves and 19 5 high ones,
//!   2^57.5; a sum or difference is within twice that.
//! - What the constants of all halves add up to modulo 2^64 is a multiple of 2^51, and 2^50 more makes the digit balanced:
//!   a column starts with it, or has twice `HALF`, or 19 times that from five columns above. `missing` is what columns
//!   lack to have that and to be so far from both ends that they do not wrap around, which the compiler checks. So the
//!   lower 51 bits less 2^50 are a digit in [-2^50, 2^50), and the upper 13 the carry and a constant, which `carry` takes
//!   off where it turns integers into doubles.
//! - The carry of a column within 2 2^57.5 is within 2^7.5 + 1. Column 4, whose carry counts 19 times in limb 0, has no low
//!   halves from above and few high ones, 5 low and 4 + 19 high in all: its carry is within 2 2^3.9 + 1, and 19 times that
//!   within 2^10. So all limbs are reduced, which the compiler checks.

use super::super::terms;

/// A product, its digits balanced.
pub(super) const PRODUCT: usize = 0;
/// A square, its digits balanced.
pub(super) const SQUARE: usize = 1;
/// A product to be added to one that is balanced.
pub(super) const ADDEND: usize = 2;

pub(super) const LIMB_BITS: u32 = 51;
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;
/// The bits of C = 3 2^102, and so what every high half has on top.
pub(super) const HIGH: u64 = 0x4668_0000_0000_0000;
/// The bits of 3 2^51, and so what every low half has on top.
pub(super) const LOW: u64 = 0x4338_0000_0000_0000;
/// The bits of 2^52: the double 2^52 + n has these and n.
pub(super) const INTEGER: u64 = 0x4330_0000_0000_0000;

/// Half of 2^50, to go on top of two of a column's high halves: it balances the next column's digit.
pub(super) const HALF: u64 = 1 << 49;
pub(super) const BALANCE: u64 = 2 * HALF;

/// What `carry` promises.
pub(super) const REDUCED: u64 = (1 << 50) + (1 << 10);
/// What one side of `mul` takes.
pub(super) const LOOSE: u64 = (1 << 51) + (1 << 22);
const _: () = {
    let largest = REDUCED as u128 * LOOSE as u128;
    assert!(largest <= (1 << 102) - (1 << 100), "a product of limbs stays in its binade, with `HALF` on top too");
    assert!(2 * (REDUCED as u128) <= LOOSE as u128, "doubled limbs are loose");
    assert!(largest >> LIMB_BITS < HIGH_BOUND as u128, "a high half is within its bound");
};
/// What a high half is within.
const HIGH_BOUND: u64 = (1 << 50) + (1 << 22);

/// How many products of limbs give them.
const fn products(kind: usize, k: usize) -> u64 {
    if kind == SQUARE { terms(k).div_ceil(2) } else { terms(k) }
}

/// The constants in column k alone: of its low halves and of the high ones of the column before.
const fn constants(kind: usize, k: usize) -> u64 {
    let high = if k == 0 { 0 } else { products(kind, k - 1) };
    let balance = match (kind, k) {
        (PRODUCT, 0..=4) | (SQUARE, 3..=7) => BALANCE,
        _ => 0,
    };
    products(kind, k).wrapping_mul(LOW).wrapping_add(high.wrapping_mul(HIGH)).wrapping_add(balance)
}

/// What column k + 19 column (k + 5) has on top, modulo 2^64.
const fn on_top(kind: usize, k: usize) -> u64 {
    constants(kind, k).wrapping_add(constants(kind, k + 5).wrapping_mul(19))
}

/// What the value of column k + 19 column (k + 5) is within. In a square a doubled product's low half stands for two.
const fn bound(k: usize) -> u64 {
    let low = terms(k) + 19 * terms(k + 5);
    let high = 19 * terms(k + 4) + if k == 0 { 0 } else { terms(k - 1) };
    low * (1 << 50) + high * HIGH_BOUND
}

/// What to add to a column within `2 * bound(k)` that has `on_top` on top: so that the digit is balanced, and nothing wraps.
const fn missing(k: usize, on_top: u64) -> u64 {
    let balance = BALANCE.wrapping_sub(on_top) & LIMB_MASK;
    let reach = 2 * bound(k) + BALANCE;
    let balanced = on_top.wrapping_add(balance);
    let more = if balanced >= reach && balanced <= u64::MAX - reach { 0 } else { 1 << 62 };
    let all = balanced.wrapping_add(more);
    assert!(all >= reach && all <= u64::MAX - reach, "no column wraps around");
    assert!(all & LIMB_MASK == BALANCE, "a digit has nothing on top but what balances it");
    balance + more
}

/// What is missing in each of the columns that have `on_top` on top.
pub(super) const fn all_missing(on_top: [u64; 5]) -> [u64; 5] {
    let mut all = [0; 5];
    let mut k = 0;
    while k < 5 {
        all[k] = missing(k, on_top[k]);
        let carry = (2 * bound(k) + BALANCE) / (1 << LIMB_BITS) + 1;
        let most = if k == 4 { 19 * carry } else { carry };
        assert!((1 << 50) + most <= REDUCED, "a digit and a carry are a reduced limb");
        k += 1;
    }
    all
}

/// What each digit with its carry has on top, where columns have `on_top` and get what they miss.
pub(super) const fn unbias(on_top: [u64; 5]) -> [f64; 5] {
    let mut carried = [0; 5];
    let mut k = 0;
    while k < 5 {
        carried[(k + 1) % 5] = on_top[k].wrapping_add(missing(k, on_top[k])) >> LIMB_BITS;
        k += 1;
    }
    let mut all = [0.0; 5];
    k = 0;
    while k < 5 {
        let carried = if k == 0 { 19 * carried[0] } else { carried[k] };
        all[k] = ((1 << 52) + BALANCE + carried) as f64;
        k += 1;
    }
    all
}

/// For [`combined`]: what is subtracted, modulo 2^64.
pub(super) const MINUS_ONE: u64 = u64::MAX;

/// The constants on top of columns of `kind` and of `other`, which are added once, subtracted, or not there.
pub(super) const fn combined(kind: usize, other: usize, times: u64) -> [u64; 5] {
    let mut all = [0; 5];
    let mut k = 0;
    while k < 5 {
        all[k] = on_top(kind, k).wrapping_add(on_top(other, k).wrapping_mul(times));
        k += 1;
    }
    all
}
