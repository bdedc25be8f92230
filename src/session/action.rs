//! What the engine asks of its driver, and what the driver tells it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::crypto::{MailboxId, PublicKey};
use crate::packet::{Address, MessageId};
use crate::wire::{Refusal, Reply, Request, SignedEpoch};

use super::{BuildJob, Built, OpenJob, Opened, RoundResult};

/// One of the two links that a client keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Link {
    /// To the first mix.
    Entry,
    /// To the last mix.
    Exit,
}

/// Names one request, and the answer being delivered that came of it; never used twice by a session.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub(super) u64);

#[cfg(test)]
impl RequestId {
    /// One for the test of a driver.
    pub(crate) fn of(number: u64) -> Self {
        Self(number)
    }
}

/// The contacts whose sender tags are checked: mailbox to letter key. In an order, so that what names nobody has a nearest one too.
pub type Contacts = BTreeMap<MailboxId, PublicKey>;

/// A part of a message, as the outbox hands it out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fragment {
    /// The message, the same at every resend.
    pub message: MessageId,
    /// Which part, from 0.
    pub index: u32,
    /// Of how many.
    pub count: u32,
    /// The last epoch in which the message may arrive; at most the `expiry` of the reservation.
    pub expiry: u64,
    /// The recipient; its letter key has passed [`PublicKey::check`].
    pub to: Address,
    /// Whether the letter names us.
    pub named: bool,
    /// At most `payload` bytes.
    pub data: Vec<u8>,
}

/// A part of a message that arrived, for the inbox. Parts of one message share sender and id; they may come twice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// The message.
    pub message: MessageId,
    /// Which part, below `count`.
    pub index: u32,
    /// Of how many, as the sender claims: at most what `max_message` needs.
    pub count: u32,
    /// The last epoch in which parts may arrive and in which the id must be remembered.
    pub expiry: u64,
    /// The contact that made it, by its tag; `None` for everybody else.
    pub sender: Option<MailboxId>,
    /// The round it was carried in.
    pub round: u64,
    /// The sender's bytes.
    pub data: Vec<u8>,
}

/// A round's number was spent before: nothing may be submitted to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the round has been used before")]
pub struct AlreadyUsed;

/// What the driver does. Disk actions - `Reserve`, `Settle`, `Abandon`, `RememberEpoch`, `Deliver` - are carried out in
/// the order in which they come; the rest as soon as possible and independently of each other.
pub enum Action {
    /// Ask over a link; answered with [`Event::Reply`] or [`Event::Failed`].
    Request {
        /// Which link.
        link: Link,
        /// Names the answer.
        id: RequestId,
        /// The message.
        request: Request,
    },
    /// Ask the entry [`Request::Submit`] with these packets behind it, and the records behind them; answered like a request. Never tried again.
    Submit {
        /// Names the answer.
        id: RequestId,
        /// The round.
        round: u64,
        /// `packets_per_client` packets.
        packets: Vec<u8>,
        /// [`crate::wire::Network::records_length`] bytes.
        records: Vec<u8>,
    },
    /// Ask the mix at this place, not the entry, [`Request::HandOver`] with what the entry was sent; answered like a request. A mix
    /// that there is no link to is dialled for it.
    HandOver {
        /// Names the answer.
        id: RequestId,
        /// The mix's place in the cascade.
        mix: usize,
        /// The round.
        round: u64,
        /// As in [`Action::Submit`].
        packets: Vec<u8>,
        /// As there.
        records: Vec<u8>,
    },
    /// Nobody waits for this request any more: reset its stream.
    Cancel {
        /// The request.
        id: RequestId,
    },
    /// Mark `round` used, durably, and hand back up to `count` fragments that it now carries:
    /// [`Event::Reserved`].
    Reserve {
        /// The round.
        round: u64,
        /// The expiry epoch of messages that go out for the first time.
        expiry: u64,
        /// `packets_per_client`.
        count: u32,
    },
    /// The round's verdict: what it carried is safe, or goes back to the outbox. Durable, then [`Event::Settled`]. A
    /// round that carried nothing is settled as well.
    Settle {
        /// The round.
        round: u64,
        /// Whether its content is at the exit.
        carried: bool,
    },
    /// Nobody has the round's verdict any more. What it carried may have arrived or not: it must not be sent again by
    /// itself, and its sender must be told. No event.
    Abandon {
        /// The round.
        round: u64,
    },
    /// Keep the newest document on disk. No event.
    RememberEpoch(SignedEpoch),
    /// Commit to the inbox, also when there is nothing in it: [`Event::Delivered`].
    Deliver {
        /// Names the delivery.
        id: RequestId,
        /// The current epoch: ids whose expiry lies before it may be forgotten.
        epoch: u64,
        /// What arrived.
        arrivals: Vec<Arrival>,
    },
    /// Run on the pool: [`Event::Built`].
    Build(Box<BuildJob>),
    /// Run on the pool: [`Event::Opened`].
    Open(Box<OpenJob>),
    /// Some mix has signed two things of which one can be true: make evidence of it, for the operators.
    Contradicted(super::Contradiction),
    /// Tell the user.
    Note(Note),
    /// After [`Event::Stop`]: nothing is left that needs a link.
    Stopped,
}

