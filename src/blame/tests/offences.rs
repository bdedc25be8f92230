//! Each offence at each hop.

use rand::Rng;

use super::*;
use crate::crypto::Digest;
use crate::packet::{Slots, Trace};
use crate::wire::{BatchHeader, Members, Mismatch, batch_digest};

/// Nothing is changed on the way.
fn honest(round: &mut BurntRound) {
    round.run(|_, _, _| {}, |_, _| {});
}

#[test]
fn an_honest_round_names_nobody() {
    for mixes in [2, 3, 5] {
        let mut round = BurntRound::new(&plan(mixes));
        honest(&mut round);
        assert_eq!(round.accusations, []);
        assert_eq!((round.batches.len(), round.echoes.len()), (mixes - 1, mixes));
        assert!(evidence(&round).is_none());
    }
}

#[test]
fn a_layer_that_does_not_open_names_its_client() {
    for (mixes, hop) in [(2, 1), (2, 2), (3, 1), (3, 2), (3, 3)] {
        let mut round = BurntRound::new(&plan(mixes));
        let mut garbage = vec![0; round.geometry.packet()];
        round.rng.fill_bytes(&mut garbage);
        garbage[31] &= 0x7f;
        round.submitted[5].onion = round.wrapped(2, hop, &garbage);
        honest(&mut round);
        // The entry should have refused what it cannot open: then no batch was made at all.
        assert_eq!(round.accusations.len(), usize::from(hop > 1));
        assert_eq!(finding(&round), Some((Guilty::Client(2), Offence::Layer { hop })), "{mixes} mixes");
    }
}

#[test]
fn bad_points_name_their_client_too() {
    for key in [[0u8; 32], [0xff; 32]] {
        let mut round = BurntRound::new(&plan(3));
        let mut packet = round.foreign(2);
        packet[..32].copy_from_slice(&key);
        round.submitted[0].onion = round.wrapped(0, 2, &packet);
        honest(&mut round);
        assert_eq!(finding(&round), Some((Guilty::Client(0), Offence::Layer { hop: 2 })));
    }
}

#[test]
fn another_clients_inner_layer_names_who_copied_it() {
    let mut round = BurntRound::new(&plan(3));
    let peelers: Vec<_> = (1..=3).map(|hop| round.peeler(hop)).collect();
    let inner = Trace::packet_at(&peelers, 3, &round.submitted[6].onion, 2).expect("it opens");
    round.submitted[2].onion = round.wrapped(1, 2, &inner);
    honest(&mut round);
    assert_eq!(finding(&round), Some((Guilty::Client(1), Offence::Layer { hop: 2 })));
}

#[test]
fn a_false_commitment_names_its_client() {
    for mixes in [2, 3] {
        let mut round = BurntRound::new(&plan(mixes));
        round.submitted[7].commitment[0] ^= 1;
        honest(&mut round);
        assert_eq!(round.accusations[0].1.mismatch, Mismatch::Echo { place: 7 });
        assert_eq!(finding(&round), Some((Guilty::Client(3), Offence::Commitment)));
    }
}

#[test]
fn a_packet_that_a_mix_replaces_names_the_mix() {
    for (mixes, hop) in [(2, 1), (3, 1), (3, 2)] {
        for garbage in [false, true] {
            let mut round = BurntRound::new(&plan(mixes));
            let replace = |round: &mut BurntRound, at, packets: &mut Vec<Vec<u8>>| {
                if at == hop {
                    packets[3] = round.foreign(hop + 1);
                    packets[3][100] ^= u8::from(garbage);
                }
            };
            round.run(replace, |_, _| {});
            assert_eq!(round.accusations.len(), 1, "somebody notices");
            assert_eq!(finding(&round), Some((Guilty::Mix(hop), Offence::Dropped)), "{mixes} mixes, {garbage}");
        }
    }
}

#[test]
fn a_packet_that_a_mix_repeats_names_the_mix() {
    for hop in [1, 2] {
        let mut round = BurntRound::new(&plan(3));
        let repeat = |_: &mut BurntRound, at, packets: &mut Vec<Vec<u8>>| {
            if at == hop {
                packets[3] = packets[4].clone();
            }
        };
        round.run(repeat, |_, _| {});
        assert_eq!(finding(&round), Some((Guilty::Mix(hop), Offence::Dropped)));
    }
}

#[test]
fn a_false_echo_names_the_mix_that_made_it() {
    for (mixes, hop) in [(2, 1), (2, 2), (3, 1), (3, 2), (3, 3)] {
        let mut round = BurntRound::new(&plan(mixes));
        round.run(|_, _, _| {}, |at, echoes| echoes[2][5] ^= u8::from(at == hop));
        assert_eq!(round.accusations.len(), 1);
        assert_eq!(finding(&round), Some((Guilty::Mix(hop), Offence::Echo)), "{mixes} mixes");
    }
}

