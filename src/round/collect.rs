//! The entry's open round: who has submitted what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::{Digest, Label};
use crate::packet::{Peeler, ReplaySet, Slots};
use crate::wire::{ClientRecords, Layout, Members};

use super::ListPlace;
use super::submission::{Admission, Attempt, Judged, SubmissionFault};

/// One round's submissions at the entry.
pub struct Collection {
    /// The round.
    pub round: u64,
    /// When it opened.
    pub opened_at: Duration,
    /// When submissions close at the latest.
    pub closes_at: Duration,
    peeler: Arc<Peeler>,
    admission: Option<Arc<Admission>>,
    attempted: BTreeSet<u32>,
    working: usize,
    replay: ReplaySet,
    accepted: BTreeMap<u32, (Digest, Slots)>,
    packets: usize,
    records: BTreeMap<u32, ClientRecords>,
    closed: bool,
}

impl Collection {
    /// Opens a round, a sealed one if there is an `admission`.
    pub fn new(
        round: u64,
        opened_at: Duration,
        closes_at: Duration,
        peeler: Peeler,
        admission: Option<Admission>,
    ) -> Self {
        Self {
            round,
            opened_at,
            closes_at,
            peeler: Arc::new(peeler),
            admission: admission.map(Arc::new),
            attempted: BTreeSet::new(),
            working: 0,
            replay: ReplaySet::default(),
            accepted: BTreeMap::new(),
            packets: 0,
            records: BTreeMap::new(),
            closed: false,
        }
    }

    /// Takes a client's one attempt of this round, or `None` if the client has had it; `struck` says whether it has been
    /// struck out of a list in this epoch.
    ///
    /// One attempt and not one success, so that nobody can make the entry peel without end.
    pub fn attempt(&mut self, client: u32, struck: bool) -> Option<Attempt> {
        self.attempted.insert(client).then(|| {
            self.working += 1;
            Attempt::new(self.peeler.clone(), self.admission.clone(), struck)
        })
    }

    /// A submission has been judged. All of its packets count, or none.
    ///
    /// # Errors
    /// Why they do not.
    pub fn take(&mut self, client: u32, judged: Judged) -> Result<(), SubmissionFault> {
        self.working -= 1;
        let Judged { digest, slots, result } = judged;
        let records = result?;
        let keys: BTreeSet<_> = (0..slots.len()).map(|i| slots.ephemeral(i)).collect();
        if keys.len() < slots.len() || keys.iter().any(|key| self.replay.contains(key)) {
            return Err(SubmissionFault::Replay);
        }
        for key in keys {
            let _new = self.replay.insert(key);
        }
        self.packets += slots.len();
        self.accepted.insert(client, (digest, slots));
        self.records.extend(records.map(|records| (client, records)));
        Ok(())
    }

    /// How many clients are in.
    pub fn clients(&self) -> u32 {
        self.accepted.len() as u32
    }

    /// How many packets are in.
    pub fn packets(&self) -> usize {
        self.packets
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

    /// What is in the round, once it is closed and settled.
    pub fn finish(self) -> Collected {
        Collected { round: self.round, submissions: self.accepted, records: self.records }
    }
}

/// The submissions of a round, by ascending roster index, never in order of arrival; each client's packets as submitted.
/// The list of the round has the same order.
pub struct Collected {
    round: u64,
    submissions: BTreeMap<u32, (Digest, Slots)>,
    /// What the clients said of their packets; empty if the round is not sealed.
    pub records: BTreeMap<u32, ClientRecords>,
}

impl Collected {
    /// Leaves out `clients` with their packets: those that are not in the round's list.
    pub fn leave_out(&mut self, clients: impl IntoIterator<Item = u32>) {
        for client in clients {
            self.submissions.remove(&client);
            self.records.remove(&client);
        }
    }

    /// Where each packet of [`Collected::into_batch`] stands in the list, in the order of the batch.
    pub fn places(&self) -> Vec<ListPlace> {
        let of_client = |(client, (_, slots)): (&u32, &(Digest, Slots))| {
            let client = *client;
            (0..).zip(0..slots.len()).map(move |(packet, _)| ListPlace { client, packet })
        };
        self.submissions.iter().flat_map(of_client).collect()
    }

    /// The clients in the round, the digest of its submissions in roster order, and the peeled packets, one segment a
    /// client in the same order. `roster` is how many clients that has.
    pub fn into_batch(self, roster: usize) -> (Members, Digest, Vec<Slots>) {
        let mut members = Members::none(roster);
        let mut input = Layout::new("mixnet v1 submissions").u64(self.round);
        let mut segments = Vec::with_capacity(self.submissions.len());
        for (client, (digest, slots)) in self.submissions {
            members.insert(client);
            input = input.u32(client).digest(&digest);
            segments.push(slots);
        }
        (members, crate::crypto::derive(Label::Batch, &input.finish()), segments)
    }
}
