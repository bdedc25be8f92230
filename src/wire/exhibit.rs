//! What mixes show each other when they are asked: of a round that all have burnt, and what clients have handed over.

use crate::crypto::{Digest, Label, derive};

use super::codec::{Decode, Encode, encode};
use super::{ListComplete, SignedBatchHeader, SignedEchoHeader, transcript};

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

/// What a mix shows for its confirm: the signatures under the list and every signed header. With them whoever confirms a
/// transcript that nobody's signatures make convicts itself.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Grounds {
    /// All L signatures under the list.
    pub list: ListComplete,
    /// Of hops 1 to L - 1, and 1 to L.
    pub headers: Headers,
}

impl Grounds {
    /// How a confirm names them: signatures included, so that nobody shows others for it later.
    pub fn digest(&self) -> Digest {
        derive(Label::Grounds, &encode(self))
    }

    /// The transcript that they make in a cascade of `mixes`, whoever has signed them; `None` unless there are as many headers as
    /// that has. `document` is the digest of the epoch document.
    pub fn transcript(&self, document: &Digest, mixes: usize) -> Option<Digest> {
        if (self.headers.batches.len() + 1, self.headers.echoes.len()) != (mixes, mixes) {
            return None;
        }
        let batches: Vec<_> = self.headers.batches.iter().map(|signed| signed.header.clone()).collect();
        // From hop L to 1, as they were handed back.
        let echoes: Vec<_> = self.headers.echoes.iter().rev().map(SignedEchoHeader::signed_bytes).collect();
        Some(transcript(document, &self.list.root, &batches, &echoes))
    }
}
