//! `status`: how a daemon is doing.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::control::{Answer, Ask};

use super::error::CliError;
use super::{local, output};

/// Prints the state of the daemon of `home`.
///
/// # Errors
/// If it does not answer.
pub(super) async fn run(home: &Path, json: bool) -> Result<(), CliError> {
    let home = local::open_home(home)?;
    let mut daemon = local::connect(&home).await?;
    let Answer::Status(status) = local::ask(&mut daemon, &Ask::Status).await? else {
        return Err(local::unexpected());
    };
    let mut status: Value = serde_json::from_str(&status).map_err(|_| local::unexpected())?;
    hold_against(&mut status, home.privacy_floor);
    if json {
        return output::line(&status.to_string());
    }
    // Whichever program was asked: the daemon says what it is.
    let text = if status["role"].is_string() { mix(&status) } else { client(&status) };
    output::line(text.trim_end())
}

/// Says in a client's privacy meter how many rounds hid it among fewer than `floor` clients; 0 asks for nothing.
fn hold_against(status: &mut Value, floor: u64) {
    let meter = status.get_mut("privacy").and_then(Value::as_object_mut);
    let Some(meter) = meter.filter(|_| floor > 0) else { return };
    let sets = meter["anonymity_sets"].as_array().map_or(&[][..], Vec::as_slice);
    let below = sets.iter().filter(|clients| clients.as_u64().is_some_and(|clients| clients < floor)).count();
    meter.insert("floor".into(), floor.into());
    meter.insert("below_floor".into(), below.into());
}

const NOT_SEALED: &str = "ROUNDS ARE NOT SEALED: a mix that cheats can single out a client without being caught";

fn mix(status: &Value) -> String {
    let mut lines = Lines::default();
    lines.add("mix", &format!("{}, {}", text(&status["id"]), text(&status["role"])));
    lines.add("epoch", &status["epoch"]);
    lines.add("round", &format!("{}, {}", status["round"], text(&status["phase"])));
    let clients = &status["clients"];
    lines.add(
        "clients",
        &format!(
            "{} connected, {} registered; start at {}, at least {}",
            clients["connected"], clients["registered"], clients["start"], clients["min"]
        ),
    );
    let rounds = &status["rounds"];
    lines.add("rounds", &format!("{} stored, {} aborted", rounds["stored"], reasons(&rounds["aborted"])));
    let packets = &status["packets"];
    lines.add(
        "packets",
        &format!("{} in, {} out, {} rejected", packets["in"], packets["out"], reasons(&packets["rejected"])),
    );
    let submissions = &status["submissions"];
    let [handed_over, relayed] = ["handed_over", "relayed"].map(|way| submissions[way].as_u64().unwrap_or(0));
    if handed_over + relayed > 0 {
        let how = "without a receipt of the entry";
        lines.add("submissions", &format!("{handed_over} handed over {how}, {relayed} taken by way of another mix"));
    }
    for link in status["links"].as_array().into_iter().flatten() {
        let state = match (link["up"] == true, link["pq"] == true) {
            (true, true) => "up, post-quantum",
            (true, false) => "up, NOT post-quantum",
            (false, _) => "DOWN",
        };
        lines.add(&format!("link {}", text(&link["peer"])), state);
    }
    if let Some(letters) = status["mailbox"].get("letters") {
        let mailbox = &status["mailbox"];
        lines.add("mailboxes", &format!("{letters} letters, {} bytes", mailbox["bytes"]));
        lines.add("lost letters", &format!("{} refused, {} expired", mailbox["refused"], mailbox["expired"]));
    }
    if let Some(why) = status["stopped"].as_str() {
        lines.add("STANDS STILL", why);
    }
    for client in status["evicted"].as_array().into_iter().flatten() {
        lines.add(
            "out",
            &format!(
                "{}, proven guilty: no round with it is signed here until `readmit` lets it in again",
                text(client)
            ),
        );
    }
    for owed in status["owing"].as_array().into_iter().flatten() {
        let mixes: Vec<&str> = owed["mixes"].as_array().into_iter().flatten().map(text).collect();
        lines.add(
            "owed",
            &format!("by {} of burnt round {}: what it signed is not shown", mixes.join(" or "), owed["round"]),
        );
    }
    let opened_by = &status["opened_by"];
    lines.add("opened by", &format!("{} of {} mixes together", opened_by["mixes"], opened_by["of"]));
    lines.disk(status);
    lines.add("x25519", text(&status["x25519"]));
    lines.sealed(status)
}

