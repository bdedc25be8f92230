//! Signed statements of which an honest party makes one.

use crate::crypto::{Digest, Identity, Signature};
use crate::wire::codec::{Decode, Encode};
use crate::wire::{Confirm, EpochDocument, SignedBatchHeader, SignedEchoHeader, SignedListHeader, Statement, Verdict};

/// A statement of a mix with its signature, of a kind of which it makes one for a slot.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub enum SignedStatement {
    /// The entry's of a round's list: one of a round and attempt.
    List(SignedListHeader),
    /// Of a batch: one of a round.
    Batch(SignedBatchHeader),
    /// Of echoes: one of a round.
    Echo(SignedEchoHeader),
    /// A confirm: one of a round.
    Confirm {
        /// Who signs, from 1.
        hop: u8,
        /// What.
        confirm: Confirm,
        /// Its signature.
        signature: Signature,
    },
    /// An epoch document: one of a number.
    Document {
        /// Who signs, from 1.
        hop: u8,
        /// What.
        document: EpochDocument,
        /// Its signature.
        signature: Signature,
    },
    /// A verdict: one of a round.
    Verdict {
        /// Who signs, from 1.
        hop: u8,
        /// What.
        verdict: Verdict,
        /// Its signature.
        signature: Signature,
    },
}

/// Where an honest mix signs once: the kind, the network, epoch and round, and what else the kind has.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Place {
    kind: u8,
    pub(super) network: Digest,
    /// The number, or the digest of the document for those that name that.
    epoch: Result<u64, Digest>,
    pub(super) round: u64,
    /// Who signs, from 1.
    pub(super) hop: u8,
    attempt: u8,
}

impl SignedStatement {
    /// Who it says has signed it, from 1.
    pub fn hop(&self) -> u8 {
        self.place().hop
    }

    pub(super) fn place(&self) -> Place {
        match self {
            SignedStatement::List(SignedListHeader { header, .. }) => {
                let context = header.context;
                let (network, epoch, round) = (context.network, Ok(context.epoch), context.round);
                Place { kind: 0, network, epoch, round, hop: 1, attempt: header.attempt }
            }
            SignedStatement::Batch(SignedBatchHeader { header, .. }) => {
                let (network, epoch, round) = (header.network, Err(header.epoch), header.round);
                Place { kind: 1, network, epoch, round, hop: header.hop, attempt: 0 }
            }
            SignedStatement::Echo(SignedEchoHeader { header, .. }) => {
                let (network, epoch, round) = (header.network, Err(header.epoch), header.round);
                Place { kind: 2, network, epoch, round, hop: header.hop, attempt: 0 }
            }
            SignedStatement::Confirm { hop, confirm, .. } => {
                let slot = confirm.slot;
                let (network, epoch, round) = (slot.network, Ok(slot.epoch), slot.round);
                Place { kind: 3, network, epoch, round, hop: *hop, attempt: 0 }
            }
            SignedStatement::Document { hop, document, .. } => {
                let (network, epoch) = (document.network, Ok(document.epoch));
                Place { kind: 4, network, epoch, round: 0, hop: *hop, attempt: 0 }
            }
            SignedStatement::Verdict { hop, verdict, .. } => {
                let (network, epoch, round) = (verdict.network, Ok(verdict.epoch), verdict.round);
                Place { kind: 5, network, epoch, round, hop: *hop, attempt: 0 }
            }
        }
    }

    /// Whether two statements of one place say the same, whatever their signatures are.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (SignedStatement::List(a), SignedStatement::List(b)) => a.header == b.header,
            (SignedStatement::Batch(a), SignedStatement::Batch(b)) => a.header == b.header,
            (SignedStatement::Echo(a), SignedStatement::Echo(b)) => a.header == b.header,
            (SignedStatement::Confirm { confirm: a, .. }, SignedStatement::Confirm { confirm: b, .. }) => {
                a.transcript == b.transcript
            }
            (SignedStatement::Document { document: a, .. }, SignedStatement::Document { document: b, .. }) => {
                a.digest() == b.digest()
            }
            (SignedStatement::Verdict { verdict: a, .. }, SignedStatement::Verdict { verdict: b, .. }) => a == b,
            _ => false,
        }
    }

    /// Whether it is `identity`'s.
    pub(super) fn is_signed_by(&self, identity: &Identity) -> bool {
        match self {
            SignedStatement::List(signed) => signed.is_signed_by(identity),
            SignedStatement::Batch(signed) => signed.is_signed_by(identity),
            SignedStatement::Echo(signed) => signed.is_signed_by(identity),
            SignedStatement::Confirm { confirm, signature, .. } => confirm.is_signed_by(identity, signature),
            SignedStatement::Document { document, signature, .. } => document.is_signed_by(identity, signature),
            SignedStatement::Verdict { verdict, signature, .. } => verdict.is_signed_by(identity, signature),
        }
    }

    /// The digest of the epoch document that a header names; `None` of statements that name the epoch by its number.
    pub(super) fn document(&self) -> Option<Digest> {
        self.place().epoch.err()
    }

    /// The number of the epoch that the others name.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.place().epoch.ok()
    }
}