#[test]
fn echoes_in_another_order_name_the_mix() {
    for hop in 1..=3 {
        let mut round = BurntRound::new(&plan(3));
        round.run(
            |_, _, _| {},
            |at, echoes| {
                if at == hop {
                    echoes.swap(1, 6);
                }
            },
        );
        let found = evidence(&round).expect("guilt").verify(&round.network).expect("it verifies");
        assert_eq!((found.guilty, found.offence), (Guilty::Mix(hop), Offence::Echo));
    }
}

#[test]
fn an_accuser_of_what_is_right_is_named_itself() {
    for mixes in [2, 3] {
        let mut round = BurntRound::new(&plan(mixes));
        honest(&mut round);
        let batch = |hop: usize| round.batches[hop - 1].0.header.subject();
        let echoes = |at: usize| round.echoes[at].0.header.subject(&round.root());
        let (exit, far) = (mixes as u8, u32::MAX);
        let mut lies = vec![
            (exit, Mismatch::Layer { hop: exit - 1, place: 5 }, batch(mixes - 1)),
            (exit, Mismatch::Layer { hop: exit - 1, place: far }, batch(mixes - 1)),
            (exit, Mismatch::Replay { hop: exit - 1, place: 5 }, batch(mixes - 1)),
            (exit, Mismatch::Replay { hop: exit - 1, place: far }, batch(mixes - 1)),
            (exit, Mismatch::Echo { place: 5 }, echoes(mixes - 1)),
            (exit, Mismatch::Echo { place: far }, echoes(mixes - 1)),
            (1, Mismatch::Echo { place: 0 }, echoes(mixes - 1)),
            (1, Mismatch::Noise { hop: 2, place: 0 }, echoes(mixes - 2)),
            // What nobody in that place can find.
            (1, Mismatch::Layer { hop: 1, place: 5 }, batch(1)),
            (exit, Mismatch::Layer { hop: 0, place: 5 }, batch(1)),
            (exit, Mismatch::Noise { hop: exit + 1, place: 0 }, echoes(0)),
            (exit, Mismatch::Equivocation { hop: exit }, batch(1)),
            (1, Mismatch::Transcript { hop: 0 }, batch(1)),
        ];
        if mixes == 3 {
            lies.push((2, Mismatch::Layer { hop: 1, place: 7 }, batch(1)));
            lies.push((1, Mismatch::Layer { hop: 2, place: 7 }, batch(2)));
        }
        for (accuser, mismatch, subject) in lies {
            round.accusations.clear();
            round.accuse(accuser, mismatch, subject);
            let named = Some((Guilty::Mix(accuser), Offence::FalseAccusation));
            assert_eq!(finding(&round), named, "{mismatch:?} by {accuser} of {mixes}");
        }
    }
}

#[test]
fn an_accuser_who_saw_something_else_is_not_named() {
    let mut round = BurntRound::new(&plan(3));
    honest(&mut round);
    let places = [
        (2, Mismatch::Layer { hop: 1, place: 5 }),
        (3, Mismatch::Replay { hop: 2, place: 5 }),
        (3, Mismatch::Echo { place: 5 }),
        (3, Mismatch::Equivocation { hop: 1 }),
        (3, Mismatch::Transcript { hop: 1 }),
    ];
    for (accuser, mismatch) in places {
        round.accusations.clear();
        round.accuse(accuser, mismatch, Digest([9; 32]));
        assert!(evidence(&round).is_none(), "{mismatch:?}");
    }
    // Of the very echoes, but another list.
    round.accusations.clear();
    let subject = round.echoes[2].0.header.subject(&Digest([9; 32]));
    round.accuse(3, Mismatch::Echo { place: 5 }, subject);
    assert!(evidence(&round).is_none());
}

#[test]
fn a_client_without_a_good_signature_is_not_named() {
    let mut round = BurntRound::new(&plan(3));
    round.submitted[5].commitment[0] ^= 1;
    honest(&mut round);
    let (wrong, none) = (Some(crate::crypto::Signature([7; 64])), None);
    for signature in [wrong, none] {
        let mut shown = round.exhibits();
        shown.clients.remove(&2);
        shown.clients.extend(signature.map(|signature| (2, signature)));
        let case = Case::new(round.network.clone(), shown).expect("it fits together");
        let found = case.replay(0, &round.onions(0..8));
        assert!(matches!(found, Some(Ruling::Unsigned { client: 2 })));
    }
}

#[test]
fn an_onion_that_is_not_the_records_names_nobody() {
    let mut round = BurntRound::new(&plan(3));
    honest(&mut round);
    let case = Case::new(round.network.clone(), round.exhibits()).expect("it fits together");
    let mut onions = round.onions(2..6);
    onions.received_mut(3)[60] ^= 1;
    assert!(matches!(case.replay(2, &onions), Some(Ruling::NotShown { place: 5 })));
    let empty = Slots::zeroed(round.geometry, 1);
    assert!(matches!(case.replay(0, &empty), Some(Ruling::NotShown { place: 0 })));
}

type Change<'a> = &'a dyn Fn(&mut BatchHeader);

