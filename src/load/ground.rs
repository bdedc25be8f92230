//! The network that is measured: one of its own, as child processes on loopback, or one that runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::config::{ClientLine, Home, Loading, MailboxLine, MixLine, NetworkFile, Role, replace};
use crate::crypto::{from_hex, os_csprng, to_hex};
use crate::testnet::{Children, Layout, PortOf, Programs, free_ports, status};
use crate::wire::Network;

use super::crew::secrets;
use super::{Crew, LoadError};

/// What network is wanted.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Mixes.
    pub mixes: usize,
    /// Clients.
    pub clients: usize,
    /// User bytes in a packet.
    pub payload: u64,
    /// Packets of each client in each round.
    pub packets_per_client: u64,
    /// Rounds that will be run.
    pub rounds: u64,
    /// Seconds from the start of one round to the next; 0: back to back.
    pub round_seconds: f64,
    /// Letters in a poll answer.
    pub poll_letters: u64,
    /// Whether rounds are sealed.
    pub sealed: bool,
    /// The largest datagram that is tried; `None`: what is usual.
    pub mtu: Option<u16>,
}

/// A network that is there to be measured.
pub struct Ground {
    network: Arc<Network>,
    /// What the mixes' homes are in, if they are on this machine.
    dir: PathBuf,
    seed: Option<[u8; 32]>,
    metrics: Vec<SocketAddr>,
    children: Option<Children>,
    pids: BTreeMap<String, u32>,
}

/// The file beside a network file from whose seed the keys of all clients follow.
const SEED_NAME: &str = "load.seed";
/// Rounds of an epoch beyond those that will be run, so that none has to be made while they run.
const SPARE_ROUNDS: u64 = 24;
/// Between two looks whether everybody is there.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long mixes may take to answer at their sockets: a roster of thousands has to be read.
const PATIENCE: Duration = Duration::from_secs(60);
/// In which everybody has to submit back to back, and what patience of the mixes is a multiple of: building a million
/// packets ahead takes minutes.
const BACK_TO_BACK_SUBMIT_SECONDS: f64 = 120.0;

impl Ground {
    /// Makes a network of `shape` in `dir` and starts its mixes.
    ///
    /// # Errors
    /// If the shape is out of range, or a mix does not start.
    pub async fn start(dir: &Path, shape: &Shape) -> Result<Self, LoadError> {
        let programs = Programs::neighbours()?;
        let homes = (1..=shape.mixes).map(|number| {
            let id = format!("mix-{number}");
            Ok(Home::init(&dir.join(&id), Role::Mix, &id, None)?)
        });
        let homes: Vec<Home> = homes.collect::<Result<_, LoadError>>()?;
        let metrics = free_ports(PortOf::Metrics, shape.mixes).map_err(LoadError::io("find free ports"))?;
        for (home, metrics) in homes.iter().zip(&metrics) {
            let mtu = shape.mtu.map(|mtu| format!("mtu: {mtu}\n")).unwrap_or_default();
            let settings = format!("id: {}\nmetrics: {metrics}\n{mtu}", home.id);
            replace(&home.dir.join("config.yaml"), 0o600, settings.as_bytes())?;
        }
        let mut seed = [0; 32];
        os_csprng().fill_bytes(&mut seed);
        let path = dir.join("network.yaml");
        let file = NetworkFile::parse(&shape.file(&homes, &seed)?.to_yaml(), &path)?;
        replace(&path, 0o644, file.to_yaml().as_bytes())?;
        replace(&dir.join(SEED_NAME), 0o600, to_hex(&seed).as_bytes())?;
        let network = complete(&file)?;
        let layout = Layout { dir: dir.into(), network: file, mixes: homes, clients: Vec::new() };
        let mut children = Children::start(&layout, &programs)?;
        let began = Instant::now();
        while layout.mixes.iter().any(|home| !home.control.exists()) {
            tokio::select! {
                ended = children.next_death() => return Err(children.obituary(ended?).into()),
                () = sleep(LOOK_AGAIN) => {}
            }
            if began.elapsed() > PATIENCE {
                return Err(LoadError::Start(format!("no answer from all mixes in {} s", PATIENCE.as_secs())));
            }
        }
        let pids = children.pids().clone();
        let (dir, seed, children) = (dir.into(), Some(seed), Some(children));
        Ok(Self { network, dir, seed, metrics, children, pids })
    }

