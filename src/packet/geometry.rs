//! The sizes of everything in a packet, derived from L and `payload`.

use std::ops::Range;

/// Overhead of one seal: an ephemeral X25519 key (32) and a Poly1305 tag (16).
pub const SEAL_BYTES: usize = 48;
/// kind 1 | zero 3 | message id 16 | index 4 | count 4 | length 4 | expiry 8 | sender 16 | sender tag 16.
pub const BODY_HEADER_BYTES: usize = 1 + 3 + 16 + 4 + 4 + 4 + 8 + 16 + 16;
/// A cascade of one mix hides nothing from that mix.
pub const MIN_MIXES: usize = 2;
/// Above seven mixes latency grows and trust does not.
pub const MAX_MIXES: usize = 7;
/// The least `payload` of a network.
pub const MIN_PAYLOAD: usize = 256;
/// The greatest `payload` of a network.
pub const MAX_PAYLOAD: usize = 4 << 20;

const MAILBOX_BYTES: usize = 16;
const CAPABILITY_BYTES: usize = 32;

/// The shape of a network's packets: how many mixes, how many user bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Geometry {
    mixes: usize,
    payload: usize,
}

impl Geometry {
    /// `None` unless `mixes` is 2 to 7 and `payload` 256 bytes to 4 MiB.
    pub fn new(mixes: usize, payload: usize) -> Option<Self> {
        let valid = (MIN_MIXES..=MAX_MIXES).contains(&mixes) && (MIN_PAYLOAD..=MAX_PAYLOAD).contains(&payload);
        valid.then_some(Self { mixes, payload })
    }

    /// L, the number of mixes in the cascade.
    pub const fn mixes(&self) -> usize {
        self.mixes
    }

    /// User bytes in one packet.
    pub const fn payload(&self) -> usize {
        self.payload
    }

    /// Body header and payload.
    pub const fn body(&self) -> usize {
        BODY_HEADER_BYTES + self.payload
    }

    /// A sealed body.
    pub const fn letter(&self) -> usize {
        SEAL_BYTES + self.body()
    }

    /// E: sealed mailbox id, capability and letter.
    pub const fn envelope(&self) -> usize {
        SEAL_BYTES + MAILBOX_BYTES + CAPABILITY_BYTES + self.letter()
    }

    /// Where in an opened envelope its letter lies.
    pub const fn letter_in_envelope(&self) -> Range<usize> {
        self.envelope() - self.letter()..self.envelope()
    }

    /// W: an envelope under one layer per mix; the size of every packet on every link.
    pub const fn packet(&self) -> usize {
        SEAL_BYTES * self.mixes + self.envelope()
    }

    /// A packet with room behind it for the filler that peeling appends.
    pub const fn stride(&self) -> usize {
        self.packet() + SEAL_BYTES
    }
}
