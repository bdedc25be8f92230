//! Changed evidence: it proves nothing, or what it proved; never anything of anybody else.

use super::statements::{honest, pairs};
use super::*;
use crate::blame::proof::Proof;
use crate::blame::taken::Source;
use crate::crypto::Digest;
use crate::wire::{Mismatch, Network, batch_digest, echoes_digest};

/// One of each kind, of three mixes, with whom it names.
pub(super) fn every_kind() -> (BurntRound, Vec<(&'static str, Evidence, Guilty)>) {
    let mut all = Vec::new();
    let fresh = || BurntRound::new(&plan(3));
    let mut take = |name, round: &BurntRound| {
        let evidence = evidence(round).expect("guilt");
        let found = evidence.verify(&round.network).expect("it verifies");
        all.push((name, evidence, found.guilty));
    };
    let mut round = fresh();
    let packet = round.foreign(1);
    round.submitted[5].onion = round.wrapped(2, 3, &packet);
    round.run(|_, _, _| {}, |_, _| {});
    take("layer", &round);
    let mut round = fresh();
    round.submitted[5].commitment[0] ^= 1;
    round.run(|_, _, _| {}, |_, _| {});
    take("commitment", &round);
    for (name, hop) in [("dropped, entry", 1), ("dropped", 2)] {
        let mut round = fresh();
        let replace = |round: &mut BurntRound, at, packets: &mut Vec<Vec<u8>>| {
            if at == hop {
                packets[3] = round.foreign(hop + 1);
            }
        };
        round.run(replace, |_, _| {});
        take(name, &round);
    }
    for (name, hop) in [("echo, entry", 1), ("echo", 2), ("echo, exit", 3)] {
        let mut round = fresh();
        round.run(|_, _, _| {}, |at, echoes| echoes[2][5] ^= u8::from(at == hop));
        take(name, &round);
    }
    let mut round = honest();
    let (batch, echoes) = (round.batches[0].0.header.subject(), round.echoes[2].0.header.subject(&round.root()));
    for (name, mismatch, subject) in [
        ("false accusation, layer", Mismatch::Layer { hop: 1, place: 5 }, batch),
        ("false accusation, replay", Mismatch::Replay { hop: 1, place: 5 }, batch),
        ("false accusation, noise", Mismatch::Noise { hop: 3, place: 0 }, echoes),
        ("false accusation, echo", Mismatch::Echo { place: 5 }, echoes),
        ("false accusation, nothing", Mismatch::Layer { hop: 3, place: 5 }, batch),
    ] {
        round.accusations.clear();
        round.accuse(2, mismatch, subject);
        take(name, &round);
    }
    for (name, hop) in [("header, entry", 1u8), ("header", 2)] {
        let (mut shown, at) = (round.exhibits(), usize::from(hop) - 1);
        shown.batches[at].0.header.count += 1;
        shown.batches[at].0 = shown.batches[at].0.header.clone().sign(&round.mixes[at]);
        all.push((name, Case::false_header(&round.network, &shown, hop).expect("guilt"), Guilty::Mix(hop)));
    }
    let (signed, _) = &round.batches[1];
    let mut header = signed.header.clone();
    header.noise += 1;
    let alone = Evidence::false_header(&round.network, &round.document, &header.sign(&round.mixes[1]), None);
    all.push(("header, alone", alone.expect("guilt"), Guilty::Mix(2)));
    all.extend(noise::every_kind());
    all.extend(promised::every_kind(&round));
    let document = &round.document.document;
    for ((hop, a, b), name) in pairs(&round).into_iter().zip([
        "equivocation, list",
        "equivocation, batch",
        "equivocation, echo",
        "equivocation, confirm",
        "equivocation, document",
        "equivocation, verdict",
    ]) {
        let evidence = Evidence::equivocation(Some(document), a, b).expect("they differ");
        all.push((name, evidence, Guilty::Mix(hop)));
    }
    (round, all)
}

#[test]
fn a_changed_byte_names_nobody_else() {
    let (round, all) = every_kind();
    for (name, evidence, guilty) in all {
        let file = evidence.to_file();
        let mut still = 0;
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1 << (at % 8);
            let Ok(evidence) = Evidence::from_file(&changed) else { continue };
            if let Ok(found) = evidence.verify(&round.network) {
                assert_eq!(found.guilty, guilty, "{name}, byte {at}");
                still += 1;
            }
        }
        // What convicts is signed, or is digested into what is signed; but five bits of a published key do not count.
        assert!(still <= 2 * 3, "{name}: {still} of {} bytes", file.len());
    }
}

