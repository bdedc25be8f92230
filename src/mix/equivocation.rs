//! Documents and verdicts, of which a mix signs one of a number: what others have signed is kept, and whatever comes later is
//! held against it.
//!
//! The chain has the documents with all signatures. Of verdicts the entry has them in its docket and history; here is what else was
//! heard of the newest [`HEARD`] rounds. Of headers, lists and confirms a round's sealing keeps what was signed until its verdict;
//! the batch headers outlive it, as a batch may come twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::blame::SignedStatement;
use crate::crypto::Signature;
use crate::wire::{SignedBatchHeader, SignedEpoch, SignedVerdict, Verdict};

use super::Mix;

/// Rounds of which a mix keeps the signatures of others: a quarter of an hour of one-second rounds, and more than any round
/// waits for its verdict.
const HEARD: usize = 1024;

/// What others have signed of how rounds ended, whether it can be so or not: the signatures have been verified.
#[derive(Default)]
pub(super) struct Heard {
    rounds: BTreeMap<u64, BTreeMap<usize, (Arc<Verdict>, Signature)>>,
    /// Which batches were handed on in the newest rounds that are over here: a second one may come late.
    batches: BTreeMap<u64, Vec<Option<SignedBatchHeader>>>,
}

impl Heard {
    /// The mix at a place has signed this; its first word of a round counts.
    fn hear(&mut self, mix: usize, verdict: &Verdict, signature: Signature) {
        let round = self.rounds.entry(verdict.round).or_default();
        if !round.contains_key(&mix) {
            // Most say the same.
            let same = round.values().map(|(known, _)| known).find(|known| ***known == *verdict).cloned();
            round.insert(mix, (same.unwrap_or_else(|| Arc::new(verdict.clone())), signature));
        }
        while self.rounds.len() > HEARD {
            self.rounds.pop_first();
        }
    }

    /// A round is over; of at most `most` rounds what was handed on is kept.
    pub(super) fn keep_batches(&mut self, round: u64, batches: Vec<Option<SignedBatchHeader>>, most: usize) {
        self.batches.insert(round, batches);
        while self.batches.len() > most {
            self.batches.pop_first();
        }
    }

    fn of(&self, mix: usize, round: u64) -> Option<(&Verdict, Signature)> {
        let (verdict, signature) = self.rounds.get(&round)?.get(&mix)?;
        Some((verdict, *signature))
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

    /// The mix at a place shows, signed, which batch it hands on in a round that is over here.
    pub(super) fn compare_late_batch(&mut self, from: usize, signed: &SignedBatchHeader) {
        let round = signed.header.round;
        let known = self.heard.batches.get(&round).and_then(|batches| batches.get(from)?.clone());
        let document = self.epochs.document(round).cloned();
        if let Some(known) = known.filter(|known| known.header != signed.header) {
            self.compare(document, SignedStatement::Batch(known), SignedStatement::Batch(signed.clone()));
        }
    }

    /// The verdict that the mix at a place is known to have signed of a round.
    fn verdict_of(&self, mix: usize, round: u64) -> Option<(&Verdict, Signature)> {
        let at_entry = self.entry.as_ref().and_then(|entry| match entry.complete.get(&round) {
            Some(complete) => Some((&complete.verdict, *complete.signatures.get(mix)?)),
            None => entry.docket.signed_by(mix, round),
        });
        at_entry.or_else(|| self.heard.of(mix, round))
    }

    /// A verdict is shown with the signature of the mix at a place, which may be none: held against what that mix has signed
    /// before. Its first word is kept even if it cannot be true: then it will differ from the verdict.
    pub(super) fn compare_verdict(&mut self, mix: usize, verdict: &Verdict, signature: Signature) {
        let Some(identity) = self.identities.get(mix).filter(|_| mix != self.own) else { return };
        let known = self.verdict_of(mix, verdict.round);
        let same = known.is_some_and(|(known, _)| known == verdict);
        if same || !verdict.is_signed_by(identity, &signature) {
            return;
        }
        let Some((known, signed)) = known.map(|(known, signed)| (known.clone(), signed)) else {
            // Of a round that can be: whoever makes up numbers pushes out nothing.
            if self.epochs.document(verdict.round).is_some() {
                self.heard.hear(mix, verdict, signature);
            }
            return;
        };
        let hop = mix as u8 + 1;
        let before = SignedStatement::Verdict { hop, verdict: known, signature: signed };
        self.compare(None, before, SignedStatement::Verdict { hop, verdict: verdict.clone(), signature });
    }

    /// The entry shows a verdict with the signatures of all, or of some.
    pub(super) fn compare_verdicts(&mut self, signed: &SignedVerdict) {
        for (mix, signature) in signed.signatures.iter().enumerate() {
            self.compare_verdict(mix, &signed.verdict, *signature);
        }
    }
}
