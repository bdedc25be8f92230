//! What one hop costs: X25519, peeling, building, shuffling, coding, per backend and payload.
//!
//! Candidates of a group take turns in slices of some milliseconds, so that what slows the machine slows all of them; a
//! ratio is the median over the turns. Times are processor time of this thread, but for `all cores`, which is time on the
//! clock. Every candidate's output is checked before it is timed, and the program fails if it is wrong. The table goes to
//! standard output, the rows to `target/bench/hop.json`.
#![expect(clippy::print_stdout, reason = "a table")]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use mixnet::crypto::{Backend, Csprng, Digest, MailboxId, PublicKey, Scalars, SecretKey, multiply};
use mixnet::packet::{
    Address, Body, Builder, Geometry, MessageId, Peeler, Recipe, ReplaySet, RoundContext, SEAL_BYTES, Slots,
};
use mixnet::round::Shuffled;
use mixnet::wire::{Request, frame};
use nix::time::{ClockId, clock_gettime};
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

/// Turns of each candidate.
const TURNS: usize = 21;
/// What a turn takes at least.
const SLICE: Duration = Duration::from_millis(15);
/// Points in a batch of X25519, packets in a batch of small ones.
const BATCH: usize = 512;
/// Bytes of a batch, at most.
const BATCH_BYTES: usize = 16 << 20;
const CONTEXT: RoundContext = RoundContext { network: Digest([1; 32]), epoch: 1, round: 1 };

/// A line of the table.
struct Row {
    name: String,
    /// Microseconds a unit: median, and the tenth from below and from above.
    median: f64,
    low: f64,
    high: f64,
    unit: &'static str,
    /// The candidate it is held against, and how many times as fast it is.
    ratio: Option<(String, f64)>,
}

/// One way to do a group's work.
struct Candidate<'a> {
    name: String,
    /// Units that one call does.
    units: usize,
    /// Does them, and returns the time: what prepares a call is not in it.
    run: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Candidate<'a> {
    fn new(name: impl Into<String>, units: usize, run: impl FnMut() -> Duration + 'a) -> Self {
        Self { name: name.into(), units, run: Box::new(run) }
    }
}

/// Processor time of this thread.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a thread has a clock").into()
}

fn timed<T>(clock: impl Fn() -> Duration, work: impl FnOnce() -> T) -> Duration {
    let began = clock();
    black_box(work());
    clock() - began
}

fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// Lets the candidates take turns; each is held against the one named `against`.
fn measure(rows: &mut Vec<Row>, unit: &'static str, against: &str, mut candidates: Vec<Candidate<'_>>) {
    let mut times: Vec<Vec<f64>> = candidates.iter().map(|_| Vec::new()).collect();
    for turn in 0..=TURNS {
        for (candidate, times) in candidates.iter_mut().zip(&mut times) {
            let (mut took, mut calls) = (Duration::ZERO, 0);
            while took < SLICE {
                took += (candidate.run)();
                calls += 1;
            }
            // The first turn warms up.
            if turn > 0 {
                times.push(took.as_secs_f64() * 1e6 / (calls * candidate.units) as f64);
            }
        }
    }
    let base = candidates.iter().position(|candidate| candidate.name == against).expect("it is one of them");
    for (candidate, own) in candidates.iter().zip(&times) {
        let ratios = times[base].iter().zip(own).map(|(base, own)| base / own).collect();
        let own = sorted(own.clone());
        let row = Row {
            name: candidate.name.clone(),
            median: quantile(&own, 0.5),
            low: quantile(&own, 0.1),
            high: quantile(&own, 0.9),
            unit,
            ratio: (candidate.name != against).then(|| (against.to_owned(), quantile(&sorted(ratios), 0.5))),
        };
        row.print();
        rows.push(row);
    }
}

impl Row {
    fn print(&self) {
        let Row { name, median, low, high, unit, ratio } = self;
        let ratio = ratio.as_ref().map_or(String::new(), |(to, ratio)| format!("{ratio:6.2} x {to}"));
        println!("{name:<34} {median:>10.3} [{low:.3}, {high:.3}] {unit:<12} {ratio}");
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "median": self.median,
            "low": self.low,
            "high": self.high,
            "unit": self.unit,
            "ratio_to": self.ratio.as_ref().map(|(to, _)| to),
            "ratio": self.ratio.as_ref().map(|(_, ratio)| ratio),
        })
    }
}

