//! The entry's open round: who has submitted what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::{Digest, Label};
use crate::packet::{PeelError, Peeler, ReplaySet, Slots};
use crate::wire::{Layout, Members};

/// One round's submissions at the entry.
pub struct Collection {
    /// The round.
    pub round: u64,
    /// When it opened.
    pub opened_at: Duration,
    /// When submissions close at the latest.
    pub closes_at: Duration,
    peeler: Arc<Peeler>,
    attempted: BTreeSet<u32>,
    working: usize,
    replay: ReplaySet,
    accepted: BTreeMap<u32, (Digest, Slots)>,
    closed: bool,
}

/// What became of a submission.
#[derive(Debug, Eq, PartialEq)]
pub enum Accepted {
    /// It is in.
    Yes,
    /// One of its packets does not peel.
    Bad(PeelError),
    /// One of its onions is in the round already.
    Replay,
}

impl Collection {
    /// Opens a round.
    pub fn new(round: u64, opened_at: Duration, closes_at: Duration, peeler: Peeler) -> Self {
        Self {
            round,
            opened_at,
            closes_at,
            peeler: Arc::new(peeler),
            attempted: BTreeSet::new(),
            working: 0,
            replay: ReplaySet::default(),
            accepted: BTreeMap::new(),
            closed: false,
        }
    }

    /// Takes a client's one attempt of this round: its peeler, or `None` if the client has had it.
    ///
    /// One attempt and not one success, so that nobody can make the entry peel without end.
    pub fn attempt(&mut self, client: u32) -> Option<Arc<Peeler>> {
        self.attempted.insert(client).then(|| {
            self.working += 1;
            self.peeler.clone()
        })
    }

    /// A submission has been peeled. All of its packets count, or none.
    pub fn peeled(&mut self, client: u32, digest: Digest, slots: Slots, result: Result<(), PeelError>) -> Accepted {
        self.working -= 1;
        if let Err(error) = result {
            return Accepted::Bad(error);
        }
        let keys: BTreeSet<_> = (0..slots.len()).map(|i| slots.ephemeral(i)).collect();
        if keys.len() < slots.len() || keys.iter().any(|key| self.replay.contains(key)) {
            return Accepted::Replay;
        }
        for key in keys {
            let _new = self.replay.insert(key);
        }
        self.accepted.insert(client, (digest, slots));
        Accepted::Yes
    }

    /// How many clients are in.
    pub fn clients(&self) -> u32 {
        self.accepted.len() as u32
    }

    /// How many packets are in.
    pub fn packets(&self) -> usize {
        self.accepted.values().map(|(_, slots)| slots.len()).sum()
    }

    /// No further submission is taken.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether submissions are no longer taken.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether every submission taken has been peeled.
    pub fn is_settled(&self) -> bool {
        self.working == 0
    }

    /// The clients in the round, the digest of its submissions in roster order - never in order of arrival - and
    /// the peeled packets.
    pub fn finish(self, roster: usize) -> (Members, Digest, Vec<Slots>) {
        let mut members = Members::none(roster);
        let mut input = Layout::new("mixnet v1 submissions").u64(self.round);
        let mut segments = Vec::with_capacity(self.accepted.len());
        for (client, (digest, slots)) in self.accepted {
            members.insert(client);
            input = input.u32(client).digest(&digest);
            segments.push(slots);
        }
        (members, crate::crypto::derive(Label::Batch, &input.finish()), segments)
    }
}