#[test]
fn a_header_that_does_not_fit_what_came_names_its_mix() {
    let mut round = BurntRound::new(&plan(3));
    honest(&mut round);
    let changes: [(u8, Change<'_>); 5] = [
        (1, &|header| header.count += 1),
        (2, &|header| header.count -= 1),
        (1, &|header| header.noise = 1),
        (2, &|header| header.noise = 7),
        (1, &|header| header.members = Members::none(4)),
    ];
    for (hop, change) in changes {
        let mut shown = round.exhibits();
        let at = usize::from(hop) - 1;
        assert!(Case::false_header(&round.network, &shown, hop).is_none(), "it fits");
        let mut header = shown.batches[at].0.header.clone();
        change(&mut header);
        shown.batches[at].0 = header.sign(&round.mixes[at]);
        let evidence = Case::false_header(&round.network, &shown, hop).expect("it does not fit");
        let found = Evidence::from_file(&evidence.to_file()).expect("its own").verify(&round.network);
        let found = found.expect("it verifies");
        assert_eq!((found.guilty, found.offence), (Guilty::Mix(hop), Offence::Header));
        assert_eq!(Case::new(round.network.clone(), shown).err(), Some(CaseFault::Header { hop }));
    }
    // A packet more, announced and signed for: the exit takes it, and its echo has no place at mix 2.
    let mut round = BurntRound::new(&plan(3));
    honest(&mut round);
    let mut shown = round.exhibits();
    let (signed, hashes) = &mut shown.batches[1];
    hashes.push(Digest([9; 32]));
    (signed.header.count, signed.header.output) = (hashes.len() as u32, batch_digest(hashes));
    *signed = signed.header.clone().sign(&round.mixes[1]);
    let found = Case::false_header(&round.network, &shown, 2).expect("it does not fit").verify(&round.network);
    assert_eq!(found.map(|found| found.guilty), Ok(Guilty::Mix(2)));
}

/// A mix was sent another batch than all others were told of: it shows the header, and its sender has signed two.
#[test]
fn a_mix_that_was_sent_another_header_is_not_the_one_to_be_named() {
    let mut round = BurntRound::new(&plan(3));
    honest(&mut round);
    let mut shown = round.exhibits();
    let mut sent = shown.batches[0].0.header.clone();
    sent.output = Digest([9; 32]);
    let mut own = shown.batches[1].0.header.clone();
    own.input = sent.output;
    shown.batches[1].0 = own.sign(&round.mixes[1]);
    let (told, sent) = (shown.batches[0].0.clone(), sent.sign(&round.mixes[0]));
    assert!(Case::false_header(&round.network, &shown, 2).is_none(), "nothing is held against it");
    assert_eq!(Case::new(round.network.clone(), shown).err(), Some(CaseFault::Input { hop: 2 }));
    let (told, sent) = (SignedStatement::Batch(told), SignedStatement::Batch(sent));
    let evidence = Evidence::equivocation(Some(&round.document.document), told, sent).expect("they differ");
    assert_eq!(evidence.verify(&round.network).map(|found| found.guilty), Ok(Guilty::Mix(1)));
}

#[test]
fn what_is_not_shown_as_signed_is_owed() {
    let mut round = BurntRound::new(&plan(3));
    honest(&mut round);
    let fault = |change: &dyn Fn(&mut Exhibits)| {
        let mut shown = round.exhibits();
        change(&mut shown);
        Case::new(round.network.clone(), shown).err()
    };
    assert_eq!(fault(&|_| {}), None);
    assert_eq!(fault(&|shown| shown.keys[1].0.key[3] ^= 1), Some(CaseFault::Key { hop: 2 }));
    assert_eq!(fault(&|shown| shown.keys.truncate(2)), Some(CaseFault::Key { hop: 3 }));
    assert_eq!(fault(&|shown| shown.batches[1].1[0] = Digest([1; 32])), Some(CaseFault::Batch { hop: 2 }));
    assert_eq!(fault(&|shown| shown.echoes[1].1[0][0] ^= 1), Some(CaseFault::Echoes { hop: 2 }));
    assert_eq!(fault(&|shown| shown.records[0].commitment[0] ^= 1), Some(CaseFault::List));
    // Signed, but not about what the others show: of each mix, what came to it and what it made.
    let resigned = |hop: usize| {
        move |shown: &mut Exhibits| {
            shown.batches[hop - 1].0.header.input = Digest([9; 32]);
            shown.batches[hop - 1].0 =
                shown.batches[hop - 1].0.header.clone().sign(&BurntRound::new(&plan(3)).mixes[hop - 1]);
        }
    };
    assert_eq!(fault(&resigned(2)), Some(CaseFault::Input { hop: 2 }));
    for hop in 1..=3 {
        let other = |shown: &mut Exhibits| {
            let (signed, _) = &mut shown.echoes[3 - hop];
            signed.header.input = Digest([9; 32]);
            *signed = signed.header.clone().sign(&round.mixes[hop - 1]);
        };
        assert_eq!(fault(&other), Some(CaseFault::EchoInput { hop: hop as u8 }));
    }
}
