//! Noise of mixes: who touches another's, whose own is none, and who says the wrong thing about it.

use super::*;
use crate::crypto::{Backend, Digest, SecretKey};
use crate::packet::{Builder, NO_EXTRA, Trace};
use crate::wire::{Mismatch, onion_digest};

/// A round in which every mix before the exit adds two packets.
pub(super) fn noisy(mixes: usize) -> BurntRound {
    BurntRound::new(&Plan { noise: None, ..plan(mixes) })
}

fn honest(mixes: usize) -> BurntRound {
    let mut round = noisy(mixes);
    round.run(|_, _, _| {}, |_, _| {});
    round
}

/// The first packet of `maker`'s noise as `hop` takes it in.
pub(super) fn own(round: &BurntRound, maker: u8, hop: u8) -> Vec<u8> {
    let peelers: Vec<_> = (maker + 1..=round.mixes.len() as u8).map(|hop| round.peeler(hop)).collect();
    let packet = &round.noise[&maker][..round.geometry.packet()];
    Trace::packet_at(&peelers, NO_EXTRA, packet, hop - maker).expect("it opens")
}

/// Where that stands in what `hop` takes in.
fn place(round: &BurntRound, maker: u8, hop: u8) -> u32 {
    let hash = onion_digest(&own(round, maker, hop));
    let (_, hashes) = &round.batches[usize::from(hop) - 2];
    hashes.iter().position(|known| *known == hash).expect("it is there") as u32
}

/// One of each kind that is about noise, of three mixes, with whom it names.
pub(super) fn every_kind() -> Vec<(&'static str, Evidence, Guilty)> {
    let guilt = |round: &BurntRound| evidence(round).expect("guilt");
    let mut bad_layer = noisy(3);
    let spoil = |round: &mut BurntRound, at, packets: &mut Vec<Vec<u8>>| {
        if at == 1 {
            let place = round.declared[0][1];
            packets[place as usize] = bad(round, 1, 3);
        }
    };
    bad_layer.run(spoil, |_, _| {});
    let mut dropped = noisy(3);
    let replace = |round: &mut BurntRound, at, packets: &mut Vec<Vec<u8>>| {
        if at == 2 {
            let theirs = own(round, 1, 3);
            let place = packets.iter().position(|packet| *packet == theirs).expect("it came through");
            packets[place] = round.foreign(3);
        }
    };
    dropped.run(replace, |_, _| {});
    let mut places = honest(3);
    places.declared[0].pop();
    let few = Case::false_noise(&places.network, &places.exhibits(), 1).expect("guilt");
    let mut taken = honest(3);
    let added = taken.declared[1].clone();
    taken.declared[1] = (0..10).filter(|place| !added.contains(place)).take(2).collect();
    let mut accuser = honest(3);
    let subject = accuser.echoes[1].0.header.subject(&accuser.root());
    let (first, other) = (accuser.declared[0][0], (0..10).find(|place| !accuser.declared[0].contains(place)));
    accuser.accuse(1, Mismatch::Noise { hop: 2, place: first }, subject);
    let right = guilt(&accuser);
    accuser.accusations.clear();
    accuser.accuse(1, Mismatch::Noise { hop: 2, place: other.expect("there are clients") }, subject);
    vec![
        ("noise, layer", guilt(&bad_layer), Guilty::Mix(1)),
        ("noise, places", few, Guilty::Mix(1)),
        ("noise, taken", guilt(&taken), Guilty::Mix(2)),
        ("dropped, noise", guilt(&dropped), Guilty::Mix(2)),
        ("false accusation, right noise", right, Guilty::Mix(1)),
        ("false accusation, other noise", guilt(&accuser), Guilty::Mix(1)),
    ]
}

/// What a mix finds in signed statements alone, before anything is replayed.
fn prior(round: &BurntRound) -> Option<(Guilty, Offence)> {
    let shown = round.exhibits();
    let found = (1..=shown.batches.len() as u8).find_map(|hop| {
        let header = Case::false_header(&round.network, &shown, hop);
        header.or_else(|| Case::false_noise(&round.network, &shown, hop))
    })?;
    let found = Evidence::from_file(&found.to_file()).expect("its own file").verify(&round.network);
    found.map(|found| (found.guilty, found.offence)).ok()
}

#[test]
fn an_honest_round_with_noise_names_nobody() {
    for mixes in [2, 3, 5] {
        let round = honest(mixes);
        assert_eq!(round.accusations, []);
        let noise: Vec<u32> = round.batches.iter().map(|(signed, _)| signed.header.noise).collect();
        assert_eq!(noise, (1..mixes as u32).map(|hop| 2 * hop).collect::<Vec<_>>());
        assert_eq!((prior(&round), evidence(&round)), (None, None));
    }
}

