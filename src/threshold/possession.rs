//! The proof that a mix knows its part of a round's key.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

use crate::crypto::{Csprng, Label, derive_into, remembered};

use super::Window;
use super::scalar::SecretScalar;

/// Length of a proof: R 32 | z 32.
pub(super) const PROOF_BYTES: usize = 64;

/// Schnorr's proof, made non-interactive by hashing, that whoever made it knows `secret`: R = k B for a fresh k and
/// z = k + c a, with c as in [`challenge`].
pub(super) fn prove(
    rng: &mut Csprng,
    window: &Window,
    round: u64,
    mix: u8,
    secret: &SecretScalar,
    point: &[u8; 32],
) -> [u8; PROOF_BYTES] {
    let nonce = SecretScalar::random(rng);
    let first = nonce.point().compress().to_bytes();
    let product = Zeroizing::new(challenge(window, round, mix, point, &first) * secret.0);
    let answer = nonce.0 + *product;
    let mut proof = [0; PROOF_BYTES];
    proof[..32].copy_from_slice(&first);
    proof[32..].copy_from_slice(answer.as_bytes());
    proof
}

/// Whether `proof` is one for `point`, in this very place: z is below l, and z B - c A encodes to R. Comparing encodings
/// leaves R no second spelling.
pub(super) fn holds(window: &Window, round: u64, mix: u8, point: &EdwardsPoint, proof: &[u8; PROOF_BYTES]) -> bool {
    let (first, answer) = proof.split_at(32);
    let first: [u8; 32] = first.try_into().expect("half of 64 bytes");
    let answer: [u8; 32] = answer.try_into().expect("half of 64 bytes");
    let Some(answer) = Option::<Scalar>::from(Scalar::from_canonical_bytes(answer)) else { return false };
    let encoded = point.compress().to_bytes();
    let c = challenge(window, round, mix, &encoded, &first);
    remembered(&[c.as_bytes(), &encoded, proof], || {
        EdwardsPoint::vartime_double_scalar_mul_basepoint(&c, &-point, &answer).compress().to_bytes() == first
    })
}

/// c = H(Possession, network 32 | epoch 8 | round 8 | mix 1 | L 1 | A 32 | R 32), 64 bytes, mod l. The place in the hash
/// keeps a proof from being shown again by another mix or for another round.
fn challenge(window: &Window, round: u64, mix: u8, point: &[u8; 32], first: &[u8; 32]) -> Scalar {
    let mut material = window.possession_context(round, mix);
    material.extend_from_slice(point);
    material.extend_from_slice(first);
    let mut wide = [0; 64];
    derive_into(Label::Possession, &material, &mut wide);
    Scalar::from_bytes_mod_order_wide(&wide)
}
