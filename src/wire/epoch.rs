//! The epoch document: every key and parameter of a window of rounds, signed by all mixes.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::{Digest, Identity, IdentityKey, Label, PublicKey, Signature, derive, derive_parts};

use super::codec::{Decode, Encode};
use super::{Layout, Network};

/// A document of 7 mixes and this many rounds stays below 64 kB.
pub const MAX_EPOCH_ROUNDS: u32 = 240;

const SIGNATURE_LABEL: &str = "mixnet v1 epoch signature";

/// What one mix contributes to an epoch.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct MixKeys {
    /// Drawn at each start of the process: a mix that shows another one has restarted and lost its round keys.
    pub boot: [u8; 16],
    /// Its key of the epoch for the authentication of list records.
    pub list_key: PublicKey,
    /// Its onion key of each round of the epoch.
    pub onion_keys: Vec<PublicKey>,
    /// Its commitment to its part of the joint keys (`threshold::Opening::commitment`).
    pub dealing: Digest,
}

/// The keys and parameters of rounds `first_round .. first_round + rounds`.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct EpochDocument {
    /// The network's identifier.
    pub network: Digest,
    /// Strictly greater than that of the document before; numbers may be skipped.
    pub epoch: u64,
    /// The digest of the document before; zero for the first.
    pub previous: Digest,
    /// The first round; round numbers never repeat in a network.
    pub first_round: u64,
    /// How many rounds.
    pub rounds: u32,
    /// Clients of the last round before the epoch was proposed, or those registered: `min_share` counts against them.
    pub members: u32,
    /// [`super::Parameters::digest`].
    pub parameters: Digest,
    /// [`super::Roster::digest`].
    pub roster: Digest,
    /// [`super::Roster::mailboxes_digest`].
    pub mailboxes: Digest,
    /// When the entry proposed it, Unix milliseconds: shown, never compared.
    pub proposed_at_ms: u64,
    /// One contribution per mix, in cascade order.
    pub mixes: Vec<MixKeys>,
    /// The joint key of each round, to which envelopes are sealed: t mixes open it together.
    pub envelope_keys: Vec<PublicKey>,
}

/// Why a document is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DocumentError {
    /// It is of another network.
    #[error("the document is of another network")]
    Network,
    /// Its parameters, roster or mailboxes are not those of the own network file.
    #[error("the document's parameters are not those of the network file")]
    Parameters,
    /// It holds too few or too many keys or rounds.
    #[error("the document has the wrong shape")]
    Shape,
    /// A key in it is no usable point.
    #[error("the document holds an unusable key")]
    Key,
    /// A signature is missing or wrong.
    #[error("the document lacks a valid signature of every mix")]
    Signature,
    /// It does not follow the last known document.
    #[error("the document does not follow the last known one")]
    Chain,
}

impl EpochDocument {
    /// What signatures, successors and batch headers name.
    pub fn digest(&self) -> Digest {
        let mut layout = Layout::new("mixnet v1 epoch document")
            .digest(&self.network)
            .u64(self.epoch)
            .digest(&self.previous)
            .u64(self.first_round)
            .u32(self.rounds)
            .u32(self.members)
            .digest(&self.parameters)
            .digest(&self.roster)
            .digest(&self.mailboxes)
            .u64(self.proposed_at_ms)
            .u32(self.mixes.len() as u32);
        for mix in &self.mixes {
            layout = keys(layout.fixed(&mix.boot).fixed(&mix.list_key.0), &mix.onion_keys).digest(&mix.dealing);
        }
        derive(Label::Epoch, &keys(layout, &self.envelope_keys).finish())
    }

    /// The last round.
    pub fn last_round(&self) -> u64 {
        self.first_round + u64::from(self.rounds) - 1
    }

    /// The position of `round` in the key lists, if it lies in this epoch.
    pub fn position(&self, round: u64) -> Option<usize> {
        let position = round.checked_sub(self.first_round)?;
        (position < u64::from(self.rounds)).then_some(position as usize)
    }

    /// The mixes' onion keys of a round, in cascade order.
    pub fn onion_keys(&self, round: u64) -> Option<Vec<PublicKey>> {
        let position = self.position(round)?;
        self.mixes.iter().map(|mix| mix.onion_keys.get(position).copied()).collect()
    }

    /// The key to which the round's envelopes are sealed.
    pub fn envelope_key(&self, round: u64) -> Option<PublicKey> {
        let position = self.position(round)?;
        self.envelope_keys.get(position).copied()
    }

