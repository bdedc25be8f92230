//! Secret numbers mod l, the order of edwards25519's base point.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::Csprng;

/// A secret number mod l, where it is kept; arithmetic takes copies, which the caller clears.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct SecretScalar(pub Scalar);

impl SecretScalar {
    /// Draws one of 1 to l - 1. Reducing 512 bits leaves a bias below 2^-259.
    pub(super) fn random(rng: &mut Csprng) -> Self {
        let mut wide = Zeroizing::new([0; 64]);
        loop {
            rand::Rng::fill_bytes(rng, wide.as_mut_slice());
            let scalar = Self(Scalar::from_bytes_mod_order_wide(&wide));
            // Zero's point is the identity, which every receiver refuses.
            if scalar.0 != Scalar::ZERO {
                return scalar;
            }
        }
    }

    /// Its multiple of the base point, in constant time.
    pub(super) fn point(&self) -> EdwardsPoint {
        EdwardsPoint::mul_base(&self.0)
    }
}

macro_rules! scalar_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes 32 bytes as received; whether they are right is found when they are used.
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes to send: the number, little-endian.
            pub fn expose(&self) -> &[u8; 32] {
                &self.0
            }

            pub(super) fn of(scalar: &Scalar) -> Self {
                Self(scalar.to_bytes())
            }

            /// The number, if these are the bytes of one below l.
            pub(super) fn scalar(&self) -> Option<SecretScalar> {
                Option::from(Scalar::from_canonical_bytes(self.0)).map(SecretScalar)
            }
        }
    };
}

scalar_bytes! {
    /// A value of a dealer's polynomial for one receiver, 32 bytes: for its eyes only, so the caller encrypts it on its way.
    SubShare
}
scalar_bytes! {
    /// A mix's share of one round's secret, 32 bytes: with t - 1 others it opens every letter of the round.
    Share
}
