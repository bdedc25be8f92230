//! The epoch documents that a client knows.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::crypto::Signature;
use crate::wire::{DocumentError, EpochDocument, Network, SignedEpoch};

/// Documents kept: rounds still open under one, its successor, and two that follow on restarts close to each other.
const KEPT: usize = 4;

/// The newest documents, each verified, oldest first.
pub(super) struct Chain {
    network: Arc<Network>,
    known: VecDeque<Link>,
}

struct Link {
    document: Arc<EpochDocument>,
    signatures: Vec<Signature>,
    /// Whether it is of the network file as we have it; another's rounds are not ours to use.
    usable: bool,
}

/// What a document is to us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Accepted {
    /// It directly follows the newest one, or is the very first.
    Next,
    /// Documents between `known` and it are missing.
    Gap { known: u64 },
    /// We have it.
    Known,
}

/// Why a document is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rejected {
    /// It does not stand by itself.
    Invalid(DocumentError),
    /// It is not newer, or its rounds are not.
    Stale,
    /// All mixes signed it and another one of the same number.
    Fork,
}

impl Chain {
    /// Starts from the documents on disk; what no longer verifies there is dropped.
    pub(super) fn new(network: Arc<Network>, epochs: Vec<SignedEpoch>) -> Self {
        let mut chain = Self { network, known: VecDeque::new() };
        for signed in &epochs {
            // One of other mixes is on disk after they changed: its rounds are over.
            let _ = chain.accept(signed);
        }
        chain
    }

    /// Takes a document that verifies and is newer than all known. A gap is accepted: every mix's signature holds,
    /// and a client cannot do better after a long absence than to say so.
    pub(super) fn accept(&mut self, signed: &SignedEpoch) -> Result<Accepted, Rejected> {
        let document = &signed.document;
        let mut known = self.known.iter().map(|link| &link.document);
        let newest = self.known.back().map(|link| &link.document);
        let known = known.find(|known| known.epoch == document.epoch);
        if known.is_some_and(|known| **known == *document) {
            return Ok(Accepted::Known);
        }
        let forks = known.is_some();
        let usable = document.check(&self.network).is_ok();
        let accepted = match newest {
            None => Accepted::Next,
            Some(newest) if signed.follows(newest.epoch, &newest.digest()) => Accepted::Next,
            Some(newest) => Accepted::Gap { known: newest.epoch },
        };
        let newer =
            newest.is_none_or(|newest| document.epoch > newest.epoch && document.first_round > newest.first_round);
        // Signatures are checked only where they matter: a stale document costs a comparison.
        if !newer && !forks {
            return Err(Rejected::Stale);
        }
        signed.verify(&self.network).map_err(Rejected::Invalid)?;
        if forks {
            return Err(Rejected::Fork);
        }
        if self.known.len() == KEPT {
            self.known.pop_front();
        }
        let (document, signatures) = (Arc::new(document.clone()), signed.signatures.clone());
        self.known.push_back(Link { document, signatures, usable });
        Ok(accepted)
    }

    /// The document of the same number, if it is another one.
    pub(super) fn contradicted(&self, signed: &SignedEpoch) -> Option<SignedEpoch> {
        let known = self.known.iter().find(|link| link.document.epoch == signed.document.epoch)?;
        let other = *known.document != signed.document;
        other.then(|| SignedEpoch { document: (*known.document).clone(), signatures: known.signatures.clone() })
    }

    /// The number of the newest document; 0 for none.
    pub(super) fn epoch(&self) -> u64 {
        self.known.back().map_or(0, |newest| newest.document.epoch)
    }

    /// The document whose keys `round` has, if it is of our network file: the newest one that holds it, since a later
    /// document replaces the rounds that a restart left over.
    pub(super) fn of_round(&self, round: u64) -> Option<Arc<EpochDocument>> {
        self.link(round).filter(|link| link.usable).map(|link| link.document.clone())
    }

    /// The epoch of a round that mixes with another network file than ours hold.
    pub(super) fn foreign(&self, round: u64) -> Option<u64> {
        self.link(round).filter(|link| !link.usable).map(|link| link.document.epoch)
    }

    fn link(&self, round: u64) -> Option<&Link> {
        self.known.iter().rev().find(|link| link.document.position(round).is_some())
    }
}
