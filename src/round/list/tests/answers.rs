//! Complaints, the second list, signatures.

use super::*;
use crate::wire::{ListComplaint, ListComplete, ListHeader, ListSignature, SecondList};

/// A list with a client whose MAC for the second mix is wrong, as everybody has it.
struct Complained {
    world: World,
    struck: Struck,
    entry: EntryList,
    taken: [TakenList; 2],
}

impl Complained {
    fn of(client: u32) -> Self {
        let world = World::new();
        let mut submissions = world.everybody(ROUND);
        submissions.insert(client, world.bad_mac(client, ROUND, 1));
        let struck = world.struck();
        let entry = world.assemble(ROUND, submissions, &struck);
        let taken = [1, 2].map(|mix| world.take(&entry, mix, &struck).expect("its form is good"));
        Self { world, struck, entry, taken }
    }

    fn rules(&self) -> ListRules {
        self.world.rules(ROUND)
    }

    fn complaint(&self) -> SignedListComplaint {
        let ListAnswer::Complaint(complaint) = self.taken[0].answer(&mix_key(1)) else { panic!("a MAC is wrong") };
        complaint
    }

    /// A complaint that is signed whatever it says.
    fn forged(&self, mix: usize, change: impl FnOnce(&mut ListComplaint)) -> SignedListComplaint {
        let mut complaint = self.complaint().complaint;
        complaint.hop = mix as u8 + 1;
        change(&mut complaint);
        complaint.sign(&mix_key(mix))
    }

    fn signature(&self, mix: usize) -> ListSignature {
        signature(&self.taken[mix - 1], mix)
    }

    /// What the entry makes of both answers.
    fn second(&mut self) -> SecondList {
        let (complaint, signature) = (self.complaint(), self.signature(2));
        self.entry.complaint(1, complaint, &mut self.struck).expect("a complaint");
        self.entry.signature(2, &signature).expect("a signature");
        let ListRuling::Second(second) = self.entry.rule(&mix_key(0)) else { panic!("all have answered") };
        second
    }

    /// What the third mix, which had nothing to complain of, makes of a second list.
    fn fault(&self, second: &SecondList) -> Option<ListFault> {
        let (mut taken, mut struck) = (self.taken[1].clone(), self.world.struck());
        let fault = taken.second(&self.rules(), second, &mut struck).err();
        // What is refused has changed nothing.
        assert_eq!(struck.contains(2), fault.is_none());
        assert_eq!(taken.list().members().count(), if fault.is_none() { 4 } else { 5 });
        fault
    }

    /// A second list that the entry signs for these complaints, without `clients`.
    fn forged_second(&self, clients: &[u32], complaints: Vec<SignedListComplaint>) -> SecondList {
        let rules = ListRules { quorum: 0, ..self.rules() };
        let first = self.taken[1].list();
        let list = first.without(&rules, &members(clients)).expect("its form is good");
        SecondList { header: list.header(1).sign(&mix_key(0)), complaints }
    }
}

fn signature(taken: &TakenList, mix: usize) -> ListSignature {
    let ListAnswer::Signature(signature) = taken.answer(&mix_key(mix)) else { panic!("it has nothing to complain of") };
    signature
}

fn impossible(cause: Impossible) -> Result<(), AnswerFault> {
    Err(AnswerFault::Impossible(cause))
}

#[test]
fn with_all_signatures_a_list_is_complete_for_everybody() {
    let world = World::new();
    let mut entry = world.assemble(ROUND, world.everybody(ROUND), &world.struck());
    assert_eq!(entry.rule(&mix_key(0)), ListRuling::Waiting);
    let mut taken = [1, 2].map(|mix| world.take(&entry, mix, &world.struck()).expect("a good list"));
    entry.signature(1, &signature(&taken[0], 1)).expect("a signature");
    assert_eq!(entry.rule(&mix_key(0)), ListRuling::Waiting);
    entry.signature(2, &signature(&taken[1], 2)).expect("a signature");
    assert!(!entry.body(1).is_empty(), "somebody may want it");
    let ListRuling::Complete(complete) = entry.rule(&mix_key(0)) else { panic!("all have signed") };
    assert!(entry.body(1).is_empty(), "of a large round it is much");
    for taken in &mut taken {
        let rules = world.rules(ROUND);
        let lacking = ListComplete { signatures: complete.signatures[..2].to_vec(), ..complete.clone() };
        assert_eq!(taken.complete(&rules, &lacking), Err(ListFault::Signatures));
        let mut forged = complete.clone();
        forged.signatures[2] = forged.signatures[1];
        assert_eq!(taken.complete(&rules, &forged), Err(ListFault::Signatures));
        let other = ListComplete { root: Digest([0; 32]), ..complete.clone() };
        assert_eq!(taken.complete(&rules, &other), Err(ListFault::Root));
        assert!(!taken.is_complete());
        assert_eq!(taken.complete(&rules, &complete), Ok(()));
        assert!(taken.is_complete());
    }
}

