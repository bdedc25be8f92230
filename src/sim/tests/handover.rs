//! What the entry refuses reaches the round by way of the other mixes.

use super::attacks::{Packets, builder, members, packets, records, rejected, world_without_client_3};
use super::*;
use crate::blame::{Guilty, Offence};
use crate::crypto::{Defence, Defences};
use crate::mix::{Event, RequestId, Status};
use crate::packet::Slots;
use crate::round::Submission;
use crate::wire::{AbortReason, Request};

const SECOND: Duration = Duration::from_secs(1);

fn world(plan: Plan) -> World {
    let mut world = World::new(plan);
    world.witness = Some(Witness::default());
    world.run_for(SECOND * 3);
    world
}

fn status(world: &World, mix: usize) -> Status {
    world.mixes[mix].engine.as_ref().expect("it runs").status()
}

/// How many clients the rounds that ended after the first `skip` held, of those that were stored.
fn crowds(world: &World, skip: usize) -> Vec<u32> {
    let exit = world.mixes.last().expect("there is an exit");
    let ended = exit.notes.iter().filter_map(|note| match note {
        Note::RoundEnded { outcome: Outcome::Stored { .. }, clients, .. } => Some(*clients),
        _ => None,
    });
    ended.skip(skip).collect()
}

fn is_sound(world: &World) {
    let witness = world.witness.as_ref().expect("it looks on");
    assert!(witness.violations().is_empty(), "{:?}", witness.details());
}

#[test]
fn whomever_the_entry_refuses_and_however_all_clients_are_in_every_round() {
    for mixes in [2, 3, 5] {
        for how in [Refusing::Openly, Refusing::Silently, Refusing::Cutting] {
            let what = format!("{how:?} of {mixes}");
            let mut world = world(Plan { mixes, ..Plan::default() });
            let before = crowds(&world, 0).len();
            world.refuse([0, 2], how);
            world.send(0, 1, b"from one who is refused");
            world.send(1, 2, b"to one who is");
            world.run_for(SECOND * 12);
            // The round that was open when it began may have had its receipts.
            let crowds = crowds(&world, before + 1);
            assert!(crowds.len() >= 7 && crowds.iter().all(|clients| *clients == 4), "{what}: {crowds:?}");
            assert_eq!(contents(&world, 1), [b"from one who is refused".to_vec()], "{what}");
            assert_eq!(contents(&world, 2), [b"to one who is".to_vec()], "{what}");
            assert!(status(&world, 0).relayed >= 14, "{what}");
            for mix in 1..mixes {
                let status = status(&world, mix);
                assert!(status.handed_over >= 14 && status.evicted.is_empty(), "{what}: {:?}", status.rejected);
            }
            is_sound(&world);
        }
    }
}

#[test]
fn where_nobody_is_refused_nothing_is_handed_over() {
    let world = world(Plan::default());
    for mix in 0..3 {
        assert_eq!((status(&world, mix).handed_over, status(&world, mix).relayed), (0, 0));
    }
}

#[test]
fn an_entry_that_passes_over_what_was_handed_over_gets_no_list_signed_and_without_the_rule_it_does() {
    for stands in [true, false] {
        let without = Defences::default().without(Defence::HandOver);
        let defences = if stands { Defences::default() } else { without };
        let mut world = world(Plan { defences, ..Plan::default() });
        let before = crowds(&world, 0).len();
        world.refuse([0], Refusing::Silently);
        world.passes_over = true;
        world.send(1, 2, b"from one who is not refused");
        world.run_for(SECOND * 4);
        let short = crowds(&world, before).into_iter().filter(|clients| *clients < 4).count();
        let aborted = outcomes(&world).iter().filter(|it| **it == Outcome::Aborted(AbortReason::LeftOut)).count();
        assert_eq!((short == 0, aborted >= 2), (stands, stands), "{:?}", outcomes(&world));
        // Nobody's letters come, or everybody's but one's: only the latter tells who that is.
        assert_eq!(world.inbox(2).is_empty(), stands);
        if stands {
            assert!(rejected(&world, 1, "left_out") >= 2 && rejected(&world, 2, "left_out") >= 2);
        }
        world.refuse([], Refusing::Silently);
        world.passes_over = false;
        assert!(world.run_until(MINUTE, |world| !world.inbox(2).is_empty()));
        world.run_for(SECOND * 10);
        assert_eq!(contents(&world, 2), [b"from one who is not refused".to_vec()]);
        is_sound(&world);
    }
}

