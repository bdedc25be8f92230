//! The client's state as JSON.

use serde_json::{Value, json};

use crate::crypto::to_hex;
use crate::session::{RoundResult, Status};
use crate::store::{InboxCounts, OutboxCounts, OutboxMessage, StoreError};
use crate::wire::{DummyPolicy, Outcome, Parameters};

use super::Disk;

/// What `status` shows of the disk.
pub(super) struct Kept {
    outbox: OutboxCounts,
    bytes: u64,
    limit: u64,
    inbox: InboxCounts,
    held: Vec<OutboxMessage>,
    trouble: Option<String>,
}

impl Kept {
    pub(super) fn read(disk: &Disk) -> Result<Self, StoreError> {
        let (bytes, limit) = disk.outbox.room()?;
        Ok(Self {
            outbox: disk.outbox.counts()?,
            bytes,
            limit,
            inbox: disk.inbox.counts()?,
            held: disk.outbox.held()?.into_iter().take(MOST_HELD).collect(),
            trouble: disk.trouble(),
        })
    }
}

/// Held messages that are named; `outbox list` names all. An answer has a limit, and people read it.
const MOST_HELD: usize = 100;

/// One JSON object, schema 1; `cli` shows it as it is, or in words.
pub(super) fn json(id: &str, parameters: &Parameters, session: &Status, kept: &Kept) -> String {
    let sealed = parameters.sealed;
    let Kept { outbox, inbox, .. } = kept;
    let pq = [session.entry, session.exit].into_iter().flatten().all(|pq| pq);
    let rounds = session.rounds.iter().map(|ended| {
        json!({
            "round": ended.round,
            "clients": ended.clients,
            "sealed": sealed,
            "pq": pq,
            "missed": ended.missed,
            "result": result(ended),
            "reason": reason(ended),
            "refused": refused(ended),
        })
    });
    let held = kept.held.iter();
    let held: Vec<Value> =
        held.map(|message| json!({ "id": to_hex(&message.message), "bytes": message.bytes })).collect();
    let counters: serde_json::Map<String, Value> =
        session.counters.iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
    json!({
        "schema": 1,
        "id": id,
        "connected": session.registered && session.exit.is_some(),
        "links": { "entry": session.entry.is_some(), "exit": session.exit.is_some(), "pq": pq },
        "epoch": session.epoch,
        "round": session.round,
        "sealed": sealed,
        "outbox": {
            "queued": outbox.queued,
            "in_flight": outbox.in_flight,
            "stored": outbox.stored,
            "resent": outbox.resent,
            "refused": outbox.held,
            "held": held,
            "bytes": kept.bytes,
            "limit": kept.limit,
        },
        "inbox": { "unread": inbox.unread, "total": inbox.total, "partial": inbox.partial },
        "disk": kept.trouble,
        "rounds": rounds.collect::<Vec<_>>(),
        "privacy": privacy((parameters.dummies, sealed), pq, session),
        "counters": counters,
    })
    .to_string()
}

/// What dummies leak, by where the network lets them go: a word, and a sentence.
fn leak(dummies: DummyPolicy) -> (&'static str, &'static str) {
    match dummies {
        DummyPolicy::Uniform => (
            "uniform",
            "to anybody's mailbox: over many rounds the exit learns how much each mailbox gets, and of clients who come and go in \
             time to whom they write",
        ),
        DummyPolicy::Dropped => {
            ("dropped", "to nobody: the exit learns how many messages each mailbox gets in each round")
        }
        DummyPolicy::Own => ("self", "TO ONESELF: the exit learns who writes to whom"),
    }
}

/// Among how many we were hidden in the rounds whose verdicts are known, newest up to 32: only rounds count that were stored
/// with us in them. Churn is the share of clients that came or went from one such round to the next.
fn privacy((dummies, sealed): (DummyPolicy, bool), pq: bool, session: &Status) -> Value {
    let (dummies, leak) = leak(dummies);
    let stored = |ended: &&RoundResult| ended.outcome.is_some_and(Outcome::is_stored) && !ended.missed;
    let ours: Vec<&RoundResult> = session.rounds.iter().filter(stored).collect();
    let sets: Vec<u32> = ours.iter().filter_map(|ended| ended.clients).collect();
    let turns: Vec<(u32, u32)> =
        ours.iter().filter_map(|ended| Some((ended.changed?, ended.clients.filter(|clients| *clients > 0)?))).collect();
    let shares = turns.iter().map(|(changed, clients)| f64::from(*changed) / f64::from(*clients));
    json!({
        "rounds": sets.len(),
        "anonymity_sets": sets,
        "least": sets.iter().min(),
        "missed": session.rounds.iter().filter(|ended| ended.missed).count(),
        "churn": (!turns.is_empty()).then(|| shares.sum::<f64>() / turns.len() as f64),
        "dummies": dummies,
        "dummies_leak": leak,
        "sealed": sealed,
        "pq": pq,
    })
}

/// The word for how a round ended; `null` without its verdict.
fn result(ended: &RoundResult) -> Option<&'static str> {
    ended.outcome.map(|outcome| match outcome {
        Outcome::Stored { .. } => "stored",
        Outcome::Aborted(_) => "aborted",
        Outcome::OpenedNotStored => "opened_not_stored",
    })
}

fn reason(ended: &RoundResult) -> Option<&'static str> {
    match ended.outcome {
        Some(Outcome::Aborted(reason)) => Some(reason.name()),
        _ => None,
    }
}

/// Letters that the round's mailboxes had no room for, anybody's; `null` unless it was stored.
fn refused(ended: &RoundResult) -> Option<u32> {
    match ended.outcome {
        Some(Outcome::Stored { refused }) => Some(refused),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::AbortReason;

    #[test]
    fn the_meter_counts_only_rounds_that_hid_us() {
        let stored = Some(Outcome::Stored { refused: 0 });
        let ended = |round, clients, outcome, missed, changed| RoundResult { round, clients, outcome, missed, changed };
        let session = Status {
            rounds: [
                ended(1, Some(40), stored, false, None),
                ended(2, Some(30), stored, false, Some(12)),
                ended(3, Some(9), stored, true, Some(21)),
                ended(4, Some(0), Some(Outcome::Aborted(AbortReason::Timeout)), false, None),
                ended(5, None, None, true, None),
                ended(6, Some(50), stored, false, Some(10)),
            ]
            .into(),
            ..Status::default()
        };
        let meter = privacy((DummyPolicy::Uniform, true), false, &session);
        assert_eq!(meter["anonymity_sets"], json!([40, 30, 50]));
        assert_eq!((&meter["least"], &meter["missed"], &meter["pq"]), (&json!(30), &json!(2), &json!(false)));
        // 12 of 30 and 10 of 50.
        assert!((meter["churn"].as_f64().expect("known") - 0.3).abs() < 1e-9, "{meter}");
        let nothing = privacy((DummyPolicy::Dropped, true), true, &Status::default());
        assert!(nothing["least"].is_null() && nothing["churn"].is_null(), "{nothing}");
    }
}
