//! A whole window between honest mixes; what t of them open and fewer do not; what is wrong and who is named.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use rand::SeedableRng;

use super::joint::{clamped, join};
use super::scalar::SecretScalar;
use super::*;
use crate::crypto::{Backend, Csprng, Digest, PublicKey, SecretKey};

mod faults;
mod letters;

/// The schemes that every test of behaviour runs through: t of L.
const SCHEMES: [(u8, u8); 6] = [(2, 2), (3, 3), (5, 5), (7, 7), (2, 3), (3, 5)];

/// The first round of every window here.
const FIRST: u64 = 40;

fn window(threshold: u8, mixes: u8, rounds: u32) -> Window {
    let scheme = Scheme::new(threshold, mixes).expect("valid");
    Window::new(Digest([9; 32]), 3, FIRST, rounds, scheme).expect("valid")
}

/// All mixes of a window, after everybody opened and nothing was dealt yet.
struct Mixes {
    window: Window,
    secrets: Vec<EpochShares>,
    openings: Vec<Opening>,
    dealings: Vec<Dealing>,
}

impl Mixes {
    fn new(rng: &mut Csprng, window: Window) -> Self {
        let drawn = (1..=window.scheme().mixes()).map(|mix| EpochShares::draw(rng, window, mix).expect("a mix"));
        let (secrets, openings): (Vec<_>, Vec<_>) = drawn.unzip();
        let commitments = commitments(window, &openings);
        let open = |(mix, opening)| commitments.open(mix, opening).expect("honest");
        let dealings = (1..).zip(&openings).map(open).collect();
        Self { window, secrets, openings, dealings }
    }

    /// As [`Mixes::new`], with every sub-share dealt, and the public keys.
    fn ready(rng: &mut Csprng, window: Window) -> (Self, JointKeys) {
        let mut mixes = Self::new(rng, window);
        if !window.scheme().is_additive() {
            for round in window.rounds() {
                mixes.deal(round);
            }
        }
        let keys = JointKeys::new(mixes.dealings.clone()).expect("honest");
        (mixes, keys)
    }

    fn deal(&mut self, round: u64) {
        for dealer in 0..self.secrets.len() {
            for receiver in (0..self.secrets.len()).filter(|receiver| *receiver != dealer) {
                let sub_share = self.secrets[dealer].sub_share(round, receiver as u8 + 1).expect("drawn");
                self.secrets[receiver].receive(&self.dealings[dealer], round, &sub_share).expect("honest");
            }
        }
    }

    fn shares(&self, round: u64, mixes: &[u8]) -> Vec<(u8, Share)> {
        let share = |mix: &u8| (*mix, self.secrets[usize::from(*mix) - 1].share(round).expect("dealt"));
        mixes.iter().map(share).collect()
    }
}

fn commitments(window: Window, openings: &[Opening]) -> Commitments {
    let digests = (1..).zip(openings).map(|(mix, opening)| opening.commitment(&window, mix)).collect();
    Commitments::new(window, digests).expect("one of each")
}

/// Every set of `size` of the mixes 1 to `mixes`.
fn sets(mixes: u8, size: u32) -> impl Iterator<Item = Vec<u8>> {
    let members = move |set: u8| (1..=mixes).filter(|mix| set >> (mix - 1) & 1 == 1).collect();
    (0..1u8 << mixes).filter(move |set| set.count_ones() == size).map(members)
}

/// What happened, without the key, which has no `Debug`.
fn outcome(opened: Result<SecretKey, JointKeyError>) -> Result<(), JointKeyError> {
    opened.map(drop)
}

fn secret_of(scalar: Scalar) -> SecretScalar {
    SecretScalar(scalar)
}

#[test]
fn the_limits_are_those_of_packets_and_one_mix_never_opens_alone() {
    assert_eq!(usize::from(MIN_MIXES), crate::packet::MIN_MIXES);
    assert_eq!(usize::from(MAX_MIXES), crate::packet::MAX_MIXES);
    for mixes in 0..=u8::MAX {
        for threshold in 0..=u8::MAX {
            let valid = (2..=7).contains(&mixes) && (2..=mixes).contains(&threshold);
            assert_eq!(Scheme::new(threshold, mixes).is_ok(), valid, "{threshold} of {mixes}");
        }
    }
    let scheme = Scheme::new(2, 3).expect("valid");
    assert!(Window::new(Digest([0; 32]), 1, u64::MAX - 3, 3, scheme).is_ok());
    assert_eq!(Window::new(Digest([0; 32]), 1, u64::MAX - 3, 4, scheme), Err(WindowError::Rounds));
    assert_eq!(Window::new(Digest([0; 32]), 1, 1, 0, scheme), Err(WindowError::Rounds));
}

/// l - 1, l the order of the base point.
fn minus_one() -> Scalar {
    -Scalar::ONE
}

/// 2^`exponent` mod l.
fn power(exponent: usize) -> Scalar {
    (0..exponent).fold(Scalar::ONE, |power, _| power + power)
}

