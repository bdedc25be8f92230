//! The mix's state as an operator sees it, and as JSON.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::crypto::Backend;
use crate::mix;
use crate::store::{MailboxLosses, MailboxTotals};
use crate::wire::Outcome;

/// What `status` shows of a running mix.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Its name.
    pub id: String,
    /// What it does in the cascade.
    pub role: Role,
    /// The engine's state.
    pub mix: mix::Status,
    /// The clients that it knows of.
    pub clients: ClientTotals,
    /// How many mixes together open a round, and how many there are.
    pub threshold: (u32, usize),
    /// Whether rounds are sealed.
    pub sealed: bool,
    /// The links to the other mixes.
    pub links: Vec<LinkState>,
    /// What waits in the mailboxes, and what nobody will get, counted since the store exists; at the exit only.
    pub mailbox: Option<(MailboxTotals, MailboxLosses)>,
    /// Why the disk did not take the last record; `None` if it did.
    pub disk: Option<String>,
    /// The names of clients that are out.
    pub evicted: Vec<String>,
    /// Who owes what was signed in burnt rounds.
    pub owing: Vec<OwedRound>,
    /// The rounds that ended last, oldest first.
    pub recent: VecDeque<EndedRound>,
    /// The backend that does the X25519 work.
    pub x25519: Backend,
}

/// How a round ended at this mix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndedRound {
    /// The round.
    pub round: u64,
    /// How.
    pub outcome: Outcome,
    /// How many clients it held.
    pub clients: u32,
}

/// A burnt round of which something is not shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwedRound {
    /// The round.
    pub round: u64,
    /// The names of the mixes each of which could show it.
    pub mixes: Vec<String>,
}

/// A mix's place in the cascade.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Takes submissions.
    Entry,
    /// Talks to mixes only.
    Middle,
    /// Keeps the mailboxes.
    Exit,
}

/// How many clients there are, and are needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientTotals {
    /// Clients with a connection to this mix.
    pub connected: u32,
    /// Clients registered; at the entry only.
    pub registered: u32,
    /// Registered clients at which the network starts.
    pub start: u32,
    /// Distinct clients below which a round aborts.
    pub min: u32,
}

/// A link to another mix.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkState {
    /// That mix's name.
    pub peer: String,
    /// Whether it is there.
    pub up: bool,
    /// Whether its keys come from a post-quantum exchange.
    pub post_quantum: bool,
}

impl Role {
    /// The role of the mix at `place` of `mixes`.
    pub(super) fn of(place: usize, mixes: usize) -> Self {
        match place {
            0 => Self::Entry,
            last if last + 1 == mixes => Self::Exit,
            _ => Self::Middle,
        }
    }

    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Middle => "middle",
            Self::Exit => "exit",
        }
    }
}

