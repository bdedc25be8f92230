//! What an operator may see: sums over rounds, never a client, a packet or a moment within a round.

use std::collections::BTreeMap;

use crate::round::Phase;
use crate::wire::Outcome;

use super::{Mix, Owing};

/// A mix's state in numbers.
#[derive(Clone, Debug)]
pub struct Status {
    /// The last complete epoch; 0 for none.
    pub epoch: u64,
    /// The newest round that the mix has worked on or decided.
    pub round: u64,
    /// Where that round stands.
    pub phase: &'static str,
    /// Clients registered; at the entry only.
    pub registered: u32,
    /// Rounds that ended as stored.
    pub stored: u64,
    /// Rounds that were opened and could not be stored.
    pub not_stored: u64,
    /// Rounds aborted, by reason.
    pub aborted: BTreeMap<&'static str, u64>,
    /// Packets taken in.
    pub packets_in: u64,
    /// Packets handed on.
    pub packets_out: u64,
    /// Submissions that clients handed to this mix because the entry gave them no receipt.
    pub handed_over: u64,
    /// At the entry: submissions that it has taken from another mix.
    pub relayed: u64,
    /// What was refused, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// The links to the other mixes.
    pub links: Vec<LinkStatus>,
    /// Clients that are out, by roster index.
    pub evicted: Vec<u32>,
    /// Why nothing goes on until an operator acts.
    pub stopped: Option<String>,
    /// Rounds that burn, or wait to be replayed.
    pub burning: usize,
    /// Who owes what was signed in a burnt round.
    pub owing: Vec<Owing>,
}

/// A link to another mix.
#[derive(Clone, Debug)]
pub struct LinkStatus {
    /// Its place in the cascade.
    pub mix: usize,
    /// Whether it is there.
    pub up: bool,
}

#[derive(Default)]
pub(super) struct Counters {
    stored: u64,
    not_stored: u64,
    aborted: BTreeMap<&'static str, u64>,
    pub packets_in: u64,
    pub packets_out: u64,
    pub handed_over: u64,
    pub relayed: u64,
    rejected: BTreeMap<&'static str, u64>,
}

impl Counters {
    pub(super) fn reject(&mut self, reason: &'static str, count: u64) {
        *self.rejected.entry(reason).or_default() += count;
    }

    pub(super) fn round_ended(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Stored { .. } => self.stored += 1,
            Outcome::OpenedNotStored => self.not_stored += 1,
            Outcome::Aborted(reason) => *self.aborted.entry(reason.name()).or_default() += 1,
        }
    }
}

impl Mix {
    /// The present state.
    pub fn status(&self) -> Status {
        let open = self.entry.as_ref().and_then(|entry| entry.collection.as_ref()).map(|open| open.round);
        let transit = self.transit.last_key_value().map(|(round, transit)| (*round, transit.phase()));
        let over = self.signed.last_key_value().map(|(round, _)| *round);
        let (round, phase) = match (open, transit) {
            (Some(round), _) => (round, Phase::Collect.name()),
            (None, Some((round, phase))) => (round, phase.name()),
            (None, None) => (over.unwrap_or(0), "idle"),
        };
        let others = (0..self.network.mixes()).filter(|mix| *mix != self.own);
        Status {
            epoch: self.epochs.latest_epoch(),
            round,
            phase,
            registered: self.entry.as_ref().map_or(0, |entry| entry.registered.len() as u32),
            stored: self.counters.stored,
            not_stored: self.counters.not_stored,
            aborted: self.counters.aborted.clone(),
            packets_in: self.counters.packets_in,
            packets_out: self.counters.packets_out,
            handed_over: self.counters.handed_over,
            relayed: self.counters.relayed,
            rejected: self.counters.rejected.clone(),
            evicted: self.convicts.evicted().iter().copied().collect(),
            stopped: self.convicts.words(&self.network),
            burning: self.burning().len(),
            owing: self.owing(),
            links: others.map(|mix| LinkStatus { mix, up: self.links[mix].up }).collect(),
        }
    }
}
