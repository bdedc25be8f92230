//! Disks that fill up under running daemons, and empty again. The limit on file sizes plays the full disk: it is the
//! process's own, so everything here is one test.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mixnet::client::{Client, ClientConfig, DiskLimits};
use mixnet::config::{Capability, ClientSecrets, Contact, Contacts};
use mixnet::control::{Answer, Ask, Failure, MessageKind, Outgoing, Place, Stream};
use mixnet::crypto::{Backend, Digest, IdentityKey, MailboxId, SecretKey};
use mixnet::net::Limits;
use mixnet::node::{Emission, Node, NodeConfig};
use mixnet::sim::Plan;
use mixnet::store::{Decisions, Mailbox, MapLimits, Store, StoreError};
use mixnet::testnet::{PortOf, free_ports};
use mixnet::wire::{Members, Network, Outcome, Record, StoredLetter, Verdict};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

/// Beyond what the slowest machine needs.
const PATIENCE: Duration = Duration::from_secs(120);
/// A message of two fragments.
const BYTES: usize = 100_000;

/// From now on no file grows beyond `bytes`; `None` lifts the limit.
fn limit_files(bytes: Option<u64>) {
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).expect("known");
    setrlimit(Resource::RLIMIT_FSIZE, bytes.unwrap_or(hard), hard).expect("not above the hard limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_refuses_and_goes_on_when_there_is_room() {
    // As the daemons do: without a handler the first write beyond the limit ends the process.
    let _handled = signal(SignalKind::from_raw(Signal::SIGXFSZ as i32)).expect("a handler");
    an_exit_decides_without_room_for_letters();
    clients_take_part_without_room_and_lose_nothing().await;
}

fn an_exit_decides_without_room_for_letters() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::lmdb(&dir.path().join("store"), MapLimits::default()).expect("writable");
    let (decisions, mailbox) = (Decisions::new(store.clone(), 10_000, 16_384), Mailbox::new(store));
    let owner = MailboxId([1; 16]);
    let decide = |round: u64, outcome, letters: usize| {
        let verdict = Verdict { network: Digest([1; 32]), epoch: 1, round, members: Members::none(4), outcome };
        let letter = StoredLetter { epoch: 1, round, letter: vec![round as u8; 20_000].into() };
        decisions.apply(Record::Decided { verdict, letters: vec![(owner, letter); letters] })
    };
    let stored = Outcome::Stored { refused: 0 };
    for round in 1..=5 {
        decide(round, stored, 5).expect("room");
    }
    limit_files(Some(fs::metadata(dir.path().join("store/data.mdb")).expect("there").len()));
    // Freed pages are used up first; then full is full, and there is still room to say so.
    let full = (6..20).find(|round| matches!(decide(*round, stored, 5), Err(StoreError::Full))).expect("a limit");
    for round in full..full + 20 {
        assert!(matches!(decide(round, stored, 5), Err(StoreError::Full)));
        decide(round, Outcome::OpenedNotStored, 0).expect("room for a decision");
    }
    let kept = mailbox.totals().expect("readable").letters;
    assert_eq!(kept, (full - 1) * 5);
    let polled = mailbox.poll(&owner, 0, 1000).expect("readable");
    assert!(polled.iter().all(|(_, letter)| letter.letter == vec![letter.round as u8; 20_000]));
    // Its owner makes room, or its operator.
    mailbox.acknowledge(&owner, polled[24].0).expect("room for deleting");
    decide(1000, stored, 2).expect("room again");
    limit_files(None);
    decide(1001, stored, 50).expect("room again");
    assert_eq!(mailbox.totals().expect("readable").letters, kept - 25 + 52);
}

struct Running {
    nodes: Vec<Node>,
    clients: Vec<Client>,
    home: tempfile::TempDir,
}

impl Running {
    /// Three mixes in memory and four clients, each with a real disk.
    async fn start() -> Self {
        let plan = Plan { round_ms: 300, mix_delay_ms: (0, 5), payload: 65_536, ..Plan::default() };
        let (network, keys, secrets) = plan.network();
        let mut network: Network = Arc::unwrap_or_clone(network);
        let addresses = free_ports(PortOf::Mix, keys.len()).expect("ports");
        for (mix, address) in network.roster.mixes.iter_mut().zip(&addresses) {
            mix.address = address.to_string();
        }
        let network = Arc::new(network);
        let home = tempfile::tempdir().expect("a directory");
        let contacts = Contacts::at(&home.path().join("contacts.txt"));
        let (mut nodes, mut clients) = (Vec::new(), Vec::new());
        for (key, listen) in keys.iter().zip(addresses) {
            let key = IdentityKey::from_pkcs8(key.expose_pkcs8()).expect("its own encoding");
            let (store, limits, backend) = (Store::memory(), Limits::default(), Backend::default());
            let config = NodeConfig {
                network: network.clone(),
                key,
                listen,
                store,
                limits,
                backend,
                emission: Emission::default(),
                evidence: None,
            };
            nodes.push(Node::start(config).expect("starts"));
        }
        for (client, secrets) in network.roster.clients.iter().zip(secrets) {
            let (mailbox, letter_key) = (secrets.address.mailbox, secrets.address.letter_key);
            contacts.add(&Contact { name: client.id.clone(), mailbox, letter_key }).expect("writable");
            let config = ClientConfig {
                network: network.clone(),
                id: client.id.clone(),
                secrets: ClientSecrets {
                    identity: IdentityKey::from_seed(&secrets.identity),
                    letter: SecretKey::from_bytes(secrets.letter),
                    list: SecretKey::from_bytes(secrets.list),
                    capability: Capability::from_bytes(secrets.capability),
                },
                contacts: Contacts::at(&home.path().join("contacts.txt")),
                store: Store::lmdb(&home.path().join(&client.id), MapLimits::default()).expect("writable"),
                disk_limits: DiskLimits::default(),
                wait_rounds: 0,
                limits: Limits::default(),
                evidence: home.path().join("evidence"),
            };
            let control = home.path().join(format!("{}.sock", client.id));
            clients.push(Client::start(config, &control).await.expect("starts"));
        }
        Self { nodes, clients, home }
    }

