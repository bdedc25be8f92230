//! The numbers in batch headers: how many packets, and how many of them are noise.

use crate::blame::Evidence;
use crate::round::seal::Stage;
use crate::wire::{AbortReason, BatchHeader, Mismatch, SignedBatchHeader};

use super::super::Mix;

impl Mix {
    /// Whether a header that the mix at place `from` has signed can be true. Numbers that cannot be, of themselves or of what
    /// this mix has handed on to it, convict that mix.
    pub(in crate::mix) fn numbers_hold(&mut self, from: usize, signed: &SignedBatchHeader) -> bool {
        let header = &signed.header;
        let (round, most) = (header.round, self.network.parameters.noise_packets);
        let own = self.sealings.get(&round).filter(|_| self.own + 1 == from).and_then(|sealing| {
            let is_input = sealing.batches[self.own].as_ref()?.header.output == header.input;
            sealing.kept.batches.get(&(self.own as u8 + 1)).filter(|_| is_input)
        });
        let added = own.is_none_or(|own| header.added(own.len()).is_some_and(|added| added <= most));
        if added && self.can_be(header) {
            return true;
        }
        let own = own.map(Vec::as_slice);
        let document = self.epochs.signed(round);
        let evidence = document.and_then(|document| Evidence::false_header(&self.network, document, signed, own));
        self.reject("bad_batch", 1);
        if let Some(evidence) = evidence {
            self.found(evidence);
            self.void(round, AbortReason::BadBatch);
        }
        false
    }

    /// Whether the numbers of a header can be, whatever else there is to see: so they are never more than a round can hold.
    pub(in crate::mix) fn can_be(&self, header: &BatchHeader) -> bool {
        let listed = self.network.listed(header.members.count());
        header.members.fits(self.network.roster.clients.len())
            && header.noise_added(listed, self.network.parameters.noise_packets, None).is_ok()
    }

    /// Holds each header against that of the hop before, as far as both are there. Who is wrong is found when all show what
    /// they have seen.
    pub(super) fn numbers_follow(&mut self, round: u64) {
        let (network, most) = (&self.network, self.network.parameters.noise_packets);
        let Some(sealing) = self.sealings.get(&round) else { return };
        // Of a round without a list nobody could find out; from its confirm on this mix has seen all of them fit.
        if !matches!(sealing.seal.stage(), Stage::Mix | Stage::Echo) {
            return;
        }
        let pairs = sealing.batches.iter().zip(sealing.batches.iter().skip(1));
        let mut pairs = pairs.filter_map(|(before, header)| Some((&before.as_ref()?.header, &header.as_ref()?.header)));
        let wrong = pairs.find(|(before, header)| {
            let listed = network.listed(header.members.count());
            // Other clients are found where all have signed who is in.
            before.members == header.members && header.noise_added(listed, most, Some(before)).is_err()
        });
        if let Some((_, header)) = wrong {
            let (hop, subject) = (header.hop, header.subject());
            self.reject("bad_batch", 1);
            self.accuse(round, Mismatch::Header { hop }, subject);
        }
    }
}
