//! What a client sends behind its packets, and what the entry makes of it.

use crate::crypto::{Digest, Identity, IdentityKey, PRF_BYTES, Signature};

use super::{COMMITMENT_BYTES, ListContext, ListKey, ListRecord, ListRow};

/// A client's records of one round with their MACs for all mixes and its signature over them.
///
/// On the wire, behind the packets: for each of them commitment 16 | L MACs of 16, in cascade order; then the
/// signature 64. Index and digests are not sent: the entry knows both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientRecords {
    mixes: usize,
    index: u32,
    records: Vec<ListRecord>,
    /// For each record, one of each mix.
    macs: Vec<[u8; PRF_BYTES]>,
    signature: Signature,
}

/// Bytes behind a submission that are not its records.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordsError {
    /// There are fewer or more than [`ClientRecords::length`].
    #[error("the records behind a submission have the wrong length")]
    Length,
}

impl ClientRecords {
    /// The bytes behind a submission of `packets` packets to a cascade of `mixes`.
    pub fn length(packets: usize, mixes: usize) -> usize {
        packets * stride(mixes) + Signature::BYTES
    }

    /// The client's side: `keys` are those towards the mixes in cascade order, `records` those of its packets in the order
    /// in which it sends them.
    pub fn make(context: &ListContext, records: Vec<ListRecord>, keys: &[ListKey], identity: &IdentityKey) -> Self {
        let of_record = |record| keys.iter().map(move |key| key.mac(context.round, record));
        let macs = records.iter().flat_map(of_record).collect();
        let signature = identity.sign(&signed_records(context, &records));
        let index = records.first().map_or(0, |record| record.index);
        Self { mixes: keys.len(), index, records, macs, signature }
    }

    /// The entry's side: `index` is the roster index of the client on whose link `bytes` came, `onions` the digests of its
    /// packets in order.
    ///
    /// # Errors
    /// If there are not exactly [`ClientRecords::length`] bytes.
    pub fn parse(bytes: &[u8], index: u32, onions: &[Digest], mixes: usize) -> Result<Self, RecordsError> {
        if bytes.len() != Self::length(onions.len(), mixes) {
            return Err(RecordsError::Length);
        }
        let (each, signature) = bytes.split_at(onions.len() * stride(mixes));
        let (mut records, mut macs) = (Vec::with_capacity(onions.len()), Vec::with_capacity(onions.len() * mixes));
        for (bytes, onion) in each.chunks_exact(stride(mixes)).zip(onions) {
            let (commitment, rest) = bytes.split_at(COMMITMENT_BYTES);
            records.push(ListRecord { index, onion: *onion, commitment: array(commitment) });
            macs.extend(rest.chunks_exact(PRF_BYTES).map(array::<PRF_BYTES>));
        }
        Ok(Self { mixes, index, records, macs, signature: Signature(array(signature)) })
    }

    /// The bytes that go behind the packets.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::length(self.records.len(), self.mixes));
        for (record, macs) in self.records.iter().zip(self.macs.chunks(self.mixes)) {
            bytes.extend_from_slice(&record.commitment);
            macs.iter().for_each(|mac| bytes.extend_from_slice(mac));
        }
        bytes.extend_from_slice(&self.signature.0);
        bytes
    }

    /// The client's roster index.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The records, in the order of the packets.
    pub fn records(&self) -> &[ListRecord] {
        &self.records
    }

    /// The client's signature over the records; nobody has verified it.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The rows for a mix, counted from 0; none beyond the cascade.
    pub fn rows(&self, mix: usize) -> impl Iterator<Item = ListRow> {
        let macs = self.macs.iter().skip(mix).step_by(self.mixes);
        let known = if mix < self.mixes { self.records.as_slice() } else { &[] };
        known.iter().zip(macs).map(|(record, mac)| ListRow { record: *record, mac: *mac })
    }

    /// Whether the signature is `identity`'s over the records.
    #[must_use]
    pub fn is_signed_by(&self, identity: &Identity, context: &ListContext) -> bool {
        Self::verify(identity, context, &self.records, &self.signature)
    }

    /// Whether `signature` is `identity`'s over `records`, all of one client in one round.
    #[must_use]
    pub fn verify(identity: &Identity, context: &ListContext, records: &[ListRecord], signature: &Signature) -> bool {
        identity.verify(&signed_records(context, records), signature)
    }
}

/// What a client signs: all its records of a round.
pub(in crate::wire) fn signed_records(context: &ListContext, records: &[ListRecord]) -> Vec<u8> {
    let count = u32::try_from(records.len()).expect("a round has far fewer packets than 2^32");
    let layout = context.layout("mixnet v1 records").u32(count);
    records.iter().fold(layout, |layout, record| layout.fixed(&record.to_bytes())).finish()
}

/// Bytes of one packet's commitment and MACs.
fn stride(mixes: usize) -> usize {
    COMMITMENT_BYTES + PRF_BYTES * mixes
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller has cut it to this length")
}
