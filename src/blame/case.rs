//! A burnt round: minimal so far.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::crypto::{Digest, Signature};
use crate::packet::{Echo, Slots};
use crate::wire::{Accusation, ClientSignature, ListRecord, Network, SignedBatchHeader, SignedEchoHeader, SignedEpoch};

use super::Evidence;

/// What the parties of a burnt round have shown of it.
pub struct Exhibits {
    /// The document of its epoch.
    pub document: SignedEpoch,
    /// The round.
    pub round: u64,
    /// The records of the list, in its order.
    pub records: Vec<ListRecord>,
    /// The clients' signatures that are in the list, and in its root.
    pub listed: Vec<ClientSignature>,
    /// The entry's signature under the list: the first of those that make it complete.
    pub entry: Signature,
    /// Clients' signatures over their records, as far as they are known; by roster index.
    pub clients: BTreeMap<u32, Signature>,
    /// Batches from hop 1 on, as far as the round came: header and the hash of each packet.
    pub batches: Vec<(SignedBatchHeader, Vec<Digest>)>,
    /// Echoes from hop L down, as far as the round came: header and echoes.
    pub echoes: Vec<(SignedEchoHeader, Vec<Echo>)>,
    /// The mixes' onion keys of the round, in cascade order: all of them.
    pub keys: Vec<[u8; 32]>,
    /// Who accuses, from hop 1, of what, signed.
    pub accusations: Vec<(u8, Accusation, Signature)>,
}

/// Why a round cannot be replayed with what there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CaseFault {
    /// The batch that `hop` says it took in is not the one that the mix before shows: `hop` owes the header it was sent.
    #[error("mix {hop} took in another batch than is shown")]
    Input {
        /// Who owes it.
        hop: u8,
    },
}

/// What a replay has come upon first.
pub enum Ruling {
    /// Somebody is guilty.
    Guilty(Box<Evidence>),
    /// The onion at this place is not the record's: the entry owes it.
    NotShown {
        /// The record's place in the list.
        place: u32,
    },
    /// The client's packet is wrong, and its signature does not hold or is not there: nobody is named.
    Unsigned {
        /// Its roster index.
        client: u32,
    },
}

/// A burnt round, ready to be replayed.
pub struct Case {}

impl Case {
    /// Holds the exhibits against each other.
    ///
    /// # Errors
    /// What does not fit, and who owes something.
    pub fn new(_network: Arc<Network>, _exhibits: Exhibits) -> Result<Self, CaseFault> {
        Ok(Self {})
    }

    /// Replays the onions at places `first..` of the list; the first fault, in list order.
    pub fn replay(&self, _first: usize, _onions: &Slots) -> Option<Ruling> {
        None
    }

    /// Everything else is right: whose accusation is false.
    pub fn close(&self) -> Option<Evidence> {
        None
    }
}
