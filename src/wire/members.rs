//! Which clients are in a round: a bitmap over the roster.

use crate::crypto::{Digest, Label, derive_parts};

use super::codec::{Decode, Encode};

/// The set of clients, by roster index, whose submissions a round holds: bit `i % 8` of byte `i / 8`.
///
/// It is public: a client learns from it whether its packets were carried, and everybody how many there were.
#[derive(Clone, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub struct Members {
    bitmap: Vec<u8>,
}

impl Members {
    /// No client of a roster of `size`.
    pub fn none(size: usize) -> Self {
        Self { bitmap: vec![0; size.div_ceil(8)] }
    }

    /// Adds a client; `false` if it was there.
    ///
    /// # Panics
    /// If the index is not on the roster.
    pub fn insert(&mut self, index: u32) -> bool {
        let (byte, bit) = (index as usize / 8, 1 << (index % 8));
        let absent = self.bitmap[byte] & bit == 0;
        self.bitmap[byte] |= bit;
        absent
    }

    /// Whether the client is in.
    pub fn contains(&self, index: u32) -> bool {
        self.bitmap.get(index as usize / 8).is_some_and(|byte| byte & (1 << (index % 8)) != 0)
    }

    /// How many clients are in.
    pub fn count(&self) -> u32 {
        self.bitmap.iter().map(|byte| byte.count_ones()).sum()
    }

    /// How many clients are in one of the two and not in the other.
    pub fn differences(&self, other: &Self) -> u32 {
        let (longer, shorter) = if self.bitmap.len() > other.bitmap.len() { (self, other) } else { (other, self) };
        let rest = shorter.bitmap.iter().chain(std::iter::repeat(&0));
        longer.bitmap.iter().zip(rest).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// The clients that are in, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.bitmap).flat_map(|(byte, bits)| {
            let set = move |bit: &u32| bits & (1 << bit) != 0;
            (0..8).filter(set).map(move |bit| 8 * byte + bit)
        })
    }

    /// Whether this is a bitmap over a roster of `size`: right length, no bit beyond the last client.
    pub fn fits(&self, size: usize) -> bool {
        let spare = size.div_ceil(8) * 8 - size;
        self.bitmap.len() == size.div_ceil(8)
            && self.bitmap.last().is_none_or(|last| u32::from(*last) >> (8 - spare as u32) == 0)
    }

    /// What signed headers and verdicts name.
    pub fn digest(&self) -> Digest {
        derive_parts(Label::Members, &[&self.bitmap])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_count_who_came_and_who_went() {
        let members = |size: usize, of: &[u32]| {
            let mut members = Members::none(size);
            of.iter().for_each(|client| _ = members.insert(*client));
            members
        };
        let (before, after) = (members(9, &[0, 1, 8]), members(20, &[1, 8, 9, 19]));
        assert_eq!((before.differences(&after), after.differences(&before)), (3, 3));
        assert_eq!(after.differences(&after), 0);
    }
}
