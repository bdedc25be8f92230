//! Who did what wrong, and what cannot be done for other reasons.

use super::PointFault;

/// A mix that broke the protocol, and how. Whoever has the same messages finds the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("mix {mix}: {cause}")]
pub struct Fault {
    /// The guilty mix, from 1.
    pub mix: u8,
    /// What it did.
    pub cause: FaultCause,
}

/// What a mix did wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FaultCause {
    /// Its opening is not what it committed to.
    #[error("its opening does not match its commitment")]
    Commitment,
    /// Its opening has not the length that the window asks for.
    #[error("its opening has the wrong length")]
    Length,
    /// A point of its opening may not be used.
    #[error("round {round}: {fault}")]
    Point {
        /// Whose key it is a part of.
        round: u64,
        /// Why.
        fault: PointFault,
    },
    /// It does not prove that it knows its part of a round's key.
    #[error("its proof of possession for round {round} does not hold")]
    Possession {
        /// Whose key it is a part of.
        round: u64,
    },
    /// It dealt a sub-share that its own commitments contradict.
    #[error("its sub-share of round {round} for mix {receiver} contradicts its commitments")]
    SubShare {
        /// Whose key it is a part of.
        round: u64,
        /// To whom it was dealt.
        receiver: u8,
    },
    /// It released a share that is not its own.
    #[error("its released share of round {round} is wrong")]
    Share {
        /// Which round.
        round: u64,
    },
}

/// Why joint keys cannot be made or opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JointKeyError {
    /// Somebody is guilty.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// There is not one contribution of each mix, in order and for this window.
    #[error("a contribution of each mix is needed, in order and for one window")]
    Contributions,
    /// The round is not in the window.
    #[error("round {0} has no joint key here")]
    UnknownRound(u64),
    /// No such mix.
    #[error("there is no mix {0}")]
    UnknownMix(u8),
    /// With t = L nothing is dealt.
    #[error("nothing is dealt when all mixes are needed to open a round")]
    NothingDealt,
    /// This mix's secrets of the round are gone.
    #[error("the secrets of round {0} are erased")]
    Erased(u64),
    /// A dealer's sub-share has not come.
    #[error("the sub-share of mix {dealer} for round {round} is missing")]
    MissingSubShare {
        /// Who should have dealt it.
        dealer: u8,
        /// Of which round.
        round: u64,
    },
    /// Fewer shares than open a round.
    #[error("{given} shares of {needed} are there")]
    TooFewShares {
        /// How many there are.
        given: usize,
        /// t.
        needed: u8,
    },
    /// Two shares of one mix.
    #[error("mix {0} has two shares here")]
    RepeatedShare(u8),
    /// The parts add up to the identity: nobody could prevent it by chance, and nobody can use it.
    #[error("the parts of round {0} cancel out")]
    NoKey(u64),
    /// What the shares join to is not the secret of the public key, though each is right.
    #[error("the shares of round {0} do not join to its key")]
    WrongJoin(u64),
    /// The joined secret has no clamped form; of random ones, one in 2^126.
    #[error("the key of round {0} has no X25519 form")]
    NoClampedForm(u64),
}
