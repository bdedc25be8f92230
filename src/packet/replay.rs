//! The exact set of ephemeral keys that a mix has peeled in one round.

use std::collections::HashSet;

/// Every key peeled in one round: exact, so no honest packet is ever refused and no replay accepted.
///
/// It lives and dies with the round's onion key; another round's packets fail their tag. Its hash function
/// is keyed at random, so nobody can choose keys that collide.
#[derive(Default)]
pub struct ReplaySet {
    seen: HashSet<[u8; 32]>,
}

impl ReplaySet {
    /// Adds a key *whose tag has held*, so that a forgery cannot block a key; `false` if it was there.
    #[must_use]
    pub fn insert(&mut self, ephemeral: [u8; 32]) -> bool {
        self.seen.insert(ephemeral)
    }

    /// Whether the key is there.
    pub fn contains(&self, ephemeral: &[u8; 32]) -> bool {
        self.seen.contains(ephemeral)
    }
}
