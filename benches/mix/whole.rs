//! A mix between entry and exit as it runs in the daemon, alone on its threads: who is before it and behind it is played.
//!
//! All three are real mixes, so that they agree on an epoch's keys as always. Then the entry says nothing of its own any more: it
//! hands on batches that are made here, for rounds that no client takes part in. The exit takes what comes, and neither peels nor opens it.
//! Rounds are not sealed: without clients there would be no list to sign. So this is the way of a batch through a mix, and not the
//! sealing of its round.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use mixnet::crypto::{Backend, Csprng, Digest};
use mixnet::mix::{Action, Event, Mix};
use mixnet::net::{Connection, Dial, Endpoint};
use mixnet::node::{Deed, Disk, Intruder, Observer};
use mixnet::packet::{Builder, NO_EXTRA, Peeler, ReplaySet, RoundContext, Slots};
use mixnet::round::OutgoingBatch;
use mixnet::sim::{Loopback, Plan, Threads};
use mixnet::wire::{
    AbortReason, BatchHeader, EpochDocument, Members, Outcome, PeerMessage, Reply, Request, SignedBatchHeader, Verdict,
    batch_digest, onion_digests,
};
use rand::SeedableRng;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::ends::runtime;
use crate::link::outgoing;
use crate::{PACKETS, PAYLOAD, packets};

/// After a batch has left: the last acknowledgements, the verdict, and the memory that it frees.
const SETTLES: Duration = Duration::from_millis(50);
/// A round that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A batch that the exit has been handed.
struct Drained {
    header: SignedBatchHeader,
    pieces: Vec<Slots>,
    peeler: Option<Peeler>,
}

/// A network of three, of which the one in the middle is measured.
pub(crate) struct Whole {
    plan: Plan,
    network: Loopback,
    entry: Observer,
    /// Of everybody else, and of the mix.
    others: Runtime,
    _own: Runtime,
    /// The mix's: those of its runtime and those of the process's thread pool, which nobody else uses while it is measured.
    threads: Threads,
    document: EpochDocument,
    round: u64,
    drained: mpsc::Receiver<Drained>,
    rng: Csprng,
    _client: (Endpoint, Connection),
    _home: TempDir,
}

impl Whole {
    pub(crate) fn new() -> Self {
        let plan = Plan {
            clients: 1,
            min_clients: 1,
            payload: PAYLOAD,
            packets_per_client: PACKETS as u32,
            noise_packets: 0,
            mix_delay_ms: (0, 0),
            sealed: false,
            ..Plan::default()
        };
        let cores = std::thread::available_parallelism().expect("a machine has cores").get();
        let threads = Threads::default();
        let members = threads.clone();
        rayon::ThreadPoolBuilder::new()
            .start_handler(move |_| members.join())
            .build_global()
            .expect("the first to do so");
        let (others, own) = (runtime(cores, &Threads::default()), runtime(cores, &threads));
        let home = tempfile::tempdir().expect("a directory");
        let (sender, drained) = mpsc::channel();

        let mut network = others.block_on(async { Loopback::start(&plan, home.path()) }).expect("a network");
        // The mix goes to its own threads, the exit to somebody who takes and does nothing.
        others.block_on(async { network.stop_mix(1).await });
        others.block_on(async { network.stop_mix(2).await });
        own.block_on(async { network.start_mix(1) }).expect("its port is free");
        let sink = Box::new(Sink { batch: None, drained: sender });
        others.block_on(async { network.start_taken_over(2, sink) }).expect("its port is free");
        let entry = network.observer(0).expect("it runs");
        let (document, endpoint, connection) = others.block_on(begin(&network));
        let (round, rng) = (document.first_round, Csprng::seed_from_u64(3));
        let (_own, _client, _home) = (own, (endpoint, connection), home);
        Self { plan, network, entry, others, _own, threads, document, round, drained, rng, _client, _home }
    }

    /// The whole of a batch comes out, peeled.
    pub(crate) fn check(&mut self) {
        let (Drained { pieces, peeler, .. }, _) = self.pass();
        let (peeler, mut seen) = (peeler.expect("the exit has its key"), ReplaySet::default());
        for mut slots in pieces {
            assert!((0..slots.len()).all(|i| seen.insert(slots.ephemeral(i))), "each packet comes once");
            peeler.peel(&mut slots, NO_EXTRA).expect("what has been peeled for the exit opens there");
        }
    }

    /// One round more: the processor time of all threads of the mix, from the first byte until it has signed the verdict.
    pub(crate) fn round(&mut self) -> Duration {
        self.pass().1
    }

