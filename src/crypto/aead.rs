//! ChaCha20-Poly1305 (RFC 8439) under keys that seal exactly one message.
//!
//! The nonce is zero and there is no associated data: a key comes out of the KDF, which binds
//! everything, and is used once. aws-lc does the work; RustCrypto is the reference that the tests
//! compare it with and the portable backend.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20poly1305::{AeadInOut, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Backend;

/// Length of an AEAD key.
pub const KEY_BYTES: usize = 32;
/// Length of a detached tag.
pub const TAG_BYTES: usize = 16;

/// A detached Poly1305 tag.
pub type Tag = [u8; TAG_BYTES];

/// The block counter of the first payload block: block 0 makes the Poly1305 key (RFC 8439, 2.8).
const FIRST_PAYLOAD_BYTE: u64 = 64;

/// A key for one message.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct AeadKey([u8; KEY_BYTES]);

impl AeadKey {
    /// Takes 32 secret bytes.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Encrypts `message` in place and returns its tag.
    pub fn seal(&self, backend: Backend, message: &mut [u8]) -> Tag {
        match backend {
            Backend::Ifma | Backend::Lanes | Backend::Lanes4 | Backend::AwsLc => {
                let tag = self
                    .aws_lc()
                    .seal_in_place_separate_tag(zero_nonce(), Aad::empty(), message)
                    .expect("a message is far below the 256 GiB that ChaCha20 can take");
                tag.as_ref().try_into().expect("the tag of ChaCha20-Poly1305 has 16 bytes")
            }
            Backend::Dalek => chacha20poly1305::ChaCha20Poly1305::new(&self.0.into())
                .encrypt_inout_detached(&Default::default(), &[], message.into())
                .expect("a message is far below the 256 GiB that ChaCha20 can take")
                .into(),
        }
    }

    /// Decrypts `message` in place. On `false` the tag was wrong and the bytes of `message` must
    /// not be used.
    #[must_use]
    pub fn open(&self, backend: Backend, tag: &Tag, message: &mut [u8]) -> bool {
        match backend {
            Backend::Ifma | Backend::Lanes | Backend::Lanes4 | Backend::AwsLc => {
                self.aws_lc().open_in_place_separate_tag(zero_nonce(), Aad::empty(), tag, message).is_ok()
            }
            Backend::Dalek => chacha20poly1305::ChaCha20Poly1305::new(&self.0.into())
                .decrypt_inout_detached(&Default::default(), &[], message.into(), tag.into())
                .is_ok(),
        }
    }

    /// XORs `bytes` with this key's payload keystream from byte `offset` on: what sealing does to
    /// the part of a message that starts there.
    pub fn apply_keystream(&self, offset: usize, bytes: &mut [u8]) {
        let mut cipher = chacha20::ChaCha20::new(&self.0.into(), &Default::default());
        cipher.seek(FIRST_PAYLOAD_BYTE + offset as u64);
        cipher.apply_keystream(bytes);
    }

    fn aws_lc(&self) -> LessSafeKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.0).expect("the key has 32 bytes");
        LessSafeKey::new(key)
    }
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_agree_and_open_each_other() {
        for len in [0usize, 1, 15, 16, 17, 63, 64, 65, 1000, 70_000] {
            let key = AeadKey::from_bytes([len as u8; 32]);
            let plain: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let (mut a, mut b) = (plain.clone(), plain.clone());
            let tag = key.seal(Backend::AwsLc, &mut a);
            assert_eq!(tag, key.seal(Backend::Dalek, &mut b));
            assert_eq!(a, b);
            assert!(key.open(Backend::Dalek, &tag, &mut a));
            assert!(key.open(Backend::AwsLc, &tag, &mut b));
            assert_eq!(a, plain);
            assert_eq!(b, plain);
        }
    }

    #[test]
    fn a_wrong_tag_opens_nowhere() {
        for backend in Backend::ALL {
            let key = AeadKey::from_bytes([7; 32]);
            let mut message = [1u8; 40];
            let mut tag = key.seal(backend, &mut message);
            tag[15] ^= 1;
            assert!(!key.open(backend, &tag, &mut message));
        }
    }

    #[test]
    fn keystream_is_the_one_of_the_payload() {
        let key = AeadKey::from_bytes([9; 32]);
        let mut sealed = [0u8; 300];
        let _ = key.seal(Backend::AwsLc, &mut sealed);
        let mut stream = [0u8; 100];
        key.apply_keystream(170, &mut stream);
        assert_eq!(stream, sealed[170..270]);
    }
}
