//! A network of real keys whose entry and exit say what a test tells them.

use std::sync::Arc;
use std::time::Duration;

use crate::crypto::{Backend, Digest, IdentityKey, Label, MailboxId, SecretKey, derive};
use crate::packet::{
    Address, Echo, EnvelopeKey, Geometry, MessageId, NO_EXTRA, Peeler, RoundContext, Slots, first_echo, next_echo,
};
use crate::session::*;
use crate::wire::*;

pub(super) const PACKETS: u32 = 4;
pub(super) const DELAY: u64 = 3;
pub(super) const POLL_LETTERS: u32 = 6;
pub(super) const CLIENTS: usize = 3;

/// The network, with all its secrets.
pub(super) struct Fake {
    pub network: Arc<Network>,
    mixes: Vec<IdentityKey>,
}

fn client_key(client: usize) -> IdentityKey {
    IdentityKey::from_seed(&[100 + client as u8; 32])
}

pub(super) fn letter_secret(client: usize) -> SecretKey {
    SecretKey::from_bytes([150 + client as u8; 32])
}

pub(super) fn list_secret(client: usize) -> SecretKey {
    SecretKey::from_bytes([200 + client as u8; 32])
}

pub(super) fn address(client: usize) -> Address {
    Address { mailbox: MailboxId([client as u8 + 1; 16]), letter_key: letter_secret(client).public_key() }
}

fn secret(what: &str, mix: usize, epoch: u64, round: u64) -> SecretKey {
    SecretKey::from_bytes(derive(Label::Hop, format!("{what} {mix} {epoch} {round}").as_bytes()).0)
}

impl Fake {
    pub(super) fn new() -> Self {
        Self::named("test")
    }

    pub(super) fn named(name: &str) -> Self {
        Self::made(name, 2)
    }

    /// Of so many mixes.
    pub(super) fn of(mixes: usize) -> Self {
        Self::made("test", mixes)
    }

    fn made(name: &str, mixes: usize) -> Self {
        let mixes: Vec<_> = (1..=mixes as u8).map(|i| IdentityKey::from_seed(&[i; 32])).collect();
        let parameters = Parameters {
            network: name.to_owned(),
            messages_per_round: 1000,
            start_clients: 2,
            min_clients: 2,
            min_share_permille: 500,
            round_ms: 1000,
            submit_ms: 500,
            mix_delay_ms: (0, 0),
            payload: 256,
            packets_per_client: PACKETS,
            noise_packets: 0,
            noise: NoiseLaw::Constant,
            dummies: DummyPolicy::Uniform,
            dummy_payload: b"dummy".to_vec(),
            max_message: 10_000,
            epoch_rounds: 20,
            verdict_rounds: DELAY as u32,
            retention_epochs: 8,
            poll_letters: POLL_LETTERS,
            mailbox_letters: 100,
            history_rounds: 16_384,
            threshold: mixes.len() as u32,
            sealed: true,
        };
        let entry = |(i, key): (usize, &IdentityKey)| MixEntry {
            id: format!("mix-{}", i + 1),
            address: String::new(),
            identity: key.identity(),
        };
        let client = |i| ClientEntry {
            id: format!("client-{i}"),
            identity: client_key(i).identity(),
            list_key: list_secret(i).public_key(),
        };
        let mailbox = |i| MailboxEntry { id: address(i).mailbox, letter_key: address(i).letter_key };
        let roster = Roster {
            mixes: mixes.iter().enumerate().map(entry).collect(),
            clients: (0..CLIENTS).map(client).collect(),
            mailboxes: (0..CLIENTS).map(mailbox).collect(),
        };
        Self { network: Arc::new(Network { parameters, roster, defences: crate::crypto::Defences::default() }), mixes }
    }

    pub(super) fn unsealed() -> Self {
        Self::changed(|parameters| parameters.sealed = false)
    }

    pub(super) fn with_dummies(dummies: DummyPolicy) -> Self {
        Self::changed(|parameters| parameters.dummies = dummies)
    }

