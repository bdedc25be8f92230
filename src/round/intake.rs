//! A batch coming in from the previous mix: one per round, peeled while it arrives.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::crypto::{Defence, Defences, Digest};
use crate::packet::{PeelError, Peeler, ReplaySet, Slots};
use crate::wire::{AbortReason, SignedBatchHeader, batch_digest};

use super::Job;

/// Why a batch voids its round.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IntakeError {
    /// A layer does not open: the previous mix's doing, since it has peeled and checked before.
    #[error("a layer behind the entry does not open: {error}")]
    Layer {
        /// The packet's place in the batch; the first one's.
        place: u32,
        /// Why.
        error: PeelError,
    },
    /// Two packets are the same onion: no two onions peel to one packet.
    #[error("an onion came twice")]
    Replay {
        /// The later one's place in the batch.
        place: u32,
    },
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
            IntakeError::Layer { .. } => AbortReason::BadLayer,
            IntakeError::Replay { .. } => AbortReason::Replay,
            IntakeError::Mismatch => AbortReason::BadBatch,
            IntakeError::SecondBatch => AbortReason::SecondBatch,
        }
    }
}

/// A segment of a batch on which the work is done.
pub struct PeeledSegment {
    /// The stream it came on.
    pub stream: u64,
    /// Its place in the batch.
    pub segment: usize,
    /// [`crate::wire::onion_digest`] of each packet as it came.
    pub hashes: Vec<Digest>,
    /// Its packets, peeled.
    pub slots: Slots,
    /// The first slot that did not peel, if any.
    pub result: Result<(), (usize, PeelError)>,
}

/// The one batch that a mix takes for a round.
///
/// A link that breaks in the middle delivers the same batch again from its start on another stream; what the first
/// stream brought is then forgotten. Nothing leaves the mix before the whole batch has proven to be its header's.
pub struct Intake {
    header: SignedBatchHeader,
    peeler: Arc<Peeler>,
    stream: u64,
    /// How many packets have come.
    came: usize,
    /// How many segments these are.
    segments: usize,
    /// Those that have been peeled, by their place.
    peeled: BTreeMap<usize, PeeledSegment>,
    /// Of each packet, in order, once all have been peeled.
    hashes: Vec<Digest>,
    defences: Defences,
}

impl Intake {
    /// Begins with a verified header on `stream`.
    pub fn new(header: SignedBatchHeader, peeler: Peeler, stream: u64) -> Self {
        Self {
            header,
            peeler: Arc::new(peeler),
            stream,
            came: 0,
            segments: 0,
            peeled: BTreeMap::new(),
            hashes: Vec::new(),
            defences: Defences::default(),
        }
    }

    /// With no more than these `defences`.
    #[must_use]
    pub fn with(self, defences: Defences) -> Self {
        Self { defences, ..self }
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
        self.came = 0;
        self.segments = 0;
        self.peeled.clear();
        self.hashes.clear();
        Ok(())
    }

    /// Packets have come on `stream`, in order. They become work; `None` from a stream that has been replaced.
    ///
    /// # Errors
    /// If they are more than the header announced.
    pub fn segment(&mut self, stream: u64, slots: Slots) -> Result<Option<Job>, IntakeError> {
        if stream != self.stream {
            return Ok(None);
        }
        let count = self.header.header.count as usize;
        if slots.len() > count - self.came {
            return Err(IntakeError::Mismatch);
        }
        self.came += slots.len();
        let segment = self.segments;
        self.segments += 1;
        let round = self.header.header.round;
        Ok(Some(Job::Segment { round, stream, segment, slots, peeler: self.peeler.clone() }))
    }

    /// A segment has been peeled. Once all have, and the batch has proven to be its header's: the whole batch. Nothing is
    /// said of a layer before: it may be that of a packet for which nobody has signed.
    ///
    /// # Errors
    /// If all are there and not the header's, a layer did not open, or an onion came twice.
    pub fn peeled(&mut self, peeled: PeeledSegment) -> Result<Option<Vec<Slots>>, IntakeError> {
        if peeled.stream != self.stream {
            return Ok(None);
        }
        self.peeled.insert(peeled.segment, peeled);
        if self.came < self.header.header.count as usize || self.peeled.len() < self.segments {
            return Ok(None);
        }
        let mut segments = Vec::with_capacity(self.segments);
        let mut failed = None;
        for peeled in std::mem::take(&mut self.peeled).into_values() {
            if let Err((slot, error)) = peeled.result {
                failed = failed.or(Some(((self.hashes.len() + slot) as u32, error)));
            }
            self.hashes.extend(peeled.hashes);
            segments.push(peeled.slots);
        }
        if batch_digest(&self.hashes) != self.header.header.output {
            return Err(IntakeError::Mismatch);
        }
        if let Some((place, error)) = failed {
            return Err(IntakeError::Layer { place, error });
        }
        // Whole packets and not their keys: a client that seals two to one key harms nobody else, and nobody could prove
        // who it was if the two are of different clients.
        let mut replay = ReplaySet::default();
        match self.hashes.iter().position(|hash| !replay.insert(hash.0)) {
            None => Ok(Some(segments)),
            Some(_) if !self.defences.stands(Defence::DuplicateCheck) => Ok(Some(segments)),
            Some(place) => Err(IntakeError::Replay { place: place as u32 }),
        }
    }

