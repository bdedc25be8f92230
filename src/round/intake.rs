//! A batch coming in from the previous mix: one per round, peeled while it arrives.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::crypto::Digest;
use crate::packet::{PeelError, Peeler, ReplaySet, Slots};
use crate::wire::{AbortReason, SignedBatchHeader, batch_digest, onion_digest};

use super::Job;

/// Why a batch voids its round.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IntakeError {
    /// A layer does not open: the previous mix's doing, since it has peeled and checked before.
    #[error("a layer behind the entry does not open: {0}")]
    Layer(PeelError),
    /// Two packets are the same onion: no two onions peel to one packet.
    #[error("an onion came twice")]
    Replay,
    /// The packets are not those of the signed header.
    #[error("the batch is not the one of its header")]
    Mismatch,
    /// A second, different batch for the round.
    #[error("a second batch for one round")]
    SecondBatch,
}

impl IntakeError {
    /// What the verdict says.
    pub fn reason(self) -> AbortReason {
        match self {
            IntakeError::Layer(_) => AbortReason::BadLayer,
            IntakeError::Replay => AbortReason::Replay,
            IntakeError::Mismatch => AbortReason::BadBatch,
            IntakeError::SecondBatch => AbortReason::SecondBatch,
        }
    }
}

/// The one batch that a mix takes for a round.
///
/// A link that breaks in the middle delivers the same batch again from its start on another stream; what the first
/// stream brought is then forgotten. Nothing leaves the mix before the whole batch has proven to be its header's.
pub struct Intake {
    header: SignedBatchHeader,
    peeler: Arc<Peeler>,
    stream: u64,
    /// Of each packet so far, in order.
    hashes: Vec<Digest>,
    /// All are there, and they are the header's.
    whole: bool,
    handed_out: usize,
    peeled: BTreeMap<usize, Slots>,
}

impl Intake {
    /// Begins with a verified header on `stream`.
    pub fn new(header: SignedBatchHeader, peeler: Peeler, stream: u64) -> Self {
        Self {
            header,
            peeler: Arc::new(peeler),
            stream,
            hashes: Vec::new(),
            whole: false,
            handed_out: 0,
            peeled: BTreeMap::new(),
        }
    }

    /// The header.
    pub fn header(&self) -> &SignedBatchHeader {
        &self.header
    }

    /// The round's header came again on another stream.
    ///
    /// # Errors
    /// If it names another batch.
    pub fn restart(&mut self, header: &SignedBatchHeader, stream: u64) -> Result<(), IntakeError> {
        if header.header != self.header.header {
            return Err(IntakeError::SecondBatch);
        }
        self.stream = stream;
        self.hashes.clear();
        self.whole = false;
        self.handed_out = 0;
        self.peeled.clear();
        Ok(())
    }

    /// Packets have come on `stream`, in order. They become work; `None` from a stream that has been replaced.
    ///
    /// # Errors
    /// If they are more than the header announced, or all are there and not the header's.
    pub fn segment(&mut self, stream: u64, slots: Slots) -> Result<Option<Job>, IntakeError> {
        if stream != self.stream {
            return Ok(None);
        }
        let count = self.header.header.count as usize;
        if self.whole || slots.len() > count - self.hashes.len() {
            return Err(IntakeError::Mismatch);
        }
        self.hashes.extend((0..slots.len()).map(|i| onion_digest(slots.received(i))));
        if self.hashes.len() == count {
            if batch_digest(&self.hashes) != self.header.header.output {
                return Err(IntakeError::Mismatch);
            }
            self.whole = true;
        }
        let segment = self.handed_out;
        self.handed_out += 1;
        let round = self.header.header.round;
        Ok(Some(Job::Segment { round, stream, segment, slots, peeler: self.peeler.clone() }))
    }

    /// A segment has been peeled. Once all have, and the batch has proven to be its header's: the whole batch.
    ///
    /// # Errors
    /// If a layer did not open, or an onion came twice.
    pub fn peeled(
        &mut self,
        stream: u64,
        segment: usize,
        slots: Slots,
        result: Result<(), PeelError>,
    ) -> Result<Option<Vec<Slots>>, IntakeError> {
        if stream != self.stream {
            return Ok(None);
        }
        result.map_err(IntakeError::Layer)?;
        self.peeled.insert(segment, slots);
        if !self.whole || self.peeled.len() < self.handed_out {
            return Ok(None);
        }
        let segments: Vec<Slots> = std::mem::take(&mut self.peeled).into_values().collect();
        // Whole packets and not their keys: a client that seals two to one key harms nobody else, and nobody could prove
        // who it was if the two are of different clients.
        let mut replay = ReplaySet::default();
        let fresh = self.hashes.iter().all(|hash| replay.insert(hash.0));
        if fresh { Ok(Some(segments)) } else { Err(IntakeError::Replay) }
    }

    /// [`onion_digest`] of each packet that has come, in the order of the batch.
    pub fn hashes(&self) -> &[Digest] {
        &self.hashes
    }

    /// The digest by which the batch is acknowledged.
    pub fn batch(&self) -> Digest {
        self.header.header.output
    }
}