#[test]
fn a_mix_that_drops_anothers_noise_is_named() {
    for (mixes, maker, hop) in [(3, 1, 2), (5, 1, 2), (5, 1, 4), (5, 2, 3), (5, 3, 4)] {
        let mut round = noisy(mixes);
        let replace = |round: &mut BurntRound, at, packets: &mut Vec<Vec<u8>>| {
            if at == hop {
                let theirs = own(round, maker, hop + 1);
                let place = packets.iter().position(|packet| *packet == theirs).expect("it came through");
                packets[place] = round.foreign(hop + 1);
            }
        };
        round.run(replace, |_, _| {});
        let accusation = round.accusations.first().map(|(accuser, accusation, _)| (*accuser, accusation.mismatch));
        assert!(matches!(accusation, Some((accuser, Mismatch::Noise { .. })) if accuser == maker), "{accusation:?}");
        assert_eq!(prior(&round), None);
        assert_eq!(finding(&round), Some((Guilty::Mix(hop), Offence::Dropped)), "{maker}, {hop} of {mixes}");
    }
}

fn spoil(echo: &mut [u8; 16]) {
    echo[7] ^= 1;
}

#[test]
fn a_mix_that_spoils_the_echo_of_anothers_noise_is_named() {
    for (mixes, maker, hop) in [(2, 1, 2), (3, 1, 2), (3, 1, 3), (3, 2, 3), (5, 1, 4), (5, 2, 5)] {
        // The same everywhere but for the echo: where it has to be spoilt is known from an honest run.
        let at = place(&honest(mixes), maker, hop) as usize;
        let mut round = noisy(mixes);
        let spoil = |by, echoes: &mut Vec<_>| {
            if by == hop {
                spoil(&mut echoes[at]);
            }
        };
        round.run(|_, _, _| {}, spoil);
        assert_eq!(round.accusations[0].0, maker);
        assert_eq!(finding(&round), Some((Guilty::Mix(hop), Offence::Echo)), "{maker}, {hop} of {mixes}");
    }
}

/// Noise of `maker` whose layer at `hop` is sealed to nobody's key.
fn bad(round: &mut BurntRound, maker: u8, hop: u8) -> Vec<u8> {
    let document = &round.document.document;
    let mut keys: Vec<_> = document.mixes.iter().map(|mix| mix.onion_keys[0]).collect();
    keys[usize::from(hop) - 1] = SecretKey::from_bytes([0x77; 32]).public_key();
    let builder = Builder::new(round.geometry, round.context, Backend::default(), keys, document.envelope_keys[0]);
    round.foreign_of(&builder, maker + 1)
}

#[test]
fn a_mix_whose_noise_does_not_open_is_named() {
    for (mixes, maker, hop) in [(2, 1, 2), (3, 1, 2), (3, 1, 3), (3, 2, 3), (5, 1, 4), (5, 3, 5)] {
        let mut round = noisy(mixes);
        let spoil = |round: &mut BurntRound, at, packets: &mut Vec<Vec<u8>>| {
            if at == maker {
                let place = round.declared[usize::from(maker) - 1][1];
                packets[place as usize] = bad(round, maker, hop);
            }
        };
        round.run(spoil, |_, _| {});
        assert_eq!(round.accusations[0].0, hop);
        assert_eq!(finding(&round), Some((Guilty::Mix(maker), Offence::Noise)), "{maker}, {hop} of {mixes}");
    }
}

#[test]
fn an_accuser_of_noise_that_is_right_is_named_itself() {
    for (mixes, accuser) in [(2, 1), (3, 1), (3, 2)] {
        let mut round = honest(mixes);
        let own = round.declared[usize::from(accuser) - 1].clone();
        let other = (0..u32::MAX).find(|place| !own.contains(place)).expect("there are clients");
        let (header, _) = &round.echoes[mixes - usize::from(accuser) - 1];
        let subject = header.header.subject(&round.root());
        for place in [own[0], own[1], other, u32::MAX] {
            round.accusations.clear();
            round.accuse(accuser, Mismatch::Noise { hop: accuser + 1, place }, subject);
            let named = Some((Guilty::Mix(accuser), Offence::FalseAccusation));
            assert_eq!(finding(&round), named, "place {place} by {accuser} of {mixes}");
        }
        // About other echoes than those that all were shown nothing is known.
        round.accusations.clear();
        round.accuse(accuser, Mismatch::Noise { hop: accuser + 1, place: own[0] }, Digest([9; 32]));
        assert!(evidence(&round).is_none());
    }
}

