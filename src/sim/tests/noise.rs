//! Noise of the mixes' own: it is in every batch, it is no letter to anybody, and whoever takes it away finds the round shut.

use super::*;

/// Sizes of the batches that the mix at `place` handed on.
fn sizes(world: &World, place: usize) -> Vec<usize> {
    let own = world.batches.iter().filter(|(mix, ..)| *mix == place);
    own.map(|(_, _, packets)| packets.len()).collect()
}

#[test]
fn every_mix_but_the_exit_adds_what_its_policy_says_and_letters_arrive_among_it() {
    for (bound, adds, sealed) in
        [(2, None, true), (2, None, false), (7, Some(3), true), (2, Some(0), true), (0, None, true)]
    {
        let plan = Plan { mixes: 4, noise_packets: bound, noise: adds, sealed, ..Plan::default() };
        let mut world = World::new(plan);
        world.record_batches();
        world.send(0, 1, b"among noise");
        assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
        world.run_for(Duration::from_secs(5));
        let adds = adds.unwrap_or(bound) as usize;
        for place in 0..3 {
            let sizes = sizes(&world, place);
            assert!(sizes.len() > 3 && sizes.iter().all(|size| *size == 8 + (place + 1) * adds), "{place}: {sizes:?}");
        }
        assert!(outcomes(&world).iter().all(|outcome| *outcome == Outcome::Stored { refused: 0 }));
        for mix in &world.mixes {
            let rejected = mix.engine.as_ref().expect("it runs").status().rejected;
            assert!(!rejected.contains_key("bad_batch") && !rejected.contains_key("bad_echo"), "{rejected:?}");
        }
        assert_eq!(contents(&world, 1), [b"among noise".to_vec()]);
    }
}

/// n - 1: an attacker who owns every client of a round but one, as few as `min_clients` allows, and every mix but the first
/// knows all packets that leave the honest mix but that client's, and its noise.
#[test]
fn a_client_cut_out_from_all_others_still_leaves_an_honest_mix_among_its_noise() {
    for (noise, unknown) in [(2, 4), (5, 7), (0, 2)] {
        let mut world = World::new(Plan { noise_packets: noise, ..Plan::default() });
        world.run_for(Duration::from_secs(5));
        // Of four clients the two that are neither the victim nor the attacker's are kept away.
        (2..4).for_each(|client| world.crash_client(client));
        world.run_for(Duration::from_secs(3));
        world.record_batches();
        world.run_for(Duration::from_secs(5));
        let attackers = 2;
        let left: Vec<usize> = sizes(&world, 0).iter().map(|size| size - attackers).collect();
        assert!(left.len() >= 3 && left.iter().all(|left| *left == unknown), "{left:?}");
        // Nothing of it is the same packet, and all of it goes on to the exit.
        for (_, _, packets) in &world.batches {
            let different: std::collections::BTreeSet<_> = packets.iter().collect();
            assert_eq!(different.len(), packets.len());
        }
        assert!(sizes(&world, 1).iter().all(|size| size - attackers == unknown + noise as usize));
    }
}

/// Letters that are dummies, of all clients together.
fn dummies_received(world: &World) -> u64 {
    world.clients.iter().map(|client| client.engine.as_ref().expect("it runs").status().counters.letters_dummy).sum()
}

#[test]
fn dummies_to_nobody_are_dropped_in_silence_and_messages_and_noise_arrive() {
    use crate::wire::DummyPolicy;
    let run = |dummies, noise_packets| {
        let mut world = World::new(Plan { dummies, noise_packets, ..Plan::default() });
        world.send(0, 1, b"not a dummy");
        assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
        world.run_for(Duration::from_secs(10));
        assert_eq!(contents(&world, 1), [b"not a dummy".to_vec()]);
        assert!(outcomes(&world).iter().all(|outcome| *outcome == Outcome::Stored { refused: 0 }));
        let rejected = world.mixes[2].engine.as_ref().expect("it runs").status().rejected;
        assert!(!rejected.contains_key("unknown_mailbox"), "{rejected:?}");
        dummies_received(&world)
    };
    assert!(run(DummyPolicy::Uniform, 0) > 0);
    assert!(run(DummyPolicy::Own, 0) > 0);
    assert_eq!(run(DummyPolicy::Dropped, 0), 0);
    assert!(run(DummyPolicy::Dropped, 2) > 0, "noise goes to mailboxes all the same");
}
