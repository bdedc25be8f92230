//! Why a request is not granted.

use super::codec::{Decode, Encode};

/// Why a request is not granted; coarse on purpose, the mix counts the precise cause.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The message or its packets are not well-formed, or do not open.
    #[error("malformed")]
    Malformed,
    /// The round is not the open one.
    #[error("wrong round")]
    WrongRound,
    /// Submissions for the round have closed.
    #[error("late")]
    Late,
    /// The client has submitted to this round.
    #[error("duplicate")]
    Duplicate,
    /// There is no room.
    #[error("full")]
    Full,
    /// The link's identity is not on the roster.
    #[error("not on the roster")]
    NotOnRoster,
    /// Register first.
    #[error("not registered")]
    NotRegistered,
    /// This mix does not answer that: ask the entry or the exit.
    #[error("wrong mix")]
    WrongMix,
    /// The mix is stopping.
    #[error("stopping")]
    Stopping,
    /// The client has been proven guilty of breaking a round; its operator can have it let in again.
    #[error("evicted")]
    Evicted,
}
