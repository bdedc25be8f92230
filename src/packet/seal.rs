//! One seal: the key agreement, the derivation of a hop's keys, and what they are bound to.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::{
    AeadKey, Agreement, BATCH, Backend, Digest, KEY_BYTES, Label, PrfKey, PublicKey, SharedSecret, Tag, derive_into,
};

use super::{PeelError, SEAL_BYTES};

/// The only suite so far: X25519, ChaCha20-Poly1305, BLAKE3.
pub const SUITE: u8 = 1;
/// Hop number of the envelope; mixes are 1 to L.
pub const ENVELOPE_HOP: u8 = 254;
/// Hop number of the letter.
pub const LETTER_HOP: u8 = 255;
/// The `extra` of every seal but a client's outermost, which carries its roster index.
pub const NO_EXTRA: u32 = u32::MAX;

/// What every seal of a round is bound to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RoundContext {
    /// The network's identifier.
    pub network: Digest,
    /// The epoch whose document holds the keys.
    pub epoch: u64,
    /// The round.
    pub round: u64,
}

/// A place in the onion: which hop, and the roster index at a client's first.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub hop: u8,
    pub extra: u32,
}

impl Place {
    pub(super) fn inner(hop: u8) -> Self {
        Self { hop, extra: NO_EXTRA }
    }
}

/// The keys of one layer: 144 bytes of KDF output.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct HopKeys {
    bytes: [u8; 144],
}

impl HopKeys {
    /// `kdf` of the specification: ss 32 | suite 1 | network 32 | epoch 8 | round 8 | hop 1 | ephemeral 32 |
    /// recipient 32 | extra 4, to 144 bytes.
    pub(super) fn derive(
        secret: &SharedSecret,
        context: &RoundContext,
        place: Place,
        ephemeral: &PublicKey,
        recipient: &PublicKey,
    ) -> Self {
        let mut input = Zeroizing::new([0u8; 150]);
        let mut rest = input.as_mut_slice();
        let epoch = context.epoch.to_le_bytes();
        let round = context.round.to_le_bytes();
        let extra = place.extra.to_le_bytes();
        let parts: [&[u8]; 9] = [
            secret.expose(),
            &[SUITE],
            &context.network.0,
            &epoch,
            &round,
            &[place.hop],
            &ephemeral.0,
            &recipient.0,
            &extra,
        ];
        for part in parts {
            let (head, tail) = rest.split_at_mut(part.len());
            head.copy_from_slice(part);
            rest = tail;
        }
        debug_assert!(rest.is_empty());
        let mut keys = Self { bytes: [0; 144] };
        derive_into(Label::Hop, input.as_slice(), &mut keys.bytes);
        keys
    }

    /// Refuses bad points before the key agreement sees them.
    pub(super) fn receive(
        agreement: &Agreement,
        own: &PublicKey,
        context: &RoundContext,
        place: Place,
        ephemeral: &PublicKey,
    ) -> Result<Self, PeelError> {
        ephemeral.check()?;
        let secret = agreement.agree(ephemeral).ok_or(PeelError::LowOrder)?;
        Ok(Self::derive(&secret, context, place, ephemeral, own))
    }

    /// k: the layer's AEAD key.
    pub(super) fn aead(&self) -> AeadKey {
        AeadKey::from_bytes(self.part::<KEY_BYTES>(0))
    }

    /// k, AEAD and backend in one: opens `message` in place.
    pub(super) fn open(&self, backend: Backend, tag: &Tag, message: &mut [u8]) -> Result<(), PeelError> {
        if self.aead().open(backend, tag, message) { Ok(()) } else { Err(PeelError::BadTag) }
    }

    /// ek: the layer's echo key.
    pub(super) fn echo(&self) -> PrfKey {
        PrfKey::from_bytes(self.part(32))
    }

    /// F: the filler that peeling appends.
    pub(super) fn filler(&self) -> [u8; SEAL_BYTES] {
        self.part(96)
    }

    fn part<const N: usize>(&self, from: usize) -> [u8; N] {
        self.bytes[from..from + N].try_into().expect("every part lies within the 144 bytes")
    }

    /// All 144 bytes, for test vectors.
    #[cfg(test)]
    pub(super) fn expose(&self) -> &[u8; 144] {
        &self.bytes
    }
}

/// Agrees with the ephemeral key of each seal, in groups of [`BATCH`] so that lanes fill, and hands the seal on with its
/// secret, or why there is none: bad points are refused before the key agreement sees them.
///
/// Nothing is allocated for a seal: only, once a call, what a group needs.
pub(super) fn agree_in_groups<T>(
    own: &Agreement,
    mut seals: impl Iterator<Item = (PublicKey, T)>,
    mut each: impl FnMut(&PublicKey, T, Result<SharedSecret, PeelError>),
) {
    let most = seals.size_hint().1.map_or(BATCH, |count| count.min(BATCH));
    let mut ephemerals = Vec::with_capacity(most);
    let mut others = Vec::with_capacity(most);
    let mut secrets: Vec<Option<SharedSecret>> = Vec::with_capacity(most);
    loop {
        for (ephemeral, other) in seals.by_ref().take(BATCH) {
            ephemerals.push(ephemeral);
            others.push(other);
        }
        if ephemerals.is_empty() {
            return;
        }
        secrets.resize_with(ephemerals.len(), || None);
        own.agree_all(&ephemerals, &mut secrets);
        for ((ephemeral, other), secret) in ephemerals.drain(..).zip(others.drain(..)).zip(secrets.drain(..)) {
            let secret = match ephemeral.check() {
                Ok(()) => secret.ok_or(PeelError::LowOrder),
                Err(error) => Err(error.into()),
            };
            each(&ephemeral, other, secret);
        }
    }
}
