//! What a mix puts on disk before it speaks, and what it finds there when it starts again.

use bytes::Bytes;

use crate::crypto::{Digest, Identity, MailboxId};

use super::codec::{Decode, Encode};
use super::{SignedEpoch, SignedVerdict, Verdict};

/// A letter as the exit keeps it: its round, never a position or a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredLetter {
    /// The round's epoch.
    pub epoch: u64,
    /// The round.
    pub round: u64,
    /// The sealed letter, perhaps where it was opened: a piece of the batch, which stays as long as it does.
    pub letter: Bytes,
}

/// One durable step of a mix. Each is on disk before anything that follows from it is sent.
#[derive(Clone, Debug)]
pub enum Record {
    /// A document of this number has been signed; no other one may be.
    EpochSigned {
        /// Its number.
        epoch: u64,
        /// Its digest.
        digest: Digest,
    },
    /// A document is complete.
    Epoch(SignedEpoch),
    /// The entry has opened a round: its number is spent.
    Opened {
        /// The round.
        round: u64,
    },
    /// The exit's decision on a round, with the letters that it stores. In a stored verdict the store fills in how
    /// many letters were over quota.
    Decided {
        /// The decision.
        verdict: Verdict,
        /// The letters, already shuffled.
        letters: Vec<(MailboxId, StoredLetter)>,
    },
    /// A mix has signed this verdict; no other one of the round may be.
    Signed {
        /// The verdict.
        verdict: Verdict,
    },
    /// The entry has a verdict with all signatures.
    Complete(SignedVerdict),
    /// What this mix is bound to in a sealed round, until it has signed its verdict.
    Sealed {
        /// The round.
        round: u64,
        /// To what.
        bond: Bond,
    },
    /// Evidence against a party has been verified: the party is out until an operator says otherwise.
    Convicted {
        /// Who. By its identity: a roster may change.
        party: Identity,
        /// The evidence file.
        evidence: Vec<u8>,
    },
    /// An operator has let a party in again.
    Readmitted {
        /// Who.
        party: Identity,
    },
}

/// What a mix has said in a sealed round and cannot take back.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Bond {
    /// The exit has confirmed: it never calls the round aborted.
    Confirmed,
    /// The share is released: this mix never signs that the round was aborted, or stored for other clients.
    Released {
        /// [`super::Members::digest`] of the clients in it.
        members: Digest,
    },
    /// The share goes to nobody: this mix never releases it, also if it was never said.
    Burning {
        /// The exit had confirmed before: it never calls the round aborted.
        confirmed: bool,
    },
}

/// What a mix knows when it starts.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The newest complete documents, oldest first.
    pub chain: Vec<SignedEpoch>,
    /// The highest number of a document signed; 0 for none.
    pub epoch_signed: u64,
    /// The first epoch of which a document was signed; a disk that was lost knows of none before.
    pub remembers_from: Option<u64>,
    /// The highest round opened; 0 for none.
    pub opened: u64,
    /// The verdicts signed or decided, of the newest rounds.
    pub signed: Vec<Verdict>,
    /// The complete verdicts of the newest rounds.
    pub complete: Vec<SignedVerdict>,
    /// What the mix is bound to in rounds without its verdict.
    pub bonds: Vec<(u64, Bond)>,
    /// Parties that are out, and the evidence files of the first [`EVIDENCE_KEPT`] of them; empty of others.
    pub convicted: Vec<(Identity, Vec<u8>)>,
}

/// Evidence files that a mix holds in memory, for mixes that have missed them: at most 32 MiB.
pub const EVIDENCE_KEPT: usize = 64;

/// Complete documents that a mix hands to clients which missed epochs.
pub const CHAIN_KEPT: usize = 64;
