//! The one file that names bincode: "standard" configuration, decoded strictly.
//!
//! bincode itself accepts trailing bytes and over-long integers, and without a limit nine bytes make
//! it allocate a terabyte. Here a value decodes only within a limit, to its last byte, and only from
//! the very bytes that it encodes to.

pub use bincode::{Decode, Encode};
use bincode::{
    config,
    de::{BorrowDecoder, Decoder},
    enc::Encoder,
    error::{DecodeError, EncodeError},
};

use crate::crypto::{Digest, Identity, MailboxId, PublicKey, Signature};

use super::{Piece, SecretPart};

/// The largest message, in bytes, that is ever encoded or decoded: 64 epoch documents of 7 mixes and 60 rounds fit.
pub const MAX_MESSAGE: usize = 1 << 20;

/// Why bytes are not a message. Peers see only "malformed".
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than [`MAX_MESSAGE`].
    #[error("message too long")]
    TooLong,
    /// Not an encoding of this type, or a length in it exceeds the limit.
    #[error("not an encoding of this type")]
    Malformed,
    /// Bytes are left over behind the value.
    #[error("trailing bytes")]
    Trailing,
    /// The value has another, shorter encoding.
    #[error("encoding is not canonical")]
    NotCanonical,
}

/// Encodes a message.
///
/// # Panics
/// If it exceeds [`MAX_MESSAGE`]: our own messages are bounded by construction.
pub fn encode<T: Encode>(message: &T) -> Vec<u8> {
    let bytes = encode_file(message);
    assert!(bytes.len() <= MAX_MESSAGE, "own messages keep the limit");
    bytes
}

/// Encodes what is no message but a file of its own, of any length.
pub fn encode_file<T: Encode>(content: &T) -> Vec<u8> {
    bincode::encode_to_vec(content, config::standard()).expect("own values have an encoding")
}

/// Decodes exactly one message from all of `bytes`.
///
/// # Errors
/// Which rule the bytes break.
pub fn decode<T: Decode<()> + Encode>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_file::<T, MAX_MESSAGE>(bytes)
}

/// As [`decode()`], within another limit, which bounds memory too: what is no message but a file of its own.
///
/// # Errors
/// Which rule the bytes break.
pub fn decode_file<T: Decode<()> + Encode, const LIMIT: usize>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > LIMIT {
        return Err(CodecError::TooLong);
    }
    let limited = config::standard().with_limit::<LIMIT>();
    let (message, used) = bincode::decode_from_slice(bytes, limited).map_err(|_| CodecError::Malformed)?;
    if used != bytes.len() {
        return Err(CodecError::Trailing);
    }
    let again = bincode::encode_to_vec(&message, config::standard()).map_err(|_| CodecError::Malformed)?;
    if again != bytes {
        return Err(CodecError::NotCanonical);
    }
    Ok(message)
}

/// Byte newtypes travel as their bytes, without a length.
macro_rules! as_array {
    ($($name:ident),*) => {$(
        impl Encode for $name {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                self.0.encode(encoder)
            }
        }

        impl<C> Decode<C> for $name {
            fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                Decode::decode(decoder).map(Self)
            }
        }

        impl<'de, C> bincode::BorrowDecode<'de, C> for $name {
            fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                Decode::decode(decoder).map(Self)
            }
        }
    )*};
}

/// As `number` and a list of bytes.
impl Encode for Piece {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.number.encode(encoder)?;
        self.bytes[..].encode(encoder)
    }
}

impl<C> Decode<C> for Piece {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self { number: Decode::decode(decoder)?, bytes: Vec::<u8>::decode(decoder)?.into() })
    }
}

impl<'de, C> bincode::BorrowDecode<'de, C> for Piece {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Decode::decode(decoder)
    }
}

as_array!(Digest, Identity, MailboxId, PublicKey, SecretPart, Signature);
