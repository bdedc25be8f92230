//! The simulated parties: an engine, its disk, and whether it runs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;

use crate::blame::Finding;
use crate::client;
use crate::crypto::{Backend, Csprng, Digest, IdentityKey, MailboxId, SecretKey};
use crate::mix::{Mix, MixConfig, Note, RequestId};
use crate::node;
use crate::packet::{Address, Body, Builder, Geometry, MessageId, Recipe, RoundContext};
use crate::session::{self, Session, SessionConfig};
use crate::store::Store;
use crate::wire::{Network, PeerMessage, Record};

use super::adversary::{Insider, RogueClient, RogueMix};
use super::{Malice, Mischief, Plan, Secrets, SimDisk};

/// A mix with its disk. The disk outlives crashes, the engine does not.
pub struct SimMix {
    /// The engine, while it runs.
    pub engine: Option<Mix>,
    /// Its disk.
    pub disk: node::Disk,
    /// What lies under it.
    pub kv: SimDisk,
    /// What it does to its batches.
    pub malice: Option<Malice>,
    /// Who has taken it over, if anybody has.
    pub(super) rogue: Option<Box<dyn RogueMix>>,
    /// The digests that the batches it has touched had in its engine's eyes.
    pub(super) touched: BTreeMap<u64, Digest>,
    /// Facts it has reported.
    pub notes: Vec<Note>,
    /// Whom it has convicted.
    pub convictions: Vec<Finding>,
    /// Requests of clients that wait for an answer: who asked, and the client's own name for it.
    pub(super) requests: BTreeMap<RequestId, (usize, session::RequestId)>,
    /// Counts starts, so that what was meant for an earlier run is dropped.
    pub(super) run: u64,
    pub(super) clock: Clock,
    /// What its disk has been asked to write, and has not.
    pub(super) records: VecDeque<(u64, Record)>,
    key: Arc<IdentityKey>,
}

/// A party's monotonic clock: it may begin anywhere, and jump ahead.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    began: Duration,
    ahead: Duration,
}

impl Clock {
    /// A clock that shows `shown` at the world's moment `now`.
    pub(super) fn showing(now: Duration, shown: Duration) -> Self {
        Self { began: now, ahead: shown }
    }

    /// What it shows at the world's moment `now`.
    pub(super) fn at(&self, now: Duration) -> Duration {
        now.saturating_sub(self.began) + self.ahead
    }

    /// How long until it shows `shown`.
    pub(super) fn until(&self, now: Duration, shown: Duration) -> Duration {
        shown.saturating_sub(self.at(now))
    }

    pub(super) fn jump(&mut self, by: Duration) {
        self.ahead += by;
    }
}

impl SimMix {
    pub(super) fn new(plan: &Plan, network: &Network, key: Arc<IdentityKey>) -> Self {
        let kv = SimDisk::default();
        Self {
            engine: None,
            disk: node::Disk::new(open(&kv), plan.geometry(), &network.parameters),
            kv,
            malice: None,
            rogue: None,
            touched: BTreeMap::new(),
            notes: Vec::new(),
            convictions: Vec::new(),
            requests: BTreeMap::new(),
            run: 0,
            clock: Clock::default(),
            records: VecDeque::new(),
            key,
        }
    }

    /// A packet of round `round` as any mix can make one, for the hop behind the mix at place `own`.
    pub(super) fn made_up_packet(&self, own: usize, round: u64, plan: &Plan) -> Option<Vec<u8>> {
        let chain = self.disk.recover().ok()?.chain;
        let document = &chain.iter().rev().find(|signed| signed.document.position(round).is_some())?.document;
        let context = RoundContext { network: document.network, epoch: document.epoch, round };
        let (onions, envelope) = (document.onion_keys(round)?, document.envelope_key(round)?);
        let builder = Builder::new(plan.geometry(), context, Backend::default(), onions, envelope);
        let mut rng = Csprng::seed_from_u64(round);
        let to = Address { mailbox: MailboxId([9; 16]), letter_key: SecretKey::random(&mut rng).public_key() };
        let recipe = Recipe { to, body: Body::dummy(MessageId([9; 16]), document.epoch + 9, b""), sender: None };
        let mut packet = Vec::new();
        builder.noise_packet(&mut rng, own as u8 + 2, &recipe, &mut packet);
        Some(packet)
    }

    /// A malicious mix goes on as if the next one had taken what its engine made.
    pub(super) fn as_its_engine_knows(&self, message: PeerMessage) -> PeerMessage {
        match message {
            PeerMessage::BatchAccepted { round, digest } => {
                PeerMessage::BatchAccepted { round, digest: self.touched.get(&round).copied().unwrap_or(digest) }
            }
            other => other,
        }
    }

