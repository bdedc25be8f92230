//! Sealed rounds: whoever touches a client's packet before an honest mix finds the round shut, and nothing is lost. Each with
//! the same attack on a network whose rounds are not sealed, which does not notice.

use super::*;
use crate::mix::Event;
use crate::wire::PeerMessage;

fn plan(mixes: usize, sealed: bool) -> Plan {
    Plan { mixes, sealed, epoch_rounds: 20, ..Plan::default() }
}

fn rejected(world: &World, mix: usize, reason: &str) -> u64 {
    world.mixes[mix].engine.as_ref().and_then(|engine| engine.status().rejected.get(reason).copied()).unwrap_or(0)
}

/// A mix puts a well-made packet of its own in the place of a client's, for so long; then it stops.
fn substituted(mixes: usize, position: usize, sealed: bool) -> (World, Vec<Outcome>) {
    let mut world = World::new(plan(mixes, sealed));
    world.run_for(Duration::from_secs(2));
    let before = outcomes(&world).len();
    world.mixes[position].malice = Some(Malice::Substitute);
    for client in 0..8 {
        world.send(client % 4, (client + 1) % 4, &[client as u8; 700]);
    }
    world.run_for(Duration::from_secs(12));
    resume(&mut world);
    // One round may have been under way before.
    let late = |(at, outcome): &(usize, &Outcome)| *at > 0 || !outcome.is_stored();
    let during = outcomes(&world)[before..].iter().enumerate().filter(late).map(|(_, outcome)| *outcome).collect();
    world.run_for(MINUTE * 2);
    (world, during)
}

#[test]
fn a_packet_replaced_by_a_well_made_one_leaves_the_round_shut_and_its_content_arrives_later() {
    for (mixes, position) in [(2, 0), (3, 0), (3, 1), (5, 3)] {
        let (world, during) = substituted(mixes, position, true);
        assert!(!during.is_empty(), "{position} of {mixes}: {during:?}");
        // The first is shut by its echoes; then it is known who did it, and nothing goes on.
        assert!(during.iter().all(|outcome| !outcome.is_stored()), "{position} of {mixes}: {during:?}");
        for client in 0..4 {
            let expected = [(client + 3) % 4, (client + 3) % 4 + 4].map(|from| vec![from as u8; 700]);
            assert_eq!(contents(&world, client), expected, "{position} of {mixes}, once each");
        }
    }
}

#[test]
fn unsealed_nobody_notices_and_letters_are_lost() {
    let (world, during) = substituted(3, 1, false);
    assert!(during.iter().all(|outcome| outcome.is_stored()), "{during:?}");
    let arrived: usize = (0..4).map(|client| contents(&world, client).len()).sum();
    assert!(arrived < 8, "a letter in place of which another came was called stored");
}

#[test]
fn rounds_are_confirmed_by_all_before_any_share_moves() {
    // Without the confirm of one mix no share is released: the exit, too, has confirmed, and calls no round aborted.
    for position in 0..2 {
        let mut world = World::new(plan(3, true));
        world.run_for(Duration::from_secs(2));
        let before = stored(&world);
        world.mixes[position].malice = Some(Malice::WithholdConfirm);
        world.send(0, 1, b"not yet");
        world.run_for(Duration::from_secs(25));
        assert!(stored(&world) <= before + 1 && world.inbox(1).is_empty(), "mix {position}");
        resume(&mut world);
        assert!(world.run_until(MINUTE * 2, |world| !world.inbox(1).is_empty()), "mix {position}");
        world.run_for(MINUTE);
        assert_eq!(contents(&world, 1), [b"not yet".to_vec()]);
    }
}

#[test]
fn a_confirm_of_another_transcript_shuts_the_round() {
    for position in 0..3 {
        let mut world = World::new(plan(3, true));
        world.run_for(Duration::from_secs(2));
        let before = outcomes(&world).len();
        world.mixes[position].malice = Some(Malice::OtherConfirm);
        world.run_for(Duration::from_secs(20));
        // The first of them may have been confirmed before.
        let during = &outcomes(&world)[before..];
        let after = during.get(1..).unwrap_or_default();
        let shut =
            during.iter().any(|outcome| !outcome.is_stored()) && after.iter().all(|outcome| !outcome.is_stored());
        assert!(shut, "mix {position}: {during:?}");
        all_name(&world, Some((position, Offence::Confirm)));
        let noticed: u64 = (0..3).map(|mix| rejected(&world, mix, "bad_confirm")).sum();
        assert!(noticed > 0, "mix {position}");
        resume(&mut world);
        let before = stored(&world);
        assert!(world.run_until(MINUTE * 2, |world| stored(world) > before + 3), "mix {position}: it goes on");
    }
}

