//! Defences that an experiment can do without, to see that it notices.

/// A defence of honest mixes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Defence {
    /// Every published echo is held against what its client committed to, and those of noise against what its mix foretold.
    EchoCheck,
    /// Clients' MACs over their records are checked.
    MacCheck,
    /// No batch may hold an onion twice.
    DuplicateCheck,
    /// One batch for each round.
    OnceRule,
    /// Parts of the joint keys come with a proof that their mix knows the secret.
    ProofOfPossession,
    /// Parts of the joint keys are what their mix committed to before it saw the others'.
    CommitFirst,
    /// What the entry does not take other mixes do, and sign no list without it.
    HandOver,
    /// Batches leave in a random order, and the exit opens its own in one.
    Shuffle,
    /// A round's secrets are erased when it is over.
    Erasure,
}

/// Which defences stand: in a released program all of them, and there the type is empty.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Defences {
    #[cfg(any(test, feature = "sim"))]
    missing: u16,
}

impl Defences {
    /// Whether `defence` stands.
    #[must_use]
    pub fn stands(self, defence: Defence) -> bool {
        #[cfg(any(test, feature = "sim"))]
        return self.missing & 1 << defence as u16 == 0;
        #[cfg(not(any(test, feature = "sim")))]
        return matches!(defence, _);
    }

    /// Without one more.
    #[cfg(any(test, feature = "sim"))]
    #[must_use]
    pub fn without(self, defence: Defence) -> Self {
        Self { missing: self.missing | 1 << defence as u16 }
    }
}
