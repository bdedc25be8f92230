//! A measurement: everybody connects, packets are built, rounds run, letters are checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::MixSecrets;
use crate::net::{Endpoint, EndpointConfig, Limits};
use crate::wire::{MixEntry, Parameters};

use super::documents::Documents;
use super::game::Game;
use super::process::{Usage, Watch, usage};
use super::report::{Hop, Report};
use super::stock::Stock;
use super::voice::{HANDSHAKES, Voice};
use super::{Crew, Ground, LoadError, Traffic};

/// What is to be done with a network.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rounds that count.
    pub rounds: u64,
    /// Rounds before them, in which clients take part as well: connections that all begin at once find out how long their paths are.
    pub warm_up: u64,
    /// Bytes of each message, at most the network's payload.
    pub bytes: usize,
    /// Connections of [`run`] to each of the two mixes; one for each client by default.
    pub connections: Option<usize>,
    /// Who writes to whom.
    pub traffic: Traffic,
    /// Whether submissions are spread over the first half of the time in which the entry takes them; else everybody submits
    /// with the ticket.
    pub spread: bool,
}

/// Where a measurement stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Clients connect and register.
    Connect,
    /// Packets are built.
    Build,
    /// Rounds run; counted are letters.
    Run,
    /// Letters are opened.
    Check,
}

/// How far a stage is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Which.
    pub stage: Stage,
    /// What is done of it.
    pub done: u64,
    /// What there is to do.
    pub of: u64,
}

/// Clients that are connected and registered, ready for any number of measurements, one after the other.
pub struct Party {
    crew: Arc<Crew>,
    connections: usize,
    voices: Vec<[Voice; 2]>,
    documents: Arc<Documents>,
    /// Behind which letter each client polls.
    cursors: Arc<[AtomicU64]>,
    /// The next round.
    next: u64,
    /// Connections last as long as their endpoint.
    endpoint: Endpoint,
}

/// Is told how far a measurement is.
pub type Tell = Arc<dyn Fn(Progress) + Send + Sync>;

/// Plays `crew` on `ground`, once, and tells how far it is.
///
/// # Errors
/// As [`Party::gather`] and [`Party::play`].
pub async fn run(ground: &Ground, crew: Crew, options: &Options, tell: &Tell) -> Result<Report, LoadError> {
    let mut party = Party::gather(crew, options.connections, tell).await?;
    let report = party.play(ground, options, tell).await;
    party.leave().await;
    report
}

impl Party {
    /// Connects and registers everybody, over a connection each or over so many together.
    ///
    /// # Errors
    /// If the network cannot be reached or does not start.
    pub async fn gather(crew: Crew, connections: Option<usize>, tell: &Tell) -> Result<Self, LoadError> {
        let crew = Arc::new(crew);
        let connections = connections.unwrap_or(crew.len()).clamp(1, crew.len().max(1));
        let (endpoint, voices) = connect(&crew, connections, tell).await?;
        let (documents, next) = register(&crew, &voices).await?;
        let cursors = (0..crew.len()).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { crew, connections, voices, documents: Arc::new(documents), cursors, next, endpoint })
    }

    /// Everybody goes, and says so.
    pub async fn leave(self) {
        self.endpoint.close().await;
    }

    /// Builds packets, runs rounds, opens letters.
    ///
    /// # Errors
    /// If the options do not fit the network, or its keys are not known. What goes wrong while rounds run is counted in the report.
    pub async fn play(&mut self, ground: &Ground, options: &Options, tell: &Tell) -> Result<Report, LoadError> {
        let crew = self.crew.clone();
        let parameters = &crew.network.parameters;
        if options.bytes > parameters.payload as usize {
            let text =
                format!("messages of {} bytes do not fit into the payload of {}", options.bytes, parameters.payload);
            return Err(LoadError::Options(text));
        }
        let stock = Stock::new(crew.clone(), options.traffic, options.bytes);
        let first = match ground.is_own() {
            true => self.next,
            false => self.next + lead(&stock, &self.documents, self.next, parameters)?,
        };
        let (documents, cursors) = (self.documents.clone(), self.cursors.clone());
        let game = Arc::new(Game::new(crew.clone(), options.clone(), stock, documents, cursors, first));
        self.next = first + options.warm_up + options.rounds;
        game.build_ahead(ground.is_own(), tell).await?;

        let watched = async || (Watch::begin(ground.pids()), Seen::of(ground).await);
        // With nothing before the rounds that count, looking must not wait until they are under way.
        let ((watch, before), ()) = match options.warm_up {
            0 => (watched().await, game.play(&self.voices, tell).await),
            _ => tokio::join!(
                async {
                    game.counting.notified().await;
                    watched().await
                },
                async {
                    game.play(&self.voices, tell).await;
                    // If it never came to that.
                    game.counting.notify_one();
                }
            ),
        };
        let own = usage(std::process::id()).unwrap_or_default();

        tell(Progress { stage: Stage::Check, done: 0, of: game.arrived() });
        game.complete(&self.voices).await;
        let after = Seen::of(ground).await;
        let mut report = game.report();
        let mixes = crew.network.roster.mixes.iter().enumerate();
        let hop = |(at, mix): (usize, &MixEntry)| {
            let used = used(before.mixes[at], after.mixes[at]);
            let packets = after.packets[at].zip(before.packets[at]).map(|(after, before)| after.saturating_sub(before));
            Hop {
                mix: mix.id.clone(),
                packets_per_s: packets.map(|packets| packets as f64 / report.seconds.max(1e-6)),
                cpu_s: used.map(|used| used.cpu_s),
                rss_kb: used.map(|used| used.peak_kb),
                anon_kb: watch.highest(at),
            }
        };
        report.connections = self.connections;
        report.hop = mixes.map(hop).collect();
        report.load_cpu_s = own.cpu_s - before.own.cpu_s;
        report.load_rss_kb = own.peak_kb;
        Ok(report)
    }
}

