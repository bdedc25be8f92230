//! One mix's secrets for the joint keys of a window.

use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

use crate::crypto::{Csprng, LockedRow};

use super::possession::prove;
use super::scalar::SecretScalar;
use super::{Dealing, JointKeyError, Opening, Share, SubShare, Window};

/// What one mix holds of the joint keys of a window: its polynomials, and the sub-shares dealt to it. One object, so that a
/// round's secrets go together; it is never written anywhere, its pages are locked where the system allows it.
pub struct EpochShares {
    window: Window,
    mix: u8,
    /// Round by round: the coefficients, then the sub-share of each dealer (if t < L).
    row: LockedRow<SecretScalar>,
}

impl EpochShares {
    /// Draws the secrets of `mix`, and makes the opening that it commits to first and shows second.
    ///
    /// # Errors
    /// If there is no such mix.
    pub fn draw(rng: &mut Csprng, window: Window, mix: u8) -> Result<(Self, Opening), JointKeyError> {
        if !window.has_mix(mix) {
            return Err(JointKeyError::UnknownMix(mix));
        }
        let count = window.rounds().count() * width(&window);
        let mut shares = Self { window, mix, row: LockedRow::empty(count) };
        let mut bytes = Vec::with_capacity(Opening::length(&window));
        for round in window.rounds() {
            let own = bytes.len();
            for k in 0..window.scheme().coefficients() {
                let coefficient = SecretScalar::random(rng);
                bytes.extend_from_slice(coefficient.point().compress().as_bytes());
                let at = shares.at(round)? + k;
                shares.row.put(at, coefficient);
            }
            let point = bytes[own..own + 32].try_into().expect("an encoded point has 32 bytes");
            let secret = shares.coefficient(round, 0)?;
            let proof = prove(rng, &window, round, mix, secret, &point);
            bytes.extend_from_slice(&proof);
            if !window.scheme().is_additive() {
                let own = shares.evaluate(round, mix)?;
                shares.keep(round, mix, own)?;
            }
        }
        Ok((shares, Opening::from_bytes(bytes)))
    }

    /// What it was drawn for.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Whether its pages are locked.
    pub fn is_locked(&self) -> bool {
        self.row.is_locked()
    }

    /// The sub-share of `round` for `receiver`, to be signed, encrypted and sent to it alone.
    ///
    /// # Errors
    /// [`JointKeyError::NothingDealt`] if t = L, [`JointKeyError::Erased`], or no such round or mix.
    pub fn sub_share(&self, round: u64, receiver: u8) -> Result<SubShare, JointKeyError> {
        self.must_deal()?;
        if !self.window.has_mix(receiver) {
            return Err(JointKeyError::UnknownMix(receiver));
        }
        Ok(SubShare::of(&self.evaluate(round, receiver)?.0))
    }

    /// Checks and keeps the sub-share of `round` that the mix behind `dealing` dealt to this one. The same one again changes
    /// nothing.
    ///
    /// # Errors
    /// The dealer's [`super::Fault`] if its commitments contradict it: the attempt is void. Otherwise as
    /// [`EpochShares::sub_share`], and [`JointKeyError::Contributions`] if `dealing` is of another window.
    pub fn receive(&mut self, dealing: &Dealing, round: u64, sub_share: &SubShare) -> Result<(), JointKeyError> {
        self.must_deal()?;
        if *dealing.window() != self.window {
            return Err(JointKeyError::Contributions);
        }
        // What is erased stays erased: a late sub-share must not come to lie in it.
        self.coefficient(round, 0)?;
        dealing.check(round, self.mix, sub_share)??;
        let value = sub_share.scalar().expect("a sub-share that was checked is a number below l");
        self.keep(round, dealing.mix(), value)
    }

    /// This mix's share of `round`'s secret. Whoever has t of them opens the round: the caller has decided, on disk, that it
    /// releases.
    ///
    /// # Errors
    /// [`JointKeyError::Erased`], [`JointKeyError::MissingSubShare`], or no such round.
    pub fn share(&self, round: u64) -> Result<Share, JointKeyError> {
        let own = self.coefficient(round, 0)?;
        if self.window.scheme().is_additive() {
            return Ok(Share::of(&own.0));
        }
        let mut sum = Zeroizing::new(Scalar::ZERO);
        for dealer in 1..=self.window.scheme().mixes() {
            let dealt = self.row.get(self.dealt_at(round, dealer)?);
            *sum += dealt.ok_or(JointKeyError::MissingSubShare { dealer, round })?.0;
        }
        Ok(Share::of(&sum))
    }

    /// Erases everything of `round`: coefficients and received sub-shares. A round outside the window has nothing to erase.
    pub fn erase(&mut self, round: u64) {
        if let Ok(at) = self.at(round) {
            (at..at + width(&self.window)).for_each(|position| self.row.erase(position));
        }
    }

    /// Erases everything.
    pub fn erase_all(&mut self) {
        self.window.rounds().for_each(|round| self.erase(round));
    }

    fn must_deal(&self) -> Result<(), JointKeyError> {
        if self.window.scheme().is_additive() { Err(JointKeyError::NothingDealt) } else { Ok(()) }
    }

    /// The polynomial of `round` at `mix` (Horner), in constant time.
    fn evaluate(&self, round: u64, mix: u8) -> Result<SecretScalar, JointKeyError> {
        let at = Scalar::from(mix);
        let mut value = SecretScalar(Scalar::ZERO);
        for k in (0..self.window.scheme().coefficients()).rev() {
            value.0 = value.0 * at + self.coefficient(round, k)?.0;
        }
        Ok(value)
    }

    fn coefficient(&self, round: u64, k: usize) -> Result<&SecretScalar, JointKeyError> {
        // Drawn with the object, so that a missing one was erased.
        self.row.get(self.at(round)? + k).ok_or(JointKeyError::Erased(round))
    }

    fn keep(&mut self, round: u64, dealer: u8, value: SecretScalar) -> Result<(), JointKeyError> {
        let at = self.dealt_at(round, dealer)?;
        self.row.put(at, value);
        Ok(())
    }

    fn dealt_at(&self, round: u64, dealer: u8) -> Result<usize, JointKeyError> {
        Ok(self.at(round)? + self.window.scheme().coefficients() + usize::from(dealer) - 1)
    }

    /// Where the secrets of `round` begin in the row.
    fn at(&self, round: u64) -> Result<usize, JointKeyError> {
        let position = self.window.position(round).ok_or(JointKeyError::UnknownRound(round))?;
        Ok(position * width(&self.window))
    }
}

/// How many secrets a round has at a mix.
fn width(window: &Window) -> usize {
    let scheme = window.scheme();
    let dealt = if scheme.is_additive() { 0 } else { usize::from(scheme.mixes()) };
    scheme.coefficients() + dealt
}
