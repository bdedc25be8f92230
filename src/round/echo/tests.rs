//! Whole passes through cascades, there and back, and what somebody in the middle may try.

mod attacks;
mod cascade;

use cascade::{Cascade, Forward};

use super::*;
use crate::crypto::{Backend, Csprng};
use crate::packet::{EnvelopeKey, Kind, open_letter};
use crate::round::{Noise, NoiseCounts, Shuffled};
use crate::wire::{BatchHeader, NoiseError};

const LENGTHS: [usize; 4] = [2, 3, 5, 7];

#[test]
fn everybodys_commitment_holds_at_every_length_of_cascade() {
    for mixes in LENGTHS {
        for (noise, segments) in [(0, 1), (3, 1), (4, 7)] {
            let mut cascade = Cascade::new(mixes, 20, 2, noise);
            cascade.segments = segments;
            let forward = cascade.forward(|_, _, _| {});
            let exit: usize = forward.exit.iter().map(Slots::len).sum();
            assert_eq!(exit, 40 + noise as usize * (mixes - 1));
            assert_eq!(cascade.back(forward, |_, _| {}), Ok(()), "{mixes} mixes, {noise} of noise each");
        }
    }
}

#[test]
fn a_round_of_nobody_has_no_echoes() {
    let mut cascade = Cascade::new(3, 0, 0, 0);
    let forward = cascade.forward(|_, _, _| {});
    assert_eq!(cascade.back(forward, |_, _| {}), Ok(()));
}

#[test]
fn another_number_of_echoes_is_refused_by_everybody() {
    for found in [0, 11, 13] {
        let mut cascade = Cascade::new(2, 5, 2, 2);
        let path = cascade.forward(|_, _, _| {}).paths.remove(0);
        let refused = path.back(&vec![[0; 16]; found]).err();
        assert_eq!(refused, Some(EchoError::Count { packets: 12, found }));
    }
    for found in [9, 11] {
        let cascade = Cascade::new(2, 5, 2, 2);
        let error = EchoError::Count { packets: 10, found };
        assert_eq!(published(&cascade.places, &vec![[0; 16]; found]), Err(error.clone()));
        assert_eq!(check_echoes(&cascade.context, &cascade.list(), &vec![[0; 16]; found]), Err(error));
    }
}

#[test]
fn a_return_path_is_there_once() {
    let mut cascade = Cascade::new(2, 2, 1, 0);
    let mut batch = Shuffled::new(&mut cascade.rng, cascade.geometry, vec![]);
    assert!(batch.take_return_path().is_some());
    assert!(batch.take_return_path().is_none());
}

#[test]
fn what_follows_the_echoes_goes_back_the_same_way() {
    // Each packet's place in the exit's input is its answer, made when the exit has shuffled too.
    let mut cascade = Cascade::new(5, 6, 2, 3);
    cascade.segments = 3;
    let forward = cascade.forward(|_, _, _| {});
    let expected = forward.places_at(4);
    let mut echoes = first_echoes(cascade.context.round, &forward.exit);
    let taken_in: Vec<Vec<u8>> =
        forward.exit.iter().flat_map(|slots| (0..slots.len()).map(|i| slots.peeled(i).to_vec())).collect();
    let mut opened = Shuffled::new(&mut cascade.rng, cascade.geometry, forward.exit);
    let place = |packet: &[u8]| taken_in.iter().position(|other| other == packet).expect("one of those");
    let answers: Vec<u8> = opened.packets().flat_map(|packet| vec![place(packet) as u8; 300]).collect();
    let exit = opened.take_return_path().expect("not taken").into_origins();
    let mut answers = exit.gather(300, &answers).expect("one answer for each packet");
    for path in forward.paths.into_iter().rev() {
        let (next, origins) = path.back(&echoes).expect("an honest pass");
        echoes = next;
        answers = origins.gather(300, &answers).expect("one answer for each packet");
    }
    assert_eq!(answers.len(), 12 * 300);
    for (answer, place) in answers.chunks(300).zip(expected) {
        assert_eq!(answer, vec![place as u8; 300]);
    }
}

#[test]
fn noise_is_a_dummy_like_a_clients_to_whoever_gets_it() {
    let mut cascade = Cascade::new(3, 0, 0, 0);
    let mut mailboxes = [0; cascade::MAILBOXES];
    for hop in [1, 2] {
        let builder = cascade.builder();
        let noise = Noise::draw(&mut cascade.rng, &builder, hop, &cascade.network, &NoiseCounts::constant(30));
        let context = cascade.context;
        let mut batch = Shuffled::with_noise(&mut cascade.rng, cascade.geometry, vec![], noise);
        for later in hop + 1..=3 {
            let packets: Vec<u8> = batch.packets().flatten().copied().collect();
            let segments = cascade.peeled(later, &packets, 2);
            batch = Shuffled::new(&mut cascade.rng, cascade.geometry, segments);
        }
        let envelope = EnvelopeKey::new(context, &cascade.envelope, Backend::Dalek);
        batch.packets_mut().for_each(|packet| {
            let opened = envelope.open(cascade.geometry, packet).expect("an envelope");
            let owner = cascade.network.roster.mailboxes.iter().position(|mailbox| mailbox.id == opened.mailbox);
            let owner = owner.expect("a mailbox of the network");
            mailboxes[owner] += 1;
            let mut letter = opened.letter.to_vec();
            let own = cascade::letter_secret(owner).prepare(Backend::Dalek);
            let letter = open_letter(cascade.geometry, &context, &own, &mut letter).expect("under its owner's key");
            let body = letter.body;
            assert_eq!((body.kind, body.index, body.count, body.sender), (Kind::Dummy, 0, 1, None));
            let parameters = &cascade.network.parameters;
            assert_eq!(body.data, parameters.dummy_payload);
            assert_eq!(body.expiry, context.epoch + u64::from(parameters.retention_epochs));
        });
    }
    assert!(mailboxes.iter().all(|letters| *letters > 0), "{mailboxes:?}");
}

#[test]
fn the_numbers_in_headers_must_add_up() {
    let header = |hop, count, noise| BatchHeader { hop, count, noise, ..cascade::header() };
    let first = header(1, 43, 3);
    assert_eq!(first.noise_added(40, 5, None), Ok(3));
    assert_eq!(header(2, 48, 8).noise_added(40, 5, Some(&first)), Ok(5));
    assert_eq!(header(2, 43, 3).noise_added(40, 5, Some(&first)), Ok(0));
    assert_eq!(header(2, 50, 10).noise_added(40, 5, None), Ok(10));

    let count = |noise, count| NoiseError::Count { hop: 2, count, listed: 40, noise };
    assert_eq!(header(2, 47, 8).noise_added(40, 5, Some(&first)), Err(count(8, 47)));
    assert_eq!(header(2, 41, 0).noise_added(40, 5, None), Err(count(0, 41)));
    assert_eq!(header(2, 39, u32::MAX).noise_added(40, 5, None), Err(count(u32::MAX, 39)));
    let much = |noise, most| NoiseError::TooMuch { hop: 2, noise, most };
    assert_eq!(header(2, 49, 9).noise_added(40, 5, Some(&first)), Err(much(9, 8)));
    assert_eq!(header(2, 51, 11).noise_added(40, 5, None), Err(much(11, 10)));
    let dropped = NoiseError::Dropped { hop: 2, noise: 2, before: 3 };
    assert_eq!(header(2, 42, 2).noise_added(40, 5, Some(&first)), Err(dropped));
}
