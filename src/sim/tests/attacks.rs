//! What strangers, clients and earlier implementations got away with.

use rand::SeedableRng;

use super::*;
use crate::crypto::{Backend, Csprng, IdentityKey, SecretKey};
use crate::mix::{Event, RequestId};
use crate::packet::{Address, Body, Builder, Echo, Kind, MessageId, Recipe, RoundContext, Slots};
use crate::round::Submission;
use crate::session::client_records;
use crate::wire::{AbortReason, ListKey, ListSecret, Members, PeerMessage, Request, Verdict, onion_digests};

/// A builder of honest packets for the round after the last one opened.
pub(super) fn builder(world: &World, plan: &Plan) -> (u64, Builder) {
    let recovered = world.mixes[0].disk.recover().expect("memory");
    let document = &recovered.chain.last().expect("the network runs").document;
    let round = recovered.opened;
    let context = RoundContext { network: document.network, epoch: document.epoch, round };
    let onions = document.onion_keys(round).expect("in this epoch");
    let envelope = document.envelope_key(round).expect("in this epoch");
    (round, Builder::new(plan.geometry(), context, Backend::default(), onions, envelope))
}

/// Packets of W bytes with the echoes that they must cause.
pub(super) type Packets = Vec<(Vec<u8>, Echo)>;

pub(super) fn packets(builder: &Builder, plan: &Plan, index: u32, to: Address) -> Packets {
    let mut rng = Csprng::seed_from_u64(u64::from(index));
    let one = |_| {
        let body = Body {
            kind: Kind::Dummy,
            message: MessageId([0; 16]),
            index: 0,
            count: 1,
            expiry: 9,
            sender: None,
            data: b"",
        };
        let mut packet = Vec::new();
        let echo = builder.client_packet(&mut rng, index, &Recipe { to, body, sender: None }, &mut packet);
        (packet, echo)
    };
    (0..plan.packets_per_client).map(one).collect()
}

/// What a client that says the truth about these packets sends behind them.
pub(super) fn records(world: &World, round: u64, client: u32, packets: &Packets) -> Vec<u8> {
    let recovered = world.mixes[0].disk.recover().expect("memory");
    let document = &recovered.chain.last().expect("the network runs").document;
    let context = RoundContext { network: document.network, epoch: document.epoch, round };
    let secrets = &world.clients[client as usize].secrets;
    let own = ListSecret::new(&SecretKey::from_bytes(secrets.list), document.network, document.epoch);
    let keys: Vec<ListKey> =
        document.mixes.iter().map(|mix| own.with_mix(&mix.list_key).expect("a document's keys are points")).collect();
    let (packets, echoes): (Vec<Vec<u8>>, Vec<Echo>) = packets.iter().cloned().unzip();
    let onions = onion_digests(packets.iter().map(Vec::as_slice));
    client_records(&context, client, &onions, &echoes, &keys, &IdentityKey::from_seed(&secrets.identity)).to_bytes()
}

pub(super) fn rejected(world: &World, mix: usize, reason: &str) -> u64 {
    world.mixes[mix].engine.as_ref().and_then(|engine| engine.status().rejected.get(reason).copied()).unwrap_or(0)
}

/// Stops in the middle of an open round and submits for a client, which has been cut off before.
fn submit(world: &mut World, round: u64, client: u32, packets: &Packets) {
    let records = records(world, round, client, packets);
    submit_with(world, round, client, packets, records);
}

fn submit_with(world: &mut World, round: u64, client: u32, packets: &Packets, records: Vec<u8>) {
    let bytes: Vec<u8> = packets.iter().flat_map(|(packet, _)| packet.clone()).collect();
    let slots = Slots::from_packets(Plan::default().geometry(), &bytes);
    let submission = slots.map(|packets| Submission { packets, records });
    let request = Request::Submit { round };
    world.at_mix(0, Event::Request { id: RequestId(1 << 60), client, request, submission });
    world.run_for(Duration::from_millis(1));
}

/// Runs until the round behind `round` takes submissions.
fn next_round(world: &mut World, round: u64) {
    let open = |world: &World| {
        let status = world.mixes[0].engine.as_ref().expect("it runs").status();
        status.round > round && status.phase == "collect"
    };
    assert!(world.run_until(MINUTE, open));
}

pub(super) fn world_without_client_3() -> (World, Plan) {
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
    let twice = vec![packets[0].clone(), packets[0].clone()];
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
    submit(&mut world, round, 3, &packets[..1].to_vec());
    submit(&mut world, round, 3, &[packets.as_slice(), &packets].concat());
    submit(&mut world, round, 3, &Vec::new());
    assert_eq!(rejected(&world, 0, "malformed"), 3);
}

#[test]
fn records_of_the_wrong_size_are_malformed_and_cost_no_attempt() {
    let (mut world, plan) = world_without_client_3();
    let to = world.clients[0].secrets.address;
    let (round, builder) = builder(&world, &plan);
    let packets = packets(&builder, &plan, 3, to);
    let honest = records(&world, round, 3, &packets);
    let one_less = honest[..honest.len() - 1].to_vec();
    let one_more = [honest.as_slice(), &[0]].concat();
    for (count, wrong) in (1..).zip([Vec::new(), one_less, one_more]) {
        submit_with(&mut world, round, 3, &packets, wrong);
        assert_eq!(rejected(&world, 0, "malformed"), count);
    }
    let before = world.mixes[0].engine.as_ref().expect("it runs").status().rejected;
    submit_with(&mut world, round, 3, &packets, honest);
    assert_eq!(world.mixes[0].engine.as_ref().expect("it runs").status().rejected, before, "and then it is taken");
    submit(&mut world, round, 3, &packets);
    assert_eq!(rejected(&world, 0, "duplicate"), 1);
}

