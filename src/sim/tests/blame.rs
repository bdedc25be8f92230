//! Burn and blame: whoever breaks a round is named by every honest mix, and nobody else is.

use super::*;
use crate::blame::{Guilty, Offence};
use crate::mix::{Event, Status};

fn world(mixes: usize) -> World {
    let mut world = World::new(Plan { mixes, epoch_rounds: 20, ..Plan::default() });
    world.witness = Some(Witness::of_guilt());
    world
}

fn status(world: &World, mix: usize) -> Status {
    world.mixes[mix].engine.as_ref().expect("it runs").status()
}

fn tell_all(world: &mut World, event: impl Fn() -> Event) {
    (0..world.mixes.len()).for_each(|mix| world.at_mix(mix, event()));
}

/// Whom the mixes but `guilty` have convicted, and of what.
fn named(world: &World, guilty: Option<usize>) -> Vec<Vec<(Guilty, Offence)>> {
    let honest = world.mixes.iter().enumerate().filter(|(mix, _)| Some(*mix) != guilty);
    honest.map(|(_, mix)| mix.convictions.iter().map(|found| (found.guilty, found.offence)).collect()).collect()
}

fn is_sound(world: &World) {
    let witness = world.witness.as_ref().expect("it looks on");
    assert!(witness.violations().is_empty(), "{:?}", witness.details());
}

/// A mix does this; every other one names it, and nothing goes on before an operator has acted.
fn convicts_the_mix(mixes: usize, position: usize, malice: Malice, offence: Option<Offence>) {
    let what = format!("{malice:?} at {position} of {mixes}");
    let mut world = world(mixes);
    world.mixes[position].malice = Some(malice);
    world.send(0, 1, b"broken");
    world.run_for(Duration::from_secs(8));
    for named in named(&world, Some(position)) {
        let [(guilty, found)] = named[..] else {
            panic!("{what}: {named:?}, {:?}", (0..mixes).map(|mix| status(&world, mix).rejected).collect::<Vec<_>>())
        };
        assert_eq!(guilty, Guilty::Mix(position as u8 + 1), "{what}");
        assert!(offence.is_none_or(|offence| offence == found), "{what}: {found:?}");
    }
    for mix in (0..mixes).filter(|mix| *mix != position) {
        assert!(status(&world, mix).stopped.is_some_and(|words| words.contains(&format!("mix-{}", position + 1))));
    }
    world.mixes[position].malice = None;
    let before = stored(&world);
    // Not for so long that the message has failed too often and waits for its user.
    world.run_for(Duration::from_secs(8));
    assert_eq!(stored(&world), before, "{what}: it stands still");
    // A second batch may come too late to touch the first.
    assert!(world.inbox(1).is_empty() || malice == Malice::RunTwice, "{what}");
    tell_all(&mut world, || Event::Resume);
    assert!(world.run_until(MINUTE * 3, |world| !world.inbox(1).is_empty()), "{what}");
    world.run_for(MINUTE);
    assert_eq!(contents(&world, 1), [b"broken".to_vec()], "{what}");
    is_sound(&world);
}

#[test]
fn a_mix_that_changes_a_packet_is_named_and_the_network_stops() {
    for (mixes, position) in [(2, 0), (3, 0), (3, 1)] {
        for malice in [Malice::Flip { byte: 300 }, Malice::Replace, Malice::Substitute, Malice::Duplicate] {
            convicts_the_mix(mixes, position, malice, Some(Offence::Dropped));
        }
    }
}

#[test]
fn a_mix_that_spoils_an_echo_is_named() {
    for (mixes, position) in [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)] {
        convicts_the_mix(mixes, position, Malice::SpoilEcho, Some(Offence::Echo));
    }
}

#[test]
fn a_mix_that_accuses_falsely_is_named() {
    for (mixes, position) in [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)] {
        convicts_the_mix(mixes, position, Malice::LieOfEcho, Some(Offence::FalseAccusation));
        if position > 0 {
            convicts_the_mix(mixes, position, Malice::LieOfLayer, Some(Offence::FalseAccusation));
        }
    }
}

#[test]
fn a_mix_that_says_two_things_is_named() {
    for (mixes, position) in [(2, 0), (3, 0), (3, 1)] {
        convicts_the_mix(mixes, position, Malice::RunTwice, Some(Offence::Equivocation));
    }
}