/// What the private key of `secret` must do on both backends: be clamped, have P's public key, and agree on what a
/// sealer to P agrees on.
fn check_clamped(secret: Scalar, rng: &mut Csprng) {
    let key = clamped(&secret_of(secret)).expect("has a clamped form");
    let bytes = *key.expose();
    assert_eq!(curve25519_dalek::scalar::clamp_integer(bytes), bytes);
    let public = PublicKey(EdwardsPoint::mul_base(&secret).to_montgomery().to_bytes());
    assert_eq!(public.check(), Ok(()));
    let sealer = SecretKey::random(rng);
    for backend in Backend::ALL {
        assert!(key.prepare(backend).public_key() == public);
        let sealed = sealer.prepare(backend).agree(&public).expect("P has large order");
        let opened = key.prepare(backend).agree(&sealer.public_key()).expect("of large order");
        assert!(sealed.expose() == opened.expose());
        // By definition, without any clamping of ours: the sealer's point, s times.
        let defined = curve25519_dalek::montgomery::MontgomeryPoint(sealer.public_key().0) * secret;
        assert!(defined.to_bytes() == *opened.expose());
    }
}

#[test]
fn the_clamped_form_is_the_key_of_its_point_on_both_backends() {
    let mut rng = Csprng::seed_from_u64(11);
    let (mut kept, mut negated) = (0, 0);
    for _ in 0..300 {
        let secret = SecretScalar::random(&mut rng).0;
        let h = secret * Scalar::from(8u8).invert();
        if h.as_bytes()[31] < 8 {
            negated += 1;
        } else {
            kept += 1;
        }
        check_clamped(secret, &mut rng);
    }
    assert!(kept > 100 && negated > 100, "both signs were tried: {kept}, {negated}");
}

#[test]
fn the_clamped_form_exists_up_to_its_edges_and_not_beyond() {
    let mut rng = Csprng::seed_from_u64(12);
    let eight = Scalar::from(8u8);
    // d = l - 2^252, so -2^252 mod l.
    let d = -power(252);
    let one = Scalar::ONE;
    for h in [power(251), power(251) - one, power(251) + one, power(252) - one, d + one] {
        check_clamped(h * eight, &mut rng);
        check_clamped(-h * eight, &mut rng);
    }
    for h in [Scalar::ZERO, one, d - one, d, power(252), power(252) + one, minus_one()] {
        assert!(clamped(&secret_of(h * eight)).is_none());
        assert!(clamped(&secret_of(-h * eight)).is_none());
    }
}

#[test]
fn low_order_points_give_a_joint_key_nothing() {
    let mut rng = Csprng::seed_from_u64(13);
    let key = clamped(&SecretScalar::random(&mut rng)).expect("random");
    for torsion in curve25519_dalek::constants::EIGHT_TORSION {
        for backend in Backend::ALL {
            assert!(key.prepare(backend).agree(&PublicKey(torsion.to_montgomery().to_bytes())).is_none());
        }
    }
}

#[test]
fn what_is_erased_is_gone_and_the_rest_stays() {
    let mut rng = Csprng::seed_from_u64(14);
    for (threshold, mixes) in SCHEMES {
        let (mut all, keys) = Mixes::ready(&mut rng, window(threshold, mixes, 3));
        let additive = all.window.scheme().is_additive();
        let late = (!additive).then(|| all.secrets[1].sub_share(FIRST + 1, 1).expect("drawn"));
        let gone = JointKeyError::Erased(FIRST + 1);
        let first = &mut all.secrets[0];
        first.erase(FIRST + 1);
        first.erase(FIRST + 1);
        first.erase(FIRST + 99);
        assert_eq!(first.share(FIRST + 1).map(drop), Err(gone));
        if let Some(late) = late {
            assert_eq!(first.sub_share(FIRST + 1, 2).map(drop), Err(gone));
            assert_eq!(
                first.receive(&all.dealings[1], FIRST + 1, &late),
                Err(gone),
                "a late sub-share revives nothing"
            );
            assert_eq!(first.share(FIRST + 1).map(drop), Err(gone));
        }
        let everybody: Vec<u8> = (1..=mixes).collect();
        for round in [FIRST, FIRST + 2] {
            assert_eq!(outcome(keys.open(round, &all.shares(round, &everybody))), Ok(()));
        }
        all.secrets[0].erase_all();
        for round in all.window.rounds() {
            assert_eq!(all.secrets[0].share(round).map(drop), Err(JointKeyError::Erased(round)));
            assert!(all.secrets[0].sub_share(round, 2).is_err());
        }
        assert_eq!(all.secrets[0].share(FIRST + 3).map(drop), Err(JointKeyError::UnknownRound(FIRST + 3)));
    }
    let mut scalar = SecretScalar::random(&mut rng);
    zeroize::Zeroize::zeroize(&mut scalar);
    assert!(scalar.0 == Scalar::ZERO, "erasing overwrites");
}

#[test]
fn one_missing_sub_share_withholds_the_share() {
    let mut rng = Csprng::seed_from_u64(15);
    let mut all = Mixes::new(&mut rng, window(2, 3, 1));
    let sub_share = all.secrets[1].sub_share(FIRST, 1).expect("drawn");
    all.secrets[0].receive(&all.dealings[1], FIRST, &sub_share).expect("honest");
    let missing = JointKeyError::MissingSubShare { dealer: 3, round: FIRST };
    assert_eq!(all.secrets[0].share(FIRST).map(drop), Err(missing));
}
