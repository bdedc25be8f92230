//! Kills in networks of real processes.
//!
//! The mixes are daemons that write into a journal what is about to leave them, and end with SIGKILL at the moment for which a trap
//! is set, so that each moment is hit however short it is. A malicious client makes some of the rounds burn; its operators let
//! it in again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::control::Ask;
use crate::crypto::Csprng;
use crate::sim::adversary::{Journal, ROUND, Watched, compare, go_on, tell};
use crate::sim::chaos::{Ledger, Network, Offer, Setting, User, Verdict};
use crate::testnet::{Options, Programs, TestnetError, ready, status};

use super::Trap;

/// Clients that send messages; one more makes rounds burn.
const HONEST: usize = 3;
/// How long a mix may take to come to the moment at which it dies.
const SPRINGS: Duration = Duration::from_secs(20);
/// How long it stays away.
const AWAY: Duration = Duration::from_millis(500);
/// How long rounds may take to go on when it is back.
const RECOVERY: Duration = Duration::from_secs(40);
/// How long after the last kill everything accepted must have arrived.
const AFTER: Duration = Duration::from_secs(120);
/// How often operators let the client in again.
const READMITTED: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(100);

/// Kills in networks of real processes.
#[derive(Clone, Debug)]
pub struct KillsProcesses {
    /// The daemons.
    pub programs: Programs,
    /// `mixlab`, which runs mixes that die at a moment.
    pub rogue: PathBuf,
    /// Where the networks lie; one that passes is deleted.
    pub dir: PathBuf,
    /// The first seed.
    pub seed: u64,
    /// Networks. In each every mix is killed once; so many as a mix has moments, before and after, kill it at each.
    pub seeds: u64,
    /// Networks at a time.
    pub parallel: usize,
    /// L.
    pub mixes: usize,
}

/// What one network came to.
#[derive(Default)]
struct Seen {
    verdict: Verdict,
    kills: Vec<Trap>,
    /// Traps at which a mix has not come in time.
    missed: Vec<Trap>,
    released: BTreeSet<u64>,
    published: BTreeSet<u64>,
    failures: Vec<String>,
}

impl KillsProcesses {
    /// Runs it in the present tokio runtime; what each seed came to is told as it ends, and all of it together is returned, with whether
    /// it is as it must be. Every wait is bounded: a seed takes seven minutes at most. Dropped, it kills every process.
    pub async fn run(&self, show: impl Fn(&Value)) -> (Value, bool) {
        let places = Arc::new(Semaphore::new(self.parallel.max(1)));
        let mut running = JoinSet::new();
        for seed in (0..self.seeds).map(|number| self.seed.wrapping_add(number)) {
            let (setup, places) = (self.clone(), places.clone());
            running.spawn(async move {
                let _place = places.acquire_owned().await.expect("nobody closes it");
                let dir = setup.dir.join(format!("seed-{seed}"));
                let seen = match Trial::start(&setup, seed, &dir).await {
                    Ok(trial) => trial.run().await,
                    Err(error) => Seen { failures: vec![error.to_string()], ..Seen::default() },
                };
                if seen.is_good() {
                    // What cannot be removed is the system's to clean.
                    let _ = std::fs::remove_dir_all(&dir);
                }
                (seed, seen)
            });
        }
        let mut all = Vec::new();
        while let Some(ended) = running.join_next().await {
            if let Ok((seed, seen)) = ended {
                show(&seen.json(seed));
                all.push((seed, seen));
            }
        }
        all.sort_by_key(|(seed, _)| *seed);
        let good = all.len() as u64 == self.seeds && all.iter().all(|(_, seen)| seen.is_good());
        (self.summary(&all), good && all.iter().any(|(_, seen)| !seen.kills.is_empty()))
    }

