//! Incremental digests and the 16-byte pseudo-random function.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::blake3_lanes::{Keys, Mode, hash_each};
use super::{Digest, Label, kdf};

/// Output length of [`prf`].
pub const PRF_BYTES: usize = 16;

/// A key of [`prf`].
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PrfKey(pub(crate) [u8; 32]);

impl PrfKey {
    /// Takes 32 secret bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Keyed BLAKE3 over the concatenation of `parts`, cut to 16 bytes.
pub fn prf(key: &PrfKey, parts: &[&[u8]]) -> [u8; PRF_BYTES] {
    let mut hasher = blake3::Hasher::new_keyed(&key.0);
    for part in parts {
        hasher.update(part);
    }
    let mut out = [0u8; PRF_BYTES];
    hasher.finalize_xof().fill(&mut out);
    hasher.zeroize();
    out
}

/// [`prf`] under each of `keys` of the message in the same place. Messages of one length are hashed side by side where the
/// processor can.
///
/// # Panics
/// If the lengths differ.
pub fn prf_each(keys: &[&PrfKey], messages: &[&[u8]]) -> Vec<[u8; PRF_BYTES]> {
    let keys: Vec<&[u8; 32]> = keys.iter().map(|key| &key.0).collect();
    let mut out = vec![[0; PRF_BYTES]; messages.len()];
    hash_each(Mode::Keyed, Keys::Each(&keys), messages, &mut out);
    out
}

/// SHA-256 without a label: how people and their tools compare files. The protocol itself never uses it.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// A digest under a label, fed piece by piece.
pub struct DigestWriter(blake3::Hasher);

impl DigestWriter {
    /// An empty digest under `label`.
    pub fn new(label: Label) -> Self {
        Self(kdf::hasher(label))
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything appended.
    pub fn finish(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_the_one_of_fips_180() {
        let hex = crate::crypto::to_hex(&sha256(b"abc"));
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