fn backends() -> impl Iterator<Item = Backend> {
    Backend::ALL.into_iter().filter(|backend| backend.is_available())
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
        for against in [Backend::Dalek, Backend::AwsLc] {
            let candidates = backends().map(|backend| {
                assert!(computed(backend) == expected, "{backend} computes something else");
                let (mut out, points) = (vec![[0; 32]; BATCH], &points);
                Candidate::new(format!("x25519/{kind}/{backend}"), BATCH, move || {
                    timed(cpu, || multiply(backend, scalars, points, &mut out))
                })
            });
            measure(rows, "us/point", &format!("x25519/{kind}/{against}"), candidates.collect());
        }
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

/// Copies the packets in, peels them, and looks for replays: what a hop does with each.
fn peel_batch(peeler: &Peeler, packets: &[u8], slots: &mut Slots) -> ReplaySet {
    for (i, packet) in packets.chunks_exact(peeler.geometry().packet()).enumerate() {
        slots.received_mut(i).copy_from_slice(packet);
    }
    peeler.peel(slots, 0).expect("own packets peel");
    let mut seen = ReplaySet::default();
    for i in 0..slots.len() {
        assert!(seen.insert(slots.ephemeral(i)), "honest packets differ");
    }
    seen
}

fn peel(rows: &mut Vec<Row>) {
    for payload in [256, 1024, 2048, 32 << 10, 1 << 20, 4 << 20] {
        let mut hop = Hop::new(payload);
        let count = (BATCH_BYTES / hop.geometry.packet()).clamp(1, BATCH);
        let packets = hop.packets(Backend::default(), count);
        let mut expected = Slots::from_packets(hop.geometry, &packets).expect("whole packets");
        hop.peeler(Backend::Dalek).peel(&mut expected, 0).expect("own packets peel");
        let candidates = backends().map(|backend| {
            let peeler = hop.peeler(backend);
            let mut slots = Slots::zeroed(hop.geometry, count);
            peel_batch(&peeler, &packets, &mut slots);
            assert!((0..count).all(|i| slots.peeled(i) == expected.peeled(i)), "{backend} peels something else");
            let packets = &packets;
            Candidate::new(format!("peel/{payload}/{backend}"), count, move || {
                timed(cpu, || peel_batch(&peeler, packets, &mut slots))
            })
        });
        measure(rows, "us/packet", &format!("peel/{payload}/dalek"), candidates.collect());
    }
}

/// A batch of several pieces on one core and on all of them, on the clock.
fn cores(rows: &mut Vec<Row>) {
    const PIECES: usize = 16;
    let began = Instant::now();
    let clock = || began.elapsed();
    let mut hop = Hop::new(2048);
    let packets = hop.packets(Backend::default(), BATCH);
    let peeler = hop.peeler(Backend::default());
    let pieces = || -> Vec<Slots> { (0..PIECES).map(|_| Slots::zeroed(hop.geometry, BATCH)).collect() };
    let (mut one, mut all) = (pieces(), pieces());
    let candidates = vec![
        Candidate::new("peel/2048/one core", PIECES * BATCH, || {
            timed(clock, || one.iter_mut().for_each(|slots| drop(peel_batch(&peeler, &packets, slots))))
        }),
        Candidate::new("peel/2048/all cores", PIECES * BATCH, || {
            timed(clock, || all.par_iter_mut().for_each(|slots| drop(peel_batch(&peeler, &packets, slots))))
        }),
    ];
    measure(rows, "us/packet", "peel/2048/one core", candidates);
}

fn build(rows: &mut Vec<Row>) {
    const OF_EACH: usize = 64;
    let candidates = backends().map(|backend| {
        let mut hop = Hop::new(2048);
        let packets = hop.packets(backend, OF_EACH);
        let mut slots = Slots::from_packets(hop.geometry, &packets).expect("whole packets");
        hop.peeler(Backend::Dalek).peel(&mut slots, 0).expect("what is built peels");
        Candidate::new(format!("build/2048/{backend}"), OF_EACH, move || timed(cpu, || hop.packets(backend, OF_EACH)))
    });
    measure(rows, "us/packet", "build/2048/dalek", candidates.collect());
}

/// The order is drawn, and the packets copied out in it.
fn shuffle(rows: &mut Vec<Row>) {
    const PACKETS: usize = 4096;
    let mut hop = Hop::new(2048);
    let mut out = Vec::with_capacity(PACKETS * hop.geometry.packet());
    let candidate = Candidate::new("shuffle/2048", PACKETS, || {
        let slots = Slots::zeroed(hop.geometry, PACKETS);
        out.clear();
        let took = timed(cpu, || {
            let batch = Shuffled::new(&mut hop.rng, hop.geometry, vec![slots]);
            batch.packets().for_each(|packet| out.extend_from_slice(packet));
        });
        assert_eq!(out.len(), PACKETS * hop.geometry.packet(), "every packet once");
        took
    });
    measure(rows, "us/packet", "shuffle/2048", vec![candidate]);
}

/// A poll, written and read.
fn codec(rows: &mut Vec<Row>) {
    let mut capability = [0; 32];
    Csprng::seed_from_u64(1).fill_bytes(&mut capability);
    let message = Request::PollMessages { round: 1 << 33, capability, acknowledged: [1; 8], after: [0; 8] };
    let bytes = frame::write(&message);
    assert!(frame::read::<Request>(&bytes).is_ok_and(|read| read == message), "what is written is read");
    let candidate = Candidate::new("codec/poll", 1000, || {
        timed(cpu, || {
            for _ in 0..1000 {
                drop(black_box(frame::read::<Request>(&frame::write(black_box(&message)))));
            }
        })
    });
    measure(rows, "us/message", "codec/poll", vec![candidate]);
}

fn main() {
    // `cargo test --benches` only compiles; filters and flags of other harnesses say nothing here.
    let mut rows = Vec::new();
    println!("backend by default: {}", Backend::default());
    for group in [x25519, peel, cores, build, shuffle, codec] {
        group(&mut rows);
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&dir).expect("target can be written");
    let json = serde_json::Value::from(rows.iter().map(Row::json).collect::<Vec<_>>());
    let text = serde_json::to_string_pretty(&json).expect("rows are JSON");
    fs::write(dir.join("hop.json"), text).expect("target can be written");
}
