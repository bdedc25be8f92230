//! Ed25519 identity keys (RFC 8032): what a mix or client signs with and proves on its links.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::{Identity, Signature, remembered};

/// An Ed25519 key pair; the private half never leaves but as the PKCS#8 text of its key file.
pub struct IdentityKey {
    pair: Ed25519KeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
}

/// A key file that does not hold an Ed25519 private key.
#[derive(Clone, Debug, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS#8")]
pub struct BadIdentityKey;

impl IdentityKey {
    /// Takes the PKCS#8 (RFC 8410) encoding of a private key, DER.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, BadIdentityKey> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| BadIdentityKey)?;
        Ok(Self { pair, pkcs8: Zeroizing::new(der.to_vec()) })
    }

    /// The key of a 32-byte seed: tests and vectors, where keys must repeat.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        // RFC 8410, section 7: version 0, id-Ed25519, an OCTET STRING in an OCTET STRING.
        const PREFIX: [u8; 16] =
            [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        let der = Zeroizing::new([PREFIX.as_slice(), seed].concat());
        Self::from_pkcs8(&der).expect("any 32 bytes are an Ed25519 seed")
    }

    /// The DER for the key file and for TLS; nothing else may have it.
    pub fn expose_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half.
    pub fn identity(&self) -> Identity {
        Identity(self.pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes"))
    }

    /// Signs `message`, a fixed layout that begins with its own label.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.pair.sign(message).as_ref().try_into().expect("an Ed25519 signature has 64 bytes"))
    }
}

impl Identity {
    /// Whether `signature` is this identity's over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        remembered(&[&self.0, message, &signature.0], || {
            UnparsedPublicKey::new(&ED25519, &self.0).verify(message, &signature.0).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_refuses_what_it_did_not_sign() {
        let key = IdentityKey::from_seed(&[3; 32]);
        let signature = key.sign(b"a");
        assert!(key.identity().verify(b"a", &signature));
        assert!(!key.identity().verify(b"b", &signature));
        assert!(!IdentityKey::from_seed(&[4; 32]).identity().verify(b"a", &signature));
        assert!(IdentityKey::from_pkcs8(b"nonsense").is_err());
    }
}
