//! Received points of edwards25519.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::traits::Identity;

use crate::crypto::remembered;

/// Why a received point is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PointFault {
    /// Not the encoding (RFC 8032, 5.1.2) of any point, or not the one that the point encodes to.
    #[error("the point is not canonically encoded")]
    NonCanonical,
    /// The neutral element.
    #[error("the point is the identity")]
    Identity,
    /// Not a multiple of the base point: it has a part of order 2, 4 or 8.
    #[error("the point lies outside the prime-order subgroup")]
    Torsion,
}

/// The point that `bytes` encode, of order l exactly.
///
/// # Errors
/// Why it is refused.
pub(super) fn decode(bytes: &[u8; 32]) -> Result<EdwardsPoint, PointFault> {
    let encoding = CompressedEdwardsY(*bytes);
    let point = encoding.decompress().ok_or(PointFault::NonCanonical)?;
    // The decoder reduces y and lets x = 0 have a sign.
    if point.compress() != encoding {
        return Err(PointFault::NonCanonical);
    }
    if point == EdwardsPoint::identity() {
        return Err(PointFault::Identity);
    }
    if !remembered(&[b"torsion-free", bytes], || point.is_torsion_free()) {
        return Err(PointFault::Torsion);
    }
    Ok(point)
}
