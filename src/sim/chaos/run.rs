//! One seed: a network, its users, what goes wrong, and the comparison at the end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, interval_at, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::Home;
use crate::crypto::Csprng;
use crate::testnet::{Options, TestnetError, ready, status};

use super::ledger::{Id, Ledger, Parcel};
use super::network::{Network, Setting};
use super::report::{Sample, SeedReport};
use super::schedule::{self, Moment, Shape, Step};
use super::users::{Offer, User};
use super::{Chaos, Means, Profile, remove};

/// Time for everything to arrive once nothing goes wrong any more, beside what a file needs.
const SETTLING: Duration = Duration::from_secs(120);
/// Rounds after the last arrival in which a duplicate would come: a verdict's delay and some.
const QUIET_ROUNDS: f64 = 8.0;
/// How often it is looked whether all has arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How often it is looked for daemons that have ended by themselves.
const WATCH: Duration = Duration::from_millis(250);
/// How often memory and disk are measured; a shorter run says nothing about either.
const SAMPLE: Duration = Duration::from_secs(60);
/// Times that an inbox is asked for all it has.
const ASK: u32 = 5;

/// A seed that is running.
pub(super) struct Run<'a> {
    chaos: &'a Chaos,
    seed: u64,
    means: Means,
    say: &'a UnboundedSender<String>,
    network: Network,
    users: Vec<Arc<User>>,
    ledger: Arc<Mutex<Ledger>>,
    report: SeedReport,
    /// When things began to go wrong.
    began: Instant,
}

impl Run<'_> {
    /// Runs a seed to its end, and deletes its network if all went well.
    pub(super) async fn of(chaos: &Chaos, seed: u64, means: Means, say: &UnboundedSender<String>) -> SeedReport {
        let dir = chaos.dir_of(seed);
        remove(&dir);
        let options = options(chaos);
        let mut report = SeedReport::new(seed);
        let setting = Setting { calm: chaos.profile == Profile::Calm, ..Setting::default() };
        match Network::start(&dir, &options, &chaos.programs, seed, &setting).await {
            Ok(network) => {
                let mut run = Run::new(chaos, seed, means, say, network, report);
                if let Err(error) = run.go_through().await {
                    run.report.failures.push(error.to_string());
                }
                let said = run.network.stop().await;
                run.report.failures.extend(said);
                report = run.report;
            }
            Err(error) => report.failures.push(error.to_string()),
        }
        if report.is_good() {
            remove(&dir);
        } else {
            report.kept = Some(dir);
        }
        report
    }
}

impl<'a> Run<'a> {
    fn new(
        chaos: &'a Chaos,
        seed: u64,
        means: Means,
        say: &'a UnboundedSender<String>,
        network: Network,
        report: SeedReport,
    ) -> Self {
        let ledger = Arc::<Mutex<Ledger>>::default();
        let clients = &network.layout.clients;
        let everybody = Arc::new(clients.iter().map(|home| home.id.clone()).collect::<Vec<_>>());
        let user = |(place, home): (usize, &Home)| {
            let (control, file) = (home.control.clone(), &network.layout.network);
            Arc::new(User::new(place, chaos.profile, control, everybody.clone(), file, ledger.clone()))
        };
        let users = clients.iter().enumerate().map(user).collect();
        Self { chaos, seed, means, say, network, users, ledger, report, began: Instant::now() }
    }

    async fn go_through(&mut self) -> Result<(), TestnetError> {
        ready(&self.network.layout).await?;
        self.say("rounds run");
        let file = self.send_file().await;
        let stop = CancellationToken::new();
        let mut busy = JoinSet::new();
        for (place, user) in self.users.iter().enumerate() {
            let (seed, stop) = (self.seed.wrapping_mul(1 << 16).wrapping_add(place as u64), stop.clone());
            let (sender, reader, until) = (user.clone(), user.clone(), stop.clone());
            // Whoever has a file to send sends nothing else: it is to be in flight all the time.
            if place > 0 || !file {
                busy.spawn(async move { sender.send_on(seed, &until).await });
            }
            busy.spawn(async move { reader.look_on(&stop).await });
        }
        let result = self.suffer().await;
        stop.cancel();
        while busy.join_next().await.is_some() {}
        result?;
        self.say("healed");
        self.settle().await?;
        self.judge().await;
        Ok(())
    }

    /// Lets the schedule happen.
    async fn suffer(&mut self) -> Result<(), TestnetError> {
        let shape = Shape { mixes: self.chaos.mixes, clients: self.chaos.clients };
        let moments = schedule::draw(self.seed, shape, self.chaos.time, self.chaos.profile);
        self.began = Instant::now();
        let began = self.began;
        let end = Moment { at: self.chaos.time, step: Step::Free { party: 0 } };
        let (mut watch, mut sample) = (interval(WATCH), interval_at(began + SAMPLE, SAMPLE));
        for Moment { at, step } in moments.into_iter().chain([end]) {
            loop {
                tokio::select! {
                    biased;
                    () = sleep_until(began + at) => break,
                    _ = watch.tick() => self.watch()?,
                    _ = sample.tick() => self.sample(),
                }
            }
            self.network.step(&self.means.allow(step), &mut self.report.done).await?;
        }
        Ok(())
    }