#[test]
fn whoever_names_rounds_to_come_keeps_none_out() {
    let mut world = World::new(Plan { epoch_rounds: 60, ..plan(3, true) });
    world.run_for(Duration::from_secs(3));
    let recovered = world.mixes[0].disk.recover().expect("memory");
    let document = &recovered.chain.last().expect("the network runs").document;
    for round in recovered.opened + 20..recovered.opened + 50 {
        let header = made_up_header(document, round, 1);
        let header = header.sign(world.mixes[0].key());
        for to in 1..3 {
            world.at_mix(to, Event::Peer { from: 0, message: PeerMessage::BatchHeader(header.clone()) });
        }
    }
    assert!(rejected(&world, 1, "full") > 0);
    let before = stored(&world);
    world.run_for(Duration::from_secs(15));
    assert!(stored(&world) >= before + 12, "{} after {before}", stored(&world));
}

#[test]
fn a_batch_that_names_other_clients_than_the_list_leaves_the_round_shut() {
    let mut world = World::new(Plan { clients: 5, ..plan(3, true) });
    world.run_for(Duration::from_secs(5));
    world.crash_client(4);
    world.run_for(Duration::from_secs(15));
    let before = outcomes(&world).len();
    world.mixes[0].malice = Some(Malice::OtherMembers);
    world.send(0, 1, b"whose is it");
    world.run_for(Duration::from_secs(10));
    let during = &outcomes(&world)[before + 1..];
    assert!(during.len() >= 3 && during.iter().all(|outcome| !outcome.is_stored()), "{during:?}");
    resume(&mut world);
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
    world.run_for(MINUTE);
    assert_eq!(contents(&world, 1), [b"whose is it".to_vec()]);
}

#[test]
fn a_second_header_stops_no_round_that_is_released() {
    for (at, from, phase) in [(2, 1, "open"), (1, 0, "verdict")] {
        let faults = Faults { work: Duration::from_millis(150), ..Faults::default() };
        let mut world = World::with_faults(plan(3, true), faults);
        world.run_for(Duration::from_secs(5));
        let status = |world: &World, mix: usize| world.mixes[mix].engine.as_ref().expect("it runs").status();
        let opens = |world: &World| {
            let (here, exit) = (status(world, at), status(world, 2));
            here.phase == phase && exit.phase == "open" && here.round == exit.round
        };
        let mut patience = 0..20_000;
        while !opens(&world) && patience.next().is_some() {
            world.run_for(Duration::from_millis(1));
        }
        assert!(opens(&world), "mix {at}");
        let round = status(&world, at).round;
        let chain = world.mixes[from].disk.recover().expect("memory").chain;
        let of_round = chain.iter().rev().find(|signed| signed.document.position(round).is_some());
        let document = &of_round.expect("the round has a document").document;
        let header = made_up_header(document, round, from as u8 + 1).sign(world.mixes[from].key());
        world.at_mix(at, Event::Peer { from, message: PeerMessage::BatchHeader(header) });
        // The round is stored all the same; then the network stops for who has signed two headers.
        let before = stored(&world);
        world.run_for(Duration::from_secs(5));
        assert!(stored(&world) > before, "mix {at}");
        resume(&mut world);
        world.run_for(MINUTE);
        assert!(stored(&world) > before + 40, "mix {at}: {} after {before}", stored(&world));
    }
}

#[test]
fn where_two_of_three_open_a_round_lost_links_stop_nothing_for_good() {
    for seed in [1, 4, 5] {
        let jitter = Duration::from_millis(30);
        let faults = Faults { loss: 0.01, work: Duration::from_millis(50), jitter, ..Faults::default() };
        let mut world = World::with_faults(Plan { threshold: Some(2), seed, ..plan(3, true) }, faults);
        world.run_for(MINUTE);
        world.faults.loss = 0.0;
        world.run_for(MINUTE);
        let before = stored(&world);
        world.run_for(MINUTE);
        let why: Vec<_> = world.mixes.iter().map(|mix| mix.engine.as_ref().map(crate::mix::Mix::status)).collect();
        assert!(stored(&world) > before + 40, "seed {seed}: {} after {before}: {why:#?}", stored(&world));
    }
}
