//! Every message: what clients ask, what mixes answer, what mixes tell each other.
//!
//! A client's request is one bidirectional stream: a [`Request`] frame, raw packets behind it for a submission
//! or a hand-over, then a [`Reply`] frame, raw letters behind it for a poll. On a connection that speaks for several
//! clients a [`Request::As`] frame comes first. Between mixes each message is a unidirectional stream:
//! a [`PeerMessage`] frame, raw packets behind it for a batch. Streams are not ordered among each other and a link
//! may break at any time, so every message says which round or epoch it is about and may safely come twice.

use crate::crypto::{Digest, Signature};

use super::codec::{Decode, Encode};
use super::{
    AbortReason, Accusation, Burnt, Confirm, EpochDocument, Exhibit, Grounds, Headers, ListComplete, ListSignature,
    Members, MixKeys, OnionKey, Piece, Receipt, Refusal, SecondList, SecretPart, SignedBatchHeader, SignedEchoHeader,
    SignedEpoch, SignedListComplaint, SignedListHeader, SignedVerdict, SubShares, Verdict,
};

/// In front of each letter of a poll answer: epoch 8 | round 8, to which its seal is bound.
pub const LETTER_HEADER_BYTES: usize = 16;

/// What a client asks the entry or the exit.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Request {
    /// To the entry: take part. Who asks is proven by the link.
    Register,
    /// To the entry: answered, with [`Reply::Start`], when the network runs.
    WaitForStart {
        /// The last epoch whose document the client holds; 0 for none.
        epoch: u64,
    },
    /// To the entry: answered, with [`Reply::Ticket`], when the next round behind `after` opens.
    NextRound {
        /// The last epoch whose document the client holds.
        epoch: u64,
        /// The last round for which the client holds a ticket.
        after: u64,
        /// The earliest round that the client took part in and whose verdict it lacks; `after + 1` for none.
        unsettled: u64,
    },
    /// To the entry: `packets_per_client` packets of W bytes follow the frame. Answered with [`Reply::Receipt`].
    Submit {
        /// The round they are for.
        round: u64,
    },
    /// To the exit: answered, with [`Reply::Letters`], when the round's verdict is known there.
    PollMessages {
        /// The round to wait for.
        round: u64,
        /// The capability whose hash is the mailbox's id.
        capability: [u8; 32],
        /// The cursor of the last answer whose letters are on the client's disk; they may go. Little-endian, fixed
        /// width, so that polls have one size.
        acknowledged: [u8; 8],
        /// The cursor of the last answer that the client has taken in, on disk or not: letters behind it are wanted.
        after: [u8; 8],
    },
    /// This connection speaks for that client, too. Answered with [`Reply::Attached`].
    Attach {
        /// Its roster index.
        client: u32,
        /// Its own over [`super::Attachment`] of this connection.
        signature: Signature,
    },
    /// What follows on this stream, one further request, is of a client that is attached.
    As {
        /// Its roster index, little-endian, fixed width, so that what clients of a gateway send has one size.
        client: [u8; 4],
    },
    /// To any mix but the entry: the submission of which the client has no receipt follows the frame, as behind
    /// [`Request::Submit`]. Answered with [`Reply::HandedOver`].
    HandOver {
        /// The round it is for.
        round: u64,
    },
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Reply {
    /// To [`Request::Register`].
    Registered {
        /// The client's roster index.
        index: u32,
    },
    /// To [`Request::WaitForStart`].
    Start(Start),
    /// To [`Request::NextRound`].
    Ticket(Ticket),
    /// To [`Request::Submit`].
    Receipt(Receipt),
    /// To [`Request::PollMessages`]; the letters follow the frame.
    Letters(PollAnswer),
    /// The request is not granted.
    Refused(Refusal),
    /// To [`Request::Attach`].
    Attached {
        /// The roster index of the client for which the connection speaks now.
        index: u32,
    },
    /// To [`Request::HandOver`]: this mix signs no list of the round without the client.
    HandedOver {
        /// The round.
        round: u64,
    },
}

