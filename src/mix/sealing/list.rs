//! Who is in a sealed round.

use std::time::Duration;

use crate::blame::SignedStatement;
use crate::round::{
    AnswerFault, Collected, EntryList, Job, ListAnswer, ListFault, ListRuling, Pieces, Struck, TakenList, pieces,
};
use crate::wire::{
    AbortReason, ListComplete, ListSignature, PeerMessage, Piece, SecondList, SignedListComplaint, SignedListHeader,
};

use super::super::{Action, Mix};
use super::{Listing, Sealing, To};

/// Epochs for which it is remembered who was struck out: as long as their keys are kept.
const EPOCHS_KEPT: usize = 16;

impl Mix {
    fn struck(&mut self, epoch: u64) -> &mut Struck {
        let verdict_rounds = self.network.parameters.verdict_rounds;
        // Rounds of older epochs are over.
        while self.struck.len() > EPOCHS_KEPT {
            self.struck.pop_first();
        }
        self.struck.entry(epoch).or_insert_with(|| Struck::new(verdict_rounds))
    }

    /// At the entry: submissions are closed, and enough. Nothing moves before all mixes have signed who is in.
    pub(in crate::mix) fn begin_list(&mut self, now: Duration, round: u64, mut collected: Collected) {
        let Some(rules) = self.list_rules(round) else { return self.abort_round(round, AbortReason::Lost) };
        let epoch = rules.context.epoch;
        if !self.may_list(round) {
            return self.abort_round(round, AbortReason::Lost);
        }
        collected.leave_out(self.convicts.evicted().iter().copied());
        let mut struck = self.struck(epoch).clone();
        // A mix between them may have spoilt the MACs: these are listed as if struck out, by the signatures that they came with.
        struck.strike(&collected.relayed(self.network.roster.clients.len()), round);
        let Ok((list, forged)) = EntryList::assemble(rules, std::mem::take(&mut collected.records), &struck, &self.key)
        else {
            return self.abort_round(round, AbortReason::TooFewClients);
        };
        if !forged.is_empty() {
            self.reject("bad_signature", forged.len() as u64);
            collected.leave_out(forged);
        }
        let header = list.header().clone();
        let bodies: Vec<_> = (1..self.network.mixes()).map(|mix| (mix, list.body(mix))).collect();
        let made = Listing::Made(Box::new(list), Some(collected));
        self.sealings.insert(round, Sealing::new(self.position(), made));
        for (mix, body) in bodies {
            for piece in pieces(body) {
                self.say(round, To::One(mix), PeerMessage::List { header: header.clone(), piece });
            }
        }
        self.rule_list(now, round);
    }

    /// At the entry: a mix has signed a list.
    pub(in crate::mix) fn list_signed(&mut self, now: Duration, from: usize, signature: &ListSignature) {
        let round = signature.round;
        let Some(Sealing { listing: Listing::Made(list, Some(_)), .. }) = self.sealings.get_mut(&round) else { return };
        let taken = list.signature(from, signature);
        self.list_answered(now, round, taken);
    }

    /// At the entry: a mix complains of clients.
    pub(in crate::mix) fn list_complained(&mut self, now: Duration, from: usize, complaint: SignedListComplaint) {
        let context = complaint.complaint.context;
        if self.list_rules(context.round).is_none_or(|rules| rules.context != context) {
            return self.reject("bad_list_answer", 1);
        }
        let mut struck = self.struck(context.epoch).clone();
        let sealing = self.sealings.get_mut(&context.round);
        let Some(Sealing { listing: Listing::Made(list, Some(_)), .. }) = sealing else { return };
        let clients = complaint.complaint.clients.count();
        let taken = list.complaint(from, complaint, &mut struck);
        if taken.is_ok() {
            self.struck.insert(context.epoch, struck);
            self.reject("struck_out", clients.into());
        }
        self.list_answered(now, context.round, taken);
    }

