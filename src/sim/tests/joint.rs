//! Joint round keys in a running network: t mixes open a round, fewer do not, and whoever cheats is found out.

use super::*;
use crate::crypto::Digest;
use crate::mix::Event;
use crate::wire::{PeerMessage, Release, ReleasedShare, SecretPart, Slot, Statement};

fn plan(threshold: u8, mixes: usize) -> Plan {
    Plan { mixes, threshold: Some(threshold), epoch_rounds: 10, ..Plan::default() }
}

fn rejected(world: &World, mix: usize, reason: &str) -> u64 {
    world.mixes[mix].engine.as_ref().and_then(|engine| engine.status().rejected.get(reason).copied()).unwrap_or(0)
}

#[test]
fn any_threshold_carries_messages_over_epochs() {
    for (threshold, mixes) in [(2, 2), (3, 3), (5, 5), (2, 3), (3, 5)] {
        let mut world = World::new(plan(threshold, mixes));
        world.send(0, 1, b"jointly");
        world.run_for(Duration::from_secs(30));
        assert_eq!(contents(&world, 1), [b"jointly".to_vec()], "{threshold} of {mixes}");
        assert!(epoch(&world) >= 3 && stored(&world) > 20, "{threshold} of {mixes}: {}", stored(&world));
        assert!(outcomes(&world).iter().all(|outcome| outcome.is_stored()), "{threshold} of {mixes}");
    }
}

#[test]
fn a_withheld_share_stops_a_round_if_all_are_needed_and_nothing_otherwise() {
    for (threshold, position) in [(3, 0), (3, 1), (2, 0), (2, 1)] {
        let mut world = World::new(plan(threshold, 3));
        world.run_for(Duration::from_secs(2));
        world.mixes[position].malice = Some(Malice::WithholdShare);
        let before = stored(&world);
        world.send(0, 1, b"held back");
        world.run_for(Duration::from_secs(20));
        if threshold == 3 {
            assert!(world.inbox(1).is_empty(), "mix {position}: two shares open nothing");
            assert!(stored(&world) <= before + 1);
            // The exit has confirmed: it cannot know whether others have released.
            assert!(outcomes(&world).contains(&Outcome::OpenedNotStored), "{:?}", outcomes(&world));
        } else {
            assert_eq!(contents(&world, 1), [b"held back".to_vec()], "mix {position}: two of three are there");
        }
        world.mixes[position].malice = None;
        assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
        world.run_for(MINUTE);
        assert_eq!(contents(&world, 1), [b"held back".to_vec()], "once");
    }
}

#[test]
fn a_wrong_share_is_noticed_and_voids_a_round_only_if_all_are_needed() {
    for (threshold, position) in [(3, 0), (3, 1), (2, 0)] {
        let mut world = World::new(plan(threshold, 3));
        world.run_for(Duration::from_secs(2));
        world.mixes[position].malice = Some(Malice::WrongShare);
        world.send(0, 1, b"opened rightly");
        world.run_for(Duration::from_secs(10));
        assert!(rejected(&world, 2, "wrong_share") >= 1, "mix {position}");
        let void = outcomes(&world).contains(&Outcome::OpenedNotStored);
        // Whatever is stored: the network stands still until its operators have acted.
        assert_eq!((void, world.inbox(1).is_empty()), (threshold == 3, true), "{threshold}, mix {position}");
        all_name(&world, Some((position, Offence::Share)));
        resume(&mut world);
        assert!(world.run_until(MINUTE, |world| !world.inbox(1).is_empty()));
    }
}

#[test]
fn a_wrong_share_of_a_round_that_is_over_names_its_mix() {
    let mut world = World::new(plan(2, 3));
    world.run_for(Duration::from_secs(8));
    let recovered = world.mixes[0].disk.recover().expect("memory");
    let verdict = &recovered.complete.last().expect("rounds have ended").verdict;
    let slot = Slot { network: verdict.network, epoch: verdict.epoch, round: verdict.round };
    let (transcript, share) = (Digest([0; 32]), [7; 32]);
    for (signer, guilty) in [(1, None), (0, Some((0, Offence::Share)))] {
        let release = Release { slot, transcript, share: ReleasedShare::from_bytes(share) };
        let signature = release.sign(world.mixes[signer].key());
        let (epoch, round, share) = (slot.epoch, slot.round, SecretPart(share));
        let message = PeerMessage::Release { epoch, round, transcript, share, signature };
        world.at_mix(2, Event::Peer { from: 0, message });
        world.run_for(Duration::from_secs(2));
        all_name(&world, guilty);
    }
}

#[test]
fn who_cheats_while_keys_are_made_makes_no_epoch() {
    let cases = [(3, Malice::WrongOpening, 1), (3, Malice::WrongOpening, 2), (2, Malice::WrongSubShare, 0)];
    for (threshold, malice, position) in cases.into_iter().chain([(2, Malice::WrongSubShare, 1)]) {
        let mut world = World::new(plan(threshold, 3));
        world.mixes[position].malice = Some(malice);
        world.run_for(Duration::from_secs(10));
        assert_eq!((epoch(&world), stored(&world)), (0, 0), "{malice:?} by mix {position}");
        let seen = ["bad_document", "epoch_refused", "wrong_sub_share"]
            .map(|reason| rejected(&world, 0, reason))
            .iter()
            .sum::<u64>();
        assert!(seen > 0, "{malice:?} by mix {position}");
        // An opening is not signed.
        all_name(&world, (malice == Malice::WrongSubShare).then_some((position, Offence::SubShare)));
        resume(&mut world);
        assert!(world.run_until(MINUTE, |world| stored(world) > 3), "{malice:?}: it begins");
    }
}
