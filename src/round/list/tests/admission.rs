//! Submissions at the entry: records beside packets, from a client's bytes to a closed round.

use std::time::Duration;

use rand::SeedableRng;

use super::*;
use crate::crypto::{Backend, Csprng, MailboxId};
use crate::packet::{
    Address, Body, Builder, Echo, Geometry, Kind, MessageId, PeelError, Peeler, Recipe, RoundContext, Slots, commitment,
};
use crate::round::{Admission, Attempt, Collection, ListPlace, Submission, SubmissionFault};
use crate::wire::{onion_digests, submission_digest};

const ONION: [u8; 32] = [0x71; 32];

fn geometry() -> Geometry {
    Geometry::new(MIXES, 256).expect("in range")
}

fn round_context(world: &World) -> RoundContext {
    RoundContext { network: world.network.id(), epoch: EPOCH, round: ROUND }
}

fn peeler(world: &World) -> Peeler {
    Peeler::new(geometry(), round_context(world), 1, &SecretKey::from_bytes(ONION), Backend::default())
}

/// A round that has opened, sealed or not.
fn open(world: &World, sealed: bool) -> Collection {
    let secret = ListSecret::new(&mix_list_key(0), world.network.id(), EPOCH);
    let clients = world.network.roster.clients.iter().map(|client| client.list_key);
    let admission = Admission::new(world.rules(ROUND), Arc::new(ListKeys::new(secret, clients)));
    Collection::new(ROUND, Duration::ZERO, Duration::from_secs(1), peeler(world), sealed.then_some(admission))
}

/// Packets of a client that open at the entry, W bytes each, and their echoes.
fn packets(world: &World, client: u32) -> (Vec<u8>, Vec<Echo>) {
    let public = |seed| SecretKey::from_bytes(seed).public_key();
    let onions = vec![public(ONION), public([2; 32]), public([3; 32])];
    let builder = Builder::new(geometry(), round_context(world), Backend::default(), onions, public([4; 32]));
    let to = Address { mailbox: MailboxId([1; 16]), letter_key: public([5; 32]) };
    let (mut rng, mut packets) = (Csprng::seed_from_u64(client.into()), Vec::new());
    let echoes = (0..PACKETS).map(|_| {
        let body = Body::dummy(MessageId([0; 16]), 9, b"");
        assert_eq!(body.kind, Kind::Dummy);
        builder.client_packet(&mut rng, client, &Recipe { to, body, sender: None }, &mut packets)
    });
    let echoes = echoes.collect();
    (packets, echoes)
}

/// What an honest client sends behind them.
fn records(world: &World, client: u32, packets: &[u8], echoes: &[Echo]) -> Vec<u8> {
    let context = round_context(world);
    let record = |(packet, echo)| ListRecord {
        index: client,
        onion: onion_digest(packet),
        commitment: commitment(&context, client, echo),
    };
    let records = packets.chunks(geometry().packet()).zip(echoes).map(record).collect();
    let own = ListSecret::new(&client_list_key(client), context.network, EPOCH);
    let towards = |mix| own.with_mix(&mix_list_key(mix).public_key()).expect("a point");
    let keys: Vec<ListKey> = (0..MIXES).map(towards).collect();
    ClientRecords::make(&world.rules(ROUND).context, records, &keys, &client_key(client)).to_bytes()
}

/// What becomes of a client's submission, whose records are `touched` on their way.
fn submit(
    world: &World,
    round: &mut Collection,
    (client, struck): (u32, bool),
    touch: impl Fn(&mut Vec<u8>),
) -> Result<(), SubmissionFault> {
    let (packets, echoes) = packets(world, client);
    let mut records = records(world, client, &packets, &echoes);
    touch(&mut records);
    let slots = Slots::from_packets(geometry(), &packets).expect("whole packets");
    let attempt = round.attempt(client, struck).expect("its first of the round");
    round.take(client, attempt.judge(client, Submission { packets: slots, records }))
}

/// The first MAC for the mix at a position.
fn mac(mix: usize) -> usize {
    16 + 16 * mix
}

#[test]
fn a_closed_round_hands_out_records_and_packets_in_one_order() {
    let world = World::new();
    let mut round = open(&world, true);
    for client in [4, 0, 2] {
        assert_eq!(submit(&world, &mut round, (client, false), |_| ()), Ok(()));
    }
    assert!(round.is_settled());
    let mut closed = round.finish();
    for (client, submitted) in &closed.records {
        let (packets, echoes) = packets(&world, *client);
        let expected = records(&world, *client, &packets, &echoes);
        assert_eq!(submitted.to_bytes(), expected);
        let onions: Vec<Digest> = submitted.records().iter().map(|record| record.onion).collect();
        let sent: Vec<Digest> = packets.chunks(geometry().packet()).map(onion_digest).collect();
        assert_eq!(onions, sent, "the packets as they came, not as they were peeled");
    }
    closed.leave_out([2]);
    assert_eq!(closed.records.keys().copied().collect::<Vec<_>>(), [0, 4]);
    let place = |(client, packet)| ListPlace { client, packet };
    assert_eq!(closed.places(), [(0, 0), (0, 1), (4, 0), (4, 1)].map(place));
    let (in_round, _, segments) = closed.into_batch(CLIENTS as usize);
    assert_eq!(in_round, members(&[0, 4]));
    assert_eq!(segments.len(), 2);
    for (client, segment) in [0, 4].into_iter().zip(&segments) {
        let mut alone = Slots::from_packets(geometry(), &packets(&world, client).0).expect("whole packets");
        peeler(&world).peel(&mut alone, client).expect("it opens");
        assert!((0..PACKETS).all(|i| segment.peeled(i) == alone.peeled(i)), "client {client}");
    }
}

