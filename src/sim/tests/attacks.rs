//! What strangers, clients and earlier implementations got away with.

use rand::SeedableRng;

use super::*;
use crate::crypto::{Backend, Csprng};
use crate::mix::{Event, RequestId};
use crate::packet::{Address, Body, Builder, Kind, MessageId, Recipe, RoundContext, Slots};
use crate::wire::{AbortReason, Members, PeerMessage, Request, Verdict};

/// A builder of honest packets for the round after the last one opened.
fn builder(world: &World, plan: &Plan) -> (u64, Builder) {
    let recovered = world.mixes[0].disk.recover().expect("memory");
    let document = &recovered.chain.last().expect("the network runs").document;
    let round = recovered.opened;
    let context = RoundContext { network: document.network, epoch: document.epoch, round };
    let onions = document.onion_keys(round).expect("in this epoch");
    let envelope = document.envelope_key(round).expect("in this epoch");
    (round, Builder::new(plan.geometry(), context, Backend::default(), onions, envelope))
}

fn packets(builder: &Builder, plan: &Plan, index: u32, to: Address) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rng = Csprng::seed_from_u64(u64::from(index));
    for _ in 0..plan.packets_per_client {
        let body = Body {
            kind: Kind::Dummy,
            message: MessageId([0; 16]),
            index: 0,
            count: 1,
            expiry: 9,
            sender: None,
            data: b"",
        };
        builder.client_packet(&mut rng, index, &Recipe { to, body, sender: None }, &mut out);
    }
    out
}

fn rejected(world: &World, mix: usize, reason: &str) -> u64 {
    world.mixes[mix].engine.as_ref().and_then(|engine| engine.status().rejected.get(reason).copied()).unwrap_or(0)
}

/// Stops in the middle of an open round and submits for client 3, which has been cut off before.
fn submit(world: &mut World, round: u64, client: u32, packets: &[u8]) {
    let geometry = world.mixes[0].engine.as_ref().map(|_| Plan::default().geometry()).expect("it runs");
    let slots = Slots::from_packets(geometry, packets);
    let request = Request::Submit { round };
    world.at_mix(0, Event::Request { id: RequestId(1 << 60), client, request, packets: slots });
    world.run_for(Duration::from_millis(1));
}

fn world_without_client_3() -> (World, Plan) {
    let plan = Plan::default();
    let mut world = World::new(plan.clone());
    world.run_for(Duration::from_millis(3300));
    world.crash_client(3);
    world.at_mix(0, Event::Request { id: RequestId(1 << 61), client: 3, request: Request::Register, submission: None });
    world.run_until(MINUTE, |world| world.mixes[0].engine.as_ref().expect("it runs").status().phase == "collect");
    (world, plan)
}

#[test]
fn the_same_onion_is_refused_in_the_same_round_in_the_next_and_from_another_client() {
    let (mut world, plan) = world_without_client_3();
    let to = world.clients[0].secrets.address;
    let (round, builder) = builder(&world, &plan);
    let packets = packets(&builder, &plan, 3, to);
    let twice = [&packets[..packets.len() / 2], &packets[..packets.len() / 2]].concat();
    submit(&mut world, round, 2, &packets);
    assert_eq!(rejected(&world, 0, "bad_tag"), 2, "another member's onions");
    submit(&mut world, round, 3, &twice);
    assert_eq!(rejected(&world, 0, "replay"), 2, "one onion twice in one submission");
    submit(&mut world, round, 3, &packets);
    assert_eq!(rejected(&world, 0, "duplicate"), 1, "one attempt a round");
    world.run_until(MINUTE, |world| world.mixes[0].disk.recover().expect("memory").opened > round);
    submit(&mut world, round, 3, &packets);
    assert_eq!(rejected(&world, 0, "late"), 1);
    submit(&mut world, round + 1, 3, &packets);
    assert_eq!(rejected(&world, 0, "bad_tag"), 4, "in the next round they do not open");
    submit(&mut world, round + 2, 3, &packets);
    assert_eq!(rejected(&world, 0, "wrong_round"), 1);
}

