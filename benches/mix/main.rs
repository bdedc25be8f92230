//! A whole mix, fed and drained over QUIC, against the sum of its parts; and the link between two mixes against bare quinn.
//!
//! All take turns in one [`Contest`]. Times are processor time of the threads concerned, but for those *on the clock*. What comes out is checked
//! before anything is timed, of the whole mix in every round, and the program fails if it is wrong. The table goes to standard output, the
//! rows to `target/bench/mix.json`.
#![expect(clippy::print_stdout, reason = "a table")]

mod bare;
mod ends;
mod link;
mod whole;

use std::path::Path;
use std::time::Duration;

use mixnet::crypto::{Backend, Csprng, Digest, MailboxId, SecretKey};
use mixnet::packet::{
    Address, Body, Builder, Ephemerals, Geometry, MessageId, NO_EXTRA, Order, Peeler, Recipe, ReplaySet, RoundContext,
    Slots,
};
use mixnet::round::Shuffled;
use mixnet::sim::{Contest, Row, processor_time, write_raw_data};
use mixnet::wire::{batch_digest, onion_digests};
use rand::SeedableRng;

use bare::Bare;
use link::Link;
use whole::Whole;

const PAYLOAD: u32 = 2048;
/// Packets of a batch: 19 MB, more than any window of the link.
const PACKETS: usize = 8192;
/// The mix between entry and exit.
const HOP: u8 = 2;
/// Packets that a mix peels together.
const PIECE: usize = mixnet::crypto::BATCH;

/// Packets as the mix at `HOP` receives them.
fn packets(builder: &Builder, rng: &mut Csprng) -> Vec<u8> {
    let to = Address { mailbox: MailboxId([2; 16]), letter_key: SecretKey::random(rng).public_key() };
    let order = |_| {
        let recipe = Recipe { to, body: Body::dummy(MessageId([0; 16]), 1, b""), sender: None };
        Order { ephemerals: Ephemerals::draw(rng, builder.geometry(), HOP), recipe }
    };
    let orders: Vec<Order<'_>> = (0..PACKETS).map(order).collect();
    let mut out = Vec::with_capacity(PACKETS * builder.geometry().packet());
    builder.build_all(&orders, HOP, NO_EXTRA, &mut out);
    out
}

/// The packets of one round, its keys, and the work that a mix does on them, without a network.
struct Parts {
    geometry: Geometry,
    peeler: Peeler,
    packets: Vec<u8>,
}

impl Parts {
    fn new() -> Self {
        let mut rng = Csprng::seed_from_u64(1);
        let geometry = Geometry::new(3, PAYLOAD as usize).expect("in range");
        let context = RoundContext { network: Digest([1; 32]), epoch: 1, round: 1 };
        let secrets: Vec<SecretKey> = (0..4).map(|_| SecretKey::random(&mut rng)).collect();
        let onions = secrets[..3].iter().map(SecretKey::public_key).collect();
        let builder = Builder::new(geometry, context, Backend::default(), onions, secrets[3].public_key());
        let packets = packets(&builder, &mut rng);
        let own = &secrets[usize::from(HOP) - 1];
        let peeler = Peeler::new(geometry, context, HOP, own, Backend::default());
        let parts = Self { geometry, peeler, packets };
        let mut expected = parts.received();
        let reference = Peeler::new(geometry, context, HOP, own, Backend::Dalek);
        expected.iter_mut().for_each(|slots| reference.peel(slots, NO_EXTRA).expect("own packets peel"));
        let mut peeled = parts.received();
        parts.peel_all(&mut peeled);
        let same = |(own, other): (&Slots, &Slots)| (0..own.len()).all(|i| own.peeled(i) == other.peeled(i));
        assert!(
            peeled.iter().zip(&expected).all(same),
            "the backend by default peels something else than the reference"
        );
        parts
    }

    /// As the link leaves them.
    fn received(&self) -> Vec<Slots> {
        let pieces = self.packets.chunks(PIECE * self.geometry.packet());
        pieces.map(|piece| Slots::from_packets(self.geometry, piece).expect("whole packets")).collect()
    }

    fn peel_all(&self, pieces: &mut [Slots]) {
        let mut seen = ReplaySet::default();
        for slots in pieces {
            self.peeler.peel(slots, NO_EXTRA).expect("own packets peel");
            assert!((0..slots.len()).all(|i| seen.insert(slots.ephemeral(i))), "honest packets differ");
        }
    }

    fn peel(&self) -> Duration {
        let mut pieces = self.received();
        processor_time(|| self.peel_all(&mut pieces))
    }

    /// The order is drawn; packets are copied out in it when they are sent.
    fn shuffle(&self, rng: &mut Csprng) -> Duration {
        let slots = vec![Slots::zeroed(self.geometry, PACKETS)];
        let mut batch = None;
        let took = processor_time(|| batch = Some(Shuffled::new(rng, self.geometry, slots)));
        assert_eq!(batch.map(|batch| batch.len()), Some(PACKETS));
        took
    }

    /// Each packet as it came and as it leaves, and both batches.
    fn digest(&self) -> Duration {
        processor_time(|| {
            let digest = || batch_digest(&onion_digests(self.packets.chunks_exact(self.geometry.packet())));
            (digest(), digest())
        })
    }
}

fn measure() -> Vec<Row> {
    // First: the thread pool of the process is its mix's.
    let mut whole = Whole::new();
    let parts = Parts::new();
    let geometry = parts.geometry;
    let bare = Bare::new(parts.packets.clone());
    let link = Link::new(geometry, &parts.packets);
    bare.check();
    link.check();
    whole.check();

    let mut rng = Csprng::seed_from_u64(4);
    let mut contest = Contest::default();
    let (bare, link, parts) = (&bare, &link, &parts);
    let quinn_clock = contest.add("bare quinn, on the clock", PACKETS, &[], || bare.carry().clock);
    contest.add("link, on the clock", PACKETS, &[quinn_clock], || link.carry().clock);
    let quinn = contest.add("bare quinn", PACKETS, &[], || bare.carry().processor());
    contest.add("link", PACKETS, &[quinn], || link.carry().processor());

    let receive = contest.add("part: receive", PACKETS, &[], || link.carry().receiving);
    let peel = contest.add("part: peel", PACKETS, &[], || parts.peel());
    let shuffle = contest.add("part: shuffle", PACKETS, &[], || parts.shuffle(&mut rng));
    let send = contest.add("part: send", PACKETS, &[], || link.carry().sending);
    let digest = contest.add("part: digest", PACKETS, &[], || parts.digest());
    let budget = contest.add_sum("budget", &[receive, peel, shuffle, send], &[]);
    let digested = contest.add_sum("budget and digests", &[budget, digest], &[]);
    contest.add("whole mix", PACKETS, &[budget, digested], || whole.round());
    contest.run()
}

fn main() {
    println!("{PACKETS} packets of {PAYLOAD} bytes; backend by default: {}", Backend::default());
    let rows = measure();
    rows.iter().for_each(|row| println!("{row}"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/mix.json");
    write_raw_data(&rows, "cargo bench --bench mix", &path).expect("target can be written");
}