    fn pass(&mut self) -> (Drained, Duration) {
        let batch = self.batch();
        let before = self.threads.time();
        self.entry_does(Action::Forward { to: 1, batch });
        let drained = self.drained.recv_timeout(PATIENCE).expect("the batch comes through");
        self.entry_does(Action::Send { to: 1, message: self.decision() });
        std::thread::sleep(SETTLES);
        let processor = self.threads.time() - before;

        let header = &drained.header.header;
        let hashes = onion_digests(drained.pieces.iter().flat_map(Slots::all_received));
        assert_eq!((hashes.len(), header.round), (PACKETS, self.round), "all packets of the round come");
        assert_eq!(batch_digest(&hashes), header.output, "they are those that the mix has signed for");
        self.round += 1;
        (drained, processor)
    }

    fn entry_does(&self, action: Action) {
        self.others.block_on(self.entry.act(vec![Deed::Do(Box::new(action))]));
    }

    /// As the entry would hand it on.
    fn batch(&mut self) -> Arc<OutgoingBatch> {
        let (document, geometry, round) = (&self.document, self.plan.geometry(), self.round);
        let onions = document.onion_keys(round).expect("the epoch has rounds enough");
        let envelope = document.envelope_key(round).expect("the epoch has rounds enough");
        let context = RoundContext { network: document.network, epoch: document.epoch, round };
        let builder = Builder::new(geometry, context, Backend::default(), onions, envelope);
        let packets = packets(&builder, &mut self.rng);
        let header = BatchHeader {
            network: document.network,
            epoch: document.digest(),
            round,
            hop: 1,
            count: 0,
            noise: 0,
            members: everybody(),
            input: Digest([3; 32]),
            output: Digest([4; 32]),
        };
        Arc::new(outgoing(geometry, &packets, header, self.network.mix_key(0)))
    }

    /// The exit's, which the entry passes on: the mix signs it and is done with the round.
    fn decision(&self) -> PeerMessage {
        let (document, round) = (&self.document, self.round);
        let outcome = Outcome::Aborted(AbortReason::Stopping);
        let verdict =
            Verdict { network: document.network, epoch: document.epoch, round, members: Members::none(1), outcome };
        let signature = verdict.sign(self.network.mix_key(2));
        PeerMessage::Decision { verdict, signature }
    }
}

/// The one client of the roster.
fn everybody() -> Members {
    let mut members = Members::none(1);
    members.insert(0);
    members
}

/// The client asks for the start, for which mixes agree on an epoch, and for no round.
async fn begin(network: &Loopback) -> (EpochDocument, Endpoint, Connection) {
    let endpoint = network.endpoint(0).expect("a socket");
    let entry = &network.network.roster.mixes[0];
    let connection = endpoint.connect(&entry.address, entry.identity, Dial::Client).await.expect("the entry admits it");
    let registered = ask(&connection, &Request::Register).await;
    assert!(matches!(registered, Reply::Registered { index: 0 }), "the roster has it");
    let Reply::Start(mut start) = ask(&connection, &Request::WaitForStart { epoch: 0 }).await else {
        unreachable!("a client that is registered is told of the start")
    };
    let signed = start.chain.pop().expect("the network has an epoch");
    (signed.document, endpoint, connection)
}

async fn ask(connection: &Connection, request: &Request) -> Reply {
    let (mut sender, mut receiver) = connection.open_bi().await.expect("a stream");
    sender.message(request).await.expect("it is taken");
    sender.finish().expect("it ends");
    receiver.answer().await.expect("an answer")
}

/// In the exit's place: takes batches and says so.
struct Sink {
    batch: Option<(SignedBatchHeader, Vec<Slots>)>,
    drained: mpsc::Sender<Drained>,
}

impl Intruder for Sink {
    fn does(&mut self, _: &Mix, _: &Disk, action: Action) -> Vec<Deed> {
        vec![Deed::Do(Box::new(action))]
    }

    fn hears(&mut self, mix: &Mix, _: &Disk, event: Event) -> (Option<Event>, Vec<Deed>) {
        match event {
            Event::Batch { header, .. } => self.batch = Some((header, Vec::new())),
            Event::Segment { slots, .. } => return (None, self.takes(mix, slots)),
            // The mix's share of a round that nobody opens.
            Event::Peer { message: PeerMessage::Release { .. }, .. } => {}
            other => return (Some(other), Vec::new()),
        }
        (None, Vec::new())
    }
}

impl Sink {
    fn takes(&mut self, mix: &Mix, slots: Slots) -> Vec<Deed> {
        let (header, mut pieces) = self.batch.take().expect("a header comes first");
        pieces.push(slots);
        if pieces.iter().map(Slots::len).sum::<usize>() < header.header.count as usize {
            self.batch = Some((header, pieces));
            return Vec::new();
        }
        let (round, digest, peeler) = (header.header.round, header.header.output, mix.own_peeler(header.header.round));
        let _ended = self.drained.send(Drained { header, pieces, peeler });
        vec![Deed::Do(Box::new(Action::Send { to: 1, message: PeerMessage::BatchAccepted { round, digest } }))]
    }
}
