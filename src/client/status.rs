//! The client's state as JSON.

use serde_json::{Value, json};

use crate::crypto::to_hex;
use crate::session::{RoundResult, Status};
use crate::store::{InboxCounts, MessageState, OutboxCounts, OutboxMessage};
use crate::wire::Outcome;

/// One JSON object, schema 1; `cli` shows it as it is, or in words.
pub(super) fn json(
    id: &str,
    session: &Status,
    outbox: &OutboxCounts,
    inbox: &InboxCounts,
    messages: &[OutboxMessage],
) -> String {
    let pq = [session.entry, session.exit].into_iter().flatten().all(|pq| pq);
    let rounds = session.rounds.iter().map(|ended| {
        json!({
            "round": ended.round,
            "clients": ended.clients,
            "sealed": false,
            "pq": pq,
            "missed": ended.missed,
            "result": result(ended),
            "reason": reason(ended),
        })
    });
    let held = messages.iter().filter(|message| message.state == MessageState::Held);
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
        "sealed": false,
        "outbox": {
            "queued": outbox.queued,
            "in_flight": outbox.in_flight,
            "stored": outbox.stored,
            "resent": outbox.resent,
            "refused": outbox.held,
            "held": held,
        },
        "inbox": { "unread": inbox.unread, "total": inbox.total, "partial": inbox.partial },
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
