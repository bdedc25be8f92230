//! The client daemon's driver: links, disk, thread pool and control socket around a [`crate::session::Session`].
//!
//! One task owns the session (`driver`); one thread owns the disk and does what the session asks of it in order;
//! requests are streams of their own. Local programs talk to it through `service`.

mod chores;
mod contradicted;
mod disk;
mod driver;
mod gate;
mod intruder;
mod links;
mod metrics;
mod prepare;
mod service;
mod status;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::config::{ClientSecrets, Contacts};
use crate::control::{ControlError, Listener};
use crate::crypto::os_csprng;
use crate::net::{Endpoint, EndpointConfig, Limits, NetError};
use crate::packet::Geometry;
use crate::session::{Session, SessionConfig, SessionError};
use crate::store::{Store, StoreError};
use crate::wire::Network;

pub use contradicted::evidence;
pub use disk::{Disk, DiskLimits};
#[cfg(any(test, feature = "sim"))]
pub use intruder::Intruder;
pub use metrics::Metrics;

use driver::{Driver, Input};
use intruder::Intrusion;
use service::Service;

/// How long a stopping client waits for the round in hand.
const DRAIN: Duration = Duration::from_secs(5);
/// Inputs that wait for the session.
const INPUTS: usize = 256;

/// What a client runs with.
pub struct ClientConfig {
    /// The network, complete.
    pub network: Arc<Network>,
    /// The client's name.
    pub id: String,
    /// The client's keys.
    pub secrets: ClientSecrets,
    /// Its contacts.
    pub contacts: Contacts,
    /// Its disk.
    pub store: Store,
    /// How much it keeps there.
    pub disk_limits: DiskLimits,
    /// How many rounds a message waits on average before it leaves, 0 to leave with the next.
    pub wait_rounds: u64,
    /// What peers are granted.
    pub limits: Limits,
    /// Where evidence files go.
    pub evidence: PathBuf,
}

/// Why a client does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The session cannot begin.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The number of mixes or the payload is out of range.
    #[error("the network file's mixes or payload are out of range: run `mixclient check`")]
    Geometry,
    /// The socket or the keys cannot be used.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The control socket cannot be used.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The contacts cannot be read.
    #[error(transparent)]
    Contacts(#[from] crate::config::ContactError),
}

/// A running client.
pub struct Client {
    inputs: mpsc::Sender<Input>,
    stop: CancellationToken,
    driver: tokio::task::JoinHandle<()>,
    endpoint: Endpoint,
    metrics: Arc<Metrics>,
}

impl Client {
    /// Starts a client in the present tokio runtime, its control socket at `control`.
    ///
    /// # Errors
    /// If it is not in the network, or its store or control socket cannot be used.
    pub async fn start(config: ClientConfig, control: &Path) -> Result<Self, ClientError> {
        Self::begin(config, control, |_| Intrusion::default()).await
    }

    /// As [`Client::start`], with somebody between the engine and its links.
    ///
    /// # Errors
    /// As [`Client::start`].
    #[cfg(any(test, feature = "sim"))]
    pub async fn start_taken_over(
        config: ClientConfig,
        control: &Path,
        intruder: Box<dyn Intruder>,
    ) -> Result<Self, ClientError> {
        Self::begin(config, control, |disk| Intrusion(Some((intruder, disk.clone())))).await
    }

    async fn begin(
        config: ClientConfig,
        control: &Path,
        intrusion: impl FnOnce(&Arc<Disk>) -> Intrusion,
    ) -> Result<Self, ClientError> {
        let ClientConfig { network, id, secrets, contacts, store, disk_limits, wait_rounds, limits, evidence } = config;
        let geometry =
            Geometry::new(network.mixes(), network.parameters.payload as usize).ok_or(ClientError::Geometry)?;
        store.tie_to_payload(network.parameters.payload)?;
        let disk = Arc::new(Disk::new(store, &network.parameters, disk_limits).with_wait(wait_rounds));
        disk.outbox.give_up_drafts()?;
        let ClientSecrets { identity, letter, list, capability } = secrets;
        let identity = Arc::new(identity);
        let index = network.roster.client(&identity.identity()).ok_or(SessionError::NotOnRoster)?;
        let mailbox = capability.mailbox(&network.id());
        let session = SessionConfig {
            network: network.clone(),
            identity: identity.clone(),
            mailbox,
            capability: *capability.expose(),
            letter,
            list,
            epochs: disk.epochs()?,
            unsettled: disk.unsettled()?,
            seats: disk.seats(index)?,
            contacts: Arc::new(service::letter_keys(&contacts)?),
        };
        let session = Session::new(session, os_csprng())?;
        let listener = Listener::bind(control).await?;
        let endpoint = Endpoint::bind(EndpointConfig { listen: None, identity, admit: Arc::new(|_| false), limits })?;
        let metrics = Arc::new(Metrics::default());
        let (inputs, received) = mpsc::channel(INPUTS);
        let stop = CancellationToken::new();
        let (changed, changes) = watch::channel(0);
        links::keep(&network, &endpoint, &inputs, &stop);
        let calls = links::Calls::new(network.clone(), endpoint.clone());
        let mut driver =
            Driver::new(session, disk.clone(), network.clone(), geometry, metrics.clone(), changed, evidence, calls);
        driver.intrusion = intrusion(&disk);
        let driver = tokio::spawn(driver.run(received));
        let (contacts, names) = (Arc::new(contacts), Arc::default());
        let service = Service { network, id, disk, contacts, inputs: inputs.clone(), changes, names };
        tokio::spawn(service.run(listener, stop.clone()));
        Ok(Self { inputs, stop, driver, endpoint, metrics })
    }

    /// What it has counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// A handle for asking whether the client still runs.
    pub fn observer(&self) -> Observer {
        Observer(self.inputs.clone())
    }

    /// Finishes the round in hand, then stops; gives up after five seconds.
    pub async fn stop(self) {
        let (done, drained) = oneshot::channel();
        if self.inputs.send(Input::Stop(done)).await.is_ok() {
            let _given_up = tokio::time::timeout(DRAIN, drained).await;
        }
        self.stop.cancel();
        self.endpoint.close().await;
        let _ended = self.inputs.send(Input::End).await;
        let _ended = self.driver.await;
    }
}

/// Asks about a running client.
#[derive(Clone)]
pub struct Observer(mpsc::Sender<Input>);

impl Observer {
    /// Whether it runs: until [`Client::stop`], unless it broke.
    pub fn is_running(&self) -> bool {
        !self.0.is_closed()
    }
}
