//! The mix daemon's driver: sockets, timers, the thread pool and the disk around a [`crate::mix::Mix`].
//!
//! One task owns the engine (`engine`); every connection has a task that turns its streams into inputs; jobs go to
//! the thread pool, records to one thread that owns the disk. Nothing here decides anything about a round.

mod answer;
mod batch;
mod chores;
mod clients;
mod convicted;
mod disk;
mod engine;
mod intruder;
mod jobs;
mod metrics;
mod peers;
mod service;
mod status;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::{ControlError, Listener};
use crate::crypto::{Backend, Identity, IdentityKey, os_csprng};
use crate::mix::{Mix, MixConfig};
use crate::net::{Admit, Backoff, Dial, Dialler, Endpoint, EndpointConfig, Limits, NetError};
use crate::packet::Geometry;
use crate::round::NoiseCounts;
use crate::store::{Store, StoreError};
use crate::wire::Network;

pub use answer::Answer;
pub use batch::{Emission, IncomingPackets, send_batch};
pub use disk::Disk;
#[cfg(any(test, feature = "sim"))]
pub use intruder::{Deed, Intruder};
pub use metrics::Metrics;
pub use status::{ClientTotals, EndedRound, LinkState, NodeStatus, OwedRound, Role};

use engine::{Engine, Input};
use intruder::Intrusion;

/// How long a stopping mix waits for rounds under way.
const DRAIN: Duration = Duration::from_secs(10);
/// Inputs that wait for the engine; connections that bring more wait too.
const INPUTS: usize = 1024;

/// Bytes of batches that the entry has on their way at once. Rounds overlap so that no mix idles while another works or the
/// network is slow, which costs a small batch most and a large one least; every mix may have to hold as much, and two batches
/// in any case.
const OVERLAP_BYTES: u64 = 256 << 20;

/// What a mix runs with.
pub struct NodeConfig {
    /// The network, complete.
    pub network: Arc<Network>,
    /// The mix's identity key; the network names its place.
    pub key: IdentityKey,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Its disk.
    pub store: Store,
    /// What peers are granted.
    pub limits: Limits,
    /// Which cryptographic backend does the work.
    pub backend: Backend,
    /// How fast a batch leaves.
    pub emission: Emission,
    /// Where evidence files go; `None`: nowhere, the store keeps what is small.
    pub evidence: Option<PathBuf>,
}

/// Why a mix does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The network file does not name this mix.
    #[error("the network file names no mix with this identity: put this mix's key into it, or into its keys_dir")]
    NotInNetwork,
    /// The number of mixes or the payload is out of range.
    #[error("the network file's mixes or payload are out of range: run `mixnode check`")]
    Geometry,
    /// The socket or the keys cannot be used.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A running mix.
pub struct Node {
    inputs: mpsc::Sender<Input>,
    stop: CancellationToken,
    engine: tokio::task::JoinHandle<()>,
    tasks: TaskTracker,
    endpoint: Endpoint,
    metrics: Arc<Metrics>,
    place: usize,
}

impl Node {
    /// Starts a mix in the present tokio runtime.
    ///
    /// # Errors
    /// If it is not in the network, cannot listen, or its store is unusable.
    pub fn start(config: NodeConfig) -> Result<Self, NodeError> {
        Self::begin(config, |_| Intrusion::default())
    }

    /// As [`Node::start`], with somebody between the engine and its links.
    ///
    /// # Errors
    /// As [`Node::start`].
    #[cfg(any(test, feature = "sim"))]
    pub fn start_taken_over(config: NodeConfig, intruder: Box<dyn Intruder>) -> Result<Self, NodeError> {
        Self::begin(config, |inputs| Intrusion(Some((intruder, inputs.downgrade()))))
    }

    fn begin(config: NodeConfig, intrusion: impl FnOnce(&mpsc::Sender<Input>) -> Intrusion) -> Result<Self, NodeError> {
        let NodeConfig { network, key, listen, store, limits, backend, emission, evidence } = config;
        let key = Arc::new(key);
        let own = network.roster.mix(&key.identity()).ok_or(NodeError::NotInNetwork)?;
        let geometry =
            Geometry::new(network.mixes(), network.parameters.payload as usize).ok_or(NodeError::Geometry)?;
        store.tie_to_payload(network.parameters.payload)?;
        let disk = Arc::new(Disk::new(store, geometry, &network.parameters));
        let recovered = disk.recover()?;
        let started_at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let noise = NoiseCounts::of(&network.parameters);
        let (shared, own_key) = (network.clone(), key.clone());
        let mix = MixConfig {
            network: shared,
            geometry,
            own,
            key: own_key,
            backend,
            noise,
            overlap_bytes: OVERLAP_BYTES,
            recovered,
            started_at_ms,
        };
        // Everybody on the roster may be there at once; strangers do not come so far.
        let everybody = network.roster.clients.len() + network.mixes();
        let limits = Limits { connections: limits.connections.max(everybody), ..limits };
        let endpoint = Endpoint::bind(EndpointConfig {
            listen: Some(listen),
            identity: key.clone(),
            admit: admit(&network, own),
            limits,
        })?;
        let metrics = Arc::new(Metrics::default());
        let (inputs, received) = mpsc::channel(INPUTS);
        let stop = CancellationToken::new();
        let mix = Mix::new(mix, os_csprng());
        let mut engine = Engine::new(mix, disk.clone(), own, backend, network.clone(), metrics.clone(), evidence);
        engine.intrusion = intrusion(&inputs);
        let engine = tokio::spawn(engine.run(received));
        let tasks = TaskTracker::new();
        let world =
            World { network: network.clone(), geometry, disk, emission, inputs: inputs.clone(), tasks: tasks.clone() };
        tasks.spawn(world.clone().accept(endpoint.clone(), stop.clone()));
        for to in own + 1..network.mixes() {
            tasks.spawn(world.clone().dial(endpoint.clone(), to, stop.clone()));
        }
        Ok(Self { inputs, stop, engine, tasks, endpoint, metrics, place: own })
    }

