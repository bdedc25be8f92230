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
    accepted: BTreeMap<u32, (Digest, Slots)>,
    packets: usize,
    records: BTreeMap<u32, ClientRecords>,
    /// Those among them that came by way of another mix.
    relayed: BTreeSet<u32>,
    /// Whose submissions each other mix has, as far as it has said so.
    handed_over: BTreeMap<usize, Members>,
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
            accepted: BTreeMap::new(),
            packets: 0,
            records: BTreeMap::new(),
            relayed: BTreeSet::new(),
            handed_over: BTreeMap::new(),
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

    /// Takes what another mix has of a client that is not in: by its signature, which is the client's whoever brings it. Its own
    /// attempt is another one, so that no mix can use it up.
    pub fn attempt_relayed(&mut self) -> Attempt {
        self.working += 1;
        Attempt::new(self.peeler.clone(), self.admission.clone(), true)
    }

    /// A submission has been judged. All of its packets count, or none. No key may come twice; one that another client has
    /// used, too, is of another onion, as a client's index is in what opens its layer.
    ///
    /// # Errors
    /// Why they do not.
    pub fn take(&mut self, client: u32, judged: Judged) -> Result<(), SubmissionFault> {
        self.working -= 1;
        let Judged { digest, slots, result } = judged;
        let records = result?;
        let mut keys = ReplaySet::default();
        if !(0..slots.len()).all(|i| keys.insert(slots.ephemeral(i))) {
            return Err(SubmissionFault::Replay);
        }
        self.packets += slots.len();
        self.accepted.insert(client, (digest, slots));
        self.records.extend(records.map(|records| (client, records)));
        Ok(())
    }

    /// As [`Collection::take`], of what another mix had.
    ///
    /// # Errors
    /// As there.
    pub fn take_relayed(&mut self, client: u32, judged: Judged) -> Result<(), SubmissionFault> {
        self.take(client, judged)?;
        self.relayed.insert(client);
        Ok(())
    }

    /// Another mix says whose submissions it has; its first word counts.
    pub fn say_handed_over(&mut self, mix: usize, clients: Members) {
        self.handed_over.entry(mix).or_insert(clients);
    }

    /// Whose submissions each other mix has, of those that have said so.
    pub fn handed_over(&self) -> &BTreeMap<usize, Members> {
        &self.handed_over
    }

    /// Whether a client is in.
    pub fn contains(&self, client: u32) -> bool {
        self.accepted.contains_key(&client)
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
        Collected { round: self.round, submissions: self.accepted, records: self.records, relayed: self.relayed }
    }
}

/// The submissions of a round, by ascending roster index, never in order of arrival; each client's packets as submitted.
/// The list of the round has the same order.
pub struct Collected {
    round: u64,
    submissions: BTreeMap<u32, (Digest, Slots)>,
    /// What the clients said of their packets, until a list is made of it; empty if the round is not sealed.
    pub records: BTreeMap<u32, ClientRecords>,
    relayed: BTreeSet<u32>,
}

impl Collected {
    /// Leaves out `clients` with their packets: those that are not in the round's list.
    pub fn leave_out(&mut self, clients: impl IntoIterator<Item = u32>) {
        for client in clients {
            self.submissions.remove(&client);
            self.records.remove(&client);
        }
    }

    /// Leaves out all but `members`.
    pub fn leave_out_but(&mut self, members: &Members) {
        self.submissions.retain(|client, _| members.contains(*client));
    }

    /// Who came by way of another mix, by their signatures, of a roster of `size`.
    pub fn relayed(&self, size: usize) -> Members {
        let mut relayed = Members::none(size);
        for client in self.relayed.iter().filter(|client| self.records.contains_key(client)) {
            relayed.insert(*client);
        }
        relayed
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
