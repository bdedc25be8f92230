//! The joint public keys of a window, and how released shares become a round's private key.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use zeroize::Zeroizing;

use crate::crypto::{PublicKey, SecretKey};

use super::dealing::evaluate;
use super::scalar::SecretScalar;
use super::{Dealing, Fault, FaultCause, JointKeyError, Opening, Scheme, Share, Window};

/// What everybody knows of the joint keys of a window.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JointKeys {
    window: Window,
    /// One of each mix, in order.
    dealings: Vec<Dealing>,
    /// P of each round.
    points: Vec<EdwardsPoint>,
}

impl JointKeys {
    /// Adds up the checked contributions, one of each mix, in order.
    ///
    /// # Errors
    /// [`JointKeyError::Contributions`] if they are not that, [`JointKeyError::NoKey`] if those of a round cancel out.
    pub fn new(dealings: Vec<Dealing>) -> Result<Self, JointKeyError> {
        let window = *dealings.first().ok_or(JointKeyError::Contributions)?.window();
        let in_order = (1..=window.scheme().mixes()).eq(dealings.iter().map(Dealing::mix));
        if !in_order || dealings.iter().any(|dealing| *dealing.window() != window) {
            return Err(JointKeyError::Contributions);
        }
        let mut points = Vec::new();
        for round in window.rounds() {
            let mut sum = EdwardsPoint::identity();
            for dealing in &dealings {
                sum += dealing.coefficients(round)?[0];
            }
            if sum == EdwardsPoint::identity() {
                return Err(JointKeyError::NoKey(round));
            }
            points.push(sum);
        }
        Ok(Self { window, dealings, points })
    }

    /// What they were made for.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// What shows which share `mix` owes: with t = L its own opening, else those of all, in order.
    pub fn openings(&self, mix: u8) -> Vec<Opening> {
        self.binding(mix).map(|dealing| dealing.opening().clone()).collect()
    }

    /// The dealings that say which share `mix` owes.
    fn binding(&self, mix: u8) -> impl Iterator<Item = &Dealing> {
        let all = !self.window.scheme().is_additive();
        self.dealings.iter().filter(move |dealing| all || dealing.mix() == mix)
    }

    /// P of `round` as an X25519 public key: u = (1 + y) / (1 - y). It passes [`PublicKey::check`], as P has order l.
    ///
    /// # Errors
    /// If there is no such round.
    pub fn public_key(&self, round: u64) -> Result<PublicKey, JointKeyError> {
        Ok(PublicKey(self.point(round)?.to_montgomery().to_bytes()))
    }

    /// Checks a released share of `mix` against what was committed: a_i B = A_i, or the sum of all dealers' polynomials at
    /// its number.
    ///
    /// # Errors
    /// The [`Fault`] of `mix`; or no such round or mix.
    pub fn check_share(&self, round: u64, mix: u8, share: &Share) -> Result<(), JointKeyError> {
        self.checked(round, mix, share).map(drop)
    }

    /// The private key of `round`, in the clamped form of X25519, from at least t released shares with their mixes, in any
    /// order: what was sealed to [`JointKeys::public_key`] opens with it.
    ///
    /// # Errors
    /// The [`Fault`] of the first mix whose share is wrong; too few shares, two of one mix, no such round or mix;
    /// [`JointKeyError::WrongJoin`] and [`JointKeyError::NoClampedForm`] do not happen by chance.
    pub fn open(&self, round: u64, shares: &[(u8, Share)]) -> Result<SecretKey, JointKeyError> {
        let mut values: Vec<(u8, SecretScalar)> = Vec::with_capacity(shares.len().min(self.dealings.len()));
        for (mix, share) in shares {
            if values.iter().any(|(before, _)| before == mix) {
                return Err(JointKeyError::RepeatedShare(*mix));
            }
            values.push((*mix, self.checked(round, *mix, share)?));
        }
        let needed = self.window.scheme().threshold();
        if values.len() < usize::from(needed) {
            return Err(JointKeyError::TooFewShares { given: values.len(), needed });
        }
        let secret = join(&values, self.window.scheme().is_additive());
        if secret.point() != self.point(round)? {
            return Err(JointKeyError::WrongJoin(round));
        }
        clamped(&secret).ok_or(JointKeyError::NoClampedForm(round))
    }