    async fn connect(&self, client: &str) -> Stream {
        Stream::connect(&self.home.path().join(format!("{client}.sock"))).await.expect("listens")
    }

    fn data(&self, client: &str) -> u64 {
        fs::metadata(Path::new(&self.home.path().join(client)).join("data.mdb")).expect("there").len()
    }

    async fn status(&self, client: &str) -> Value {
        let mut stream = self.connect(client).await;
        stream.send(&Ask::Status).await.expect("sent");
        match stream.receive().await.expect("answered") {
            Answer::Status(status) => serde_json::from_str(&status).expect("JSON"),
            other => unreachable!("{other:?}"),
        }
    }

    /// Sends a message that begins with its number.
    async fn send(&self, number: u32) -> Answer {
        let mut text = vec![b'x'; BYTES];
        text[..4].copy_from_slice(&number.to_be_bytes());
        let mut stream = self.connect("client-1").await;
        let bytes = text.len() as u64;
        let to = "client-2".into();
        let outgoing = Outgoing { to, named: true, kind: MessageKind::Text, name: String::new(), bytes };
        stream.send(&Ask::PrepareMessage(outgoing)).await.expect("sent");
        stream.raw(&text).await.expect("sent");
        stream.receive().await.expect("answered")
    }

    /// Waits until `done` says so of a client's status.
    async fn until(&self, client: &str, fault: &str, done: impl Fn(&Value) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(&self.status(client).await) {
            assert!(Instant::now() < until, "{fault}: {}", self.status(client).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a client has submitted to three more rounds, and holds it to having missed none.
    async fn takes_part(&self, client: &str) {
        let count = |status: &Value, name: &str| status["counters"][name].as_u64().expect("a count");
        let before = self.status(client).await;
        let goal = count(&before, "submissions") + 3;
        self.until(client, "it fell silent", |status| count(status, "submissions") >= goal).await;
        let now = self.status(client).await;
        assert_eq!(count(&now, "tickets_incomplete"), count(&before, "tickets_incomplete"));
    }
}

async fn clients_take_part_without_room_and_lose_nothing() {
    let network = Running::start().await;
    assert!(matches!(network.send(0).await, Answer::Accepted { .. }));
    network.until("client-2", "it does not arrive", |status| status["inbox"]["total"] == 1).await;

    // The sender and the recipient have room for a little more. Then the sender says no before it accepts, and what
    // the recipient cannot write stays in its mailbox.
    limit_files(Some(network.data("client-1").max(network.data("client-2")) + 3 * BYTES as u64));
    let (mut accepted, mut refused) = (1, 0);
    let until = Instant::now() + PATIENCE;
    while refused == 0 || network.status("client-2").await["disk"].is_null() {
        match network.send(accepted).await {
            Answer::Accepted { .. } => accepted += 1,
            Answer::Failed(Failure::DiskFull) => {
                refused += 1;
                network.takes_part("client-1").await;
            }
            other => unreachable!("{other:?}"),
        }
        assert!(Instant::now() < until, "{accepted} accepted, {refused} refused");
    }
    assert!(network.status("client-2").await["disk"].as_str().expect("told").contains("full"));
    network.takes_part("client-2").await;

    limit_files(None);
    let last = accepted;
    network.until("client-2", "what was accepted does not arrive", |status| status["inbox"]["total"] == last).await;
    assert!(matches!(network.send(last).await, Answer::Accepted { .. }), "there is room again");
    network.until("client-2", "a later one does not arrive", |status| status["inbox"]["total"] == last + 1).await;
    network.until("client-2", "its disk is not well", |status| status["disk"].is_null()).await;
    let mut stream = network.connect("client-2").await;
    stream.send(&Ask::PollMessages { all: true, wait_ms: 0 }).await.expect("sent");
    let mut numbers = Vec::new();
    while let Answer::Message(message) = stream.receive().await.expect("answered") {
        let data = stream.bytes(message.bytes).await.expect("content");
        assert!(data.len() == BYTES && data[4..].iter().all(|byte| *byte == b'x'));
        numbers.push(u32::from_be_bytes(data[..4].try_into().expect("four bytes")));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..=last).collect::<Vec<_>>(), "each once");

    // Nothing is held; the outbox shows them all as stored.
    let mut stream = network.connect("client-1").await;
    network.until("client-1", "not all are settled", |status| status["outbox"]["stored"] == last + 1).await;
    stream.send(&Ask::Outbox { all: false }).await.expect("sent");
    assert_eq!(stream.receive::<Answer>().await.expect("answered"), Answer::End);
    stream.send(&Ask::Outbox { all: true }).await.expect("sent");
    let mut listed = 0;
    while let Answer::Listed(message) = stream.receive().await.expect("answered") {
        assert_eq!((message.state, message.to.as_deref()), (Place::Stored, Some("client-2")));
        listed += 1;
    }
    assert_eq!(listed, last + 1);
    for client in network.clients {
        client.stop().await;
    }
    for node in network.nodes {
        node.stop().await;
    }
}
