//! The same attacks on networks of real processes: once each, and seen from outside.
//!
//! One party of a network of daemons on this machine is malicious: in its place runs `mixlab rogue`, the daemon's own driver
//! with the villain of the simulation between its engine and its links (`posing.rs`). What came of it is what operators and users
//! see: `status`, evidence files that `mixnode verify-evidence` judges in a process of its own, verdicts, inboxes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::config::Home;
use crate::control::Ask;
use crate::sim::parallel;
use crate::sim::village::{self, ANSWER, LOOK, Setup, Village};
use crate::testnet::{Programs, TestnetError, ready, status};

use super::behaviour::{self, Behaviour};
use super::journal::{Journal, Said};
use super::{AdversaryRow, trial};

/// Clients with users.
const HONEST: usize = 4;
/// How long the villain may take to do what it is there for, once the network runs.
const ACTING: Duration = Duration::from_secs(30);
/// How long it goes on then: a few rounds.
const ATTACK: Duration = Duration::from_secs(4);
/// How long it takes at most to find out whose fault a burnt round is.
const BLAME: Duration = Duration::from_secs(20);
/// How long after it everything accepted must have arrived: rounds that wait for their time-out, and a few resends.
const AFTER: Duration = Duration::from_secs(120);
/// An experiment with attacks on real processes.
#[derive(Clone, Debug)]
pub struct AdversaryProcesses {
    /// The daemons.
    pub programs: Programs,
    /// `mixlab`, or another program that runs a [`super::Posing`] when its first argument is `rogue`.
    pub rogue: PathBuf,
    /// Where the networks lie; one that shows nothing bad is deleted.
    pub dir: PathBuf,
    /// Everything random in what villains do follows from it.
    pub seed: u64,
    /// Networks at a time.
    pub parallel: usize,
    /// L.
    pub mixes: usize,
    /// The behaviours to try, by name; all if empty.
    pub behaviours: Vec<String>,
    /// Only where the villain has this position, from 1.
    pub position: Option<usize>,
}

impl AdversaryProcesses {
    /// Runs it in the present tokio runtime; each row is told as it ends. Every wait is bounded: a row takes four minutes at most.
    /// Dropped, it kills every process.
    pub async fn run(&self, show: impl Fn(&AdversaryRow)) -> Vec<AdversaryRow> {
        let here = |place: usize| self.position.is_none_or(|position| position == place + 1);
        let tries = behaviour::tries(&self.behaviours, self.mixes).filter(|(_, place)| here(*place));
        let trials = tries.map(|(behaviour, place)| self.clone().try_once(behaviour, place));
        let mut rows = parallel::tasks(self.parallel, trials, show).await;
        rows.sort_by_key(AdversaryRow::order);
        rows
    }

    async fn try_once(self, behaviour: &'static Behaviour, place: usize) -> AdversaryRow {
        let began = Instant::now();
        let mut row = AdversaryRow::new(behaviour, place + 1);
        row.processes = true;
        let dir = self.dir.join(format!("{}-{}", behaviour.name, place + 1));
        let seen = match Trial::start(&self, behaviour, place, &dir).await {
            Ok(trial) => trial.run().await,
            Err(error) => Seen { failures: vec![error.to_string()], ..Seen::default() },
        };
        row.failures = seen.failures;
        row.unknown = seen.unknown;
        row.restarted = seen.restarted;
        row.add(self.seed, &seen.verdict);
        row.seconds = began.elapsed().as_secs_f64();
        if row.is_sound() {
            // What cannot be removed is the system's to clean.
            let _ = std::fs::remove_dir_all(&dir);
        }
        row
    }
}

/// What was seen of a network.
#[derive(Default)]
struct Seen {
    verdict: trial::Verdict,
    /// Why it is not known whether a touched round could be opened.
    unknown: Option<String>,
    /// Whether operators had to start their mixes again.
    restarted: bool,
    failures: Vec<String>,
}

