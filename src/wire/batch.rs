//! The header of a batch: what a mix says, signed, about the packets that follow.

use crate::crypto::{Digest, DigestWriter, Identity, IdentityKey, Label, Signature, derive};

use super::codec::{Decode, Encode};
use super::{Layout, Members};

/// What one mix hands to the next in one round. Its digests make the batch *the* batch of that round: a second
/// header with others is evidence against its signer.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct BatchHeader {
    /// The network's identifier.
    pub network: Digest,
    /// The digest of the epoch document whose keys the packets are sealed to.
    pub epoch: Digest,
    /// The round.
    pub round: u64,
    /// The hop that signs, 1 to L - 1.
    pub hop: u8,
    /// How many packets follow.
    pub count: u32,
    /// How many of them are the noise of mixes so far.
    pub noise: u32,
    /// The clients in the round.
    pub members: Members,
    /// The digest of the batch that this mix took in; of the submissions in order of arrival at the entry.
    pub input: Digest,
    /// [`batch_digest`] of the packets that follow.
    pub output: Digest,
}

impl BatchHeader {
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        Layout::new("mixnet v1 batch header")
            .digest(&self.network)
            .digest(&self.epoch)
            .u64(self.round)
            .u8(self.hop)
            .u32(self.count)
            .u32(self.noise)
            .digest(&self.members.digest())
            .digest(&self.input)
            .digest(&self.output)
            .finish()
    }

    /// How an accusation names it.
    pub fn subject(&self) -> Digest {
        derive(Label::Subject, &self.signed_bytes())
    }

    /// The header with its mix's signature.
    pub fn sign(self, key: &IdentityKey) -> SignedBatchHeader {
        let signature = key.sign(&self.signed_bytes());
        SignedBatchHeader { header: self, signature }
    }
}

/// A header and its mix's signature.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct SignedBatchHeader {
    /// The header.
    pub header: BatchHeader,
    /// Of the mix at `header.hop`.
    pub signature: Signature,
}

impl SignedBatchHeader {
    /// Whether it is `identity`'s.
    #[must_use]
    pub fn is_signed_by(&self, identity: &Identity) -> bool {
        identity.verify(&self.header.signed_bytes(), &self.signature)
    }
}

/// The digest of a batch, from [`super::onion_digest`] of each packet in order: the 32 bytes a packet alone prove what was
/// in a batch, and nobody needs the packets for it.
pub fn batch_digest(packets: &[Digest]) -> Digest {
    let mut digest = DigestWriter::new(Label::Batch);
    packets.iter().for_each(|packet| digest.update(&packet.0));
    digest.finish()
}
