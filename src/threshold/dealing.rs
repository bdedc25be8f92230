//! What each mix contributes to the keys of a window, first hidden behind a hash, then opened and checked.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;

use crate::crypto::{Defence, Defences, Digest, Label, derive_parts};

use super::possession::{self, PROOF_BYTES};
use super::{Fault, FaultCause, JointKeyError, SubShare, Window, point};

/// One mix's public contribution as it travels. For each round of the window: the committed coefficients, 32 bytes each (one
/// if t = L, else t of them), of which the first is A_i; then the proof of possession of A_i, R 32 | z 32.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opening {
    bytes: Vec<u8>,
}

impl Opening {
    /// Takes what was received; the caller has bounded its length by [`Opening::length`].
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes an opening for `window` has.
    pub fn length(window: &Window) -> usize {
        window.rounds().count() * round_bytes(window)
    }

    /// H(Dealing, network 32 | epoch 8 | first round 8 | rounds 4 | t 1 | L 1 | mix 1 | the bytes). It hides them without a
    /// blinding value, as nobody can guess A_i.
    pub fn commitment(&self, window: &Window, mix: u8) -> Digest {
        derive_parts(Label::Dealing, &[&window.dealing_context(mix), &self.bytes])
    }

    /// The points of the round at `position` of the window, of an opening that has its length.
    pub(super) fn points(&self, window: &Window, position: usize) -> &[[u8; 32]] {
        let round = &self.bytes[position * round_bytes(window)..][..round_bytes(window) - PROOF_BYTES];
        round.as_chunks().0
    }
}

fn round_bytes(window: &Window) -> usize {
    32 * window.scheme().coefficients() + PROOF_BYTES
}

/// The commitments of all mixes: there is no way to open one before all are known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Commitments {
    window: Window,
    digests: Vec<Digest>,
    defences: Defences,
}

impl Commitments {
    /// One digest of each mix, in order.
    ///
    /// # Errors
    /// [`JointKeyError::Contributions`] if their number is another.
    pub fn new(window: Window, digests: Vec<Digest>) -> Result<Self, JointKeyError> {
        if digests.len() != usize::from(window.scheme().mixes()) {
            return Err(JointKeyError::Contributions);
        }
        Ok(Self { window, digests, defences: Defences::default() })
    }

    /// With no more than these `defences`.
    #[must_use]
    pub fn with(self, defences: Defences) -> Self {
        Self { defences, ..self }
    }

    /// Checks the opening that `mix` showed.
    ///
    /// # Errors
    /// The [`Fault`] of `mix`: the opening is not what it committed to, has the wrong length, holds a bad point or a bad
    /// proof. [`JointKeyError::UnknownMix`] if there is no such mix.
    pub fn open(&self, mix: u8, opening: &Opening) -> Result<Dealing, JointKeyError> {
        let window = self.window;
        if !window.has_mix(mix) {
            return Err(JointKeyError::UnknownMix(mix));
        }
        let fault = |cause| Fault { mix, cause };
        let committed = opening.commitment(&window, mix) == self.digests[usize::from(mix) - 1];
        if !committed && self.defences.stands(Defence::CommitFirst) {
            return Err(fault(FaultCause::Commitment).into());
        }
        if opening.bytes.len() != Opening::length(&window) {
            return Err(fault(FaultCause::Length).into());
        }
        let mut points = Vec::with_capacity(window.rounds().count() * window.scheme().coefficients());
        for (round, part) in window.rounds().zip(opening.bytes.chunks_exact(round_bytes(&window))) {
            let (coefficients, proof) = part.split_at(part.len() - PROOF_BYTES);
            let own = points.len();
            for bytes in coefficients.as_chunks().0 {
                points.push(point::decode(bytes).map_err(|why| fault(FaultCause::Point { round, fault: why }))?);
            }
            let proof = proof.try_into().expect("a part ends with a proof");
            let holds = possession::holds(&window, round, mix, &points[own], proof);
            if !holds && self.defences.stands(Defence::ProofOfPossession) {
                return Err(fault(FaultCause::Possession { round }).into());
            }
        }
        Ok(Dealing { window, mix, points, opening: opening.clone() })
    }
}

/// One mix's contribution, checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dealing {
    window: Window,
    mix: u8,
    /// Round by round, the commitments to its coefficients.
    points: Vec<EdwardsPoint>,
    opening: Opening,
}

impl Dealing {
    /// Whose it is, from 1.
    pub fn mix(&self) -> u8 {
        self.mix
    }

    /// What it was made for.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// As it was shown.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Feldman's check: f(j) B = C_0 + j C_1 + ... + j^(t-1) C_(t-1).
    pub(super) fn check(
        &self,
        round: u64,
        receiver: u8,
        sub_share: &SubShare,
    ) -> Result<Result<(), Fault>, JointKeyError> {
        let coefficients = self.coefficients(round)?;
        if self.window.scheme().is_additive() {
            return Err(JointKeyError::NothingDealt);
        }
        if !self.window.has_mix(receiver) {
            return Err(JointKeyError::UnknownMix(receiver));
        }
        let expected = evaluate(coefficients, receiver);
        let is_right = sub_share.scalar().is_some_and(|value| value.point() == expected);
        let fault = Fault { mix: self.mix, cause: FaultCause::SubShare { round, receiver } };
        Ok(if is_right { Ok(()) } else { Err(fault) })
    }

    /// The commitments to its coefficients of `round`, the constant one first.
    pub(super) fn coefficients(&self, round: u64) -> Result<&[EdwardsPoint], JointKeyError> {
        let count = self.window.scheme().coefficients();
        let position = self.window.position(round).ok_or(JointKeyError::UnknownRound(round))?;
        Ok(&self.points[position * count..(position + 1) * count])
    }
}

/// The committed polynomial at `mix` (Horner): public, so time does not matter.
pub(super) fn evaluate(coefficients: &[EdwardsPoint], mix: u8) -> EdwardsPoint {
    let at = Scalar::from(mix);
    coefficients.iter().rev().copied().reduce(|sum, coefficient| sum * at + coefficient).expect("at least one")
}