#[test]
fn a_complaint_makes_a_second_list_and_that_is_signed() {
    let mut round = Complained::of(2);
    let complaint = round.complaint();
    assert_eq!(complaint.complaint.clients, members(&[2]));
    let second = round.second();
    assert_eq!(second.complaints, [complaint]);
    assert_eq!(round.entry.second(), Some(&second));
    let rules = round.rules();
    for mix in [1, 2] {
        let mut struck = round.world.struck();
        round.taken[mix - 1].second(&rules, &second, &mut struck).expect("the first without client 2");
        assert!(struck.contains(2) && !struck.contains(3));
        // It may come again.
        round.taken[mix - 1].second(&rules, &second, &mut struck).expect("the same");
        assert_eq!(round.taken[mix - 1].list(), round.entry.list());
        assert_eq!(round.entry.rule(&mix_key(0)), ListRuling::Waiting, "signatures under the first list are of no use");
        let signature = round.signature(mix);
        round.entry.signature(mix, &signature).expect("a signature");
    }
    let ListRuling::Complete(complete) = round.entry.rule(&mix_key(0)) else { panic!("all have signed") };
    assert_eq!(round.taken[0].complete(&rules, &complete), Ok(()));
    assert_eq!(*round.taken[0].list().members(), members(&[0, 1, 3, 4]));
}

#[test]
fn a_second_list_lacks_exactly_those_complained_of() {
    let round = Complained::of(2);
    let complaints = vec![round.complaint()];
    assert_eq!(round.fault(&round.forged_second(&[2], complaints.clone())), None);
    for clients in [&[][..], &[3], &[2, 3]] {
        assert_eq!(round.fault(&round.forged_second(clients, complaints.clone())), Some(ListFault::Root));
    }
    // The union of what all complain of.
    let also = round.forged(2, |complaint| complaint.clients = members(&[3]));
    let union = round.forged_second(&[2, 3], vec![round.complaint(), also]);
    let mut second_mix = round.taken[0].clone();
    assert_eq!(second_mix.second(&round.rules(), &union, &mut round.world.struck()), Ok(()));
    assert_eq!(*second_mix.list().members(), members(&[0, 1, 4]));
    // The third mix never made that complaint.
    assert_eq!(round.fault(&union), Some(ListFault::Own));
}

#[test]
fn a_second_list_brings_the_complaints_it_follows() {
    let round = Complained::of(2);
    let second = |complaints: Vec<SignedListComplaint>| round.fault(&round.forged_second(&[2], complaints));
    let refused = |fault| Some(ListFault::Complaint(fault));
    assert_eq!(second(vec![]), Some(ListFault::Complaints));
    assert_eq!(second(vec![round.complaint(), round.complaint()]), Some(ListFault::Complaints));
    assert_eq!(second(vec![round.forged(2, |_| ()), round.complaint()]), Some(ListFault::Complaints));
    // By the entry itself, by nobody, by another than it says.
    assert_eq!(second(vec![round.forged(0, |_| ())]), refused(AnswerFault::Signer));
    for hop in [0, 1, 3, 4, 255] {
        assert_eq!(second(vec![round.forged(1, |complaint| complaint.hop = hop)]), refused(AnswerFault::Signer));
    }
    let mut changed = round.complaint();
    changed.complaint.clients = members(&[2, 3]);
    assert_eq!(second(vec![changed]), refused(AnswerFault::Signer));
    assert_eq!(second(vec![round.forged(1, |complaint| complaint.context.round -= 1)]), refused(AnswerFault::Other));
    assert_eq!(
        second(vec![round.forged(1, |complaint| complaint.root = Digest([0; 32]))]),
        refused(AnswerFault::Other)
    );
    for (clients, cause) in [
        (members(&[]), Impossible::Nobody),
        (members(&[2, 5]), Impossible::Unknown),
        (members(&[0, 1, 2, 3, 4]), Impossible::Everybody),
    ] {
        let complaint = round.forged(1, |complaint| complaint.clients = clients);
        assert_eq!(second(vec![complaint]), refused(AnswerFault::Impossible(cause)));
    }
}

