//! A cascade in memory: every mix's part of a round's two passes, with somebody between any two of them.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::crypto::{Digest, MailboxId, SecretKey};
use crate::packet::{Address, Body, Builder, Geometry, MessageId, NO_EXTRA, Peeler, Recipe, commitment};
use crate::wire::{DummyPolicy, MailboxEntry, Members, Network, NoiseLaw, Parameters, Roster};

pub(super) const MAILBOXES: usize = 4;

/// One round with all its secrets.
pub(super) struct Cascade {
    pub(super) geometry: Geometry,
    pub(super) context: RoundContext,
    pub(super) network: Network,
    pub(super) envelope: SecretKey,
    pub(super) rng: Csprng,
    /// Where each submission stands in the list, in the order of arrival.
    pub(super) places: Vec<ListPlace>,
    /// Into how many segments every batch is cut.
    pub(super) segments: usize,
    onion: Vec<SecretKey>,
    noise: u32,
    submitted: Vec<(Vec<u8>, Commitment)>,
}

/// A round whose packets are at the exit.
pub(super) struct Forward {
    /// Of hops 1 to L - 1.
    pub(super) paths: Vec<ReturnPath>,
    pub(super) exit: Vec<Slots>,
}

impl Cascade {
    /// `clients` with every other roster index, `packets` of each, arriving in any order; each mix adds `noise`.
    pub(super) fn new(mixes: usize, clients: u32, packets: u32, noise: u32) -> Self {
        let mut rng = Csprng::seed_from_u64(mixes as u64);
        let mut cascade = Self {
            geometry: Geometry::new(mixes, 256).expect("valid"),
            context: RoundContext { network: Digest([9; 32]), epoch: 3, round: 77 },
            network: network(),
            envelope: SecretKey::random(&mut rng),
            onion: (0..mixes).map(|_| SecretKey::random(&mut rng)).collect(),
            rng,
            places: Vec::new(),
            segments: 1,
            noise,
            submitted: Vec::new(),
        };
        let mut arriving: Vec<u32> = (0..clients).map(|client| 2 * client + 1).collect();
        arriving.shuffle(&mut cascade.rng);
        for client in arriving {
            for packet in 0..packets {
                let (onion, commitment) = cascade.client_packet(client);
                cascade.submitted.push((onion, commitment));
                cascade.places.push(ListPlace { client, packet });
            }
        }
        cascade
    }

    pub(super) fn builder(&self) -> Builder {
        let keys = self.onion.iter().map(SecretKey::public_key).collect();
        Builder::new(self.geometry, self.context, Backend::default(), keys, self.envelope.public_key())
    }

    fn client_packet(&mut self, client: u32) -> (Vec<u8>, Commitment) {
        let (builder, mut packet) = (self.builder(), Vec::new());
        let echo = builder.client_packet(&mut self.rng, client, &recipe(), &mut packet);
        (packet, commitment(&self.context, client, &echo))
    }

    /// An onion that anybody can make who has the round's public keys, for hop `first`.
    pub(super) fn onion(&mut self, first: u8) -> Vec<u8> {
        let (builder, mut packet) = (self.builder(), Vec::new());
        builder.noise_packet(&mut self.rng, first, &recipe(), &mut packet);
        packet
    }

    /// Commitments in the order of the list.
    pub(super) fn list(&self) -> Vec<(u32, Commitment)> {
        let mut rows: Vec<_> = self.places.iter().zip(&self.submitted).collect();
        rows.sort_by_key(|(place, _)| **place);
        rows.into_iter().map(|(place, (_, commitment))| (place.client, *commitment)).collect()
    }

    /// Cuts a batch into `segments` of any size and peels them at `hop`, behind the entry.
    pub(super) fn peeled(&mut self, hop: u8, packets: &[u8], segments: usize) -> Vec<Slots> {
        let w = self.geometry.packet();
        let count = packets.len() / w;
        let mut cuts: Vec<usize> = (1..segments).map(|_| self.rng.random_range(0..=count)).collect();
        cuts.extend([0, count]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &packets[cut[0] * w..cut[1] * w]);
        let peeler = self.peeler(hop);
        let peel = |piece| {
            let mut slots = Slots::from_packets(self.geometry, piece).expect("whole packets");
            peeler.peel(&mut slots, NO_EXTRA).expect("every layer holds");
            slots
        };
        pieces.map(peel).collect()
    }

    fn peeler(&self, hop: u8) -> Peeler {
        Peeler::new(self.geometry, self.context, hop, &self.onion[usize::from(hop) - 1], Backend::default())
    }

    /// The entry peels each submission on its own.
    fn entered(&self) -> Vec<Slots> {
        let peeler = self.peeler(1);
        let peel = |((packet, _), place): (&(Vec<u8>, _), &ListPlace)| {
            let mut slots = Slots::from_packets(self.geometry, packet).expect("a whole packet");
            peeler.peel(&mut slots, place.client).expect("a client's packet");
            slots
        };
        self.submitted.iter().zip(&self.places).map(peel).collect()
    }

