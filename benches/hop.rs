//! What one hop costs: peeling, per backend and payload, and building a packet. Ratios within one run are what counts.

use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mixnet::crypto::{Backend, Csprng, Digest, MailboxId, SecretKey};
use mixnet::packet::{Address, Body, Builder, Geometry, MessageId, NO_EXTRA, Peeler, Recipe, RoundContext, Slots};
use mixnet::round::Shuffled;
use rand::SeedableRng;

/// Packets in a batch.
const BATCH: usize = 64;
const CONTEXT: RoundContext = RoundContext { network: Digest([1; 32]), epoch: 1, round: 1 };

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

    fn packets(&mut self, backend: Backend, count: usize) -> Vec<u8> {
        let builder = self.builder(backend);
        let to = Address { mailbox: MailboxId([2; 16]), letter_key: self.secrets[4].public_key() };
        let mut out = Vec::new();
        for _ in 0..count {
            let body = Body::dummy(MessageId([0; 16]), 1, b"");
            builder.noise_packet(&mut self.rng, 2, &Recipe { to, body, sender: None }, &mut out);
        }
        out
    }
}

fn peel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("peel");
    for payload in [256, 1024, 2048, 32 << 10] {
        let mut hop = Hop::new(payload);
        let packets = hop.packets(Backend::default(), BATCH);
        group.throughput(Throughput::Elements(BATCH as u64));
        for backend in Backend::ALL {
            let peeler = Peeler::new(hop.geometry, CONTEXT, 2, &hop.secrets[1], backend);
            group.bench_function(BenchmarkId::new(backend.to_string(), payload), |bencher| {
                bencher.iter_custom(|times| {
                    (0..times)
                        .map(|_| {
                            let mut slots = Slots::from_packets(hop.geometry, &packets).expect("whole packets");
                            let began = Instant::now();
                            peeler.peel(&mut slots, NO_EXTRA).expect("own packets peel");
                            began.elapsed()
                        })
                        .sum()
                });
            });
        }
    }
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    for backend in Backend::ALL {
        let mut hop = Hop::new(2048);
        group.bench_function(backend.to_string(), |bencher| bencher.iter(|| hop.packets(backend, 1)));
    }
}

fn shuffle(criterion: &mut Criterion) {
    let mut hop = Hop::new(2048);
    criterion.bench_function("shuffle/10000", |bencher| {
        bencher.iter_with_large_drop(|| {
            let slots = Slots::zeroed(hop.geometry, 10_000);
            Shuffled::new(&mut hop.rng, hop.geometry, vec![slots])
        });
    });
}

criterion_group!(benches, peel, build, shuffle);
criterion_main!(benches);
