//! The list of a round: who submitted what, as records that every mix checks before any batch moves.
//!
//! Behind a client's packets come, for each, a commitment to its echo and one MAC per mix, and one signature
//! ([`ClientRecords`]). The entry sends each mix all records with the MACs made for it, as rows behind a signed
//! [`ListHeader`]; a mix answers with a [`ListSignature`] or, once, with a [`ListComplaint`]. The packets themselves
//! are known here only by their digests.

mod answer;
mod key;
mod records;

pub use answer::{ListComplaint, ListComplete, ListSignature, SecondList, SignedListComplaint};
pub use key::{ListKey, ListKeys, ListSecret};
pub use records::{ClientRecords, RecordsError};
#[cfg(test)]
pub(super) use {answer::signed_root, records::signed_records};

use crate::crypto::{Digest, DigestWriter, Identity, IdentityKey, Label, PRF_BYTES, Signature, derive, derive_each};

use super::Layout;
use super::codec::{Decode, Encode};

/// Length of a record: index 4 | digest of the packet 32 | commitment 16.
pub const RECORD_BYTES: usize = 4 + Digest::BYTES + COMMITMENT_BYTES;
/// Length of what follows a list's header, per record and per signature: a record and its MAC, or an index and a
/// signature. Both are 68 bytes, so a list is whole rows.
pub const ROW_BYTES: usize = RECORD_BYTES + PRF_BYTES;
/// Length of a commitment to an echo.
pub const COMMITMENT_BYTES: usize = 16;

const _: () = assert!(ROW_BYTES == 4 + Signature::BYTES, "a client's signature fills a row");

/// The round that a list is of.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub struct ListContext {
    /// The network's identifier.
    pub network: Digest,
    /// The round's epoch.
    pub epoch: u64,
    /// The round.
    pub round: u64,
}

impl ListContext {
    /// A fixed layout that begins with the round's own three fields.
    fn layout(&self, label: &str) -> Layout {
        Layout::new(label).digest(&self.network).u64(self.epoch).u64(self.round)
    }
}

/// The digest of a packet, W bytes, as a mix receives it: how records and batches name it.
pub fn onion_digest(packet: &[u8]) -> Digest {
    derive(Label::Onion, packet)
}

/// [`onion_digest`] of each of `packets`, side by side.
pub fn onion_digests<'a>(packets: impl Iterator<Item = &'a [u8]>) -> Vec<Digest> {
    derive_each(Label::Onion, &packets.collect::<Vec<_>>())
}

/// One packet of a list: whose it is, which it is, and the echo that it must cause.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ListRecord {
    /// The client's roster index.
    pub index: u32,
    /// [`onion_digest`] of the packet.
    pub onion: Digest,
    /// The client's commitment to the packet's echo.
    pub commitment: [u8; COMMITMENT_BYTES],
}

impl ListRecord {
    /// Its fixed layout.
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..4].copy_from_slice(&self.index.to_le_bytes());
        bytes[4..36].copy_from_slice(&self.onion.0);
        bytes[36..].copy_from_slice(&self.commitment);
        bytes
    }

    /// The record of these bytes: any are one, and of no other record.
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Self {
        Self { index: index_of(bytes), onion: Digest(part(bytes, 4)), commitment: part(bytes, 36) }
    }
}

/// A record as one mix gets it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ListRow {
    /// The record.
    pub record: ListRecord,
    /// The client's MAC for this mix.
    pub mac: [u8; PRF_BYTES],
}

impl ListRow {
    /// Its fixed layout.
    pub fn to_bytes(&self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        bytes[..RECORD_BYTES].copy_from_slice(&self.record.to_bytes());
        bytes[RECORD_BYTES..].copy_from_slice(&self.mac);
        bytes
    }

    /// The row of these bytes.
    pub fn from_bytes(bytes: &[u8; ROW_BYTES]) -> Self {
        Self { record: ListRecord::from_bytes(&part(bytes, 0)), mac: part(bytes, RECORD_BYTES) }
    }
}

/// A client's signature over its records, carried behind the rows for a client that has been struck out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientSignature {
    /// The client's roster index.
    pub index: u32,
    /// Over its records, as [`ClientRecords`] has it.
    pub signature: Signature,
}

impl ClientSignature {
    /// Its fixed layout.
    pub fn to_bytes(&self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        bytes[..4].copy_from_slice(&self.index.to_le_bytes());
        bytes[4..].copy_from_slice(&self.signature.0);
        bytes
    }

    /// The signature of these bytes.
    pub fn from_bytes(bytes: &[u8; ROW_BYTES]) -> Self {
        Self { index: index_of(bytes), signature: Signature(part(bytes, 4)) }
    }
}

fn part<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    bytes[from..from + N].try_into().expect("every field lies within its fixed layout")
}

fn index_of(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(part(bytes, 0))
}

/// The root of a list, fed record by record: what headers and answers name. Signatures of clients are in it, so that all
/// mixes see the same, and a mix that complains of a client which it had to take by its signature proves itself wrong.
pub struct ListRoot(DigestWriter);

impl ListRoot {
    /// A list of `count` records, none of them in yet.
    pub fn new(context: &ListContext, count: u32) -> Self {
        let mut digest = DigestWriter::new(Label::List);
        digest.update(&context.network.0);
        digest.update(&context.epoch.to_le_bytes());
        digest.update(&context.round.to_le_bytes());
        digest.update(&count.to_le_bytes());
        Self(digest)
    }

    /// Appends a record.
    pub fn record(&mut self, record: &ListRecord) {
        self.0.update(&record.to_bytes());
    }

    /// The root, once all records are in.
    pub fn finish(mut self, signatures: &[ClientSignature]) -> Digest {
        signatures.iter().for_each(|signature| self.0.update(&signature.to_bytes()));
        self.0.finish()
    }
}

/// What the entry says of a round's list. With attempt 0 `count + signed` rows of [`ROW_BYTES`] follow its frame; with
/// attempt 1 none do: the list is the first without some clients ([`SecondList`]).
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct ListHeader {
    /// The round.
    pub context: ListContext,
    /// 0 for the first list of the round, 1 for the second. There is no third.
    pub attempt: u8,
    /// How many records it holds.
    pub count: u32,
    /// How many signatures of clients it holds.
    pub signed: u32,
    /// [`ListRoot`] of both.
    pub root: Digest,
}

impl ListHeader {
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        let layout = self.context.layout("mixnet v1 list header");
        layout.u8(self.attempt).u32(self.count).u32(self.signed).digest(&self.root).finish()
    }

    /// The header with the entry's signature.
    pub fn sign(self, key: &IdentityKey) -> SignedListHeader {
        let signature = key.sign(&self.signed_bytes());
        SignedListHeader { header: self, signature }
    }
}

/// A header and the entry's signature.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct SignedListHeader {
    /// The header.
    pub header: ListHeader,
    /// Of the entry.
    pub signature: Signature,
}

impl SignedListHeader {
    /// Whether it is `identity`'s.
    #[must_use]
    pub fn is_signed_by(&self, identity: &Identity) -> bool {
        identity.verify(&self.header.signed_bytes(), &self.signature)
    }
}

#[cfg(test)]
mod tests;
