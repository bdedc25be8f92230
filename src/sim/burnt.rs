//! A round that everybody has burnt: made by the parts of which real mixes are made, and shown whole.
//!
//! Clients and mixes of our making deviate where a closure changes what they hand on. It is what blame is tested with,
//! and timed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;

use crate::blame::{Case, CaseFault, Exhibits, Ruling};
use crate::crypto::{Backend, Csprng, Digest, IdentityKey, SecretKey, Signature};
use crate::packet::{
    Address, Body, Builder, Commitment, Echo, Geometry, MessageId, NO_EXTRA, Peeler, Recipe, RoundContext, Slots,
    commitment,
};
use crate::round::{
    EchoError, ListPlace, Noise, NoiseCounts, ReturnPath, Shuffled, check_echoes, first_echoes, published,
};
use crate::wire::{
    Accusation, BatchHeader, ClientRecords, EchoHeader, EpochDocument, ListContext, ListRecord, ListRoot,
    ListSignature, Members, Mismatch, MixKeys, Network, OnionKey, SignedBatchHeader, SignedEchoHeader, SignedEpoch,
    Slot, Statement, batch_digest, echoes_digest, onion_digest,
};

use super::{Plan, Secrets};

/// A packet as its client submits it, with what it says of it.
pub struct Submitted {
    /// The client's roster index.
    pub client: u32,
    /// W bytes.
    pub onion: Vec<u8>,
    /// To its echo.
    pub commitment: Commitment,
}

/// One round, with the secrets of all.
pub struct BurntRound {
    /// The network.
    pub network: Arc<Network>,
    /// The mixes' identity keys.
    pub mixes: Vec<Arc<IdentityKey>>,
    /// The clients' secrets.
    pub clients: Vec<Secrets>,
    /// The document of its epoch, of one round.
    pub document: SignedEpoch,
    /// What the packets are bound to.
    pub context: RoundContext,
    /// Their shape.
    pub geometry: Geometry,
    /// What was submitted, in the order of the list.
    pub submitted: Vec<Submitted>,
    /// Batches of hops 1 to L - 1, as far as the round came.
    pub batches: Vec<(SignedBatchHeader, Vec<Digest>)>,
    /// Echoes of hops L to 1, as far as it came.
    pub echoes: Vec<(SignedEchoHeader, Vec<Echo>)>,
    /// Of each hop that handed on, which places of its batch it says are its own noise.
    pub declared: Vec<Vec<u32>>,
    /// And these packets as it handed them on, W bytes each.
    pub noise: BTreeMap<u8, Vec<u8>>,
    /// What honest mixes have found.
    pub accusations: Vec<(u8, Accusation, Signature)>,
    /// Everything random follows from it.
    pub rng: Csprng,
    secrets: Vec<[u8; 32]>,
    own: NoiseCounts,
}

impl BurntRound {
    /// A round of the plan's network to which every client has submitted, honestly, and no more.
    pub fn new(plan: &Plan) -> Self {
        let (network, mixes, clients) = plan.network();
        let mut rng = Csprng::seed_from_u64(plan.seed);
        let secrets: Vec<[u8; 32]> = mixes.iter().map(|_| *SecretKey::random(&mut rng).expose()).collect();
        let envelope = SecretKey::random(&mut rng).public_key();
        let keys = |secret: &[u8; 32]| MixKeys {
            boot: [7; 16],
            list_key: SecretKey::from_bytes(*secret).public_key(),
            onion_keys: vec![SecretKey::from_bytes(*secret).public_key()],
            dealing: Digest([7; 32]),
        };
        let document = EpochDocument {
            network: network.id(),
            epoch: 5,
            previous: Digest([4; 32]),
            first_round: 300,
            rounds: 1,
            members: plan.clients as u32,
            parameters: network.parameters.digest(),
            roster: network.roster.digest(),
            mailboxes: network.roster.mailboxes_digest(),
            proposed_at_ms: 0,
            mixes: secrets.iter().map(keys).collect(),
            envelope_keys: vec![envelope],
        };
        let signatures = mixes.iter().map(|mix| document.sign(mix)).collect();
        let context = RoundContext { network: network.id(), epoch: 5, round: 300 };
        let mut round = Self {
            geometry: plan.geometry(),
            document: SignedEpoch { document, signatures },
            context,
            network,
            mixes,
            clients,
            submitted: Vec::new(),
            batches: Vec::new(),
            echoes: Vec::new(),
            declared: Vec::new(),
            noise: BTreeMap::new(),
            accusations: Vec::new(),
            rng,
            secrets,
            own: plan.noise_counts(),
        };
        let builder = round.builder();
        for client in 0..plan.clients as u32 {
            for _ in 0..plan.packets_per_client {
                let submitted = round.packet(&builder, client);
                round.submitted.push(submitted);
            }
        }
        round
    }

