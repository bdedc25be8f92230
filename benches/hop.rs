//! What one hop costs: X25519, peeling, building, shuffling, coding, per backend and payload.
//!
//! Candidates of a group take turns ([`Contest`]). Times are processor time of this thread, but for those *on the clock* and *the
//! busiest* of several threads. Every candidate's output is checked before it is timed, and the program fails if it is wrong. The
//! table goes to standard output, the rows to `target/bench/hop.json`.
#![expect(clippy::print_stdout, reason = "a table")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Mutex;

use mixnet::crypto::{Backend, Csprng, Digest, MailboxId, PublicKey, Scalars, SecretKey, multiply};
use mixnet::packet::{
    Address, Body, Builder, Geometry, MessageId, Peeler, Recipe, ReplaySet, RoundContext, SEAL_BYTES, Slots,
};
use mixnet::round::Shuffled;
use mixnet::sim::{Contest, Row, Threads, processor_time, wall_time, write_raw_data};
use mixnet::wire::{Request, frame};
use rand::{Rng, SeedableRng};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

/// Points in a batch of X25519, packets in a batch of small ones.
const BATCH: usize = 512;
const PAYLOADS: [usize; 6] = [256, 1024, 2048, 32 << 10, 1 << 20, 4 << 20];
/// Bytes of a batch, at most.
const BATCH_BYTES: usize = 16 << 20;
const CONTEXT: RoundContext = RoundContext { network: Digest([1; 32]), epoch: 1, round: 1 };

/// The reference first, so that the others are held against it.
fn backends() -> impl Iterator<Item = Backend> {
    Backend::ALL.into_iter().rev().filter(|backend| backend.is_available())
}

/// A batch of points under one scalar, and under each its own.
fn x25519(rows: &mut Vec<Row>) {
    let mut rng = Csprng::seed_from_u64(1);
    let secrets: Vec<SecretKey> = (0..BATCH).map(|_| SecretKey::random(&mut rng)).collect();
    let own: Vec<&SecretKey> = secrets.iter().collect();
    let points: Vec<PublicKey> = secrets.iter().map(SecretKey::public_key).collect();
    for (kind, scalars) in [("one key", Scalars::Shared(own[0])), ("own keys", Scalars::Each(&own))] {
        let computed = |backend| {
            let mut out = vec![[0; 32]; BATCH];
            multiply(backend, scalars, &points, &mut out);
            out
        };
        let expected = computed(Backend::Dalek);
        let (mut contest, mut others) = (Contest::default(), Vec::new());
        for backend in backends() {
            assert!(computed(backend) == expected, "{backend} computes something else");
            let (mut out, points) = (vec![[0; 32]; BATCH], &points);
            let name = format!("x25519/{kind}/{backend}");
            let place = contest
                .add(name, BATCH, &others, move || processor_time(|| multiply(backend, scalars, points, &mut out)));
            others.push(place);
        }
        rows.extend(contest.run());
    }
}

struct Hop {
    geometry: Geometry,
    secrets: Vec<SecretKey>,
    rng: Csprng,
}

impl Hop {
    fn new(payload: usize) -> Self {
        let mut rng = Csprng::seed_from_u64(1);
        let geometry = Geometry::new(3, payload).expect("in range");
        let secrets = (0..5).map(|_| SecretKey::random(&mut rng)).collect();
        Self { geometry, secrets, rng }
    }

    fn builder(&self, backend: Backend) -> Builder {
        let onions = self.secrets[..3].iter().map(SecretKey::public_key).collect();
        Builder::new(self.geometry, CONTEXT, backend, onions, self.secrets[3].public_key())
    }

    /// As a client builds a submission.
    fn packets(&mut self, backend: Backend, count: usize) -> Vec<u8> {
        let builder = self.builder(backend);
        let to = Address { mailbox: MailboxId([2; 16]), letter_key: self.secrets[4].public_key() };
        let recipe = || Recipe { to, body: Body::dummy(MessageId([0; 16]), 1, b""), sender: None };
        let mut out = Vec::with_capacity(count * self.geometry.stride() + 3 * SEAL_BYTES);
        builder.client_packets(&mut self.rng, 0, (0..count).map(|_| recipe()), &mut out);
        out
    }