    /// Waits until everything that was accepted has been shown, sending again what is held.
    async fn settle(&mut self) -> Result<(), TestnetError> {
        let began = Instant::now();
        let until = began + SETTLING + self.file_time() * 2;
        loop {
            self.watch()?;
            let mut all_done = true;
            for user in &self.users {
                let held = user.retry().await;
                let idle = user.is_done().await;
                let shown = user.look().await;
                all_done &= idle && shown && held.is_some_and(|held| held.is_empty());
            }
            let missing = self.ledger().missing();
            if all_done && missing == 0 {
                break;
            }
            if Instant::now() > until {
                self.report
                    .failures
                    .push(format!("after {} s {missing} messages are missing", began.elapsed().as_secs()));
                break;
            }
            sleep(LOOK_AGAIN).await;
        }
        self.report.settled_seconds = began.elapsed().as_secs_f64();
        sleep(Duration::from_secs_f64(self.network.layout.network.round_seconds * QUIET_ROUNDS)).await;
        self.watch()
    }

    /// Asks everybody for everything and compares.
    async fn judge(&mut self) {
        let (mut unread, mut all, mut held) = (Vec::new(), Vec::new(), HashSet::<Id>::new());
        for user in &self.users {
            let lists = (insist(|| user.list(false)).await, insist(|| user.list(true)).await);
            let (Some(not_read), Some(everything)) = lists else {
                self.report.failures.push(format!("{} does not show its inbox", user.name));
                continue;
            };
            unread.extend(not_read);
            all.extend(everything);
            held.extend(insist(|| user.held()).await.unwrap_or_default());
        }
        let verdict = std::mem::take(&mut *self.ledger()).judge(unread, all, &held);
        self.report.verdict = verdict;
        for home in &self.network.layout.mixes {
            let round = status(&home.control).await.and_then(|status| status["round"].as_u64());
            self.report.rounds = self.report.rounds.max(round.unwrap_or(0));
        }
        self.report.relays = (&*self.network.counts).into();
        if self.chaos.time >= SAMPLE {
            self.sample();
        }
    }

    /// Gives the file to the first client's daemon; whether there is one.
    async fn send_file(&mut self) -> bool {
        let Some(bytes) = self.chaos.file else { return false };
        let mut data = vec![0; bytes];
        Csprng::seed_from_u64(self.seed).fill_bytes(&mut data);
        let sender = &self.users[0];
        let parcel: Parcel = sender.parcel(self.users[1].name.clone(), true, Some("file.bin".into()), &data);
        if sender.offer(parcel, &data).await != Offer::Accepted {
            self.report.failures.push("the file was not accepted".into());
        }
        true
    }

    /// What the file's fragments take if every round succeeds.
    fn file_time(&self) -> Duration {
        let network = &self.network.layout.network;
        let fragments = (self.chaos.file.unwrap_or(0) as u64).div_ceil(network.payload);
        Duration::from_secs_f64(fragments.div_ceil(network.packets_per_client) as f64 * network.round_seconds)
    }

    /// Whoever ends by itself has a fault, and goes on.
    fn watch(&mut self) -> Result<(), TestnetError> {
        let died = self.network.look_for_dead()?;
        died.iter().for_each(|words| self.say(words));
        self.report.failures.extend(died);
        Ok(())
    }

    fn sample(&mut self) {
        let seconds = self.began.elapsed().as_secs();
        self.report.samples.push(Sample { seed: self.seed, seconds, roles: self.network.usage() });
    }

    fn say(&self, what: &str) {
        // Whoever listened may have gone.
        let _ = self.say.send(format!("seed {}: {what}", self.seed));
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        // Nothing that holds it panics half-way.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Means {
    /// The step, or what of it this machine can do.
    fn allow(self, step: Step) -> Step {
        match step {
            Step::Start { party, .. } if !self.clocks => Step::Start { party, clock: 0 },
            Step::Fill { party, .. } if !self.disks => Step::Free { party },
            step => step,
        }
    }
}

/// Short rounds, so that many faults meet many rounds; for a file, packets large enough that it is through in minutes.
fn options(chaos: &Chaos) -> Options {
    let (payload, round_seconds) = if chaos.file.is_some() { (16_384, 1.0) } else { (1024, 0.5) };
    Options {
        mixes: chaos.mixes,
        clients: chaos.clients,
        payload,
        packets_per_client: 4,
        round_seconds: Some(round_seconds),
        submit_seconds: None,
        mix_delay_ms: (0, 20),
        base_port: None,
    }
}

/// Asks until there is an answer, a few times.
async fn insist<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> Option<T> {
    for _ in 0..ASK {
        if let Some(answer) = ask().await {
            return Some(answer);
        }
        sleep(LOOK_AGAIN).await;
    }
    None
}