    /// The mix's place in the cascade, from 0.
    pub fn place(&self) -> usize {
        self.place
    }

    /// What it has counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Answers local programs at the control socket `path` while the mix runs.
    ///
    /// # Errors
    /// If another daemon listens there, or the path cannot be used.
    pub async fn listen(&self, path: &Path) -> Result<(), ControlError> {
        let listener = Listener::bind(path).await?;
        self.tasks.spawn(service::serve(self.observer(), listener, self.stop.clone()));
        Ok(())
    }

    /// A handle for asking the state of the mix while it runs.
    pub fn observer(&self) -> Observer {
        Observer(self.inputs.clone())
    }

    /// Finishes the rounds under way, or aborts them with a verdict, then stops; gives up after ten seconds.
    pub async fn stop(self) {
        let (done, drained) = oneshot::channel();
        if self.inputs.send(Input::Stop(done)).await.is_ok() {
            let _given_up = tokio::time::timeout(DRAIN, drained).await;
        }
        self.stop.cancel();
        self.endpoint.close().await;
        let _ended = self.inputs.send(Input::End).await;
        self.tasks.close();
        let _ended = self.engine.await;
        let _given_up = tokio::time::timeout(DRAIN, self.tasks.wait()).await;
        self.endpoint.release().await;
    }
}

/// Asks a running mix for its state, and tells it what its operator has decided.
#[derive(Clone)]
pub struct Observer(mpsc::Sender<Input>);

impl Observer {
    /// The state; `None` once the mix has stopped.
    pub async fn status(&self) -> Option<NodeStatus> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Input::Status(answer)).await.ok()?;
        answered.await.ok()
    }

    /// Lets an evicted client in again; whether there is one of that name. `None` once the mix has stopped.
    pub async fn readmit(&self, client: String) -> Option<bool> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Input::Readmit { client, answer }).await.ok()?;
        answered.await.ok()
    }

    /// Has an entry refuse the submissions of these clients from now on, as a malicious one would.
    #[cfg(any(test, feature = "sim"))]
    pub async fn refuse(&self, clients: Vec<u32>) {
        let _stopped = self.0.send(Input::Refuse(clients)).await;
    }

    /// Has a mix do what whoever has taken it over wants done.
    #[cfg(any(test, feature = "sim"))]
    pub async fn act(&self, deeds: Vec<Deed>) {
        let _stopped = self.0.send(Input::Deeds(deeds)).await;
    }

    /// Goes on after mixes were proven guilty; whether anything stood still. `None` once the mix has stopped.
    pub async fn resume(&self) -> Option<bool> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Input::Resume(answer)).await.ok()?;
        answered.await.ok()
    }
}

/// What every connection's task needs.
#[derive(Clone)]
struct World {
    network: Arc<Network>,
    geometry: Geometry,
    disk: Arc<Disk>,
    emission: Emission,
    inputs: mpsc::Sender<Input>,
    tasks: TaskTracker,
}

impl World {
    /// Takes connections until the mix stops: mixes before this one in the cascade, and clients.
    async fn accept(self, endpoint: Endpoint, stop: CancellationToken) {
        while let Some(Some(connection)) = stop.run_until_cancelled(endpoint.accept()).await {
            let peer = connection.peer();
            let world = self.clone();
            if let Some(mix) = self.network.roster.mix(&peer) {
                self.tasks.spawn(world.serve_mix(mix, connection));
            } else if let Some(client) = self.network.roster.client(&peer) {
                self.tasks.spawn(world.serve_client(client, connection));
            }
        }
    }

    /// Keeps a connection to a mix behind this one in the cascade.
    async fn dial(self, endpoint: Endpoint, to: usize, stop: CancellationToken) {
        let mix = &self.network.roster.mixes[to];
        let mut dialler = Dialler::new(endpoint, mix.address.clone(), mix.identity, Dial::Mix, BACKOFF);
        while let Some(Some(connection)) = stop.run_until_cancelled(dialler.next()).await {
            self.clone().serve_mix(to, connection).await;
        }
    }
}

/// Mixes are few and everything waits for them: quicker than clients.
const BACKOFF: Backoff =
    Backoff { initial: Duration::from_millis(100), cap: Duration::from_secs(2), stable: Duration::from_secs(5) };

/// Mixes may always connect, clients to the entry and the exit, and to the others where these take what the entry refuses.
fn admit(network: &Arc<Network>, own: usize) -> Admit {
    let mut known: Vec<Identity> = network.mix_identities();
    if own == 0 || own + 1 == network.mixes() || network.hands_over() {
        known.extend(network.roster.clients.iter().map(|client| client.identity));
    }
    known.sort_unstable();
    Arc::new(move |identity| known.binary_search(identity).is_ok())
}