/// A running network with a villain in it.
struct Trial {
    behaviour: &'static Behaviour,
    /// The villain, as the network's processes are numbered: mixes first.
    villain: usize,
    village: Village,
    mixnode: PathBuf,
    /// How rounds have ended, as honest mixes say.
    ended: BTreeMap<u64, String>,
    seen: Seen,
}

impl Trial {
    async fn start(
        setup: &AdversaryProcesses,
        behaviour: &'static Behaviour,
        place: usize,
        dir: &Path,
    ) -> Result<Self, TestnetError> {
        let by_client = behaviour.is_a_clients();
        let villain = if by_client { setup.mixes + HONEST } else { place };
        let home = if by_client { format!("client-{}", HONEST + 1) } else { format!("mix-{}", place + 1) };
        let (position, seed) = ((place + 1).to_string(), setup.seed.to_string());
        let words = ["--behaviour", behaviour.name, "--position", &position, "--seed", &seed];
        let wrapper = village::rogue(&setup.rogue, &dir.join(home), words);
        let village = Setup {
            dir,
            programs: &setup.programs,
            mixes: setup.mixes,
            honest: HONEST,
            others: by_client.into(),
            packets_per_client: if by_client { 2 } else { 1 },
            seed: setup.seed.wrapping_add(behaviour::number(behaviour) * 7 + place as u64),
            threshold: behaviour.fewer_open.then(|| (setup.mixes as u64 - 1).max(2)),
            wrappers: BTreeMap::from([(villain, wrapper)]),
        };
        let (mixnode, seen, ended) = (setup.programs.mixnode.clone(), Seen::default(), BTreeMap::new());
        Ok(Self { behaviour, villain, village: Village::start(village).await?, mixnode, ended, seen })
    }

    async fn run(mut self) -> Seen {
        if let Err(error) = self.attack().await {
            self.seen.failures.push(error);
        }
        let said = self.village.network.stop().await;
        self.seen.failures.extend(said);
        self.seen
    }

    async fn attack(&mut self) -> Result<(), String> {
        if !self.behaviour.begins_early() {
            ready(&self.village.network.layout).await.map_err(|error| error.to_string())?;
        }
        self.village.write(ACTING, |place| vec![place; 40]).await?;
        let until = Instant::now() + ACTING;
        while !self.said().acted && Instant::now() < until {
            self.look().await;
        }
        let until = Instant::now() + ATTACK;
        while Instant::now() < until {
            self.look().await;
        }
        // Whoever is accused answers.
        let until = Instant::now() + BLAME;
        while self.look().await && Instant::now() < until {}
        self.judge_names().await;
        self.village.take_back(self.villain).await?;
        self.settle().await;
        self.judge_names().await;
        self.judge();
        Ok(())
    }

    fn said(&self) -> Said {
        Journal::read(&self.village.network.parties[self.villain].home.dir)
    }

    fn honest_mixes(&self) -> impl Iterator<Item = &Home> {
        let villain = self.villain;
        self.village
            .network
            .layout
            .mixes
            .iter()
            .enumerate()
            .filter(move |(place, _)| *place != villain)
            .map(|(_, home)| home)
    }

    /// Looks how rounds have ended; whether an honest mix burns one. Takes a moment.
    async fn look(&mut self) -> bool {
        sleep(LOOK).await;
        let mut burns = false;
        let homes: Vec<_> = self.honest_mixes().cloned().collect();
        for home in homes {
            let Some(status) = status(&home.control).await else { continue };
            burns |= status["burning"].as_u64().is_some_and(|burning| burning > 0);
            for round in status["recent"].as_array().into_iter().flatten() {
                if let (Some(number), Some(result)) = (round["round"].as_u64(), round["result"].as_str()) {
                    self.ended.insert(number, result.into());
                }
            }
        }
        match self.village.network.look_for_dead() {
            Ok(died) => self.seen.failures.extend(died),
            Err(error) => self.seen.failures.push(error.to_string()),
        }
        burns
    }

