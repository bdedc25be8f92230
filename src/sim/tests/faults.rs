//! Whatever dies, breaks or is late: messages arrive exactly once and the network goes on by itself.

use super::*;
use crate::mix::Event;
use crate::wire::{PeerMessage, SignedEpoch};

#[test]
fn any_mix_may_die_and_come_back() {
    for mix in 0..3 {
        let mut world = World::new(Plan { seed: 10 + mix as u64, ..Plan::default() });
        world.run_for(Duration::from_secs(3));
        world.send(0, 1, b"before");
        world.run_for(Duration::from_millis(1300));
        world.crash_mix(mix);
        world.send(2, 3, b"while it is down");
        world.run_for(Duration::from_secs(4));
        world.start_mix(mix);
        world.send(1, 0, b"after");
        let arrived = |world: &World| [0, 1, 3].iter().all(|client| !world.inbox(*client).is_empty());
        assert!(world.run_until(MINUTE, arrived), "mix {mix}");
        world.run_for(MINUTE);
        assert_eq!(contents(&world, 1), [b"before".to_vec()], "mix {mix}");
        assert_eq!(contents(&world, 3), [b"while it is down".to_vec()], "mix {mix}");
        assert_eq!(contents(&world, 0), [b"after".to_vec()], "mix {mix}");
        assert!((2..10).contains(&epoch(&world)), "the lost keys were replaced once: {}", epoch(&world));
    }
}

#[test]
fn all_mixes_may_die_at_once() {
    let mut world = World::new(Plan::default());
    world.send(0, 1, b"kept");
    world.run_for(Duration::from_millis(2500));
    (0..3).for_each(|mix| world.crash_mix(mix));
    world.run_for(Duration::from_secs(2));
    (0..3).for_each(|mix| world.start_mix(mix));
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
    world.run_for(MINUTE);
    assert_eq!(contents(&world, 1), [b"kept".to_vec()]);
}

#[test]
fn a_client_may_die_at_any_moment() {
    for moment in 0..12 {
        let mut world = World::new(Plan { seed: 40 + moment, ..Plan::default() });
        world.send(0, 1, b"from the one who dies");
        world.send(2, 0, b"to the one who dies");
        world.run_for(Duration::from_millis(700 + moment * 130));
        world.crash_client(0);
        world.run_for(Duration::from_millis(1700));
        world.start_client(0);
        let arrived = |world: &World| !world.inbox(0).is_empty() && !world.inbox(1).is_empty();
        assert!(world.run_until(MINUTE, arrived), "moment {moment}");
        world.run_for(MINUTE);
        assert_eq!(contents(&world, 1), [b"from the one who dies".to_vec()], "moment {moment}");
        assert_eq!(contents(&world, 0), [b"to the one who dies".to_vec()], "moment {moment}");
    }
}

#[test]
fn two_of_four_clients_away_and_the_others_go_on() {
    let mut world = World::new(Plan::default());
    world.run_for(Duration::from_secs(3));
    world.crash_client(2);
    world.crash_client(3);
    let before = stored(&world);
    world.send(0, 1, b"still here");
    world.run_for(Duration::from_secs(20));
    assert!(stored(&world) >= before + 15, "rounds go on: {} after {before}", stored(&world));
    assert_eq!(contents(&world, 1), [b"still here".to_vec()]);
}

#[test]
fn below_the_minimum_nothing_is_mixed() {
    let mut world = World::new(Plan::default());
    world.run_for(Duration::from_secs(3));
    (1..4).for_each(|client| world.crash_client(client));
    world.run_for(Duration::from_secs(3));
    let before = stored(&world);
    world.send(0, 1, b"alone");
    world.run_for(Duration::from_secs(20));
    assert_eq!(stored(&world), before, "one client is no crowd");
    (1..4).for_each(|client| world.start_client(client));
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()), "and it goes on when they return");
}

