//! What is signed between a client and the entry.

use crate::crypto::{Digest, DigestWriter, Identity, IdentityKey, Label, Signature};

use super::Layout;
use super::codec::{Decode, Encode};

/// The entry's word that it has taken a submission; nothing else may be concluded from it.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Receipt {
    /// The round.
    pub round: u64,
    /// The entry's signature over network, round, roster index and [`submission_digest`] of the packets.
    pub signature: Signature,
}

impl Receipt {
    /// Whether the entry has signed this for these packets.
    #[must_use]
    pub fn verify(&self, entry: &Identity, network: &Digest, index: u32, packets: &Digest) -> bool {
        entry.verify(&receipt_bytes(network, self.round, index, packets), &self.signature)
    }

    /// The entry's receipt.
    pub fn sign(key: &IdentityKey, network: &Digest, round: u64, index: u32, packets: &Digest) -> Self {
        Self { round, signature: key.sign(&receipt_bytes(network, round, index, packets)) }
    }
}

/// The digest of a submission, from [`super::onion_digest`] of each packet in order, which records need as well.
pub fn submission_digest(packets: &[Digest]) -> Digest {
    let mut digest = DigestWriter::new(Label::Submission);
    packets.iter().for_each(|packet| digest.update(&packet.0));
    digest.finish()
}

/// The signed bytes of a receipt.
pub fn receipt_bytes(network: &Digest, round: u64, index: u32, packets: &Digest) -> Vec<u8> {
    Layout::new("mixnet v1 receipt").digest(network).u64(round).u32(index).digest(packets).finish()
}

/// A client's word that a connection may speak for it: bound to that connection's own keys, it is worth nothing on any other,
/// whoever sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attachment {
    /// The network's identifier.
    pub network: Digest,
    /// The client's roster index.
    pub client: u32,
    /// What only the two ends of the connection know: 32 bytes of its TLS exporter (RFC 8446, section 7.5), with the label
    /// `EXPORTER-mixnet-attach` and no context.
    pub binding: [u8; 32],
}

impl Attachment {
    /// The signed bytes.
    pub fn bytes(&self) -> Vec<u8> {
        Layout::new("mixnet v1 attach").digest(&self.network).u32(self.client).fixed(&self.binding).finish()
    }

    /// The client's signature.
    pub fn sign(&self, key: &IdentityKey) -> Signature {
        key.sign(&self.bytes())
    }

    /// Whether the client has signed it.
    #[must_use]
    pub fn is_signed_by(&self, client: &Identity, signature: &Signature) -> bool {
        client.verify(&self.bytes(), signature)
    }
}