#[test]
fn a_wrong_mac_for_the_entry_is_refused_there_and_a_lie_about_an_echo_is_not_seen() {
    let (mut world, plan) = world_without_client_3();
    let to = world.clients[0].secrets.address;
    let (round, builder) = builder(&world, &plan);
    let mut packets = packets(&builder, &plan, 3, to);
    let mut wrong = records(&world, round, 3, &packets);
    // The last packet's MAC for the entry: all of a submission counts, or none.
    let last = (16 + 16 * plan.mixes) + 16;
    wrong[last] ^= 1;
    submit_with(&mut world, round, 3, &packets, wrong);
    assert_eq!(rejected(&world, 0, "bad_mac"), 2);
    next_round(&mut world, round);

    let (round, builder) = self::builder(&world, &plan);
    packets = self::packets(&builder, &plan, 3, to);
    let mut changed = records(&world, round, 3, &packets);
    changed[0] ^= 1;
    submit_with(&mut world, round, 3, &packets, changed);
    assert_eq!(rejected(&world, 0, "bad_mac"), 4, "a commitment that was changed on its way");
    next_round(&mut world, round);

    let (round, builder) = self::builder(&world, &plan);
    packets = self::packets(&builder, &plan, 3, to);
    packets[0].1[0] ^= 1;
    let before = world.mixes[0].engine.as_ref().expect("it runs").status().rejected;
    submit(&mut world, round, 3, &packets);
    let after = world.mixes[0].engine.as_ref().expect("it runs").status().rejected;
    assert_eq!(after, before, "only the echo itself can tell");
}

/// The clients of a round as its verdict has them.
pub(super) fn members(world: &World, round: u64) -> Vec<u32> {
    let complete = world.mixes[0].disk.recover().expect("memory").complete;
    let mut ended = complete.into_iter().map(|signed| signed.verdict).filter(|verdict| verdict.outcome.is_stored());
    let verdict = ended.find(|verdict| verdict.round == round).expect("the round is stored");
    verdict.members.iter().collect()
}

#[test]
fn a_wrong_mac_for_another_mix_costs_its_client_one_round_and_nobody_else_anything() {
    let (mut world, plan) = world_without_client_3();
    let to = world.clients[0].secrets.address;
    // Behind each packet a commitment and three MACs, 16 bytes each: the second is for mix 2.
    let spoilt = |world: &World, round, packets: &Packets| {
        let mut records = records(world, round, 3, packets);
        records[32] ^= 1;
        records
    };
    let (round, honest) = builder(&world, &plan);
    let own = packets(&honest, &plan, 3, to);
    let records = spoilt(&world, round, &own);
    submit_with(&mut world, round, 3, &own, records);
    world.run_for(Duration::from_secs(3));
    assert_eq!((members(&world, round), rejected(&world, 0, "struck_out")), (vec![0, 1, 2], 1));
    next_round(&mut world, round);
    // From now on its signature counts, whatever the MACs are.
    let (round, honest) = builder(&world, &plan);
    let own = packets(&honest, &plan, 3, to);
    let records = spoilt(&world, round, &own);
    submit_with(&mut world, round, 3, &own, records);
    world.run_for(Duration::from_secs(3));
    assert_eq!((members(&world, round), rejected(&world, 0, "struck_out")), (vec![0, 1, 2, 3], 1));
}

#[test]
fn a_lie_about_an_echo_keeps_the_round_shut_and_loses_nothing() {
    let (mut world, plan) = world_without_client_3();
    let to = world.clients[0].secrets.address;
    world.send(0, 1, b"in the same round or later");
    let (round, honest) = builder(&world, &plan);
    let mut own = packets(&honest, &plan, 3, to);
    own[0].1[0] ^= 1;
    submit(&mut world, round, 3, &own);
    world.run_for(Duration::from_secs(3));
    assert!(outcomes(&world).contains(&Outcome::Aborted(AbortReason::BadEcho)), "{:?}", outcomes(&world));
    assert!((0..3).map(|mix| rejected(&world, mix, "bad_echo")).sum::<u64>() >= 1);
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
}

#[test]
fn where_rounds_are_not_sealed_nothing_may_follow_the_packets() {
    let plan = Plan { sealed: false, ..Plan::default() };
    let mut world = World::new(plan.clone());
    world.send(0, 1, b"unsealed");
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
    world.crash_client(3);
    world.at_mix(0, Event::Request { id: RequestId(1 << 61), client: 3, request: Request::Register, submission: None });
    world.run_until(MINUTE, |world| world.mixes[0].engine.as_ref().expect("it runs").status().phase == "collect");
    let (round, builder) = builder(&world, &plan);
    let packets = packets(&builder, &plan, 3, world.clients[0].secrets.address);
    submit(&mut world, round, 3, &packets);
    assert_eq!(rejected(&world, 0, "malformed"), 1);
    let before = world.mixes[0].engine.as_ref().expect("it runs").status().rejected;
    submit_with(&mut world, round, 3, &packets, Vec::new());
    assert_eq!(world.mixes[0].engine.as_ref().expect("it runs").status().rejected, before);
}

#[test]
fn bad_points_are_refused_at_the_entry() {
    let (mut world, plan) = world_without_client_3();
    let to = world.clients[0].secrets.address;
    let (round, builder) = builder(&world, &plan);
    let mut packets = packets(&builder, &plan, 3, to);
    packets[0].0[..32].fill(0);
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
