//! The clients while rounds run: tickets, submissions, polls.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::crypto::os_csprng;
use crate::wire::{LETTER_HEADER_BYTES, SignedVerdict};

use super::documents::Documents;
use super::stock::Stock;
use super::tally::Opened;
use super::voice::Voice;
use super::{Crew, LoadError, Options, Progress, Stage, Tell};

/// Bytes of packets that are built before rounds begin; what is missing then is built meanwhile, on the processors of the mixes.
const BUILD_AHEAD: usize = 2 << 30;
/// Between two looks at what is not signalled.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Between two times that letters still missing after the last round are asked for.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// A run in which nothing happens for as long, beside what its rounds take, is over.
const STALLED: Duration = Duration::from_secs(30);
/// What a packet of a round back to back may take: several rounds are under way, and nothing reaches the clients while three mixes
/// on one slow core work on a large one.
const STALLED_A_PACKET: Duration = Duration::from_micros(500);

/// A submission that was sent.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    /// When it was due, or sent if that was before: what its messages' latency counts from, so that a network that keeps
    /// its clients waiting does not look fast.
    pub from: Instant,
    /// When it was sent.
    pub at: Instant,
}

/// An answer with letters in it.
pub(super) struct Answer {
    pub at: Instant,
    pub letters: Vec<u8>,
}

/// What all clients share while rounds run.
pub(super) struct Game {
    pub crew: Arc<Crew>,
    pub options: Options,
    pub stock: Stock,
    pub documents: Arc<Documents>,
    pub cursors: Arc<[AtomicU64]>,
    /// The first round and the last.
    pub rounds: (u64, u64),
    /// The first that counts, and the sign that it is under way.
    pub counted: u64,
    pub counting: Notify,
    pub round: Duration,
    /// When the first that counts did.
    pub began: OnceLock<Instant>,
    pub sent: Mutex<HashMap<(u32, u64), Sent>>,
    /// By place: answers that are not opened yet, and what was in those that are.
    pub answers: Vec<Mutex<Vec<Answer>>>,
    pub opened: Vec<Mutex<Opened>>,
    pub letters: AtomicU64,
    pub missed: AtomicU64,
    /// Moves whenever something happens.
    pub steps: AtomicU64,
    pub outcomes: Mutex<BTreeMap<u64, bool>>,
    pub errors: Mutex<BTreeMap<String, u64>>,
}

impl Game {
    /// Rounds from `first` on.
    pub(super) fn new(
        crew: Arc<Crew>,
        options: Options,
        stock: Stock,
        documents: Arc<Documents>,
        cursors: Arc<[AtomicU64]>,
        first: u64,
    ) -> Self {
        Self {
            answers: (0..crew.len()).map(|_| Mutex::default()).collect(),
            opened: (0..crew.len()).map(|_| Mutex::default()).collect(),
            rounds: (first, first + options.warm_up + options.rounds.max(1) - 1),
            counted: first + options.warm_up,
            counting: Notify::new(),
            round: Duration::from_millis(crew.network.parameters.round_ms.into()),
            crew,
            options,
            stock,
            documents,
            cursors,
            began: OnceLock::new(),
            sent: Mutex::default(),
            letters: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            outcomes: Mutex::default(),
            errors: Mutex::default(),
        }
    }

    /// Letters that have come so far.
    pub(super) fn arrived(&self) -> u64 {
        self.letters.load(Ordering::Relaxed)
    }

    /// Builds the rounds' packets in order, on the pool's threads; returns when rounds may begin: where none begins without
    /// these clients, once all are built whose keys are known.
    pub(super) async fn build_ahead(self: &Arc<Self>, alone: bool, tell: &Tell) -> Result<(), LoadError> {
        let (first, last) = self.rounds;
        let (game, teller) = (self.clone(), tell.clone());
        let building = spawn_blocking(move || {
            for round in first..=last {
                let document = loop {
                    match game.documents.of_round(round) {
                        Some(document) => break document,
                        // It comes with a ticket, rounds before it is needed.
                        None if Arc::strong_count(&game) > 1 => std::thread::sleep(LOOK_AGAIN),
                        None => return Ok(()),
                    }
                };
                game.stock.build(&document, round)?;
                if game.began.get().is_none() {
                    teller(Progress { stage: Stage::Build, done: round - first + 1, of: last - first + 1 });
                }
            }
            Ok::<_, LoadError>(())
        });
        let enough = |game: &Self| {
            let known = (first..=last).take_while(|round| game.documents.of_round(*round).is_some()).last();
            let all = known.is_none_or(|last| game.stock.holds(last));
            let goes_on = !alone || game.stock.bytes() > BUILD_AHEAD;
            all || (game.stock.holds(first) && !game.round.is_zero() && goes_on)
        };
        while !enough(self) && !building.is_finished() {
            sleep(LOOK_AGAIN).await;
        }
        match building.is_finished() {
            true => building.await.map_err(|error| LoadError::Start(error.to_string()))?,
            false => Ok(()),
        }
    }

