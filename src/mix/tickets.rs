//! What the entry tells its clients: that the network runs, and that a round is open.

use std::time::Duration;

use crate::wire::{AbortReason, Refusal, Reply, SignedEpoch, Start, Ticket};

use super::{Mix, RequestId};

/// Documents and verdicts in one answer together stay below half the size of a message.
const ANSWER_BYTES: usize = 256 << 10;
/// The network starts at most this long after everybody is there.
const LONGEST_LEAD: Duration = Duration::from_secs(1);

/// A client that waits for a round.
pub(super) struct Waiting {
    pub id: RequestId,
    /// The last epoch whose document it holds.
    pub epoch: u64,
    /// The last round for which it holds a ticket.
    pub after: u64,
    /// The earliest round whose verdict it lacks.
    pub unsettled: u64,
}

impl Mix {
    pub(super) fn wait_for_start(&mut self, now: Duration, id: RequestId, client: u32, epoch: u64) {
        let Some(entry) = self.entry.as_mut() else { return };
        if !entry.registered.contains(&client) {
            return self.refuse(id, Refusal::NotRegistered, "not_registered");
        }
        let replaced = entry.waiting_start.insert(client, (id, epoch));
        if let Some((old, _)) = replaced {
            self.refuse(old, Refusal::Duplicate, "duplicate");
        }
        if self.is_running() {
            self.started(now);
        }
    }

    pub(super) fn next_round_asked(&mut self, now: Duration, client: u32, waiting: Waiting) {
        let Some(entry) = self.entry.as_mut() else { return };
        if !entry.registered.contains(&client) {
            return self.refuse(waiting.id, Refusal::NotRegistered, "not_registered");
        }
        if waiting.unsettled <= waiting.after {
            self.recall_verdicts(waiting.unsettled);
        }
        let Some(entry) = self.entry.as_mut() else { return };
        let open = entry.collection.as_ref().filter(|open| !open.is_closed() && now < open.closes_at);
        if open.is_some_and(|open| open.round > waiting.after) {
            return self.give_ticket(now, &waiting);
        }
        if let Some(old) = entry.waiting_round.insert(client, waiting) {
            self.refuse(old.id, Refusal::Duplicate, "duplicate");
        }
    }

    /// A client lacks verdicts from `unsettled` on. Rounds that this disk knows nothing of - it was lost - have the exit's
    /// decision, or get it now.
    fn recall_verdicts(&mut self, unsettled: u64) {
        let Some(entry) = self.entry.as_mut() else { return };
        let last = entry.opened.min(unsettled.saturating_add(self.network.parameters.verdict_rounds.into()));
        let unknown = |round: &u64| !entry.complete.contains_key(round) && !entry.docket.contains(*round);
        // What is older the exit has forgotten, too.
        let first = unsettled.max(entry.opened.saturating_sub(self.network.parameters.history_rounds.into()));
        for round in (first..=last).filter(unknown).collect::<Vec<_>>() {
            if let Some(document) = self.epochs.document(round)
                && let Some(entry) = self.entry.as_mut()
            {
                entry.docket.open(document.epoch, round);
                self.abort_round(round, AbortReason::Lost);
            }
        }
    }

    pub(super) fn give_ticket(&mut self, now: Duration, waiting: &Waiting) {
        let Some(entry) = self.entry.as_ref() else { return };
        let Some(open) = entry.collection.as_ref() else { return };
        let known = open.round.saturating_sub(u64::from(self.network.parameters.verdict_rounds));
        let weight = 64 * (self.network.mixes() + 2) + self.network.roster.clients.len() / 8;
        let verdicts = match waiting.unsettled <= known {
            true => entry.complete.range(waiting.unsettled..=known).take(ANSWER_BYTES / weight),
            false => entry.complete.range(0..0).take(0),
        };
        let ticket = Ticket {
            round: open.round,
            closes_in_ms: open.closes_at.saturating_sub(now).as_millis() as u64,
            chain: self.chain_for(waiting.epoch),
            verdicts: verdicts.map(|(_, signed)| signed.clone()).collect(),
        };
        self.reply(waiting.id, Reply::Ticket(ticket));
    }

    /// The documents after `epoch`, oldest first; of a chain too long for one message the newest.
    fn chain_for(&self, epoch: u64) -> Vec<SignedEpoch> {
        let weight = 32 * (self.network.parameters.epoch_rounds as usize + 8) * (self.network.mixes() + 1);
        let mut chain = self.epochs.chain_after(epoch);
        let fitting = (ANSWER_BYTES / weight).max(1);
        chain.drain(..chain.len().saturating_sub(fitting));
        chain
    }

    /// Whether rounds can open: an epoch is complete and its keys are whole.
    fn is_running(&self) -> bool {
        let Some(entry) = self.entry.as_ref() else { return false };
        !entry.renew && self.epochs.peeler(entry.opened + 1).is_some()
    }

    /// The network runs: tell those who wait for it.
    pub(super) fn started(&mut self, now: Duration) {
        let length = Duration::from_millis(self.network.parameters.round_ms.into());
        let Some(entry) = self.entry.as_mut() else { return };
        let opens_at = *entry.opens_at.get_or_insert(now + (length / 4).min(LONGEST_LEAD));
        let round = entry.opened + 1;
        for (_, (id, epoch)) in std::mem::take(&mut entry.waiting_start) {
            let start = Start {
                chain: self.chain_for(epoch),
                round,
                starts_in_ms: opens_at.saturating_sub(now).as_millis() as u64,
                round_ms: self.network.parameters.round_ms,
            };
            self.reply(id, Reply::Start(start));
        }
    }
}