    /// [`crate::wire::onion_digest`] of each packet, in the order of the batch, once all have been peeled.
    pub fn hashes(&self) -> &[Digest] {
        &self.hashes
    }

    /// The digest by which the batch is acknowledged.
    pub fn batch(&self) -> Digest {
        self.header.header.output
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::crypto::{Backend, Csprng, IdentityKey, MailboxId, SecretKey};
    use crate::packet::{Address, Body, Builder, Ephemerals, Geometry, MessageId, Recipe, RoundContext, SEAL_BYTES};
    use crate::round::Done;
    use crate::wire::{BatchHeader, Members, onion_digest};

    /// The exit of two, and who builds for it.
    struct Exit {
        geometry: Geometry,
        builder: Builder,
        secret: SecretKey,
        rng: Csprng,
    }

    impl Exit {
        fn new() -> Self {
            let mut rng = Csprng::seed_from_u64(8);
            let geometry = Geometry::new(2, 256).expect("valid");
            let context = RoundContext { network: Digest([9; 32]), epoch: 3, round: 77 };
            let (entry, secret, envelope) =
                (SecretKey::random(&mut rng), SecretKey::random(&mut rng), SecretKey::random(&mut rng));
            let keys = vec![entry.public_key(), secret.public_key()];
            let builder = Builder::new(geometry, context, Backend::default(), keys, envelope.public_key());
            Self { geometry, builder, secret, rng }
        }

        /// A packet for the exit, its layer sealed by `ephemeral`.
        fn packet(&mut self, ephemeral: u8) -> Vec<u8> {
            let mut ephemerals = Ephemerals::draw(&mut self.rng, self.geometry, 2);
            ephemerals.layers = vec![SecretKey::from_bytes([ephemeral; 32])];
            let to = Address { mailbox: MailboxId([8; 16]), letter_key: self.secret.public_key() };
            let recipe = Recipe { to, body: Body::dummy(MessageId([4; 16]), 10, b""), sender: None };
            let mut packet = Vec::new();
            self.builder.build(&ephemerals, 2, NO_EXTRA, &recipe, &mut packet);
            packet
        }

        /// Takes `sent` under a header of `signed`, a packet a segment.
        fn take(&self, signed: &[Vec<u8>], sent: &[Vec<u8>]) -> Result<Option<usize>, IntakeError> {
            let hashes: Vec<_> = signed.iter().map(|packet| onion_digest(packet)).collect();
            let header = BatchHeader {
                network: Digest([9; 32]),
                epoch: Digest([2; 32]),
                round: 77,
                hop: 1,
                count: signed.len() as u32,
                noise: 0,
                members: Members::none(8),
                input: Digest([3; 32]),
                output: batch_digest(&hashes),
            };
            let peeler = Peeler::new(self.geometry, *self.builder.context(), 2, &self.secret, Backend::default());
            let mut intake = Intake::new(header.sign(&IdentityKey::from_seed(&[1; 32])), peeler, 1);
            let mut whole = None;
            for packet in sent {
                let slots = Slots::from_packets(self.geometry, packet).expect("a whole packet");
                let Some(job) = intake.segment(1, slots)? else { continue };
                let Done::Segment { peeled, .. } = job.run() else { continue };
                whole = intake.peeled(peeled)?.map(|segments| segments.len());
            }
            assert!(whole.is_none() || intake.hashes() == hashes);
            Ok(whole)
        }
    }

    const NO_EXTRA: u32 = crate::packet::NO_EXTRA;

    #[test]
    fn a_layer_that_does_not_open_is_told_only_of_a_batch_that_is_signed() {
        let mut exit = Exit::new();
        let sound = [exit.packet(1), exit.packet(2), exit.packet(3)];
        assert_eq!(exit.take(&sound, &sound), Ok(Some(3)));
        let mut broken = sound.clone();
        broken[1][SEAL_BYTES] ^= 1;
        let told = IntakeError::Layer { place: 1, error: PeelError::BadTag };
        assert_eq!(exit.take(&broken, &broken), Err(told));
        assert_eq!(exit.take(&sound, &broken), Err(IntakeError::Mismatch), "nobody has signed for what does not open");
        assert_eq!(exit.take(&sound, &broken[..2]), Ok(None), "nor while the rest may come");
    }

    #[test]
    fn one_packet_twice_is_a_replay_and_two_packets_under_one_key_are_none() {
        let mut exit = Exit::new();
        let (one, other) = (exit.packet(1), exit.packet(1));
        assert_eq!(one[..32], other[..32]);
        let twice = [one.clone(), other.clone(), one.clone()];
        assert_eq!(exit.take(&twice, &twice), Err(IntakeError::Replay { place: 2 }));
        assert_eq!(exit.take(&twice[..2], &twice[..2]), Ok(Some(2)));
    }
}
