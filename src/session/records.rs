//! What goes behind a submission's packets, so that every mix can tell whether its client's packets are in.

use std::sync::{Arc, Mutex, PoisonError};

use crate::crypto::{Digest, IdentityKey, PRF_BYTES, SecretKey};
use crate::packet::{Echo, RoundContext, commitment};
use crate::wire::{ClientRecords, EpochDocument, ListContext, ListKey, ListRecord, ListSecret};

/// What a client makes its records with; shared by the jobs.
pub(super) struct RecordKeys {
    identity: Arc<IdentityKey>,
    list: SecretKey,
    /// Its keys towards the mixes in cascade order, of the epoch last asked for: rounds come one after the other.
    agreed: Mutex<Option<(u64, Arc<[ListKey]>)>>,
}

impl RecordKeys {
    pub(super) fn new(identity: Arc<IdentityKey>, list: SecretKey) -> Self {
        Self { identity, list, agreed: Mutex::default() }
    }

    /// The bytes behind the packets of these `onions`, a submission to the round of `context`, whose verified document is `document`: see
    /// [`client_records`]. The first job of an epoch agrees on the keys, one scalar multiplication a mix.
    pub(super) fn records(
        &self,
        (context, document): (&RoundContext, &EpochDocument),
        index: u32,
        onions: &[Digest],
        echoes: &[Echo],
    ) -> Vec<u8> {
        let keys = self.towards_mixes(document);
        client_records(context, index, onions, echoes, &keys, &self.identity).to_bytes()
    }

    fn towards_mixes(&self, document: &EpochDocument) -> Arc<[ListKey]> {
        let mut agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, keys)) = agreed.as_ref().filter(|(epoch, _)| *epoch == document.epoch) {
            return keys.clone();
        }
        let secret = ListSecret::new(&self.list, document.network, document.epoch);
        let towards = |key| secret.with_mix(key).expect("a verified document's keys are points");
        let keys: Arc<[ListKey]> = document.mixes.iter().map(|mix| towards(&mix.list_key)).collect();
        *agreed = Some((document.epoch, keys.clone()));
        keys
    }
}

/// The records of a submission with their MACs and the client's signature; [`ClientRecords::to_bytes`] goes behind the
/// packets. `onions` are their digests in order ([`crate::wire::onion_digests`]), `echoes` the echo of each as
/// [`crate::packet::Builder::client_packet`] returned it, in the same order; `index` is the client's roster index, `keys`
/// are its keys towards all mixes in cascade order, in the epoch of `context`.
pub fn client_records(
    context: &RoundContext,
    index: u32,
    onions: &[Digest],
    echoes: &[[u8; PRF_BYTES]],
    keys: &[ListKey],
    identity: &IdentityKey,
) -> ClientRecords {
    debug_assert_eq!(onions.len(), echoes.len(), "each packet has its echo");
    let record = |(onion, echo): (&Digest, &[u8; PRF_BYTES])| ListRecord {
        index,
        onion: *onion,
        commitment: commitment(context, index, echo),
    };
    let records = onions.iter().zip(echoes).map(record).collect();
    let context = ListContext { network: context.network, epoch: context.epoch, round: context.round };
    ClientRecords::make(&context, records, keys, identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Geometry;
    use crate::wire::onion_digests;

    #[test]
    fn the_entry_finds_each_packets_record_behind_a_submission() {
        let geometry = Geometry::new(3, 256).expect("a network's");
        let context = RoundContext { network: Digest([1; 32]), epoch: 7, round: 300 };
        let packets = [vec![0xa1; geometry.packet()], vec![0xa2; geometry.packet()]].concat();
        let echoes = [[0xe1; 16], [0xe2; 16]];
        let (own, mixes) = (SecretKey::from_bytes([5; 32]), [11, 12, 13].map(|seed| SecretKey::from_bytes([seed; 32])));
        let secret = ListSecret::new(&own, context.network, context.epoch);
        let keys = mixes.each_ref().map(|mix| secret.with_mix(&mix.public_key()).expect("a point"));
        let identity = IdentityKey::from_seed(&[3; 32]);
        let onions = onion_digests(packets.chunks(geometry.packet()));
        let bytes = client_records(&context, 9, &onions, &echoes, &keys, &identity).to_bytes();

        assert_eq!(bytes.len(), ClientRecords::length(2, 3));
        let read = ClientRecords::parse(&bytes, 9, &onions, 3).expect("its length is right");
        for (record, echo) in read.records().iter().zip(&echoes) {
            assert_eq!(record.commitment, commitment(&context, 9, echo));
        }
        let context = ListContext { network: context.network, epoch: 7, round: 300 };
        assert!(read.is_signed_by(&identity.identity(), &context));
        for (at, mix) in mixes.iter().enumerate() {
            let key = ListSecret::new(mix, context.network, 7).with_client(&own.public_key()).expect("a point");
            assert!(read.rows(at).all(|row| key.check(300, &row)), "mix {at}");
        }
    }
}