/// What processes have used so far, and mixes taken in.
struct Seen {
    mixes: Vec<Option<Usage>>,
    packets: Vec<Option<u64>>,
    own: Usage,
}

impl Seen {
    async fn of(ground: &Ground) -> Self {
        let mixes = ground.pids().iter().map(|pid| pid.and_then(usage)).collect();
        let statuses = ground.statuses().await;
        let packets = statuses.into_iter().map(|status| status?["packets"]["in"].as_u64()).collect();
        Self { mixes, packets, own: usage(std::process::id()).unwrap_or_default() }
    }
}

fn used(before: Option<Usage>, after: Option<Usage>) -> Option<Usage> {
    let (before, after) = before.zip(after)?;
    Some(Usage { cpu_s: after.cpu_s - before.cpu_s, peak_kb: after.peak_kb })
}

/// Connects everybody to the entry and the exit; connections speak for as many clients each, or one more.
async fn connect(crew: &Arc<Crew>, connections: usize, tell: &Tell) -> Result<(Endpoint, Vec<[Voice; 2]>), LoadError> {
    let net = |source| LoadError::Net { who: "this program".into(), mix: "any mix".into(), source };
    let identity = Arc::new(MixSecrets::generate()?.identity);
    let config = EndpointConfig { listen: None, identity, admit: Arc::new(|_| false), limits: Limits::default() };
    let endpoint = Endpoint::bind(config).map_err(net)?;
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    let mut connecting = JoinSet::new();
    for first in 0..connections.min(crew.len()) {
        let (crew, endpoint, places) = (crew.clone(), endpoint.clone(), places.clone());
        connecting.spawn(async move {
            let (roster, network) = (&crew.network.roster, crew.network.id());
            let name = |place: usize| roster.clients[crew.members[place].index as usize].id.as_str();
            let who: Arc<str> = name(first).into();
            let key = &crew.members[first].identity;
            let (entry, exit) = (&roster.mixes[0], &roster.mixes[roster.mixes.len() - 1]);
            let entry = Voice::connect(&endpoint, entry, key, &who, &places).await?;
            let exit = Voice::connect(&endpoint, exit, key, &who, &places).await?;
            let mut voices = vec![(first, [entry.clone(), exit.clone()])];
            for place in (first + connections..crew.len()).step_by(connections) {
                let member = &crew.members[place];
                let attached = [
                    entry.attach(network, member.index, &member.identity).await?,
                    exit.attach(network, member.index, &member.identity).await?,
                ];
                voices.push((place, attached));
            }
            Ok::<_, LoadError>(voices)
        });
    }
    let mut voices = BTreeMap::new();
    while let Some(connected) = connecting.join_next().await {
        voices.extend(connected.map_err(|error| LoadError::Start(error.to_string()))??);
        tell(Progress { stage: Stage::Connect, done: voices.len() as u64, of: crew.len() as u64 });
    }
    Ok((endpoint, voices.into_values().collect()))
}

/// Registers everybody and waits for the start; the documents, and the next round.
async fn register(crew: &Arc<Crew>, voices: &[[Voice; 2]]) -> Result<(Documents, u64), LoadError> {
    let mut waiting = JoinSet::new();
    for [entry, _] in voices {
        let entry = entry.clone();
        waiting.spawn(async move {
            entry.register().await?;
            entry.start(0).await
        });
    }
    let documents = Documents::new(crew.clone());
    let mut next = 0;
    while let Some(started) = waiting.join_next().await {
        let start = started.map_err(|error| LoadError::Start(error.to_string()))??;
        documents.accept(&start.chain);
        next = next.max(start.round);
    }
    if documents.newest() == 0 {
        return Err(LoadError::Start("no epoch document is the network file's and signed by every mix".into()));
    }
    Ok((documents, next))
}

/// Rounds that a running network goes through until enough packets are built.
fn lead(stock: &Stock, documents: &Documents, next: u64, parameters: &Parameters) -> Result<u64, LoadError> {
    let document = documents.of_round(next).ok_or_else(|| LoadError::Start("the epoch is over".into()))?;
    let began = Instant::now();
    stock.build(&document, next)?;
    stock.forget_before(next + 1);
    let span = Duration::from_millis(parameters.span_ms().max(1).into());
    Ok(2 + (began.elapsed() * 2).as_millis().div_ceil(span.as_millis()) as u64)
}
