//! The simulated parties: an engine, its disk, and whether it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::SeedableRng;

use crate::client;
use crate::crypto::{Backend, Csprng, IdentityKey, MailboxId, SecretKey};
use crate::mix::{Mix, MixConfig, Note, RequestId};
use crate::node;
use crate::session::{self, Session, SessionConfig};
use crate::store::Store;
use crate::wire::Network;

use super::{Malice, Plan, Secrets};

/// A mix with its disk. The disk outlives crashes, the engine does not.
pub struct SimMix {
    /// The engine, while it runs.
    pub engine: Option<Mix>,
    /// Its disk.
    pub disk: node::Disk,
    /// What it does to its batches.
    pub malice: Option<Malice>,
    /// Facts it has reported.
    pub notes: Vec<Note>,
    /// Requests of clients that wait for an answer: who asked, and the client's own name for it.
    pub(super) requests: BTreeMap<RequestId, (usize, session::RequestId)>,
    /// Counts starts, so that what was meant for an earlier run is dropped.
    pub(super) run: u64,
    key: Arc<IdentityKey>,
}

impl SimMix {
    pub(super) fn new(plan: &Plan, network: &Network, key: Arc<IdentityKey>) -> Self {
        Self {
            engine: None,
            disk: node::Disk::new(Store::memory(), plan.geometry(), &network.parameters),
            malice: None,
            notes: Vec::new(),
            requests: BTreeMap::new(),
            run: 0,
            key,
        }
    }

    pub(super) fn start(&mut self, plan: &Plan, network: &Arc<Network>, own: usize) {
        self.run += 1;
        let config = MixConfig {
            network: network.clone(),
            geometry: plan.geometry(),
            own,
            key: self.key.clone(),
            backend: Backend::default(),
            recovered: self.disk.recover().expect("memory does not fail"),
            started_at_ms: 0,
        };
        let seed = plan.seed ^ (self.run << 32) ^ ((own as u64 + 1) << 48);
        self.engine = Some(Mix::new(config, Csprng::seed_from_u64(seed)));
    }

    pub(super) fn lose_disk(&mut self, plan: &Plan, network: &Network) {
        self.disk = node::Disk::new(Store::memory(), plan.geometry(), &network.parameters);
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
    /// Facts it has reported.
    pub notes: Vec<session::Note>,
    /// Its secrets.
    pub secrets: Secrets,
    pub(super) run: u64,
}

impl SimClient {
    pub(super) fn new(network: &Network, secrets: Secrets) -> Self {
        let disk = client::Disk::new(Store::memory(), &network.parameters);
        Self { engine: None, disk, notes: Vec::new(), secrets, run: 0 }
    }

    pub(super) fn start(&mut self, plan: &Plan, network: &Arc<Network>, own: usize, contacts: session::Contacts) {
        self.run += 1;
        let config = SessionConfig {
            network: network.clone(),
            identity: network.roster.clients[own].identity,
            mailbox: self.secrets.address.mailbox,
            capability: self.secrets.capability,
            letter: SecretKey::from_bytes(self.secrets.letter),
            epochs: self.disk.epochs().expect("memory does not fail"),
            unsettled: self.disk.unsettled().expect("memory does not fail"),
            seats: self.disk.seats(own as u32).expect("memory does not fail"),
            contacts: Arc::new(contacts),
        };
        let seed = plan.seed ^ (self.run << 32) ^ ((own as u64 + 1) << 40) ^ 1;
        let session = Session::new(config, Csprng::seed_from_u64(seed)).expect("the plan is in range");
        self.engine = Some(session);
    }

    /// The client's mailbox.
    pub fn mailbox(&self) -> MailboxId {
        self.secrets.address.mailbox
    }
}