    /// Operators let the network go on, users read and send again what is held, until everything has arrived.
    async fn settle(&mut self) {
        let until = Instant::now() + AFTER;
        // Where fewer than all open a round, a mix that has not heard a confirm signs no verdict of it before it has restarted.
        let mut patience = Some(until - AFTER / 2);
        while !self.village.go_on(&[Ask::Resume]).await {
            if Instant::now() > until {
                self.seen.failures.push(format!("after {} s messages are missing", AFTER.as_secs()));
                break;
            }
            if patience.take_if(|until| Instant::now() > *until).is_some() {
                self.seen.restarted = true;
                for place in 0..self.village.network.layout.mixes.len() {
                    let mix = &mut self.village.network.parties[place];
                    mix.kill().await;
                    self.seen.failures.extend(mix.start(0).err().map(|error| error.to_string()));
                }
            }
            self.look().await;
        }
        let verdict = self.village.compare().await;
        self.look().await;
        self.seen.verdict.delivered = verdict.is_good() && verdict.delivered == self.village.users.len() as u64;
    }

    /// Whom honest mixes name: in evidence that another process verifies, and in `status`.
    async fn judge_names(&mut self) {
        let culprit = self.village.network.parties[self.villain].home.id.clone();
        let mut by_all = true;
        for home in self.honest_mixes().cloned().collect::<Vec<_>>() {
            let mut named = self.proven(&home).await;
            let status = status(&home.control).await.unwrap_or_default();
            let evicted = status["evicted"].as_array().into_iter().flatten();
            named.extend(evicted.filter_map(Value::as_str).map(str::to_owned));
            by_all &= named.contains(&culprit);
            self.seen.verdict.honest_named |= named.iter().any(|name| *name != culprit);
        }
        let honest = self.village.users.iter().zip(self.village.network.layout.clients.clone());
        for home in honest.map(|(_, home)| home).collect::<Vec<_>>() {
            let named = self.proven(&home).await;
            by_all |= named.contains(&culprit);
            self.seen.verdict.honest_named |= named.iter().any(|name| *name != culprit);
        }
        self.seen.verdict.culprit_named = by_all;
    }

    /// Whom the evidence files in a home prove guilty.
    async fn proven(&mut self, home: &Home) -> Vec<String> {
        let mut named = Vec::new();
        for file in std::fs::read_dir(home.dir.join("evidence")).into_iter().flatten().flatten() {
            let path = file.path();
            match verify(&self.mixnode, &path, &home.dir.join("network.yaml")).await {
                Some(name) => named.push(name),
                None => self.seen.failures.push(format!("{} proves nothing", path.display())),
            }
        }
        named
    }

    /// What the villain has done, and how the rounds in which it touched a packet have ended.
    fn judge(&mut self) {
        let said = self.said();
        let verdict = &mut self.seen.verdict;
        verdict.acted = said.acted;
        verdict.touched = !said.touched.is_empty();
        verdict.leaked = said.loot.then_some("loot");
        // Whoever touches packets is not the exit, so that a verdict is an honest exit's word: a stored round was opened, and one that
        // it has aborted it has not. Of any other only a witness inside could tell.
        let ended = |round: &u64| self.ended.get(round).map_or("unknown", String::as_str);
        verdict.released = said.taken.iter().any(|round| ended(round) == "stored");
        let open: Vec<_> = said.taken.iter().filter(|round| !matches!(ended(round), "stored" | "aborted")).collect();
        if !open.is_empty() && !verdict.released {
            let words = open.iter().map(|round| format!("{round} {}", ended(round)));
            let words = words.collect::<Vec<_>>().join(", ");
            self.seen.unknown = Some(format!("touched rounds whose end does not tell: {words}"));
        }
    }
}

/// Whom a file proves guilty, as `mixnode verify-evidence` says in a process that knows nothing else.
async fn verify(mixnode: &Path, file: &Path, network: &Path) -> Option<String> {
    let mut command = Command::new(mixnode);
    command.arg("verify-evidence").arg(file).arg("--network").arg(network).arg("--json").kill_on_drop(true);
    let output = timeout(ANSWER, command.output()).await.ok()?.ok()?;
    let said: Value = serde_json::from_slice(&output.stdout).ok()?;
    (output.status.success() && said["proven"] == true).then(|| said["name"].as_str().map(str::to_owned))?
}
