//! Two statements of one signer for one slot.

use super::*;
use crate::crypto::{Digest, Identity};
use crate::wire::{Confirm, ListContext, ListHeader, MixEntry, Network, Outcome, Statement, Verdict};

/// Pairs that conflict, one of each kind, with who signs them.
pub(super) fn pairs(round: &BurntRound) -> Vec<(u8, SignedStatement, SignedStatement)> {
    let key = |hop: u8| &round.mixes[usize::from(hop) - 1];
    let slot = round.slot();
    let list = |root| {
        let context = ListContext { network: slot.network, epoch: slot.epoch, round: slot.round };
        let header = ListHeader { context, attempt: 0, count: 8, signed: 0, root: Digest([root; 32]) };
        SignedStatement::List(header.sign(key(1)))
    };
    let mut batch = round.batches[1].0.header.clone();
    batch.output = Digest([1; 32]);
    let mut echoes = round.echoes[0].0.header.clone();
    echoes.digest = Digest([1; 32]);
    let confirm = |hop, transcript| {
        let confirm = Confirm { slot, transcript: Digest([transcript; 32]), grounds: Digest([0; 32]) };
        let signature = confirm.sign(key(hop));
        SignedStatement::Confirm { hop, confirm, signature }
    };
    let document = |hop, time| {
        let mut document = round.document.document.clone();
        document.proposed_at_ms = time;
        let signature = document.sign(key(hop));
        SignedStatement::Document { hop, document, signature }
    };
    let verdict = |hop, refused| {
        let (network, epoch, number) = (slot.network, slot.epoch, slot.round);
        let outcome = Outcome::Stored { refused };
        let members = round.batches[0].0.header.members.clone();
        let verdict = Verdict { network, epoch, round: number, members, outcome };
        let signature = verdict.sign(key(hop));
        SignedStatement::Verdict { hop, verdict, signature }
    };
    vec![
        (1, list(1), list(2)),
        (2, SignedStatement::Batch(round.batches[1].0.clone()), SignedStatement::Batch(batch.sign(key(2)))),
        (3, SignedStatement::Echo(round.echoes[0].0.clone()), SignedStatement::Echo(echoes.sign(key(3)))),
        (2, confirm(2, 1), confirm(2, 2)),
        (3, document(3, 1), document(3, 2)),
        (1, verdict(1, 0), verdict(1, 1)),
    ]
}

pub(super) fn honest() -> BurntRound {
    let mut round = BurntRound::new(&plan(3));
    round.run(|_, _, _| {}, |_, _| {});
    round
}

#[test]
fn two_statements_for_one_slot_name_their_signer() {
    let round = honest();
    let document = &round.document.document;
    for (hop, a, b) in pairs(&round) {
        assert_eq!(a.hop(), hop);
        let evidence = Evidence::equivocation(Some(document), a.clone(), b.clone()).expect("they differ");
        let evidence = Evidence::from_file(&evidence.to_file()).expect("its own file");
        let found = evidence.verify(&round.network).expect("it verifies");
        assert_eq!((found.guilty, found.offence), (Guilty::Mix(hop), Offence::Equivocation));
        assert_eq!((found.slot.network, found.slot.epoch), (round.slot().network, round.slot().epoch));
        assert_eq!(Evidence::equivocation(Some(document), a.clone(), a.clone()), None, "one statement twice");
        for (_, other, _) in pairs(&round) {
            let same_kind = std::mem::discriminant(&a) == std::mem::discriminant(&other);
            assert!(same_kind || Evidence::equivocation(Some(document), a.clone(), other).is_none());
        }
    }
}

#[test]
fn statements_for_two_slots_name_nobody() {
    let round = honest();
    let resigned = |change: &dyn Fn(&mut crate::wire::BatchHeader)| {
        let mut header = round.batches[1].0.header.clone();
        header.output = Digest([1; 32]);
        change(&mut header);
        SignedStatement::Batch(header.sign(&round.mixes[1]))
    };
    let first = || SignedStatement::Batch(round.batches[1].0.clone());
    let conflict = |other| Evidence::equivocation(Some(&round.document.document), first(), other);
    assert!(conflict(resigned(&|_| {})).is_some());
    for other in [
        resigned(&|header| header.round += 1),
        resigned(&|header| header.hop = 1),
        resigned(&|header| header.epoch = Digest([3; 32])),
        resigned(&|header| header.network = Digest([3; 32])),
    ] {
        assert!(conflict(other).is_none());
    }
    assert!(Evidence::equivocation(None, first(), resigned(&|_| {})).is_none(), "a header needs its document");
}

#[test]
fn a_statement_that_its_mix_has_not_signed_names_nobody() {
    let round = honest();
    for (_, a, b) in pairs(&round) {
        let evidence = Evidence::equivocation(Some(&round.document.document), a, b).expect("they differ");
        let mut network = Network::clone(&round.network);
        network.roster.mixes.iter_mut().for_each(|mix: &mut MixEntry| mix.identity = Identity([3; 32]));
        assert_eq!(evidence.verify(&network), Err(EvidenceFault::Signature));
        network.parameters.network = "another".into();
        assert_eq!(evidence.verify(&network), Err(EvidenceFault::Slot));
    }
}
