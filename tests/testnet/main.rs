//! The test network from outside: real processes, started, used, killed and stopped as people and scripts do.
#![expect(clippy::panic, reason = "a test fails by panicking")]

mod network;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use network::{
    EVERYBODY, MIXCLIENT, MIXNODE, Network, Process, client, eventually, has_fields, is_alive, json, run, text,
};

#[test]
fn a_message_and_a_file_arrive_and_everybody_stops() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut network = Network::start(dir.path());
    let pids: Vec<i32> = EVERYBODY.iter().map(|id| network.pid(id)).collect();
    assert!(pids.iter().all(|pid| is_alive(*pid)));

    let sent = network.send("client-1", "client-2", "how are you?");
    assert_eq!((&sent["state"], &sent["bytes"], &sent["packets"]), (&"queued".into(), &12.into(), &1.into()));
    let [received] = network.receive("client-2").try_into().expect("one message");
    assert_eq!((&received["id"], &received["from"]), (&sent["id"], &"client-1".into()));
    assert_eq!((&received["kind"], &received["text"]), (&"text".into(), &"how are you?".into()));
    assert_eq!((&received["name"], &received["path"]), (&Value::Null, &Value::Null));
    let again = client(&["recv", "--home", &network.home("client-2")]);
    assert!(again.status.success() && again.stdout.is_empty(), "nothing unread, no output: {again:?}");

    let file = dir.path().join("a report.pdf");
    let content: Vec<u8> = (0..20_000u32).map(|i| ((i * i) >> 5) as u8).collect();
    fs::write(&file, &content).expect("writable");
    let sent = client(&[
        "send",
        "--home",
        &network.home("client-2"),
        "client-1",
        "--file",
        text(&file),
        "--anonymous",
        "--wait",
        "--json",
    ]);
    let sent = json(&sent);
    assert_eq!((&sent["state"], &sent["packets"]), (&"stored".into(), &5.into()));
    assert!(!sent["rounds"].as_array().expect("a list").is_empty());
    let [received] = network.receive("client-1").try_into().expect("one message");
    assert_eq!((&received["kind"], &received["from"]), (&"file".into(), &Value::Null));
    assert_eq!((&received["name"], &received["text"]), (&"a report.pdf".into(), &Value::Null));
    let path = Path::new(received["path"].as_str().expect("a path"));
    assert_eq!(path, network.dir.canonicalize().expect("there").join("client-1/received/a report.pdf"));
    assert_eq!(fs::read(path).expect("saved"), content);
    let all = client(&["recv", "--home", &network.home("client-1"), "--all"]);
    let all = String::from_utf8(all.stdout).expect("text");
    assert!(all.starts_with("anonymous, round ") && all.contains("saved as"), "{all}");
    assert_eq!(fs::read_dir(path.parent().expect("a directory")).expect("there").count(), 1, "not saved twice");

    // Who is no contact any more has no name; the daemon hears of it, and of its return.
    let home = network.home("client-2");
    let listed = client(&["contact", "list", "--home", &home]);
    let line = String::from_utf8(listed.stdout).expect("text").lines().next().expect("client-1").to_owned();
    for (change, from) in [(vec!["remove", "client-1"], Value::Null), (vec!["add", line.as_str()], "client-1".into())] {
        let changed = client(&[["contact", "--home", &home].as_slice(), &change].concat());
        assert!(changed.status.success(), "{changed:?}");
        network.send("client-1", "client-2", "who am I?");
        assert_eq!(network.receive("client-2")[0]["from"], from);
    }

    let mix = network.status(MIXNODE, "mix-3");
    has_fields(&mix, &["epoch", "round", "phase", "x25519", "sealed"]);
    assert_eq!((&mix["id"], &mix["role"], &mix["sealed"]), (&"mix-3".into(), &"exit".into(), &true.into()));
    has_fields(&mix["clients"], &["connected", "registered", "start", "min"]);
    has_fields(&mix["rounds"], &["stored", "aborted"]);
    has_fields(&mix["packets"], &["in", "out", "rejected"]);
    has_fields(&mix["mailbox"], &["letters", "bytes", "refused", "expired"]);
    let links = mix["links"].as_array().expect("a list");
    assert!(links.len() == 2 && links.iter().all(|link| link["up"] == true && link["pq"] == true), "{mix}");
    assert_eq!(network.status(MIXNODE, "mix-1")["mailbox"], Value::Null);
    let state = network.status(MIXCLIENT, "client-1");
    has_fields(&state, &["id", "epoch", "round"]);
    assert_eq!(state["connected"], true);
    has_fields(&state["outbox"], &["queued", "in_flight", "stored", "resent", "refused", "bytes", "limit"]);
    assert_eq!((&state["disk"], &mix["disk"]), (&Value::Null, &Value::Null));
    let listed = client(&["outbox", "list", "--all", "--home", &network.home("client-1"), "--json"]);
    let listed = String::from_utf8(listed.stdout).expect("text");
    let first: Value = serde_json::from_str(listed.lines().next().expect("a message")).expect("JSON");
    assert_eq!((&first["to"], &first["bytes"], &first["packets"]), (&"client-2".into(), &15.into(), &1.into()));
    let id = first["id"].as_str().expect("an id");
    let stored = client(&["outbox", "retry", id, "--home", &network.home("client-1")]);
    assert_eq!(stored.status.code(), Some(1), "only held ones are retried: {stored:?}");
    assert_eq!((&state["inbox"]["unread"], &state["inbox"]["total"]), (&0.into(), &1.into()));
    has_fields(&state["inbox"], &["partial"]);
    has_fields(&state["rounds"][0], &["round", "clients", "sealed", "pq", "missed"]);
    let shown = run(MIXNODE, &["status", "--home", &network.home("mix-1")]);
    assert!(!String::from_utf8(shown.stdout).expect("text").contains("NOT SEALED"));

    assert_eq!(
        client(&["send", "--home", &network.home("client-1"), "nobody", "hello"]).status.code(),
        Some(2),
        "an unknown contact"
    );
    let second = run(MIXNODE, &["testnet", "--dir", text(&network.dir), "--round", "0.3", "--payload", "4096"]);
    assert_eq!(second.status.code(), Some(75), "one network at a time: {second:?}");

    network.process.signal(Signal::SIGTERM);
    assert_eq!(network.process.wait().code(), Some(0));
    assert!(!pids.iter().any(|pid| is_alive(*pid)), "everybody stops");
    assert!(!network.dir.join("pids.json").exists());
}