    fn checked(&self, round: u64, mix: u8, share: &Share) -> Result<SecretScalar, JointKeyError> {
        let expected = self.share_point(round, mix)?;
        let value = share.scalar().filter(|value| value.point() == expected);
        value.ok_or_else(|| Fault { mix, cause: FaultCause::Share { round } }.into())
    }

    fn share_point(&self, round: u64, mix: u8) -> Result<EdwardsPoint, JointKeyError> {
        if !self.window.has_mix(mix) {
            return Err(JointKeyError::UnknownMix(mix));
        }
        let committed = self.binding(mix).map(|dealing| dealing.coefficients(round));
        Ok(owed(self.window.scheme(), &committed.collect::<Result<Vec<_>, _>>()?, mix))
    }

    fn point(&self, round: u64) -> Result<EdwardsPoint, JointKeyError> {
        let position = self.window.position(round).ok_or(JointKeyError::UnknownRound(round))?;
        Ok(self.points[position])
    }
}

/// The point of the share that `mix` owes, from the coefficients that say so: with t = L its own, else those of all dealers, whose
/// polynomials add up.
pub(super) fn owed(scheme: Scheme, committed: &[&[EdwardsPoint]], mix: u8) -> EdwardsPoint {
    let mut sums = vec![EdwardsPoint::identity(); scheme.coefficients()];
    for coefficients in committed {
        sums.iter_mut().zip(*coefficients).for_each(|(sum, point)| *sum += point);
    }
    evaluate(&sums, mix)
}

/// The secret that shares of distinct mixes join to: their sum, or their polynomial at zero (Lagrange), each share j times
/// the product over the others m of m / (m - j).
pub(super) fn join(shares: &[(u8, SecretScalar)], additive: bool) -> SecretScalar {
    let mut sum = SecretScalar(Scalar::ZERO);
    for (mix, share) in shares {
        let others = shares.iter().map(|(other, _)| *other).filter(|other| other != mix && !additive);
        let (mut above, mut below) = (Scalar::ONE, Scalar::ONE);
        for other in others {
            above *= Scalar::from(other);
            below *= Scalar::from(other) - Scalar::from(*mix);
        }
        let part = Zeroizing::new(share.0 * above * below.invert());
        sum.0 += *part;
    }
    sum
}

/// The clamped X25519 key of `secret` s, or none if it has none; to be called once s is out, as it takes variable time.
///
/// It is 8h with h = s/8 mod l, or l - h for an h below 2^251. With l = 2^252 + d, 0 < d < 2^125:
///
/// - 2^251 <= h < l: where h was below 2^251, l - h is above 2^252 - 2^251. If also h < 2^252, then 2^254 <= 8h < 2^255: bit
///   254 is set, bit 255 is clear, and a multiple of 8 has its low three bits clear. So clamping (RFC 7748, section 5)
///   changes nothing.
/// - The rest, 2^252 <= h < l and h <= d before the change of sign (s = 0 among them), has no such form, with either sign
///   and whatever multiple of l is added. That is 2d of l numbers, 2^-126; nobody can aim at it, as s is fixed by mixes
///   that committed without knowing each other's parts.
/// - It opens what was sealed to P = sB. A sealer with ephemeral key E = eB sends u(E) and uses u(eP). The opener computes
///   u(8h E); as 8h = s or -s mod l and E, a clamped multiple of the base point, has order l, 8h E = s E or -s E = eP or
///   -eP, and a point and its negative share their u. For the same reason u(8h B) = u(P), the public key that the
///   seal's key derivation takes. Had E a part of low order, 8h removes it, so that low-order inputs give zero.
pub(super) fn clamped(secret: &SecretScalar) -> Option<SecretKey> {
    let mut h = Zeroizing::new(secret.0 * Scalar::from(8u8).invert());
    // Bit 251 is bit 3 of byte 31, and l < 2^253.
    if h.as_bytes()[31] < 1 << 3 {
        *h = -*h;
    }
    let bytes = Zeroizing::new(h.to_bytes());
    if bytes[31] >> 3 != 1 {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    let mut carry = 0;
    for (out, byte) in key.iter_mut().zip(bytes.iter()) {
        *out = byte << 3 | carry;
        carry = byte >> 5;
    }
    Some(SecretKey::from_bytes(*key))
}