#[test]
fn an_accuser_of_noise_that_opens_is_named_itself() {
    for (mixes, maker, accuser) in [(2, 1, 2), (3, 1, 2), (3, 1, 3), (3, 2, 3)] {
        let mut round = honest(mixes);
        let (hop, place) = (accuser - 1, place(&round, maker, accuser));
        let subject = round.batches[usize::from(hop) - 1].0.header.subject();
        round.accuse(accuser, Mismatch::Layer { hop, place }, subject);
        assert_eq!(finding(&round), Some((Guilty::Mix(accuser), Offence::FalseAccusation)), "{accuser} of {mixes}");
    }
}

#[test]
fn who_says_that_something_else_was_its_noise_is_named() {
    let places = |hop: usize, change: &dyn Fn(&mut Vec<u32>)| {
        let mut round = honest(3);
        change(&mut round.declared[hop - 1]);
        prior(&round)
    };
    for hop in [1, 2] {
        let named = Some((Guilty::Mix(hop as u8), Offence::Noise));
        assert_eq!(places(hop, &|_| {}), None);
        assert_eq!(places(hop, &|places| places.truncate(1)), named, "one less than it added");
        assert_eq!(places(hop, &|places| places.push(places[1] + 1)), named, "one more");
        assert_eq!(places(hop, &|places| places.swap(0, 1)), named);
        assert_eq!(places(hop, &|places| places[0] = places[1]), named);
        assert_eq!(places(hop, &|places| places[1] = u32::MAX), named);
        // What it took in, as its own.
        let mut round = honest(3);
        let own = round.declared[hop - 1].clone();
        let mut others = (0..u32::MAX).filter(|place| !own.contains(place));
        round.declared[hop - 1] = others.by_ref().take(2).collect();
        let packets = round.noise.remove(&(hop as u8)).expect("it added some");
        assert_eq!(prior(&round), None, "that many it has added");
        round.noise.insert(hop as u8, packets);
        assert_eq!(finding(&round), named);
    }
}

#[test]
fn one_packet_of_noise_twice_names_its_mix() {
    for hop in [1, 2] {
        let mut round = noisy(3);
        let twice = |round: &mut BurntRound, at, packets: &mut Vec<Vec<u8>>| {
            if at == hop {
                let own = &round.declared[usize::from(hop) - 1];
                packets[own[1] as usize] = packets[own[0] as usize].clone();
            }
        };
        round.run(twice, |_, _| {});
        assert_eq!(prior(&round), Some((Guilty::Mix(hop), Offence::Noise)));
    }
}

#[test]
fn numbers_that_cannot_be_convict_the_header_alone() {
    let round = honest(3);
    for (hop, count, noise) in [(1, 1, 0), (1, 1, 1), (2, 1, 1), (2, 0, 1), (2, -1, 0), (1, -1, 0)] {
        let (signed, hashes) = &round.batches[hop - 1];
        let before = hop.checked_sub(2).map(|at| round.batches[at].1.as_slice());
        let alone = |header| Evidence::false_header(&round.network, &round.document, header, None);
        assert_eq!(alone(signed), None);
        assert_eq!(Evidence::false_header(&round.network, &round.document, signed, before), None);
        let mut header = signed.header.clone();
        header.count = header.count.wrapping_add_signed(count);
        header.noise = header.noise.wrapping_add_signed(noise);
        assert_eq!(hashes.len() as u32, signed.header.count);
        let evidence = alone(&header.sign(&round.mixes[hop - 1])).expect("they cannot be");
        let found = Evidence::from_file(&evidence.to_file()).expect("its own").verify(&round.network);
        assert_eq!(found.map(|found| (found.guilty, found.offence)), Ok((Guilty::Mix(hop as u8), Offence::Header)));
    }
    // Less noise than came in is seen by who has handed that on: two packets in place of four.
    let (signed, _) = &round.batches[1];
    let mut header = signed.header.clone();
    (header.count, header.noise) = (header.count - 3, header.noise - 3);
    let signed = header.sign(&round.mixes[1]);
    assert_eq!(Evidence::false_header(&round.network, &round.document, &signed, None), None);
    let came = &round.batches[0].1;
    let evidence =
        Evidence::false_header(&round.network, &round.document, &signed, Some(came)).expect("it dropped some");
    assert_eq!(evidence.verify(&round.network).map(|found| found.guilty), Ok(Guilty::Mix(2)));
}