#[test]
fn broken_links_lose_and_double_nothing() {
    for seed in 0..6 {
        let faults = Faults {
            loss: 0.01,
            duplication: 0.05,
            jitter: Duration::from_millis(60),
            outage: Duration::from_millis(900),
            ..Faults::default()
        };
        let mut world = World::with_faults(Plan { seed, ..Plan::default() }, faults);
        let messages: Vec<Vec<u8>> = (0..12u8).map(|i| vec![i; 100 * usize::from(i)]).collect();
        for (i, message) in messages.iter().enumerate() {
            world.send(i % 4, (i + 1) % 4, message);
        }
        let count = |world: &World| (0..4).map(|client| world.inbox(client).len()).sum::<usize>();
        assert!(world.run_until(MINUTE * 10, |world| count(world) == messages.len()), "seed {seed}");
        world.run_for(MINUTE);
        let mut arrived: Vec<_> = (0..4).flat_map(|client| contents(&world, client)).collect();
        arrived.sort();
        let mut expected = messages.clone();
        expected.sort();
        assert_eq!(arrived, expected, "seed {seed}");
    }
}

#[test]
fn a_partition_in_the_middle_of_the_cascade_heals() {
    let mut world = World::new(Plan::default());
    world.run_for(Duration::from_millis(2200));
    world.send(0, 1, b"through");
    world.partition(Party::Mix(1), Party::Mix(2));
    world.run_for(Duration::from_secs(8));
    world.heal(Party::Mix(1), Party::Mix(2));
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
    world.run_for(MINUTE);
    assert_eq!(contents(&world, 1), [b"through".to_vec()]);
    assert!(epoch(&world) <= 3, "a broken link costs no keys");
}

#[test]
fn a_slow_client_stalls_nobody() {
    let mut world = World::new(Plan::default());
    world.run_for(Duration::from_secs(3));
    world.partition(Party::Client(3), Party::Mix(0));
    let before = stored(&world);
    world.run_for(Duration::from_secs(10));
    assert!(stored(&world) >= before + 8);
    world.heal(Party::Client(3), Party::Mix(0));
    world.send(3, 0, b"back");
    assert!(world.run_until(MINUTE, |world| !world.inbox(0).is_empty()), "and it may return");
}

#[test]
fn mixes_may_restart_twice_at_any_moment_of_an_epoch() {
    for moment in 0..18u64 {
        let mut world = World::new(Plan { epoch_rounds: 10, seed: 70 + moment, ..Plan::default() });
        let (first, second) = ((moment % 3) as usize, (moment / 3 % 3) as usize);
        world.run_for(Duration::from_millis(20 + moment * 577));
        for mix in [first, second] {
            world.crash_mix(mix);
            world.start_mix(mix);
            world.run_for(Duration::from_millis(30));
        }
        world.send(0, 1, b"goes on");
        assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()), "moment {moment}");
        assert_eq!(contents(&world, 1), [b"goes on".to_vec()]);
    }
}

#[test]
fn a_link_may_break_at_any_moment_of_an_agreement() {
    for moment in 0..40u64 {
        let mut world = World::new(Plan { seed: 100 + moment, ..Plan::default() });
        let (a, b) = (Party::Mix(0), Party::Mix(1 + (moment % 2) as usize));
        world.run_for(Duration::from_millis(moment * 3));
        world.partition(a, b);
        world.run_for(Duration::from_millis(20));
        world.heal(a, b);
        world.send(0, 1, b"agreed");
        assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()), "moment {moment}");
    }
}

#[test]
fn a_mix_behind_the_entry_that_loses_its_disk_learns_the_chain_and_goes_on() {
    for mix in 1..3 {
        let mut world = World::new(Plan { epoch_rounds: 10, seed: 200 + mix as u64, ..Plan::default() });
        world.run_for(Duration::from_secs(15));
        world.crash_mix(mix);
        world.lose_disk(mix);
        world.run_for(Duration::from_secs(1));
        world.start_mix(mix);
        let before = stored(&world);
        assert!(world.run_until(MINUTE * 5, |world| stored(world) > before + 5), "mix {mix}");
        world.send(0, 1, b"after all");
        assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()), "mix {mix}");
    }
}

#[test]
fn the_entry_may_lose_its_disk() {
    for seed in 0..4 {
        let mut world = World::new(Plan { epoch_rounds: 10, seed: 300 + seed, ..Plan::default() });
        world.run_for(Duration::from_millis(14_500 + seed * 270));
        world.send(0, 1, b"under way");
        world.run_for(Duration::from_secs(1));
        world.crash_mix(0);
        world.lose_disk(0);
        world.send(2, 3, b"while it is down");
        world.run_for(Duration::from_secs(1));
        world.start_mix(0);
        let arrived = |world: &World| !world.inbox(1).is_empty() && !world.inbox(3).is_empty();
        assert!(world.run_until(MINUTE, arrived), "seed {seed}");
        world.run_for(MINUTE);
        assert_eq!(contents(&world, 1), [b"under way".to_vec()], "seed {seed}");
        assert_eq!(contents(&world, 3), [b"while it is down".to_vec()], "seed {seed}");
    }
}