    fn list_answered(&mut self, now: Duration, round: u64, taken: Result<(), AnswerFault>) {
        match taken {
            Ok(()) => self.rule_list(now, round),
            // Late, or about the list before.
            Err(AnswerFault::Other) => {}
            Err(AnswerFault::Signer | AnswerFault::Impossible(_)) => self.reject("bad_list_answer", 1),
        }
    }

    fn rule_list(&mut self, now: Duration, round: u64) {
        let key = self.key.clone();
        let Some(Sealing { listing: Listing::Made(list, Some(_)), .. }) = self.sealings.get_mut(&round) else { return };
        match list.rule(&key) {
            ListRuling::Waiting => {}
            ListRuling::Second(second) => self.say(round, To::All, PeerMessage::SecondList(second)),
            ListRuling::TooFewClients => self.abort_round(round, AbortReason::TooFewClients),
            ListRuling::Complete(complete) => {
                if let Some(sealing) = self.sealings.get_mut(&round) {
                    sealing.agreed = Some(complete.clone());
                }
                self.say(round, To::All, PeerMessage::ListComplete(complete));
                self.mix_listed(now, round);
            }
        }
    }

    /// At the entry: all have signed. The submissions in the list become the batch.
    fn mix_listed(&mut self, now: Duration, round: u64) {
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        let Listing::Made(list, collected) = &mut sealing.listing else { return };
        let Some(mut collected) = collected.take() else { return };
        let members = list.list().members();
        collected.leave_out_but(members);
        // They have it: it need not be said again.
        sealing.said.retain(|(_, message)| !matches!(message, PeerMessage::List { .. }));
        sealing.places = collected.places();
        let (members, input, segments) = collected.into_batch(self.network.roster.clients.len());
        self.mix(now, round, members, input, segments);
        self.advance(now, round);
    }

    /// A piece of a first list arrives.
    pub(in crate::mix) fn list_comes(&mut self, header: SignedListHeader, piece: &Piece) {
        let context = header.header.context;
        let round = context.round;
        let rules = self.list_rules(round).filter(|rules| rules.context == context);
        let Some(rules) = rules else { return self.reject("wrong_round", 1) };
        let keys = self.epochs.list_keys(round);
        let struck = self.struck(context.epoch).clone();
        let length = TakenList::body_bytes(&rules, &header);
        if !self.note_list(&header) {
            return;
        }
        let (Some(sealing), Some(keys)) = (self.sealing(round), keys) else { return };
        let pieces = match (&mut sealing.listing, length) {
            (_, Err(_) | Ok(0)) => return self.reject("bad_list", 1),
            (Listing::Expected, Ok(length)) => {
                sealing.listing = Listing::Coming(Pieces::new(length));
                let Listing::Coming(pieces) = &mut sealing.listing else { return };
                pieces
            }
            (Listing::Coming(pieces), Ok(_)) => pieces,
            // Said again.
            _ => return,
        };
        match pieces.take(piece) {
            Ok(None) => {}
            Ok(Some(body)) => {
                sealing.listing = Listing::Checking;
                let (hop, header) = (self.own as u8 + 1, Box::new(header));
                self.actions.push_back(Action::Work(Job::List { round, rules, hop, keys, struck, header, body }));
            }
            Err(_) => self.reject("bad_list", 1),
        }
    }

    /// Another mix tells which list the entry has sent it.
    pub(in crate::mix) fn list_told(&mut self, header: &SignedListHeader) {
        let context = header.header.context;
        if self.list_rules(context.round).is_none_or(|rules| rules.context != context) {
            return self.reject("wrong_round", 1);
        }
        // Whatever comes of it is done.
        let _ = self.note_list(header);
    }