#[test]
fn a_submission_of_the_wrong_size_is_malformed() {
    let (mut world, plan) = world_without_client_3();
    let to = world.clients[0].secrets.address;
    let (round, builder) = builder(&world, &plan);
    let packets = packets(&builder, &plan, 3, to);
    submit(&mut world, round, 3, &packets[..packets.len() / 2]);
    submit(&mut world, round, 3, &[packets.as_slice(), &packets].concat());
    submit(&mut world, round, 3, &[]);
    assert_eq!(rejected(&world, 0, "malformed"), 3);
}

#[test]
fn bad_points_are_refused_at_the_entry() {
    let (mut world, plan) = world_without_client_3();
    let to = world.clients[0].secrets.address;
    let (round, builder) = builder(&world, &plan);
    let mut packets = packets(&builder, &plan, 3, to);
    packets[..32].fill(0);
    submit(&mut world, round, 3, &packets);
    assert_eq!(rejected(&world, 0, "low_order"), 2);
}

#[test]
fn garbage_under_a_valid_outer_layer_costs_one_round_and_stops_nothing() {
    let (mut world, plan) = world_without_client_3();
    let to = world.clients[0].secrets.address;
    let (round, honest) = builder(&world, &plan);
    // The second layer is sealed to a key that is not mix 2's.
    let recovered = world.mixes[0].disk.recover().expect("memory");
    let document = &recovered.chain.last().expect("the network runs").document;
    let mut onions = document.onion_keys(round).expect("in this epoch");
    onions[1] = onions[0];
    let envelope = document.envelope_key(round).expect("in this epoch");
    let garbled = Builder::new(plan.geometry(), *honest.context(), Backend::default(), onions, envelope);
    submit(&mut world, round, 3, &packets(&garbled, &plan, 3, to));
    world.send(0, 1, b"not stopped");
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
    assert_eq!(rejected(&world, 1, "bad_tag"), 1, "it dies at the second mix");
    assert_eq!(outcomes(&world).iter().filter(|outcome| !outcome.is_stored()).count(), 1);
}

#[test]
fn an_envelope_that_does_not_open_and_a_mailbox_that_is_not_there_are_dropped_and_counted() {
    let (mut world, plan) = world_without_client_3();
    let (round, honest) = builder(&world, &plan);
    let nowhere = Address { mailbox: crate::crypto::MailboxId([7; 16]), ..world.clients[0].secrets.address };
    submit(&mut world, round, 3, &packets(&honest, &plan, 3, nowhere));
    world.run_for(Duration::from_secs(3));
    assert_eq!(rejected(&world, 2, "unknown_mailbox"), 2);
    assert!(outcomes(&world).iter().all(|outcome| outcome.is_stored()), "the others' letters are stored");
}

#[test]
fn a_stranger_to_a_mailbox_gets_nothing_and_a_lost_answer_costs_nothing() {
    let mut world = World::new(Plan::default());
    world.run_for(Duration::from_secs(2));
    let poll = Request::PollMessages { round: 1, capability: [9; 32], acknowledged: [0xff; 8], after: [0xff; 8] };
    world.at_mix(2, Event::Request { id: RequestId(1 << 60), client: 3, request: poll, submission: None });
    assert_eq!(rejected(&world, 2, "unknown_mailbox"), 1);
    // Answers are lost with the link for a while; letters stay until they are acknowledged.
    world.partition(Party::Client(1), Party::Mix(2));
    world.send(0, 1, b"waits");
    world.run_for(Duration::from_secs(8));
    assert!(world.inbox(1).is_empty());
    world.heal(Party::Client(1), Party::Mix(2));
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
    world.run_for(MINUTE);
    assert_eq!(contents(&world, 1), [b"waits".to_vec()]);
}

