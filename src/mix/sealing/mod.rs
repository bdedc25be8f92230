//! Sealed rounds: nobody opens a round before every client's packet is proven to be in it.
//!
//! One [`Sealing`] holds what a mix knows of a round until its verdict. `list` settles who is in, `echo` sends the echoes
//! back, `confirm` confirms, `statement` does what the seal asks for. [`Mix::advance`] does whatever has become possible, in any order of arrival.

mod burn;
mod confirm;
mod echo;
mod list;
mod numbers;
mod statement;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::blame::SignedStatement;
use crate::crypto::{Defence, Digest, Signature};
use crate::packet::Echo;
use crate::round::seal::{Event as SealEvent, Position, Seal, Stage};
use crate::round::{
    Collected, EntryList, List, ListPlace, OutgoingBatch, Phase, Pieces, ReturnPath, Shuffled, TakenList,
};
use crate::wire::{
    AbortReason, Confirm, Grounds, Headers, ListComplete, Mismatch, OnionKey, PeerMessage, SecondList,
    SignedBatchHeader, SignedEchoHeader, SignedListHeader,
};

use super::Mix;
use super::blame::{Blame, Kept};

/// One sealed round at this mix.
pub(super) struct Sealing {
    seal: Seal,
    listing: Listing,
    /// What the entry said before this mix had taken its first list.
    early: (Option<SecondList>, Option<ListComplete>),
    /// The batch was handed on and taken; at the exit: taken in, whole.
    handed_on: bool,
    /// What each mix but the exit hands on.
    pub batches: Vec<Option<SignedBatchHeader>>,
    /// What each mix hands back.
    pub echoes: Vec<Option<SignedEchoHeader>>,
    /// The first list's and the second's headers, as the entry first said them.
    lists: [Option<SignedListHeader>; 2],
    /// The signatures of all under the list.
    pub agreed: Option<ListComplete>,
    /// What each other mix confirms.
    confirms: Vec<Option<Confirmation>>,
    /// Published onion keys, and what each mix says that it added: of a round that all have burnt.
    pub keys: Vec<Option<(OnionKey, Signature)>>,
    /// What an own accusation is about.
    subject: Option<Digest>,
    /// What the verdict says of it if it burns.
    why: Option<AbortReason>,
    pub kept: Kept,
    /// While the round burns, and until it is replayed.
    pub blame: Option<Box<Blame>>,
    /// Echoes that arrive: the mix that sends them, and the pieces.
    coming: Option<(usize, Pieces)>,
    path: Option<ReturnPath>,
    /// At the entry: where each packet of its batch stands in the list.
    places: Vec<ListPlace>,
    published: Option<Vec<Echo>>,
    checked: bool,
    /// What was said, to be said again to a mix that comes back.
    said: Vec<(To, PeerMessage)>,
}

/// What a mix has confirmed, and what it shows for it.
struct Confirmation {
    confirm: Confirm,
    grounds: Grounds,
    signature: Signature,
}

/// Where the list of a round stands at this mix.
enum Listing {
    /// Nothing has come.
    Expected,
    /// Its pieces arrive.
    Coming(Pieces),
    /// It is being checked.
    Checking,
    /// It is good, but for some clients.
    Taken(Box<TakenList>),
    /// At the entry, with the submissions until all have signed.
    Made(Box<EntryList>, Option<Collected>),
}

/// What was said in rounds that are over at this mix and may not be at others.
#[derive(Default)]
pub(super) struct SaidBefore(BTreeMap<u64, Vec<(To, PeerMessage)>>);

#[derive(Clone, Copy)]
enum To {
    One(usize),
    All,
}

impl Sealing {
    fn new(position: Position, listing: Listing) -> Self {
        Self {
            seal: Seal::new(position),
            listing,
            early: (None, None),
            handed_on: false,
            batches: vec![None; position.mixes - 1],
            echoes: vec![None; position.mixes],
            lists: [None, None],
            agreed: None,
            confirms: (0..position.mixes).map(|_| None).collect(),
            keys: vec![None; position.mixes],
            subject: None,
            why: None,
            kept: Kept::default(),
            blame: None,
            coming: None,
            path: None,
            places: Vec::new(),
            published: None,
            checked: false,
            said: Vec::new(),
        }
    }

    /// The list, once all have signed it.
    pub(in crate::mix) fn list(&self) -> Option<&List> {
        match &self.listing {
            Listing::Taken(taken) if taken.is_complete() => Some(taken.list()),
            Listing::Made(made, None) => Some(made.list()),
            _ => None,
        }
    }

    /// Which batch a mix hands on; what it said before, if that was another.
    fn note_batch(&mut self, from: usize, signed: &SignedBatchHeader) -> Option<SignedBatchHeader> {
        let known = self.batches.get_mut(from)?.get_or_insert_with(|| signed.clone());
        (known.header != signed.header).then(|| known.clone())
    }

