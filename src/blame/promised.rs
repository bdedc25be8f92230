//! What convicts a mix by its own word: a confirm, a share and a sub-share promise what they rest on.

use crate::crypto::{Digest, Signature};
use crate::threshold::{Opening, Scheme, Share, SubShare, Window, is_owed_share, is_owed_sub_share};
use crate::wire::codec::{Decode, Encode};
use crate::wire::{
    Confirm, Grounds, ListSignature, MixEntry, Network, Release, ReleasedShare, Slot, Statement, SubShares,
};

use super::evidence::{mix, same};
use super::proof::{Convicted, Round};
use super::{EvidenceFault, Finding, Guilty, Offence};

/// A confirm, and what its mix shows for it.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct ConfirmProof {
    pub hop: u8,
    pub confirm: Confirm,
    pub signature: Signature,
    pub grounds: Grounds,
}

impl ConfirmProof {
    pub(super) fn verify(&self, round: &Round<'_>) -> Convicted {
        let confirm = &self.confirm;
        if confirm.slot != round.slot() {
            return Err(EvidenceFault::Slot);
        }
        if !confirm.is_signed_by(mix(round.network, self.hop)?, &self.signature) {
            return Err(EvidenceFault::Signature);
        }
        same(self.grounds.digest(), confirm.grounds)?;
        let transcript = self.grounds.transcript(&round.document, round.network.mixes());
        if transcript == Some(confirm.transcript) && are_signed(&self.grounds, round) {
            return Err(EvidenceFault::Innocent);
        }
        Ok((Guilty::Mix(self.hop), Offence::Confirm))
    }
}

/// Whether everything is of this round and signed by whom it should be: no honest mix confirms otherwise.
fn are_signed(grounds: &Grounds, round: &Round<'_>) -> bool {
    let (network, context) = (round.network, round.list_context());
    let list = &grounds.list;
    let mixes = &network.roster.mixes;
    let by = |(mix, signature): (&MixEntry, &Signature)| {
        let signed = ListSignature { round: list.round, root: list.root, signature: *signature };
        signed.is_signed_by(&mix.identity, &context)
    };
    let listed = list.round == context.round
        && list.signatures.len() == mixes.len()
        && mixes.iter().zip(&list.signatures).all(by);
    let mut batches = (1..).zip(&grounds.headers.batches);
    let mut echoes = (1..).zip(&grounds.headers.echoes);
    listed
        && batches.all(|(hop, signed)| signed.header.hop == hop && round.check_signed(signed).is_ok())
        && echoes.all(|(hop, signed)| {
            signed.header.hop == hop
                && round.check_echoes(&signed.header).is_ok()
                && mix(network, hop).is_ok_and(|mix| signed.is_signed_by(mix))
        })
}

/// A released share, and the openings that tell which one was owed.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct ShareProof {
    pub hop: u8,
    pub transcript: Digest,
    /// It is none, and therefore no secret.
    pub share: [u8; 32],
    pub signature: Signature,
    /// With t = L the mix's own, else those of all.
    pub openings: Vec<Vec<u8>>,
}

impl ShareProof {
    pub(super) fn verify(&self, round: &Round<'_>) -> Convicted {
        let document = round.epoch;
        let share = ReleasedShare::from_bytes(self.share);
        let release = Release { slot: round.slot(), transcript: self.transcript, share };
        if !release.is_signed_by(mix(round.network, self.hop)?, &self.signature) {
            return Err(EvidenceFault::Signature);
        }
        let window = window(round.network, document.epoch, document.first_round, document.rounds)?;
        let openings: Vec<Opening> = self.openings.iter().cloned().map(Opening::from_bytes).collect();
        let whose = if window.scheme().is_additive() { self.hop..=self.hop } else { 1..=window.scheme().mixes() };
        for (number, opening) in whose.zip(&openings) {
            let committed = document.mixes.get(usize::from(number) - 1).ok_or(EvidenceFault::Slot)?;
            same(opening.commitment(&window, number), committed.dealing)?;
        }
        let share = Share::from_bytes(self.share);
        match is_owed_share(&window, &openings, round.context.round, self.hop, &share) {
            Some(false) => Ok((Guilty::Mix(self.hop), Offence::Share)),
            Some(true) => Err(EvidenceFault::Innocent),
            None => Err(EvidenceFault::Digest),
        }
    }
}

/// What a mix has dealt to another for an epoch that never came to be, and its opening.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct SubShareProof {
    /// Who dealt, from 1.
    pub dealer: u8,
    /// To whom.
    pub receiver: u8,
    pub first_round: u64,
    pub rounds: u32,
    /// The round whose sub-share is wrong.
    pub round: u64,
    pub opening: Vec<u8>,
    pub dealt: SubShares,
}

impl SubShareProof {
    pub(super) fn new(
        window: &Window,
        (dealer, receiver): (u8, u8),
        round: u64,
        opening: &Opening,
        dealt: SubShares,
    ) -> Self {
        let (first_round, rounds) = (window.rounds().start, dealt.values.len() as u32);
        Self { dealer, receiver, first_round, rounds, round, opening: opening.as_bytes().to_vec(), dealt }
    }

    pub(super) fn verify(&self, network: &Network) -> Result<Finding, EvidenceFault> {
        let (id, epoch) = (network.id(), self.dealt.epoch);
        // The digest under the signature names the window, so that these numbers are the dealer's.
        let window = window(network, epoch, self.first_round, self.rounds)?;
        if !window.has_mix(self.receiver) || self.receiver == self.dealer {
            return Err(EvidenceFault::Slot);
        }
        if !self.dealt.is_signed_by(mix(network, self.dealer)?, &id, self.receiver) {
            return Err(EvidenceFault::Signature);
        }
        let opening = Opening::from_bytes(self.opening.clone());
        same(opening.commitment(&window, self.dealer), self.dealt.dealing)?;
        let position = window.position(self.round).filter(|_| self.dealt.values.len() == self.rounds as usize);
        let value = position.and_then(|position| self.dealt.values.get(position)).ok_or(EvidenceFault::Slot)?;
        let value = SubShare::from_bytes(value.0);
        match is_owed_sub_share(&window, &opening, self.round, self.receiver, &value) {
            Some(false) => {
                let slot = Slot { network: id, epoch, round: self.round };
                Ok(Finding { slot, guilty: Guilty::Mix(self.dealer), offence: Offence::SubShare })
            }
            Some(true) => Err(EvidenceFault::Innocent),
            None => Err(EvidenceFault::Digest),
        }
    }
}

/// What joint keys of this network are bound to.
fn window(network: &Network, epoch: u64, first_round: u64, rounds: u32) -> Result<Window, EvidenceFault> {
    let number = |number: u32| u8::try_from(number).map_err(|_| EvidenceFault::Slot);
    let mixes = u8::try_from(network.mixes()).map_err(|_| EvidenceFault::Slot)?;
    let scheme = Scheme::new(number(network.parameters.threshold)?, mixes).map_err(|_| EvidenceFault::Slot)?;
    Window::new(network.id(), epoch, first_round, rounds, scheme).map_err(|_| EvidenceFault::Slot)
}
