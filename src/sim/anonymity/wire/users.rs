//! The users: each round they toss for whether to say something, and how much, and for whether to look at what came.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Captures;
use super::flows::FLOW;
use crate::control::{Answer, Ask, ControlError, MessageKind, Outgoing, Stream};
use crate::crypto::Csprng;
use crate::testnet::Layout;

/// A daemon that does not answer within that stands still.
const ANSWER: Duration = Duration::from_secs(10);
/// Of users that have nothing under way, so many say something: half of all rounds carry something then, since a message
/// takes 1.6 rounds in the mean.
const SPEAKS: f64 = 1.0 / 2.6;
/// So many look at something each round, whatever they say.
const LOOKS: f64 = 0.5;
/// So many wait until their message is stored, as `send --wait` does.
const WAITS: f64 = 0.5;
/// When in a round a user acts, as shares of it.
const MOMENTS: Range<f64> = 0.05..0.7;

/// One user's doings.
#[derive(Debug, Default)]
pub(super) struct Diary {
    pub client: usize,
    /// Messages that were taken, and to whom they go.
    pub sent: Vec<([u8; 16], usize)>,
    /// The rounds that carried each of them.
    pub carried: Vec<(Vec<u64>, usize)>,
    /// Rounds in which something was done at the control socket.
    pub touched: BTreeSet<u64>,
    /// To whom it wrote in each stretch of rounds.
    pub partners: Vec<usize>,
}

/// One user.
pub(super) struct Life {
    client: usize,
    clients: usize,
    seed: u64,
    control: PathBuf,
    names: Vec<String>,
    payload: usize,
    packets: usize,
    round: Duration,
    random: Csprng,
    diary: Diary,
    waiting: JoinSet<Option<Answer>>,
    /// The first round that carries nothing of what it has said so far.
    free: u64,
}

impl Life {
    pub(super) fn new(captures: &Captures, client: usize, layout: &Layout, packets: u64) -> Self {
        Self {
            client,
            clients: captures.clients,
            seed: captures.seed,
            control: layout.clients[client].control.clone(),
            names: layout.clients.iter().map(|home| home.id.clone()).collect(),
            payload: captures.payload as usize,
            packets: packets as usize,
            round: Duration::from_secs_f64(captures.round_seconds),
            random: Csprng::seed_from_u64(captures.seed.wrapping_mul(1 << 16).wrapping_add(client as u64)),
            diary: Diary { client, ..Diary::default() },
            waiting: JoinSet::new(),
            free: 0,
        }
    }

    /// Lives through `rounds`.
    pub(super) async fn live(mut self, mut announced: watch::Receiver<u64>, rounds: Range<u64>) -> Diary {
        let stretches = (rounds.end - rounds.start).div_ceil(FLOW);
        let (seed, clients) = (self.seed, self.clients);
        self.diary.partners = (0..stretches).map(|stretch| partners(seed, stretch, clients)[self.client]).collect();
        while announced.changed().await.is_ok() {
            let round = *announced.borrow_and_update();
            if round >= rounds.end {
                break;
            }
            if round + 1 >= rounds.start {
                let stretch = (round + 1 - rounds.start) / FLOW;
                let partner = self.diary.partners[(stretch as usize).min(self.diary.partners.len() - 1)];
                self.pass(round, partner).await;
            }
        }
        self.diary
    }

    /// One round, in which is said what the next one carries.
    async fn pass(&mut self, round: u64, partner: usize) {
        let speaks = self.random.random_bool(SPEAKS) && round >= self.free;
        let looks = self.random.random_bool(LOOKS);
        let moment = self.round.mul_f64(self.random.random_range(MOMENTS));
        if !speaks && !looks {
            return;
        }
        sleep(moment).await;
        self.diary.touched.insert(round);
        if looks {
            self.look().await;
        }
        if speaks {
            let (outgoing, data) = self.write(partner);
            self.free = round + data.len().div_ceil(self.payload * self.packets).max(1) as u64;
            self.say(outgoing, &data, partner).await;
        }
    }

