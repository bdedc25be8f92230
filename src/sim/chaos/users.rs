//! The users: they send, read what comes, and send again what their daemon holds.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::NetworkFile;
use crate::control::{Answer, Ask, ControlError, Failure, MessageKind, Outgoing, Stream};
use crate::crypto::{Csprng, from_hex, sha256};
use crate::testnet::status;

use super::Profile;
use super::ledger::{Id, Ledger, Parcel};

/// Mean rounds between two messages of one user: their 3.4 fragments on average are a quarter of what that many rounds
/// carry, so that a client catches up with what rounds without it have left.
const SEND_EVERY: f64 = 3.0;
/// The same where nothing goes wrong and nobody has to catch up: so many that what a client remembers of sent messages has its
/// full length after minutes.
const CALM_SEND_EVERY: f64 = 1.0;
/// How often a user looks for messages, and at what is held.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A daemon that answers later stands still or has no disk; no user waits longer.
const ANSWER: Duration = Duration::from_secs(10);
/// Fragments of a large message, at most: ten rounds of its sender.
const LARGE: usize = 40;
/// The same where nothing goes wrong: with a message in every round, large ones would queue behind each other, and a
/// store's file is as long as its longest queue has been.
const CALM_LARGE: usize = 9;

/// The user of one client.
pub(in crate::sim) struct User {
    pub name: String,
    control: PathBuf,
    /// The names of all clients; one may write to oneself.
    everybody: Arc<Vec<String>>,
    payload: usize,
    /// Between two messages.
    mean_gap: Duration,
    /// Fragments of its largest message.
    largest: usize,
    /// Whether what has been read is marked so.
    marks_read: bool,
    pub ledger: Arc<Mutex<Ledger>>,
}

/// What became of a message that was given to a daemon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sim) enum Offer {
    Accepted,
    Refused,
    /// The answer was lost.
    Perhaps,
    /// No daemon listened.
    Nobody,
}

