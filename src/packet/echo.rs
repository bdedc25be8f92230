//! Echoes: what a packet answers if it went through every hop, and the commitment to it.
//!
//! The key of each step is derived from the packet itself at that hop, so nobody can compute the echo of a packet
//! that the hop did not peel.

use crate::crypto::{Digest, Label, PRF_BYTES, PrfKey, derive, derive_each, prf, prf_each};

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

/// [`first_echo`] of each of `packets` under the key in the same place, side by side.
///
/// # Panics
/// If there is not one key for each packet.
pub fn first_echoes<'a>(
    keys: &[&PrfKey],
    geometry: Geometry,
    round: u64,
    packets: impl Iterator<Item = &'a [u8]>,
) -> Vec<Echo> {
    let envelopes: Vec<&[u8]> = packets.map(|packet| &packet[..geometry.envelope()]).collect();
    let digests = derive_each(Label::Envelope, &envelopes);
    let messages: Vec<[u8; 40]> = digests.iter().map(|digest| in_round(round, digest)).collect();
    prf_each(keys, &messages.iter().map(<[u8; 40]>::as_slice).collect::<Vec<_>>())
}

/// Every other hop's step towards the client: the echo that hop i + 1 handed back becomes hop i's.
pub fn next_echo(key: &PrfKey, echo: &Echo) -> Echo {
    prf(key, &[echo])
}

/// [`next_echo`] of each of `echoes` under the key in the same place, side by side.
///
/// # Panics
/// If there is not one key for each.
pub fn next_echoes(keys: &[&PrfKey], echoes: &[Echo]) -> Vec<Echo> {
    prf_each(keys, &echoes.iter().map(Echo::as_slice).collect::<Vec<_>>())
}

/// A client's commitment to its echo: H("commit" | network | epoch | round | index | x), 16 bytes.
pub fn commitment(context: &RoundContext, index: u32, echo: &Echo) -> Commitment {
    cut(&derive(Label::Commit, &committed(context, index, echo)))
}

/// [`commitment`] of each client to its echo, side by side.
pub fn commitments(context: &RoundContext, echoes: impl Iterator<Item = (u32, Echo)>) -> Vec<Commitment> {
    let materials: Vec<[u8; 68]> = echoes.map(|(index, echo)| committed(context, index, &echo)).collect();
    let digests = derive_each(Label::Commit, &materials.iter().map(<[u8; 68]>::as_slice).collect::<Vec<_>>());
    digests.iter().map(cut).collect()
}

/// What a commitment is of: network 32 | epoch 8 | round 8 | index 4 | echo 16.
fn committed(context: &RoundContext, index: u32, echo: &Echo) -> [u8; 68] {
    let mut material = [0; 68];
    material[..32].copy_from_slice(&context.network.0);
    material[32..40].copy_from_slice(&context.epoch.to_le_bytes());
    material[40..48].copy_from_slice(&context.round.to_le_bytes());
    material[48..52].copy_from_slice(&index.to_le_bytes());
    material[52..].copy_from_slice(echo);
    material
}

fn cut(digest: &Digest) -> Commitment {
    digest.0[..16].try_into().expect("a digest has 32 bytes")
}

/// The echo that a packet must cause, by its layers' echo keys, outermost first.
pub(super) fn foretold(keys: &[PrfKey], round: u64, envelope: &[u8]) -> Echo {
    let (last, before) = keys.split_last().expect("an onion has at least one layer");
    before.iter().rev().fold(of_envelope(last, round, envelope), |x, key| next_echo(key, &x))
}

fn of_envelope(key: &PrfKey, round: u64, envelope: &[u8]) -> Echo {
    prf(key, &[&in_round(round, &derive(Label::Envelope, envelope))])
}

/// What the first echo is of: round 8 | digest of the envelope 32.
fn in_round(round: u64, envelope: &Digest) -> [u8; 40] {
    let mut message = [0; 40];
    message[..8].copy_from_slice(&round.to_le_bytes());
    message[8..].copy_from_slice(&envelope.0);
    message
}
