//! The demonstration: a text, a reply, and a file each way, with a timeline of what happens.

use std::future::pending;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::Home;
use crate::control::{Answer, Ask, ControlError, Incoming, MessageKind, Outgoing, Stream};
use crate::crypto::{Csprng, sha256, to_hex};

use super::{Layout, status};

/// Bytes of the files.
const FILE_BYTES: usize = 1_000_000;
const TEXT: &str = "Hello, this is client-1. Nobody but you knows that I wrote to you.";
const REPLY: &str = "Hello client-1. And nobody but you knows that I answered.";

/// Beside the rounds that it takes, for a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(90);
/// Rounds from the outbox to the inbox, and some that fail.
const SPARE_ROUNDS: u64 = 30;
/// How often the rounds are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long one question for messages waits before it is asked again.
const POLL_MS: u64 = 1000;

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Since the network was started.
    pub at: Duration,
    /// What happened.
    pub what: String,
}

/// Why the demonstration failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A daemon does not answer.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A daemon does not do what it should.
    #[error("{0} answered with something else than was asked for")]
    Unexpected(String),
    /// Something has not arrived.
    #[error("{what} has not arrived at {at} within {seconds} s")]
    Late {
        /// What.
        what: String,
        /// Where.
        at: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Something else than was sent has arrived.
    #[error("{what} has arrived at {at} changed: {difference}")]
    Changed {
        /// What.
        what: String,
        /// Where.
        at: String,
        /// In what it differs.
        difference: String,
    },
}

/// Sends everything through the network in `layout`, which was started at `began`; each moment goes to `tell`.
///
/// # Errors
/// If anything does not arrive intact in several times the time that it should take.
pub async fn run(layout: &Layout, began: Instant, tell: mpsc::UnboundedSender<Moment>) -> Result<(), DemoError> {
    let demo = Demo { layout, began, until: Instant::now() + allowed(layout), tell };
    tokio::select! {
        result = demo.exchange() => result,
        () = demo.rounds() => Ok(()),
    }
}

struct Demo<'a> {
    layout: &'a Layout,
    began: Instant,
    until: Instant,
    tell: mpsc::UnboundedSender<Moment>,
}

/// What is sent.
struct Parcel {
    what: &'static str,
    kind: MessageKind,
    name: &'static str,
    data: Vec<u8>,
}