    /// Who builds packets for it.
    pub fn builder(&self) -> Builder {
        let document = &self.document.document;
        let keys = document.mixes.iter().map(|mix| mix.onion_keys[0]).collect();
        Builder::new(self.geometry, self.context, Backend::default(), keys, document.envelope_keys[0])
    }

    /// An honest packet of a client.
    pub fn packet(&mut self, builder: &Builder, client: u32) -> Submitted {
        let mut onion = Vec::new();
        let echo = builder.client_packet(&mut self.rng, client, &recipe(self.clients[0].address), &mut onion);
        Submitted { client, onion, commitment: commitment(&self.context, client, &echo) }
    }

    /// A packet that anybody can make for hop `first`.
    pub fn foreign(&mut self, first: u8) -> Vec<u8> {
        self.foreign_of(&self.builder(), first)
    }

    /// The same, with the keys of `builder`.
    pub fn foreign_of(&mut self, builder: &Builder, first: u8) -> Vec<u8> {
        let mut onion = Vec::new();
        builder.noise_packet(&mut self.rng, first, &recipe(self.clients[0].address), &mut onion);
        onion
    }

    /// `inner`, meant for `hop`, under layers of the client's own for all hops before: what a malicious client can submit.
    pub fn wrapped(&mut self, client: u32, hop: u8, inner: &[u8]) -> Vec<u8> {
        let builder = self.builder();
        builder.wrap(&mut self.rng, hop, client, inner)
    }

    /// The onion key of `hop`.
    pub fn peeler(&self, hop: u8) -> Peeler {
        let secret = SecretKey::from_bytes(self.secrets[usize::from(hop) - 1]);
        Peeler::new(self.geometry, self.context, hop, &secret, Backend::default())
    }

    /// Carries the packets to the exit and the echoes back, as far as it comes. `forward` changes what a hop hands on,
    /// `back` what it hands back. What is then wrong is found by honest mixes, who accuse.
    pub fn run(
        &mut self,
        mut forward: impl FnMut(&mut Self, u8, &mut Vec<Vec<u8>>),
        mut back: impl FnMut(u8, &mut Vec<Echo>),
    ) {
        let exit = self.mixes.len() as u8;
        let Some(mut segments) = self.enter() else { return };
        let (mut paths, mut input) = (Vec::new(), Digest([0; 32]));
        for hop in 1..exit {
            let builder = self.builder();
            let noise = Noise::draw(&mut self.rng, &builder, hop, &self.network, &self.own);
            let mut batch = Shuffled::with_noise(&mut self.rng, self.geometry, segments, noise);
            paths.extend(batch.take_return_path());
            let mut packets: Vec<Vec<u8>> = batch.packets().map(<[u8]>::to_vec).collect();
            self.declared.push(batch.noise().map(|(place, _)| place).collect());
            forward(self, hop, &mut packets);
            let own = self.declared.last().into_iter().flatten().filter_map(|place| packets.get(*place as usize));
            self.noise.insert(hop, own.flatten().copied().collect());
            let header = self.hand_on(hop, input, &packets);
            input = header.output;
            let mut slots = Slots::from_packets(self.geometry, &packets.concat()).expect("whole packets");
            if let Err((place, _)) = self.peeler(hop + 1).peel(&mut slots, NO_EXTRA) {
                return self.accuse(hop + 1, Mismatch::Layer { hop, place: place as u32 }, header.subject());
            }
            segments = vec![slots];
        }
        self.echo(&segments, paths, input, &mut back);
    }