#[test]
fn requests_to_the_wrong_mix_or_before_registration_are_refused() {
    let mut world = World::new(Plan::default());
    world.run_for(Duration::from_secs(2));
    let mut ask = |mix: usize, client: u32, request: Request| {
        world.at_mix(mix, Event::Request { id: RequestId(1 << 60), client, request, submission: None });
    };
    ask(1, 0, Request::Register);
    ask(2, 0, Request::WaitForStart { epoch: 0 });
    ask(0, 0, Request::PollMessages { round: 1, capability: [0; 32], acknowledged: [0; 8], after: [0; 8] });
    world.crash_client(3);
    let mut ask = |mix: usize, client: u32, request: Request| {
        world.at_mix(mix, Event::Request { id: RequestId(1 << 60), client, request, submission: None });
    };
    ask(0, 3, Request::WaitForStart { epoch: 0 });
    ask(0, 3, Request::NextRound { epoch: 0, after: 0, unsettled: 1 });
    assert_eq!((0..3).map(|mix| rejected(&world, mix, "wrong_mix")).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(rejected(&world, 0, "not_registered"), 2);
}

#[test]
fn a_mix_takes_from_each_neighbour_only_what_is_that_neighbours_to_say() {
    let mut world = World::new(Plan::default());
    world.run_for(Duration::from_secs(2));
    let complete = world.mixes[0].disk.recover().expect("memory");
    let document = complete.chain.last().expect("it runs").clone();
    let mut forged = document.clone();
    forged.document.epoch += 1;
    world.at_mix(0, Event::Peer { from: 2, message: PeerMessage::EpochComplete(document.clone()) });
    world.at_mix(0, Event::Peer { from: 2, message: PeerMessage::EpochComplete(forged) });
    world.at_mix(1, Event::Peer { from: 2, message: PeerMessage::EpochComplete(document.clone()) });
    let verdict = complete.complete.last().expect("rounds have ended").clone();
    let signature = verdict.signatures[2];
    let forged = PeerMessage::Decision { verdict: verdict.verdict.clone(), signature };
    world.at_mix(1, Event::Peer { from: 2, message: forged });
    let mut other = verdict.verdict.clone();
    other.outcome = Outcome::OpenedNotStored;
    world.at_mix(1, Event::Peer { from: 0, message: PeerMessage::Decision { verdict: other, signature } });
    assert_eq!(rejected(&world, 0, "bad_document"), 1, "the entry may be reminded, with all signatures only");
    assert_eq!(rejected(&world, 1, "unexpected"), 2);
    assert_eq!(rejected(&world, 1, "bad_verdict"), 1, "a second verdict for one round is not signed");
    world.run_for(Duration::from_secs(5));
    assert!(outcomes(&world).len() >= 5, "and the network goes on");
}

#[test]
fn a_decision_about_other_clients_than_were_mixed_is_not_signed() {
    for doctored in 0..3 {
        let mut world = World::new(Plan::default());
        world.run_for(Duration::from_secs(2));
        let in_transit =
            |world: &World| world.mixes[1].engine.as_ref().is_some_and(|engine| engine.status().phase == "forward");
        assert!(world.run_until(MINUTE, in_transit));
        let round = world.mixes[1].engine.as_ref().expect("it runs").status().round;
        let recovered = world.mixes[0].disk.recover().expect("memory");
        let document = &recovered.chain.last().expect("it runs").document;
        let mut members = Members::none(world.clients.len());
        assert!((0..3).all(|client| members.insert(client)));
        let mut verdict = Verdict {
            network: document.network,
            epoch: document.epoch,
            round,
            members,
            outcome: Outcome::Stored { refused: 0 },
        };
        match doctored {
            // The exit leaves out client 3, who would send again and show itself.
            0 => {}
            // A list over a roster that is not this one.
            1 => verdict.members = Members::none(10_000),
            // An abort that names clients.
            _ => verdict.outcome = Outcome::Aborted(AbortReason::Lost),
        }
        let signature = verdict.sign(world.mixes[2].key());
        world.at_mix(1, Event::Peer { from: 0, message: PeerMessage::Decision { verdict, signature } });
        assert_eq!(rejected(&world, 1, "bad_verdict"), 1, "case {doctored}");
    }
}

#[test]
fn three_hundred_messages_queued_at_once_all_arrive() {
    let plan = Plan { packets_per_client: 8, ..Plan::default() };
    let mut world = World::new(plan);
    let messages: Vec<Vec<u8>> = (0..300u32).map(|i| i.to_le_bytes().to_vec()).collect();
    for message in &messages {
        world.send(0, 1, message);
    }
    assert!(world.run_until(MINUTE * 10, |world| world.inbox(1).len() == 300));
    let mut expected = messages;
    expected.sort();
    assert!(contents(&world, 1) == expected, "each once; the order within a round is nobody's to know");
}
