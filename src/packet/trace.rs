//! The way of one onion through all hops, known to whoever has all onion keys of a round.

use crate::crypto::{Digest, Label, PrfKey, derive};

use super::echo::{first_echo, next_echo};
use super::{Echo, PeelError, Peeler, SEAL_BYTES};

/// What every hop must have done with one onion.
pub struct Trace {
    /// H(Onion, packet) as each hop received it, hop 1 first: one for each layer that opened, and for the first that
    /// did not.
    pub packets: Vec<Digest>,
    /// The echo key of each layer that opened, hop 1 first.
    pub echo_keys: Vec<PrfKey>,
    /// What each hop must hand back, hop 1 first; nothing if a layer did not open.
    pub echoes: Vec<Echo>,
    /// Why the layer behind the last one that opened did not.
    pub failed: Option<PeelError>,
}

impl Trace {
    /// Peels `onion`, W bytes, with the keys of hops 1 to L, as long as it opens. `index` is its client's roster index;
    /// `buffer` is only used, one stride long from then on.
    pub fn new(peelers: &[Peeler], index: u32, onion: &[u8], buffer: &mut Vec<u8>) -> Self {
        let mut trace = Self { packets: Vec::new(), echo_keys: Vec::new(), echoes: Vec::new(), failed: None };
        fill(buffer, onion);
        for peeler in peelers {
            trace.packets.push(derive(Label::Onion, &buffer[..peeler.geometry().packet()]));
            match peeler.peel_slot(buffer, index) {
                Ok(key) => trace.echo_keys.push(key),
                Err(error) => {
                    trace.failed = Some(error);
                    return trace;
                }
            }
            buffer.copy_within(SEAL_BYTES.., 0);
        }
        let Some((peeler, (last, before))) = peelers.last().zip(trace.echo_keys.split_last()) else { return trace };
        let mut echo = first_echo(last, peeler.geometry(), peeler.context().round, buffer);
        trace.echoes.push(echo);
        for key in before.iter().rev() {
            echo = next_echo(key, &echo);
            trace.echoes.push(echo);
        }
        trace.echoes.reverse();
        trace
    }

    /// The packet as hop `hop` received it, W bytes; `None` if a layer before does not open.
    pub fn packet_at(peelers: &[Peeler], index: u32, onion: &[u8], hop: u8) -> Option<Vec<u8>> {
        let mut buffer = Vec::new();
        fill(&mut buffer, onion);
        for peeler in peelers.iter().take(usize::from(hop) - 1) {
            peeler.peel_slot(&mut buffer, index).ok()?;
            buffer.copy_within(SEAL_BYTES.., 0);
        }
        buffer.truncate(onion.len());
        Some(buffer)
    }
}

/// The onion with room for a filler.
fn fill(buffer: &mut Vec<u8>, onion: &[u8]) {
    buffer.clear();
    buffer.extend_from_slice(onion);
    buffer.resize(onion.len() + SEAL_BYTES, 0);
}