    /// The entry peels; `None` if it has to refuse, which it then does not do.
    fn enter(&self) -> Option<Vec<Slots>> {
        let peeler = self.peeler(1);
        let enter = |submitted: &Submitted| {
            let mut slots = Slots::from_packets(self.geometry, &submitted.onion)?;
            peeler.peel(&mut slots, submitted.client).ok()?;
            Some(slots)
        };
        self.submitted.iter().map(enter).collect()
    }

    fn hand_on(&mut self, hop: u8, input: Digest, packets: &[Vec<u8>]) -> BatchHeader {
        let hashes: Vec<Digest> = packets.iter().map(|packet| onion_digest(packet)).collect();
        let header = BatchHeader {
            network: self.context.network,
            epoch: self.document.document.digest(),
            round: self.context.round,
            hop,
            count: hashes.len() as u32,
            noise: hashes.len().saturating_sub(self.submitted.len()) as u32,
            members: self.members(),
            input,
            output: batch_digest(&hashes),
        };
        let signed = header.clone().sign(&self.mixes[usize::from(hop) - 1]);
        self.batches.push((signed, hashes));
        header
    }

    fn echo(
        &mut self,
        segments: &[Slots],
        paths: Vec<ReturnPath>,
        batch: Digest,
        back: &mut impl FnMut(u8, &mut Vec<Echo>),
    ) {
        let mut hop = self.mixes.len() as u8;
        let mut echoes = first_echoes(self.context.round, segments);
        let mut header = self.hand_back(hop, batch, &mut echoes, back);
        for path in paths.into_iter().rev() {
            hop -= 1;
            echoes = match path.back(&echoes) {
                Ok((echoes, _)) => echoes,
                Err(EchoError::Noise { place }) => {
                    let mismatch = Mismatch::Noise { hop: hop + 1, place: place as u32 };
                    return self.accuse(hop, mismatch, header.subject(&self.root()));
                }
                // Who has handed on another number than it took in gets no echoes.
                Err(_) => return,
            };
            if hop == 1 {
                echoes = published(&self.places(), &echoes).expect("as many as packets");
            }
            header = self.hand_back(hop, header.digest, &mut echoes, back);
        }
        let commitments: Vec<_> = self.submitted.iter().map(|it| (it.client, it.commitment)).collect();
        if check_echoes(&self.context, &commitments, &echoes).is_err() {
            let wrong = |(at, (client, committed)): (usize, &(u32, Commitment))| {
                (commitment(&self.context, *client, &echoes[at]) != *committed).then_some(at as u32)
            };
            let place = commitments.iter().enumerate().find_map(wrong).expect("one differs");
            self.accuse(2, Mismatch::Echo { place }, header.subject(&self.root()));
        }
    }

    fn hand_back(
        &mut self,
        hop: u8,
        input: Digest,
        echoes: &mut Vec<Echo>,
        back: &mut impl FnMut(u8, &mut Vec<Echo>),
    ) -> EchoHeader {
        back(hop, echoes);
        let (network, epoch) = (self.context.network, self.document.document.digest());
        let (count, digest) = (echoes.len() as u32, echoes_digest(echoes));
        let header = EchoHeader { network, epoch, round: self.context.round, hop, input, count, digest };
        self.echoes.push((header.clone().sign(&self.mixes[usize::from(hop) - 1]), echoes.clone()));
        header
    }

    /// A mix accuses.
    pub fn accuse(&mut self, hop: u8, mismatch: Mismatch, subject: Digest) {
        let accusation = Accusation { slot: self.slot(), mismatch, subject };
        let signature = accusation.sign(&self.mixes[usize::from(hop) - 1]);
        self.accusations.push((hop, accusation, signature));
    }

