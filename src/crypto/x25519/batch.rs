//! Many agreements at once: what fills the lanes goes through them, the rest one by one.

use std::ops::Range;

use zeroize::Zeroizing;

use super::lanes::Lanes;
use super::{Agreement, Backend, PublicKey, SecretKey, SharedSecret};

/// The most points that share a batch's fixed cost; a caller with more brings them in parts of this many.
pub const BATCH: usize = 512;

/// A vector costs all its lanes, whoever is in them: of eight one and a half to three times what aws-lc takes for one
/// agreement, of four about twice. A rest of fewer points than this goes there.
const WORTH_A_VECTOR: usize = 3;

/// Whose scalars multiply the points of a batch.
#[derive(Clone, Copy)]
pub enum Scalars<'a> {
    /// One for all.
    Shared(&'a SecretKey),
    /// Each point's own: as many as points.
    Each(&'a [&'a SecretKey]),
}

impl<'a> Scalars<'a> {
    /// Those of the points in `range`.
    pub(super) fn of(self, range: Range<usize>) -> Self {
        match self {
            Scalars::Shared(_) => self,
            Scalars::Each(all) => Scalars::Each(&all[range]),
        }
    }
}

/// The base point, u = 9.
const BASE: PublicKey = PublicKey({
    let mut u = [0; 32];
    u[0] = 9;
    u
});

impl Agreement {
    /// As [`Agreement::agree`] with each peer, into the same place of `secrets`: `None` also for a peer that
    /// [`PublicKey::check`] refuses.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn agree_all(&self, peers: &[PublicKey], secrets: &mut [Option<SharedSecret>]) {
        assert_eq!(peers.len(), secrets.len(), "one secret a peer");
        let done = match self {
            Agreement::Lanes(lanes, own, _) => in_lanes(*lanes, Scalars::Shared(own), peers, secrets),
            Agreement::AwsLc(_) | Agreement::Dalek(_) => 0,
        };
        for (peer, secret) in peers.iter().zip(secrets).skip(done) {
            *secret = checked(peer, |peer| self.agree(peer));
        }
    }
}

/// The shared secret of each of `own` with the peer in the same place; `None` if it would be all zero, or if
/// [`PublicKey::check`] refuses the peer.
///
/// # Panics
/// If the lengths differ.
pub fn agree_each(backend: Backend, own: &[&SecretKey], peers: &[PublicKey], secrets: &mut [Option<SharedSecret>]) {
    assert_eq!(own.len(), peers.len(), "one peer a key");
    assert_eq!(own.len(), secrets.len(), "one secret a key");
    let done = in_lanes(backend, Scalars::Each(own), peers, secrets);
    for ((own, peer), secret) in own.iter().zip(peers).zip(secrets).skip(done) {
        *secret = checked(peer, |peer| own.prepare(backend).agree(peer));
    }
}

/// The public key of each of `own`, into the same place of `publics`.
///
/// # Panics
/// If the lengths differ.
pub fn public_keys(backend: Backend, own: &[&SecretKey], publics: &mut [PublicKey]) {
    assert_eq!(own.len(), publics.len(), "one public key each");
    let done = publics_in_lanes(backend, own, publics);
    for (own, public) in own.iter().zip(publics).skip(done) {
        *public = own.prepare(backend).public_key();
    }
}

fn checked(peer: &PublicKey, agree: impl FnOnce(&PublicKey) -> Option<SharedSecret>) -> Option<SharedSecret> {
    peer.check().ok().and_then(|()| agree(peer))
}

/// How many of `count` the lanes take: all but a rest that is not worth a vector.
fn taken(lanes: Lanes, count: usize) -> usize {
    let rest = count % lanes.count();
    if rest < WORTH_A_VECTOR { count - rest } else { count }
}

/// Agrees with as many of the first peers as the backend's lanes take; returns how many, 0 if it has none.
fn in_lanes(
    backend: Backend,
    scalars: Scalars<'_>,
    peers: &[PublicKey],
    secrets: &mut [Option<SharedSecret>],
) -> usize {
    let Some(lanes) = Lanes::of(backend) else { return 0 };
    let count = taken(lanes, peers.len());
    let mut out = Zeroizing::new([[0; 32]; BATCH]);
    for from in (0..count).step_by(BATCH) {
        let range = from..count.min(from + BATCH);
        let out = &mut out[..range.len()];
        // A refused point never meets the others: its lane computes with the base point.
        let mut points = [BASE; BATCH];
        let points = &mut points[..range.len()];
        for (point, peer) in points.iter_mut().zip(&peers[range.clone()]).filter(|(_, peer)| peer.check().is_ok()) {
            *point = *peer;
        }
        lanes.multiply(scalars.of(range.clone()), points, out);
        for ((out, peer), secret) in out.iter().zip(&peers[range.clone()]).zip(&mut secrets[range]) {
            *secret = checked(peer, |_| SharedSecret::contributory(out));
        }
    }
    count
}

/// As [`in_lanes()`], with the base point.
fn publics_in_lanes(backend: Backend, own: &[&SecretKey], publics: &mut [PublicKey]) -> usize {
    let Some(lanes) = Lanes::of(backend) else { return 0 };
    let count = taken(lanes, own.len());
    let mut out = [[0; 32]; BATCH];
    for (own, publics) in own[..count].chunks(BATCH).zip(publics[..count].chunks_mut(BATCH)) {
        let out = &mut out[..own.len()];
        lanes.multiply(Scalars::Each(own), &[BASE; BATCH][..own.len()], out);
        publics.iter_mut().zip(out).for_each(|(public, out)| *public = PublicKey(*out));
    }
    count
}

/// X25519 of RFC 7748 of any 32 bytes, nothing checked, as the backend alone computes it; all zero where that is the
/// result. Only to compare backends.
///
/// # Panics
/// If the lengths differ, or the processor does not have the backend.
#[cfg(any(test, feature = "sim"))]
pub fn multiply(backend: Backend, scalars: Scalars<'_>, points: &[PublicKey], out: &mut [[u8; 32]]) {
    if Backend::IN_LANES.contains(&backend) {
        return Lanes::of(backend).expect("the processor has the lanes").multiply(scalars, points, out);
    }
    assert_eq!(points.len(), out.len(), "one result a point");
    let agree = |own: &Agreement, i: usize| own.agree(&points[i]).map_or([0; 32], |secret| *secret.expose());
    match scalars {
        Scalars::Shared(own) => {
            let own = own.prepare(backend);
            out.iter_mut().enumerate().for_each(|(i, out)| *out = agree(&own, i));
        }
        Scalars::Each(all) => {
            out.iter_mut().enumerate().for_each(|(i, out)| *out = agree(&all[i].prepare(backend), i));
        }
    }
}
