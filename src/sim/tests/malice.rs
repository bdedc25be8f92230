//! A mix that does to its batch what an adversary would: the round dies at the next honest mix, unopened, and the
//! contents arrive in a later one, exactly once.

use super::*;
use crate::mix::Event;
use crate::wire::{AbortReason, PeerMessage};

/// What each behaviour makes of a round.
fn behaviours() -> Vec<(Malice, AbortReason)> {
    // Each field of a packet: key, its top byte, tag, first and last byte of the body.
    let flips = [0, 31, 32, 47, 48, 300, usize::MAX].map(|byte| (Malice::Flip { byte }, None));
    let others = [(Malice::Duplicate, Some(AbortReason::Replay)), (Malice::Replace, None), (Malice::RunTwice, None)];
    let all = flips.into_iter().chain(others);
    all.map(|(malice, reason)| (malice, reason.unwrap_or(AbortReason::BadLayer))).collect()
}

#[test]
fn whatever_a_mix_does_to_a_packet_voids_the_round_and_loses_nothing() {
    for position in 0..2 {
        for (malice, reason) in behaviours() {
            let mut world = World::new(Plan::default());
            world.run_for(Duration::from_secs(2));
            world.mixes[position].malice = Some(malice);
            world.send(0, 1, b"touched");
            world.run_for(Duration::from_secs(5));
            resume(&mut world);
            // Of a batch under way it may have told what it then did not hand on.
            let told_otherwise = Outcome::Aborted(AbortReason::SecondBatch);
            let aborts: Vec<_> = outcomes(&world).into_iter().filter(|outcome| !outcome.is_stored()).collect();
            if malice != Malice::RunTwice {
                assert!(world.inbox(1).is_empty(), "{malice:?} at {position}: nothing of a touched round is opened");
                assert!(!aborts.is_empty(), "{malice:?} at {position}: {aborts:?}");
                assert!(
                    aborts.iter().all(|outcome| [told_otherwise, Outcome::Aborted(reason)].contains(outcome)),
                    "{malice:?}: {aborts:?}"
                );
            }
            let arrived = world.run_until(MINUTE, |world| !world.inbox(1).is_empty());
            assert!(arrived, "{malice:?} at {position}");
            world.run_for(MINUTE);
            assert_eq!(contents(&world, 1), [b"touched".to_vec()], "{malice:?} at {position}");
        }
    }
}

#[test]
fn a_batch_with_another_count_is_refused_whole() {
    for malice in [Malice::Drop, Malice::Overcount] {
        let mut world = World::new(Plan::default());
        world.run_for(Duration::from_secs(2));
        world.mixes[0].malice = Some(malice);
        let before = stored(&world);
        world.run_for(Duration::from_secs(3));
        assert!(stored(&world) <= before + 1, "{malice:?}");
        let rejected = world.mixes[1].engine.as_ref().expect("it runs").status().rejected;
        assert!(rejected.get("bad_batch").is_some_and(|count| *count > 0), "{malice:?}: {rejected:?}");
        resume(&mut world);
        let before = stored(&world);
        assert!(world.run_until(MINUTE * 2, |world| stored(world) > before + 5), "{malice:?}: it recovers");
    }
}

#[test]
fn an_order_that_is_not_random_is_no_ones_to_see_but_the_next_mixes() {
    // Where rounds are sealed a mix that sends another batch than its engine made has the wrong echoes to hand back.
    let mut world = World::new(Plan { sealed: false, ..Plan::default() });
    world.mixes[0].malice = Some(Malice::Reverse);
    world.send(0, 1, b"shuffled behind");
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()), "one honest mix is enough");
}

#[test]
fn a_round_that_is_aborted_before_it_opens_is_passed_over_by_an_entry_that_restarts() {
    let mut world = World::new(Plan::default());
    world.run_for(Duration::from_secs(4));
    let (epoch, round) = (epoch(&world), world.mixes[0].disk.recover().expect("memory").opened + 1);
    assert!(epoch > 0 && round > 1, "rounds run");
    world.crash_mix(0);
    let abort = PeerMessage::Abort { epoch, round, reason: AbortReason::BadLayer };
    world.at_mix(2, Event::Peer { from: 1, message: abort });
    world.run_for(Duration::from_secs(1));
    assert!(world.mixes[2].disk.recover().expect("memory").signed.iter().any(|verdict| verdict.round == round));
    world.start_mix(0);
    world.send(0, 1, b"goes on");
    let before = stored(&world);
    world.run_for(MINUTE);
    assert!(stored(&world) > before + 30, "{} rounds in a minute", stored(&world) - before);
    assert_eq!(contents(&world, 1), [b"goes on".to_vec()]);
}