    /// Its slot.
    pub fn slot(&self) -> Slot {
        Slot { network: self.context.network, epoch: self.context.epoch, round: self.context.round }
    }

    /// The root of its list.
    pub fn root(&self) -> Digest {
        let mut root = ListRoot::new(&self.list_context(), self.submitted.len() as u32);
        self.records().iter().for_each(|record| root.record(record));
        root.finish(&[])
    }

    /// Its records, in the order of the list.
    pub fn records(&self) -> Vec<ListRecord> {
        let record =
            |it: &Submitted| ListRecord { index: it.client, onion: onion_digest(&it.onion), commitment: it.commitment };
        self.submitted.iter().map(record).collect()
    }

    /// Everything that its parties show.
    pub fn exhibits(&self) -> Exhibits {
        let (records, context) = (self.records(), self.list_context());
        let sign = |own: &[ListRecord]| {
            let client = IdentityKey::from_seed(&self.clients[own[0].index as usize].identity);
            (own[0].index, *ClientRecords::make(&context, own.to_vec(), &[], &client).signature())
        };
        let clients: BTreeMap<u32, Signature> = records.chunk_by(|a, b| a.index == b.index).map(sign).collect();
        Exhibits {
            document: self.document.clone(),
            round: self.context.round,
            records,
            listed: Vec::new(),
            entry: ListSignature::sign(&self.mixes[0], &context, self.root()).signature,
            clients,
            batches: self.batches.clone(),
            echoes: self.echoes.clone(),
            keys: (1..=self.mixes.len() as u8).map(|hop| self.key(hop)).collect(),
            accusations: self.accusations.clone(),
        }
    }

    /// What the mix at `hop` publishes: its onion key, and what it says that it added.
    pub fn key(&self, hop: u8) -> (OnionKey, Signature) {
        let at = usize::from(hop) - 1;
        let noise = self.declared.get(at).cloned().unwrap_or_default();
        let key = OnionKey { slot: self.slot(), key: self.secrets[at], noise };
        let signature = key.sign(&self.mixes[at]);
        (key, signature)
    }

    /// The onions at these places of the list.
    pub fn onions(&self, places: std::ops::Range<usize>) -> Slots {
        let bytes: Vec<u8> = self.submitted[places].iter().flat_map(|it| it.onion.iter().copied()).collect();
        Slots::from_packets(self.geometry, &bytes).expect("whole packets")
    }

    /// Replays the whole round in segments of `segment` packets, on this thread, and times it: what was found, and how long it took
    /// from what was shown to that.
    ///
    /// # Errors
    /// If what is shown does not fit together.
    pub fn timed_replay(&self, segment: usize) -> Result<(Option<Ruling>, Duration), CaseFault> {
        let shown = self.exhibits();
        let begun = Instant::now();
        let case = Case::new(self.network.clone(), shown)?;
        let mut took = begun.elapsed();
        for first in (0..case.len()).step_by(segment.max(1)) {
            let onions = self.onions(first..case.len().min(first + segment.max(1)));
            let begun = Instant::now();
            let ruling = case.replay(first, &onions);
            took += begun.elapsed();
            if ruling.is_some() {
                return Ok((ruling, took));
            }
        }
        Ok((None, took))
    }

    /// What its list is bound to.
    pub fn list_context(&self) -> ListContext {
        ListContext { network: self.context.network, epoch: self.context.epoch, round: self.context.round }
    }

    fn members(&self) -> Members {
        let mut members = Members::none(self.clients.len());
        self.submitted.iter().for_each(|it| {
            members.insert(it.client);
        });
        members
    }

    fn places(&self) -> Vec<ListPlace> {
        let of_clients = self.submitted.chunk_by(|a, b| a.client == b.client);
        of_clients.flat_map(|own| (0..).zip(own).map(|(packet, it)| ListPlace { client: it.client, packet })).collect()
    }
}

fn recipe(to: Address) -> Recipe<'static> {
    Recipe { to, body: Body::dummy(MessageId([4; 16]), 10, b""), sender: None }
}
