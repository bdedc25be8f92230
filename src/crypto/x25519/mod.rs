//! X25519 (RFC 7748) behind one interface with several backends.
//!
//! x25519-dalek is the reference and the portable backend; aws-lc is 2.5 times as fast where it has assembly; `lanes`
//! does eight at a time where the processor has AVX-512, fastest with IFMA, and four where it has AVX2 and FMA. Points are checked
//! *before* they are used: non-canonical encodings would let one point have two spellings, and low-order points give a
//! secret that everybody knows.

mod batch;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(not(target_arch = "x86_64"))]
#[path = "lanes_absent.rs"]
mod lanes;
#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::agreement;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::PublicKey;
#[cfg(any(test, feature = "sim"))]
pub use batch::multiply;
pub use batch::{BATCH, Scalars, agree_each, public_keys};

/// Which implementation does the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    /// Eight at a time with AVX-512 and its 52-bit multiply-adds (IFMA), in batches; what comes alone, and everything on
    /// another processor, is aws-lc's.
    Ifma,
    /// As [`Backend::Ifma`], with AVX-512 alone.
    Lanes,
    /// As [`Backend::Ifma`], four at a time with AVX2 and fused multiply-adds.
    Lanes4,
    /// aws-lc through aws-lc-rs, assembly where the processor has it.
    AwsLc,
    /// x25519-dalek and RustCrypto: pure Rust, the reference.
    Dalek,
}

impl Backend {
    /// All, for tests that compare them.
    pub const ALL: [Backend; 5] = [Backend::Ifma, Backend::Lanes, Backend::Lanes4, Backend::AwsLc, Backend::Dalek];
    /// Those that work in lanes, the fastest first.
    pub const IN_LANES: [Backend; 3] = [Backend::Ifma, Backend::Lanes, Backend::Lanes4];

    /// Whether this processor has what it needs.
    pub fn is_available(self) -> bool {
        matches!(self, Backend::AwsLc | Backend::Dalek) || lanes::Lanes::of(self).is_some()
    }
}

impl Default for Backend {
    /// The fastest that this processor has.
    fn default() -> Self {
        Self::IN_LANES.into_iter().find(|backend| backend.is_available()).unwrap_or(Backend::AwsLc)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Ifma => "ifma",
            Backend::Lanes => "lanes",
            Backend::Lanes4 => "lanes4",
            Backend::AwsLc => "aws-lc",
            Backend::Dalek => "dalek",
        })
    }
}

/// Why a public key is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PointError {
    /// The top bit is set or the value is not below 2^255 - 19.
    #[error("the point is not canonically encoded")]
    NonCanonical,
    /// The point has order 1, 2, 4 or 8, on the curve or its twist.
    #[error("the point has low order")]
    LowOrder,
}

/// 2^255 - 19, little-endian.
const FIELD_PRIME: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// The canonical encodings of every point of low order: 0, 1, the two of order 8, and p - 1.
const LOW_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    {
        let mut minus_one = FIELD_PRIME;
        minus_one[0] = 0xec;
        minus_one
    },
];

impl PublicKey {
    /// Refuses non-canonical and low-order points. Public data, so no constant time is needed.
    ///
    /// # Errors
    /// Which of the two it is.
    pub fn check(&self) -> Result<(), PointError> {
        if !self.0.iter().rev().lt(FIELD_PRIME.iter().rev()) {
            return Err(PointError::NonCanonical);
        }
        if LOW_ORDER.contains(&self.0) {
            return Err(PointError::LowOrder);
        }
        Ok(())
    }
}

/// An X25519 private key: 32 bytes, clamped when used.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Draws a key.
    pub fn random(rng: &mut impl rand::CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Takes 32 secret bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes, for the key file and the page lock; nothing else may have them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key ready for use by `backend`; prepare once, agree often.
    pub fn prepare(&self, backend: Backend) -> Agreement {
        match backend {
            Backend::Ifma | Backend::Lanes | Backend::Lanes4 => Agreement::Lanes(backend, Self(self.0), self.aws_lc()),
            Backend::AwsLc => Agreement::AwsLc(self.aws_lc()),
            Backend::Dalek => Agreement::Dalek(x25519_dalek::StaticSecret::from(self.0)),
        }
    }

    fn aws_lc(&self) -> agreement::PrivateKey {
        agreement::PrivateKey::from_private_key(&agreement::X25519, &self.0)
            .expect("any 32 bytes are an X25519 private key")
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.prepare(Backend::AwsLc).public_key()
    }
}

/// A private key in the form its backend works with; cleared by the backend on drop.
pub enum Agreement {
    /// For the lanes of the backend, and held by aws-lc for what does not fill them.
    Lanes(Backend, SecretKey, agreement::PrivateKey),
    /// Held by aws-lc.
    AwsLc(agreement::PrivateKey),
    /// Held by x25519-dalek.
    Dalek(x25519_dalek::StaticSecret),
}

impl Agreement {
    /// The backend that holds the key.
    pub fn backend(&self) -> Backend {
        match self {
            Agreement::Lanes(backend, ..) => *backend,
            Agreement::AwsLc(_) => Backend::AwsLc,
            Agreement::Dalek(_) => Backend::Dalek,
        }
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        match self {
            Agreement::Lanes(.., key) | Agreement::AwsLc(key) => {
                let public = key.compute_public_key().expect("aws-lc derives the public key of any private key");
                PublicKey(public.as_ref().try_into().expect("an X25519 public key has 32 bytes"))
            }
            Agreement::Dalek(key) => PublicKey(x25519_dalek::PublicKey::from(key).to_bytes()),
        }
    }

    /// The shared secret with `peer`; `None` if it would be all zero, whatever the reason.
    /// `peer` has passed [`PublicKey::check`].
    pub fn agree(&self, peer: &PublicKey) -> Option<SharedSecret> {
        match self {
            Agreement::Lanes(.., key) | Agreement::AwsLc(key) => {
                let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, peer.0);
                agreement::agree(key, peer, (), |secret| secret.try_into().map(SharedSecret).map_err(drop)).ok()
            }
            Agreement::Dalek(key) => {
                let secret = key.diffie_hellman(&x25519_dalek::PublicKey::from(peer.0));
                secret.was_contributory().then(|| SharedSecret(secret.to_bytes()))
            }
        }
    }
}

/// The result of a key agreement; only a KDF may read it.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SharedSecret([u8; 32]);

impl SharedSecret {
    /// `None` of zeros.
    fn contributory(bytes: &[u8; 32]) -> Option<Self> {
        let is_zero: bool = bytes.ct_eq(&[0; 32]).into();
        (!is_zero).then(|| Self(*bytes))
    }

    /// The raw bytes, as input of a KDF.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}