#[test]
fn a_document_that_overtakes_the_one_before_it_is_taken_and_so_is_that_one() {
    let mut world = World::new(Plan { epoch_rounds: 5, ..Plan::default() });
    world.run_for(Duration::from_secs(17));
    let chain = world.mixes[0].disk.recover().expect("memory").chain;
    world.crash_mix(1);
    world.lose_disk(1);
    world.partition(Party::Mix(0), Party::Mix(1));
    world.start_mix(1);
    let mut say = |message| world.at_mix(1, Event::Peer { from: 0, message });
    say(PeerMessage::Hello { boot: [7; 16], epoch: 0 });
    let (newest, older) = chain.split_last().expect("epochs have been made");
    assert!(older.len() >= 2);
    for signed in std::iter::once(newest).chain(older) {
        say(PeerMessage::EpochComplete(signed.clone()));
    }
    world.run_for(Duration::from_secs(1));
    let epochs = |chain: &[SignedEpoch]| chain.iter().map(|signed| signed.document.epoch).collect::<Vec<_>>();
    assert_eq!(epochs(&world.mixes[1].disk.recover().expect("memory").chain), epochs(&chain));
    world.heal(Party::Mix(0), Party::Mix(1));
    let before = stored(&world);
    assert!(world.run_until(MINUTE, |world| stored(world) > before + 3), "and it goes on from there");
}

#[test]
fn members_that_leave_for_good_are_waited_for_but_not_for_ever() {
    let mut world =
        World::new(Plan { clients: 6, min_share_permille: 900, seed: 310, epoch_rounds: 20, ..Plan::default() });
    world.run_for(Duration::from_secs(5));
    (3..6).for_each(|client| world.crash_client(client));
    world.send(0, 1, b"to those who stay");
    let before = stored(&world);
    world.run_for(Duration::from_secs(50));
    assert!(stored(&world) <= before + 2, "half of the members are no quorum");
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()), "the next epoch is theirs");
    let before = stored(&world);
    world.run_for(MINUTE);
    assert!(stored(&world) >= before + 50, "it renews itself like any other: {} after {before}", stored(&world));
    // The first to return find a small network, and everybody a whole one in the end.
    (3..6).for_each(|client| world.start_client(client));
    world.send(5, 0, b"back");
    assert!(world.run_until(MINUTE, |world| !world.inbox(0).is_empty()));
}

#[test]
fn the_roster_may_change_while_messages_are_under_way() {
    for seed in 1..4 {
        let mut world = World::new(Plan { epoch_rounds: 10, seed: 400 + seed, ..Plan::default() });
        world.run_for(Duration::from_secs(12));
        for number in 0..12u8 {
            world.send(1, 0, &[number; 600]);
        }
        // Client 1 has used a round that it is not in. Read by its new place, that round's list names it: there client 2
        // stood, who was in.
        world.run_for(Duration::from_millis(seed * 200));
        let used = |world: &World| world.clients[1].disk.unsettled().is_ok_and(|rounds| !rounds.is_empty());
        assert!(world.run_until(MINUTE, used), "seed {seed}");
        world.partition(Party::Client(1), Party::Mix(0));
        world.run_for(Duration::from_secs(3));
        world.heal(Party::Client(1), Party::Mix(0));
        world.admit();
        assert!(world.run_until(MINUTE * 2, |world| world.inbox(1).len() >= 12), "seed {seed}");
        world.run_for(MINUTE);
        let mut all = contents(&world, 1);
        all.sort();
        assert_eq!(all, (0..12u8).map(|number| vec![number; 600]).collect::<Vec<_>>(), "seed {seed}");
        world.send(0, 2, b"from the new one");
        assert!(world.run_until(MINUTE, |world| !world.inbox(2).is_empty()), "seed {seed}");
    }
}

#[test]
fn no_round_outruns_a_verdict_that_the_entrys_disk_does_not_take() {
    let mut world = World::new(Plan::default());
    world.run_for(Duration::from_secs(5));
    world.mixes[0].kv.fail(Failing::For(crate::store::Table::Complete));
    world.run_for(Duration::from_secs(20));
    world.crash_mix(0);
    world.mixes[0].kv.fail(Failing::Never);
    world.start_mix(0);
    world.send(0, 1, b"after the verdicts that were owed");
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
}