#[test]
fn what_does_not_open_convicts_the_client_that_handed_it_over_and_costs_one_round() {
    for mixes in [2, 3] {
        let mut world = World::new(Plan { mixes, ..Plan::default() });
        world.witness = Some(Witness::of_guilt());
        world.run_for(SECOND * 3);
        world.clients[2].mischief = Some(Mischief::Layer { hop: 1 });
        let before = outcomes(&world).len();
        world.send(0, 1, b"in spite of it");
        world.run_for(SECOND * 15);
        for mix in &world.mixes {
            let named: Vec<_> = mix.convictions.iter().map(|found| (found.guilty, found.offence)).collect();
            assert_eq!(named, [(Guilty::Client(2), Offence::Layer { hop: 1 })]);
        }
        let ended = outcomes(&world).split_off(before);
        let aborted: Vec<_> = ended.iter().filter(|outcome| !outcome.is_stored()).collect();
        assert_eq!(aborted, [&Outcome::Aborted(AbortReason::BadLayer)], "{ended:?}");
        assert_eq!(contents(&world, 1), [b"in spite of it".to_vec()]);
        assert_eq!(crowds(&world, 0).last(), Some(&3), "without it the rounds go on");
        is_sound(&world);
    }
}

#[test]
fn a_mix_that_spoils_what_it_was_handed_keeps_nobody_out() {
    // The first packet; the MAC for the entry and that for the exit behind it; the client's signature.
    let plan = Plan::default();
    let packets = (plan.packets_per_client as usize * plan.geometry().packet()) as isize;
    for byte in [5, packets + 16, packets + 48, -1] {
        let mut world = world(plan.clone());
        world.refuse([0], Refusing::Openly);
        world.spoils = Some((1, byte));
        let before = crowds(&world, 0).len();
        world.send(0, 1, b"unspoilt");
        world.run_for(SECOND * 8);
        let crowds = crowds(&world, before + 1);
        assert!(crowds.len() >= 3 && crowds.iter().all(|clients| *clients == 4), "byte {byte}: {crowds:?}");
        assert_eq!(contents(&world, 1), [b"unspoilt".to_vec()], "byte {byte}");
        // What it does to MACs nobody notices, for its client is listed by signature.
        let seen = rejected(&world, 0, "bad_client_signature");
        assert_eq!((seen > 0, rejected(&world, 0, "struck_out")), (byte == 5 || byte == -1, 0), "byte {byte}");
        is_sound(&world);
    }
}

/// Hands over for a client at a mix.
fn hand_over(world: &mut World, mix: usize, (client, round): (u32, u64), packets: &Packets, records: Vec<u8>) {
    let bytes: Vec<u8> = packets.iter().flat_map(|(packet, _)| packet.clone()).collect();
    let slots = Slots::from_packets(Plan::default().geometry(), &bytes);
    let submission = slots.map(|packets| Submission { packets, records });
    let request = Request::HandOver { round };
    world.at_mix(mix, Event::Request { id: RequestId(1 << 60), client, request, submission });
    world.run_for(Duration::from_millis(1));
}

#[test]
fn a_mix_takes_one_hand_over_of_a_client_whole_signed_and_in_time() {
    let (mut world, plan) = world_without_client_3();
    let to = world.clients[0].secrets.address;
    let (round, builder) = builder(&world, &plan);
    let opened = world.now();
    world.run_for(Duration::from_millis(20));
    let of = |world: &World, client: u32| {
        let packets = packets(&builder, &plan, client, to);
        let records = records(world, round, client, &packets);
        (packets, records)
    };
    let refusals = ["malformed", "bad_mac", "bad_client_signature", "replay", "wrong_round", "duplicate", "late"];
    let counts = |world: &World, mix| refusals.map(|reason| rejected(world, mix, reason));
    let before = counts(&world, 1);
    let since = |world: &World| {
        let now = counts(world, 1);
        let all = refusals.iter().zip(now.into_iter().zip(before));
        all.filter_map(|(reason, (now, before))| (now > before).then_some((*reason, now - before))).collect::<Vec<_>>()
    };

    let (own, right) = of(&world, 3);
    hand_over(&mut world, 1, (3, round), &own[..1].to_vec(), right.clone());
    hand_over(&mut world, 1, (3, round), &own, right[1..].to_vec());
    hand_over(&mut world, 1, (3, round + 1), &own, right.clone());
    hand_over(&mut world, 0, (3, round), &own, right.clone());
    assert_eq!(since(&world), [("malformed", 2), ("wrong_round", 1)]);
    assert_eq!(rejected(&world, 0, "wrong_mix"), 1);
    // Behind a commitment of 16 bytes come MACs of 16: the second is this mix's. One attempt, good or not.
    let (of_0, mut records_0) = of(&world, 0);
    records_0[32] ^= 1;
    hand_over(&mut world, 1, (0, round), &of_0, records_0.clone());
    records_0[32] ^= 1;
    hand_over(&mut world, 1, (0, round), &of_0, records_0);
    let (of_1, mut records_1) = of(&world, 1);
    *records_1.last_mut().expect("a signature") ^= 1;
    hand_over(&mut world, 1, (1, round), &of_1, records_1);
    let (of_2, _) = of(&world, 2);
    let twice = vec![of_2[0].clone(), of_2[0].clone()];
    let records_2 = records(&world, round, 2, &twice);
    hand_over(&mut world, 1, (2, round), &twice, records_2);
    let taken = status(&world, 1).handed_over;
    hand_over(&mut world, 1, (3, round), &own, right.clone());
    assert_eq!(status(&world, 1).handed_over, taken + 1);
    hand_over(&mut world, 1, (3, round), &own, right.clone());
    let bad = [("bad_mac", 1), ("bad_client_signature", 1), ("replay", 1)];
    assert_eq!(since(&world), [&[("malformed", 2)][..], &bad, &[("wrong_round", 1), ("duplicate", 2)]].concat());

    // Its time is as long as the entry's, from when it heard of the round.
    world.run_for(opened + Duration::from_millis(812) - world.now());
    let (other, records_3) = of(&world, 3);
    hand_over(&mut world, 2, (3, round), &other, records_3);
    assert_eq!((rejected(&world, 2, "late"), rejected(&world, 2, "duplicate")), (1, 0));
    world.run_for(SECOND * 3);
    assert_eq!(members(&world, round), [0, 1, 2, 3], "who is cut off is in");
}

