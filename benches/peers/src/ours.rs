//! Our packets, as a middle mix meets them.

use std::time::Duration;

use mixnet::crypto::{Backend, Csprng, Digest, MailboxId, SecretKey};
use mixnet::packet::{
    Address, Body, Builder, EnvelopeKey, Geometry, Kind, MessageId, NO_EXTRA, Peeler, Recipe, ReplaySet, RoundContext,
    Slots, open_letter,
};
use rand::SeedableRng;

use mixnet::sim::processor_time;

/// Packets in a batch: as many as fill the lanes' largest group.
pub const BATCH: usize = 512;
const MIXES: usize = 3;
const CONTEXT: RoundContext = RoundContext { network: Digest([1; 32]), epoch: 1, round: 1 };

/// A round of one recipient.
pub struct Ours {
    geometry: Geometry,
    onion: Vec<SecretKey>,
    envelope: SecretKey,
    letter: SecretKey,
    message: Vec<u8>,
    rng: Csprng,
}

impl Ours {
    pub fn new(message: &[u8]) -> Self {
        let mut rng = Csprng::seed_from_u64(1);
        let mut draw = || SecretKey::random(&mut rng);
        let (onion, envelope, letter) = ((0..MIXES).map(|_| draw()).collect(), draw(), draw());
        let geometry = Geometry::new(MIXES, message.len()).expect("a payload in range");
        Self { geometry, onion, envelope, letter, message: message.to_vec(), rng }
    }

    /// A client's packets, as it makes all of a round together.
    pub fn build(&mut self, count: usize) -> Vec<u8> {
        let keys = self.onion.iter().map(SecretKey::public_key).collect();
        let builder = Builder::new(self.geometry, CONTEXT, Backend::default(), keys, self.envelope.public_key());
        let to = Address { mailbox: MailboxId([2; 16]), letter_key: self.letter.public_key() };
        let message = &self.message;
        let recipe = |_| {
            let (kind, message_id) = (Kind::Fragment, MessageId([3; 16]));
            let body = Body { kind, message: message_id, index: 0, count: 1, expiry: 1, sender: None, data: message };
            Recipe { to, body, sender: None }
        };
        let mut packets = Vec::new();
        builder.client_packets(&mut self.rng, 0, (0..count).map(recipe), &mut packets);
        packets
    }

    fn peeler(&self, hop: usize, backend: Backend) -> Peeler {
        Peeler::new(self.geometry, CONTEXT, hop as u8, &self.onion[hop - 1], backend)
    }

    fn peeled(&self, packets: &[u8], hop: usize, backend: Backend) -> Slots {
        let mut slots = Slots::from_packets(self.geometry, packets).expect("whole packets");
        let index = if hop == 1 { 0 } else { NO_EXTRA };
        self.peeler(hop, backend).peel(&mut slots, index).expect("honest packets peel");
        slots
    }

    fn handed_on(slots: &Slots) -> Vec<u8> {
        (0..slots.len()).flat_map(|i| slots.peeled(i).to_vec()).collect()
    }

    /// Takes packets through all hops, and holds what comes out against what went in.
    pub fn check(&mut self, backend: Backend) {
        let mut packets = self.build(9);
        for hop in 1..=MIXES {
            packets = Self::handed_on(&self.peeled(&packets, hop, backend));
        }
        let envelope = EnvelopeKey::new(CONTEXT, &self.envelope, backend);
        let letter_key = self.letter.prepare(backend);
        let mut opened = 0;
        for packet in packets.chunks_exact_mut(self.geometry.packet()) {
            let mut letter = envelope.open(self.geometry, packet).expect("its envelope opens").letter.to_vec();
            let letter = open_letter(self.geometry, &CONTEXT, &letter_key, &mut letter).expect("its letter opens");
            assert_eq!(letter.body.data, self.message, "{backend}: what came out is not what went in");
            opened += 1;
        }
        assert_eq!(opened, 9);
    }

    /// A middle mix's time for a batch of packets: peeled in place, and each one's key put into the round's set.
    pub fn peel(&mut self, backend: Backend) -> impl FnMut() -> Duration + use<> {
        let packets = self.build(BATCH);
        let received = Self::handed_on(&self.peeled(&packets, 1, backend));
        let (geometry, peeler) = (self.geometry, self.peeler(2, backend));
        move || {
            let mut slots = Slots::from_packets(geometry, &received).expect("whole packets");
            let mut seen = ReplaySet::default();
            processor_time(|| {
                peeler.peel(&mut slots, NO_EXTRA).expect("honest packets peel");
                assert!((0..slots.len()).all(|i| seen.insert(slots.ephemeral(i))), "each comes once");
            })
        }
    }
}
