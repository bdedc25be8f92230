//! What a seal counts: facts decided, mixes heard.

use super::{Ending, Fact};

/// What is decided for good about a round.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Facts {
    pub(super) confirmed: bool,
    pub(super) released: bool,
    pub(super) burning: bool,
    pub(super) ended: Option<Ending>,
}

impl Facts {
    pub(super) fn record(&mut self, fact: Fact) {
        match fact {
            Fact::Confirmed => self.confirmed = true,
            Fact::Released => self.released = true,
            Fact::Burning => self.burning = true,
            Fact::Ended(ending) => self.ended = Some(ending),
        }
    }
}

/// A set of mixes, by their indices.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Mixes(u8);

impl Mixes {
    pub(super) fn insert(&mut self, mix: usize) {
        self.0 |= 1 << mix;
    }

    pub(super) fn contains(self, mix: usize) -> bool {
        self.0 & 1 << mix != 0
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// A mix's number on the wire, from 1.
pub(super) fn hop(mix: usize) -> u8 {
    u8::try_from(mix + 1).expect("a cascade has at most 7 mixes")
}