    /// Starts it with `clock`, on which zero was `started_at_ms` of the calendar.
    pub(super) fn start(
        &mut self,
        plan: &Plan,
        network: &Arc<Network>,
        own: usize,
        (clock, started_at_ms): (Clock, u64),
    ) {
        self.run += 1;
        self.clock = clock;
        let config = MixConfig {
            network: network.clone(),
            geometry: plan.geometry(),
            own,
            key: self.key.clone(),
            backend: Backend::default(),
            noise: plan.noise_counts(),
            overlap_bytes: plan.overlap_bytes,
            recovered: self.disk.recover().expect("memory does not fail"),
            started_at_ms,
        };
        let seed = plan.seed ^ (self.run << 32) ^ ((own as u64 + 1) << 48);
        self.engine = Some(Mix::new(config, Csprng::seed_from_u64(seed)));
    }

    pub(super) fn lose_disk(&mut self, plan: &Plan, network: &Network) {
        self.kv = SimDisk::default();
        self.disk = node::Disk::new(open(&self.kv), plan.geometry(), &network.parameters);
    }

    pub(super) fn crash(&mut self) {
        self.engine = None;
        self.requests.clear();
        self.records.clear();
        self.kv.crash();
    }

    /// Lets `act` be done by whoever has taken the mix over, who knows what the mix knows; `None` if nobody has.
    pub(super) fn as_rogue<T>(
        &mut self,
        network: &Network,
        geometry: Geometry,
        place: usize,
        act: impl FnOnce(&mut dyn RogueMix, &Insider<'_>) -> T,
    ) -> Option<T> {
        let mut rogue = self.rogue.take()?;
        let engine = self.engine.as_ref();
        let done = act(rogue.as_mut(), &Insider { place, key: &self.key, network, geometry, disk: &self.disk, engine });
        self.rogue = Some(rogue);
        Some(done)
    }

    /// Whether it is burning a round, or finding out whose fault that is.
    pub fn burns(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.status().burning > 0)
    }

    /// The mix's identity key: an adversary that has taken it over signs with it.
    pub fn key(&self) -> &IdentityKey {
        &self.key
    }
}

/// A client with its disk.
pub struct SimClient {
    /// The engine, while it runs.
    pub engine: Option<Session>,
    /// Its disk.
    pub disk: client::Disk,
    /// What lies under it.
    pub kv: SimDisk,
    /// Facts it has reported.
    pub notes: Vec<session::Note>,
    /// What it has seen signed twice.
    pub contradictions: Vec<session::Contradiction>,
    /// Its secrets.
    pub secrets: Secrets,
    /// Whoever sits at it, if it is malicious.
    pub(super) rogue: Option<Box<dyn RogueClient>>,
    /// What it does to its submissions.
    pub mischief: Option<Mischief>,
    pub(super) run: u64,
    pub(super) clock: Clock,
    /// What its disk has been asked to do, and has not done.
    pub(super) chores: VecDeque<session::Action>,
    /// Submissions without an answer.
    pub(super) submitted: BTreeMap<session::RequestId, u64>,
    /// Hand-overs without an answer: to which mix.
    pub(super) handed: BTreeMap<session::RequestId, usize>,
}

impl SimClient {
    pub(super) fn new(network: &Network, secrets: Secrets) -> Self {
        let kv = SimDisk::default();
        let disk = client::Disk::new(open(&kv), &network.parameters, client::DiskLimits::default());
        Self {
            engine: None,
            disk,
            kv,
            notes: Vec::new(),
            contradictions: Vec::new(),
            secrets,
            rogue: None,
            mischief: None,
            run: 0,
            clock: Clock::default(),
            chores: VecDeque::new(),
            submitted: BTreeMap::new(),
            handed: BTreeMap::new(),
        }
    }

    pub(super) fn start(
        &mut self,
        plan: &Plan,
        network: &Arc<Network>,
        own: usize,
        contacts: session::Contacts,
        clock: Clock,
    ) {
        self.run += 1;
        self.clock = clock;
        let config = SessionConfig {
            network: network.clone(),
            identity: Arc::new(IdentityKey::from_seed(&self.secrets.identity)),
            mailbox: self.secrets.address.mailbox,
            capability: self.secrets.capability,
            letter: SecretKey::from_bytes(self.secrets.letter),
            list: SecretKey::from_bytes(self.secrets.list),
            epochs: self.disk.epochs().expect("memory does not fail"),
            unsettled: self.disk.unsettled().expect("memory does not fail"),
            seats: self.disk.seats(own as u32).expect("memory does not fail"),
            contacts: Arc::new(contacts),
        };
        let seed = plan.seed ^ (self.run << 32) ^ ((own as u64 + 1) << 40) ^ 1;
        let session = Session::new(config, Csprng::seed_from_u64(seed)).expect("the plan is in range");
        self.engine = Some(session);
    }

    pub(super) fn crash(&mut self) {
        self.engine = None;
        self.chores.clear();
        self.submitted.clear();
        self.handed.clear();
        self.kv.crash();
    }

    /// The client's mailbox.
    pub fn mailbox(&self) -> MailboxId {
        self.secrets.address.mailbox
    }
}

fn open(kv: &SimDisk) -> Store {
    Store::open(kv.clone()).expect("an empty disk has no version and takes one")
}