    fn peeler(&self, backend: Backend) -> Peeler {
        Peeler::new(self.geometry, CONTEXT, 1, &self.secrets[0], backend)
    }
}

/// Copies the packets in and peels them.
fn peel_piece(peeler: &Peeler, packets: &[u8], slots: &mut Slots) {
    for (i, packet) in packets.chunks_exact(peeler.geometry().packet()).enumerate() {
        slots.received_mut(i).copy_from_slice(packet);
    }
    peeler.peel(slots, 0).expect("own packets peel");
}

/// Copies the packets in, peels them, and looks for replays: what a hop does with each.
fn peel_batch(peeler: &Peeler, packets: &[u8], slots: &mut Slots) -> ReplaySet {
    peel_piece(peeler, packets, slots);
    let mut seen = ReplaySet::default();
    for i in 0..slots.len() {
        assert!(seen.insert(slots.ephemeral(i)), "honest packets differ");
    }
    seen
}

fn peel(rows: &mut Vec<Row>) {
    for payload in PAYLOADS {
        let mut hop = Hop::new(payload);
        let count = (BATCH_BYTES / hop.geometry.packet()).clamp(1, BATCH);
        let packets = hop.packets(Backend::default(), count);
        let mut expected = Slots::from_packets(hop.geometry, &packets).expect("whole packets");
        hop.peeler(Backend::Dalek).peel(&mut expected, 0).expect("own packets peel");
        let (mut contest, mut others) = (Contest::default(), Vec::new());
        for backend in backends() {
            let peeler = hop.peeler(backend);
            let mut slots = Slots::zeroed(hop.geometry, count);
            peel_batch(&peeler, &packets, &mut slots);
            assert!((0..count).all(|i| slots.peeled(i) == expected.peeled(i)), "{backend} peels something else");
            let packets = &packets;
            let place = contest.add(format!("peel/{payload}/{backend}"), count, &others, move || {
                processor_time(|| peel_batch(&peeler, packets, &mut slots))
            });
            others.push(place);
        }
        rows.extend(contest.run());
    }
}

/// A batch as large as a round of many clients, on one core and on all: on the clock, and by the core that worked longest,
/// which is what the clock shows where nobody else takes a core away. Pieces are peeled wherever there is a core; looking for replays
/// waits for all of them, as it does in a mix.
fn cores(rows: &mut Vec<Row>) {
    const PACKETS: usize = 100_000;
    let threads = Threads::default();
    let members = threads.clone();
    let pool = ThreadPoolBuilder::new().start_handler(move |_| members.join()).build().expect("threads");
    let main = Threads::default();
    main.join();

    let mut hop = Hop::new(2048);
    let packets = hop.packets(Backend::default(), PACKETS);
    let peeler = hop.peeler(Backend::default());
    let piece_bytes = BATCH * hop.geometry.packet();
    let pieces =
        packets.chunks(piece_bytes).map(|piece| Slots::from_packets(hop.geometry, piece).expect("whole packets"));
    let pieces = Mutex::new(pieces.collect::<Vec<Slots>>());
    let seen = |pieces: &[Slots]| {
        let mut seen = ReplaySet::default();
        let mut each = pieces.iter().flat_map(|slots| (0..slots.len()).map(|i| slots.ephemeral(i)));
        assert!(each.all(|key| seen.insert(key)), "honest packets differ");
    };
    let one = || {
        let mut pieces = pieces.lock().expect("nobody panics");
        pieces.iter_mut().zip(packets.chunks(piece_bytes)).for_each(|(slots, piece)| peel_piece(&peeler, piece, slots));
        seen(&pieces);
    };
    let all = || {
        let mut pieces = pieces.lock().expect("nobody panics");
        let with_bytes = pieces.par_iter_mut().zip(packets.par_chunks(piece_bytes));
        pool.install(|| with_bytes.for_each(|(slots, piece)| peel_piece(&peeler, piece, slots)));
        seen(&pieces);
    };
    let busiest = || {
        let (before, own) = (threads.times(), main.time());
        all();
        let took = threads.times().into_iter().zip(before).map(|(after, before)| after - before);
        took.max().expect("a pool has threads") + (main.time() - own)
    };
    let mut contest = Contest::default();
    let clock = contest.add("peel/2048/one core, on the clock", PACKETS, &[], || wall_time(one));
    let processor = contest.add("peel/2048/one core", PACKETS, &[], || processor_time(one));
    contest.add("peel/2048/all cores, on the clock", PACKETS, &[clock], || wall_time(all));
    contest.add("peel/2048/all cores, the busiest", PACKETS, &[processor], busiest);
    rows.extend(contest.run());
}

