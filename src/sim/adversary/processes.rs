//! The same attacks on networks of real processes: once each, and seen from outside.
//!
//! One party of a network of daemons on this machine is malicious: in its place runs `mixlab rogue`, the daemon's own driver
//! with the villain of the simulation between its engine and its links (`posing.rs`). What came of it is what operators and users
//! see: `status`, evidence files that `mixnode verify-evidence` judges in a process of its own, verdicts, inboxes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::config::Home;
use crate::control::{Answer, Ask, Stream};
use crate::sim::chaos::{Ledger, Network, Offer, Setting, User, Verdict};
use crate::testnet::{Options, Programs, ready, status};

use super::behaviour::{self, Behaviour};
use super::journal::{Journal, Said};
use super::{AdversaryRow, trial};

/// Seconds of a round: short, for many rounds, and long enough for two busy cores.
pub(in crate::sim) const ROUND: f64 = 0.5;
/// The shortest payload there is.
const PAYLOAD: u64 = 256;
/// How long the villain may take to do what it is there for, once the network runs.
const ACTING: Duration = Duration::from_secs(30);
/// How long it goes on then: a few rounds.
const ATTACK: Duration = Duration::from_secs(4);
/// How long it takes at most to find out whose fault a burnt round is.
const BLAME: Duration = Duration::from_secs(20);
/// How long after it everything accepted must have arrived: rounds that wait for their time-out, and a few resends.
const AFTER: Duration = Duration::from_secs(120);
/// Rounds after which nothing comes twice any more.
const QUIET_ROUNDS: f64 = 6.0;
/// How often everybody is looked at.
const LOOK: Duration = Duration::from_millis(400);
/// A program that takes longer has something else to do.
const ANSWER: Duration = Duration::from_secs(10);

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
        let places = Arc::new(Semaphore::new(self.parallel.max(1)));
        let mut running = JoinSet::new();
        for (behaviour, place) in behaviour::tries(&self.behaviours, self.mixes) {
            if self.position.is_some_and(|position| position != place + 1) {
                continue;
            }
            let (setup, places) = (self.clone(), places.clone());
            running.spawn(async move {
                let _place = places.acquire_owned().await.expect("nobody closes it");
                let began = Instant::now();
                let mut row = AdversaryRow::new(behaviour, place + 1);
                row.processes = true;
                let dir = setup.dir.join(format!("{}-{}", behaviour.name, place + 1));
                let seen = match Trial::start(&setup, behaviour, place, &dir).await {
                    Ok(trial) => trial.run().await,
                    Err(error) => Seen { failures: vec![error.to_string()], ..Seen::default() },
                };
                row.failures = seen.failures;
                row.unknown = seen.unknown;
                row.restarted = seen.restarted;
                row.add(setup.seed, &seen.verdict);
                row.seconds = began.elapsed().as_secs_f64();
                if row.is_sound() {
                    // What cannot be removed is the system's to clean.
                    let _ = std::fs::remove_dir_all(&dir);
                }
                row
            });
        }
        let mut rows = Vec::new();
        while let Some(ended) = running.join_next().await {
            if let Ok(row) = ended {
                show(&row);
                rows.push(row);
            }
        }
        rows.sort_by_key(AdversaryRow::order);
        rows
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
    network: Network,
    users: Vec<User>,
    ledger: Arc<Mutex<Ledger>>,
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
    ) -> Result<Self, crate::testnet::TestnetError> {
        // What an earlier run left.
        let _ = std::fs::remove_dir_all(dir);
        let by_client = behaviour.is_a_clients();
        let honest = 4;
        let options = Options {
            mixes: setup.mixes,
            clients: honest + usize::from(by_client),
            payload: PAYLOAD,
            packets_per_client: if by_client { 2 } else { 1 },
            round_seconds: Some(ROUND),
            submit_seconds: None,
            mix_delay_ms: (0, 20),
            base_port: None,
        };
        let villain = if by_client { setup.mixes + honest } else { place };
        let name = if by_client { format!("client-{}", honest + 1) } else { format!("mix-{}", place + 1) };
        let home = dir.join(name);
        let words = ["rogue", "--home", &home.display().to_string(), "--behaviour", behaviour.name]
            .map(str::to_owned)
            .into_iter()
            .chain([
                "--position".into(),
                (place + 1).to_string(),
                "--seed".into(),
                setup.seed.to_string(),
                "--".into(),
            ]);
        let wrapper = [setup.rogue.display().to_string()].into_iter().chain(words).collect();
        let setting = Setting {
            threshold: behaviour.fewer_open.then(|| (setup.mixes as u64 - 1).max(2)),
            wrappers: BTreeMap::from([(villain, wrapper)]),
            ..Setting::default()
        };
        // Ports follow from the seed; rows beside each other must not look for the same.
        let ports = setup.seed.wrapping_add(behaviour::number(behaviour) * 7 + place as u64);
        let network = Network::start(dir, &options, &setup.programs, ports, &setting).await?;
        let ledger = Arc::<Mutex<Ledger>>::default();
        let names = Arc::new(network.layout.clients.iter().map(|home| home.id.clone()).collect::<Vec<_>>());
        let user = |place: usize| {
            let control = network.layout.clients[place].control.clone();
            User::passive(place, control, names.clone(), &network.layout.network, ledger.clone())
        };
        let users = (0..honest).map(user).collect();
        let (mixnode, seen, ended) = (setup.programs.mixnode.clone(), Seen::default(), BTreeMap::new());
        Ok(Self { behaviour, villain, network, users, ledger, mixnode, ended, seen })
    }

    async fn run(mut self) -> Seen {
        if let Err(error) = self.attack().await {
            self.seen.failures.push(error);
        }
        let said = self.network.stop().await;
        self.seen.failures.extend(said);
        self.seen
    }

    async fn attack(&mut self) -> Result<(), String> {
        if !self.behaviour.begins_early() {
            ready(&self.network.layout).await.map_err(|error| error.to_string())?;
        }
        for (place, user) in self.users.iter().enumerate() {
            let next = &self.users[(place + 1) % self.users.len()].name;
            let data = vec![place as u8; 40];
            let parcel = user.parcel(next.clone(), true, None, &data);
            let until = Instant::now() + ACTING;
            while user.offer(parcel.clone(), &data).await != Offer::Accepted {
                if Instant::now() > until {
                    return Err(format!("{} takes no message", user.name));
                }
                sleep(LOOK).await;
            }
        }
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
        // The machine is taken back: its own daemon starts from what is on its disk.
        let party = &mut self.network.parties[self.villain];
        party.kill().await;
        party.give_back();
        party.start(0).map_err(|error| error.to_string())?;
        self.settle().await;
        self.judge_names().await;
        self.judge();
        Ok(())
    }

    fn said(&self) -> Said {
        Journal::read(&self.network.parties[self.villain].home.dir)
    }

    fn honest_mixes(&self) -> impl Iterator<Item = &Home> {
        let villain = self.villain;
        self.network.layout.mixes.iter().enumerate().filter(move |(place, _)| *place != villain).map(|(_, home)| home)
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
        match self.network.look_for_dead() {
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
        while !go_on(&self.network, &self.users, &self.ledger, &[Ask::Resume]).await {
            if Instant::now() > until {
                self.seen.failures.push(format!("after {} s messages are missing", AFTER.as_secs()));
                break;
            }
            if patience.take_if(|until| Instant::now() > *until).is_some() {
                self.seen.restarted = true;
                for place in 0..self.network.layout.mixes.len() {
                    let mix = &mut self.network.parties[place];
                    mix.kill().await;
                    self.seen.failures.extend(mix.start(0).err().map(|error| error.to_string()));
                }
            }
            self.look().await;
        }
        let verdict = compare(&self.users, &self.ledger).await;
        self.look().await;
        self.seen.verdict.delivered = verdict.is_good() && verdict.delivered == self.users.len() as u64;
    }

    /// Whom honest mixes name: in evidence that another process verifies, and in `status`.
    async fn judge_names(&mut self) {
        let culprit = self.network.parties[self.villain].home.id.clone();
        let mut by_all = true;
        for home in self.honest_mixes().cloned().collect::<Vec<_>>() {
            let mut named = self.proven(&home).await;
            let status = status(&home.control).await.unwrap_or_default();
            let evicted = status["evicted"].as_array().into_iter().flatten();
            named.extend(evicted.filter_map(Value::as_str).map(str::to_owned));
            by_all &= named.contains(&culprit);
            self.seen.verdict.honest_named |= named.iter().any(|name| *name != culprit);
        }
        let honest = self.users.iter().zip(self.network.layout.clients.clone());
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

/// Operators tell their mixes `what`, users look at their inboxes and send again what is held; whether all that was accepted has
/// arrived.
pub(in crate::sim) async fn go_on(network: &Network, users: &[User], ledger: &Mutex<Ledger>, what: &[Ask]) -> bool {
    for home in &network.layout.mixes {
        for ask in what {
            tell(&home.control, ask).await;
        }
    }
    let mut done = true;
    for user in users {
        let held = user.retry().await;
        done &= user.is_done().await && user.look().await && held.is_some_and(|held| held.is_empty());
    }
    done && ledger.lock().unwrap_or_else(PoisonError::into_inner).missing() == 0
}

/// What every inbox shows in the end, against what was accepted.
pub(in crate::sim) async fn compare(users: &[User], ledger: &Mutex<Ledger>) -> Verdict {
    sleep(Duration::from_secs_f64(ROUND * QUIET_ROUNDS)).await;
    let mut all = Vec::new();
    for user in users {
        all.extend(user.list(true).await.unwrap_or_default());
    }
    let ledger = std::mem::take(&mut *ledger.lock().unwrap_or_else(PoisonError::into_inner));
    ledger.judge(Vec::new(), all, &Default::default())
}

/// The operator of a mix has acted.
pub(in crate::sim) async fn tell(control: &Path, what: &Ask) {
    let asked = async {
        let mut daemon = Stream::connect(control).await.ok()?;
        daemon.send(what).await.ok()?;
        daemon.receive::<Answer>().await.ok()
    };
    // Who does not answer is asked again.
    let _ = timeout(ANSWER, asked).await;
}

/// Whom a file proves guilty, as `mixnode verify-evidence` says in a process that knows nothing else.
async fn verify(mixnode: &Path, file: &Path, network: &Path) -> Option<String> {
    let mut command = Command::new(mixnode);
    command.arg("verify-evidence").arg(file).arg("--network").arg(network).arg("--json").kill_on_drop(true);
    let output = timeout(ANSWER, command.output()).await.ok()?.ok()?;
    let said: Value = serde_json::from_slice(&output.stdout).ok()?;
    (output.status.success() && said["proven"] == true).then(|| said["name"].as_str().map(str::to_owned))?
}
