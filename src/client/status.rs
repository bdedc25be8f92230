//! The client's state as JSON.

use serde_json::{Value, json};

use crate::crypto::to_hex;
use crate::session::{RoundResult, Status};
use crate::store::{InboxCounts, OutboxCounts, OutboxMessage, StoreError};
use crate::wire::Outcome;

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
pub(super) fn json(id: &str, sealed: bool, session: &Status, kept: &Kept) -> String {
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
        "counters": counters,
    })
    .to_string()
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
