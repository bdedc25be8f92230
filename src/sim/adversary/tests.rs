//! Each attack once, in one of its positions; each control once.

use std::time::Duration;

use super::super::{Plan, SimMix};
use super::*;

fn adversary(mixes: usize, seed: u64) -> Adversary {
    let (behaviours, defences) = (Vec::new(), Defences::default());
    Adversary { seeds: 1, seed, threads: 2, mixes, behaviours, defences }
}

#[test]
fn no_attack_opens_a_touched_round_names_the_innocent_or_costs_a_message() {
    let rows = parallel::each(2, behaviour::ALL.iter().enumerate(), |(number, behaviour)| {
        let positions = behaviour.positions(3);
        let place = positions[number % positions.len()];
        let mut row = AdversaryRow::new(behaviour, place + 1);
        row.add(1, &trial::run(behaviour, 3, place, 1, Defences::default()));
        row
    });
    for row in &rows {
        assert!(row.is_good() && row.acted == 1, "{}", row.json());
    }
    let named = rows.iter().filter(|row| row.culprit_named == 1).count();
    assert!(named > rows.len() / 2 && rows.iter().all(|row| row.culprit_named == 1 || row.nameless.is_some()));
}

#[test]
fn without_its_defence_an_attack_shows() {
    let tries: Vec<_> = behaviour::ALL.iter().filter_map(|behaviour| Some((behaviour, behaviour.control?))).collect();
    assert_eq!(tries.len(), 7);
    let rows = parallel::each(2, tries, |(behaviour, (defence, place))| {
        let mut row = AdversaryRow::new(behaviour, place + 1);
        row.nameless = Some(WITHOUT);
        for seed in 1..=CONTROL_SEEDS {
            let defences = Defences::default().without(defence);
            row.add(seed, &trial::run(behaviour, 3, place, seed, defences));
            if !row.is_good() {
                break;
            }
        }
        row
    });
    for row in &rows {
        assert!(!row.is_good(), "{}", row.json());
    }
}

#[test]
fn a_header_that_does_not_follow_the_one_before_is_accused_by_whoever_has_seen_both() {
    let mut world = World::new(Plan::default());
    world.run_for(Duration::from_secs(10));
    assert!(!world.mixes.iter().any(SimMix::burns));
    world.mixes[1].rogue = Some(Box::new(packets::Packets::new(packets::Touch::LessNoise, 1)));
    // The mix before it needs to accuse nobody: what it has itself handed on is evidence. The exit holds header against header.
    assert!(world.run_until(Duration::from_secs(3), |world| world.mixes[2].burns()));
    world.mixes[1].rogue = None;
    world.run_for(Duration::from_secs(12));
    for mut named in convictions(&world, [0, 2].into_iter()) {
        assert!(named.remove(&Guilty::Mix(2)) && named.is_empty(), "{named:?}");
    }
}

#[test]
fn who_repeats_a_packet_in_the_place_of_anothers_noise_is_named() {
    let behaviour = behaviour::ALL.iter().find(|behaviour| behaviour.name == "cover-noise").expect("it is in the list");
    for row in parallel::each(2, 1..=6, |seed| {
        let mut row = AdversaryRow::new(behaviour, 2);
        row.add(seed, &trial::run(behaviour, 3, 1, seed, Defences::default()));
        row
    }) {
        assert!(row.is_good() && row.culprit_named == 1, "{}", row.json());
    }
}

#[test]
fn a_seed_repeats_a_row() {
    let mut adversary = adversary(2, 7);
    adversary.behaviours = vec!["flip".into()];
    let run =
        || adversary.run(|_| {}).into_iter().map(|row| AdversaryRow { seconds: 0.0, ..row }.json()).collect::<Vec<_>>();
    assert_eq!(run(), run());
}
