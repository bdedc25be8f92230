//! Echoes: the proof, backwards through the shuffles, that every client's packet was in every honest mix's batch.
//!
//! The exit begins with [`first_echoes`], every mix before it sends on what [`ReturnPath::back`] makes of them, the
//! entry puts its own into the order of the list ([`published`]), and everybody checks them against what the clients
//! committed to ([`check_echoes`]). All are pure functions, for jobs on the thread pool.

use zeroize::Zeroizing;

use crate::crypto::PrfKey;
use crate::packet::{self, Commitment, Echo, RoundContext, Slots, next_echoes};

use super::Origins;

/// Why a round's echoes prove that something is missing. The round must then not be opened.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EchoError {
    /// Another number of echoes than of packets.
    #[error("{found} echoes came for {packets} packets")]
    Count {
        /// How many there must be.
        packets: usize,
        /// How many there are.
        found: usize,
    },
    /// A packet of this mix's own did not go through.
    #[error("the echo of this mix's own packet at place {place} of its batch differs")]
    Noise {
        /// Its place in the batch that this mix handed on.
        place: usize,
    },
    /// Packets of clients did not go through: all of them, in the order of the list, at least one.
    #[error("{} echoes differ from what was committed to", .0.len())]
    Commitments(Vec<ListPlace>),
}

/// A packet's place in the list of a round: clients by ascending roster index, the packets of each as submitted.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ListPlace {
    /// The client's roster index.
    pub client: u32,
    /// Which of its packets, from 0.
    pub packet: u32,
}

/// What a mix keeps of a round when its batch has left: where every packet came from, the echo keys in order of
/// arrival, and what must come back for its own noise. All secret and cleared on drop. A pass consumes it: a mix that
/// ran one twice would reveal its shuffle.
pub struct ReturnPath {
    origins: Origins,
    /// One list a segment, as they came; moved whole, so that no key is left behind anywhere.
    keys: Vec<Vec<PrfKey>>,
    noise: Zeroizing<Vec<Echo>>,
}

impl ReturnPath {
    /// # Panics
    /// If there is not one key for each input and one echo for each packet of noise.
    pub(super) fn new(origins: Origins, keys: Vec<Vec<PrfKey>>, noise: Zeroizing<Vec<Echo>>) -> Self {
        assert_eq!(keys.iter().map(Vec::len).sum::<usize>(), origins.inputs(), "one echo key for each input");
        assert_eq!(origins.inputs() + noise.len(), origins.outputs(), "one echo for each packet of noise");
        Self { origins, keys, noise }
    }

    /// How many echoes must come back: one for each packet handed on.
    pub fn outputs(&self) -> usize {
        self.origins.outputs()
    }

    /// Without the defence that is the mix's own noise: whatever comes back for it is taken for right.
    pub fn unchecked(mut self, echoes: &[Echo]) -> Self {
        let came: Vec<_> =
            self.origins.noise().filter_map(|(place, which)| Some((which, *echoes.get(place)?))).collect();
        came.into_iter().for_each(|(which, echo)| self.noise[which] = echo);
        self
    }

    /// The way through the shuffle without the echoes: of the exit, whose echoes begin in front of its shuffle.
    pub fn into_origins(self) -> Origins {
        self.origins
    }

    /// Takes the echoes of the batch that was handed on, in its order, and gives those of the batch that was taken in,
    /// in that one's order. The way through the shuffle comes back with them, for what may follow once the round is
    /// opened; the keys are gone.
    ///
    /// # Errors
    /// If there is not one for each packet, or the first of this mix's own that differs. Nothing may go on then.
    pub fn back(self, echoes: &[Echo]) -> Result<(Vec<Echo>, Origins), EchoError> {
        let count = EchoError::Count { packets: self.outputs(), found: echoes.len() };
        let returned = self.origins.gather(size_of::<Echo>(), echoes.as_flattened()).ok_or(count)?;
        if let Some((place, _)) = self.origins.noise().find(|(place, which)| echoes[*place] != self.noise[*which]) {
            return Err(EchoError::Noise { place });
        }
        let (returned, _) = returned.as_chunks();
        let keys: Vec<&PrfKey> = self.keys.iter().flatten().collect();
        Ok((next_echoes(&keys, returned), self.origins))
    }
}

/// The exit's echoes of a round, in the order in which it took the packets in. `segments` are its whole batch, peeled,
/// not yet shuffled, no envelope opened.
pub fn first_echoes(round: u64, segments: &[Slots]) -> Vec<Echo> {
    let of_segment = |slots: &Slots| {
        let keys: Vec<&PrfKey> = slots.echo_keys().iter().collect();
        packet::first_echoes(&keys, slots.geometry(), round, (0..slots.len()).map(|i| slots.peeled(i)))
    };
    segments.iter().flat_map(of_segment).collect()
}

/// The entry's echoes in the order of the list, in which all mixes get them; `places` says of each submitted packet, in
/// the order in which the entry shuffled them, where it stands in the list.
///
/// # Errors
/// If there is not one echo for each packet.
pub fn published(places: &[ListPlace], echoes: &[Echo]) -> Result<Vec<Echo>, EchoError> {
    if places.len() != echoes.len() {
        return Err(EchoError::Count { packets: places.len(), found: echoes.len() });
    }
    let mut rows: Vec<(&ListPlace, &Echo)> = places.iter().zip(echoes).collect();
    rows.sort_by_key(|(place, _)| **place);
    Ok(rows.into_iter().map(|(_, echo)| *echo).collect())
}

/// Holds published echoes against `commitments`, the list's: for each packet the client's roster index and what it
/// committed to, in the order of the list. One echo that differs is one packet that an honest mix never had.
///
/// # Errors
/// If there is not one echo for each record, or all those that differ.
pub fn check_echoes(
    context: &RoundContext,
    commitments: &[(u32, Commitment)],
    echoes: &[Echo],
) -> Result<(), EchoError> {
    if commitments.len() != echoes.len() {
        return Err(EchoError::Count { packets: commitments.len(), found: echoes.len() });
    }
    let mut differing = Vec::new();
    let of_clients = commitments.chunk_by(|(one, _), (other, _)| one == other);
    let places = of_clients.flat_map(|own| (0..).zip(own).map(|(packet, (client, _))| (*client, packet)));
    let caused =
        packet::commitments(context, commitments.iter().map(|(client, _)| *client).zip(echoes.iter().copied()));
    for (((client, packet), (_, committed)), caused) in places.zip(commitments).zip(caused) {
        if caused != *committed {
            differing.push(ListPlace { client, packet });
        }
    }
    if differing.is_empty() { Ok(()) } else { Err(EchoError::Commitments(differing)) }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
