//! The network, its clock, and the record of what has shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::users::{Diary, Life, stored_in};
use super::{CaptureError, Captures, MIXES};
use crate::control::{Answer, Ask, Stream};
use crate::sim::chaos::{Network, OnLink, Setting};
use crate::sim::{Sighting, Way};
use crate::testnet::{Options, ready};

/// Packets of a client and round.
pub(super) const PACKETS: u64 = 2;
/// Rounds of an epoch: an ordinary number.
const EPOCH_ROUNDS: u64 = 60;
/// Rounds that pass before the first that counts: connections warm up.
const WARM_UP: u64 = 8;
/// Rounds after the last that counts, in which it is judged: D and some.
const AFTER: u64 = 12;
/// How often the entry is asked which round it is.
const TICK: Duration = Duration::from_millis(4);
/// How long the capture may take: as many times as long as its rounds, and as much more.
const SLACK: (f64, Duration) = (1.5, Duration::from_secs(30));
/// A round that opened later than this share of it behind its schedule says nothing about a schedule.
const LATE: f64 = 0.1;
/// Rounds before and behind one that tell when it was to open.
const NEIGHBOURS: u64 = 4;
/// The share of the rounds wanted that has to come through.
const ENOUGH: f64 = 0.8;

/// A datagram on one of a client's links.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// Whether it is the link to the exit, and not that to the entry.
    pub exit: bool,
    pub way: Way,
    pub bytes: usize,
    /// Seconds since the capture began.
    pub at: f64,
}

/// A round that was opened in time and stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Round {
    pub number: u64,
    /// When it opened, by its schedule; on the clock of [`Seen::at`].
    pub start: f64,
}

/// Everything that has shown, and the truth beside it.
#[derive(Debug, Default)]
pub(super) struct Capture {
    pub clients: usize,
    /// Seconds of a round.
    pub length: f64,
    /// User bytes of a packet.
    pub payload: u64,
    pub seed: u64,
    /// Ascending.
    pub rounds: Vec<Round>,
    /// Of each client, in the order of time.
    pub records: Vec<Vec<Seen>>,
    /// Whose packets carried something of its user's, and in which round.
    pub real: BTreeSet<(usize, u64)>,
    /// For whom there was mail, in which round.
    pub mail: BTreeSet<(usize, u64)>,
    /// Whose user did something at the control socket, in which round.
    pub touched: BTreeSet<(usize, u64)>,
    /// To whom each client wrote, if it did, in each flow's stretch of rounds; the first begins with round `first`.
    pub partners: Vec<Vec<usize>>,
    pub first: u64,
}

impl Capture {
    /// Runs a network and its users, and takes everything down.
    pub(super) async fn take(captures: &Captures, tell: &impl Fn(&str)) -> Result<Self, CaptureError> {
        // What cannot be removed is found by whoever lays the network out.
        let _absent = std::fs::remove_dir_all(&captures.dir);
        let (watcher, sightings) = mpsc::unbounded_channel();
        let setting = Setting { watcher: Some(watcher), epoch_rounds: Some(EPOCH_ROUNDS), ..Setting::default() };
        let options = options(captures);
        let mut network = Network::start(&captures.dir, &options, &captures.programs, captures.seed, &setting).await?;
        let taken = Self::watch(captures, &mut network, sightings, tell).await;
        let said = network.stop().await;
        let capture = taken?;
        match said.is_empty() {
            true => Ok(capture),
            false => Err(CaptureError::Died(said.join("\n"))),
        }
    }

