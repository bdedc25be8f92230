//! Documents and verdicts, of which a mix signs one of a number: what others have signed is kept, and whatever comes later is
//! held against it.
//!
//! The chain has the documents with all signatures. Of verdicts the entry has them in its docket and history; the other mixes
//! keep those of the newest [`HEARD`] rounds here.

use std::collections::BTreeMap;

use crate::blame::SignedStatement;
use crate::crypto::Signature;
use crate::wire::{SignedEpoch, SignedVerdict, Verdict};

use super::Mix;

/// Rounds of which a mix keeps the signatures of others: a quarter of an hour of one-second rounds, and more than any round
/// waits for its verdict.
const HEARD: usize = 1024;

/// What others have signed of how rounds ended. Everything in it has been verified.
#[derive(Default)]
pub(super) struct Heard {
    rounds: BTreeMap<u64, (Verdict, BTreeMap<usize, Signature>)>,
}

impl Heard {
    /// The mix at a place has signed this; its first word of a round counts.
    fn hear(&mut self, mix: usize, verdict: &Verdict, signature: Signature) {
        let (known, signatures) =
            self.rounds.entry(verdict.round).or_insert_with(|| (verdict.clone(), BTreeMap::new()));
        if known == verdict {
            signatures.insert(mix, signature);
        }
        while self.rounds.len() > HEARD {
            self.rounds.pop_first();
        }
    }

    fn of(&self, mix: usize, round: u64) -> Option<(&Verdict, Signature)> {
        let (verdict, signatures) = self.rounds.get(&round)?;
        Some((verdict, *signatures.get(&mix)?))
    }
}

impl Mix {
    /// Another mix shows a document, whole or not. Whoever has signed it and the one of the same number in the chain has signed
    /// two.
    pub(super) fn compare_document(&mut self, told: &SignedEpoch) {
        let known = self.epochs.of_number(told.document.epoch).filter(|known| known.document != told.document).cloned();
        let Some(known) = known else { return };
        for mix in 0..self.identities.len() {
            let (Some(before), Some(now)) = (known.signatures.get(mix), told.signatures.get(mix)) else { return };
            if told.document.is_signed_by(&self.identities[mix], now) {
                let hop = mix as u8 + 1;
                let (document, signature) = (known.document.clone(), *before);
                let before = SignedStatement::Document { hop, document, signature };
                let (document, signature) = (told.document.clone(), *now);
                self.compare(None, before, SignedStatement::Document { hop, document, signature });
            }
        }
    }

    /// The verdict that the mix at a place is known to have signed of a round.
    fn verdict_of(&self, mix: usize, round: u64) -> Option<(&Verdict, Signature)> {
        let Some(entry) = self.entry.as_ref() else { return self.heard.of(mix, round) };
        match entry.complete.get(&round) {
            Some(complete) => Some((&complete.verdict, *complete.signatures.get(mix)?)),
            None => entry.docket.signed_by(mix, round),
        }
    }

    /// A verdict is shown with the signature of the mix at a place, which may be none: held against what that mix has signed
    /// before.
    pub(super) fn compare_verdict(&mut self, mix: usize, verdict: &Verdict, signature: Signature) {
        let Some(identity) = self.identities.get(mix).filter(|_| mix != self.own) else { return };
        let known = self.verdict_of(mix, verdict.round).filter(|(known, _)| *known != verdict);
        let known = known.filter(|_| verdict.is_signed_by(identity, &signature));
        let Some((known, signed)) = known.map(|(known, signed)| (known.clone(), signed)) else { return };
        let hop = mix as u8 + 1;
        let before = SignedStatement::Verdict { hop, verdict: known, signature: signed };
        self.compare(None, before, SignedStatement::Verdict { hop, verdict: verdict.clone(), signature });
    }

    /// The mix at a place has signed a verdict that is in order.
    pub(super) fn hear_verdict(&mut self, mix: usize, verdict: &Verdict, signature: Signature) {
        if self.entry.is_none() {
            self.heard.hear(mix, verdict, signature);
        }
    }

    /// The entry shows a verdict with the signatures of all, or of some.
    pub(super) fn compare_verdicts(&mut self, signed: &SignedVerdict) {
        for (mix, signature) in signed.signatures.iter().enumerate() {
            self.compare_verdict(mix, &signed.verdict, *signature);
        }
    }
}
