//! Confirms: each comes with what it rests on, so that whoever confirms what is not so, or has signed to one mix another thing than
//! to the next, is proven guilty by what is sent anyway.

use std::time::Duration;

use crate::blame::{Evidence, SignedStatement};
use crate::crypto::{Digest, Signature};
use crate::round::seal::Event as SealEvent;
use crate::wire::{Confirm, Grounds, PeerMessage, Statement};

use super::super::Mix;
use super::{Confirmation, To};

impl Mix {
    /// This mix confirms, once.
    pub(super) fn say_confirm(&mut self, round: u64, transcript: Digest) {
        let (Some(slot), Some(sealing)) = (self.slot(round), self.sealings.get(&round)) else { return };
        let Some(list) = sealing.agreed.clone() else { return };
        let grounds = Grounds { list, headers: sealing.headers(round) };
        let confirm = Confirm { slot, transcript, grounds: grounds.digest() };
        let signature = confirm.sign(&self.key);
        self.say(round, To::All, PeerMessage::Confirm { confirm, grounds, signature });
    }

    /// What this mix has confirmed of a round.
    pub(in crate::mix) fn own_confirm(&self, round: u64) -> Option<PeerMessage> {
        let said = self.sealings.get(&round)?.said.iter();
        said.map(|(_, message)| message).find(|message| matches!(message, PeerMessage::Confirm { .. })).cloned()
    }

    /// Another mix confirms.
    pub(in crate::mix) fn confirmed_by(
        &mut self,
        now: Duration,
        from: usize,
        confirm: Confirm,
        grounds: Grounds,
        signature: Signature,
    ) {
        let round = confirm.slot.round;
        let sound = self.slot(round) == Some(confirm.slot)
            && confirm.is_signed_by(&self.identities[from], &signature)
            && grounds.digest() == confirm.grounds;
        if !sound {
            return self.reject("bad_confirm", 1);
        }
        let transcript = confirm.transcript;
        let hop = from as u8 + 1;
        let Some(sealing) = self.sealing(round) else { return };
        let told = SignedStatement::Confirm { hop, confirm: confirm.clone(), signature };
        if let Some(known) = &sealing.confirms[from] {
            let (confirm, signature) = (known.confirm.clone(), known.signature);
            self.compare(None, SignedStatement::Confirm { hop, confirm, signature }, told);
        } else {
            sealing.confirms[from] = Some(Confirmation { confirm, grounds, signature });
            self.judge_confirms(round, None);
        }
        self.sealed_event(round, SealEvent::Confirm { from, transcript });
        self.advance(now, round);
    }

    /// Holds what others confirm against what this mix has seen of the round, before its seal makes anything of that. `own` is the
    /// transcript that this mix is about to confirm.
    pub(super) fn judge_confirms(&mut self, round: u64, own: Option<Digest>) {
        let (Some(sealing), Some(document)) = (self.sealings.get(&round), self.epochs.signed(round)) else { return };
        let (mixes, digest) = (self.network.mixes(), document.document.digest());
        let own = own.or(sealing.seal.transcript());
        let mut found = Vec::new();
        for (from, told) in sealing.confirms.iter().enumerate() {
            let Some(Confirmation { confirm, grounds, signature }) = told else { continue };
            // Who is proven guilty already costs no more work.
            if own == Some(confirm.transcript) || self.convicts.has_mix(from) {
                continue;
            }
            // Signatures are looked at only where it matters: what it shows makes another transcript than this mix has seen.
            if own.is_some() || grounds.transcript(&digest, mixes) != Some(confirm.transcript) {
                let shown = (confirm, grounds, *signature);
                found.extend(Evidence::false_confirm(&self.network, document, from as u8 + 1, shown));
            }
            let pairs = sealing.contradictions(&grounds.headers).into_iter();
            found.extend(
                pairs.filter_map(|[known, told]| Evidence::equivocation(Some(&document.document), known, told)),
            );
        }
        found.into_iter().for_each(|evidence| self.found(evidence));
    }
}