impl User {
    pub(in crate::sim) fn new(
        place: usize,
        profile: Profile,
        control: PathBuf,
        everybody: Arc<Vec<String>>,
        network: &NetworkFile,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Self {
        let (name, payload) = (everybody[place].clone(), network.payload as usize);
        let calm = profile == Profile::Calm;
        let (send_every, largest) = if calm { (CALM_SEND_EVERY, CALM_LARGE) } else { (SEND_EVERY, LARGE) };
        let mean_gap = Duration::from_secs_f64(send_every * network.round_seconds);
        // What is not marked read is seen again and again, and stays: not where disks should become steady.
        let marks_read = calm || place % 2 == 1;
        Self { name, control, everybody, payload, mean_gap, largest, marks_read, ledger }
    }

    /// One who sends only what it is told to, and marks nothing read.
    pub(in crate::sim) fn passive(
        place: usize,
        control: PathBuf,
        everybody: Arc<Vec<String>>,
        network: &NetworkFile,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Self {
        let user = Self::new(place, Profile::All, control, everybody, network, ledger);
        Self { marks_read: false, ..user }
    }

    /// Sends messages, drawn from `seed`, until `stop`.
    pub(in crate::sim) async fn send_on(&self, seed: u64, stop: &CancellationToken) {
        let mut random = Csprng::seed_from_u64(seed);
        for number in 0_u64.. {
            let uniform: f64 = random.random_range(f64::EPSILON..1.0);
            let gap = self.mean_gap.mul_f64(-uniform.ln());
            let (parcel, data) = self.write(number, &mut random);
            if stop.run_until_cancelled(sleep(gap)).await.is_none() {
                return;
            }
            self.offer(parcel, &data).await;
        }
    }

    /// Reads what comes and sends again what is held, until `stop`.
    pub(in crate::sim) async fn look_on(&self, stop: &CancellationToken) {
        while stop.run_until_cancelled(sleep(LOOK_EVERY)).await.is_some() {
            if self.marks_read {
                self.look().await;
            }
            self.retry().await;
        }
    }

    /// Gives a message to the daemon.
    pub(in crate::sim) async fn offer(&self, parcel: Parcel, data: &[u8]) -> Offer {
        let Ok(mut daemon) = Stream::connect(&self.control).await else { return Offer::Nobody };
        let outgoing = Outgoing {
            to: parcel.to.clone(),
            named: parcel.from.is_some(),
            kind: if parcel.name.is_some() { MessageKind::File } else { MessageKind::Text },
            name: parcel.name.clone().unwrap_or_default(),
            bytes: parcel.bytes,
        };
        let asked = async {
            daemon.send(&Ask::PrepareMessage(outgoing)).await?;
            daemon.raw(data).await?;
            daemon.receive::<Answer>().await
        };
        let answer = timeout(ANSWER, asked).await;
        let mut ledger = self.ledger();
        match answer {
            Ok(Ok(Answer::Accepted { message, .. })) => {
                ledger.accept(message, parcel);
                Offer::Accepted
            }
            Ok(Ok(Answer::Failed(failure))) if failure != Failure::Stopping => {
                ledger.refuse();
                Offer::Refused
            }
            _ => {
                ledger.perhaps(parcel);
                Offer::Perhaps
            }
        }
    }

    /// Reads the unread messages, and marks them so if this user does that. Whether the daemon went along.
    pub(in crate::sim) async fn look(&self) -> bool {
        let Some(unread) = self.list(false).await else { return false };
        let ids: Vec<Id> = unread.iter().map(|(id, _)| *id).collect();
        unread.into_iter().for_each(|(id, parcel)| self.ledger().show(id, parcel));
        if !self.marks_read || ids.is_empty() {
            return true;
        }
        self.ledger().let_go(&ids);
        let marked = timeout(ANSWER, self.ask(Ask::MarkRead { messages: ids.clone() })).await;
        let done = matches!(marked, Ok(Ok(Answer::Done)));
        if done {
            self.ledger().mark_read(&ids);
        }
        done
    }

    /// The messages in the inbox; `None` if the daemon does not show them all.
    pub(in crate::sim) async fn list(&self, all: bool) -> Option<Vec<(Id, Parcel)>> {
        timeout(ANSWER, self.read(all)).await.ok()?.ok()
    }

    /// Sends again what the daemon holds; what that is, or `None` if it does not say.
    pub(in crate::sim) async fn retry(&self) -> Option<HashSet<Id>> {
        let held = self.held().await?;
        for message in &held {
            self.ledger().hold(*message);
            // Refused if it has expired: then it stays, and is reported on.
            let _ = timeout(ANSWER, self.ask(Ask::Retry { message: *message })).await;
        }
        Some(held)
    }

    /// What the daemon holds.
    pub(in crate::sim) async fn held(&self) -> Option<HashSet<Id>> {
        let status = status(&self.control).await?;
        let ids = status["outbox"]["held"].as_array()?.iter().filter_map(|held| from_hex(held["id"].as_str()?));
        Some(ids.collect())
    }

    /// Whether nothing waits in the outbox, beside what is held.
    pub(in crate::sim) async fn is_done(&self) -> bool {
        let outbox = status(&self.control).await.map(|status| status["outbox"].clone());
        outbox.is_some_and(|outbox| outbox["queued"] == 0 && outbox["in_flight"] == 0)
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, ControlError> {
        let mut daemon = Stream::connect(&self.control).await?;
        daemon.send(&ask).await?;
        daemon.receive().await
    }

    async fn read(&self, all: bool) -> Result<Vec<(Id, Parcel)>, ControlError> {
        let mut daemon = Stream::connect(&self.control).await?;
        daemon.send(&Ask::PollMessages { all, wait_ms: 0 }).await?;
        let mut messages = Vec::new();
        loop {
            match daemon.receive().await? {
                Answer::Message(incoming) => {
                    let content = daemon.bytes(incoming.bytes).await?;
                    let parcel = Parcel {
                        to: self.name.clone(),
                        from: incoming.from,
                        name: (incoming.kind == MessageKind::File).then_some(incoming.name),
                        bytes: incoming.bytes,
                        digest: sha256(&content),
                    };
                    messages.push((incoming.message, parcel));
                }
                Answer::End => return Ok(messages),
                _ => return Err(std::io::Error::from(std::io::ErrorKind::InvalidData).into()),
            }
        }
    }

    /// The next message: to whom, of what size and from whom is drawn.
    fn write(&self, number: u64, random: &mut Csprng) -> (Parcel, Vec<u8>) {
        let to = self.everybody[random.random_range(0..self.everybody.len())].clone();
        let length = match random.random_range(0..20) {
            0 => 0,
            1 => 1,
            2..=11 => random.random_range(2..self.payload),
            12..=18 => random.random_range(self.payload..self.payload * 8),
            _ => random.random_range(self.payload * 8..self.payload * self.largest),
        };
        let name = random.random_bool(0.2).then(|| format!("{number}.bin"));
        let named = random.random_bool(0.8);
        let mut data = vec![0; length];
        random.fill_bytes(&mut data);
        // Unique, wherever there is room for it.
        let front = format!("{} {number} ", self.name);
        if let Some(start) = data.get_mut(..front.len()) {
            start.copy_from_slice(front.as_bytes());
        }
        (self.parcel(to, named, name, &data), data)
    }

    /// What the recipient of `data` should see.
    pub(in crate::sim) fn parcel(&self, to: String, named: bool, name: Option<String>, data: &[u8]) -> Parcel {
        let from = named.then(|| self.name.clone());
        Parcel { to, from, name, bytes: data.len() as u64, digest: sha256(data) }
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        // Nothing that holds it panics half-way.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