#[test]
fn what_a_full_disk_refuses_does_not_pile_up() {
    for table in [crate::store::Table::Signed, crate::store::Table::Meta] {
        let mut world = World::new(Plan { epoch_rounds: 10, seed: 500, ..Plan::default() });
        world.run_for(Duration::from_secs(5));
        world.send(0, 1, b"when there is room again");
        world.mixes[1].kv.fail(Failing::For(table));
        let refused = |world: &World| world.mixes[1].engine.as_ref().map_or(0, |mix| mix.status().rejected["disk"]);
        world.run_for(MINUTE);
        let before = refused(&world);
        world.run_for(MINUTE);
        let early = refused(&world) - before;
        world.run_for(MINUTE * 5);
        let before = refused(&world);
        world.run_for(MINUTE);
        let late = refused(&world) - before;
        assert!(late <= early + early / 2, "{table}: {early} tries a minute at first, {late} later");
        world.mixes[1].kv.fail(Failing::Never);
        assert!(world.run_until(MINUTE * 3, |world| !world.inbox(1).is_empty()), "{table}");
    }
}

#[test]
fn what_a_mix_lost_comes_again_within_d_and_two_rounds_of_its_return() {
    for mix in 0..3 {
        for moment in 0..6 {
            let mut world = World::new(Plan { seed: 600 + moment, ..Plan::default() });
            let delay = u64::from(world.network().parameters.verdict_rounds);
            let opened = |world: &World| world.mixes[0].disk.recover().expect("memory").opened;
            world.run_for(Duration::from_secs(8));
            world.send(0, 1, b"under way when it died");
            let flies = |world: &World| world.clients[0].disk.outbox.counts().is_ok_and(|counts| counts.in_flight > 0);
            assert!(world.run_until(MINUTE, flies));
            world.run_for(Duration::from_millis(moment * 180));
            world.crash_mix(mix);
            world.run_for(Duration::from_secs(30));
            world.start_mix(mix);
            let back = opened(&world);
            assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()), "mix {mix}, moment {moment}");
            let entries = world.clients[1].disk.inbox.all().expect("memory");
            let stored = entries.first().expect("it is there").round;
            assert!(stored <= back + delay + 2, "mix {mix}, moment {moment}: round {stored}, back at {back}");
        }
    }
}

#[test]
fn rounds_beyond_two_overlap_only_while_their_batches_fit() {
    // A batch has 14 packets at most: 8 of clients, 2 of noise of each mix.
    let three = 3 * 14 * Plan::default().geometry().stride() as u64;
    for (overlap_bytes, most) in [(0, 2), (three - 1, 2), (three, 3), (u64::MAX, 6)] {
        let mut world = World::new(Plan { overlap_bytes, seed: 800, ..Plan::default() });
        world.run_for(Duration::from_secs(8));
        world.partition(Party::Mix(0), Party::Mix(2));
        world.run_for(Duration::from_secs(30));
        let recovered = world.mixes[0].disk.recover().expect("memory");
        let settled = recovered.complete.iter().map(|signed| signed.verdict.round).max();
        assert_eq!(settled.map(|settled| recovered.opened - settled), Some(most), "{overlap_bytes} bytes");
        world.heal(Party::Mix(0), Party::Mix(2));
        world.send(0, 1, b"once it goes on");
        assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()), "{overlap_bytes} bytes");
    }
}

#[test]
fn a_mixs_disk_that_denies_what_it_has_written_stops_nothing() {
    for seed in 0..3 {
        let mut world = World::new(Plan { epoch_rounds: 10, seed: 700 + seed, ..Plan::default() });
        world.run_for(Duration::from_secs(3));
        world.mixes.iter().for_each(|mix| mix.kv.fail(Failing::Lies(3)));
        for number in 0..8u8 {
            world.send(usize::from(number % 4), usize::from(number + 1) % 4, &[number; 700]);
            world.run_for(Duration::from_secs(4));
        }
        let count = |world: &World| (0..4).map(|client| world.inbox(client).len()).sum::<usize>();
        assert!(world.run_until(MINUTE * 5, |world| count(world) == 8), "seed {seed}: {}", count(&world));
        world.run_for(MINUTE);
        assert_eq!(count(&world), 8, "seed {seed}: each once");
    }
}