    /// The running network of a network file.
    ///
    /// # Errors
    /// If the file cannot be used, or keys are missing.
    pub fn at(path: &Path) -> Result<Self, LoadError> {
        let network = complete(&NetworkFile::read(path)?)?;
        let dir = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let seed = std::fs::read_to_string(dir.join(SEED_NAME)).ok().and_then(|text| from_hex(text.trim()));
        let pids = std::fs::read(dir.join("pids.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let (metrics, pids) = (Vec::new(), pids.unwrap_or_default());
        Ok(Self { network, dir, seed, metrics, children: None, pids })
    }

    /// The first `count` of its clients, whose homes are in `homes` unless this is a network of [`Ground::start`].
    ///
    /// # Errors
    /// If their keys are not there.
    pub fn crew(&self, homes: Option<&Path>, count: usize) -> Result<Crew, LoadError> {
        match (homes, &self.seed) {
            (None, Some(seed)) => {
                let all = self.network.roster.clients.len();
                Crew::new(self.network.clone(), secrets(seed, all.min(count)))
            }
            (homes, _) => Crew::at_home(self.network.clone(), homes.unwrap_or(&self.dir), count),
        }
    }

    /// The network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Whether nobody uses it but those who started it, each with a part of the clients: it waits for all of them.
    pub fn is_own(&self) -> bool {
        self.seed.is_some()
    }

    /// When the last round opened at the entry and when it was decided on the exit's disk, as both say in their metrics,
    /// in seconds of one clock; only of a network of its own, between two rounds.
    pub(super) async fn last_round(&self) -> Option<(f64, f64)> {
        let began = metric(self.metrics.first()?, "mixnet_round_began_timestamp_seconds").await?;
        let ended = metric(self.metrics.last()?, "mixnet_round_ended_timestamp_seconds").await?;
        Some((began, ended))
    }

    /// The process of each mix, in cascade order, where it is known.
    pub(super) fn pids(&self) -> Vec<Option<u32>> {
        self.network.roster.mixes.iter().map(|mix| self.pids.get(&mix.id).copied()).collect()
    }

    /// What each mix says of itself, in cascade order, where it is on this machine.
    pub(super) async fn statuses(&self) -> Vec<Option<Value>> {
        let mut statuses = Vec::new();
        for mix in &self.network.roster.mixes {
            statuses.push(status(&self.dir.join(&mix.id).join("control.sock")).await);
        }
        statuses
    }

    /// Waits until no client is connected to the exit any more, a minute at most: other processes may play parts, too.
    pub async fn deserted(&self) {
        let began = Instant::now();
        while self.children.is_some() && began.elapsed() < PATIENCE {
            let exit = self.statuses().await.pop().flatten();
            if exit.is_none_or(|exit| exit["clients"]["connected"] == 0) {
                return;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Stops the mixes, if they are its own.
    pub async fn stop(self) {
        if let Some(children) = self.children {
            children.stop().await;
        }
    }
}

impl Shape {
    fn file(&self, homes: &[Home], seed: &[u8; 32]) -> Result<NetworkFile, LoadError> {
        let mut file = NetworkFile::testnet();
        file.network = "load".into();
        // A round without anybody is a round whose loss is not the network's.
        (file.start_clients, file.min_clients, file.min_share) = (Some(self.clients as u64), 2, 1.0);
        file.round_seconds = self.round_seconds;
        file.submit_seconds = (self.round_seconds == 0.0).then_some(BACK_TO_BACK_SUBMIT_SECONDS);
        file.mix_delay_ms = (0, 0);
        file.payload = self.payload;
        file.packets_per_client = self.packets_per_client;
        // And all noise of the round, should one mailbox get it.
        let places = self.poll_letters + (self.mixes as u64 - 1) * file.noise_packets;
        file.poll_letters = Some(places);
        file.mailbox_letters = file.mailbox_letters.max(places * 16);
        file.epoch_rounds = (self.rounds + SPARE_ROUNDS).min(crate::wire::MAX_EPOCH_ROUNDS.into());
        file.sealed = self.sealed;
        let addresses = free_ports(PortOf::Mix, self.mixes).map_err(LoadError::io("find free UDP ports"))?;
        file.mixes = Vec::new();
        for (home, address) in homes.iter().zip(addresses) {
            let identity = Some(home.mix_secrets()?.identity.identity());
            file.mixes.push(MixLine { id: home.id.clone(), address: address.to_string(), identity });
        }
        let id = file.id();
        let clients = secrets(seed, self.clients);
        let line = |(number, secrets): (usize, &crate::config::ClientSecrets)| ClientLine {
            id: format!("client-{number}"),
            identity: Some(secrets.identity.identity()),
            list_key: Some(secrets.list.public_key()),
            address: None,
        };
        file.clients = (1..).zip(&clients).map(line).collect();
        let mailboxes = clients.iter().map(|secrets| secrets.mailbox(&id));
        file.mailboxes =
            Some(mailboxes.map(|entry| MailboxLine { id: entry.id, letter_key: entry.letter_key }).collect());
        Ok(file)
    }
}

fn complete(file: &NetworkFile) -> Result<Arc<Network>, LoadError> {
    match file.load()? {
        Loading::Complete(network) => Ok(Arc::new(network)),
        Loading::Missing(missing) => Err(LoadError::Options(missing.to_string())),
    }
}

/// What the metrics at `address` say under `name`.
async fn metric(address: &SocketAddr, name: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok()?;
    let mut text = String::new();
    stream.take(MOST_METRICS).read_to_string(&mut text).await.ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// No mix has more to say.
const MOST_METRICS: u64 = 1 << 20;
