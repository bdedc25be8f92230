//! Packets: their geometry, how a client builds one, how a mix peels one, what a letter holds.
//!
//! A packet has one size W at every hop. `wire-spec.md`, section 4, gives every byte; the names of
//! the steps below are the names there. No threads and no I/O: callers bring buffers, keys and
//! randomness.

mod area;
mod body;
mod build;
mod echo;
mod geometry;
mod letter;
mod peel;
mod replay;
mod seal;
mod shuffle;
mod slots;
mod trace;

pub use body::{Body, BodyError, Kind, MessageId};
pub use build::{Address, Builder, Ephemerals, Order, Recipe};
pub use echo::{Commitment, Echo, commitment, commitments, first_echo, first_echoes, next_echo, next_echoes};
pub use geometry::{BODY_HEADER_BYTES, Geometry, MAX_MIXES, MAX_PAYLOAD, MIN_MIXES, MIN_PAYLOAD, SEAL_BYTES};
pub use letter::{Correspondent, LetterError, OpenedLetter, open_letter, open_letters};
pub use peel::{EnvelopeKey, OpenedEnvelope, PeelError, Peeler};
pub use replay::ReplaySet;
pub use seal::{ENVELOPE_HOP, LETTER_HOP, NO_EXTRA, RoundContext, SUITE};
pub use shuffle::permutation;
pub use slots::Slots;
pub use trace::Trace;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
