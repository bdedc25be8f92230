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

    /// How many packets its mix has added to `taken` that it took in; `None` if it has dropped some.
    pub fn added(&self, taken: usize) -> Option<u32> {
        self.count.checked_sub(u32::try_from(taken).ok()?)
    }

    /// How much noise its mix has added to a round of `listed` packets, in a network whose mixes add at most `most` each.
    /// `before` is the header of the hop before, if there is one and it is known; without it the answer is that of all
    /// mixes so far.
    ///
    /// # Errors
    /// If the numbers cannot be.
    pub fn noise_added(&self, listed: u32, most: u32, before: Option<&BatchHeader>) -> Result<u32, NoiseError> {
        let Self { hop, count, noise, .. } = *self;
        if listed.checked_add(noise) != Some(count) {
            return Err(NoiseError::Count { hop, count, listed, noise });
        }
        let (before, mixes) = before.map_or((0, hop), |header| (header.noise, 1));
        let added = noise.checked_sub(before).ok_or(NoiseError::Dropped { hop, noise, before })?;
        let most = u64::from(before) + u64::from(most) * u64::from(mixes);
        if u64::from(noise) > most { Err(NoiseError::TooMuch { hop, noise, most }) } else { Ok(added) }
    }

    /// The header with its mix's signature.
    pub fn sign(self, key: &IdentityKey) -> SignedBatchHeader {
        let signature = key.sign(&self.signed_bytes());
        SignedBatchHeader { header: self, signature }
    }
}

/// Why the numbers in a round's batch headers cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoiseError {
    /// The batch holds other packets than the listed ones and the declared noise.
    #[error("the batch of hop {hop} holds {count} packets, not {listed} listed ones and {noise} of noise")]
    Count {
        /// Whose batch.
        hop: u8,
        /// What it holds.
        count: u32,
        /// How many were listed.
        listed: u32,
        /// What it declares.
        noise: u32,
    },
    /// More noise than the network lets the mixes so far add.
    #[error("hop {hop} declares {noise} packets of noise, and the mixes so far may have added {most}")]
    TooMuch {
        /// Whose batch.
        hop: u8,
        /// What it declares.
        noise: u32,
        /// What can be.
        most: u64,
    },
    /// Less noise than the mix before declared: something was dropped.
    #[error("hop {hop} declares {noise} packets of noise, and took in {before}")]
    Dropped {
        /// Whose batch.
        hop: u8,
        /// What it declares.
        noise: u32,
        /// What the header before declared.
        before: u32,
    },
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