    async fn watch(
        captures: &Captures,
        network: &mut Network,
        mut sightings: mpsc::UnboundedReceiver<OnLink>,
        tell: &impl Fn(&str),
    ) -> Result<Self, CaptureError> {
        ready(&network.layout).await?;
        tell("rounds run");
        let began = Instant::now();
        let lasts = captures.rounds() as f64 * captures.round_seconds;
        let limit = Duration::from_secs_f64(lasts * SLACK.0) + SLACK.1;
        let (clock, diaries, first) =
            timeout(limit, live(captures, network)).await.map_err(|_| CaptureError::Slow(limit))??;
        let died = network.look_for_dead()?;
        if !died.is_empty() {
            return Err(CaptureError::Died(died.join("\n")));
        }
        let mut capture = Self {
            clients: captures.clients,
            length: captures.round_seconds,
            payload: captures.payload,
            seed: captures.seed,
            records: vec![Vec::new(); captures.clients],
            first,
            ..Self::default()
        };
        while let Ok(OnLink { client, exit, sighting: Sighting { way, bytes, at } }) = sightings.try_recv() {
            if let Some(at) = at.checked_duration_since(began) {
                capture.records[client].push(Seen { exit, way, bytes, at: at.as_secs_f64() });
            }
        }
        // Two links are two tasks.
        capture.records.iter_mut().for_each(|record| record.sort_by(|a, b| a.at.total_cmp(&b.at)));
        capture.rounds = clock.schedule(began, captures.round_seconds, first..first + captures.rounds() as u64);
        if (capture.rounds.len() as f64) < captures.rounds() as f64 * ENOUGH {
            return Err(CaptureError::Few { good: capture.rounds.len(), wanted: captures.rounds() });
        }
        for (client, diary) in diaries.into_iter().enumerate() {
            capture.add(client, diary);
        }
        Ok(capture)
    }

    fn add(&mut self, client: usize, diary: Diary) {
        self.touched.extend(diary.touched.iter().map(|round| (client, *round)));
        for (rounds, to) in diary.carried {
            self.real.extend(rounds.iter().map(|round| (client, *round)));
            self.mail.extend(rounds.iter().map(|round| (to, *round)));
        }
        if self.partners.len() < diary.partners.len() {
            self.partners.resize(diary.partners.len(), vec![0; self.clients]);
        }
        for (stretch, partner) in diary.partners.into_iter().enumerate() {
            self.partners[stretch][client] = partner;
        }
    }

    /// What a client's links showed from one instant to another.
    pub(super) fn between(&self, client: usize, from: f64, to: f64) -> &[Seen] {
        let record = &self.records[client];
        let place = |at: f64| record.partition_point(|seen| seen.at < at);
        &record[place(from)..place(to)]
    }
}

/// Short rounds of small packets.
fn options(captures: &Captures) -> Options {
    Options {
        mixes: MIXES,
        clients: captures.clients,
        payload: captures.payload,
        packets_per_client: PACKETS,
        round_seconds: Some(captures.round_seconds),
        submit_seconds: None,
        mix_delay_ms: (0, 5),
        base_port: None,
    }
}

/// Lets users live through all rounds; when rounds were, what users did, and the first round that counts.
async fn live(captures: &Captures, network: &Network) -> Result<(Clock, Vec<Diary>, u64), CaptureError> {
    let stop = CancellationToken::new();
    let (announce, announced) = watch::channel(0);
    let ticking = tokio::spawn(Clock::tick(network.layout.mixes[0].control.clone(), announce, stop.clone()));
    let _stopped_however = stop.clone().drop_guard();
    let now = reach(announced.clone(), 1).await;
    let first = now + WARM_UP;
    let last = first + captures.rounds() as u64;
    let mut lives = JoinSet::new();
    for client in 0..captures.clients {
        let life = Life::new(captures, client, &network.layout, PACKETS);
        lives.spawn(life.live(announced.clone(), first..last));
    }
    let mut diaries: Vec<Diary> = lives.join_all().await;
    diaries.sort_by_key(|diary| diary.client);
    reach(announced, last + AFTER).await;
    for diary in &mut diaries {
        let home = &network.layout.clients[diary.client];
        for (message, to) in std::mem::take(&mut diary.sent) {
            let rounds = stored_in(&home.control, message).await;
            let rounds = rounds.ok_or_else(|| CaptureError::Silent(home.id.clone()))?;
            diary.carried.push((rounds, to));
        }
    }
    stop.cancel();
    let clock = ticking.await.unwrap_or_default();
    Ok((clock, diaries, first))
}

