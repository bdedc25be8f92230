//! The primitives: key types, X25519, AEAD, key derivation, signatures.
//!
//! Nothing here knows what a packet or a round is. Secrets are types without `Debug` and without
//! `Clone`, cleared on drop; public values are plain byte newtypes printed in hex.

mod aead;
mod blake3_lanes;
mod bytes;
mod defences;
mod hash;
mod identity;
mod kdf;
mod locked;
mod remembered;
#[cfg(test)]
pub(crate) mod vectors;
mod x25519;

pub use aead::{AeadKey, KEY_BYTES, TAG_BYTES, Tag};
pub(crate) use bytes::byte_string;
pub use bytes::{BadHex, Digest, Identity, MailboxId, PublicKey, Signature, from_hex, to_hex};
pub use defences::{Defence, Defences};
pub use hash::{DigestWriter, PRF_BYTES, PrfKey, prf, prf_each, sha256};
pub use identity::{BadIdentityKey, IdentityKey};
pub use kdf::{LABELS, Label, derive, derive_each, derive_each_into, derive_into, derive_parts};
pub use locked::{LockedKeys, LockedRow};
#[cfg(any(test, feature = "sim"))]
pub(crate) use remembered::remember_checks;
pub(crate) use remembered::remembered;
#[cfg(any(test, feature = "sim"))]
pub use x25519::multiply;
pub use x25519::{Agreement, BATCH, Backend, PointError, Scalars, SecretKey, SharedSecret, agree_each, public_keys};

/// The generator every engine draws from: ChaCha20 seeded by the operating system in a daemon, by
/// a number in a test.
pub type Csprng = chacha20::ChaCha20Rng;

/// A generator seeded with 32 bytes from the operating system.
///
/// # Panics
/// If the operating system has no randomness to give: nothing sound can be done without it.
pub fn os_csprng() -> Csprng {
    use rand::TryRng;
    let mut seed = [0u8; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut seed).expect("the operating system provides randomness");
    <Csprng as rand::SeedableRng>::from_seed(seed)
}

/// More than the frames of the functions that work in lanes: a test paints the stack and looks how far they reach.
#[cfg(target_arch = "x86_64")]
const STACK: usize = 32 << 10;

/// Writes over what functions that work in lanes may have left on the stack.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn clear_stack() {
    use zeroize::Zeroize;
    // By words: each is a store that the compiler must keep.
    let mut stack = [0u64; STACK / 8];
    stack.zeroize();
}
