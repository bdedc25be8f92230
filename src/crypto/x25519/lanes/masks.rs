//! Scalars as the lanes take them: bit by bit, all scalars' bits of one place together.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::SecretKey;

/// Bits of a clamped scalar.
pub(super) const BITS: usize = 255;

/// Bit i of up to eight clamped scalars: lane l's is bit l of mask i. Bit 255 is not asked for.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Masks([u8; BITS + 1]);

impl Masks {
    /// Of no scalars.
    pub(super) fn none() -> Self {
        Self([0; BITS + 1])
    }

    /// One scalar in all lanes.
    pub(super) fn shared(scalar: &SecretKey) -> Self {
        let mut masks = Self::none();
        masks.set(&[scalar; 8]);
        masks
    }

    /// Bit i of each scalar.
    #[inline]
    pub(super) fn of(&self, i: usize) -> u8 {
        self.0[i]
    }

    /// Each lane its own, of as many lanes as there are scalars, at most eight.
    pub(super) fn set(&mut self, scalars: &[&SecretKey]) {
        for (at, masks) in self.0.chunks_exact_mut(8).enumerate() {
            let mut rows = [0; 8];
            for (row, scalar) in rows.iter_mut().zip(scalars) {
                *row = scalar.expose()[at];
            }
            masks.copy_from_slice(&transposed(u64::from_le_bytes(rows)).to_le_bytes());
        }
        // Clamped: a multiple of 8, with its highest bit where it always is.
        self.0[..3].fill(0);
        self.0[BITS - 1] = !0;
    }
}

/// Bit l of byte j becomes bit j of byte l ("Hacker's Delight", section 7-3).
fn transposed(mut rows: u64) -> u64 {
    for (distance, mask) in [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)] {
        let exchanged = (rows ^ (rows >> distance)) & mask;
        rows ^= exchanged ^ (exchanged << distance);
    }
    rows
}
