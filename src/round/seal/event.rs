//! What a seal is told, what it asks for, and what it puts on disk.

use crate::crypto::Digest;
use crate::wire::Mismatch;

/// Which mix this is, of how many, and how many shares open a round. Mixes count from 0, the entry.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Position {
    /// This mix.
    pub own: usize,
    /// L, 2 to 7.
    pub mixes: usize,
    /// t: as many shares open a round. Only with t = L are onion keys ever published.
    pub threshold: usize,
}

impl Position {
    /// Whether this mix is the last of the cascade.
    pub fn is_exit(&self) -> bool {
        self.own == self.exit()
    }

    /// The last mix.
    pub fn exit(&self) -> usize {
        self.mixes - 1
    }

    /// Whether every share is needed.
    pub fn needs_all(&self) -> bool {
        self.threshold == self.mixes
    }
}

/// How a round ends, as a verdict says it (without its details).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ending {
    /// Every letter is on the exit's disk.
    Stored,
    /// Nothing was opened, and nothing can be.
    Aborted,
    /// It may have been opened; its letters are not stored.
    OpenedNotStored,
}

/// What a mix has decided about a round for good: on its disk before anything that follows from it is said.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fact {
    /// The exit confirms, and will never call the round aborted.
    Confirmed,
    /// The share goes to the exit: this mix never burns the round and never signs that it was aborted.
    Released,
    /// The share goes to nobody.
    Burning,
    /// The verdict is signed; at the exit: decided, in the commit that stores the letters if there are any.
    Ended(Ending),
}

/// What a seal is told. Whatever comes from another mix has that mix's valid signature over this very round, which the
/// caller has checked; a share its point, an onion key its public half in the epoch document.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Event {
    /// All L mixes have signed one list.
    Listed,
    /// The batch is handed on and was taken; at the exit: was taken in, whole.
    Forwarded,
    /// Every echo matches its commitment, and the own noise came back. With the transcript.
    Echoed(Digest),
    /// This mix has found that what others signed does not fit together.
    Mismatch(Mismatch),
    /// A mix confirms.
    Confirm {
        /// Who.
        from: usize,
        /// What.
        transcript: Digest,
    },
    /// To the exit: a mix's share, found right.
    Share {
        /// Whose.
        from: usize,
    },
    /// A mix accuses.
    Accusation {
        /// Who does.
        from: usize,
    },
    /// A mix has erased its share.
    Burnt {
        /// Who.
        from: usize,
    },
    /// A mix's onion key is published, and is the right one.
    OnionKey {
        /// Whose.
        from: usize,
    },
    /// A fact is on disk.
    Persisted(Fact),
    /// At the exit: the envelopes are open, and letters ready to be stored.
    Opened,
    /// At the exit: the disk did not take the letters.
    NotStored,
    /// The exit has signed how the round ends.
    Decision(Ending),
    /// The round takes too long, or a mix that it needs is lost.
    TimedOut,
}

impl Event {
    /// The mix that signed it, if one did and it is named.
    pub(super) fn from(&self) -> Option<usize> {
        match *self {
            Event::Confirm { from, .. }
            | Event::Share { from }
            | Event::Accusation { from }
            | Event::Burnt { from }
            | Event::OnionKey { from } => Some(from),
            _ => None,
        }
    }
}

/// What a seal asks for, to be done in this order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Step {
    /// Put this on disk, then tell [`Event::Persisted`]. Facts reach the disk in the order asked for.
    Persist(Fact),
    /// Sign this and send it.
    Say(Message),
    /// Erase this of the round, and all that it was made from.
    Erase(Secret),
    /// At the exit: join the shares and open the envelopes, then tell [`Event::Opened`].
    Open,
    /// This mix has signed two different confirms: keep both as evidence.
    Equivocated(usize),
    /// With t < L: stop the network until an operator acts.
    Stop,
}

/// What a mix says about a round: to all, but for the share.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Message {
    /// [`crate::wire::Confirm`].
    Confirm(Digest),
    /// [`crate::wire::Release`], to the exit alone.
    Share,
    /// [`crate::wire::Accusation`].
    Accusation(Mismatch),
    /// [`crate::wire::Burnt`].
    Burnt,
    /// [`crate::wire::OnionKey`].
    OnionKey,
    /// The round's keys went with the process that held them.
    Lost,
    /// The verdict; of the exit: the decision.
    Ending(Ending),
}

/// A secret that a mix holds of a round.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Secret {
    /// The share of the envelope key.
    Share,
    /// The onion key.
    OnionKey,
}

/// Why a seal does not do what it is told. Nothing has changed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum SealError {
    /// There is no such mix in the cascade.
    #[error("there is no mix {0}")]
    UnknownMix(usize),
    /// The caller brings this mix's own statement as another's.
    #[error("a mix does not hear itself")]
    OwnStatement,
    /// The round has not come this far: the caller is wrong.
    #[error("the round has not come this far")]
    TooEarly,
    /// Nobody asked for this fact.
    #[error("{0:?} was not asked for")]
    NotAsked(Fact),
    /// Only the exit gets shares, opens and stores.
    #[error("this is the exit's")]
    NotTheExit,
    /// The exit is told its own decision.
    #[error("the exit decides itself")]
    IsTheExit,
    /// A decision against the one that this mix has signed.
    #[error("the round has ended otherwise")]
    Contradiction,
    /// An exit that calls a round aborted although this mix has released: refused for ever.
    #[error("the exit calls a round aborted that this mix has released")]
    AbortAfterRelease,
    /// An exit that calls a round aborted which it has confirmed: with its confirm, evidence.
    #[error("the exit calls a round aborted that it has confirmed")]
    AbortAfterConfirm,
    /// A round called stored that this mix has no reason to believe open.
    #[error("the exit calls a round stored that was not released")]
    StoredUnreleased,
}
