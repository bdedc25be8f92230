mod attacks;
mod blame;
mod cost;
mod equivocation;
mod faults;
mod handover;
mod joint;
mod malice;
mod noise;
mod oracle;
mod sealed;
mod storm;

use std::time::Duration;

use super::*;
use crate::blame::{Guilty, Offence};
use crate::crypto::Digest;
use crate::mix::Note;
use crate::wire::{BatchHeader, EpochDocument, Members, Outcome};

const MINUTE: Duration = Duration::from_secs(60);

/// How rounds ended at the exit.
fn outcomes(world: &World) -> Vec<Outcome> {
    let exit = world.mixes.last().expect("there is an exit");
    let ended = |note: &Note| match note {
        Note::RoundEnded { outcome, .. } => Some(*outcome),
        _ => None,
    };
    exit.notes.iter().filter_map(ended).collect()
}

fn stored(world: &World) -> usize {
    outcomes(world).iter().filter(|outcome| outcome.is_stored()).count()
}

fn epoch(world: &World) -> u64 {
    world.mixes[0].engine.as_ref().map_or(0, |engine| engine.status().epoch)
}

/// The operators have acted on a guilty mix: it is as it should be, and the network goes on.
fn resume(world: &mut World) {
    world.mixes.iter_mut().for_each(|mix| mix.malice = None);
    (0..world.mixes.len()).for_each(|mix| world.at_mix(mix, crate::mix::Event::Resume));
}

/// Every mix but this one names it, for this, and stands still; `None`: nobody names anybody.
#[track_caller]
fn all_name(world: &World, guilty: Option<(usize, Offence)>) {
    let honest = |place: &usize| guilty.is_none_or(|(mix, _)| mix != *place);
    for (place, mix) in world.mixes.iter().enumerate().filter(|(place, _)| honest(place)) {
        let found: Vec<_> = mix.convictions.iter().map(|found| (found.guilty, found.offence)).collect();
        let expected = guilty.map(|(mix, offence)| (Guilty::Mix(mix as u8 + 1), offence));
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "at mix {place}");
        let stopped = mix.engine.as_ref().expect("it runs").status().stopped;
        assert_eq!(stopped.is_some(), guilty.is_some(), "{stopped:?}");
    }
}

/// Of a batch that never was.
fn made_up_header(document: &EpochDocument, round: u64, hop: u8) -> BatchHeader {
    BatchHeader {
        network: document.network,
        epoch: document.digest(),
        round,
        hop,
        count: 0,
        noise: 0,
        members: Members::none(4),
        input: Digest([1; 32]),
        output: Digest([2; 32]),
    }
}

/// The contents of a client's inbox, sorted.
fn contents(world: &World, client: usize) -> Vec<Vec<u8>> {
    let mut contents: Vec<_> = world.inbox(client).into_iter().map(|(_, content)| content).collect();
    contents.sort();
    contents
}

#[test]
fn a_message_and_a_reply_arrive_once_with_their_senders() {
    let mut world = World::new(Plan { epoch_rounds: 10, ..Plan::default() });
    world.send(0, 1, b"hello");
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
    world.send(1, 0, b"hello yourself");
    assert!(world.run_until(MINUTE, |world| !world.inbox(0).is_empty()));
    world.run_for(MINUTE);
    assert_eq!(world.inbox(1), [(Some(world.clients[0].mailbox()), b"hello".to_vec())]);
    assert_eq!(world.inbox(0), [(Some(world.clients[1].mailbox()), b"hello yourself".to_vec())]);
    assert!(outcomes(&world).iter().all(|outcome| outcome.is_stored()));
    assert!(stored(&world) > 55, "a round a second: {}", stored(&world));
    assert!(epoch(&world) >= 6, "epochs follow each other without a gap: {}", epoch(&world));
    assert_eq!(world.clients[0].disk.outbox.counts().expect("memory").stored, 1);
}

#[test]
fn every_size_of_message_and_several_at_once_arrive() {
    for (mixes, packets_per_client) in [(2, 1), (3, 4), (5, 2)] {
        let mut world = World::new(Plan { mixes, packets_per_client, ..Plan::default() });
        let messages: Vec<Vec<u8>> = [0usize, 1, 255, 256, 257, 5000, 20_000]
            .iter()
            .map(|length| (0..*length).map(|i| (i * 7 + length) as u8).collect())
            .chain([b"dummy".to_vec()])
            .collect();
        for message in &messages {
            world.send(0, 1, message);
            world.send(1, 0, message);
        }
        let all = |world: &World| world.inbox(0).len() == messages.len() && world.inbox(1).len() == messages.len();
        assert!(world.run_until(MINUTE * 10, all), "L = {mixes}");
        let mut expected = messages.clone();
        expected.sort();
        assert_eq!(contents(&world, 0), expected);
        assert_eq!(contents(&world, 1), expected);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut world = World::new(Plan { seed, ..Plan::default() });
        world.record_batches();
        world.run_for(Duration::from_secs(10));
        world.batches
    };
    assert!(run(5) == run(5));
    assert!(run(5) != run(6));
}

#[test]
fn a_thousand_clients_take_part_in_one_round() {
    let mut world = World::new(Plan { clients: 1000, packets_per_client: 1, ..Plan::default() });
    world.send(0, 999, b"one of a thousand");
    assert!(world.run_until(MINUTE, |world| !world.inbox(999).is_empty()));
    assert_eq!(contents(&world, 999), [b"one of a thousand".to_vec()]);
    let full = world.mixes[2].notes.iter().any(|note| matches!(note, Note::RoundEnded { clients: 1000, .. }));
    assert!(full, "everybody was in");
}
