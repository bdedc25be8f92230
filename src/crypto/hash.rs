//! Incremental digests and the 16-byte pseudo-random function.

use zeroize::{Zeroize, ZeroizeOnDrop};

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
