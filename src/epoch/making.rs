//! A mix's own part in making an epoch's keys: what it has drawn, and what the others have committed to, shown and dealt.

use crate::crypto::{Csprng, Defences, Digest, Identity, IdentityKey, PublicKey};
use crate::threshold::{Commitments, Dealing, Fault, FaultCause, JointKeyError, JointKeys, Opening, SubShare, Window};
use crate::wire::{MixKeys, SecretPart, SubShares};

use super::EpochKeys;

/// A mix has dealt what its own commitments contradict. Nothing of the attempt is of use any more, so what was dealt is no secret.
pub struct WrongDealing {
    /// What keys were being made for.
    pub window: Window,
    /// Who dealt, from 1.
    pub dealer: u8,
    /// To whom.
    pub receiver: u8,
    /// The first round whose sub-share is wrong.
    pub round: u64,
    /// The dealer's.
    pub opening: Opening,
    /// Of all rounds, signed.
    pub dealt: SubShares,
}

/// The keys of an epoch that is being made.
pub(super) struct Making {
    keys: EpochKeys,
    opening: Opening,
    /// What everybody was told that everybody has committed to.
    told: Option<Vec<Digest>>,
    /// What each mix dealt to this one, signed and otherwise unchecked; of use only if t < L.
    dealt: Vec<Option<SubShares>>,
    dealings: Vec<Dealing>,
}

impl Making {
    /// Draws the own keys and shares. `own` is the mix's place in the cascade, `boot` that of its process.
    pub(super) fn new(rng: &mut Csprng, window: Window, own: usize, boot: [u8; 16]) -> Self {
        let (keys, opening) = EpochKeys::draw(rng, window, own, boot);
        let dealt = (0..window.scheme().mixes()).map(|_| None).collect();
        Self { keys, opening, told: None, dealt, dealings: Vec::new() }
    }

    /// The epoch.
    pub(super) fn epoch(&self) -> u64 {
        self.keys.epoch()
    }

    /// What the mix says first: its keys, and the commitment to its part of the joint keys.
    pub(super) fn public(&self) -> &MixKeys {
        self.keys.public()
    }

    /// Everybody has committed, with `dealings`; whether they are one of each mix, with the own among them, and the first
    /// that are told. Only now may the opening be shown.
    #[must_use]
    pub(super) fn commit(&mut self, dealings: Vec<Digest>) -> bool {
        let sound = self.told.is_none()
            && dealings.len() == self.dealt.len()
            && dealings.get(self.keys.own()) == Some(&self.public().dealing);
        if sound {
            self.told = Some(dealings);
        }
        sound
    }

    /// What was committed to, once everybody has.
    pub(super) fn opening(&self) -> Option<Vec<u8>> {
        self.told.as_ref().map(|_| self.opening.as_bytes().to_vec())
    }

    /// The sub-shares for each other mix, with its place in the cascade; none if t = L.
    pub(super) fn sub_shares(&self, key: &IdentityKey) -> Vec<(usize, SubShares)> {
        let window = self.keys.window();
        if window.scheme().is_additive() || self.told.is_none() {
            return Vec::new();
        }
        let others = (0..self.dealt.len()).filter(|to| *to != self.keys.own());
        let dealt = |to: usize| {
            let shares = window.rounds().map(|round| self.keys.shares().sub_share(round, to as u8 + 1));
            let values = shares.map(|share| Some(SecretPart(*share.ok()?.expose()))).collect::<Option<Vec<_>>>()?;
            let dealing = self.public().dealing;
            Some((to, SubShares::sign(key, window.network(), self.epoch(), dealing, to as u8 + 1, values)))
        };
        others.filter_map(dealt).collect()
    }

    /// Another mix's sub-shares, checked once its opening is there. False if they are not signed or not one of each round.
    #[must_use]
    pub(super) fn receive(&mut self, from: usize, identity: &Identity, sub_shares: SubShares) -> bool {
        let window = self.keys.window();
        let own = self.keys.own() as u8 + 1;
        let sound = sub_shares.epoch == self.epoch()
            && sub_shares.values.len() == window.rounds().count()
            && sub_shares.is_signed_by(identity, window.network(), own);
        if let Some(place) = self.dealt.get_mut(from).filter(|_| sound) {
            *place = Some(sub_shares);
        }
        sound
    }

    /// Checks everybody's opening against its commitment and adds up the public keys, one of each round.
    ///
    /// # Errors
    /// The fault of a mix whose opening is wrong; or not everybody has committed.
    pub(super) fn join(&mut self, openings: Vec<Vec<u8>>, defences: Defences) -> Result<Vec<PublicKey>, JointKeyError> {
        let told = self.told.clone().ok_or(JointKeyError::Contributions)?;
        let commitments = Commitments::new(*self.keys.window(), told)?.with(defences);
        if openings.len() != self.dealt.len() {
            return Err(JointKeyError::Contributions);
        }
        let openings = openings.into_iter().map(Opening::from_bytes);
        let dealings = (1..).zip(openings).map(|(mix, opening)| commitments.open(mix, &opening));
        self.dealings = dealings.collect::<Result<_, _>>()?;
        let joint = JointKeys::new(self.dealings.clone())?;
        let public = self.keys.window().rounds().map(|round| joint.public_key(round)).collect();
        self.keys.join(joint);
        public
    }

    /// Whether all that must be dealt to this mix has been. Each sub-share is checked against its dealer's opening.
    ///
    /// # Errors
    /// The fault of a dealer: the attempt is void.
    pub(super) fn is_whole(&mut self) -> Result<bool, JointKeyError> {
        let window = *self.keys.window();
        if window.scheme().is_additive() {
            return Ok(!self.dealings.is_empty());
        }
        let own = self.keys.own();
        let told = self.told.as_deref().unwrap_or_default();
        let mut others = self.dealt.iter().zip(told).enumerate().filter(|(from, _)| *from != own);
        // What belongs to an earlier attempt counts as missing.
        let all_there = others.all(|(_, (dealt, told))| dealt.as_ref().is_some_and(|dealt| dealt.dealing == *told));
        if self.dealings.is_empty() || !all_there {
            return Ok(false);
        }
        for (dealing, dealt) in self.dealings.iter().zip(&self.dealt) {
            for (round, value) in window.rounds().zip(dealt.iter().flat_map(|dealt| &dealt.values)) {
                self.keys.shares_mut().receive(dealing, round, &SubShare::from_bytes(value.0))?;
            }
        }
        Ok(true)
    }

    /// What convicts the dealer of a wrong sub-share: found by [`Making::is_whole`], which makes the attempt void.
    pub(super) fn wrong_dealing(&self, error: JointKeyError) -> Option<WrongDealing> {
        let JointKeyError::Fault(Fault { mix: dealer, cause: FaultCause::SubShare { round, receiver } }) = error else {
            return None;
        };
        let place = usize::from(dealer) - 1;
        let opening = self.dealings.get(place)?.opening().clone();
        let dealt = self.dealt.get(place)?.clone()?;
        Some(WrongDealing { window: *self.keys.window(), dealer, receiver, round, opening, dealt })
    }

    /// What everybody has committed to, as far as this mix was told.
    pub(super) fn told(&self) -> Option<&[Digest]> {
        self.told.as_deref()
    }

    /// The keys, once the document with them is complete.
    pub(super) fn finish(self) -> EpochKeys {
        self.keys
    }
}
