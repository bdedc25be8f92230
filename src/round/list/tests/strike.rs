//! The strike-out rule: a round at most, once an epoch, whoever lies.

use super::*;
use crate::wire::{ListComplaint, ListSignature, SecondList};

/// The state of all mixes in an epoch.
struct Epoch {
    world: World,
    struck: [Struck; MIXES],
}

impl Epoch {
    fn new() -> Self {
        let world = World::new();
        let struck = [world.struck(), world.struck(), world.struck()];
        Self { world, struck }
    }

    /// The list step of a round with honest mixes, up to the second list or the last signature. Who is in it.
    fn settle(&mut self, round: u64, submissions: BTreeMap<u32, ClientRecords>) -> Members {
        let rules = self.world.rules(round);
        let mut entry = self.world.assemble(round, submissions, &self.struck[0]);
        let mut taken: Vec<TakenList> = Vec::new();
        for mix in 1..MIXES {
            taken.push(self.world.take(&entry, mix, &self.struck[mix]).expect("its form is good"));
        }
        loop {
            for (mix, taken) in (1..).zip(&taken) {
                match taken.answer(&mix_key(mix)) {
                    ListAnswer::Signature(signature) => entry.signature(mix, &signature).expect("it is good"),
                    ListAnswer::Complaint(complaint) => {
                        entry.complaint(mix, complaint, &mut self.struck[0]).expect("it is possible");
                    }
                }
            }
            match entry.rule(&mix_key(0)) {
                ListRuling::Complete(_) => return entry.list().members().clone(),
                ListRuling::Second(second) => {
                    for (mix, taken) in (1..).zip(&mut taken) {
                        taken.second(&rules, &second, &mut self.struck[mix]).expect("it is good");
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn with(&self, round: u64, records: ClientRecords) -> BTreeMap<u32, ClientRecords> {
        let mut submissions = self.world.everybody(round);
        submissions.insert(records.index(), records);
        submissions
    }
}

const ALL: [u32; 5] = [0, 1, 2, 3, 4];

#[test]
fn a_wrong_mac_for_one_mix_costs_one_round_and_the_signature_serves_from_then_on() {
    let mut epoch = Epoch::new();
    let bad = epoch.world.bad_mac(2, ROUND, 1);
    assert_eq!(epoch.settle(ROUND, epoch.with(ROUND, bad)), members(&[0, 1, 3, 4]));
    // The same again, and towards another mix: never out again in this epoch.
    for round in ROUND + 1..ROUND + 10 {
        let bad = epoch.world.bad_mac(2, round, 1 + round as usize % 2);
        assert_eq!(epoch.settle(round, epoch.with(round, bad)), members(&ALL), "round {round}");
    }
}

#[test]
fn no_mix_strikes_a_client_out_that_was_struck_out_before() {
    let mut epoch = Epoch::new();
    let bad = epoch.world.bad_mac(2, ROUND, 1);
    epoch.settle(ROUND, epoch.with(ROUND, bad));
    let round = ROUND + 1;
    for mix in [1, 2] {
        let mut entry = epoch.world.assemble(round, epoch.world.everybody(round), &epoch.struck[0]);
        let (context, root) = (epoch.world.rules(round).context, entry.header().header.root);
        let complain = |clients: &[u32]| {
            let complaint = ListComplaint { context, hop: mix as u8 + 1, root, clients: members(clients) };
            complaint.sign(&mix_key(mix))
        };
        let refused = Err(AnswerFault::Impossible(Impossible::Signed));
        assert_eq!(entry.complaint(mix, complain(&[2]), &mut epoch.struck[0]), refused, "mix {mix}");
        assert_eq!(entry.complaint(mix, complain(&[2, 3]), &mut epoch.struck[0]), refused, "mix {mix}");
        assert!(!epoch.struck[0].contains(3));
        // Nor does the entry get it past the others.
        let rules = ListRules { quorum: 0, ..epoch.world.rules(round) };
        let other = 3 - mix;
        let mut taken = epoch.world.take(&entry, other, &epoch.struck[other]).expect("a good list");
        let list = List { signatures: vec![], ..taken.list().clone() };
        let list = list.without(&rules, &members(&[2])).expect("its form is good");
        let second = SecondList { header: list.header(1).sign(&mix_key(0)), complaints: vec![complain(&[2])] };
        let fault = taken.second(&rules, &second, &mut epoch.struck[other]);
        assert_eq!(fault, Err(ListFault::Complaint(AnswerFault::Impossible(Impossible::Signed))), "mix {mix}");
    }
}

#[test]
fn after_d_rounds_a_list_must_hold_the_signature() {
    let mut epoch = Epoch::new();
    let bad = epoch.world.bad_mac(2, ROUND, 1);
    epoch.settle(ROUND, epoch.with(ROUND, bad));
    // As an entry assembles it that has not heard of the complaint, or passes over it.
    let take = |round: u64, records: ClientRecords| {
        let entry = epoch.world.assemble(round, epoch.with(round, records), &epoch.world.struck());
        epoch.world.take(&entry, 1, &epoch.struck[1])
    };
    let due = ROUND + u64::from(VERDICT_ROUNDS);
    for round in [ROUND + 1, due - 1] {
        let taken = take(round, epoch.world.records(2, round)).expect("its MAC serves as long as it may be in flight");
        assert!(matches!(taken.answer(&mix_key(1)), ListAnswer::Signature(_)));
        let taken = take(round, epoch.world.bad_mac(2, round, 1)).expect("its form is good");
        assert!(matches!(taken.answer(&mix_key(1)), ListAnswer::Complaint(_)));
    }
    for round in [due, due + 1] {
        assert_eq!(take(round, epoch.world.records(2, round)).err(), Some(ListFault::Unsigned));
        assert_eq!(take(round, epoch.world.bad_mac(2, round, 1)).err(), Some(ListFault::Unsigned));
    }
    // A new epoch knows nothing of it.
    let entry = epoch.world.assemble(due, epoch.world.everybody(due), &epoch.world.struck());
    assert!(epoch.world.take(&entry, 1, &epoch.world.struck()).is_ok());
}

#[test]
fn an_early_complaint_stays_when_a_later_one_comes() {
    let mut struck = Struck::new(VERDICT_ROUNDS);
    struck.strike(&members(&[2]), 11);
    struck.strike(&members(&[2, 3]), 10);
    struck.strike(&members(&[2]), 12);
    assert!(struck.contains(2) && struck.contains(3) && !struck.contains(4));
    assert!(!struck.owes_signature(2, 13) && struck.owes_signature(2, 14) && !struck.owes_signature(4, u64::MAX));
}

#[test]
fn the_entry_admits_by_mac_and_those_struck_out_by_signature() {
    let world = World::new();
    let (rules, keys) = (world.rules(ROUND), &world.keys[0]);
    let (nobody, mut struck) = (world.struck(), world.struck());
    struck.strike(&members(&[2]), ROUND - 1);
    let admit = |struck: &Struck, records: ClientRecords| {
        rules.admit_each(keys, &[(&records, struck.contains(records.index()))])[0]
    };
    assert_eq!(admit(&nobody, world.records(2, ROUND)), Ok(()));
    assert_eq!(admit(&nobody, world.bad_mac(2, ROUND, 0)), Err(Inadmissible::Mac));
    assert_eq!(admit(&nobody, world.bad_mac(2, ROUND, 1)), Ok(()), "that is for the second mix to see");
    assert_eq!(admit(&nobody, world.bad_signature(2, ROUND)), Ok(()), "nobody has looked at it");
    assert_eq!(admit(&nobody, world.records(2, ROUND + 1)), Err(Inadmissible::Mac));
    assert_eq!(admit(&struck, world.records(2, ROUND)), Ok(()));
    assert_eq!(admit(&struck, world.bad_mac(2, ROUND, 0)), Ok(()));
    assert_eq!(admit(&struck, world.bad_signature(2, ROUND)), Err(Inadmissible::Signature));
    assert_eq!(admit(&struck, world.records(2, ROUND + 1)), Err(Inadmissible::Signature));
}

#[test]
fn whoever_is_struck_out_after_he_submitted_is_in_only_with_a_signature_that_holds() {
    let world = World::new();
    let mut struck = world.struck();
    struck.strike(&members(&[2, 3]), ROUND - 1);
    let mut submissions = world.everybody(ROUND);
    submissions.insert(3, world.bad_signature(3, ROUND));
    let rules = world.rules(ROUND);
    let (entry, named) = EntryList::assemble(rules, submissions, &struck, &mix_key(0)).expect("a list");
    assert_eq!(named, [3]);
    assert_eq!(*entry.list().members(), members(&[0, 1, 2, 4]));
    assert_eq!(entry.header().header.signed, 1);
    let signature = |client| *world.records(client, ROUND).signature();
    assert_eq!(entry.client_signatures(), [0, 1, 2, 4].map(signature), "of those in the list, in its order");
    for mix in [1, 2] {
        assert!(world.take(&entry, mix, &struck).is_ok());
    }
}

#[test]
fn an_assembled_list_has_a_quorum() {
    let world = World::new();
    let submissions = (0..2).map(|client| (client, world.records(client, ROUND))).collect();
    let list = EntryList::assemble(world.rules(ROUND), submissions, &world.struck(), &mix_key(0));
    assert_eq!(list.err(), Some(ListFault::Quorum));
}

#[test]
fn a_mix_that_is_silent_holds_nothing_but_its_round() {
    let world = World::new();
    let mut entry = world.assemble(ROUND, world.everybody(ROUND), &world.struck());
    let (context, root) = (world.rules(ROUND).context, entry.header().header.root);
    entry.signature(2, &ListSignature::sign(&mix_key(2), &context, root)).expect("a signature");
    assert_eq!(entry.rule(&mix_key(0)), ListRuling::Waiting);
}