    /// Everybody takes part in the rounds; returns when every poll of the last one is answered, or nothing happens any more.
    pub(super) async fn play(self: &Arc<Self>, voices: &[[Voice; 2]], tell: &Tell) {
        let mut players = JoinSet::new();
        for (place, [entry, exit]) in voices.iter().cloned().enumerate() {
            let (game, other) = (self.clone(), self.clone());
            players.spawn(async move { game.submit_all(place, entry).await });
            players.spawn(async move { other.poll_all(place, exit).await });
        }
        let total = u64::from(self.packets()) * (self.rounds.1 + 1 - self.rounds.0);
        let patience = self.patience();
        let (mut steps, mut moved) = (0, Instant::now());
        loop {
            match timeout(Duration::from_millis(200), players.join_next()).await {
                Ok(None) => return,
                Ok(Some(Ok(Err(error)))) => self.failed(&error),
                Ok(Some(_)) => {}
                Err(_) => tell(Progress { stage: Stage::Run, done: self.letters.load(Ordering::Relaxed), of: total }),
            }
            let now = self.steps.load(Ordering::Relaxed);
            if now != steps {
                (steps, moved) = (now, Instant::now());
            }
            if moved.elapsed() > patience {
                self.failed(&LoadError::Stalled(patience.as_secs()));
                return;
            }
        }
    }

    /// Packets of a round.
    fn packets(&self) -> u32 {
        self.crew.network.parameters.packets_per_client * self.crew.len() as u32
    }

    /// How long nothing may happen.
    fn patience(&self) -> Duration {
        match self.round.is_zero() {
            true => STALLED + STALLED_A_PACKET * self.packets(),
            false => STALLED + self.round * 8,
        }
    }

    fn failed(&self, error: &LoadError) {
        // One line each, without who it was: thousands may say the same.
        let text = match error {
            LoadError::Net { mix, source, .. } => format!("{mix}: {source}"),
            other => other.to_string(),
        };
        *lock(&self.errors).entry(text.lines().next().unwrap_or_default().into()).or_default() += 1;
    }

    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// The time until a client asks for the first time, a round at most: clients of a network do not all begin within a moment.
    async fn ramp(&self) {
        sleep(self.round.mul_f64(os_csprng().random_range(0.0..1.0))).await;
    }

    /// One ticket after the other, and a submission for each.
    async fn submit_all(self: Arc<Self>, place: usize, entry: Voice) -> Result<(), LoadError> {
        self.ramp().await;
        let (first, last) = self.rounds;
        let (mut after, mut unsettled) = (first - 1, first);
        let mut submissions = JoinSet::new();
        while after < last {
            let ticket = entry.next_round(self.documents.newest(), after, unsettled).await?;
            self.step();
            let came = Instant::now();
            self.documents.accept(&ticket.chain);
            for signed in &ticket.verdicts {
                unsettled = unsettled.max(signed.verdict.round + 1);
                self.settled(signed);
            }
            after = after.max(ticket.round);
            if (first..=last).contains(&ticket.round) {
                let (game, entry) = (self.clone(), entry.clone());
                let window = Duration::from_millis(ticket.closes_in_ms);
                submissions.spawn(async move { game.submit(place, &entry, ticket.round, came, window).await });
            }
            while let Some(Ok(submitted)) = submissions.try_join_next() {
                submitted.unwrap_or_else(|error| self.failed(&error));
            }
        }
        while let Some(Ok(submitted)) = submissions.join_next().await {
            submitted.unwrap_or_else(|error| self.failed(&error));
        }
        Ok(())
    }

