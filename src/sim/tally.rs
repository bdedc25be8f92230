//! What goes over links, counted.

use std::time::Duration;

use super::Party;
use super::traffic::Parcel;
use crate::wire::frame;

/// Bytes between mixes, and when a submission came last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Of messages between mixes, as frames; packets of batches are not in it.
    pub(super) said: u64,
    /// When a client sent a submission last.
    pub(super) submitted: Duration,
}

impl Tally {
    /// A parcel is put on a link.
    pub(super) fn posted(&mut self, now: Duration, from: Party, to: Party, parcel: &Parcel) {
        match (parcel, from, to) {
            (Parcel::Peer(message), Party::Mix(_), Party::Mix(_)) => self.said += frame::write(message).len() as u64,
            (Parcel::Batch { header, .. }, ..) => self.said += frame::write(header.as_ref()).len() as u64,
            (Parcel::Request { submission: Some(_), .. }, ..) => self.submitted = now,
            _ => {}
        }
    }
}
