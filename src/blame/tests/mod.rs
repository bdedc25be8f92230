//! Rounds of real parts with one deviation each: who is named, and that nobody else ever is.

mod mutations;
mod noise;
mod offences;
mod promised;
mod statements;
mod vectors;

use super::*;
use crate::sim::{BurntRound, Plan};

pub(super) fn plan(mixes: usize) -> Plan {
    // What is proven of a burnt round does not hang on how many open one; of shares it does.
    let threshold = (mixes == 3).then_some(2);
    let seed = 40 + mixes as u64;
    Plan { mixes, clients: 4, packets_per_client: 2, noise: Some(0), threshold, seed, ..Plan::default() }
}

/// What the replay of the whole round finds first, in segments of three packets.
pub(super) fn ruling(round: &BurntRound) -> Option<Ruling> {
    round.timed_replay(3).expect("what is shown fits together").0
}

/// The evidence that a round comes to, through its file form: from the replay, or else against an accuser.
pub(super) fn evidence(round: &BurntRound) -> Option<Evidence> {
    let case = Case::new(round.network.clone(), round.exhibits()).expect("what is shown fits together");
    let evidence = match ruling(round) {
        Some(Ruling::Guilty(evidence)) => Some(*evidence),
        Some(Ruling::NotShown { .. } | Ruling::Unsigned { .. }) => None,
        None => case.close(&round.noise),
    };
    evidence.map(|evidence| Evidence::from_file(&evidence.to_file()).expect("its own file"))
}

/// Whom the round's evidence names, and for what; that no record's replay names anybody else.
pub(super) fn finding(round: &BurntRound) -> Option<(Guilty, Offence)> {
    let finding = evidence(round)?.verify(&round.network).expect("it verifies");
    assert_eq!(finding.slot, round.slot());
    let case = Case::new(round.network.clone(), round.exhibits()).expect("what is shown fits together");
    for place in 0..case.len() {
        match case.replay(place, &round.onions(place..place + 1)) {
            None => {}
            Some(Ruling::Guilty(evidence)) => {
                let other = evidence.verify(&round.network).expect("it verifies");
                assert_eq!(other.guilty, finding.guilty, "{:?} at {place}", other.offence);
            }
            Some(_) => panic!("everything is shown and signed"),
        }
    }
    Some((finding.guilty, finding.offence))
}
