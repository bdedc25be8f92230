//! Echoes: what a packet answers if it went through every hop, and the commitment to it.
//!
//! The key of each step is derived from the packet itself at that hop, so nobody can compute the echo of a packet
//! that the hop did not peel.

use crate::crypto::{Label, PRF_BYTES, PrfKey, derive_parts, prf};

use super::{Geometry, RoundContext};

/// What travels back for one packet: the same 16 bytes for its sender, who foretells it, and for the mixes.
pub type Echo = [u8; PRF_BYTES];
/// What a client says beforehand about one echo; it tells nothing of it.
pub type Commitment = [u8; 16];

/// The exit's step: `key` is the echo key of hop L, `packet` what peeling there left, of which the envelope is
/// the first [`Geometry::envelope`] bytes. To be taken before the envelope is opened in place.
pub fn first_echo(key: &PrfKey, geometry: Geometry, round: u64, packet: &[u8]) -> Echo {
    of_envelope(key, round, &packet[..geometry.envelope()])
}

/// Every other hop's step towards the client: the echo that hop i + 1 handed back becomes hop i's.
pub fn next_echo(key: &PrfKey, echo: &Echo) -> Echo {
    prf(key, &[echo])
}

/// A client's commitment to its echo: H("commit" | network | epoch | round | index | x), 16 bytes.
pub fn commitment(context: &RoundContext, index: u32, echo: &Echo) -> Commitment {
    let digest = derive_parts(
        Label::Commit,
        &[&context.network.0, &context.epoch.to_le_bytes(), &context.round.to_le_bytes(), &index.to_le_bytes(), echo],
    );
    digest.0[..16].try_into().expect("a digest has 32 bytes")
}

/// The echo that a packet must cause, by its layers' echo keys, outermost first.
pub(super) fn foretold(keys: &[PrfKey], round: u64, envelope: &[u8]) -> Echo {
    let (last, before) = keys.split_last().expect("an onion has at least one layer");
    before.iter().rev().fold(of_envelope(last, round, envelope), |x, key| next_echo(key, &x))
}

fn of_envelope(key: &PrfKey, round: u64, envelope: &[u8]) -> Echo {
    let digest = derive_parts(Label::Envelope, &[envelope]);
    prf(key, &[&round.to_le_bytes(), &digest.0])
}