#[test]
fn killed_daemons_come_back_by_hand_and_messages_arrive_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut network = Network::start(dir.path());
    let dead = |id: &str| {
        let pid = network.pid(id);
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
        eventually("it lives on", || (!is_alive(pid)).then_some(()));
    };
    dead("mix-2");
    network.send("client-1", "client-2", "over the crash of a mix");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let arguments = ["run", "--home", &network.home("mix-2"), "--metrics", &port.to_string(), "--json"];
    let mut mix = Process::start(MIXNODE, &arguments, false);
    mix.says("serving");
    let [received] = network.receive("client-2").try_into().expect("one message");
    assert_eq!(received["text"], "over the crash of a mix");

    dead("client-1");
    network.send("client-2", "client-1", "while you were away");
    network.rounds_go_on(4);
    let mut back = Process::start(MIXCLIENT, &["run", "--home", &network.home("client-1"), "--json"], true);
    let ready: Value = serde_json::from_str(&back.says("ready")).expect("JSON");
    assert_eq!((&ready["schema"], &ready["ready"], &ready["id"]), (&1.into(), &true.into(), &"client-1".into()));
    let [received] = network.receive("client-1").try_into().expect("one message");
    assert_eq!(received["text"], "while you were away");
    network.send("client-1", "client-2", "back again");
    let [received] = network.receive("client-2").try_into().expect("one message");
    assert_eq!(received["text"], "back again");
    network.rounds_go_on(8);
    for id in ["client-1", "client-2"] {
        assert!(client(&["recv", "--home", &network.home(id)]).stdout.is_empty(), "nothing arrives twice");
    }

    let page = |path: &str| {
        let mut stream = TcpStream::connect(port).expect("served");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("answered");
        page
    };
    assert!(page("/healthz").starts_with("HTTP/1.1 200 OK"));
    let metrics = page("/metrics");
    for name in
        ["mixnet_rounds_total{result=\"stored\"", "mixnet_packets_total{direction=\"in\"}", "mixnet_phase_seconds"]
    {
        assert!(metrics.contains(name), "no {name} in {metrics}");
    }

    back.signal(Signal::SIGINT);
    assert_eq!(back.wait().code(), Some(0));
    // A mix behind the entry stays for a while for verdicts: time for a second signal.
    mix.signal(Signal::SIGTERM);
    mix.says("stopping");
    mix.signal(Signal::SIGTERM);
    assert_eq!(mix.wait().code(), Some(128 + 15));
    network.process.signal(Signal::SIGINT);
    assert_eq!(network.process.wait().code(), Some(0));
}