    /// When what is sent `at` an instant for `round` was due, `delay` after the round's beginning; at that instant if it was not yet.
    /// Rounds that count begin at fixed distances from the first, of which a ticket `came`; others, and those back to back, when they do.
    pub(super) fn due(&self, round: u64, came: Instant, delay: Duration, at: Instant) -> Instant {
        match round.checked_sub(self.counted) {
            Some(rounds) if !self.round.is_zero() => {
                at.min(*self.began.get_or_init(|| came) + self.round * rounds as u32 + delay)
            }
            _ => at,
        }
    }

    async fn submit(
        &self,
        place: usize,
        entry: &Voice,
        round: u64,
        came: Instant,
        window: Duration,
    ) -> Result<(), LoadError> {
        let delay = match self.options.spread {
            true => (window / 2).mul_f64(os_csprng().random_range(0.0..1.0)),
            false => Duration::ZERO,
        };
        sleep(delay).await;
        let submission = loop {
            match self.stock.take(round, place) {
                Some(submission) => break Some(submission),
                None if came.elapsed() >= window => break None,
                None => sleep(LOOK_AGAIN).await,
            }
        };
        let count = u64::from(self.crew.network.parameters.packets_per_client);
        let Some(submission) = submission else {
            if round >= self.counted {
                self.missed.fetch_add(count, Ordering::Relaxed);
            }
            return Ok(());
        };
        let at = Instant::now();
        let from = self.due(round, came, delay, at);
        lock(&self.sent).insert((place as u32, round), Sent { from, at });
        if round >= self.counted {
            self.counting.notify_one();
        }
        entry.submit(round, submission).await?;
        self.step();
        Ok(())
    }

    fn settled(&self, signed: &SignedVerdict) {
        let mut outcomes = lock(&self.outcomes);
        let round = signed.verdict.round;
        if (self.rounds.0..=self.rounds.1).contains(&round)
            && !outcomes.contains_key(&round)
            && signed.verify(&self.crew.network.mix_identities())
        {
            outcomes.insert(round, signed.verdict.outcome.is_stored());
        }
    }

    /// One poll after the other, round by round.
    async fn poll_all(self: Arc<Self>, place: usize, exit: Voice) -> Result<(), LoadError> {
        self.ramp().await;
        for round in self.rounds.0..=self.rounds.1 {
            self.poll(place, &exit, round).await?;
        }
        Ok(())
    }

    /// Takes what the exit has for the member at `place` once `round` is decided.
    async fn poll(&self, place: usize, exit: &Voice, round: u64) -> Result<(), LoadError> {
        let letter = LETTER_HEADER_BYTES + self.crew.geometry.letter();
        let places = self.crew.network.parameters.poll_letters as usize;
        let capability = self.crew.members[place].secrets.capability.expose();
        loop {
            let cursor = self.cursors[place].load(Ordering::Relaxed);
            let (answer, mut letters) = exit.poll(round, capability, cursor, places * letter).await?;
            let at = Instant::now();
            self.step();
            let count = (u32::from_le_bytes(answer.count) as usize).min(places);
            self.cursors[place].store(u64::from_le_bytes(answer.cursor), Ordering::Relaxed);
            if count > 0 {
                self.letters.fetch_add(count as u64, Ordering::Relaxed);
                letters.truncate(count * letter);
                letters.shrink_to_fit();
                lock(&self.answers[place]).push(Answer { at, letters });
            }
            // A full answer has left something behind.
            if count < places {
                return Ok(());
            }
        }
    }

    /// Opens all letters, and asks for those that are missing until they are there: rounds that follow each other closely
    /// may be decided out of their order, and the poll of the later one is then answered without the letters of the other.
    pub(super) async fn complete(self: &Arc<Self>, voices: &[[Voice; 2]]) {
        let mut asked: Option<Instant> = None;
        loop {
            let game = self.clone();
            let missing = spawn_blocking(move || game.open_letters()).await.unwrap_or_default();
            // Opening a million letters takes long itself, and what the last question brought is opened too.
            if missing.is_empty() || asked.get_or_insert_with(Instant::now).elapsed() > STALLED {
                return;
            }
            sleep(ASK_AGAIN).await;
            let mut asking = JoinSet::new();
            for place in missing {
                let (game, exit) = (self.clone(), voices[place][1].clone());
                asking.spawn(async move { game.poll(place, &exit, game.rounds.1).await });
            }
            // An answer may be megabytes. Who is not answered has failed in the rounds already.
            let _ = timeout(self.patience(), asking.join_all()).await;
        }
    }
}

/// No invariant spans a panic in here.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