    /// All packets to the exit. `tamper` changes what a hop hands on, behind the back of its bookkeeping; it gets the
    /// paths so far, the last of which is that hop's.
    pub(super) fn forward(&mut self, mut tamper: impl FnMut(&mut Self, &Forward, &mut Vec<Vec<u8>>)) -> Forward {
        let mut forward = Forward { paths: Vec::new(), exit: self.entered() };
        for hop in 1..self.geometry.mixes() as u8 {
            let builder = self.builder();
            let noise = Noise::draw(&mut self.rng, &builder, hop, &self.network, &NoiseCounts::constant(self.noise));
            let segments = std::mem::take(&mut forward.exit);
            let mut batch = Shuffled::with_noise(&mut self.rng, self.geometry, segments, noise);
            forward.paths.extend(batch.take_return_path());
            let mut packets: Vec<Vec<u8>> = batch.packets().map(<[u8]>::to_vec).collect();
            tamper(self, &forward, &mut packets);
            forward.exit = self.peeled(hop + 1, &packets.concat(), self.segments);
        }
        forward
    }

    /// All echoes back to the list, and the check. `tamper` changes what a hop hands back.
    pub(super) fn back(
        &self,
        forward: Forward,
        mut tamper: impl FnMut(u8, &mut Vec<Echo>),
    ) -> Result<(), (Noticed, EchoError)> {
        let mut hop = self.geometry.mixes() as u8;
        let mut echoes = first_echoes(self.context.round, &forward.exit);
        tamper(hop, &mut echoes);
        for path in forward.paths.into_iter().rev() {
            hop -= 1;
            echoes = path.back(&echoes).map_err(|error| (Noticed::ByHop(hop), error))?.0;
            tamper(hop, &mut echoes);
        }
        let echoes = published(&self.places, &echoes).map_err(|error| (Noticed::ByHop(1), error))?;
        check_echoes(&self.context, &self.list(), &echoes).map_err(|error| (Noticed::ByAll, error))
    }
}

/// Who sees that an echo differs.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Noticed {
    /// A mix, of its own noise or by number.
    ByHop(u8),
    /// Everybody, of the published echoes.
    ByAll,
}

impl Forward {
    /// For each submission, in order of arrival, its place in what `hop` handed on.
    pub(super) fn places_at(&self, hop: usize) -> Vec<usize> {
        let outputs = self.paths[hop - 1].outputs();
        let mut rows: Vec<u8> = (0..outputs as u32).flat_map(u32::to_le_bytes).collect();
        for path in self.paths[..hop].iter().rev() {
            rows = path.origins.gather(4, &rows).expect("one row for each packet");
        }
        rows.as_chunks().0.iter().map(|place| u32::from_le_bytes(*place) as usize).collect()
    }

    /// Where the noise of `maker` is in what `hop` handed on.
    pub(super) fn noise_at(&self, maker: usize, hop: usize) -> Vec<usize> {
        let outputs = self.paths[hop - 1].outputs();
        let mut rows: Vec<u8> = (0..outputs as u32).flat_map(u32::to_le_bytes).collect();
        for path in self.paths[maker..hop].iter().rev() {
            rows = path.origins.gather(4, &rows).expect("one row for each packet");
        }
        let places: Vec<_> = rows.as_chunks().0.iter().map(|place| u32::from_le_bytes(*place) as usize).collect();
        self.paths[maker - 1].origins.noise().map(|(output, _)| places[output]).collect()
    }
}

/// Of the owner of a mailbox.
pub(super) fn letter_secret(owner: usize) -> SecretKey {
    SecretKey::from_bytes([owner as u8 + 1; 32])
}

/// A batch header whose numbers are to be filled in.
pub(super) fn header() -> BatchHeader {
    BatchHeader {
        network: Digest([1; 32]),
        epoch: Digest([2; 32]),
        round: 77,
        hop: 1,
        count: 0,
        noise: 0,
        members: Members::none(9),
        input: Digest([3; 32]),
        output: Digest([4; 32]),
    }
}

fn recipe() -> Recipe<'static> {
    let to = Address { mailbox: MailboxId([8; 16]), letter_key: letter_secret(0).public_key() };
    Recipe { to, body: Body::dummy(MessageId([4; 16]), 10, b""), sender: None }
}

fn network() -> Network {
    let mailbox =
        |owner| MailboxEntry { id: MailboxId([owner as u8; 16]), letter_key: letter_secret(owner).public_key() };
    let parameters = Parameters {
        network: "echoes".into(),
        messages_per_round: 12,
        start_clients: 4,
        min_clients: 2,
        min_share_permille: 900,
        round_ms: 1000,
        submit_ms: 800,
        mix_delay_ms: (5, 50),
        payload: 256,
        packets_per_client: 2,
        noise_packets: 5,
        noise: NoiseLaw::Constant,
        dummies: DummyPolicy::Uniform,
        dummy_payload: b"dummy".into(),
        max_message: 64 << 20,
        epoch_rounds: 60,
        verdict_rounds: 6,
        retention_epochs: 100,
        poll_letters: 16,
        mailbox_letters: 4096,
        history_rounds: 8192,
        threshold: 2,
        sealed: true,
    };
    let mailboxes = (0..MAILBOXES).map(mailbox).collect();
    Network {
        parameters,
        roster: Roster { mixes: Vec::new(), clients: Vec::new(), mailboxes },
        defences: crate::crypto::Defences::default(),
    }
}
