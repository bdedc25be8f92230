//! What mixes show each other when they are asked: of a round that all have burnt, and what clients have handed over.

use super::codec::{Decode, Encode};
use super::{SignedBatchHeader, SignedEchoHeader};

/// A part of a round. Of a burnt one what a replay needs: its length follows from the list and the signed headers.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Exhibit {
    /// The hash of each packet that a hop handed on: 32 bytes each, as its signed header digests them. It and the next hop
    /// know them.
    Batch {
        /// Whose, 1 to L - 1.
        hop: u8,
    },
    /// What a hop handed back: 16 bytes each, as its signed header digests them. It and the hop before know them; of hop 1
    /// everybody.
    Echoes {
        /// Whose, 1 to L.
        hop: u8,
    },
    /// The signature of each client over its records, 64 bytes each, in the order of the list. The entry knows them.
    Signatures,
    /// Onions as clients submitted them, W bytes each, in the order of the list: as many as fit into a piece, at least one.
    /// The entry shows them.
    Onions {
        /// Which of these segments, from 0.
        segment: u32,
    },
    /// A hop's own noise as it handed it on, W bytes each, in the order of the places that it has named with its key. It
    /// shows them.
    Noise {
        /// Whose, 1 to L - 1.
        hop: u8,
    },
    /// Of a round that is being collected, to the entry: a client's submission, packets and records, as it was handed over.
    /// Every mix knows those that it has named in [`super::PeerMessage::HandedOver`].
    Submission {
        /// Whose, by its roster index.
        client: u32,
    },
}

/// The signed headers that a mix has seen in a round: two different ones of one hop, seen by two mixes, are evidence.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Headers {
    /// The round.
    pub round: u64,
    /// At most one of a hop.
    pub batches: Vec<SignedBatchHeader>,
    /// At most one of a hop.
    pub echoes: Vec<SignedEchoHeader>,
}