#[test]
fn a_second_list_does_not_pass_over_ones_own_complaint() {
    let round = Complained::of(2);
    let mut taken = round.taken[0].clone();
    let mut take = |second: &SecondList| taken.second(&round.rules(), second, &mut round.world.struck()).err();
    let by_another = round.forged(2, |complaint| complaint.clients = members(&[3]));
    assert_eq!(take(&round.forged_second(&[3], vec![by_another])), Some(ListFault::Own));
    let other = round.forged(1, |complaint| complaint.clients = members(&[3]));
    assert_eq!(take(&round.forged_second(&[3], vec![other])), Some(ListFault::Own));
    assert_eq!(take(&round.forged_second(&[2], vec![round.complaint()])), None);
}

#[test]
fn a_second_list_is_the_entrys_for_this_round_and_the_last() {
    let mut round = Complained::of(2);
    let rules = round.rules();
    let good = round.second();
    let header = |change: &dyn Fn(&mut ListHeader), mix| {
        let mut header = good.header.header.clone();
        change(&mut header);
        SecondList { header: header.sign(&mix_key(mix)), ..good.clone() }
    };
    assert_eq!(round.fault(&header(&|_| (), 1)), Some(ListFault::Signer));
    assert_eq!(round.fault(&header(&|header| header.context.round += 1, 0)), Some(ListFault::Context));
    assert_eq!(round.fault(&header(&|header| header.attempt = 0, 0)), Some(ListFault::Attempt));
    assert_eq!(round.fault(&header(&|header| header.attempt = 2, 0)), Some(ListFault::Attempt));
    assert_eq!(round.fault(&header(&|header| header.count = 6, 0)), Some(ListFault::Root));
    // Another one after it.
    let mut taken = round.taken[1].clone();
    let mut struck = round.world.struck();
    taken.second(&rules, &good, &mut struck).expect("it is good");
    let also = round.forged(1, |complaint| complaint.clients = members(&[2, 3]));
    let third = round.forged_second(&[2, 3], vec![also]);
    assert_eq!(taken.second(&rules, &third, &mut struck), Err(ListFault::Settled));
    assert!(!struck.contains(3));
    // One after the first list was complete: a mix that both signs and complains cannot make two lists of one.
    let mut taken = round.taken[1].clone();
    let (context, root) = (rules.context, taken.header().header.root);
    let signatures = (0..MIXES).map(|mix| ListSignature::sign(&mix_key(mix), &context, root).signature).collect();
    taken.complete(&rules, &ListComplete { round: ROUND, root, signatures }).expect("all have signed");
    assert_eq!(taken.second(&rules, &good, &mut struck), Err(ListFault::Settled));
}

#[test]
fn a_second_list_of_too_few_clients_is_neither_made_nor_taken() {
    let mut round = Complained::of(2);
    let complaint = round.forged(2, |complaint| complaint.clients = members(&[1, 3]));
    round.entry.complaint(1, round.complaint(), &mut round.struck).expect("a complaint");
    round.entry.complaint(2, complaint.clone(), &mut round.struck).expect("a complaint");
    assert_eq!(round.entry.rule(&mix_key(0)), ListRuling::TooFewClients);
    assert!(round.entry.second().is_none());
    let second = round.forged_second(&[1, 2, 3], vec![round.complaint(), complaint]);
    let taken = &mut round.taken[0];
    assert_eq!(taken.second(&round.world.rules(ROUND), &second, &mut round.struck), Err(ListFault::Quorum));
}

