//! What sealing a round costs at the entry, at a mix between and at the exit: the work of one round with and without it, in turn,
//! on one thread. The ratio is what counts; both sides run in the same process, so that noise of the machine hits both.
//!
//! `cargo bench --bench sealed [-- PACKETS]`; writes `target/bench/sealed.json`. Left out: what is done once a round and not once a packet (signatures of mixes,
//! of which there are ten or so), once an epoch (agreeing on MAC keys), and the time on the wire.
#![expect(clippy::print_stdout, reason = "a bench tells its figures")]

use std::cell::RefCell;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mixnet::crypto::{BATCH, Csprng, IdentityKey, SecretKey};
use mixnet::packet::{Commitment, Echo, Geometry, NO_EXTRA, Slots};
use mixnet::round::{
    Admission, Collection, Done, EntryList, Job, ListRules, ReturnPath, Shuffled, Struck, Submission, TakenList,
    check_echoes, first_echoes, published,
};
use mixnet::sim::{BurntRound, Contest, Plan, Row, processor_time, write_raw_data};
use mixnet::wire::{
    ClientRecords, ListContext, ListKey, ListKeys, ListRecord, ListSecret, SignedListHeader, batch_digest,
    onion_digest, onion_digests,
};
use rand::{Rng, SeedableRng};

/// Packets of the entry's clients in each round, four of each.
const PACKETS: usize = 4096;
const OF_EACH: usize = 4;

/// A round of many clients, as the mixes meet it.
struct Bench {
    geometry: Geometry,
    round: BurntRound,
    rng: Csprng,
    context: ListContext,
    rules: ListRules,
    /// Of each client in roster order, its packets beside them.
    submissions: Vec<(Vec<u8>, ClientRecords)>,
    /// Of each mix.
    keys: Vec<Arc<ListKeys>>,
    echoes: Vec<Echo>,
}

impl Bench {
    fn new(payload: u32, packets: usize) -> Self {
        let clients = packets / OF_EACH;
        let plan = Plan { clients, payload, packets_per_client: OF_EACH as u32, ..Plan::default() };
        let mut round = BurntRound::new(&plan);
        let context =
            ListContext { network: round.context.network, epoch: round.context.epoch, round: round.context.round };
        let secrets: Vec<SecretKey> = (0..plan.mixes).map(|_| SecretKey::random(&mut round.rng)).collect();
        let list_keys = || round.network.roster.clients.iter().map(|client| client.list_key);
        let secret = |secret: &SecretKey| ListSecret::new(secret, context.network, context.epoch);
        let keys: Vec<_> = secrets.iter().map(|own| Arc::new(ListKeys::new(secret(own), list_keys()))).collect();
        let submissions = round.submitted.chunks(OF_EACH).map(|own| {
            let index = own[0].client;
            let record = |it: &mixnet::sim::Submitted| ListRecord {
                index,
                onion: onion_digest(&it.onion),
                commitment: it.commitment,
            };
            let client = &round.clients[index as usize];
            let own_secret = secret(&SecretKey::from_bytes(client.list));
            let towards = |mix: &SecretKey| own_secret.with_mix(&mix.public_key()).expect("a usable key");
            let keys: Vec<ListKey> = secrets.iter().map(towards).collect();
            let packets = own.iter().flat_map(|it| &it.onion).copied().collect();
            let own = own.iter().map(record).collect();
            (packets, ClientRecords::make(&context, own, &keys, &IdentityKey::from_seed(&client.identity)))
        });
        let submissions = submissions.collect();
        for index in 0..clients as u32 {
            keys.iter().for_each(|keys| assert!(black_box(keys.get(index)).is_some()));
        }
        let mut rng = Csprng::seed_from_u64(1);
        let echoes = (0..packets)
            .map(|_| {
                let mut echo = [0; 16];
                rng.fill_bytes(&mut echo);
                echo
            })
            .collect();
        let rules = ListRules { network: round.network.clone(), context, quorum: 2 };
        Self { geometry: plan.geometry(), round, rng, context, rules, submissions, keys, echoes }
    }

    /// The packets that a mix takes in, from the one before it.
    fn packets(&mut self, hop: u8) -> Vec<u8> {
        (0..self.echoes.len()).flat_map(|_| self.round.foreign(hop)).collect()
    }

    fn list(&self) -> EntryList {
        let records = self.submissions.iter().map(|(_, own)| (own.index(), own.clone())).collect();
        EntryList::assemble(self.rules.clone(), records, &Struck::new(6), &self.round.mixes[0])
            .expect("an honest list")
            .0
    }

    fn commitments(&self) -> Vec<(u32, Commitment)> {
        let records = self.submissions.iter().flat_map(|(_, own)| own.records());
        records.map(|record| (record.index, record.commitment)).collect()
    }