    /// The clients' signatures over their records, in the order of the list: known to the entry.
    pub(in crate::mix) fn client_signatures(&self) -> Option<Vec<Signature>> {
        match &self.listing {
            Listing::Made(made, None) => Some(made.client_signatures()),
            _ => None,
        }
    }

    /// What an accusation of another transcript is about.
    fn confirmed(&self, mismatch: Mismatch) -> Option<Digest> {
        let (Mismatch::Transcript { hop } | Mismatch::Equivocation { hop }) = mismatch else { return None };
        Some(self.confirms.get(usize::from(hop) - 1)?.as_ref()?.confirm.subject())
    }

    fn headers(&self, round: u64) -> Headers {
        let (batches, echoes) = (&self.batches, &self.echoes);
        Headers {
            round,
            batches: batches.iter().flatten().cloned().collect(),
            echoes: echoes.iter().flatten().cloned().collect(),
        }
    }

    /// Headers that this mix knows, each with another one of the same hop that is told, as statements. Whether what is told is
    /// signed is the caller's to find out, or the evidence's.
    pub(in crate::mix) fn contradictions(&self, told: &Headers) -> Vec<[SignedStatement; 2]> {
        let batches = self.batches.iter().flatten().flat_map(|known| {
            let others = told.batches.iter().filter(|told| told.header.hop == known.header.hop);
            let others = others.filter(|told| told.header != known.header);
            others.map(move |told| [known, told].map(|signed| SignedStatement::Batch(signed.clone())))
        });
        let echoes = self.echoes.iter().flatten().flat_map(|known| {
            let others = told.echoes.iter().filter(|told| told.header.hop == known.header.hop);
            let others = others.filter(|told| told.header != known.header);
            others.map(move |told| [known, told].map(|signed| SignedStatement::Echo(signed.clone())))
        });
        batches.chain(echoes).collect()
    }

    fn root(&self) -> Option<Digest> {
        match &self.listing {
            Listing::Taken(taken) if taken.is_complete() => Some(taken.header().header.root),
            Listing::Made(made, None) => Some(made.root()),
            _ => None,
        }
    }
}

impl Mix {
    pub(super) fn is_sealed(&self) -> bool {
        self.network.parameters.sealed
    }

    fn position(&self) -> Position {
        let mixes = self.network.mixes();
        Position { own: self.own, mixes, threshold: self.network.parameters.threshold as usize }
    }

    /// The round's sealing; a new one if this mix has the round's keys and has not ended it.
    fn sealing(&mut self, round: u64) -> Option<&mut Sealing> {
        let known = self.sealings.contains_key(&round);
        let open = || !self.signed.contains_key(&round) && !self.is_deciding(round);
        if !known && (!self.is_sealed() || !open() || self.epochs.peeler(round).is_none()) {
            self.reject("wrong_round", 1);
            return None;
        }
        if !known && self.sealings.len() >= self.network.parameters.verdict_rounds as usize * 2 {
            self.reject("full", 1);
            // Rounds come in order, at most D of them without a verdict: whoever names later ones keeps none out.
            if self.sealings.last_key_value().is_none_or(|(last, _)| round > *last) {
                return None;
            }
            self.sealings.pop_last();
        }
        let position = self.position();
        Some(self.sealings.entry(round).or_insert_with(|| Sealing::new(position, Listing::Expected)))
    }

    /// Which batch a mix hands on in a sealed round; whether it has not said otherwise.
    #[must_use]
    pub(super) fn note_batch(&mut self, from: usize, signed: &SignedBatchHeader) -> bool {
        let round = signed.header.round;
        if !self.is_sealed() {
            return true;
        }
        let once = self.network.defences.stands(Defence::OnceRule);
        let Some(sealing) = self.sealing(round) else {
            self.compare_late_batch(from, signed);
            return true;
        };
        let Some(known) = sealing.note_batch(from, signed) else { return true };
        if !once {
            sealing.batches[from] = Some(signed.clone());
            return true;
        }
        self.second_batch(&known, signed);
        false
    }

    /// What a hop handed on, for the case that the round burns.
    pub(super) fn keep_hashes(&mut self, round: u64, hop: usize, hashes: Vec<Digest>) {
        if let Some(sealing) = self.sealings.get_mut(&round) {
            sealing.kept.batches.insert(hop as u8, hashes);
        }
    }

    /// This mix's own noise, for the same case.
    pub(super) fn keep_noise(&mut self, round: u64, batch: &Shuffled) {
        if let Some(sealing) = self.sealings.get_mut(&round) {
            let (places, packets): (Vec<_>, Vec<_>) = batch.noise().unzip();
            sealing.kept.noise = (places.into(), packets.concat().into());
        }
    }

    /// The entry's batch, from which it can restore what clients sent.
    pub(super) fn keep_batch(&mut self, round: u64, batch: Arc<OutgoingBatch>) {
        if let Some(sealing) = self.sealings.get_mut(&round).filter(|_| self.own == 0) {
            sealing.kept.batch = Some(batch);
        }
    }