#[test]
fn who_is_told_to_wait_takes_part_and_sends_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let network = Network::start(dir.path());
    network.rounds_go_on(1);
    let pid = network.pid("client-1");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
    eventually("it lives on", || (!is_alive(pid)).then_some(()));
    let home = network.home("client-1");
    let arguments = ["run", "--home", &home, "--wait-rounds", "18446744073709551615", "--json"];
    let mut waiting = Process::start(MIXCLIENT, &arguments, true);
    waiting.says("ready");
    network.send("client-1", "client-2", "later");
    let status = eventually("it takes no part", || {
        let status = network.status(MIXCLIENT, "client-1");
        (status["counters"]["receipts"].as_u64() >= Some(5)).then_some(status)
    });
    // Of these rounds the first alone carries nothing whatever it is told.
    assert_eq!((&status["outbox"]["queued"], &status["outbox"]["in_flight"]), (&1.into(), &0.into()), "{status}");
    waiting.signal(Signal::SIGTERM);
    assert_eq!(waiting.wait().code(), Some(0));
    let back = Process::start(MIXCLIENT, &["run", "--home", &home, "--json"], true);
    back.says("ready");
    let [received] = network.receive("client-2").try_into().expect("one message");
    assert_eq!(received["text"], "later");
}

#[test]
fn children_do_not_outlive_their_network() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut network = Network::start(dir.path());
    let pids: Vec<i32> = EVERYBODY.iter().map(|id| network.pid(id)).collect();
    network.process.signal(Signal::SIGKILL);
    network.process.wait();
    eventually("children live on", || (!pids.iter().any(|pid| is_alive(*pid))).then_some(()));
    // And the same directory serves again, with all its keys.
    let mut again = Network::start(dir.path());
    again.send("client-3", "client-4", "still here");
    assert_eq!(again.receive("client-4")[0]["from"], "client-3");
    again.process.signal(Signal::SIGTERM);
    assert_eq!(again.process.wait().code(), Some(0));
}

#[test]
fn the_demonstration_says_whether_all_arrived_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(MIXNODE);
    command.args(["testnet", "--demo", "--round", "0.3", "--json"]).env("TMPDIR", dir.path()).stdin(Stdio::null());
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    assert!(lines.iter().all(|line| line["schema"] == 1 && line["seconds"].is_f64()));
    assert_eq!(lines.first().expect("lines")["ready"], true);
    assert_eq!(lines.last().expect("lines")["ok"], true);
    let said =
        |part: &str| lines.iter().filter(|line| line["what"].as_str().is_some_and(|what| what.contains(part))).count();
    assert_eq!((said("has the text"), said("has the reply"), said("has a file")), (1, 1, 2));
    assert!(said(", stored") >= 3, "rounds are told");
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0);
}

#[test]
fn a_daemon_that_waits_for_keys_can_be_stopped_and_takes_its_own_along() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::copy("config/testnet.yaml", dir.path().join("network.yaml")).expect("writable");
    for (ephemeral, stays) in [("true", false), ("false", true)] {
        let home = dir.path().join(format!("home-{ephemeral}"));
        assert!(run(MIXNODE, &["init", "--home", text(&home), "mix-1"]).status.success());
        let mut mix = Process::start(MIXNODE, &["run", "--home", text(&home), "--ephemeral", ephemeral], false);
        assert!(mix.says("waiting for the keys").contains("mix-2"));
        let published = dir.path().join("mix-1.mix.pub");
        assert!(published.exists());
        mix.signal(Signal::SIGTERM);
        assert_eq!(mix.wait().code(), Some(0));
        assert_eq!(published.exists(), stays, "a key that is gone is not published");
    }
}

#[test]
fn a_log_that_takes_no_more_lines_ends_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::copy("config/testnet.yaml", dir.path().join("network.yaml")).expect("writable");
    let home = dir.path().join("home");
    assert!(run(MIXNODE, &["init", "--home", text(&home), "mix-1"]).status.success());
    let published = dir.path().join("mix-1.mix.pub");
    let append = |path: &Path| fs::OpenOptions::new().append(true).open(path).expect("there");
    let long = dir.path().join("log");
    fs::write(&long, [b'\n'; 4096]).expect("writable");
    // A full disk, and a limit on the size of files, for which the system sends a signal that kills by default.
    for (log, limit) in [(append(Path::new("/dev/full")), "unlimited"), (append(&long), "2")] {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -f {limit}; exec \"$0\" run --home \"$1\""), MIXNODE, text(&home)]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("starts");
        let mut mix = Process { child, lines: channel().1 };
        // Its first line, that it waits for other keys, comes before it looks whether it is to stop.
        eventually("it publishes no key", || published.exists().then_some(()));
        mix.signal(Signal::SIGTERM);
        assert_eq!(mix.wait().code(), Some(0), "with a limit of {limit}");
        fs::remove_file(&published).expect("there");
    }
    assert_eq!(fs::metadata(&long).expect("there").len(), 4096);
}
