//! False accusations: what an accuser found wrong, shown to be right.

use crate::crypto::{Digest, Signature};
use crate::packet::{Echo, commitment};
use crate::wire::codec::{Decode, Encode};
use crate::wire::{
    Accusation, BatchHeader, EchoHeader, Mismatch, OnionKey, Slot, Statement, batch_digest, echoes_digest,
};

use super::evidence::{mix, same};
use super::noise::{self, RightNoise};
use super::proof::Round;
use super::taken::{ListShown, Taken};
use super::{EvidenceFault, Guilty, Offence};

/// An accusation, and what it is about. That needs no signature of its own: the accuser has signed which it means.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct FalseProof {
    /// The accuser, from 1.
    pub hop: u8,
    pub accusation: Accusation,
    pub signature: Signature,
    pub shown: Shown,
}

#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) enum Shown {
    /// Nothing: a mix at that place cannot find this.
    Nothing,
    /// The packet that did not open, as the accuser took it in; it opens.
    Layer { header: BatchHeader, taken: Taken },
    /// The hashes of the batch with a packet twice; that one is there once, or not at all.
    Batch { header: BatchHeader, hashes: Vec<Digest> },
    /// What the accuser says was its noise, with its signature. It is of nothing else that it accuses; or else its packet, and
    /// what came back for that.
    Noise { declared: OnionKey, signature: Signature, right: Option<Box<RightNoise>> },
    /// The published echoes and the list; the record and the echo fit.
    Echo { header: EchoHeader, echoes: Vec<Echo>, list: ListShown },
}

impl FalseProof {
    pub(super) fn verify(&self, round: &Round<'_>) -> Result<(Guilty, Offence), EvidenceFault> {
        let Slot { network, epoch, round: number } = self.accusation.slot;
        let context = &round.context;
        if (network, epoch, number) != (context.network, context.epoch, context.round) {
            return Err(EvidenceFault::Slot);
        }
        if !self.accusation.is_signed_by(mix(round.network, self.hop)?, &self.signature) {
            return Err(EvidenceFault::Signature);
        }
        if self.is_right(round)? {
            return Err(EvidenceFault::Innocent);
        }
        Ok((Guilty::Mix(self.hop), Offence::FalseAccusation))
    }

    /// Whether what is shown bears the accusation out.
    fn is_right(&self, round: &Round<'_>) -> Result<bool, EvidenceFault> {
        let Accusation { mismatch, subject, .. } = self.accusation;
        match (mismatch, &self.shown) {
            (_, Shown::Nothing) => Ok(is_possible(mismatch, self.hop, round.network.mixes())),
            (Mismatch::Layer { hop, place }, Shown::Layer { header, taken }) => {
                round.check_batch(header)?;
                same(header.subject(), subject)?;
                if (header.hop, taken.hop, taken.place) != (hop, self.hop, place) {
                    return Err(EvidenceFault::Slot);
                }
                taken.check_batch(header.output)?;
                match taken.peel(round) {
                    Ok(_) => Ok(false),
                    Err(EvidenceFault::Layer(_)) => Ok(true),
                    Err(fault) => Err(fault),
                }
            }
            (Mismatch::Layer { hop, place } | Mismatch::Replay { hop, place }, Shown::Batch { header, hashes }) => {
                round.check_batch(header)?;
                same(header.subject(), subject)?;
                if header.hop != hop {
                    return Err(EvidenceFault::Slot);
                }
                same(batch_digest(hashes), header.output)?;
                let at = hashes.get(place as usize);
                match mismatch {
                    Mismatch::Replay { .. } => Ok(at.is_some_and(|hash| hashes[..place as usize].contains(hash))),
                    // Whether one that is there opens is not to be seen here.
                    _ => Ok(at.is_some()),
                }
            }
            (Mismatch::Noise { hop, place }, Shown::Noise { declared, signature, right }) => {
                noise::check_declared(round, self.hop, declared, signature)?;
                match right {
                    None => Ok(declared.noise.contains(&place)),
                    Some(right) => right.was_wrong(round, self.hop, (hop, place), subject),
                }
            }
            (Mismatch::Echo { place }, Shown::Echo { header, echoes, list }) => {
                round.check_echoes(header)?;
                same(header.subject(&list.root(round)), subject)?;
                if header.hop != 1 {
                    return Err(EvidenceFault::Slot);
                }
                same(echoes_digest(echoes), header.digest)?;
                let found = list.record(place).zip(echoes.get(place as usize));
                Ok(found
                    .is_some_and(|(record, echo)| commitment(&round.context, record.index, echo) != record.commitment))
            }
            _ => Err(EvidenceFault::Slot),
        }
    }
}

/// Whether the mix at `accuser` is in a place to find this.
pub(super) fn is_possible(mismatch: Mismatch, accuser: u8, mixes: usize) -> bool {
    let other = |hop: u8| hop != accuser && (1..=mixes).contains(&usize::from(hop));
    match mismatch {
        Mismatch::Layer { hop, .. } | Mismatch::Replay { hop, .. } => hop >= 1 && hop + 1 == accuser,
        Mismatch::Noise { hop, .. } => hop == accuser + 1 && other(hop),
        Mismatch::Echo { .. } => true,
        Mismatch::Equivocation { hop } | Mismatch::Transcript { hop } => other(hop),
        // Of hop 1 there is none before, and the exit makes none.
        Mismatch::Header { hop } => other(hop) && (2..mixes).contains(&usize::from(hop)),
    }
}
