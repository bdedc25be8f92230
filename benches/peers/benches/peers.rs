//! What a hop costs with other mix networks' packets and with ours, at the same payload, in one run on one thread.
//!
//! `cd benches/peers && cargo bench`; writes `target/bench/peers.json` there. Every result is checked before it is timed.
//!
//! The jobs are not equal. Sphinx keeps a packet's size over any route, hides the route's length, and carries reply blocks;
//! it and Outfox name the next hop inside the packet. Our cascade is fixed, so that a layer names nobody; it authenticates the
//! whole body at every hop, where they authenticate the header, binds each layer to its round, and leaves an echo key. Replay sets are
//! in our figure and not in theirs. Our packets are peeled in batches of 512, as a mix gets them; theirs one by one, as their
//! interfaces have it.

use std::hint::black_box;
use std::path::Path;

use mixnet::crypto::{Backend, Csprng, PublicKey, SecretKey};
use mixnet::sim::{Contest, Row, processor_time, write_raw_data};
use mixnet_peers::ours::{self, Ours};
use mixnet_peers::outfox::{self, Outfox};
use mixnet_peers::sphinx::{self, Sphinx};
use rand::{Rng, SeedableRng};

const PAYLOADS: [usize; 4] = [256, 1024, 2048, 32 << 10];
/// Points of a batch.
const POINTS: usize = 512;

fn main() {
    let mut rows = agreements();
    for payload in PAYLOADS {
        rows.extend(hops(payload));
    }
    rows.extend(packets(2048));
    rows.iter().for_each(|row| println!("{row}"));
    write_raw_data(&rows, "cd benches/peers && cargo bench", Path::new("target/bench/peers.json")).expect("a file");
}

fn message(payload: usize) -> Vec<u8> {
    let mut message = vec![0; payload];
    Csprng::seed_from_u64(payload as u64).fill_bytes(&mut message);
    // Outfox finds a message's beginning by what is not zero before it.
    message[0] |= 1;
    message
}

/// X25519 with one secret and changing points.
fn agreements() -> Vec<Row> {
    let mut rng = Csprng::seed_from_u64(2);
    let own = SecretKey::random(&mut rng);
    let peers: Vec<PublicKey> = (0..POINTS).map(|_| SecretKey::random(&mut rng).public_key()).collect();
    let graviola = graviola::key_agreement::x25519::StaticPrivateKey::from_array(own.expose());
    let points: Vec<_> = peers
        .iter()
        .map(|peer| graviola::key_agreement::x25519::PublicKey::try_from_slice(&peer.0).expect("32 bytes"))
        .collect();

    let wanted = agree(Backend::Dalek, &own, &peers);
    for backend in backends() {
        assert_eq!(agree(backend, &own, &peers), wanted, "{backend} differs from dalek");
    }
    for (point, wanted) in points.iter().zip(&wanted) {
        assert_eq!(graviola.diffie_hellman(point).expect("a secret").0, *wanted, "graviola differs from dalek");
    }

    let mut contest = Contest::default();
    let graviola = contest.add("X25519 graviola", POINTS, &[], || {
        processor_time(|| points.iter().for_each(|point| drop(black_box(graviola.diffie_hellman(point)))))
    });
    let mut others = vec![graviola];
    // The reference first, the lanes last.
    for backend in backends().rev() {
        let (agreement, peers) = (own.prepare(backend), &peers);
        let mut secrets: Vec<_> = peers.iter().map(|_| None).collect();
        let place = contest.add(format!("X25519 {backend}"), POINTS, &others, move || {
            processor_time(|| agreement.agree_all(peers, &mut secrets))
        });
        others.push(place);
    }
    contest.run()
}

fn agree(backend: Backend, own: &SecretKey, peers: &[PublicKey]) -> Vec<[u8; 32]> {
    let mut secrets: Vec<_> = peers.iter().map(|_| None).collect();
    own.prepare(backend).agree_all(peers, &mut secrets);
    secrets.iter().map(|secret| *secret.as_ref().expect("a secret").expose()).collect()
}

fn backends() -> impl DoubleEndedIterator<Item = Backend> {
    Backend::ALL.into_iter().filter(|backend| backend.is_available())
}

/// One hop of each format.
fn hops(payload: usize) -> Vec<Row> {
    let message = message(payload);
    let (mut ours, sphinx, outfox) = (Ours::new(&message), Sphinx::new(&message), Outfox::new(&message));
    sphinx.check();
    outfox.check();
    backends().for_each(|backend| ours.check(backend));

    let mut contest = Contest::default();
    let sphinx = contest.add(format!("{payload} B: sphinx-packet unwrap"), sphinx::BATCH, &[], sphinx.unwrap());
    let outfox = contest.add(format!("{payload} B: nym-outfox unwrap"), outfox::BATCH, &[sphinx], outfox.unwrap());
    for backend in backends() {
        contest.add(format!("{payload} B: peel, {backend}"), ours::BATCH, &[sphinx, outfox], ours.peel(backend));
    }
    contest.run()
}

/// Making a packet.
fn packets(payload: usize) -> Vec<Row> {
    let message = message(payload);
    let (mut ours, sphinx, outfox) = (Ours::new(&message), Sphinx::new(&message), Outfox::new(&message));
    let mut contest = Contest::default();
    let first = contest.add(format!("{payload} B: sphinx-packet create"), 1, &[], || processor_time(|| sphinx.build()));
    contest.add(format!("{payload} B: nym-outfox create"), 1, &[first], || processor_time(|| outfox.build()));
    contest.add(format!("{payload} B: build"), 64, &[first], || processor_time(|| ours.build(64)));
    contest.run()
}
