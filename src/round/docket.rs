//! The entry's docket: rounds that wait for their verdict.

use std::collections::BTreeMap;

use crate::crypto::{Identity, Signature};
use crate::wire::{AbortReason, SignedVerdict, Verdict};

/// Rounds that were opened and have no complete verdict on disk yet.
#[derive(Default)]
pub struct Docket {
    cases: BTreeMap<u64, Case>,
}

/// One round that waits.
#[derive(Default)]
struct Case {
    epoch: u64,
    abort: Option<AbortReason>,
    decision: Option<(Verdict, Signature)>,
    signatures: BTreeMap<usize, Signature>,
    /// Every mix has signed; the verdict is on its way to the disk.
    complete: bool,
}

/// What follows from a decision or signature.
#[derive(Debug, Eq, PartialEq)]
pub enum Ruling {
    /// Nothing yet.
    Waiting,
    /// The decision is new: sign it on disk, then pass it on.
    Decided(Verdict),
    /// Every mix has signed.
    Complete(Box<SignedVerdict>),
    /// It is not the exit's, not this round's, or contradicts an earlier one.
    Refused,
}

impl Docket {
    /// A round has opened.
    pub fn open(&mut self, epoch: u64, round: u64) {
        self.cases.insert(round, Case { epoch, ..Case::default() });
    }

    /// The round is to be aborted, for the first reason given; the exit decides.
    pub fn abort(&mut self, round: u64, reason: AbortReason) {
        if let Some(case) = self.cases.get_mut(&round) {
            case.abort.get_or_insert(reason);
        }
    }

    /// The rounds that wait, oldest first.
    pub fn rounds(&self) -> impl Iterator<Item = u64> {
        self.cases.keys().copied()
    }

    /// Whether the round waits for its verdict.
    pub fn contains(&self, round: u64) -> bool {
        self.cases.contains_key(&round)
    }

    /// Whether no round waits.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// The rounds that wait for the exit to abort them: (epoch, round, reason).
    pub fn aborts(&self) -> impl Iterator<Item = (u64, u64, AbortReason)> {
        let undecided = self.cases.iter().filter(|(_, case)| case.decision.is_none());
        undecided.filter_map(|(round, case)| Some((case.epoch, *round, case.abort?)))
    }

    /// The decisions that wait for the signature of `mix`.
    pub fn unsigned_by(&self, mix: usize) -> impl Iterator<Item = &(Verdict, Signature)> {
        let decided = self.cases.values().filter(move |case| !case.signatures.contains_key(&mix));
        decided.filter_map(|case| case.decision.as_ref())
    }

    /// What `mix` has signed of a round that waits.
    pub fn signed_by(&self, mix: usize, round: u64) -> Option<(&Verdict, Signature)> {
        let case = self.cases.get(&round)?;
        let (verdict, _) = case.decision.as_ref()?;
        Some((verdict, *case.signatures.get(&mix)?))
    }

    /// The exit has decided. Its word is taken once.
    pub fn decide(&mut self, exit: &Identity, mixes: usize, verdict: Verdict, signature: Signature) -> Ruling {
        let Some(case) = self.cases.get_mut(&verdict.round) else { return Ruling::Waiting };
        if verdict.epoch != case.epoch || !verdict.is_signed_by(exit, &signature) {
            return Ruling::Refused;
        }
        match &case.decision {
            Some((known, _)) if *known == verdict => Ruling::Waiting,
            Some(_) => Ruling::Refused,
            None => {
                case.decision = Some((verdict.clone(), signature));
                case.signatures.insert(mixes - 1, signature);
                Ruling::Decided(verdict)
            }
        }
    }

    /// A mix, the entry itself included, has signed the decision.
    pub fn sign(&mut self, identities: &[Identity], mix: usize, round: u64, signature: Signature) -> Ruling {
        let Some(case) = self.cases.get_mut(&round) else { return Ruling::Waiting };
        let Some((verdict, _)) = &case.decision else { return Ruling::Waiting };
        if !verdict.is_signed_by(&identities[mix], &signature) {
            return Ruling::Refused;
        }
        case.signatures.insert(mix, signature);
        if case.signatures.len() < identities.len() || std::mem::replace(&mut case.complete, true) {
            return Ruling::Waiting;
        }
        let signatures = case.signatures.values().copied().collect();
        Ruling::Complete(Box::new(SignedVerdict { verdict: verdict.clone(), signatures }))
    }

    /// The round's complete verdict is on disk. Until then the round waits: a later one that is opened meanwhile could be
    /// all that is left after a crash, and nobody would ask for this verdict again.
    pub fn close(&mut self, round: u64) {
        self.cases.remove(&round);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Digest, IdentityKey};
    use crate::wire::{Members, Outcome};

    #[test]
    fn a_round_waits_until_its_complete_verdict_is_on_disk() {
        let keys = [1, 2].map(|seed| IdentityKey::from_seed(&[seed; 32]));
        let identities = keys.each_ref().map(IdentityKey::identity);
        let (members, outcome) = (Members::none(8), Outcome::Stored { refused: 0 });
        let verdict = Verdict { network: Digest([0; 32]), epoch: 1, round: 7, members, outcome };
        let [entry, exit] = keys.each_ref().map(|key| verdict.sign(key));
        let mut docket = Docket::default();
        docket.open(1, 7);
        assert!(matches!(docket.decide(&identities[1], 2, verdict, exit), Ruling::Decided(_)));
        assert!(matches!(docket.sign(&identities, 0, 7, entry), Ruling::Complete(_)));
        assert!(docket.contains(7), "it is not on disk yet");
        assert_eq!(docket.sign(&identities, 0, 7, entry), Ruling::Waiting, "and is not written twice");
        docket.close(7);
        assert!(docket.is_empty());
    }
}