impl Demo<'_> {
    async fn exchange(&self) -> Result<(), DemoError> {
        let (one, two) = (&self.layout.clients[0], &self.layout.clients[1]);
        self.carry(one, two, Parcel::text("the text", TEXT)).await?;
        self.carry(two, one, Parcel::text("the reply", REPLY)).await?;
        let (there, back) = (Parcel::file("a file", "there.bin"), Parcel::file("a file", "back.bin"));
        let (there, back) = tokio::join!(self.carry(one, two, there), self.carry(two, one, back));
        there.and(back)
    }

    /// Sends a parcel and waits until it has arrived as it was.
    async fn carry(&self, from: &Home, to: &Home, parcel: Parcel) -> Result<(), DemoError> {
        let Parcel { what, kind, name, data } = parcel;
        let bytes = data.len() as u64;
        let outgoing = Outgoing { to: to.id.clone(), named: true, kind, name: name.into(), bytes };
        let mut daemon = Stream::connect(&from.control).await?;
        daemon.send(&Ask::PrepareMessage(outgoing)).await?;
        daemon.raw(&data).await?;
        let Answer::Accepted { message, packets, .. } = daemon.receive().await? else {
            return Err(DemoError::Unexpected(from.id.clone()));
        };
        let began = Instant::now();
        let (from, to_id) = (&from.id, &to.id);
        let packets = if packets == 1 { "1 packet".into() } else { format!("{packets} packets") };
        self.say(format!("{from} sends {what} of {bytes} bytes to {to_id}: {packets}, on disk in the outbox"));
        let arrived = timeout_at(self.until, self.arrival(to, &message)).await;
        let (came, content) = arrived.map_err(|_| DemoError::Late {
            what: format!("{what} from {from}"),
            at: to_id.clone(),
            seconds: began.elapsed().as_secs(),
        })??;
        let expected = Incoming { from: Some(from.clone()), kind, name: name.into(), bytes, ..came.clone() };
        let (sent, received) = (to_hex(&sha256(&data)), to_hex(&sha256(&content)));
        if came != expected || sent != received {
            let difference = format!("sent {expected:?}, SHA-256 {sent}, received {came:?}, SHA-256 {received}");
            return Err(DemoError::Changed { what: what.into(), at: to_id.clone(), difference });
        }
        let took = began.elapsed().as_secs_f64();
        let same = match kind {
            MessageKind::Text => String::new(),
            MessageKind::File => format!(", SHA-256 {}... at both ends", &sent[..16]),
        };
        self.say(format!(
            "{to_id} has {what} from {from}, complete with round {}, after {took:.1} s{same}",
            came.round
        ));
        Ok(())
    }

    /// Waits for a message; others stay unread.
    async fn arrival(&self, at: &Home, id: &[u8; 16]) -> Result<(Incoming, Vec<u8>), DemoError> {
        let mut daemon = Stream::connect(&at.control).await?;
        loop {
            let mut found = None;
            daemon.send(&Ask::PollMessages { all: false, wait_ms: POLL_MS }).await?;
            loop {
                match daemon.receive().await? {
                    Answer::Message(message) => {
                        let content = daemon.bytes(message.bytes).await?;
                        if message.message == *id {
                            found = Some((message, content));
                        }
                    }
                    Answer::End => break,
                    _ => return Err(DemoError::Unexpected(at.id.clone())),
                }
            }
            if let Some(found) = found {
                daemon.send(&Ask::MarkRead { messages: vec![*id] }).await?;
                return match daemon.receive().await? {
                    Answer::Done => Ok(found),
                    _ => Err(DemoError::Unexpected(at.id.clone())),
                };
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Tells of every round that ends, as the exit decides it; never ends itself.
    async fn rounds(&self) {
        let Some(exit) = self.layout.mixes.last() else { return pending().await };
        let mut told = 0;
        loop {
            let state = status(&exit.control).await.unwrap_or_default();
            for round in state["recent"].as_array().into_iter().flatten() {
                let number = round["round"].as_u64().unwrap_or(0);
                if number > told {
                    told = number;
                    self.say(describe(round, self.layout.network.packets_per_client));
                }
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn say(&self, what: String) {
        // Nobody listens any more: then there is nothing to tell.
        let _ = self.tell.send(Moment { at: self.began.elapsed(), what });
    }
}

impl Parcel {
    fn text(what: &'static str, text: &str) -> Self {
        Self { what, kind: MessageKind::Text, name: "", data: text.into() }
    }

    /// A file of bytes that look random and are the same each time.
    fn file(what: &'static str, name: &'static str) -> Self {
        let mut data = vec![0; FILE_BYTES];
        Csprng::seed_from_u64(name.len() as u64).fill_bytes(&mut data);
        Self { what, kind: MessageKind::File, name, data }
    }
}

/// How long everything may take: several times what it should.
fn allowed(layout: &Layout) -> Duration {
    let network = &layout.network;
    let fragments = (FILE_BYTES as u64).div_ceil(network.payload.max(1));
    let rounds = fragments.div_ceil(network.packets_per_client.max(1)) + SPARE_ROUNDS;
    PATIENCE + Duration::from_secs_f64(network.round_seconds * rounds as f64 * 3.0)
}

/// `round 3: 4 clients, 16 packets, stored`.
fn describe(round: &Value, packets_per_client: u64) -> String {
    let number = &round["round"];
    match (round["result"].as_str(), round["reason"].as_str(), round["clients"].as_u64()) {
        (Some("stored"), _, Some(clients)) => {
            format!("round {number}: {clients} clients, {} packets, stored", clients * packets_per_client)
        }
        (Some("aborted"), Some(reason), _) => format!("round {number}: aborted, {}", reason.replace('_', " ")),
        (result, ..) => format!("round {number}: {}", result.unwrap_or("no verdict").replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rounds_are_told_in_words() {
        let stored = json!({ "round": 3, "clients": 4, "result": "stored", "reason": null });
        assert_eq!(describe(&stored, 4), "round 3: 4 clients, 16 packets, stored");
        let aborted = json!({ "round": 4, "clients": 0, "result": "aborted", "reason": "too_few_clients" });
        assert_eq!(describe(&aborted, 4), "round 4: aborted, too few clients");
        let lost = json!({ "round": 5, "clients": null, "result": "opened_not_stored", "reason": null });
        assert_eq!(describe(&lost, 4), "round 5: opened not stored");
    }
}