fn build(rows: &mut Vec<Row>) {
    for payload in PAYLOADS {
        let of_each = (BATCH_BYTES / Hop::new(payload).geometry.packet()).clamp(1, 64);
        let (mut contest, mut others) = (Contest::default(), Vec::new());
        for backend in backends() {
            let mut hop = Hop::new(payload);
            let packets = hop.packets(backend, of_each);
            let mut slots = Slots::from_packets(hop.geometry, &packets).expect("whole packets");
            hop.peeler(Backend::Dalek).peel(&mut slots, 0).expect("what is built peels");
            let place = contest.add(format!("build/{payload}/{backend}"), of_each, &others, move || {
                processor_time(|| hop.packets(backend, of_each))
            });
            others.push(place);
        }
        rows.extend(contest.run());
    }
}

/// The order is drawn, and the packets copied out in it.
fn shuffle(rows: &mut Vec<Row>) {
    for payload in PAYLOADS {
        let mut hop = Hop::new(payload);
        let count = (BATCH_BYTES / hop.geometry.packet()).max(4);
        let mut out = Vec::with_capacity(count * hop.geometry.packet());
        let mut contest = Contest::default();
        contest.add(format!("shuffle/{payload}"), count, &[], || {
            let mut slots = Slots::zeroed(hop.geometry, count);
            (0u32..).zip(slots.all_peeled_mut()).for_each(|(i, slot)| slot[..4].copy_from_slice(&i.to_le_bytes()));
            out.clear();
            let took = processor_time(|| {
                let batch = Shuffled::new(&mut hop.rng, hop.geometry, vec![slots]);
                batch.packets().for_each(|packet| out.extend_from_slice(packet));
            });
            let mut numbers: Vec<&[u8]> = out.chunks_exact(hop.geometry.packet()).map(|packet| &packet[..4]).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count, "every packet once");
            took
        });
        rows.extend(contest.run());
    }
}

/// A poll, written and read.
fn codec(rows: &mut Vec<Row>) {
    let mut capability = [0; 32];
    Csprng::seed_from_u64(1).fill_bytes(&mut capability);
    let message = Request::PollMessages { round: 1 << 33, capability, acknowledged: [1; 8], after: [0; 8] };
    let bytes = frame::write(&message);
    assert!(frame::read::<Request>(&bytes).is_ok_and(|read| read == message), "what is written is read");
    let mut contest = Contest::default();
    contest.add("codec/poll", 1000, &[], || {
        processor_time(|| {
            for _ in 0..1000 {
                drop(black_box(frame::read::<Request>(&frame::write(black_box(&message)))));
            }
        })
    });
    rows.extend(contest.run());
}

fn main() {
    let mut rows = Vec::new();
    println!("backend by default: {}", Backend::default());
    for group in [x25519, peel, cores, build, shuffle, codec] {
        let before = rows.len();
        group(&mut rows);
        rows[before..].iter().for_each(|row| println!("{row}"));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/hop.json");
    write_raw_data(&rows, "cargo bench --bench hop", &path).expect("target can be written");
}
