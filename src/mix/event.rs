//! What happens to a mix and what it wants done.

use std::sync::Arc;
use std::time::Duration;

use crate::blame::{Evidence, Finding};
use crate::crypto::MailboxId;
use crate::packet::Slots;
use crate::round::{Done, Job, OutgoingBatch, Phase, Submission};
use crate::wire::{Outcome, PeerMessage, Record, Reply, Request, SignedBatchHeader, Verdict};

/// Names a client's request until it is answered; drawn by the driver, never reused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub u64);

/// What happens to a mix.
pub enum Event {
    /// A link to another mix stands, with that mix's identity proven.
    LinkUp {
        /// Its place in the cascade.
        mix: usize,
    },
    /// It is gone.
    LinkDown {
        /// Its place in the cascade.
        mix: usize,
    },
    /// A message from another mix, but for [`PeerMessage::ForwardBatch`].
    Peer {
        /// Its place in the cascade.
        from: usize,
        /// What it says.
        message: PeerMessage,
    },
    /// A batch begins to arrive.
    Batch {
        /// The place in the cascade of the mix that sends it.
        from: usize,
        /// A number no other incoming stream has had.
        stream: u64,
        /// Its header.
        header: SignedBatchHeader,
    },
    /// Packets of a batch, in the order of its stream.
    Segment {
        /// The place in the cascade of the mix that sends it.
        from: usize,
        /// The stream.
        stream: u64,
        /// The round of its header.
        round: u64,
        /// The packets, not yet peeled.
        slots: Slots,
    },
    /// A client asks.
    Request {
        /// To answer by.
        id: RequestId,
        /// The client's roster index, proven by its link.
        client: u32,
        /// What it asks.
        request: Request,
        /// What came behind [`Request::Submit`] or [`Request::HandOver`].
        submission: Option<Submission>,
    },
    /// Bytes came that are no message, from a client or another mix.
    Malformed,
    /// A client's last link is gone; its unanswered requests with it.
    ClientGone {
        /// Its roster index.
        client: u32,
    },
    /// A job is done.
    Worked(Done),
    /// A record is on disk, or cannot be.
    Persisted {
        /// The action's token.
        token: u64,
        /// The verdict as written, for a decision.
        result: Result<Option<Verdict>, PersistError>,
    },
    /// The moment of [`super::Mix::poll_timeout`] has come.
    Timeout,
    /// No new rounds; finish what is under way.
    Stop,
    /// An operator lets an evicted client in again.
    Readmit {
        /// Its roster index.
        client: u32,
    },
    /// An operator has acted on the mix for whose guilt the network stopped.
    Resume,
}

/// What a mix wants done.
pub enum Action {
    /// Send a message to another mix. If the link breaks, it is lost.
    Send {
        /// Its place in the cascade.
        to: usize,
        /// What to say.
        message: PeerMessage,
    },
    /// Send a batch to the next mix. If the link breaks, it is lost, and asked for again.
    Forward {
        /// The next mix's place in the cascade.
        to: usize,
        /// Header and packets.
        batch: Arc<OutgoingBatch>,
    },
    /// Answer a client.
    Reply {
        /// Its request.
        id: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// Answer a poll from the mailbox with `poll_letters` places, then forget what is acknowledged.
    Poll {
        /// The request.
        id: RequestId,
        /// The mailbox whose capability the client has shown.
        mailbox: MailboxId,
        /// Letters up to this cursor are on the client's disk.
        acknowledged: u64,
        /// Letters behind this cursor are wanted.
        after: u64,
    },
    /// Do this on any core and come back with [`Event::Worked`].
    Work(Job),
    /// Put this on disk, in the order asked, and come back with [`Event::Persisted`].
    Persist {
        /// To come back with.
        token: u64,
        /// What to write.
        record: Record,
    },
    /// Somebody is guilty, and this mix's disk knows: for the operator, with the evidence file.
    Convicted {
        /// Who, of what.
        finding: Finding,
        /// It verifies.
        evidence: Box<Evidence>,
    },
    /// A fact for metrics; never about one client or packet.
    Note(Note),
}

/// A fact for metrics.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A round began at this mix: it opened at the entry, or its batch began to arrive.
    RoundBegan,
    /// A round ended at this mix.
    RoundEnded {
        /// The round.
        round: u64,
        /// How.
        outcome: Outcome,
        /// How many clients it held.
        clients: u32,
    },
    /// A round left a phase after this long.
    PhaseEnded {
        /// The phase.
        phase: Phase,
        /// How long it took.
        took: Duration,
    },
    /// A client has handed its submission to this mix.
    HandedOver,
    /// The entry has taken a submission that another mix had.
    Relayed,
    /// Packets came in.
    PacketsIn(u64),
    /// Packets went out.
    PacketsOut(u64),
    /// Something was refused.
    Rejected {
        /// Why, one word.
        reason: &'static str,
        /// How many.
        count: u64,
    },
    /// A new epoch begins.
    EpochBegan {
        /// Its number.
        epoch: u64,
    },
}

/// Why a record could not be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PersistError {
    /// Another document or verdict of that number has been signed, or the round opened: never again.
    #[error("the number is spent")]
    AlreadySigned,
    /// No space, or the disk fails: perhaps later.
    #[error("the disk does not take it")]
    Disk,
}

impl PersistError {
    pub(super) fn reason(self) -> &'static str {
        match self {
            PersistError::AlreadySigned => "already_signed",
            PersistError::Disk => "disk",
        }
    }
}