/// Waits for a round; which it is then.
async fn reach(mut announced: watch::Receiver<u64>, round: u64) -> u64 {
    match announced.wait_for(|now| *now >= round).await {
        Ok(now) => *now,
        // The clock has stopped, and whoever waits for us gives up in time.
        Err(_) => std::future::pending().await,
    }
}

/// When the entry was first seen in each round, and what became of it.
#[derive(Debug, Default)]
struct Clock {
    seen: BTreeMap<u64, Instant>,
    stored: BTreeSet<u64>,
}

impl Clock {
    /// Asks the entry until `stop`.
    async fn tick(control: PathBuf, announce: watch::Sender<u64>, stop: CancellationToken) -> Self {
        let mut clock = Self::default();
        let asking = async {
            loop {
                if let Err(()) = clock.ask_on(&control, &announce).await {
                    sleep(TICK).await;
                }
            }
        };
        stop.run_until_cancelled(asking).await;
        clock
    }

    async fn ask_on(&mut self, control: &Path, announce: &watch::Sender<u64>) -> Result<(), ()> {
        let mut entry = Stream::connect(control).await.map_err(drop)?;
        loop {
            entry.send(&Ask::Status).await.map_err(drop)?;
            let Answer::Status(status) = entry.receive().await.map_err(drop)? else { return Err(()) };
            let now = Instant::now();
            let status: Value = serde_json::from_str(&status).map_err(drop)?;
            let round = status["round"].as_u64().ok_or(())?;
            self.seen.entry(round).or_insert(now);
            announce.send_if_modified(|last| std::mem::replace(last, round) != round);
            let recent = status["recent"].as_array().into_iter().flatten();
            let stored = recent.filter(|ended| ended["result"] == "stored");
            self.stored.extend(stored.filter_map(|ended| ended["round"].as_u64()));
            sleep(TICK).await;
        }
    }

    /// The rounds of `wanted` that opened in time and were stored. Rounds follow each other at one distance, and are seen a
    /// little late: of what neighbours tell of a round's start the earliest is the best.
    fn schedule(&self, began: Instant, length: f64, wanted: std::ops::Range<u64>) -> Vec<Round> {
        let seconds = |at: Instant| at.saturating_duration_since(began).as_secs_f64();
        let seen: BTreeMap<u64, f64> = self.seen.iter().map(|(round, at)| (*round, seconds(*at))).collect();
        let of = |(number, late): (&u64, &f64)| {
            let near = seen.range(number.saturating_sub(NEIGHBOURS)..=number + NEIGHBOURS);
            let told = near.map(|(other, at)| at + (*number as f64 - *other as f64) * length);
            let start = told.fold(f64::INFINITY, f64::min);
            (late - start < LATE * length).then_some(Round { number: *number, start })
        };
        let rounds = seen.range(wanted).filter_map(of);
        rounds.filter(|round| self.stored.contains(&round.number)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_what_the_earliest_sighting_tells() {
        let began = Instant::now();
        let mut clock = Clock::default();
        // Seen up to 4 ms late, round 7 far too late, and round 9 was not stored.
        for round in 0..20 {
            let late = if round == 7 { 60 } else { round % 5 };
            clock.seen.insert(round, began + Duration::from_millis(250 * round + late));
            if round != 9 {
                clock.stored.insert(round);
            }
        }
        let rounds = clock.schedule(began, 0.25, 5..15);
        assert_eq!(rounds.iter().map(|round| round.number).collect::<Vec<_>>(), [5, 6, 8, 10, 11, 12, 13, 14]);
        assert!(rounds.iter().all(|round| (round.start - 0.25 * round.number as f64).abs() < 1e-9));
    }
}
