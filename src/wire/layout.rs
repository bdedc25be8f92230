//! Fixed layouts: the bytes that are signed or digested.

use crate::crypto::{Digest, IdentityKey, Signature};

/// A fixed layout being written: a label, a zero byte, then fields in order, integers little-endian.
///
/// Variable-length fields are written behind their length, so no two values share a layout.
pub struct Layout(Vec<u8>);

impl Layout {
    /// Begins with `label`, which no other kind of signed bytes begins with.
    pub fn new(label: &str) -> Self {
        let mut bytes = label.as_bytes().to_vec();
        bytes.push(0);
        Self(bytes)
    }

    /// One byte.
    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    /// Four bytes.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Eight bytes.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// 32 bytes.
    #[must_use]
    pub fn digest(self, value: &Digest) -> Self {
        self.fixed(&value.0)
    }

    /// Bytes whose number the layout itself fixes.
    #[must_use]
    pub fn fixed(mut self, value: &[u8]) -> Self {
        self.0.extend_from_slice(value);
        self
    }

    /// Bytes of any number, behind it as 4 bytes.
    #[must_use]
    pub fn variable(self, value: &[u8]) -> Self {
        let length = u32::try_from(value.len()).expect("signed fields are small");
        self.u32(length).fixed(value)
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Signs the bytes.
    pub fn sign(self, key: &IdentityKey) -> Signature {
        key.sign(&self.0)
    }
}