#[test]
fn a_complaint_that_no_honest_mix_makes_convicts_it() {
    let mut round = Complained::of(2);
    let context = round.rules().context;
    for (clients, cause) in [
        (members(&[]), Impossible::Nobody),
        (members(&[5]), Impossible::Unknown),
        (members(&[0, 1, 2, 3, 4]), Impossible::Everybody),
    ] {
        let complaint = round.forged(1, |complaint| complaint.clients = clients);
        assert_eq!(round.entry.complaint(1, complaint, &mut round.struck), impossible(cause));
    }
    // A bitmap over a longer roster: nobody beyond the list is looked up anywhere.
    let mut longer = Members::none(4096);
    longer.insert(4095);
    let complaint = round.forged(1, |complaint| complaint.clients = longer);
    assert_eq!(round.entry.complaint(1, complaint, &mut round.struck), impossible(Impossible::Unknown));
    assert!((0..CLIENTS).all(|client| !round.struck.contains(client)), "nobody is struck out for it");

    round.entry.complaint(1, round.complaint(), &mut round.struck).expect("a complaint");
    round.entry.complaint(1, round.complaint(), &mut round.struck).expect("the same again");
    let again = round.forged(1, |complaint| complaint.clients = members(&[3]));
    assert_eq!(round.entry.complaint(1, again, &mut round.struck), impossible(Impossible::Again));
    let first = round.entry.header().header.root;
    let signed = ListSignature::sign(&mix_key(1), &context, first);
    assert_eq!(round.entry.signature(1, &signed), impossible(Impossible::Contradiction));
    let signature = round.signature(2);
    round.entry.signature(2, &signature).expect("a signature");
    let contradicting = round.forged(2, |_| ());
    assert_eq!(
        round.entry.complaint(2, contradicting.clone(), &mut round.struck),
        impossible(Impossible::Contradiction)
    );

    let ListRuling::Second(second) = round.entry.rule(&mix_key(0)) else { panic!("all have answered") };
    assert_eq!(round.entry.complaint(2, contradicting, &mut round.struck), impossible(Impossible::Contradiction));
    let root = second.header.header.root;
    let of_second = round.forged(2, |complaint| (complaint.root, complaint.clients) = (root, members(&[3])));
    assert_eq!(round.entry.complaint(2, of_second, &mut round.struck), impossible(Impossible::Second));
    assert!(!round.struck.contains(3));
}

#[test]
fn answers_of_others_or_about_other_lists_prove_nothing() {
    let mut round = Complained::of(2);
    let context = round.rules().context;
    let root = round.entry.header().header.root;
    let struck = &mut round.world.struck();
    for (mix, complaint) in [
        (2, round.complaint()),
        (0, round.forged(0, |_| ())),
        (1, round.forged(1, |complaint| complaint.hop = 3)),
        (7, round.forged(7, |_| ())),
    ] {
        assert_eq!(round.entry.complaint(mix, complaint, struck), Err(AnswerFault::Signer), "mix {mix}");
    }
    let other_round = round.forged(1, |complaint| complaint.context.round += 1);
    assert_eq!(round.entry.complaint(1, other_round, struck), Err(AnswerFault::Other));
    let other_list = round.forged(1, |complaint| complaint.root = Digest([0; 32]));
    assert_eq!(round.entry.complaint(1, other_list, struck), Err(AnswerFault::Other));
    assert!(!struck.contains(2));

    let good = ListSignature::sign(&mix_key(2), &context, root);
    for mix in [0, 1, 3] {
        assert_eq!(round.entry.signature(mix, &good), Err(AnswerFault::Signer), "mix {mix}");
    }
    let late = ListSignature::sign(&mix_key(2), &ListContext { round: ROUND - 1, ..context }, root);
    assert_eq!(round.entry.signature(2, &late), Err(AnswerFault::Signer));
    let other = ListSignature::sign(&mix_key(2), &context, Digest([0; 32]));
    assert_eq!(round.entry.signature(2, &other), Err(AnswerFault::Other));
    let _second = round.second();
    // The third mix's word about the first list, once more.
    assert_eq!(round.entry.signature(2, &good), Err(AnswerFault::Other));
}