/// The network runs.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Start {
    /// The documents after the client's last, oldest first, the current one last.
    pub chain: Vec<SignedEpoch>,
    /// The next round to open.
    pub round: u64,
    /// Milliseconds until then, as planned.
    pub starts_in_ms: u64,
    /// Milliseconds from one round's start to the next; 0: it opens when the one before is collected.
    pub round_ms: u32,
}

/// The right, and the news that everybody gets, to take part in a round.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Ticket {
    /// The round that is open now.
    pub round: u64,
    /// Milliseconds until submissions close.
    pub closes_in_ms: u64,
    /// Documents that the client lacks, oldest first.
    pub chain: Vec<SignedEpoch>,
    /// The verdicts of the rounds from the client's earliest unsettled one to `round - D`, oldest first. A run longer
    /// than a message may be continues in the next ticket.
    pub verdicts: Vec<SignedVerdict>,
}

/// What precedes the letters of a poll answer: `poll_letters` places of
/// [`LETTER_HEADER_BYTES`] + letter bytes each, the first `count` of them letters, the rest zero.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct PollAnswer {
    /// How many places hold a letter. Fixed width, so that answers have one size.
    pub count: [u8; 4],
    /// To be acknowledged once the letters are on disk.
    pub cursor: [u8; 8],
}

/// The entry's call for an epoch.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct EpochCall {
    /// The number of the epoch called for.
    pub epoch: u64,
    /// The last complete document the entry knows; the new one will follow it.
    pub previous: Option<SignedEpoch>,
    /// The first round.
    pub first_round: u64,
    /// How many rounds.
    pub rounds: u32,
}

/// Why a mix does not go along with an epoch.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
pub enum EpochRefusalReason {
    /// Its network file differs from the proposer's.
    Parameters,
    /// It knows a later document, sent along.
    Stale,
    /// It has signed another document of this number.
    Signed,
    /// The document is not as it was called for, or does not hold the mix's own keys.
    Document,
    /// A part of the joint keys is not what was committed to, or was dealt wrongly.
    Dealing,
}