#[test]
fn the_entry_holds_records_against_its_own_macs_and_nothing_else() {
    let world = World::new();
    let wrong = SubmissionFault::Records(Inadmissible::Mac);
    let stride = 16 + 16 * MIXES;
    let mut round = open(&world, true);
    let touched: [(usize, Result<(), SubmissionFault>); 6] = [
        (mac(0), Err(wrong)),
        (stride + mac(0) + 15, Err(wrong)),
        (0, Err(wrong)),
        (mac(1), Ok(())),
        (stride + mac(2), Ok(())),
        (stride * PACKETS + 63, Ok(())),
    ];
    for (client, (at, expected)) in (0..).zip(touched) {
        let taken = submit(&world, &mut round, (client, false), |records| records[at] ^= 1);
        assert_eq!(taken, expected, "byte {at}");
        assert!(round.attempt(client, false).is_none(), "one attempt");
    }
    assert_eq!(round.clients(), 3);
    assert_eq!(round.finish().records.into_keys().collect::<Vec<_>>(), [3, 4, 5]);
}

#[test]
fn submissions_that_are_judged_together_are_judged_each_by_itself() {
    type Touch = fn(&mut Vec<u8>);
    type Case = (usize, u32, bool, Touch, Touch, Result<(), SubmissionFault>);
    let no: Touch = |_| ();
    let bad_layer: Touch = |packets| packets[2 * geometry().packet() - 1] ^= 1;
    let bad_mac: Touch = |records| records[mac(0)] ^= 1;
    let bad_signature: Touch = |records| *records.last_mut().expect("a signature") ^= 1;
    let too_long: Touch = |records| records.push(0);
    let of_records = |why| Err(SubmissionFault::Records(why));
    let cases: [Case; 8] = [
        (0, 0, false, no, no, Ok(())),
        (0, 1, false, no, bad_mac, of_records(Inadmissible::Mac)),
        (0, 2, true, no, bad_mac, Ok(())),
        (0, 3, true, no, bad_signature, of_records(Inadmissible::Signature)),
        (0, 4, false, no, too_long, Err(SubmissionFault::Length)),
        (0, 5, false, bad_layer, no, Err(SubmissionFault::Packets { which: 1, error: PeelError::BadTag })),
        (1, 0, false, no, no, Ok(())),
        // Of nobody on the roster, with whom there is no key.
        (0, CLIENTS, false, no, no, of_records(Inadmissible::Mac)),
    ];
    let world = World::new();
    let mut rounds = [open(&world, true), open(&world, true)];
    let mut submission = |(round, client, struck, touch_packets, touch_records, _): Case| {
        let (mut packets, echoes) = packets(&world, client);
        touch_packets(&mut packets);
        let mut records = records(&world, client, &packets, &echoes);
        touch_records(&mut records);
        let packets = Slots::from_packets(geometry(), &packets).expect("whole packets");
        let attempt = rounds[round].attempt(client, struck).expect("its first of the round");
        (attempt, (client, Submission { packets, records }))
    };
    let (attempts, sent): (Vec<Attempt>, Vec<(u32, Submission)>) = cases.map(&mut submission).into_iter().unzip();
    let together = attempts.iter().zip(sent).map(|(attempt, (client, sent))| (attempt, client, sent));
    let judged = Attempt::judge_together(together.collect());
    for (number, ((_, client, .., expected), judged)) in cases.into_iter().zip(judged).enumerate() {
        let (packets, _) = packets(&world, client);
        let honest = submission_digest(&onion_digests(packets.chunks(geometry().packet())));
        assert_eq!(judged.digest == honest, client != 5, "case {number}");
        assert_eq!(judged.result.map(|records| assert!(records.is_some())), expected, "case {number}");
    }
}

#[test]
fn records_in_another_order_than_the_packets_are_none() {
    let world = World::new();
    let mut round = open(&world, true);
    let stride = 16 + 16 * MIXES;
    let taken = submit(&world, &mut round, (1, false), |records| records[..2 * stride].rotate_left(stride));
    assert_eq!(taken, Err(SubmissionFault::Records(Inadmissible::Mac)));
}

#[test]
fn a_client_that_was_struck_out_is_taken_by_its_signature() {
    let world = World::new();
    let mut round = open(&world, true);
    let last = |records: &mut Vec<u8>| *records.last_mut().expect("a signature") ^= 1;
    let forged = SubmissionFault::Records(Inadmissible::Signature);
    assert_eq!(submit(&world, &mut round, (1, true), last), Err(forged));
    assert_eq!(submit(&world, &mut round, (2, true), |records| records[mac(0)] ^= 1), Ok(()));
}

#[test]
fn bytes_that_are_too_many_too_few_or_not_asked_for_are_refused() {
    let world = World::new();
    for (sealed, length, expected) in [
        (true, None, Err(SubmissionFault::Length)),
        (true, Some(-1), Err(SubmissionFault::Length)),
        (true, Some(1), Err(SubmissionFault::Length)),
        (true, Some(0), Ok(())),
        (false, None, Ok(())),
        (false, Some(0), Err(SubmissionFault::Length)),
    ] {
        let touch = |records: &mut Vec<u8>| {
            let length = length.map_or(0, |more: isize| records.len().saturating_add_signed(more));
            records.resize(length, 0);
        };
        let mut round = open(&world, sealed);
        assert_eq!(submit(&world, &mut round, (1, false), touch), expected, "{sealed} {length:?}");
        assert_eq!(round.finish().records.len(), usize::from(sealed && expected.is_ok()));
    }
}
