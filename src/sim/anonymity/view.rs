//! What there is to see of a round, and what of it an adversary sees.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use super::super::{Plan, SimClient, World};
use crate::crypto::MailboxId;
use crate::round::{Done, Job, OutgoingBatch, Shuffled};

/// A client's submission as it went over its link.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The client's roster index.
    pub client: u32,
    /// When it left the client, on the world's clock.
    pub at: Duration,
    /// Its packets, W bytes each, in the order in which they were sent.
    pub packets: Vec<Vec<u8>>,
}

/// What a mix did to a batch.
#[derive(Clone, Debug)]
pub struct Hop {
    /// What it handed on, W bytes each, in that order; at the exit what it opened then.
    pub sent: Vec<Vec<u8>>,
    /// For each of them its place among what came in; `None` for the mix's own noise.
    pub order: Vec<Option<u32>>,
    /// When the batch was shuffled, on the world's clock.
    pub at: Duration,
}

/// A round that was stored, with everything that happened in it.
#[derive(Clone, Debug)]
pub struct Round {
    /// Its number.
    pub number: u64,
    /// The submissions on the list, in its order.
    pub submissions: Vec<Submitted>,
    /// How many packets of each of them carry a message; the others are dummies. The truth, which no [`View`] has.
    pub carried: Vec<usize>,
    /// What each mix did, in cascade order.
    pub hops: Vec<Hop>,
    /// Where each letter went, in the order of the exit's batch.
    pub mailboxes: Vec<MailboxId>,
    /// Whose mailbox that is, by roster index; `None` where there is no such mailbox, as of dropped dummies.
    pub recipients: Vec<Option<u32>>,
}

impl Round {
    /// What came to the mix at place `mix` (from 0) in order: from the clients, or from the mix before.
    pub fn received(&self, mix: usize) -> Vec<&[u8]> {
        match mix.checked_sub(1) {
            Some(before) => self.hops[before].sent.iter().map(Vec::as_slice).collect(),
            None => self.submissions.iter().flat_map(|sent| &sent.packets).map(Vec::as_slice).collect(),
        }
    }

    /// For each packet that the entry took, in order, its place at the exit.
    pub fn passage(&self) -> Vec<u32> {
        let taken = self.received(0).len() as u32;
        let mut places: Vec<u32> = (0..taken).collect();
        for hop in &self.hops {
            let to = inverse(&hop.order);
            places.iter_mut().for_each(|place| *place = to[place]);
        }
        places
    }

    /// What an adversary sees who watches all links and owns every mix but the one at place `honest`; all if `None`.
    pub fn seen(&self, honest: Option<usize>) -> View<'_> {
        View { round: self, honest }
    }
}

/// Where what came in at each place went.
pub fn inverse(order: &[Option<u32>]) -> BTreeMap<u32, u32> {
    (0..).zip(order).filter_map(|(to, from)| Some(((*from)?, to))).collect()
}

/// A [`Round`] through the eyes of an adversary.
#[derive(Clone, Copy)]
pub struct View<'a> {
    round: &'a Round,
    honest: Option<usize>,
}

impl<'a> View<'a> {
    /// The round's number.
    pub fn number(&self) -> u64 {
        self.round.number
    }

    /// How many mixes there are.
    pub fn mixes(&self) -> usize {
        self.round.hops.len()
    }

    /// The mix that the adversary does not own.
    pub fn honest(&self) -> Option<usize> {
        self.honest
    }

    /// What each client sent, and when.
    pub fn submissions(&self) -> &'a [Submitted] {
        &self.round.submissions
    }

    /// What came to a mix, in order: to the entry the clients' packets, client by client as in [`View::submissions`].
    pub fn received(&self, mix: usize) -> Vec<&'a [u8]> {
        self.round.received(mix)
    }

    /// What a mix handed on, in order.
    pub fn sent(&self, mix: usize) -> &'a [Vec<u8>] {
        &self.round.hops[mix].sent
    }

    /// When it was shuffled, which the adversary knows of the honest one by when its batch left.
    pub fn shuffled_at(&self, mix: usize) -> Duration {
        self.round.hops[mix].at
    }

    /// A mix's shuffle, `None` of the honest one: for each packet handed on its place among what came in, or `None` for
    /// the mix's own noise.
    pub fn order(&self, mix: usize) -> Option<&'a [Option<u32>]> {
        (self.honest != Some(mix)).then(|| &*self.round.hops[mix].order)
    }

    /// Where each letter went, in the order of the exit's batch: the exit's own knowledge, or that of corrupt recipients.
    pub fn mailboxes(&self) -> &'a [MailboxId] {
        &self.round.mailboxes
    }

    /// Whose mailbox each of them is, by roster index: with direct polling the exit sees who asks for it. `None` where
    /// there is no such mailbox.
    pub fn recipients(&self) -> &'a [Option<u32>] {
        &self.round.recipients
    }
}