    fn changed(change: impl FnOnce(&mut Parameters)) -> Self {
        let Self { network, mixes } = Self::new();
        let mut network = Arc::unwrap_or_clone(network);
        change(&mut network.parameters);
        Self { network: Arc::new(network), mixes }
    }

    pub(super) fn geometry(&self) -> Geometry {
        Geometry::new(self.mixes.len(), 256).expect("valid")
    }

    pub(super) fn config(&self, client: usize) -> SessionConfig {
        let others = (0..CLIENTS).filter(|other| *other != client);
        SessionConfig {
            network: self.network.clone(),
            identity: Arc::new(client_key(client)),
            mailbox: address(client).mailbox,
            capability: [client as u8; 32],
            letter: letter_secret(client),
            list: list_secret(client),
            epochs: Vec::new(),
            unsettled: Vec::new(),
            seats: vec![Seat { first_round: 0, index: client as u32 }],
            contacts: Arc::new(others.map(|i| (address(i).mailbox, address(i).letter_key)).collect()),
        }
    }

    pub(super) fn epoch(&self, epoch: u64, first_round: u64, previous: Digest) -> SignedEpoch {
        let rounds = self.network.parameters.epoch_rounds;
        let keys = |what, mix| {
            (first_round..first_round + u64::from(rounds))
                .map(|round| secret(what, mix, epoch, round).public_key())
                .collect::<Vec<_>>()
        };
        let mix = |mix| MixKeys {
            boot: [mix as u8; 16],
            onion_keys: keys("onion", mix),
            list_key: secret("list", mix, epoch, 0).public_key(),
            dealing: Digest([mix as u8; 32]),
        };
        let document = EpochDocument {
            network: self.network.id(),
            epoch,
            previous,
            first_round,
            rounds,
            members: CLIENTS as u32,
            parameters: self.network.parameters.digest(),
            roster: self.network.roster.digest(),
            mailboxes: self.network.roster.mailboxes_digest(),
            proposed_at_ms: 0,
            mixes: (0..self.mixes.len()).map(mix).collect(),
            envelope_keys: keys("envelope", self.mixes.len() - 1),
        };
        self.sign(document)
    }

    pub(super) fn sign(&self, document: EpochDocument) -> SignedEpoch {
        let signatures = self.mixes.iter().map(|key| document.sign(key)).collect();
        SignedEpoch { document, signatures }
    }

    /// Epoch 1: rounds 1 to 20.
    pub(super) fn first_epoch(&self) -> SignedEpoch {
        self.epoch(1, 1, Digest([0; 32]))
    }

    pub(super) fn verdict(&self, round: u64, outcome: Outcome, clients: &[u32]) -> SignedVerdict {
        let mut members = Members::none(CLIENTS);
        clients.iter().for_each(|client| assert!(members.insert(*client)));
        let verdict = Verdict { network: self.network.id(), epoch: 1, round, members, outcome };
        let signatures = self.mixes.iter().map(|key| verdict.sign(key)).collect();
        SignedVerdict { verdict, signatures }
    }

    pub(super) fn stored(&self, round: u64) -> SignedVerdict {
        self.verdict(round, Outcome::Stored { refused: 0 }, &[0, 1, 2])
    }

    pub(super) fn receipt(&self, round: u64, index: u32, packets: &[u8]) -> Reply {
        let digest = submission_digest(&onion_digests(packets.chunks(self.geometry().packet())));
        Reply::Receipt(Receipt::sign(&self.mixes[0], &self.network.id(), round, index, &digest))
    }