    /// A message: one byte, less than a packet, several rounds, or a file.
    fn write(&mut self, partner: usize) -> (Outgoing, Vec<u8>) {
        let round = self.payload * self.packets;
        let (length, name) = match self.random.random_range(0..10) {
            0..3 => (1, ""),
            // The content has a header, so that it all fits.
            3..7 => (self.random.random_range(2..self.payload / 2), ""),
            7..9 => (self.random.random_range(round + 1..round * 3 - 64), ""),
            _ => (round * 4 - 64, "report.bin"),
        };
        let mut data = vec![0; length];
        self.random.fill_bytes(&mut data);
        let kind = if name.is_empty() { MessageKind::Text } else { MessageKind::File };
        let (to, named, bytes) = (self.names[partner].clone(), self.random.random_bool(0.8), length as u64);
        (Outgoing { to, named, kind, name: name.into(), bytes }, data)
    }

    async fn say(&mut self, outgoing: Outgoing, data: &[u8], partner: usize) {
        let handed = async {
            let mut daemon = Stream::connect(&self.control).await?;
            daemon.send(&Ask::PrepareMessage(outgoing)).await?;
            daemon.raw(data).await?;
            daemon.receive::<Answer>().await
        };
        let Ok(Ok(Answer::Accepted { message, .. })) = timeout(ANSWER, handed).await else { return };
        self.diary.sent.push((message, partner));
        if self.random.random_bool(WAITS) {
            let control = self.control.clone();
            self.waiting.spawn(async move { ask(&control, Ask::AwaitStored { message }).await.ok() });
        }
    }

    /// Looks how things are, at what came, or at what is under way. Whether the daemon answers is not its concern.
    async fn look(&mut self) {
        let what = self.random.random_range(0..3);
        let looked = async {
            match what {
                0 => ask(&self.control, Ask::Status).await.map(drop),
                1 => read(&self.control).await,
                _ => list(&self.control).await,
            }
        };
        let _answered = timeout(ANSWER, looked).await;
    }
}

/// To whom each client writes in a stretch of rounds: all stand in a circle drawn anew, and each writes to the next.
pub(super) fn partners(seed: u64, stretch: u64, clients: usize) -> Vec<usize> {
    let mut random = Csprng::seed_from_u64(seed.wrapping_add(0x7e57).wrapping_mul(1 << 20).wrapping_add(stretch));
    let mut circle: Vec<usize> = (0..clients).collect();
    for place in (1..clients).rev() {
        circle.swap(place, random.random_range(0..=place));
    }
    let mut partners = vec![0; clients];
    for (place, client) in circle.iter().enumerate() {
        partners[*client] = circle[(place + 1) % clients];
    }
    partners
}

/// The rounds that carried a message that a client's daemon has taken.
pub(super) async fn stored_in(control: &Path, message: [u8; 16]) -> Option<Vec<u64>> {
    match timeout(ANSWER, ask(control, Ask::AwaitStored { message })).await {
        Ok(Ok(Answer::Progress(progress))) if progress.stored => Some(progress.rounds),
        _ => None,
    }
}

async fn ask(control: &Path, ask: Ask) -> Result<Answer, ControlError> {
    let mut daemon = Stream::connect(control).await?;
    daemon.send(&ask).await?;
    daemon.receive().await
}

/// As `recv` does.
async fn read(control: &Path) -> Result<(), ControlError> {
    let mut daemon = Stream::connect(control).await?;
    daemon.send(&Ask::PollMessages { all: false, wait_ms: 0 }).await?;
    let mut messages = Vec::new();
    while let Answer::Message(incoming) = daemon.receive().await? {
        daemon.bytes(incoming.bytes).await?;
        messages.push(incoming.message);
    }
    if !messages.is_empty() {
        daemon.send(&Ask::MarkRead { messages }).await?;
        daemon.receive::<Answer>().await?;
    }
    Ok(())
}

/// As `outbox list` does.
async fn list(control: &Path) -> Result<(), ControlError> {
    let mut daemon = Stream::connect(control).await?;
    daemon.send(&Ask::Outbox { all: true }).await?;
    while let Answer::Listed(_) = daemon.receive().await? {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_writes_to_one_other_and_hears_from_one() {
        for stretch in 0..20 {
            let partners = partners(7, stretch, 6);
            assert!(partners.iter().enumerate().all(|(client, partner)| client != *partner));
            assert_eq!(partners.iter().collect::<BTreeSet<_>>().len(), 6);
        }
        assert_ne!(partners(7, 0, 6), partners(7, 1, 6));
    }
}