/// Who looks on while a world's rounds go by.
#[derive(Default)]
pub(in crate::sim) struct Watch {
    owners: HashMap<MailboxId, u32>,
    carried: BTreeMap<u64, HashMap<u32, usize>>,
    submitted: BTreeMap<u64, BTreeMap<u32, Submitted>>,
    listed: BTreeMap<u64, Vec<u32>>,
    hops: BTreeMap<u64, BTreeMap<usize, Hop>>,
    rounds: VecDeque<Round>,
}

/// Rounds of which parts are kept: those that never end must not stay for ever.
const KEPT: u64 = 64;

impl Watch {
    /// Of clients with these mailboxes.
    fn new(mailboxes: impl Iterator<Item = MailboxId>) -> Self {
        Self { owners: mailboxes.zip(0..).collect(), ..Self::default() }
    }

    pub(in crate::sim) fn builds(&mut self, client: usize, round: u64, carried: usize) {
        self.carried.entry(round).or_default().insert(client as u32, carried);
    }

    pub(in crate::sim) fn submitted(&mut self, client: usize, at: Duration, round: u64, packets: &[u8], size: usize) {
        let packets = packets.chunks_exact(size).map(<[u8]>::to_vec).collect();
        let client = client as u32;
        self.submitted.entry(round).or_default().insert(client, Submitted { client, at, packets });
    }

    pub(in crate::sim) fn handed_on(&mut self, mix: usize, batch: &OutgoingBatch) {
        let header = &batch.header.header;
        if mix == 0 {
            self.listed.insert(header.round, header.members.iter().collect());
        }
    }

    /// The exit shuffles when it may open.
    pub(in crate::sim) fn works(&mut self, mix: usize, at: Duration, job: &Job) {
        if let Job::Open { round, batch, .. } = job {
            self.shuffled(mix, at, *round, batch);
        }
    }

    fn shuffled(&mut self, mix: usize, at: Duration, round: u64, batch: &Shuffled) {
        let sent = batch.packets().map(<[u8]>::to_vec).collect();
        let hop = Hop { sent, order: batch.order().collect(), at };
        self.hops.entry(round).or_default().insert(mix, hop);
    }

    pub(in crate::sim) fn worked(&mut self, mix: usize, at: Duration, done: &Done) {
        match done {
            Done::Shuffled { round, batch, .. } => self.shuffled(mix, at, *round, batch),
            Done::Open { round, letters } => {
                let mailboxes = letters.letters.iter().map(|(mailbox, _)| *mailbox).collect();
                self.opened(*round, mailboxes);
            }
            _ => {}
        }
    }

    fn opened(&mut self, number: u64, mailboxes: Vec<MailboxId>) {
        let hops = self.hops.remove(&number).unwrap_or_default().into_values().collect();
        let mut submitted = self.submitted.remove(&number).unwrap_or_default();
        let listed = self.listed.remove(&number).unwrap_or_default();
        let submissions: Vec<Submitted> = listed.into_iter().filter_map(|client| submitted.remove(&client)).collect();
        let carried = self.carried.remove(&number).unwrap_or_default();
        let carried = submissions.iter().map(|sent| carried.get(&sent.client).copied().unwrap_or(0)).collect();
        let recipients = mailboxes.iter().map(|mailbox| self.owners.get(mailbox).copied()).collect();
        self.rounds.push_back(Round { number, submissions, carried, hops, mailboxes, recipients });
        let old = number.saturating_sub(KEPT);
        self.submitted = self.submitted.split_off(&old);
        self.listed = self.listed.split_off(&old);
        self.carried = self.carried.split_off(&old);
        self.hops = self.hops.split_off(&old);
    }
}

/// Rounds of a simulated network, one after the other.
pub struct Rounds {
    /// The network; between rounds its clients can be given messages, stopped and started.
    pub world: World,
}

/// Nobody who is honest waits longer for a round.
const PATIENCE: Duration = Duration::from_secs(600);

impl Rounds {
    /// A network of this plan.
    pub fn of(plan: Plan) -> Self {
        let mut world = World::new(plan);
        world.watch = Some(Watch::new(world.clients.iter().map(SimClient::mailbox)));
        Self { world }
    }

    /// The next round that is stored; `None` if the network has come to a halt: none was in ten minutes of its own time.
    pub fn next_round(&mut self) -> Option<Round> {
        let there = |world: &World| world.watch.as_ref().is_some_and(|watch| !watch.rounds.is_empty());
        self.world.run_until(PATIENCE, there);
        self.world.watch.as_mut()?.rounds.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_tells_what_was_real_and_whose_mailbox_it_went_to() {
        let mut rounds = Rounds::of(Plan { packets_per_client: 1, ..Plan::default() });
        let mut real = Vec::new();
        for number in 0..8 {
            let round = rounds.next_round().expect("an honest network goes on");
            if number == 0 {
                rounds.world.send(0, 2, b"to you");
            }
            let passage = round.passage();
            for (place, (sent, carried)) in round.submissions.iter().zip(&round.carried).enumerate() {
                let at = round.seen(None).recipients()[passage[place] as usize];
                real.extend((*carried > 0).then_some((sent.client, *carried, at)));
            }
        }
        assert_eq!(real, [(0, 1, Some(2))]);
    }
}
