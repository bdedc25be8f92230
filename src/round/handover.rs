//! What clients hand to a mix that is not the entry: submissions of which they have no receipt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::wire::{ListKeys, Members, onion_digests};

use super::submission::{Submission, SubmissionFault, parse};
use super::{List, ListRules};

/// What a hand-over is held against, on any thread.
pub struct HandOverCheck {
    rules: ListRules,
    keys: Arc<ListKeys>,
    /// This mix's place in the cascade, from 1.
    own: usize,
}

impl HandOverCheck {
    /// At the mix at place `own`, with its keys towards all clients in the epoch of the round of `rules`.
    pub fn new(rules: ListRules, keys: Arc<ListKeys>, own: usize) -> Self {
        Self { rules, keys, own }
    }

    /// What the mix keeps of it: packets and records. Packets cannot be opened here; but their records have this mix's MACs
    /// and the client's signature, so that whatever is wrong inside has an author, and no key comes twice, for which nobody
    /// could be convicted.
    pub(super) fn check(&self, client: u32, submission: &Submission) -> Result<Vec<u8>, SubmissionFault> {
        let keys: BTreeSet<_> = (0..submission.packets.len()).map(|i| submission.packets.ephemeral(i)).collect();
        if keys.len() < submission.packets.len() {
            return Err(SubmissionFault::Replay);
        }
        let onions = onion_digests(submission.packets.all_received());
        let records = parse(client, &submission.records, &onions, self.rules.network.mixes())?;
        self.rules.vouch(&self.keys, self.own, &records)?;
        Ok(submission.to_bytes())
    }
}

/// The hand-overs of one round: at most one of a client, until the round's list is settled.
pub struct HandOvers {
    closes_at: Duration,
    check: Arc<HandOverCheck>,
    attempted: BTreeSet<u32>,
    working: usize,
    taken: BTreeMap<u32, Vec<u8>>,
    closed: bool,
}

impl HandOvers {
    /// None so far; they are taken until `closes_at`.
    pub fn new(closes_at: Duration, check: HandOverCheck) -> Self {
        let (attempted, taken) = (BTreeSet::new(), BTreeMap::new());
        Self { closes_at, check: Arc::new(check), attempted, working: 0, taken, closed: false }
    }

    /// Takes a client's one attempt, to be judged on any thread; `None` if the client has had it.
    pub fn attempt(&mut self, client: u32) -> Option<Arc<HandOverCheck>> {
        self.attempted.insert(client).then(|| {
            self.working += 1;
            self.check.clone()
        })
    }

    /// An attempt has been judged.
    ///
    /// # Errors
    /// As [`HandOverCheck`] found.
    pub fn take(&mut self, client: u32, judged: Result<Vec<u8>, SubmissionFault>) -> Result<(), SubmissionFault> {
        self.working -= 1;
        self.taken.insert(client, judged?);
        Ok(())
    }

    /// When nothing more is taken; `None` once nothing is.
    pub fn closes_at(&self) -> Option<Duration> {
        (!self.closed).then_some(self.closes_at)
    }

    /// Closes them if it is time. Whether they are closed.
    pub fn close(&mut self, now: Duration) -> bool {
        self.closed |= now >= self.closes_at;
        self.closed
    }

    /// Whether they are closed and all judged: the entry has been told whose they are, or is told now.
    pub fn is_settled(&self) -> bool {
        self.closed && self.working == 0
    }

    /// Whose there are, of a roster of `size`.
    pub fn clients(&self, size: usize) -> Members {
        let mut clients = Members::none(size);
        self.taken.keys().for_each(|client| {
            clients.insert(*client);
        });
        clients
    }

    /// A client's submission, packets and records.
    pub fn submission(&self, client: u32) -> Option<&[u8]> {
        self.taken.get(&client).map(Vec::as_slice)
    }

    /// Whether `list` lacks a client whose submission is here and who is not `evicted`.
    pub fn are_left_out(&self, list: &List, evicted: &BTreeSet<u32>) -> bool {
        self.taken.keys().any(|client| !list.members().contains(*client) && !evicted.contains(client))
    }
}