/// What happened.
pub enum Event {
    /// A link is authenticated and ready.
    LinkUp {
        /// Which.
        link: Link,
        /// Whether its key exchange was post-quantum.
        post_quantum: bool,
    },
    /// A link is gone and all requests on it with it.
    LinkDown {
        /// Which.
        link: Link,
    },
    /// A request was answered.
    Reply {
        /// The request.
        id: RequestId,
        /// The frame.
        reply: Reply,
        /// What followed the frame: the letters of a poll.
        letters: Vec<u8>,
    },
    /// A request failed: its stream broke or its answer did not decode.
    Failed {
        /// The request.
        id: RequestId,
    },
    /// [`Action::Reserve`] is durable.
    Reserved {
        /// The round.
        round: u64,
        /// At most `count` fragments.
        result: Result<Vec<Fragment>, AlreadyUsed>,
    },
    /// [`Action::Settle`] is durable.
    Settled {
        /// The round.
        round: u64,
    },
    /// [`Action::Deliver`] is durable.
    Delivered {
        /// The delivery.
        id: RequestId,
    },
    /// [`Action::Build`] is done.
    Built(Built),
    /// [`Action::Open`] is done.
    Opened(Opened),
    /// The contacts changed.
    Contacts(Arc<Contacts>),
    /// The time of [`super::Session::poll_timeout`] has come.
    Timeout,
    /// Finish the round in hand, start nothing.
    Stop,
}

/// A fact for the user.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Note {
    /// A round has ended for us.
    #[error("round {} ended", .0.round)]
    Round(RoundResult),
    /// The entry does not know us.
    #[error(
        "the entry does not find this client on its roster: give the operators this client's public identity, or take their newest network file"
    )]
    NotOnRoster,
    /// Documents between two epochs are missing; all signatures of the newer one hold.
    #[error(
        "epoch {received} does not directly follow epoch {known}: this client was away for longer than the mixes keep documents, or their records were replaced; ask an operator if neither is the case"
    )]
    EpochGap {
        /// The last one known.
        known: u64,
        /// The one received.
        received: u64,
    },
    /// The mixes' parameters, roster or mailboxes are not those of our network file: their rounds are closed to us.
    #[error(
        "the mixes of epoch {epoch} run with another network file than this client's; get the present one from an operator and start again"
    )]
    OtherNetworkFile {
        /// The epoch.
        epoch: u64,
    },
    /// All mixes have signed two documents of one number.
    #[error(
        "the mixes have signed two different documents of epoch {epoch}: no honest mix does; report it to the operators"
    )]
    EpochFork {
        /// The number.
        epoch: u64,
    },
    /// A mix has signed two verdicts of one round.
    #[error(
        "mixes have signed two different verdicts of round {round}: no honest mix does; give the operators the evidence file"
    )]
    VerdictFork {
        /// The round.
        round: u64,
    },
    /// The entry owes a verdict; without it we are absent.
    #[error(
        "the entry gives no verdict on round {round}: this client stays absent until it does; check the entry if it lasts"
    )]
    VerdictOwed {
        /// The round.
        round: u64,
    },
    /// As [`Action::Abandon`].
    #[error(
        "nobody knows any more whether round {round} was stored: ask the recipients before sending its messages again"
    )]
    Abandoned {
        /// The round.
        round: u64,
    },
    /// A fragment cannot be sealed and was replaced by a dummy.
    #[error("message {message} cannot be sent: its recipient's letter key is unusable; get the contact anew")]
    Unsendable {
        /// The message.
        message: MessageId,
    },
    /// The entry or the exit refused a request.
    #[error("refused: {0}")]
    Refused(Refusal),
}