    /// A mix has signed two batches for one round.
    pub(super) fn second_batch(&mut self, known: &SignedBatchHeader, signed: &SignedBatchHeader) {
        let header = &signed.header;
        self.reject("second_batch", 1);
        self.accuse(header.round, Mismatch::Equivocation { hop: header.hop }, header.subject());
        let document = self.epochs.document(header.round).cloned();
        let statements = [known, signed].map(|signed| SignedStatement::Batch(signed.clone()));
        let [known, signed] = statements;
        self.compare(document, known, signed);
    }

    /// Whether the round is out of this mix's hands: it has released, or opens.
    pub(super) fn is_released(&self, round: u64) -> bool {
        let stage = self.sealings.get(&round).map(|sealing| sealing.seal.stage());
        matches!(stage, Some(Stage::Releasing | Stage::Released | Stage::Opening))
    }

    /// An epoch begins with round `first`: what was kept for such a round belongs to a document that it replaces, and what
    /// was heard of rounds long before it and never began is of numbers that were skipped.
    pub(super) fn forget_sealings(&mut self, first: u64) {
        let most = u64::from(self.network.parameters.verdict_rounds) * 2;
        let has_begun = |sealing: &Sealing| !matches!(sealing.listing, Listing::Expected);
        // What was owed in an epoch that is over is waited for no longer.
        self.owing().into_iter().for_each(|owing| self.blame_over(owing.round));
        self.sealings.retain(|round, sealing| *round < first && (has_begun(sealing) || round + most >= first));
    }

    /// Whether the round's batch may go to the next mix.
    pub(super) fn may_forward(&self, round: u64) -> bool {
        let once = self.network.defences.stands(Defence::OnceRule);
        !self.is_sealed() || self.sealings.get(&round).is_some_and(|sealing| sealing.seal.may_forward() || !once)
    }

    /// Does what has become possible in a round.
    pub(super) fn advance(&mut self, now: Duration, round: u64) {
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        if sealing.seal.stage() == Stage::List && sealing.list().is_some() {
            self.sealed_event(round, SealEvent::Listed);
            self.forward_due(now);
        }
        self.agree_on_members(round);
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        if sealing.seal.stage() == Stage::Mix && sealing.handed_on {
            self.sealed_event(round, SealEvent::Forwarded);
        }
        self.check_published(round);
        self.numbers_follow(round);
        let transcript = self.transcript(round);
        self.judge_confirms(round, transcript);
        let Some(transcript) = transcript else { return };
        self.phase_ended(now, round, Phase::Echo);
        self.sealed_event(round, SealEvent::Echoed(transcript));
    }

    /// The clients of the batch are those of the list.
    fn agree_on_members(&mut self, round: u64) {
        let listed = self.sealings.get(&round).and_then(Sealing::list).map(List::members);
        let held = self.transit.get(&round).filter(|transit| transit.void().is_none()).map(|transit| &transit.members);
        if let (Some(listed), Some(held)) = (listed, held)
            && listed != held
        {
            self.reject("bad_batch", 1);
            self.void(round, AbortReason::BadBatch);
        }
    }

    /// The batch of a sealed round was taken by the next mix; at the exit: taken in.
    pub(super) fn handed_on(&mut self, now: Duration, round: u64) {
        if let Some(sealing) = self.sealings.get_mut(&round) {
            sealing.handed_on = true;
        }
        self.advance(now, round);
    }

    /// Says something about a round, and again to a mix that comes back before the verdict.
    fn say(&mut self, round: u64, to: To, message: PeerMessage) {
        match to {
            To::One(to) => self.send(to, message.clone()),
            To::All => self.broadcast(&message),
        }
        if let Some(sealing) = self.sealings.get_mut(&round) {
            sealing.said.push((to, message));
        }
    }

    /// This mix has signed the verdict of a round. Where fewer than all open one it may be stored while a mix has not heard
    /// everything; that mix signs only when it has, so it is said again as long as rounds wait for its signature.
    pub(super) fn sealing_over(&mut self, round: u64) {
        let Some(mut sealing) = self.sealings.remove(&round) else { return };
        let most = self.network.parameters.verdict_rounds as usize * 2;
        self.heard.keep_batches(round, std::mem::take(&mut sealing.batches), most);
        if self.position().needs_all() {
            return;
        }
        // But for the share: the exit has decided.
        sealing.said.retain(|(_, message)| !matches!(message, PeerMessage::Release { .. }));
        self.said_before.0.insert(round, sealing.said);
        while self.said_before.0.len() > most {
            self.said_before.0.pop_first();
        }
    }

    /// A mix is back: it may have missed what was said of rounds without a verdict.
    pub(super) fn say_again(&mut self, to: usize) {
        let said = self.sealings.values().map(|sealing| &sealing.said).chain(self.said_before.0.values()).flatten();
        let theirs = said.filter(|(whom, _)| matches!(whom, To::All) || matches!(whom, To::One(one) if *one == to));
        let messages: Vec<PeerMessage> = theirs.map(|(_, message)| message.clone()).collect();
        messages.into_iter().for_each(|message| self.send(to, message));
    }
}
