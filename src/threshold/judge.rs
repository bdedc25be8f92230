//! What anybody can find from openings alone: whether a share or a sub-share is the one that is owed.
//!
//! The caller has held each opening against its commitment, which signatures cover. Whether points are sound and proofs hold
//! was everybody's to check before the keys came into use; a point that is none makes nothing comparable.

use curve25519_dalek::edwards::EdwardsPoint;

use super::dealing::evaluate;
use super::joint::owed;
use super::{Opening, Share, SubShare, Window, point};

/// Whether `share` is the one that `mix` owes for `round`. `openings` are all mixes' in order, or with t = L its own alone. `None`
/// if they cannot be these: another number or length, no such round or mix, or a point that is none.
pub fn is_owed_share(window: &Window, openings: &[Opening], round: u64, mix: u8, share: &Share) -> Option<bool> {
    let scheme = window.scheme();
    let needed = if scheme.is_additive() { 1 } else { usize::from(scheme.mixes()) };
    if openings.len() != needed || !window.has_mix(mix) {
        return None;
    }
    let committed = openings.iter().map(|opening| coefficients(window, opening, round)).collect::<Option<Vec<_>>>()?;
    let owed = owed(scheme, &committed.iter().map(Vec::as_slice).collect::<Vec<_>>(), mix);
    Some(share.scalar().is_some_and(|value| value.point() == owed))
}

/// Whether `sub_share` is the one that the mix behind `opening` owes to `receiver` for `round`. `None` as for [`is_owed_share`], and
/// if nothing is dealt.
pub fn is_owed_sub_share(
    window: &Window,
    opening: &Opening,
    round: u64,
    receiver: u8,
    sub_share: &SubShare,
) -> Option<bool> {
    if window.scheme().is_additive() || !window.has_mix(receiver) {
        return None;
    }
    let owed = evaluate(&coefficients(window, opening, round)?, receiver);
    Some(sub_share.scalar().is_some_and(|value| value.point() == owed))
}

/// The commitments to the coefficients of one round, the constant one first.
fn coefficients(window: &Window, opening: &Opening, round: u64) -> Option<Vec<EdwardsPoint>> {
    let position = window.position(round)?;
    if opening.as_bytes().len() != Opening::length(window) {
        return None;
    }
    let bytes = opening.points(window, position);
    bytes.iter().map(|bytes| point::decode(bytes).ok()).collect()
}
