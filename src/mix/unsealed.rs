//! Networks whose rounds are not sealed, to measure what sealing costs: a share goes to the exit once a batch is taken.

use crate::crypto::{Digest, Signature};
use crate::wire::{PeerMessage, SecretPart};

use super::Mix;

impl Mix {
    /// The exit gets this mix's share of the round's secret.
    pub(super) fn release(&mut self, round: u64) {
        let epoch = self.epochs.document(round).map(|document| document.epoch);
        if let (Some(epoch), Some(share)) = (epoch, self.epochs.share(round)) {
            let (share, transcript, signature) = (SecretPart(*share.expose()), Digest([0; 32]), Signature([0; 64]));
            self.send(self.exit_index(), PeerMessage::Release { epoch, round, transcript, share, signature });
        }
    }

    /// The exit is back: it may have missed shares.
    pub(super) fn resend_shares(&mut self, to: usize) {
        if to != self.exit_index() || self.is_sealed() {
            return;
        }
        let forwarded = self.transit.iter().filter(|(_, transit)| transit.was_taken());
        forwarded.map(|(round, _)| *round).collect::<Vec<_>>().into_iter().for_each(|round| self.release(round));
    }
}