#[test]
fn a_cut_or_lengthened_file_is_refused() {
    let (_, all) = every_kind();
    for (_, evidence, _) in all {
        let file = evidence.to_file();
        for cut in (0..file.len()).step_by(7).chain([file.len() - 1]) {
            assert!(matches!(Evidence::from_file(&file[..cut]), Err(EvidenceFault::Codec(_))));
        }
        assert!(Evidence::from_file(&[file.as_slice(), &[0]].concat()).is_err());
    }
    let mut long = b"mixnet v1 evidence\0".to_vec();
    long.resize(long.len() + MAX_EVIDENCE + 1, 0);
    assert_eq!(Evidence::from_file(&long), Err(EvidenceFault::Codec(crate::wire::codec::CodecError::TooLong)));
}

#[test]
fn evidence_of_one_network_is_nothing_in_another() {
    let (round, all) = every_kind();
    let change = |change: &dyn Fn(&mut Network)| {
        let mut network = Network::clone(&round.network);
        change(&mut network);
        network
    };
    let named = change(&|network| network.parameters.network = "another".into());
    let others = change(&|network| {
        network.roster.mixes = BurntRound::new(&Plan { seed: 1, ..plan(3) }).network.roster.mixes.clone();
    });
    for (name, evidence, guilty) in all {
        for network in [&named, &others] {
            assert!(evidence.verify(network).is_err(), "{name} of {guilty:?}");
        }
    }
}

/// What a malicious mix shows of its neighbour is not what the neighbour signed for.
#[test]
fn a_mix_is_held_to_what_it_took_in_and_to_nothing_else() {
    let (round, all) = every_kind();
    let changed = |name: &str, change: &dyn Fn(&mut Proof)| {
        let (_, evidence, _) = all.iter().find(|(known, ..)| *known == name).expect("there is one");
        let mut evidence = evidence.clone();
        change(evidence.proof_mut().expect("of a round"));
        evidence.verify(&round.network)
    };
    // Mix 2 is shown another batch before its own than the one it names, with the packet in it.
    let another_batch = |proof: &mut Proof| {
        let Proof::Dropped(proof) = proof else { return };
        let Source::Batch(hashes) = &mut proof.taken.from else { return };
        hashes[0] = Digest([1; 32]);
        assert_ne!(batch_digest(hashes), proof.passed.header.header.input);
    };
    assert_eq!(changed("dropped", &another_batch), Err(EvidenceFault::Digest));
    // Other echoes than those from which it says that it made its own.
    let other_echoes = |proof: &mut Proof| {
        let Proof::Echo(proof) = proof else { return };
        let Some(onward) = &mut proof.onward else { return };
        onward.echoes[0][0] ^= 1;
        assert_ne!(echoes_digest(&onward.echoes), proof.header.header.input);
    };
    assert_eq!(changed("echo", &other_echoes), Err(EvidenceFault::Digest));
    // The exit's, as if it had handed a batch on.
    let no_onward = |proof: &mut Proof| {
        let Proof::Echo(proof) = proof else { return };
        proof.onward = None;
    };
    assert_eq!(changed("echo", &no_onward), Err(EvidenceFault::Slot));
    // A key fewer or more than the layer that fails.
    let fewer = |proof: &mut Proof| {
        let Proof::Client(proof) = proof else { return };
        proof.keys.pop();
    };
    assert_eq!(changed("layer", &fewer), Err(EvidenceFault::Innocent));
    assert_eq!(changed("commitment", &fewer), Err(EvidenceFault::Innocent));
    let other_record = |proof: &mut Proof| {
        let Proof::Client(proof) = proof else { return };
        proof.which ^= 1;
    };
    assert_eq!(changed("layer", &other_record), Err(EvidenceFault::Packet));
    // A hash list from which the very packet is left out.
    let left_out = |proof: &mut Proof| {
        let Proof::Dropped(proof) = proof else { return };
        proof.passed.hashes.pop();
    };
    assert_eq!(changed("dropped, entry", &left_out), Err(EvidenceFault::Digest));
}
