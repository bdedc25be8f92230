//! Public fixed-size byte strings and their hexadecimal form.

use data_encoding::HEXLOWER_PERMISSIVE;

/// `bytes` in lower-case hexadecimal.
pub fn to_hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Decodes exactly `N` bytes of hexadecimal, either case; `None` for anything else.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

macro_rules! byte_string {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const BYTES: usize = $len;

            /// The bytes themselves.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::crypto::to_hex(&self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::crypto::BadHex;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::crypto::from_hex(text).map(Self).ok_or($crate::crypto::BadHex { bytes: $len })
            }
        }
    };
}
pub(crate) use byte_string;

byte_string! {
    /// A BLAKE3 digest.
    Digest, 32
}
byte_string! {
    /// An Ed25519 public key: who a mix or a client is on its links and in signatures (RFC 8032).
    Identity, 32
}
byte_string! {
    /// An Ed25519 signature (RFC 8032).
    Signature, 64
}
byte_string! {
    /// The address of a mailbox: the first 16 bytes of a hash of its owner's capability.
    MailboxId, 16
}
byte_string! {
    /// An X25519 public key as it stands on the wire; [`PublicKey::check`] says whether it may be used.
    PublicKey, 32
}

/// A text that should be a certain number of bytes in hexadecimal and is not.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {} hexadecimal digits ({bytes} bytes)", bytes * 2)]
pub struct BadHex {
    pub(crate) bytes: usize,
}