    fn summary(&self, all: &[(u64, Seen)]) -> Value {
        let sum = |count: &dyn Fn(&Seen) -> u64| all.iter().map(|(_, seen)| count(seen)).sum::<u64>();
        let mut kills = BTreeMap::<String, u64>::new();
        for trap in all.iter().flat_map(|(_, seen)| &seen.kills) {
            *kills.entry(word(trap)).or_default() += 1;
        }
        let never: Vec<String> =
            Trap::all(self.mixes).iter().map(word).filter(|trap| !kills.contains_key(trap)).collect();
        json!({
            "schema": 1,
            "seeds": all.len(),
            "kills": sum(&|seen| seen.kills.len() as u64),
            "missed": sum(&|seen| seen.missed.len() as u64),
            "kills_at": kills,
            "never_killed_at": never,
            "rounds_released": sum(&|seen| seen.released.len() as u64),
            "rounds_published": sum(&|seen| seen.published.len() as u64),
            "both": sum(&|seen| seen.both().len() as u64),
            "accepted": sum(&|seen| seen.verdict.accepted),
            "delivered": sum(&|seen| seen.verdict.delivered),
            "lost": sum(&|seen| seen.verdict.lost),
            "duplicated": sum(&|seen| seen.verdict.duplicated),
            "corrupted": sum(&|seen| seen.verdict.corrupted),
            "failed": all.iter().filter(|(_, seen)| !seen.is_good()).map(|(seed, seen)| seen.json(*seed)).collect::<Vec<_>>(),
        })
    }
}

fn word(trap: &Trap) -> String {
    format!("mix-{} {} {}", trap.mix + 1, if trap.after { "after" } else { "before" }, trap.moment.name())
}

impl Seen {
    /// Rounds of which a share was released and an onion key published, by whomever.
    fn both(&self) -> Vec<u64> {
        self.released.intersection(&self.published).copied().collect()
    }

    fn is_good(&self) -> bool {
        let all =
            self.verdict.is_good() && self.verdict.delivered == self.verdict.accepted && self.verdict.accepted > 0;
        all && self.both().is_empty() && self.failures.is_empty()
    }

    fn json(&self, seed: u64) -> Value {
        json!({
            "seed": seed,
            "kills": self.kills.iter().map(word).collect::<Vec<_>>(),
            "missed": self.missed.iter().map(word).collect::<Vec<_>>(),
            "rounds_released": self.released.len(),
            "rounds_published": self.published.len(),
            "both": self.both(),
            "accepted": self.verdict.accepted,
            "delivered": self.verdict.delivered,
            "failures": self.failures,
        })
    }
}

/// A running network.
struct Trial {
    traps: Vec<Trap>,
    network: Network,
    users: Vec<User>,
    ledger: Arc<Mutex<Ledger>>,
    readmitted: Instant,
    seen: Seen,
}

impl Trial {
    async fn start(setup: &KillsProcesses, seed: u64, dir: &Path) -> Result<Self, TestnetError> {
        // What an earlier run left.
        let _ = std::fs::remove_dir_all(dir);
        let options = Options {
            mixes: setup.mixes,
            clients: HONEST + 1,
            payload: 256,
            packets_per_client: 2,
            round_seconds: Some(ROUND),
            submit_seconds: None,
            mix_delay_ms: (0, 20),
            base_port: None,
        };
        let rogue = |home: String, more: &[&str]| {
            let words = [
                setup.rogue.display().to_string(),
                "rogue".into(),
                "--home".into(),
                dir.join(home).display().to_string(),
            ];
            words.into_iter().chain(more.iter().map(|word| (*word).to_owned())).chain(["--".into()]).collect()
        };
        let mut wrappers: BTreeMap<usize, Vec<String>> =
            (0..setup.mixes).map(|mix| (mix, rogue(format!("mix-{}", mix + 1), &[]))).collect();
        let villain = rogue(format!("client-{}", HONEST + 1), &["--behaviour", "false-commitment"]);
        wrappers.insert(setup.mixes + HONEST, villain);
        let setting = Setting { wrappers, ..Setting::default() };
        let network = Network::start(dir, &options, &setup.programs, seed, &setting).await?;
        let ledger = Arc::<Mutex<Ledger>>::default();
        let names = Arc::new(network.layout.clients.iter().map(|home| home.id.clone()).collect::<Vec<_>>());
        let user = |place: usize| {
            let control = network.layout.clients[place].control.clone();
            User::passive(place, control, names.clone(), &network.layout.network, ledger.clone())
        };
        let users = (0..HONEST).map(user).collect();
        Ok(Self {
            traps: draw(setup.mixes, seed),
            network,
            users,
            ledger,
            readmitted: Instant::now(),
            seen: Seen::default(),
        })
    }

    async fn run(mut self) -> Seen {
        if let Err(error) = self.go_through().await {
            self.seen.failures.push(error);
        }
        let said = self.network.stop().await;
        self.seen.failures.extend(said);
        self.seen
    }