    /// Takes in, peels, shuffles and digests what a mix behind the entry hands on: what it does in any round.
    fn pass(&mut self, hop: u8, packets: &[u8]) -> (Vec<Slots>, Option<ReturnPath>) {
        let mut slots = Slots::from_packets(self.geometry, packets).expect("whole packets");
        black_box(batch_digest(&onion_digests(slots.all_received())));
        self.round.peeler(hop).peel(&mut slots, NO_EXTRA).expect("honest packets peel");
        if hop == 3 {
            return (vec![slots], None);
        }
        (Vec::new(), Some(self.shuffle(vec![slots])))
    }

    fn shuffle(&mut self, segments: Vec<Slots>) -> ReturnPath {
        let mut batch = Shuffled::new(&mut self.rng, self.geometry, segments);
        black_box(batch.digest());
        batch.take_return_path().expect("nobody took it before")
    }

    fn check(&self) {
        // Made-up echoes fail, at the same cost.
        drop(black_box(check_echoes(&self.round.context, &self.commitments(), &self.echoes)));
    }

    /// A round at the entry: submissions judged as many at a time as fill a batch, taken, shuffled; if it is sealed, records
    /// checked with them, the list made and written for each mix, echoes back, published and checked.
    fn enter(&mut self, sealed: bool) {
        let admission = sealed.then(|| Admission::new(self.rules.clone(), self.keys[0].clone()));
        let (round, now) = (self.context.round, Duration::ZERO);
        let mut open = Collection::new(round, now, now, self.round.peeler(1), admission);
        for group in self.submissions.chunks(BATCH / OF_EACH) {
            let mut job = |(packets, records): &(Vec<u8>, ClientRecords)| {
                let packets = Slots::from_packets(self.geometry, packets).expect("whole packets");
                let submission = Submission { packets, records: if sealed { records.to_bytes() } else { Vec::new() } };
                let attempt = open.attempt(records.index(), false).expect("one attempt each");
                Job::Submission { round, client: records.index(), submission, attempt }
            };
            let jobs = group.iter().map(&mut job).collect();
            for done in Job::run_together(jobs) {
                let Done::Submission { client, judged, .. } = done else { unreachable!("what was asked for") };
                open.take(client, judged).expect("an honest submission");
            }
        }
        let mut closed = open.finish();
        let (records, places) = (std::mem::take(&mut closed.records), closed.places());
        let (_, _, segments) = closed.into_batch(self.submissions.len());
        let path = self.shuffle(segments);
        if sealed {
            let list = EntryList::assemble(self.rules.clone(), records, &Struck::new(6), &self.round.mixes[0]);
            let (list, _) = list.expect("an honest list");
            (1..3).for_each(|mix| drop(black_box(list.body(mix))));
            let (back, _) = path.back(&self.echoes).expect("one each");
            drop(black_box(published(&places, &back)));
            self.check();
        }
    }

    fn seal_behind(&self, hop: u8, header: &SignedListHeader, body: &[u8]) {
        let keys = &self.keys[usize::from(hop) - 1];
        let taken = TakenList::take(&self.rules, hop, keys, &Struck::new(6), header.clone(), body);
        drop(black_box(taken.expect("an honest list")));
        self.check();
    }

    /// A round with and without it.
    fn cost(&mut self, hop: u8, name: &str) -> Vec<Row> {
        let (packets, list, count) = (self.packets(hop), self.list(), self.echoes.len());
        let (header, body) =
            (list.header().clone(), if hop == 1 { Bytes::new() } else { list.body(usize::from(hop) - 1) });
        let bench = RefCell::new(self);
        let mut contest = Contest::default();
        let unsealed = contest.add(format!("{name}/unsealed"), count, &[], || {
            let mut bench = bench.borrow_mut();
            processor_time(|| if hop == 1 { bench.enter(false) } else { drop(black_box(bench.pass(hop, &packets))) })
        });
        contest.add(format!("{name}/sealed"), count, &[unsealed], || {
            let mut bench = bench.borrow_mut();
            processor_time(|| if hop == 1 { bench.enter(true) } else { bench.behind(hop, &packets, &header, &body) })
        });
        contest.run()
    }

    fn behind(&mut self, hop: u8, packets: &[u8], header: &SignedListHeader, body: &[u8]) {
        let (segments, path) = self.pass(hop, packets);
        self.seal_behind(hop, header, body);
        match path {
            Some(path) => drop(black_box(path.back(&self.echoes))),
            None => drop(black_box(first_echoes(self.context.round, &segments))),
        }
    }
}

fn main() {
    let packets = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(PACKETS);
    println!("{packets} packets a round, {OF_EACH} a client");
    let mut rows = Vec::new();
    for payload in [256, 1024, 2048, 16 << 10] {
        let mut bench = Bench::new(payload, packets);
        for (hop, mix) in [(1, "entry"), (2, "middle"), (3, "exit")] {
            let found = bench.cost(hop, &format!("{mix}/{payload}"));
            found.iter().for_each(|row| println!("{row}"));
            rows.extend(found);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/sealed.json");
    write_raw_data(&rows, "cargo bench --bench sealed", &path).expect("target can be written");
}
