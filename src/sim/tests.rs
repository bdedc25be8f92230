use std::time::Duration;

use super::*;
use crate::mix::Note;
use crate::wire::Outcome;

const MINUTE: Duration = Duration::from_secs(60);

/// Rounds that ended as stored at the exit.
fn stored(world: &World) -> usize {
    let exit = world.mixes.last().expect("there is an exit");
    exit.notes.iter().filter(|note| matches!(note, Note::RoundEnded { outcome, .. } if outcome.is_stored())).count()
}

fn aborted(world: &World) -> usize {
    let exit = world.mixes.last().expect("there is an exit");
    let aborted = |note: &&Note| matches!(note, Note::RoundEnded { outcome: Outcome::Aborted(_), .. });
    exit.notes.iter().filter(aborted).count()
}

#[test]
fn a_message_and_a_reply_arrive_once_with_their_senders() {
    let mut world = World::new(Plan::default());
    world.send(0, 1, b"hello");
    assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
    world.send(1, 0, b"hello yourself");
    assert!(world.run_until(MINUTE, |world| !world.inbox(0).is_empty()));
    world.run_for(MINUTE);
    assert_eq!(world.inbox(1), [(Some(world.clients[0].mailbox()), b"hello".to_vec())]);
    assert_eq!(world.inbox(0), [(Some(world.clients[1].mailbox()), b"hello yourself".to_vec())]);
    assert_eq!(aborted(&world), 0);
    assert!(stored(&world) > 100, "the network went on through several epochs: {}", stored(&world));
}