    async fn go_through(&mut self) -> Result<(), String> {
        ready(&self.network.layout).await.map_err(|error| error.to_string())?;
        for (number, trap) in self.traps.clone().into_iter().enumerate() {
            self.write(number as u8).await;
            self.kill(trap).await?;
        }
        // From now on nothing burns.
        let party = &mut self.network.parties[self.network.layout.mixes.len() + HONEST];
        party.kill().await;
        party.give_back();
        party.start(0).map_err(|error| error.to_string())?;
        let until = Instant::now() + AFTER;
        while !go_on(&self.network, &self.users, &self.ledger, &[Ask::Resume, readmit()]).await {
            if Instant::now() > until {
                self.seen.failures.push(format!("after {} s messages are missing", AFTER.as_secs()));
                break;
            }
            sleep(LOOK).await;
        }
        self.seen.verdict = compare(&self.users, &self.ledger).await;
        for home in &self.network.layout.mixes {
            let said = Journal::read(&home.dir);
            self.seen.released.extend(said.released);
            self.seen.published.extend(said.published);
        }
        Ok(())
    }

    /// Everybody writes to the next.
    async fn write(&self, number: u8) {
        for (place, user) in self.users.iter().enumerate() {
            let next = self.users[(place + 1) % self.users.len()].name.clone();
            let data = [place as u8, number].repeat(20);
            let parcel = user.parcel(next, true, None, &data);
            let until = Instant::now() + RECOVERY;
            while user.offer(parcel.clone(), &data).await != Offer::Accepted && Instant::now() < until {
                sleep(LOOK).await;
            }
        }
    }

    /// A mix dies at its moment, comes back, and rounds go on.
    async fn kill(&mut self, trap: Trap) -> Result<(), String> {
        let home = self.network.layout.mixes[trap.mix].dir.clone();
        Watched::set_trap(&home, trap).map_err(|error| error.to_string())?;
        let until = Instant::now() + SPRINGS;
        loop {
            if let Some(words) = self.network.parties[trap.mix].obituary() {
                if !words.contains("signal: 9") {
                    self.seen.failures.push(words);
                }
                self.seen.kills.push(trap);
                break;
            }
            if Instant::now() > until {
                if Watched::take_trap(&home) {
                    self.seen.missed.push(trap);
                    return Ok(());
                }
                return Err(format!("{} is at its moment and does not die", word(&trap)));
            }
            self.operate().await?;
        }
        sleep(AWAY).await;
        self.network.parties[trap.mix].start(0).map_err(|error| error.to_string())?;
        let (until, before) = (Instant::now() + RECOVERY, self.round().await);
        while self.round().await < before + 2 && Instant::now() < until {
            self.operate().await?;
        }
        Ok(())
    }

    /// The round that is open, as the entry says; 0 if it does not.
    async fn round(&self) -> u64 {
        let status = status(&self.network.layout.mixes[0].control).await;
        status.and_then(|status| status["round"].as_u64()).unwrap_or(0)
    }

    /// Time passes, and operators let the client in again that was caught, which starts anew.
    async fn operate(&mut self) -> Result<(), String> {
        sleep(LOOK).await;
        if self.readmitted.elapsed() < READMITTED {
            return Ok(());
        }
        self.readmitted = Instant::now();
        let mut evicted = false;
        for home in &self.network.layout.mixes {
            let status = status(&home.control).await.unwrap_or_default();
            evicted |= status["evicted"].as_array().is_some_and(|names| !names.is_empty());
        }
        if evicted {
            for home in &self.network.layout.mixes {
                tell(&home.control, &readmit()).await;
            }
            let client = &mut self.network.parties[self.network.layout.mixes.len() + HONEST];
            client.kill().await;
            client.start(0).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn readmit() -> Ask {
    Ask::Readmit { client: format!("client-{}", HONEST + 1) }
}

/// A trap for each mix, in an order that is drawn: with each seed the next of its moments.
fn draw(mixes: usize, seed: u64) -> Vec<Trap> {
    let mut random = Csprng::seed_from_u64(seed);
    let of = |mix| {
        let traps: Vec<Trap> = Trap::all(mixes).into_iter().filter(|trap| trap.mix == mix).collect();
        traps[(seed % traps.len() as u64) as usize]
    };
    let mut traps: Vec<Trap> = (0..mixes).map(of).collect();
    let by = random.random_range(0..mixes);
    traps.rotate_left(by);
    traps
}