    /// Peels a submission through all mixes and opens it: for each packet, in order, its mailbox and letter.
    pub(super) fn travel(&self, epoch: u64, round: u64, index: u32, packets: &[u8]) -> Vec<(MailboxId, StoredLetter)> {
        let geometry = self.geometry();
        let context = RoundContext { network: self.network.id(), epoch, round };
        let mut slots = Slots::from_packets(geometry, packets).expect("whole packets");
        for mix in 0..self.mixes.len() {
            let key = secret("onion", mix, epoch, round);
            let peeler = Peeler::new(geometry, context, mix as u8 + 1, &key, Backend::default());
            peeler.peel(&mut slots, if mix == 0 { index } else { NO_EXTRA }).expect("peels");
            let peeled: Vec<u8> = (0..slots.len()).flat_map(|i| slots.peeled(i).to_vec()).collect();
            slots = Slots::from_packets(geometry, &peeled).expect("whole packets");
        }
        let key =
            EnvelopeKey::new(context, &secret("envelope", self.mixes.len() - 1, epoch, round), Backend::default());
        let mut open = |i| {
            let opened = key.open(geometry, slots.received_mut(i)).expect("opens");
            (opened.mailbox, StoredLetter { epoch, round, letter: opened.letter.to_vec().into() })
        };
        (0..packets.len() / geometry.packet()).map(&mut open).collect()
    }

    /// What is behind a submission's packets, as the entry reads it; right for every mix.
    pub(super) fn records(&self, epoch: u64, round: u64, index: u32, packets: &[u8], bytes: &[u8]) -> ClientRecords {
        let onions: Vec<Digest> = packets.chunks(self.geometry().packet()).map(onion_digest).collect();
        let records = ClientRecords::parse(bytes, index, &onions, self.mixes.len()).expect("its length is right");
        for mix in 0..self.mixes.len() {
            let own = ListSecret::new(&secret("list", mix, epoch, 0), self.network.id(), epoch);
            let key = own.with_client(&list_secret(index as usize).public_key()).expect("a point");
            assert!(records.rows(mix).all(|row| key.check(round, &row)), "mix {mix} epoch {epoch}");
        }
        let context = ListContext { network: self.network.id(), epoch, round };
        assert!(records.is_signed_by(&client_key(index as usize).identity(), &context));
        records
    }

    /// The echoes of a submission's packets, in order, as the mixes make them.
    pub(super) fn echoes(&self, epoch: u64, round: u64, index: u32, packets: &[u8]) -> Vec<Echo> {
        let geometry = self.geometry();
        let context = RoundContext { network: self.network.id(), epoch, round };
        let one = |packet: &[u8]| {
            let mut slots = Slots::from_packets(geometry, packet).expect("a whole packet");
            let (mut keys, mut peeled) = (Vec::new(), Vec::new());
            for mix in 0..self.mixes.len() {
                let key = secret("onion", mix, epoch, round);
                let peeler = Peeler::new(geometry, context, mix as u8 + 1, &key, Backend::default());
                peeler.peel(&mut slots, if mix == 0 { index } else { NO_EXTRA }).expect("peels");
                keys.extend(slots.take_echo_keys());
                peeled = slots.peeled(0).to_vec();
                slots = Slots::from_packets(geometry, &peeled).expect("a whole packet");
            }
            let exit = keys.pop().expect("one of each mix");
            keys.iter().rev().fold(first_echo(&exit, geometry, round, &peeled), |echo, key| next_echo(key, &echo))
        };
        packets.chunks(geometry.packet()).map(one).collect()
    }

    /// The answer to a poll.
    pub(super) fn answer(&self, letters: &[StoredLetter], cursor: u64) -> (Reply, Vec<u8>) {
        let mut bytes = Vec::new();
        for stored in letters {
            bytes.extend_from_slice(&stored.epoch.to_le_bytes());
            bytes.extend_from_slice(&stored.round.to_le_bytes());
            bytes.extend_from_slice(&stored.letter);
        }
        bytes.resize(POLL_LETTERS as usize * (LETTER_HEADER_BYTES + self.geometry().letter()), 0);
        let count = (letters.len() as u32).to_le_bytes();
        (Reply::Letters(PollAnswer { count, cursor: cursor.to_le_bytes() }), bytes)
    }
}

pub(super) fn fragment(to: usize, number: u8) -> Fragment {
    Fragment {
        message: MessageId([number; 16]),
        index: 0,
        count: 1,
        expiry: 9,
        to: address(to),
        named: true,
        data: vec![number; usize::from(number)],
    }
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