#[test]
fn a_client_that_breaks_a_round_is_evicted_and_rounds_go_on_until_it_is_let_in() {
    for (mixes, mischief) in [
        (2, Mischief::Layer { hop: 2 }),
        (2, Mischief::Commitment),
        (3, Mischief::Layer { hop: 2 }),
        (3, Mischief::Layer { hop: 3 }),
        (3, Mischief::Commitment),
    ] {
        let what = format!("{mischief:?}, L = {mixes}");
        let mut world = world(mixes);
        world.clients[2].mischief = Some(mischief);
        world.send(0, 1, b"among others");
        world.run_for(Duration::from_secs(12));
        for named in named(&world, None) {
            assert!(matches!(named[..], [(Guilty::Client(2), _)]), "{what}: {named:?}");
        }
        assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()), "{what}");
        let before = stored(&world);
        world.run_for(Duration::from_secs(30));
        assert!(stored(&world) > before + 20, "{what}: rounds go on without it");
        let evicted = (0..mixes).all(|mix| status(&world, mix).evicted == [2] && status(&world, mix).stopped.is_none());
        assert!(evicted, "{what}");
        // It survives a restart, and ends when an operator says so.
        for mix in 0..mixes {
            world.crash_mix(mix);
            world.start_mix(mix);
        }
        world.clients[2].mischief = None;
        world.send(2, 3, b"let me in");
        world.run_for(MINUTE);
        assert!(world.inbox(3).is_empty(), "{what}");
        tell_all(&mut world, || Event::Readmit { client: 2 });
        assert!(world.run_until(MINUTE * 4, |world| !world.inbox(3).is_empty()), "{what}");
        assert_eq!((contents(&world, 1), contents(&world, 3).len()), (vec![b"among others".to_vec()], 1), "{what}");
        is_sound(&world);
    }
}

#[test]
fn an_entry_that_loses_its_disk_is_told_who_is_out() {
    let mut world = world(3);
    world.clients[2].mischief = Some(Mischief::Commitment);
    world.run_for(Duration::from_secs(12));
    assert!((0..3).all(|mix| status(&world, mix).evicted == [2]));
    world.clients[2].mischief = None;
    world.send(2, 3, b"let me in");
    world.crash_mix(0);
    world.lose_disk(0);
    world.start_mix(0);
    world.send(0, 1, b"go on");
    assert!(world.run_until(MINUTE * 5, |world| !world.inbox(1).is_empty()));
    assert!((0..3).all(|mix| status(&world, mix).evicted == [2]));
    world.run_for(MINUTE);
    assert!(world.inbox(3).is_empty());
    tell_all(&mut world, || Event::Readmit { client: 2 });
    assert!(world.run_until(MINUTE * 4, |world| !world.inbox(3).is_empty()));
    is_sound(&world);
}

#[test]
fn what_nobody_has_signed_for_names_nobody_and_is_refused_from_then_on() {
    let mut world = world(3);
    world.clients[2].mischief = Some(Mischief::Unsigned);
    world.send(0, 1, b"among others");
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
    assert!(named(&world, None).iter().all(Vec::is_empty), "{:?}", named(&world, None));
    let rejected = status(&world, 0).rejected;
    assert!(rejected.get("bad_client_signature").is_some_and(|count| *count > 0), "{rejected:?}");
    is_sound(&world);
}

#[test]
fn whoever_crashes_while_a_round_burns_nobody_else_is_named_and_nothing_is_lost() {
    let mut crashes = 0;
    for (mix, after) in (0..3).flat_map(|mix| (0..12).map(move |step| (mix, step * 5))) {
        let mut world = world(3);
        world.clients[2].mischief = Some(Mischief::Commitment);
        world.send(0, 1, b"in spite of it");
        let burns = |world: &World| world.mixes.iter().any(SimMix::burns);
        assert!(world.run_until(MINUTE, burns), "a round burns");
        world.run_for(Duration::from_millis(after));
        world.crash_mix(mix);
        crashes += 1;
        world.run_for(Duration::from_millis(700));
        world.start_mix(mix);
        assert!(world.run_until(MINUTE * 3, |world| !world.inbox(1).is_empty()), "mix {mix}, {after}");
        for named in named(&world, None) {
            assert!(named.iter().all(|(guilty, _)| *guilty == Guilty::Client(2)), "mix {mix}, {after}: {named:?}");
        }
        world.run_for(Duration::from_secs(20));
        assert_eq!(contents(&world, 1), [b"in spite of it".to_vec()], "mix {mix}, {after}");
        is_sound(&world);
    }
    assert_eq!(crashes, 36);
}
