//! Kills in networks of real processes.
//!
//! The mixes are daemons that write into a journal what is about to leave them, and end with SIGKILL at the moment for which a trap
//! is set, so that each moment is hit however short it is. A malicious client makes some of the rounds burn; its operators let
//! it in again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::control::Ask;
use crate::crypto::Csprng;
use crate::sim::adversary::{Journal, Watched};
use crate::sim::chaos::Verdict;
use crate::sim::parallel;
use crate::sim::village::{self, Setup, Village, tell};
use crate::testnet::{Programs, TestnetError, ready, status};

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
        let seeds = (0..self.seeds).map(|number| self.seed.wrapping_add(number));
        let trials = seeds.map(|seed| self.clone().try_once(seed));
        let mut all = parallel::tasks(self.parallel, trials, |(seed, seen)| show(&seen.json(*seed))).await;
        all.sort_by_key(|(seed, _)| *seed);
        let good = all.len() as u64 == self.seeds && all.iter().all(|(_, seen)| seen.is_good());
        (self.summary(&all), good && all.iter().any(|(_, seen)| !seen.kills.is_empty()))
    }

    async fn try_once(self, seed: u64) -> (u64, Seen) {
        let dir = self.dir.join(format!("seed-{seed}"));
        let seen = match Trial::start(&self, seed, &dir).await {
            Ok(trial) => trial.run().await,
            Err(error) => Seen { failures: vec![error.to_string()], ..Seen::default() },
        };
        if seen.is_good() {
            // What cannot be removed is the system's to clean.
            let _ = std::fs::remove_dir_all(&dir);
        }
        (seed, seen)
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
    village: Village,
    /// The client that makes rounds burn, as the network's processes are numbered.
    villain: usize,
    readmitted: Instant,
    seen: Seen,
}

impl Trial {
    async fn start(setup: &KillsProcesses, seed: u64, dir: &Path) -> Result<Self, TestnetError> {
        let rogue = |home: String, more: &[&str]| village::rogue(&setup.rogue, &dir.join(home), more.iter().copied());
        let mut wrappers: BTreeMap<usize, Vec<String>> =
            (0..setup.mixes).map(|mix| (mix, rogue(format!("mix-{}", mix + 1), &[]))).collect();
        let client = setup.mixes + HONEST;
        let villain = rogue(format!("client-{}", HONEST + 1), &["--behaviour", "false-commitment"]);
        wrappers.insert(client, villain);
        let village = Setup {
            dir,
            programs: &setup.programs,
            mixes: setup.mixes,
            honest: HONEST,
            others: 1,
            packets_per_client: 2,
            seed,
            threshold: None,
            wrappers,
        };
        let village = Village::start(village).await?;
        Ok(Self {
            traps: draw(setup.mixes, seed),
            village,
            villain: client,
            readmitted: Instant::now(),
            seen: Seen::default(),
        })
    }

    async fn run(mut self) -> Seen {
        if let Err(error) = self.go_through().await {
            self.seen.failures.push(error);
        }
        let said = self.village.network.stop().await;
        self.seen.failures.extend(said);
        self.seen
    }

    async fn go_through(&mut self) -> Result<(), String> {
        ready(&self.village.network.layout).await.map_err(|error| error.to_string())?;
        for (number, trap) in self.traps.clone().into_iter().enumerate() {
            let written = self.village.write(RECOVERY, |place| [place, number as u8].repeat(20)).await;
            self.seen.failures.extend(written.err());
            self.kill(trap).await?;
        }
        // From now on nothing burns.
        self.village.take_back(self.villain).await?;
        let until = Instant::now() + AFTER;
        while !self.village.go_on(&[Ask::Resume, readmit()]).await {
            if Instant::now() > until {
                self.seen.failures.push(format!("after {} s messages are missing", AFTER.as_secs()));
                break;
            }
            sleep(LOOK).await;
        }
        self.seen.verdict = self.village.compare().await;
        for home in &self.village.network.layout.mixes {
            let said = Journal::read(&home.dir);
            self.seen.released.extend(said.released);
            self.seen.published.extend(said.published);
        }
        Ok(())
    }

    /// A mix dies at its moment, comes back, and rounds go on.
    async fn kill(&mut self, trap: Trap) -> Result<(), String> {
        let home = self.village.network.layout.mixes[trap.mix].dir.clone();
        Watched::set_trap(&home, trap).map_err(|error| error.to_string())?;
        let until = Instant::now() + SPRINGS;
        loop {
            if let Some(words) = self.village.network.parties[trap.mix].obituary() {
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
        self.village.network.parties[trap.mix].start(0).map_err(|error| error.to_string())?;
        let (until, before) = (Instant::now() + RECOVERY, self.round().await);
        while self.round().await < before + 2 && Instant::now() < until {
            self.operate().await?;
        }
        Ok(())
    }

    /// The round that is open, as the entry says; 0 if it does not.
    async fn round(&self) -> u64 {
        let status = status(&self.village.network.layout.mixes[0].control).await;
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
        for home in &self.village.network.layout.mixes {
            let status = status(&home.control).await.unwrap_or_default();
            evicted |= status["evicted"].as_array().is_some_and(|names| !names.is_empty());
        }
        if evicted {
            for home in &self.village.network.layout.mixes {
                tell(&home.control, &readmit()).await;
            }
            let client = &mut self.village.network.parties[self.villain];
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
