//! The users of a stormy network: they send, they read, they try again what has failed too often.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, RngExt};

use crate::crypto::Csprng;
use crate::store::{MessageName, MessageState};

use super::super::{Party, World};

/// Messages that one user has on their way at most.
const UNDER_WAY: u64 = 6;
/// Fragments of the largest message, about.
const LARGEST: usize = 24;

/// What one user has sent, for the recipient to compare.
pub(super) struct Sent {
    from: usize,
    to: usize,
    named: bool,
    content: Vec<u8>,
}

/// Everybody's messages.
#[derive(Default)]
pub(super) struct Users {
    sent: BTreeMap<MessageName, Sent>,
    seen: BTreeSet<MessageName>,
    pub duplicated: u64,
    pub corrupted: u64,
    pub held: u64,
    pub details: Vec<String>,
}

impl Users {
    /// Messages that an outbox took.
    pub(super) fn accepted(&self) -> u64 {
        self.sent.len() as u64
    }

    /// Messages that arrived.
    pub(super) fn delivered(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Messages that did not: name, sender and recipient.
    pub(super) fn missing(&self) -> impl Iterator<Item = (&MessageName, usize, usize)> {
        let missing = self.sent.iter().filter(|(name, _)| !self.seen.contains(*name));
        missing.map(|(name, sent)| (name, sent.from, sent.to))
    }

    /// Somebody may send something.
    pub(super) fn send(&mut self, world: &mut World, rng: &mut Csprng) {
        let clients = world.clients.len();
        let from = rng.random_range(0..clients);
        let counts = world.clients[from].disk.outbox.counts().unwrap_or_default();
        if !world.is_awake(Party::Client(from)) || counts.queued + counts.in_flight + counts.held >= UNDER_WAY {
            return;
        }
        let to = (from + rng.random_range(1..clients)) % clients;
        let payload = world.payload();
        let length = match rng.random_range(0..10) {
            0 => 0,
            1..=5 => rng.random_range(1..=payload),
            6..=8 => rng.random_range(1..=5 * payload),
            _ => rng.random_range(1..=LARGEST * payload),
        };
        let mut content = vec![0; length];
        rng.fill_bytes(&mut content);
        let named = rng.random_bool(0.7);
        // A disk that is full refuses, and its user knows.
        if let Ok(name) = world.accept(from, to, named, &content) {
            self.sent.insert(name, Sent { from, to, named, content });
        }
    }

    /// Everybody who can reads what has come, and deletes most of it.
    pub(super) fn read(&mut self, world: &World, rng: &mut Csprng) {
        for client in 0..world.clients.len() {
            if !world.is_awake(Party::Client(client)) {
                continue;
            }
            let inbox = &world.clients[client].disk.inbox;
            for entry in inbox.unread().expect("reading does not fail") {
                let mut content = Vec::new();
                inbox.read(&entry.message, &mut content).expect("reading does not fail");
                let done = match rng.random_bool(0.8) {
                    true => inbox.delete(&entry.message),
                    false => inbox.mark_read(&[entry.message]),
                };
                // What the disk does not take is shown another time.
                // Nor what it has taken and denies.
                let unread = inbox.unread().expect("reading does not fail");
                if done.is_ok() || unread.iter().all(|other| other.message != entry.message) {
                    let sender = world.clients.iter().position(|other| Some(other.mailbox()) == entry.sender);
                    self.shown(client, entry.message, sender, &content);
                }
            }
        }
    }

    /// Messages that are held go again.
    pub(super) fn retry(&mut self, world: &World) {
        for (client, party) in world.clients.iter().enumerate() {
            let Some(engine) = party.engine.as_ref().filter(|_| world.is_awake(Party::Client(client))) else {
                continue;
            };
            let outbox = &party.disk.outbox;
            let held = outbox.list().expect("reading does not fail").into_iter();
            for message in held.filter(|message| message.state == MessageState::Held) {
                self.held += u64::from(outbox.retry(&message.message, engine.status().epoch).is_ok());
            }
        }
    }

    fn shown(&mut self, client: usize, name: MessageName, sender: Option<usize>, content: &[u8]) {
        let right = self.sent.get(&name).is_some_and(|sent| {
            sent.to == client && sent.content == content && sender == sent.named.then_some(sent.from)
        });
        let what = format!("message {:02x?} at client {client}", &name[..4]);
        if !right {
            self.corrupted += 1;
            self.details.push(format!("corrupted: {what}"));
        } else if !self.seen.insert(name) {
            self.duplicated += 1;
            self.details.push(format!("duplicated: {what}"));
        }
    }
}