/// What mixes tell each other.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub enum PeerMessage {
    /// The first message on a fresh link.
    Hello {
        /// As in [`MixKeys::boot`].
        boot: [u8; 16],
        /// The last complete epoch the sender knows; 0 for none.
        epoch: u64,
    },
    /// Entry to all: let us make an epoch.
    EpochCall(EpochCall),
    /// To the entry: my keys for it.
    EpochKeys {
        /// The epoch called for.
        epoch: u64,
        /// The keys.
        keys: MixKeys,
    },
    /// Entry to all: what everybody has committed to, in cascade order.
    EpochCommitments {
        /// The epoch called for.
        epoch: u64,
        /// [`MixKeys::dealing`] of each mix.
        dealings: Vec<Digest>,
    },
    /// To the entry, once everybody has committed: what I committed to.
    EpochOpening {
        /// The epoch called for.
        epoch: u64,
        /// `threshold::Opening`.
        opening: Vec<u8>,
    },
    /// To each other mix, if fewer than all open a round: its sub-shares of my part.
    EpochSubShares(SubShares),
    /// Entry to all: sign this.
    EpochProposal {
        /// The document.
        document: EpochDocument,
        /// What each mix committed to, in cascade order.
        openings: Vec<Vec<u8>>,
    },
    /// To the entry: signed.
    EpochSignature {
        /// The epoch.
        epoch: u64,
        /// The document's digest.
        digest: Digest,
        /// Over it.
        signature: Signature,
    },
    /// To the entry: not signed.
    EpochRefusal {
        /// The epoch.
        epoch: u64,
        /// Why.
        reason: EpochRefusalReason,
        /// The later document, for [`EpochRefusalReason::Stale`].
        newest: Option<SignedEpoch>,
    },
    /// Entry to all: complete.
    EpochComplete(SignedEpoch),
    /// To the next mix: a batch; its packets follow the frame.
    ForwardBatch(SignedBatchHeader),
    /// To the previous mix: the batch is peeled and mine.
    BatchAccepted {
        /// The round.
        round: u64,
        /// The batch's output digest.
        digest: Digest,
    },
    /// Entry to each other mix: a piece of the rows and signatures of the round's first list.
    List {
        /// The list's.
        header: SignedListHeader,
        /// Of what is for this mix.
        piece: Piece,
    },
    /// Entry to all: the list without those of whom mixes complained.
    SecondList(SecondList),
    /// To the entry: the list is good.
    ListSignature(ListSignature),
    /// To the entry: it is not.
    ListComplaint(SignedListComplaint),
    /// Entry to all: all have signed; batches may move.
    ListComplete(ListComplete),
    /// To all: which batch I hand on.
    BatchHeader(SignedBatchHeader),
    /// To the previous mix, of hop 1 to all: a piece of the echoes of a batch.
    Echoes {
        /// The echoes'.
        header: SignedEchoHeader,
        /// Of the echoes.
        piece: Piece,
    },
    /// To all: which echoes I hand back.
    EchoHeader(SignedEchoHeader),
    /// To all: every client's packet is accounted for.
    Confirm {
        /// What is confirmed.
        confirm: Confirm,
        /// What it rests on.
        grounds: Grounds,
        /// The mix's.
        signature: Signature,
    },
    /// To the exit: my share of the round's secret; with t of them its envelopes open.
    Release {
        /// The round's epoch.
        epoch: u64,
        /// The round.
        round: u64,
        /// What all have confirmed; zero if the round is not sealed.
        transcript: Digest,
        /// `threshold::Share`.
        share: SecretPart,
        /// The mix's over [`super::Release`].
        signature: Signature,
    },
    /// To the exit: decide this round, as aborted unless it is stored.
    Abort {
        /// The round's epoch.
        epoch: u64,
        /// The round.
        round: u64,
        /// Why.
        reason: AbortReason,
    },
    /// Exit to entry, entry to the others: the decision on a round, with the exit's signature.
    Decision {
        /// What the exit decided.
        verdict: Verdict,
        /// The exit's.
        signature: Signature,
    },
    /// To the entry: my signature under a decision.
    VerdictSignature {
        /// The round.
        round: u64,
        /// The mix's.
        signature: Signature,
    },
    /// Entry to all: complete.
    VerdictComplete(SignedVerdict),
    /// To all: what others signed in a round does not fit.
    Accusation {
        /// What does not fit.
        accusation: Accusation,
        /// The mix's.
        signature: Signature,
    },
    /// To all: my share of the round is erased.
    Burnt {
        /// The round.
        burnt: Burnt,
        /// The mix's.
        signature: Signature,
    },
    /// To all, once all have burnt the round: my onion key of it.
    OnionKey {
        /// The key.
        key: OnionKey,
        /// The mix's.
        signature: Signature,
    },
    /// To all, with the onion key: which signed headers I have seen.
    Headers(Headers),
    /// To who knows it: show me this of a burnt round.
    Ask {
        /// The round.
        round: u64,
        /// What.
        exhibit: Exhibit,
        /// Which piece of it.
        number: u32,
    },
    /// The answer to it.
    Show {
        /// The round.
        round: u64,
        /// What.
        exhibit: Exhibit,
        /// A piece of it.
        piece: Piece,
    },
    /// To all: somebody is guilty. At most [`super::PIECE_BYTES`] of an evidence file; what is longer each mix finds itself.
    Evidence {
        /// The file's bytes.
        file: Vec<u8>,
    },
    /// Entry to all: a sealed round is open; from now on, until its submit time is over, take what clients hand over.
    RoundOpened {
        /// The round's epoch.
        epoch: u64,
        /// The round.
        round: u64,
    },
    /// To the entry, once that time is over: whose submissions I have, to be fetched as [`Exhibit::Submission`].
    HandedOver {
        /// The round.
        round: u64,
        /// Perhaps nobody.
        clients: Members,
    },
    /// To all others but the entry: which list the entry has sent me. Who gets another one has evidence.
    ListHeader(SignedListHeader),
}
