//! Frames: a 4-byte little-endian length, then that many bytes of one encoded message.

use super::codec::{self, CodecError, Decode, Encode, MAX_MESSAGE};

/// Length of the prefix.
pub const PREFIX_BYTES: usize = 4;

/// A frame that is refused before anything is allocated for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// The prefix announces nothing, or more than [`MAX_MESSAGE`] bytes.
    #[error("frame length out of range")]
    Length,
    /// The bytes are no message.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// The message as a frame.
pub fn write<T: Encode>(message: &T) -> Vec<u8> {
    let body = codec::encode(message);
    let length = u32::try_from(body.len()).expect("a message is at most 1 MiB");
    [&length.to_le_bytes(), body.as_slice()].concat()
}

/// The number of bytes that follow `prefix`.
///
/// # Errors
/// If it is zero or above [`MAX_MESSAGE`].
pub fn length(prefix: [u8; PREFIX_BYTES]) -> Result<usize, FrameError> {
    match u32::from_le_bytes(prefix) as usize {
        length @ 1..=MAX_MESSAGE => Ok(length),
        _ => Err(FrameError::Length),
    }
}

/// Reads one whole frame and nothing behind it.
///
/// # Errors
/// If `bytes` are anything else.
pub fn read<T: Decode<()> + Encode>(bytes: &[u8]) -> Result<T, FrameError> {
    let (prefix, body) = bytes.split_first_chunk::<PREFIX_BYTES>().ok_or(FrameError::Length)?;
    if length(*prefix)? != body.len() {
        return Err(FrameError::Length);
    }
    Ok(codec::decode(body)?)
}
