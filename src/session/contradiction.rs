//! Two documents of one number, or two verdicts of one round, with the signature of one mix under both.

use std::collections::BTreeMap;

use crate::crypto::{Identity, Signature};
use crate::wire::{SignedEpoch, SignedVerdict};

/// What some mix has signed twice, and no honest mix does: for whoever makes evidence of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Contradiction {
    /// Two documents of one number. All signatures under the first hold.
    Documents(Box<[SignedEpoch; 2]>),
    /// Two verdicts of one round. All signatures under the first hold.
    Verdicts(Box<[SignedVerdict; 2]>),
}

/// Verdicts that are kept to hold others against: of rounds that a client still hears of.
const KEPT: usize = 64;
/// Contradictions that a session tells of: one is enough to stop a network.
const TOLD: usize = 16;

/// What was signed before.
pub(super) struct Signed {
    mixes: Vec<Identity>,
    verdicts: BTreeMap<u64, SignedVerdict>,
    told: usize,
}

impl Signed {
    pub(super) fn new(mixes: Vec<Identity>) -> Self {
        Self { mixes, verdicts: BTreeMap::new(), told: 0 }
    }

    /// A verdict that holds.
    pub(super) fn remember(&mut self, verdict: &SignedVerdict) {
        self.verdicts.insert(verdict.verdict.round, verdict.clone());
        while self.verdicts.len() > KEPT {
            self.verdicts.pop_first();
        }
    }

    /// Whether somebody who has signed the verdict of the round that is known has signed this other one.
    pub(super) fn verdict(&mut self, verdict: &SignedVerdict) -> Option<Contradiction> {
        let known = self.verdicts.get(&verdict.verdict.round).filter(|known| known.verdict != verdict.verdict)?.clone();
        self.any_signed(&verdict.signatures, |mix, signature| verdict.verdict.is_signed_by(mix, signature))?;
        Some(Contradiction::Verdicts(Box::new([known, verdict.clone()])))
    }

    /// As for verdicts, of a document of a number that is `known`.
    pub(super) fn document(&mut self, known: SignedEpoch, told: &SignedEpoch) -> Option<Contradiction> {
        self.any_signed(&told.signatures, |mix, signature| told.document.is_signed_by(mix, signature))?;
        Some(Contradiction::Documents(Box::new([known, told.clone()])))
    }

    fn any_signed(&mut self, signatures: &[Signature], holds: impl Fn(&Identity, &Signature) -> bool) -> Option<()> {
        let any = self.told < TOLD && self.mixes.iter().zip(signatures).any(|(mix, signature)| holds(mix, signature));
        self.told += usize::from(any);
        any.then_some(())
    }
}