    /// Which list the entry has made; whether it has made no other one of the same attempt. The first one heard of is told on: the
    /// entry, which alone hears what all sign, tells nobody that they sign different ones.
    fn note_list(&mut self, signed: &SignedListHeader) -> bool {
        let (round, attempt) = (signed.header.context.round, signed.header.attempt);
        if !signed.is_signed_by(&self.identities[0]) {
            return true;
        }
        let Some(sealing) = self.sealing(round) else { return true };
        let Some(place) = sealing.lists.get_mut(usize::from(attempt)) else { return true };
        let Some(known) = place.clone() else {
            *place = Some(signed.clone());
            let own = self.own;
            for mix in (1..self.network.mixes()).filter(|mix| *mix != own) {
                self.say(round, To::One(mix), PeerMessage::ListHeader(signed.clone()));
            }
            return true;
        };
        let same = known.header == signed.header;
        if !same {
            self.reject("second_list", 1);
            self.compare(None, SignedStatement::List(known), SignedStatement::List(signed.clone()));
        }
        same
    }

    pub(in crate::mix) fn list_checked(
        &mut self,
        now: Duration,
        round: u64,
        result: Result<Box<TakenList>, ListFault>,
    ) {
        if !self.sealings.contains_key(&round) {
            return;
        }
        let evicted = self.convicts.evicted();
        let result = result.and_then(|mut taken| taken.refuse(evicted).map(|()| taken));
        let Ok(taken) = result else {
            self.reject("bad_list", 1);
            return self.void(round, AbortReason::BadList);
        };
        if let Some(why) = self.left_out(round, taken.list()) {
            self.reject(why, 1);
            return self.void(round, AbortReason::LeftOut);
        }
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        let answer = taken.answer(&self.key);
        sealing.listing = Listing::Taken(taken);
        let early = std::mem::take(&mut sealing.early);
        self.answer_list(round, answer);
        if let Some(second) = early.0 {
            self.second_list(now, second);
        }
        if let Some(complete) = early.1 {
            self.list_complete(now, complete);
        }
    }

    fn answer_list(&mut self, round: u64, answer: ListAnswer) {
        if !self.may_list(round) {
            return self.reject("stopped", 1);
        }
        let message = match answer {
            ListAnswer::Signature(signature) => PeerMessage::ListSignature(signature),
            ListAnswer::Complaint(complaint) => PeerMessage::ListComplaint(complaint),
        };
        self.say(round, To::One(0), message);
    }

    /// The entry has left out those of whom mixes complained.
    pub(in crate::mix) fn second_list(&mut self, now: Duration, second: SecondList) {
        let context = second.header.header.context;
        let round = context.round;
        let rules = self.list_rules(round).filter(|rules| rules.context == context);
        let Some(rules) = rules else { return self.reject("wrong_round", 1) };
        let (mut struck, key) = (self.struck(context.epoch).clone(), self.key.clone());
        if !self.note_list(&second.header) {
            return;
        }
        let Some(sealing) = self.sealing(round) else { return };
        let Listing::Taken(taken) = &mut sealing.listing else {
            sealing.early.0 = Some(second);
            return;
        };
        if taken.header().header == second.header.header {
            // Said again: so was the answer.
            return;
        }
        if taken.second(&rules, &second, &mut struck).is_err() {
            self.reject("bad_list", 1);
            return self.void(round, AbortReason::BadList);
        }
        let answer = taken.answer(&key);
        self.struck.insert(context.epoch, struck);
        self.answer_list(round, answer);
        self.advance(now, round);
    }

    /// All mixes have signed the list.
    pub(in crate::mix) fn list_complete(&mut self, now: Duration, complete: ListComplete) {
        let round = complete.round;
        let Some(rules) = self.list_rules(round) else { return self.reject("wrong_round", 1) };
        let Some(sealing) = self.sealing(round) else { return };
        let Listing::Taken(taken) = &mut sealing.listing else {
            sealing.early.1 = Some(complete);
            return;
        };
        if taken.complete(&rules, &complete).is_err() {
            // Of the second list, which has been overtaken: it waits for that.
            sealing.early.1 = Some(complete);
            return;
        }
        sealing.agreed = Some(complete);
        self.hand_overs.remove(&round);
        self.advance(now, round);
    }
}