fn client(status: &Value) -> String {
    let mut lines = Lines::default();
    let connected = if status["connected"] == true { "connected" } else { "NOT CONNECTED" };
    lines.add("client", &format!("{}, {connected}", text(&status["id"])));
    lines.add("epoch", &status["epoch"]);
    lines.add("round", &status["round"]);
    let outbox = &status["outbox"];
    lines.add(
        "outbox",
        &format!(
            "{} queued, {} in flight, {} stored, {} resent, {} given up",
            outbox["queued"], outbox["in_flight"], outbox["stored"], outbox["resent"], outbox["refused"]
        ),
    );
    for held in outbox["held"].as_array().into_iter().flatten() {
        lines.add("", &format!("given up: {} of {} bytes; see `outbox`", text(&held["id"]), held["bytes"]));
    }
    lines.disk(status);
    let inbox = &status["inbox"];
    lines.add("inbox", &format!("{} unread of {}, {} on their way", inbox["unread"], inbox["total"], inbox["partial"]));
    meter(&mut lines, &status["privacy"]);
    if status["links"]["pq"] == false {
        lines.add("links", "NOT post-quantum");
    }
    lines.sealed(status)
}

/// What hid the client in the last rounds.
fn meter(lines: &mut Lines, meter: &Value) {
    let sets = meter["anonymity_sets"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(last) = sets.last() {
        let rounds = format!("in the last of {} rounds, {} in the smallest", sets.len(), meter["least"]);
        lines.add("hidden among", &format!("{last} clients {rounds}; missed {}", meter["missed"]));
    }
    if let Some(churn) = meter["churn"].as_f64() {
        lines.add("churn", &format!("{:.1} % of clients from round to round", churn * 100.0));
    }
    if let Some(leak) = meter["dummies_leak"].as_str() {
        lines.add("dummies", leak);
    }
    if let (Some(below), Some(floor)) =
        (meter["below_floor"].as_u64().filter(|below| *below > 0), meter["floor"].as_u64())
    {
        lines
            .add("TOO FEW", &format!("{below} of the rounds hid you among fewer than {floor}: wait with what matters"));
    }
}

/// Names and values, the values aligned.
#[derive(Default)]
struct Lines(Vec<(String, String)>);

impl Lines {
    fn add(&mut self, name: &str, value: &(impl ToString + ?Sized)) {
        self.0.push((name.into(), value.to_string()));
    }

    fn disk(&mut self, status: &Value) {
        if let Some(trouble) = status["disk"].as_str() {
            self.add("disk", &format!("FAILS: {trouble}"));
        }
    }

    fn sealed(self, status: &Value) -> String {
        let width = self.0.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for (name, value) in &self.0 {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{name:width$}  {}", output::printable(value));
        }
        if status["sealed"] != true {
            out.push_str(NOT_SEALED);
        }
        out
    }
}

/// `3 (late 2, replay 1)`.
fn reasons(counts: &Value) -> String {
    let counts: Vec<(&String, u64)> =
        counts.as_object().into_iter().flatten().map(|(reason, count)| (reason, count.as_u64().unwrap_or(0))).collect();
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let each: Vec<String> = counts.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    if each.is_empty() { total.to_string() } else { format!("{total} ({})", each.join(", ")) }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_see_a_mix_at_a_glance() {
        let status = json!({
            "schema": 1, "id": "mix-3", "role": "exit", "epoch": 2, "round": 61, "phase": "open",
            "clients": { "connected": 4, "registered": 0, "start": 4, "min": 2 },
            "rounds": { "stored": 50, "aborted": { "too_few_clients": 9, "lost": 1 } },
            "packets": { "in": 800, "out": 0, "rejected": {} },
            "submissions": { "handed_over": 5, "relayed": 0 },
            "opened_by": { "mixes": 3, "of": 3 }, "x25519": "aws-lc", "sealed": false,
            "links": [{ "peer": "mix-1", "up": true, "pq": true }, { "peer": "mix-2", "up": false, "pq": false }],
            "mailbox": { "letters": 7, "bytes": 700, "refused": 2, "expired": 1 },
            "disk": "the store is full; free space",
            "stopped": "mix mix-2 is proven guilty", "evicted": ["client-4"],
            "owing": [{ "round": 60, "mixes": ["mix-1", "mix-2"] }],
        });
        let expected = "\
mix           mix-3, exit
epoch         2
round         61, open
clients       4 connected, 0 registered; start at 4, at least 2
rounds        50 stored, 10 (lost 1, too_few_clients 9) aborted
packets       800 in, 0 out, 0 rejected
submissions   5 handed over without a receipt of the entry, 0 taken by way of another mix
link mix-1    up, post-quantum
link mix-2    DOWN
mailboxes     7 letters, 700 bytes
lost letters  2 refused, 1 expired
STANDS STILL  mix mix-2 is proven guilty
out           client-4, proven guilty: no round with it is signed here until `readmit` lets it in again
owed          by mix-1 or mix-2 of burnt round 60: what it signed is not shown
opened by     3 of 3 mixes together
disk          FAILS: the store is full; free space
x25519        aws-lc
ROUNDS ARE NOT SEALED: a mix that cheats can single out a client without being caught";
        assert_eq!(mix(&status), expected);
        let sealed = mix(&json!({ "sealed": true, "mailbox": null, "disk": null }));
        assert!(!sealed.contains("SEALED") && !sealed.contains("mailboxes") && !sealed.contains("disk"));
    }

    #[test]
    fn rounds_below_the_floor_are_counted_for_clients_that_ask() {
        let client = json!({ "privacy": { "anonymity_sets": [7, 4, 9, 8] } });
        for (floor, below) in [(1, 0), (8, 2), (9, 3), (10, 4)] {
            let mut status = client.clone();
            hold_against(&mut status, floor);
            assert_eq!(
                (&status["privacy"]["floor"], &status["privacy"]["below_floor"]),
                (&json!(floor), &json!(below))
            );
        }
        for (mut status, floor) in [(client, 0), (json!({ "role": "exit" }), 8)] {
            let before = status.clone();
            hold_against(&mut status, floor);
            assert_eq!(status, before);
        }
    }

    #[test]
    fn people_see_a_client_at_a_glance() {
        let status = json!({
            "schema": 1, "id": "client-1", "connected": false, "epoch": 1, "round": 9, "sealed": false,
            "links": { "entry": false, "exit": true, "pq": false },
            "outbox": { "queued": 1, "in_flight": 2, "stored": 3, "resent": 4, "refused": 1,
                        "held": [{ "id": "ab", "bytes": 5 }] },
            "disk": "the store is full; free space",
            "inbox": { "unread": 1, "total": 2, "partial": 0 },
            "privacy": { "anonymity_sets": [7, 4, 9], "least": 4, "missed": 1, "churn": 0.25, "dummies_leak": "to anybody",
                         "floor": 8, "below_floor": 2 },
        });
        let expected = "\
client        client-1, NOT CONNECTED
epoch         1
round         9
outbox        1 queued, 2 in flight, 3 stored, 4 resent, 1 given up
              given up: ab of 5 bytes; see `outbox`
disk          FAILS: the store is full; free space
inbox         1 unread of 2, 0 on their way
hidden among  9 clients in the last of 3 rounds, 4 in the smallest; missed 1
churn         25.0 % of clients from round to round
dummies       to anybody
TOO FEW       2 of the rounds hid you among fewer than 8: wait with what matters
links         NOT post-quantum
ROUNDS ARE NOT SEALED: a mix that cheats can single out a client without being caught";
        assert_eq!(client(&status), expected);
    }
}
