//! The daemons' drivers over real QUIC on loopback: a message end to end, restarts, and clients that break every rule.

mod hostile;

use std::path::Path;
use std::time::{Duration, Instant};

use mixnet::control::{Answer, Ask, Failure, MessageKind, Outgoing, Stream};
use mixnet::node::Emission;
use mixnet::sim::{Loopback, Plan};

fn plan() -> Plan {
    Plan { round_ms: 300, mix_delay_ms: (0, 5), ..Plan::default() }
}

async fn start(plan: &Plan, clients: usize, home: &Path) -> Loopback {
    let mut network = Loopback::start(plan, home).expect("starts");
    for client in 0..clients {
        network.start_client(client).await.expect("starts");
    }
    network
}

async fn stored(network: &Loopback) -> u64 {
    let exit = network.observer(network.network.mixes() - 1).expect("runs");
    exit.status().await.expect("runs").mix.stored
}

/// Waits until the exit has stored `more` rounds than now.
async fn rounds_go_on(network: &Loopback, more: u64) {
    let (before, until) = (stored(network).await, Instant::now() + Duration::from_secs(60));
    while stored(network).await < before + more {
        assert!(Instant::now() < until, "the network stands still");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn send(network: &Loopback, from: usize, to: &str, text: &[u8]) {
    let mut stream = Stream::connect(&network.control(from)).await.expect("listens");
    let bytes = text.len() as u64;
    let outgoing = Outgoing { to: to.into(), named: true, kind: MessageKind::Text, name: String::new(), bytes };
    stream.send(&Ask::PrepareMessage(outgoing)).await.expect("sent");
    stream.raw(text).await.expect("sent");
    let answer: Answer = stream.receive().await.expect("answered");
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
}

/// The unread messages of a client, waited for and marked read: (sender, text).
async fn receive(network: &Loopback, client: usize) -> Vec<(Option<String>, Vec<u8>)> {
    let mut stream = Stream::connect(&network.control(client)).await.expect("listens");
    stream.send(&Ask::PollMessages { all: false, wait_ms: 60_000 }).await.expect("sent");
    let (mut messages, mut ids) = (Vec::new(), Vec::new());
    while let Answer::Message(incoming) = stream.receive().await.expect("answered") {
        messages.push((incoming.from, stream.bytes(incoming.bytes).await.expect("content")));
        ids.push(incoming.message);
    }
    stream.send(&Ask::MarkRead { messages: ids }).await.expect("sent");
    assert_eq!(stream.receive::<Answer>().await.expect("answered"), Answer::Done);
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_from_one_control_socket_to_another() {
    let home = tempfile::tempdir().expect("a directory");
    let network = start(&plan(), 4, home.path()).await;
    send(&network, 0, "client-2", b"over quic").await;
    assert_eq!(receive(&network, 1).await, [(Some("client-1".into()), b"over quic".to_vec())]);
    send(&network, 1, "client-1", b"").await;
    assert_eq!(receive(&network, 0).await, [(Some("client-2".into()), Vec::new())], "an empty one too");
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_real_entry_refuses_arrives_by_way_of_the_other_mixes() {
    let home = tempfile::tempdir().expect("a directory");
    // Time enough for a handshake with the mix in the middle.
    let network = start(&Plan { round_ms: 2000, ..plan() }, 4, home.path()).await;
    rounds_go_on(&network, 1).await;
    let status = async |mix: usize| network.observer(mix).expect("runs").status().await.expect("runs").mix;
    network.observer(0).expect("runs").refuse(vec![0, 2]).await;
    send(&network, 0, "client-2", b"refused").await;
    assert_eq!(receive(&network, 1).await, [(Some("client-1".into()), b"refused".to_vec())]);
    let until = Instant::now() + Duration::from_secs(60);
    while status(1).await.handed_over < 2 || status(2).await.handed_over < 2 {
        assert!(Instant::now() < until, "no mix takes what is handed over");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(status(0).await.relayed >= 2);
    for mix in 0..3 {
        assert!(status(mix).await.evicted.is_empty());
    }
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mix_may_restart_and_the_network_resumes() {
    let home = tempfile::tempdir().expect("a directory");
    let mut network = start(&plan(), 4, home.path()).await;
    rounds_go_on(&network, 2).await;
    for mix in 0..3 {
        network.stop_mix(mix).await;
        send(&network, 0, "client-2", &[mix as u8]).await;
        network.start_mix(mix).expect("its port is free again");
        assert_eq!(receive(&network, 1).await, [(Some("client-1".into()), vec![mix as u8])]);
    }
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_message_is_refused_unread_or_accepted_to_its_last_byte() {
    let home = tempfile::tempdir().expect("a directory");
    // Two of four clients: no round opens, and what is accepted stays where it is.
    let network = start(&plan(), 2, home.path()).await;
    let content = vec![7; 9 << 20];
    let ask = async |to: &str, bytes: u64| {
        let mut stream = Stream::connect(&network.control(0)).await.expect("listens");
        let (to, name) = (to.into(), "a".into());
        let outgoing = Outgoing { to, named: false, kind: MessageKind::File, name, bytes };
        stream.send(&Ask::PrepareMessage(outgoing)).await.expect("sent");
        stream
    };
    let room = async || {
        let mut stream = Stream::connect(&network.control(0)).await.expect("listens");
        stream.send(&Ask::Status).await.expect("sent");
        let Ok(Answer::Status(status)) = stream.receive().await else { return None };
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        status["outbox"]["bytes"].as_u64()
    };
    // Nobody waits for its content.
    for (to, bytes, why) in [("nobody", 9 << 20, Failure::UnknownContact), ("client-2", 1 << 40, Failure::TooLarge)] {
        let mut stream = ask(to, bytes).await;
        assert_eq!(stream.receive::<Answer>().await.expect("answered"), Answer::Failed(why));
        assert!(stream.receive::<Answer>().await.is_err(), "the connection ends");
    }
    // Whoever goes away half-way leaves nothing behind.
    let mut stream = ask("client-2", 9 << 20).await;
    stream.raw(&content[..5 << 20]).await.expect("sent");
    assert!(room().await.expect("told") > 9 << 20, "its room is taken");
    drop(stream);
    let until = Instant::now() + Duration::from_secs(60);
    while room().await != Some(0) {
        assert!(Instant::now() < until, "its room stays taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut stream = ask("client-2", 9 << 20).await;
    stream.raw(&content).await.expect("sent");
    // The header of its content is the first 4 bytes.
    let packets = ((9 << 20) + 4u32).div_ceil(256);
    assert!(matches!(stream.receive().await, Ok(Answer::Accepted { packets: p, .. }) if p == packets));
    stream.send(&Ask::Outbox { all: false }).await.expect("sent");
    assert!(matches!(stream.receive().await, Ok(Answer::Listed(listed)) if listed.bytes == (9 << 20) + 4));
    network.stop().await;
}

/// The mean of a phase's duration in what a mix serves as metrics, in seconds.
fn mean_phase(metrics: &str, phase: &str) -> f64 {
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.contains(name) && line.contains(&format!("\"{phase}\"")));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).expect("it has been through it")
    };
    value("phase_seconds_sum") / value("phase_seconds_count")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_leaves_at_the_rate_that_its_mix_is_told() {
    let home = tempfile::tempdir().expect("a directory");
    let plan = Plan { payload: 4096, ..plan() };
    let mut network = start(&plan, plan.clients, home.path()).await;
    network.stop_mix(0).await;
    network.emission = Emission::mbit(1);
    network.start_mix(0).expect("starts");
    rounds_go_on(&network, 3).await;
    // Of two clients at least, four packets and two of noise; the last begins when the others have had their time.
    let due = 5.0 * plan.geometry().packet() as f64 * 8.0 / 1e6;
    let took = mean_phase(&network.metrics(0).expect("runs"), "forward");
    assert!(took >= due, "{took} s for what takes {due} s at that rate");
    send(&network, 0, "client-2", b"slowly").await;
    assert_eq!(receive(&network, 1).await, [(Some("client-1".into()), b"slowly".to_vec())]);
    network.stop().await;
}
