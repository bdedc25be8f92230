//! One seal: the key agreement, the derivation of a hop's keys, and what they are bound to.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::{
    AeadKey, Agreement, BATCH, Backend, Digest, KEY_BYTES, Label, PrfKey, PublicKey, SharedSecret, Tag,
    derive_each_into, derive_into,
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

/// ss 32 | suite 1 | network 32 | epoch 8 | round 8 | hop 1 | ephemeral 32 | recipient 32 | extra 4.
const KDF_INPUT: usize = 150;
/// k 32 | ek 32 | 32 that nothing uses | F 48.
const KDF_OUTPUT: usize = 144;

/// The keys of one layer: 144 bytes of KDF output.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct HopKeys {
    bytes: [u8; KDF_OUTPUT],
}

impl HopKeys {
    /// `kdf` of the specification.
    pub(super) fn derive(
        secret: &SharedSecret,
        context: &RoundContext,
        place: Place,
        ephemeral: &PublicKey,
        recipient: &PublicKey,
    ) -> Self {
        let mut input = Zeroizing::new([0u8; KDF_INPUT]);
        write_input(&mut input, secret, context, place, ephemeral, recipient);
        let mut keys = Self { bytes: [0; KDF_OUTPUT] };
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
    pub(super) fn expose(&self) -> &[u8; KDF_OUTPUT] {
        &self.bytes
    }
}

/// What a layer's keys follow from, [`KDF_INPUT`] bytes.
fn write_input(
    input: &mut [u8; KDF_INPUT],
    secret: &SharedSecret,
    context: &RoundContext,
    place: Place,
    ephemeral: &PublicKey,
    recipient: &PublicKey,
) {
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
}

/// A seal to open: its ephemeral key, what it is bound to, and what the caller has of it.
pub(super) struct Seal<T> {
    pub ephemeral: PublicKey,
    pub context: RoundContext,
    pub place: Place,
    pub of: T,
}

/// Keys that are derived side by side.
const DERIVED: usize = 16;

/// Agrees with the ephemeral key of each seal to `own`, whose public half is `public`, in groups of [`BATCH`] so that lanes
/// fill, and hands the seal on with its keys, or why there are none: bad points are refused before the key agreement sees
/// them.
///
/// Nothing is allocated for a seal: only, once a call, what a group needs.
pub(super) fn keys_in_groups<T>(
    own: &Agreement,
    public: &PublicKey,
    mut seals: impl Iterator<Item = Seal<T>>,
    mut each: impl FnMut(&PublicKey, T, Result<HopKeys, PeelError>),
) {
    let most = seals.size_hint().1.map_or(BATCH, |count| count.min(BATCH));
    let mut ephemerals = Vec::with_capacity(most);
    let mut others = Vec::with_capacity(most);
    let mut secrets: Vec<Option<SharedSecret>> = Vec::with_capacity(most);
    let mut inputs = Zeroizing::new([[0; KDF_INPUT]; DERIVED]);
    let mut outputs = Zeroizing::new([[0; KDF_OUTPUT]; DERIVED]);
    loop {
        for seal in seals.by_ref().take(BATCH) {
            ephemerals.push(seal.ephemeral);
            others.push(seal);
        }
        if ephemerals.is_empty() {
            return;
        }
        secrets.resize_with(ephemerals.len(), || None);
        own.agree_all(&ephemerals, &mut secrets);
        let mut group = others.drain(..);
        while !group.as_slice().is_empty() {
            let first = secrets.len() - group.len();
            let count = group.len().min(DERIVED);
            let secrets = &secrets[first..first + count];
            for ((seal, secret), input) in group.as_slice().iter().zip(secrets).zip(inputs.iter_mut()) {
                if let Some(secret) = secret {
                    write_input(input, secret, &seal.context, seal.place, &seal.ephemeral, public);
                }
            }
            let materials: [&[u8]; DERIVED] = std::array::from_fn(|i| &inputs[i][..]);
            derive_each_into(Label::Hop, &materials[..count], &mut outputs[..count]);
            // The seals last: what ends first must not have taken one from them.
            for ((secret, bytes), seal) in secrets.iter().zip(outputs.iter()).zip(group.by_ref()) {
                let keys = match seal.ephemeral.check() {
                    Ok(()) if secret.is_some() => Ok(HopKeys { bytes: *bytes }),
                    Ok(()) => Err(PeelError::LowOrder),
                    Err(error) => Err(error.into()),
                };
                each(&seal.ephemeral, seal.of, keys);
            }
        }
        drop(group);
        ephemerals.clear();
        secrets.clear();
    }
}