impl NodeStatus {
    /// One JSON object, schema 1; `cli` shows it as it is, or in words.
    pub fn json(&self) -> String {
        let mix = &self.mix;
        let links = self.links.iter();
        let links: Vec<Value> =
            links.map(|link| json!({ "peer": link.peer, "up": link.up, "pq": link.post_quantum })).collect();
        let recent: Vec<Value> = self.recent.iter().map(EndedRound::json).collect();
        json!({
            "schema": 1,
            "id": self.id,
            "role": self.role.name(),
            "epoch": mix.epoch,
            "round": mix.round,
            "phase": mix.phase,
            "clients": {
                "connected": self.clients.connected,
                "registered": self.clients.registered,
                "start": self.clients.start,
                "min": self.clients.min,
            },
            "rounds": { "stored": mix.stored, "opened_not_stored": mix.not_stored, "aborted": mix.aborted },
            "recent": recent,
            "packets": { "in": mix.packets_in, "out": mix.packets_out, "rejected": mix.rejected },
            "submissions": { "handed_over": mix.handed_over, "relayed": mix.relayed },
            "opened_by": { "mixes": self.threshold.0, "of": self.threshold.1 },
            "x25519": self.x25519.to_string(),
            "sealed": self.sealed,
            "links": links,
            "mailbox": self.mailbox.map(|(held, lost)| json!({
                "letters": held.letters, "bytes": held.bytes, "refused": lost.refused, "expired": lost.expired,
            })),
            "disk": self.disk,
            "evicted": self.evicted,
            "stopped": mix.stopped,
            "burning": mix.burning,
            "owing": self.owing.iter().map(|owed| json!({ "round": owed.round, "mixes": owed.mixes })).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

impl EndedRound {
    fn json(&self) -> Value {
        let (result, reason) = match self.outcome {
            Outcome::Stored { .. } => ("stored", None),
            Outcome::Aborted(reason) => ("aborted", Some(reason.name())),
            Outcome::OpenedNotStored => ("opened_not_stored", None),
        };
        json!({ "round": self.round, "clients": self.clients, "result": result, "reason": reason })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::wire::AbortReason;

    #[test]
    fn scripts_find_every_field() {
        let status = NodeStatus {
            id: "mix-3".into(),
            role: Role::of(2, 3),
            mix: mix::Status {
                epoch: 2,
                round: 61,
                phase: "open",
                registered: 0,
                stored: 50,
                not_stored: 1,
                aborted: BTreeMap::from([("too_few_clients", 9)]),
                packets_in: 800,
                packets_out: 0,
                handed_over: 5,
                relayed: 0,
                rejected: BTreeMap::from([("replay", 3)]),
                links: Vec::new(),
                evicted: vec![3],
                stopped: Some("look".into()),
                burning: 1,
                owing: vec![mix::Owing { round: 60, mixes: vec![0, 1] }],
            },
            clients: ClientTotals { connected: 4, registered: 0, start: 4, min: 2 },
            threshold: (2, 3),
            sealed: false,
            links: vec![LinkState { peer: "mix-1".into(), up: true, post_quantum: true }],
            mailbox: Some((MailboxTotals { letters: 7, bytes: 700 }, MailboxLosses { refused: 2, expired: 1 })),
            disk: Some("full".into()),
            evicted: vec!["client-4".into()],
            owing: vec![OwedRound { round: 60, mixes: vec!["mix-1".into(), "mix-2".into()] }],
            recent: VecDeque::from([
                EndedRound { round: 59, outcome: Outcome::Stored { refused: 1 }, clients: 4 },
                EndedRound { round: 60, outcome: Outcome::Aborted(AbortReason::TooFewClients), clients: 0 },
            ]),
            x25519: Backend::Dalek,
        };
        let shown: Value = serde_json::from_str(&status.json()).expect("JSON");
        let expected = json!({
            "schema": 1, "id": "mix-3", "role": "exit", "epoch": 2, "round": 61, "phase": "open",
            "clients": { "connected": 4, "registered": 0, "start": 4, "min": 2 },
            "rounds": { "stored": 50, "opened_not_stored": 1, "aborted": { "too_few_clients": 9 } },
            "recent": [
                { "round": 59, "clients": 4, "result": "stored", "reason": null },
                { "round": 60, "clients": 0, "result": "aborted", "reason": "too_few_clients" },
            ],
            "packets": { "in": 800, "out": 0, "rejected": { "replay": 3 } },
            "submissions": { "handed_over": 5, "relayed": 0 },
            "opened_by": { "mixes": 2, "of": 3 }, "x25519": "dalek", "sealed": false,
            "links": [{ "peer": "mix-1", "up": true, "pq": true }],
            "mailbox": { "letters": 7, "bytes": 700, "refused": 2, "expired": 1 }, "disk": "full",
            "evicted": ["client-4"], "stopped": "look", "burning": 1,
            "owing": [{ "round": 60, "mixes": ["mix-1", "mix-2"] }],
        });
        assert_eq!(shown, expected);
        let entry: Value =
            serde_json::from_str(&NodeStatus { mailbox: None, role: Role::of(0, 2), ..status }.json()).expect("JSON");
        assert_eq!((&entry["mailbox"], &entry["role"]), (&Value::Null, &json!("entry")));
        assert_eq!(Role::of(1, 3).name(), "middle");
    }
}