#[test]
fn an_entry_that_opens_rounds_without_end_fills_no_memory_and_gets_no_list_signed() {
    let (mut world, plan) = world_without_client_3();
    let to = world.clients[0].secrets.address;
    let (round, builder) = builder(&world, &plan);
    world.run_for(Duration::from_millis(20));
    let own = packets(&builder, &plan, 3, to);
    let records = records(&world, round, 3, &own);
    let epoch = status(&world, 0).epoch;
    let most = u64::from(world.network().parameters.verdict_rounds);
    for round in round + 1..=round + most {
        let message = crate::wire::PeerMessage::RoundOpened { epoch, round };
        world.at_mix(1, Event::Peer { from: 0, message });
    }
    hand_over(&mut world, 1, (3, round), &own, records.clone());
    assert_eq!((status(&world, 1).handed_over, rejected(&world, 1, "wrong_round")), (0, 1), "it was dropped");
    // Nothing can be said of it any more, so that its time runs out.
    world.run_for(SECOND * 16);
    let complete = world.mixes[0].disk.recover().expect("memory").complete;
    let ended = complete.iter().find(|signed| signed.verdict.round == round).map(|signed| signed.verdict.outcome);
    assert_eq!(ended, Some(Outcome::Aborted(AbortReason::Timeout)));
}

#[test]
fn whoever_is_out_hands_over_nothing_and_is_waited_for_by_nobody() {
    let mut world = World::new(Plan::default());
    world.witness = Some(Witness::of_guilt());
    world.clients[2].mischief = Some(Mischief::Commitment);
    assert!(world.run_until(MINUTE, |world| world.mixes.iter().all(|mix| !mix.convictions.is_empty())));
    world.run_for(SECOND * 5);
    let before = (0..3).map(|mix| status(&world, mix).handed_over).collect::<Vec<_>>();
    let round = status(&world, 0).round;
    let geometry = world.network().parameters.packets_per_client as usize;
    let submission = Submission { packets: Slots::zeroed(Plan::default().geometry(), geometry), records: Vec::new() };
    let request = Request::HandOver { round };
    world.at_mix(1, Event::Request { id: RequestId(1 << 60), client: 2, request, submission: Some(submission) });
    assert_eq!(rejected(&world, 1, "evicted"), 1);
    let stored = crowds(&world, 0).len();
    world.run_for(SECOND * 10);
    assert_eq!((0..3).map(|mix| status(&world, mix).handed_over).collect::<Vec<_>>(), before);
    let crowds = crowds(&world, stored);
    assert!(crowds.len() >= 9 && crowds.iter().all(|clients| *clients == 3), "{crowds:?}");
}

#[test]
fn a_mix_that_has_forgotten_who_is_out_is_told_and_waits_for_nobody_in_vain() {
    for mix in 1..3 {
        let mut world = World::new(Plan::default());
        world.witness = Some(Witness::of_guilt());
        world.clients[2].mischief = Some(Mischief::Layer { hop: 1 });
        assert!(world.run_until(MINUTE, |world| world.mixes.iter().all(|mix| !mix.convictions.is_empty())));
        // The entry has it from its disk.
        for lost in [None, Some(mix)] {
            for mix in lost.map_or(vec![0, mix], |mix| vec![mix]) {
                world.crash_mix(mix);
            }
            lost.into_iter().for_each(|mix| world.lose_disk(mix));
            for mix in lost.map_or(vec![0, mix], |mix| vec![mix]) {
                world.start_mix(mix);
            }
            world.run_for(SECOND * 5);
            assert_eq!(status(&world, mix).evicted, [2]);
            let before = crowds(&world, 0).len();
            world.run_for(SECOND * 5);
            assert!(crowds(&world, before).len() >= 4, "{lost:?}");
        }
    }
}

#[test]
fn unsealed_and_fewer_open_nothing_is_handed_over() {
    for plan in [Plan { sealed: false, ..Plan::default() }, Plan { threshold: Some(2), ..Plan::default() }] {
        let mut world = world(plan);
        assert!(!world.network().hands_over());
        world.refuse([0], Refusing::Openly);
        let before = crowds(&world, 0).len();
        world.run_for(SECOND * 8);
        let crowds = crowds(&world, before + 2);
        assert!(crowds.len() >= 3 && crowds.iter().all(|clients| *clients == 3), "{crowds:?}");
    }
}
