//! What is too long for one message.

use super::codec::{Decode, Encode};

/// A piece of what is too long for one message: [`PIECE_BYTES`] each, the last what is left. Streams are not ordered, so
/// that each says which it is.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Piece {
    /// Which, from 0.
    pub number: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Half of what a message may have.
pub const PIECE_BYTES: usize = 512 << 10;
