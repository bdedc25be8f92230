//! Documents and verdicts: whoever signs two of a number is named by every honest mix as soon as one of them has seen both,
//! and evidence comes from what mixes and clients keep by themselves.

use super::*;
use crate::blame::Offence;
use crate::crypto::Signature;
use crate::mix::Event;
use crate::wire::{AbortReason, PeerMessage, SignedEpoch, SignedVerdict, Verdict};

fn running() -> World {
    let mut world = World::new(Plan { epoch_rounds: 8, ..Plan::default() });
    world.witness = Some(Witness::of_guilt());
    world.run_for(Duration::from_secs(12));
    assert!(epoch(&world) >= 2 && stored(&world) > 5, "documents and verdicts are there");
    world
}

fn told(world: &mut World, to: usize, from: usize, message: PeerMessage) {
    world.at_mix(to, Event::Peer { from, message });
    world.run_for(Duration::from_secs(2));
}

/// Every mix but this one names it, for two statements; `None`: nobody names anybody.
fn named(world: &World, guilty: Option<usize>) {
    all_name(world, guilty.map(|mix| (mix, Offence::Equivocation)));
}

/// The document of `epoch` at a mix, another of its number, and on it the signature of `signer` alone.
fn other_document(world: &World, at: usize, epoch: u64, signer: usize) -> SignedEpoch {
    let chain = world.mixes[at].disk.recover().expect("memory").chain;
    let mut other = chain.into_iter().find(|signed| signed.document.epoch == epoch).expect("it is kept");
    other.document.members += 1;
    other.signatures = vec![Signature([0; 64]); world.mixes.len()];
    other.signatures[signer] = other.document.sign(world.mixes[signer].key());
    other
}

#[test]
fn whoever_shows_a_second_document_of_a_number_is_named() {
    for (from, to, epoch) in [(1, 0, 1), (2, 0, 2), (0, 1, 1), (0, 2, 2), (2, 1, 1)] {
        let mut world = running();
        let other = other_document(&world, to, epoch, from);
        let unsigned = SignedEpoch { signatures: vec![Signature([7; 64]); 3], ..other.clone() };
        told(&mut world, to, from, PeerMessage::EpochComplete(unsigned));
        named(&world, None);
        told(&mut world, to, from, PeerMessage::EpochComplete(other));
        named(&world, Some(from));
    }
}

#[test]
fn a_document_that_another_mix_shows_names_its_signer() {
    let mut world = running();
    let other = other_document(&world, 1, 2, 2);
    told(&mut world, 1, 0, PeerMessage::EpochComplete(other));
    named(&world, Some(2));
}

/// A verdict that the entry has complete, and one that contradicts it.
fn verdicts(world: &World) -> (SignedVerdict, Verdict) {
    let known = world.mixes[0].disk.recover().expect("memory").complete.pop().expect("some are complete");
    let mut other = known.verdict.clone();
    other.outcome = Outcome::Aborted(AbortReason::Lost);
    (known, other)
}

#[test]
fn an_exit_that_decides_twice_is_named_wherever_both_are_seen() {
    // To the entry, by itself and past it to another mix, by the entry.
    for (from, to) in [(2, 0), (2, 1), (0, 1)] {
        let mut world = running();
        let (_, other) = verdicts(&world);
        let (verdict, signature) = (other.clone(), Signature([0; 64]));
        told(&mut world, to, from, PeerMessage::Decision { verdict, signature });
        named(&world, None);
        let signature = other.sign(world.mixes[2].key());
        told(&mut world, to, from, PeerMessage::Decision { verdict: other, signature });
        named(&world, Some(2));
    }
}

#[test]
fn whoever_signs_two_verdicts_is_named_by_the_mix_that_is_shown_both() {
    for (signer, to) in [(0, 1), (0, 2), (1, 2), (2, 1)] {
        let mut world = running();
        let (known, other) = verdicts(&world);
        let mut signatures = known.signatures;
        signatures[signer] = other.sign(world.mixes[signer].key());
        told(&mut world, to, 0, PeerMessage::VerdictComplete(SignedVerdict { verdict: other, signatures }));
        named(&world, Some(signer));
    }
}

#[test]
fn a_second_batch_of_a_round_that_is_over_names_its_mix() {
    for handed_on in [true, false] {
        let mut world = running();
        let round = verdicts(&world).0.verdict.round;
        let chain = world.mixes[2].disk.recover().expect("memory").chain;
        let signed = chain.iter().find(|signed| signed.document.onion_keys(round).is_some()).expect("it is kept");
        let other = made_up_header(&signed.document, round, 2);
        for (signer, guilty) in [(0, None), (1, Some(1))] {
            let header = other.clone().sign(world.mixes[signer].key());
            let event = match handed_on {
                true => Event::Batch { from: 1, stream: 1 << 40, header },
                false => Event::Peer { from: 1, message: PeerMessage::BatchHeader(header) },
            };
            world.at_mix(2, event);
            world.run_for(Duration::from_secs(2));
            named(&world, guilty);
        }
    }
}
