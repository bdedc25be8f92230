//! `run`: the daemons.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::client::{self, Client, ClientConfig, DiskLimits};
use crate::config::{Home, Role};
use crate::net::Limits;
use crate::node::{self, Emission, Node, NodeConfig, Observer};
use crate::store::{MapLimits, Store};

use super::args::RunArgs;
use super::daemon::{Preparation, not_listed};
use super::error::{CliError, Exit};
use super::web::{self, Pages};

/// Runs a mix until it is told to stop.
///
/// # Errors
/// If it cannot start.
pub(super) async fn mix(args: &RunArgs, home: &Path, json: bool) -> Result<(), CliError> {
    let mut prepared = Preparation::begin(Role::Mix, args, home, json)?;
    let home = prepared.home.clone();
    let secrets = home.mix_secrets()?;
    let line = prepared.file.mixes.iter().find(|mix| mix.id == home.id).ok_or_else(|| not_listed(&home, "mixes"))?;
    let listen = match home.listen {
        Some(listen) => listen,
        None => own_address(&line.address).await?,
    };
    // A file with the key in it needs no key file, and may lie where this user cannot write.
    if line.identity.is_none() {
        prepared.publish([secrets.key_file(&home.id)])?;
    }
    // Before the wait for others' keys: what is wrong with the disk is said at once.
    let store = open_store(&home)?;
    let Some(network) = prepared.network().await? else { return Ok(()) };
    let config = NodeConfig {
        network,
        key: secrets.identity,
        listen,
        store,
        limits: Limits { mtu: Some(home.mtu), ..Limits::default() },
        backend: home.x25519,
        emission: Emission::mbit(home.emission_mbit),
        evidence: Some(home.dir.join("evidence")),
    };
    let node = Node::start(config)?;
    node.listen(&home.control).await?;
    if let Some(address) = home.metrics {
        let pages = MixPages { metrics: node.metrics().clone(), observer: node.observer() };
        tracing::info!(address = %web::serve(address, pages, prepared.stop.clone()).await?, "metrics are served");
    }
    let served = prepared.serve("mix").await;
    node.stop().await;
    served
}

/// Runs a client until it is told to stop.
///
/// # Errors
/// If it cannot start.
pub(super) async fn client(args: &RunArgs, home: &Path, json: bool) -> Result<(), CliError> {
    let mut prepared = Preparation::begin(Role::Client, args, home, json)?;
    let home = prepared.home.clone();
    let secrets = home.client_secrets()?;
    let file = &prepared.file;
    let line = file.clients.iter().find(|line| line.id == home.id).ok_or_else(|| not_listed(&home, "clients"))?;
    let [own, mailbox] = secrets.key_files(&home.id, &file.id());
    let own = (line.identity.is_none() || line.list_key.is_none()).then_some(own);
    let mailbox = file.mailboxes.is_none().then_some(mailbox);
    prepared.publish(own.into_iter().chain(mailbox))?;
    // Before the wait for others' keys: what is wrong with the disk is said at once.
    let store = open_store(&home)?;
    let Some(network) = prepared.network().await? else { return Ok(()) };
    let config = ClientConfig {
        network,
        id: home.id.clone(),
        secrets,
        contacts: home.contacts(),
        store,
        disk_limits: DiskLimits { outbox_bytes: home.outbox_bytes, inbox_bytes: home.inbox_bytes },
        wait_rounds: home.wait_rounds,
        limits: Limits { mtu: Some(home.mtu), ..Limits::default() },
        evidence: home.dir.join("evidence"),
    };
    let client = Client::start(config, &home.control).await?;
    if let Some(address) = home.metrics {
        let pages = ClientPages { metrics: client.metrics().clone(), observer: client.observer() };
        tracing::info!(address = %web::serve(address, pages, prepared.stop.clone()).await?, "metrics are served");
    }
    let served = prepared.serve("client").await;
    client.stop().await;
    served
}

/// Where to listen to be reached at `address`.
async fn own_address(address: &str) -> Result<SocketAddr, CliError> {
    let unknown = |reason: String| {
        let text = format!("cannot listen at {address}: {reason}\nhelp: set `listen` to an address of this machine");
        CliError::new(Exit::Network, text)
    };
    let mut found = tokio::net::lookup_host(address).await.map_err(|error| unknown(error.to_string()))?;
    found.next().ok_or_else(|| unknown("the name has no address".into()))
}

fn open_store(home: &Home) -> Result<Store, CliError> {
    Ok(Store::lmdb(&home.dir.join("store"), MapLimits::default())?)
}

struct MixPages {
    metrics: Arc<node::Metrics>,
    observer: Observer,
}

impl Pages for MixPages {
    fn metrics(&self) -> String {
        self.metrics.encode()
    }

    async fn healthy(&self) -> bool {
        self.observer.status().await.is_some()
    }
}

struct ClientPages {
    metrics: Arc<client::Metrics>,
    observer: client::Observer,
}

impl Pages for ClientPages {
    fn metrics(&self) -> String {
        self.metrics.encode()
    }

    async fn healthy(&self) -> bool {
        self.observer.is_running()
    }
}
