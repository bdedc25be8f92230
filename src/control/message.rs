//! What is said over a control socket.

use crate::wire::codec::{Decode, Encode};

/// What a local program asks its daemon.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Ask {
    /// How are things? Any daemon; answered with [`Answer::Status`].
    Status,
    /// To a client: take this message; its content's bytes follow. Answered with [`Answer::Accepted`] once it is
    /// durable in the outbox.
    PrepareMessage(Outgoing),
    /// To a client: tell when this message's state is final. Answered with [`Answer::Progress`].
    AwaitStored {
        /// The message.
        message: [u8; 16],
    },
    /// To a client: answered with an [`Answer::Message`] and its content for each, then [`Answer::End`].
    PollMessages {
        /// Also those that have been read.
        all: bool,
        /// Milliseconds to wait for a first message if there is none.
        wait_ms: u64,
    },
    /// To a client: these have been shown to the user.
    MarkRead {
        /// The messages.
        messages: Vec<[u8; 16]>,
    },
    /// To a client: the home's contacts have changed.
    Contacts,
    /// To a client: send a message that is held once more.
    Retry {
        /// The message.
        message: [u8; 16],
    },
    /// To a client: give up a message that waits.
    Drop {
        /// The message.
        message: [u8; 16],
    },
    /// To a client: answered with an [`Answer::Listed`] for each message of the outbox, oldest first, then
    /// [`Answer::End`].
    Outbox {
        /// Also those that are stored, the newest 1,000.
        all: bool,
    },
    /// To a mix: let a client in again that was proven guilty. Answered with [`Answer::Done`].
    Readmit {
        /// The client's name in the network file.
        client: String,
    },
    /// To a mix: go on, after operators have acted on a guilty mix. Answered with [`Answer::Done`].
    Resume,
}

/// What a message is.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum MessageKind {
    /// Text.
    Text,
    /// A file.
    File,
}

/// A message to send.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Outgoing {
    /// The name of a contact.
    pub to: String,
    /// Whether the recipient learns who sent it.
    pub named: bool,
    /// What it is.
    pub kind: MessageKind,
    /// A file's name; else empty.
    pub name: String,
    /// Bytes of content that follow.
    pub bytes: u64,
}

/// A message of the outbox.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Listed {
    /// Its id.
    pub message: [u8; 16],
    /// The contact that it goes to; `None` if that is no contact any more.
    pub to: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// In how many packets it travels.
    pub packets: u32,
    /// Where it is.
    pub state: Place,
    /// How often it went again.
    pub resends: u32,
}

/// Where a message of the outbox is.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Place {
    /// It waits for a round.
    Queued,
    /// A part of it is in a round without a verdict.
    InFlight,
    /// All of it is stored at the exit.
    Stored,
    /// It waits for its user: it has failed too often, or expired.
    Held,
}

/// Among whom a message was hidden.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub struct Crowd {
    /// Whether its rounds were sealed.
    pub sealed: bool,
    /// Admitted clients in the smallest of its rounds, of those whose verdicts the daemon remembers; a round's verdict comes
    /// some rounds behind its letters.
    pub clients: Option<u32>,
}

/// A message received.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Incoming {
    /// Its id.
    pub message: [u8; 16],
    /// The contact that sent it, if it named itself and is one.
    pub from: Option<String>,
    /// What it is.
    pub kind: MessageKind,
    /// A file's name as its sender gave it: not to be trusted as a path.
    pub name: String,
    /// The round in which it became complete.
    pub round: u64,
    /// Among whom it came.
    pub crowd: Crowd,
    /// Bytes of content that follow.
    pub bytes: u64,
}

/// How far a message has come.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Progress {
    /// Whether all of it is stored at the exit; else it waits for its user, after too many failures.
    pub stored: bool,
    /// The rounds that carried it.
    pub rounds: Vec<u64>,
    /// Among whom it went.
    pub crowd: Crowd,
    /// How often it went again.
    pub resends: u32,
}

/// Why an [`Ask`] is not granted.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq, thiserror::Error)]
pub enum Failure {
    /// There is no contact of that name.
    #[error("there is no contact of that name; `contact list` shows those there are, `contact add` takes a new one")]
    UnknownContact,
    /// The content exceeds the network's limit.
    #[error("the message is larger than the network takes; split it")]
    TooLarge,
    /// The file's name is not one.
    #[error("the file's name is empty or too long; rename it")]
    BadName,
    /// The outbox has no room.
    #[error(
        "the outbox is full; try again when messages are stored, drop some with `outbox drop`, or raise `outbox_bytes`"
    )]
    OutboxFull,
    /// The disk fails.
    #[error("the disk does not take it; `status` and the daemon's log say why")]
    Disk,
    /// There is no such message, or not in a state for this.
    #[error("there is no such message, or it cannot be changed now; `status` shows what waits")]
    NoMessage,
    /// This daemon does not do that.
    #[error("this daemon does not do that")]
    WrongDaemon,
    /// The daemon stops.
    #[error("the daemon is stopping; try again")]
    Stopping,
    /// The disk is full.
    #[error("the daemon's disk is full; free space on it, then try again")]
    DiskFull,
    /// No client of that name is out.
    #[error("no client of that name is out; `mixnode status` shows who is")]
    NotEvicted,
    /// Nothing stands still.
    #[error("this mix takes part in rounds; `mixnode status` shows how it is doing")]
    NotStopped,
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Answer {
    /// The state as one JSON object.
    Status(String),
    /// A message is in the outbox.
    Accepted {
        /// Its id.
        message: [u8; 16],
        /// In how many packets it will travel.
        packets: u32,
        /// The earliest round that can carry it.
        earliest_round: u64,
    },
    /// How far a message has come.
    Progress(Progress),
    /// A message; its content follows.
    Message(Incoming),
    /// No further message.
    End,
    /// It is done.
    Done,
    /// It is not.
    Failed(Failure),
    /// A message of the outbox.
    Listed(Listed),
}
