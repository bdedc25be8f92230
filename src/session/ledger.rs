//! The rounds that this client has used, and the verdicts that settle them.

use std::collections::BTreeSet;

use crate::crypto::{Digest, Identity};
use crate::wire::{Members, Network, SignedVerdict, Verdict};

use super::RoundResult;

/// Which rounds are used and not settled. Bounded: a ticket for round t is taken only when nothing older than t - D is
/// open, so at most D rounds are added to what came from disk.
pub(super) struct Ledger {
    seats: Vec<Seat>,
    network: Digest,
    mixes: Vec<Identity>,
    /// D.
    delay: u64,
    /// Rounds whose verdicts mixes keep.
    history: u64,
    unsettled: BTreeSet<u64>,
    /// Settled, but not yet on disk.
    settling: BTreeSet<u64>,
    /// The newest stored round, and who was in it.
    newest: Option<(u64, Members)>,
    last_used: u64,
}

/// A place on the roster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seat {
    /// From this round on.
    pub first_round: u64,
    /// The roster index.
    pub index: u32,
}

/// What a verdict is to us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Judgement {
    /// The first valid one of a round that we used.
    Settles { carried: bool, result: RoundResult },
    /// Of a round that we did not use, or settled before.
    Irrelevant,
    /// Of another network.
    Foreign,
    /// Of a round less than D before the ticket's: to act on it now would make this client differ from those that
    /// were not told.
    Early,
    /// A signature is missing or wrong.
    Forged,
}

impl Ledger {
    /// `seats`, in the order of rounds, are the own places on the roster: its verdicts name a client by them.
    pub(super) fn new(network: &Network, seats: Vec<Seat>, unsettled: Vec<u64>) -> Self {
        let unsettled = BTreeSet::from_iter(unsettled);
        Self {
            seats,
            network: network.id(),
            mixes: network.mix_identities(),
            delay: u64::from(network.parameters.verdict_rounds),
            history: u64::from(network.parameters.history_rounds),
            last_used: unsettled.last().copied().unwrap_or(0),
            unsettled,
            settling: BTreeSet::new(),
            newest: None,
        }
    }

    /// The newest round used.
    pub(super) fn last_used(&self) -> u64 {
        self.last_used
    }

    /// The oldest round whose verdict is missing.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.unsettled.first().copied()
    }

    /// From now on the round counts as used, whether or not anything is submitted to it.
    pub(super) fn use_round(&mut self, round: u64) {
        self.unsettled.insert(round);
        self.last_used = self.last_used.max(round);
    }

    /// Judges a verdict that came with the ticket of round `ticket`.
    pub(super) fn judge(&mut self, ticket: u64, verdict: &SignedVerdict) -> Judgement {
        let said = &verdict.verdict;
        if said.network != self.network {
            return Judgement::Foreign;
        }
        if !self.unsettled.contains(&said.round) {
            return Judgement::Irrelevant;
        }
        if said.round.saturating_add(self.delay) > ticket {
            return Judgement::Early;
        }
        if !verdict.verify(&self.mixes) {
            return Judgement::Forged;
        }
        let Some(index) = self.seat(said.round) else { return Judgement::Irrelevant };
        self.unsettled.remove(&said.round);
        self.settling.insert(said.round);
        let result = RoundResult {
            round: said.round,
            clients: Some(said.members.count()),
            outcome: Some(said.outcome),
            missed: said.outcome.is_stored() && !said.members.contains(index),
            changed: self.changed(said),
        };
        Judgement::Settles { carried: said.settles(index), result }
    }

    /// How many clients have come or gone since the round before, if both are stored; of the newest rounds only.
    fn changed(&mut self, said: &Verdict) -> Option<u32> {
        if !said.outcome.is_stored() || said.round <= self.newest.as_ref().map_or(0, |(round, _)| *round) {
            return None;
        }
        let (before, members) = self.newest.replace((said.round, said.members.clone()))?;
        (before + 1 == said.round).then(|| members.differences(&said.members))
    }

    fn seat(&self, round: u64) -> Option<u32> {
        self.seats.iter().rev().find(|seat| seat.first_round <= round).map(|seat| seat.index)
    }

    /// The settlement is on disk.
    pub(super) fn settled(&mut self, round: u64) {
        self.settling.remove(&round);
    }

    /// Whether a settlement is on its way to the disk.
    pub(super) fn is_settling(&self) -> bool {
        !self.settling.is_empty()
    }

    /// Takes out the rounds whose verdicts no mix keeps any more. By the round's number, not by a clock.
    pub(super) fn forget(&mut self, ticket: u64) -> BTreeSet<u64> {
        let kept = self.unsettled.split_off(&ticket.saturating_sub(self.history));
        std::mem::replace(&mut self.unsettled, kept)
    }

    /// The oldest verdict that the ticket of round `ticket` should have brought and did not. Whoever withholds a
    /// verdict from chosen clients and watches whose messages come again would find the sender by halving; so
    /// without it we are absent.
    pub(super) fn owed(&self, ticket: u64) -> Option<u64> {
        self.oldest().filter(|round| round.saturating_add(self.delay) <= ticket)
    }
}
