//! A network in one process over real QUIC on loopback: real nodes, real client daemons, stores in memory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::client::{Client, ClientConfig, ClientError, DiskLimits};
use crate::config::{Capability, ClientSecrets, Contact, ContactError, Contacts};
use crate::crypto::{Backend, IdentityKey, SecretKey};
use crate::net::{Endpoint, EndpointConfig, Limits, NetError};
use crate::node::{Emission, Intruder, Node, NodeConfig, NodeError, Observer};
use crate::store::Store;
use crate::testnet::{PortOf, free_ports};
use crate::wire::Network;

use super::{Plan, Secrets};

/// A running network. Dropped, it stops without ceremony; [`Loopback::stop`] is the orderly way.
pub struct Loopback {
    /// The network, with the addresses on which its mixes listen.
    pub network: Arc<Network>,
    secrets: Vec<Secrets>,
    keys: Vec<Arc<IdentityKey>>,
    addresses: Vec<SocketAddr>,
    stores: Vec<Store>,
    nodes: Vec<Option<Node>>,
    clients: Vec<Client>,
    home: PathBuf,
    /// How fast batches leave the mixes that are started from now on.
    pub emission: Emission,
}

/// Why a network did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoopbackError {
    /// No port can be had.
    #[error("the machine gives no port: {0}")]
    Io(#[from] std::io::Error),
    /// A mix did not start.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A client did not start.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The contacts cannot be written.
    #[error(transparent)]
    Contacts(#[from] ContactError),
}

impl Loopback {
    /// Starts the mixes of `plan` in the present tokio runtime; sockets and contacts go into `home`, which the caller
    /// owns. Clients are started one by one.
    ///
    /// # Errors
    /// If a port or `home` cannot be used.
    pub fn start(plan: &Plan, home: &Path) -> Result<Self, LoopbackError> {
        let (network, keys, secrets) = plan.network();
        let mut network = Arc::unwrap_or_clone(network);
        let addresses = free_ports(PortOf::Mix, network.mixes())?;
        for (mix, address) in network.roster.mixes.iter_mut().zip(&addresses) {
            mix.address = address.to_string();
        }
        let contacts = Contacts::at(&home.join("contacts.txt"));
        // A file of a thousand lines written line by line would take longer than the network.
        for (client, secrets) in network.roster.clients.iter().zip(&secrets).take(CONTACTS) {
            let Secrets { address, .. } = secrets;
            let (mailbox, letter_key) = (address.mailbox, address.letter_key);
            contacts.add(&Contact { name: client.id.clone(), mailbox, letter_key })?;
        }
        let mixes = network.mixes();
        let mut network = Self {
            network: Arc::new(network),
            secrets,
            keys,
            addresses,
            stores: (0..mixes).map(|_| Store::memory()).collect(),
            nodes: (0..mixes).map(|_| None).collect(),
            clients: Vec::new(),
            home: home.to_owned(),
            emission: Emission::default(),
        };
        (0..mixes).try_for_each(|mix| network.start_mix(mix))?;
        Ok(network)
    }

    /// Starts a mix, or starts it again with the store it had.
    ///
    /// # Errors
    /// If its port is taken.
    pub fn start_mix(&mut self, mix: usize) -> Result<(), LoopbackError> {
        self.nodes[mix] = Some(Node::start(self.config(mix))?);
        Ok(())
    }

    /// As [`Loopback::start_mix`], with somebody between its engine and its links.
    ///
    /// # Errors
    /// As [`Loopback::start_mix`].
    pub fn start_taken_over(&mut self, mix: usize, intruder: Box<dyn Intruder>) -> Result<(), LoopbackError> {
        self.nodes[mix] = Some(Node::start_taken_over(self.config(mix), intruder)?);
        Ok(())
    }

    fn config(&self, mix: usize) -> NodeConfig {
        NodeConfig {
            network: self.network.clone(),
            key: IdentityKey::from_pkcs8(self.keys[mix].expose_pkcs8()).expect("a key is its own encoding"),
            listen: self.addresses[mix],
            store: self.stores[mix].clone(),
            limits: Limits::default(),
            backend: Backend::default(),
            emission: self.emission,
            evidence: Some(self.evidence(mix)),
        }
    }

    /// What a mix serves as metrics; `None` if it does not run.
    pub fn metrics(&self, mix: usize) -> Option<String> {
        Some(self.nodes[mix].as_ref()?.metrics().encode())
    }

    /// Stops a mix; its store stays.
    pub async fn stop_mix(&mut self, mix: usize) {
        if let Some(node) = self.nodes[mix].take() {
            node.stop().await;
        }
    }

    /// Starts the daemon of a client.
    ///
    /// # Errors
    /// If its socket cannot be made.
    pub async fn start_client(&mut self, client: usize) -> Result<(), LoopbackError> {
        let secrets = &self.secrets[client];
        let config = ClientConfig {
            network: self.network.clone(),
            id: self.network.roster.clients[client].id.clone(),
            secrets: ClientSecrets {
                identity: IdentityKey::from_seed(&secrets.identity),
                letter: SecretKey::from_bytes(secrets.letter),
                list: SecretKey::from_bytes(secrets.list),
                capability: Capability::from_bytes(secrets.capability),
            },
            contacts: Contacts::at(&self.home.join("contacts.txt")),
            store: Store::memory(),
            disk_limits: DiskLimits::default(),
            wait_rounds: 0,
            limits: Limits::default(),
            evidence: self.home.join(format!("evidence-{client}")),
        };
        self.clients.push(Client::start(config, &self.control(client)).await?);
        Ok(())
    }

    /// Where a client's daemon listens for local programs.
    pub fn control(&self, client: usize) -> PathBuf {
        self.home.join(format!("{client}.sock"))
    }

    /// Where a mix puts evidence files.
    pub fn evidence(&self, mix: usize) -> PathBuf {
        self.home.join(format!("evidence-{mix}"))
    }

    /// A mix's identity key: what an adversary has that has taken it over.
    pub fn mix_key(&self, mix: usize) -> &Arc<IdentityKey> {
        &self.keys[mix]
    }

    /// Asks a mix how it is, while it runs.
    pub fn observer(&self, mix: usize) -> Option<Observer> {
        self.nodes[mix].as_ref().map(Node::observer)
    }

    /// A client's identity key: what its owner's programs, and whoever has stolen it, sign with.
    pub fn client_key(&self, client: usize) -> IdentityKey {
        IdentityKey::from_seed(&self.secrets[client].identity)
    }

    /// A bare endpoint with a client's identity: an adversary that has the client's key and its own program.
    ///
    /// # Errors
    /// If no socket can be had.
    pub fn endpoint(&self, client: usize) -> Result<Endpoint, NetError> {
        bare(Arc::new(IdentityKey::from_seed(&self.secrets[client].identity)))
    }

    /// As [`Loopback::endpoint`] with a mix's identity; stop that mix first.
    ///
    /// # Errors
    /// If no socket can be had.
    pub fn mix_endpoint(&self, mix: usize) -> Result<Endpoint, NetError> {
        bare(self.keys[mix].clone())
    }

    /// Stops everybody.
    pub async fn stop(self) {
        drop(self.clients);
        for node in self.nodes.into_iter().flatten() {
            node.stop().await;
        }
    }
}

/// Clients that everybody has as contacts.
const CONTACTS: usize = 16;

fn bare(identity: Arc<IdentityKey>) -> Result<Endpoint, NetError> {
    let limits = Limits::default();
    Endpoint::bind(EndpointConfig { listen: None, identity, admit: Arc::new(|_| false), limits })
}