    /// Whether the document serves the network as its file is now; everything that needs no signature.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, network: &Network) -> Result<(), DocumentError> {
        self.check_form(network)?;
        let same = self.parameters == network.parameters.digest()
            && self.roster == network.roster.digest()
            && self.mailboxes == network.roster.mailboxes_digest();
        if same { Ok(()) } else { Err(DocumentError::Parameters) }
    }

    /// Network, shape and keys; parameters, roster and mailboxes may be those of an earlier network file.
    fn check_form(&self, network: &Network) -> Result<(), DocumentError> {
        if self.network != network.id() {
            return Err(DocumentError::Network);
        }
        let rounds = self.rounds as usize;
        let shape = (1..=MAX_EPOCH_ROUNDS).contains(&self.rounds)
            && self.first_round.checked_add(u64::from(self.rounds)).is_some()
            && self.mixes.len() == network.mixes()
            && self.mixes.iter().all(|mix| mix.onion_keys.len() == rounds)
            && self.envelope_keys.len() == rounds;
        if !shape {
            return Err(DocumentError::Shape);
        }
        let of_mixes = self.mixes.iter().flat_map(|mix| mix.onion_keys.iter().chain([&mix.list_key]));
        let mut keys = of_mixes.chain(&self.envelope_keys);
        if keys.any(|key| key.check().is_err()) {
            return Err(DocumentError::Key);
        }
        Ok(())
    }

    /// A mix's signature over the document.
    pub fn sign(&self, key: &IdentityKey) -> Signature {
        key.sign(&signed_bytes(&self.digest()))
    }

    /// Whether `signature` is `identity`'s over the document.
    #[must_use]
    pub fn is_signed_by(&self, identity: &Identity, signature: &Signature) -> bool {
        identity.verify(&signed_bytes(&self.digest()), signature)
    }
}

fn keys(layout: Layout, keys: &[PublicKey]) -> Layout {
    keys.iter().fold(layout.u32(keys.len() as u32), |layout, key| layout.fixed(&key.0))
}

pub(super) fn signed_bytes(digest: &Digest) -> Vec<u8> {
    Layout::new(SIGNATURE_LABEL).digest(digest).finish()
}

#[cfg(test)]
impl EpochDocument {
    /// One of 60 rounds that only its numbers and the digest before it tell from others.
    pub(crate) fn sample(epoch: u64, previous: Digest) -> Self {
        let [network, parameters, roster, mailboxes] = [1, 3, 4, 5].map(|byte| Digest([byte; 32]));
        let (first_round, rounds, members, proposed_at_ms) = (epoch * 60, 60, 4, 6);
        let (mixes, envelope_keys) = (Vec::new(), Vec::new());
        Self {
            network,
            epoch,
            previous,
            first_round,
            rounds,
            members,
            parameters,
            roster,
            mailboxes,
            proposed_at_ms,
            mixes,
            envelope_keys,
        }
    }
}

/// A document with the signatures of all mixes in cascade order; valid only with all of them.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct SignedEpoch {
    /// The document.
    pub document: EpochDocument,
    /// One signature per mix.
    pub signatures: Vec<Signature>,
}

impl SignedEpoch {
    /// Whether the document is a link of this network's chain: its form and every signature. Its rounds can be used
    /// only if [`EpochDocument::check`] holds too: operators change parameters and roster while the chain goes on.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self, network: &Network) -> Result<(), DocumentError> {
        self.document.check_form(network)?;
        let signed = signed_bytes(&self.document.digest());
        let mixes = &network.roster.mixes;
        let valid = self.signatures.len() == mixes.len()
            && mixes.iter().zip(&self.signatures).all(|(mix, signature)| mix.identity.verify(&signed, signature));
        if valid { Ok(()) } else { Err(DocumentError::Signature) }
    }

    /// Whether this document directly follows one with `epoch` and `digest`.
    pub fn follows(&self, epoch: u64, digest: &Digest) -> bool {
        self.document.epoch > epoch && self.document.previous == *digest
    }
}

/// 32 secret bytes on their way over a link: a sub-share to its receiver, a released share to the exit.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretPart(pub [u8; 32]);

impl std::fmt::Debug for SecretPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretPart")
    }
}

impl PartialEq for SecretPart {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretPart {}

/// What one mix deals to another for an epoch of which fewer than all mixes open a round; for its eyes only.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct SubShares {
    /// The epoch called for.
    pub epoch: u64,
    /// The dealer's [`MixKeys::dealing`]: of several attempts at one epoch, which.
    pub dealing: Digest,
    /// The dealer's polynomial of each round at the receiver, little-endian numbers.
    pub values: Vec<SecretPart>,
    /// The dealer's, so that a wrong one proves itself.
    pub signature: Signature,
}

impl SubShares {
    /// Those for the mix of number `receiver`, from 1.
    pub fn sign(
        key: &IdentityKey,
        network: &Digest,
        epoch: u64,
        dealing: Digest,
        receiver: u8,
        values: Vec<SecretPart>,
    ) -> Self {
        let mut sub_shares = Self { epoch, dealing, values, signature: Signature([0; 64]) };
        sub_shares.signature = key.sign(&sub_shares.signed_bytes(network, receiver));
        sub_shares
    }

    /// Whether the mix of `identity` dealt them to `receiver`.
    #[must_use]
    pub fn is_signed_by(&self, identity: &Identity, network: &Digest, receiver: u8) -> bool {
        identity.verify(&self.signed_bytes(network, receiver), &self.signature)
    }

    /// Without the secrets themselves.
    pub(super) fn signed_bytes(&self, network: &Digest, receiver: u8) -> Vec<u8> {
        let values: Vec<&[u8]> = self.values.iter().map(|value| value.0.as_slice()).collect();
        let layout = Layout::new("mixnet v1 sub-shares").digest(network).u64(self.epoch).digest(&self.dealing);
        layout.u8(receiver).digest(&derive_parts(Label::SubShares, &values)).finish()
    }
}
