//! What is too long for one message.

use bytes::Bytes;

/// A piece of what is too long for one message: [`PIECE_BYTES`] each, the last what is left. Streams are not ordered, so
/// that each says which it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Piece {
    /// Which, from 0.
    pub number: u32,
    /// Its bytes: all pieces of one thing share its memory, and so do copies of them that wait to be said again.
    pub bytes: Bytes,
}

/// Half of what a message may have.
pub const PIECE_BYTES: usize = 512 << 10;
