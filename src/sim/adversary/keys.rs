//! Mixes that cheat while the keys of an epoch are made.

use rand::RngExt;

use crate::crypto::{Csprng, Digest};
use crate::threshold::{EpochShares, Opening, Scheme, Window};
use crate::wire::{EpochCall, PeerMessage, SubShares};

use super::{Deed, Insider, RogueMix, rogue};

/// How it cheats.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cheat {
    /// It shows another part than it committed to, as who waits to choose its own would.
    Opening,
    /// It deals numbers that its own commitments contradict.
    SubShares,
    /// It commits to a part whose secret it cannot prove to know.
    Unproven,
    /// It proposes another document to one mix. A proposal is not signed, and no honest mix sees two.
    Proposals,
}

/// A mix that cheats.
pub(super) struct Keys {
    cheat: Cheat,
    rng: Csprng,
    call: Option<EpochCall>,
    own: Option<Digest>,
    forged: Option<(Digest, Vec<u8>)>,
    acted: bool,
    in_force: bool,
}

impl Keys {
    pub(super) fn new(cheat: Cheat, seed: u64) -> Self {
        Self { cheat, rng: rogue::rng(seed), call: None, own: None, forged: None, acted: false, in_force: false }
    }

    /// Points of which it forgets the secrets, and proofs that are none.
    fn forge(&mut self, me: &Insider<'_>) -> Option<(Digest, Vec<u8>)> {
        let call = self.call.as_ref()?;
        let mixes = me.network.mixes() as u8;
        let scheme = Scheme::new(mixes, mixes).ok()?;
        let window = Window::new(me.network.id(), call.epoch, call.first_round, call.rounds, scheme).ok()?;
        let number = me.place as u8 + 1;
        let (_, opening) = EpochShares::draw(&mut self.rng, window, number).ok()?;
        let mut bytes = opening.as_bytes().to_vec();
        // A_i 32 | R 32 | z 32.
        bytes.chunks_mut(96).for_each(|part| part[32] ^= 1);
        Some((Opening::from_bytes(bytes.clone()).commitment(&window, number), bytes))
    }
}

impl RogueMix for Keys {
    fn says(&mut self, me: &Insider<'_>, to: usize, message: PeerMessage) -> Vec<Deed> {
        let message = match (self.cheat, message) {
            (Cheat::Opening, PeerMessage::EpochOpening { epoch, mut opening }) => {
                self.acted = true;
                let at = self.rng.random_range(0..opening.len());
                opening[at] ^= 1;
                PeerMessage::EpochOpening { epoch, opening }
            }
            (Cheat::Opening, PeerMessage::EpochProposal { document, mut openings }) => {
                self.acted = true;
                openings[0][7] ^= 1;
                PeerMessage::EpochProposal { document, openings }
            }
            (Cheat::SubShares, PeerMessage::EpochSubShares(mut dealt)) => {
                self.acted = true;
                dealt.values[0].0[0] ^= 1;
                let SubShares { epoch, dealing, values, .. } = dealt;
                let network = me.network.id();
                PeerMessage::EpochSubShares(SubShares::sign(me.key, &network, epoch, dealing, to as u8 + 1, values))
            }
            (Cheat::Unproven, PeerMessage::EpochKeys { epoch, mut keys }) => {
                self.own = Some(keys.dealing);
                self.forged = self.forge(me);
                if let Some((dealing, _)) = &self.forged {
                    self.acted = true;
                    keys.dealing = *dealing;
                }
                PeerMessage::EpochKeys { epoch, keys }
            }
            (Cheat::Unproven, PeerMessage::EpochOpening { epoch, opening }) => {
                let opening = self.forged.as_ref().map_or(opening, |(_, forged)| forged.clone());
                PeerMessage::EpochOpening { epoch, opening }
            }
            (Cheat::Proposals, PeerMessage::EpochProposal { mut document, openings }) => {
                if me.others().last() == Some(to) {
                    self.acted = true;
                    document.proposed_at_ms += 1;
                }
                PeerMessage::EpochProposal { document, openings }
            }
            (_, honest) => honest,
        };
        vec![Deed::Say(to, message)]
    }

    fn hears(&mut self, me: &Insider<'_>, _from: usize, message: PeerMessage) -> (Option<PeerMessage>, Vec<Deed>) {
        if self.cheat != Cheat::Unproven {
            return (Some(message), Vec::new());
        }
        match message {
            PeerMessage::EpochCall(call) => {
                self.call = Some(call.clone());
                (Some(PeerMessage::EpochCall(call)), Vec::new())
            }
            PeerMessage::EpochCommitments { epoch, mut dealings } => {
                // Its engine shows nothing unless it finds what it has committed to.
                if let (Some(own), Some(place)) = (self.own, dealings.get_mut(me.place)) {
                    *place = own;
                }
                (Some(PeerMessage::EpochCommitments { epoch, dealings }), Vec::new())
            }
            PeerMessage::EpochProposal { document, .. } => {
                let (epoch, digest, signature) = (document.epoch, document.digest(), document.sign(me.key));
                (None, vec![Deed::Say(0, PeerMessage::EpochSignature { epoch, digest, signature })])
            }
            PeerMessage::EpochComplete(signed) => {
                let forged = self.forged.as_ref().map(|(dealing, _)| *dealing);
                self.in_force |= signed.document.mixes.get(me.place).map(|mix| mix.dealing) == forged;
                (Some(PeerMessage::EpochComplete(signed)), Vec::new())
            }
            other => (Some(other), Vec::new()),
        }
    }

    fn has_acted(&self) -> bool {
        self.acted
    }

    fn loot(&self) -> Option<&'static str> {
        self.in_force.then_some("key_without_proof")
    }
}
