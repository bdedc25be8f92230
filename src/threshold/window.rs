//! What joint keys are made for: how many mixes, how many of them open, which rounds.

use crate::crypto::Digest;

/// The fewest mixes of a cascade.
pub const MIN_MIXES: u8 = 2;
/// The most.
pub const MAX_MIXES: u8 = 7;

/// t of L: how many mixes there are, and how many of them open a round together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Scheme {
    threshold: u8,
    mixes: u8,
}

impl Scheme {
    /// `threshold` of `mixes`.
    ///
    /// # Errors
    /// Unless 2 <= `mixes` <= 7 and 2 <= `threshold` <= `mixes`: one mix alone must never open a round.
    pub fn new(threshold: u8, mixes: u8) -> Result<Self, WindowError> {
        if !(MIN_MIXES..=MAX_MIXES).contains(&mixes) {
            return Err(WindowError::Mixes(mixes));
        }
        if !(2..=mixes).contains(&threshold) {
            return Err(WindowError::Threshold { threshold, mixes });
        }
        Ok(Self { threshold, mixes })
    }

    /// t: how many shares open a round.
    pub fn threshold(self) -> u8 {
        self.threshold
    }

    /// L: how many mixes there are, numbered from 1.
    pub fn mixes(self) -> u8 {
        self.mixes
    }

    /// Whether all are needed, so that shares simply add up and nothing is dealt.
    pub fn is_additive(self) -> bool {
        self.threshold == self.mixes
    }

    /// How many coefficients a mix draws and commits to in each round.
    pub(super) fn coefficients(self) -> usize {
        if self.is_additive() { 1 } else { usize::from(self.threshold) }
    }
}

/// The rounds that joint keys are made for at once, and everything that the keys are bound to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    network: Digest,
    epoch: u64,
    first_round: u64,
    rounds: u32,
    scheme: Scheme,
}

impl Window {
    /// `rounds` rounds of `epoch`, from `first_round` on. The caller bounds `rounds`: all sizes grow with it.
    ///
    /// # Errors
    /// If there is no round, or one beyond the last number.
    pub fn new(
        network: Digest,
        epoch: u64,
        first_round: u64,
        rounds: u32,
        scheme: Scheme,
    ) -> Result<Self, WindowError> {
        if rounds == 0 || first_round.checked_add(u64::from(rounds)).is_none() {
            return Err(WindowError::Rounds);
        }
        Ok(Self { network, epoch, first_round, rounds, scheme })
    }

    /// The network's identifier.
    pub fn network(&self) -> &Digest {
        &self.network
    }

    /// The epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// t of L.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its rounds, in order.
    pub fn rounds(&self) -> std::ops::Range<u64> {
        self.first_round..self.first_round + u64::from(self.rounds)
    }

    /// Where `round` stands in it.
    pub fn position(&self, round: u64) -> Option<usize> {
        self.rounds().contains(&round).then(|| (round - self.first_round) as usize)
    }

    /// Whether `mix` is one of 1 to L.
    pub fn has_mix(&self, mix: u8) -> bool {
        (1..=self.scheme.mixes).contains(&mix)
    }

    /// What a commitment is bound to: network 32 | epoch 8 | first round 8 | rounds 4 | t 1 | L 1 | mix 1, 55 bytes.
    pub(super) fn dealing_context(&self, mix: u8) -> Vec<u8> {
        let mut context = self.network.0.to_vec();
        context.extend_from_slice(&self.epoch.to_le_bytes());
        context.extend_from_slice(&self.first_round.to_le_bytes());
        context.extend_from_slice(&self.rounds.to_le_bytes());
        context.extend_from_slice(&[self.scheme.threshold, self.scheme.mixes, mix]);
        context
    }

    /// What a proof of possession is bound to: network 32 | epoch 8 | round 8 | mix 1 | L 1, 50 bytes.
    pub(super) fn possession_context(&self, round: u64, mix: u8) -> Vec<u8> {
        let mut context = self.network.0.to_vec();
        context.extend_from_slice(&self.epoch.to_le_bytes());
        context.extend_from_slice(&round.to_le_bytes());
        context.extend_from_slice(&[mix, self.scheme.mixes]);
        context
    }
}

/// Numbers for which there are no joint keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WindowError {
    /// L is out of range.
    #[error("{0} mixes: joint keys are for {MIN_MIXES} to {MAX_MIXES}")]
    Mixes(u8),
    /// t is out of range.
    #[error("{threshold} of {mixes} mixes: between 2 and all of them open a round")]
    Threshold {
        /// t as given.
        threshold: u8,
        /// L.
        mixes: u8,
    },
    /// There is no round, or too late a one.
    #[error("joint keys are for at least one round, and none beyond the last number")]
    Rounds,
}
