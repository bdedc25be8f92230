//! One packet as a mix took it in, and what binds the mix to that.

use crate::crypto::{Digest, PrfKey, Signature};
use crate::packet::SEAL_BYTES;
use crate::wire::codec::{Decode, Encode};
use crate::wire::{
    BatchHeader, ClientSignature, ListRecord, ListRoot, ListSignature, Members, RECORD_BYTES, ROW_BYTES,
    SignedBatchHeader, batch_digest, onion_digest,
};

use super::EvidenceFault;
use super::evidence::{mix, same};
use super::proof::Round;

/// One packet as the mix at `hop` took it in.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct Taken {
    pub hop: u8,
    /// The mix's onion key of the round.
    pub key: [u8; 32],
    /// The packet, W bytes.
    pub packet: Vec<u8>,
    /// Its place in the batch taken in; at the entry in the list.
    pub place: u32,
    pub from: Source,
}

/// Everything that was taken in with it, by hash.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) enum Source {
    /// By the entry: the list, which it has signed.
    List(ListShown, Signature),
    /// By another mix: the batch that its header names as its input.
    Batch(Vec<Digest>),
}

/// A whole list.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct ListShown {
    pub records: Vec<[u8; RECORD_BYTES]>,
    pub signatures: Vec<[u8; ROW_BYTES]>,
}

/// What a mix says that it handed on.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct Passed {
    pub header: SignedBatchHeader,
    /// The hash of each packet behind it.
    pub hashes: Vec<Digest>,
}

impl ListShown {
    pub(super) fn new(records: &[ListRecord], signatures: &[ClientSignature]) -> Self {
        let records = records.iter().map(ListRecord::to_bytes).collect();
        Self { records, signatures: signatures.iter().map(ClientSignature::to_bytes).collect() }
    }

    pub(super) fn root(&self, round: &Round<'_>) -> Digest {
        let count = u32::try_from(self.records.len()).expect("it came from a file of 64 MiB");
        let mut root = ListRoot::new(&round.list_context(), count);
        self.records.iter().for_each(|record| root.record(&ListRecord::from_bytes(record)));
        let signatures: Vec<_> = self.signatures.iter().map(ClientSignature::from_bytes).collect();
        root.finish(&signatures)
    }

    /// Unless the entry has signed it.
    pub(super) fn check(&self, round: &Round<'_>, signature: Signature) -> Result<(), EvidenceFault> {
        let context = round.list_context();
        let signed = ListSignature { round: context.round, root: self.root(round), signature };
        let is_entrys = signed.is_signed_by(mix(round.network, 1)?, &context);
        if is_entrys { Ok(()) } else { Err(EvidenceFault::Signature) }
    }

    /// The clients in it, who are on the roster.
    pub(super) fn members(&self, round: &Round<'_>) -> Result<Members, EvidenceFault> {
        let clients = round.network.roster.clients.len();
        let mut members = Members::none(clients);
        for record in &self.records {
            let index = ListRecord::from_bytes(record).index;
            if index as usize >= clients {
                return Err(EvidenceFault::Records);
            }
            members.insert(index);
        }
        Ok(members)
    }

    pub(super) fn record(&self, place: u32) -> Option<ListRecord> {
        self.records.get(place as usize).map(ListRecord::from_bytes)
    }
}

impl Source {
    /// How many packets it is, unless it is not what the mix of `header` has signed that it took in.
    pub(super) fn check(&self, round: &Round<'_>, header: &BatchHeader) -> Result<usize, EvidenceFault> {
        match self {
            Source::List(list, signature) if header.hop == 1 => {
                list.check(round, *signature)?;
                Ok(list.records.len())
            }
            Source::Batch(hashes) if header.hop > 1 => {
                same(batch_digest(hashes), header.input)?;
                Ok(hashes.len())
            }
            _ => Err(EvidenceFault::Slot),
        }
    }
}

impl Taken {
    /// Unless the mix has signed that it took the packet in; `header` is its own, of the batch that it handed on.
    pub(super) fn check(&self, round: &Round<'_>, header: &BatchHeader) -> Result<(), EvidenceFault> {
        match &self.from {
            Source::List(list, signature) if self.hop == 1 => {
                let named = list.record(self.place).ok_or(EvidenceFault::Packet)?;
                if onion_digest(&self.packet) != named.onion {
                    return Err(EvidenceFault::Packet);
                }
                list.check(round, *signature)
            }
            Source::Batch(_) if self.hop > 1 => self.check_batch(header.input),
            _ => Err(EvidenceFault::Slot),
        }
    }

    /// Unless it is in the batch with this digest, which its mix has signed as what it took in.
    pub(super) fn check_batch(&self, input: Digest) -> Result<(), EvidenceFault> {
        let Source::Batch(hashes) = &self.from else { return Err(EvidenceFault::Slot) };
        same(batch_digest(hashes), input)?;
        if hashes.get(self.place as usize) == Some(&onion_digest(&self.packet)) {
            Ok(())
        } else {
            Err(EvidenceFault::Packet)
        }
    }

    /// What it peels to, W bytes, and the layer's echo key.
    pub(super) fn peel(&self, round: &Round<'_>) -> Result<(Vec<u8>, PrfKey), EvidenceFault> {
        let peeler = round.peeler(self.hop, self.key)?;
        let index = match &self.from {
            Source::List(list, _) => list.record(self.place).ok_or(EvidenceFault::Packet)?.index,
            Source::Batch(_) => crate::packet::NO_EXTRA,
        };
        if self.packet.len() != round.geometry.packet() {
            return Err(EvidenceFault::Packet);
        }
        let mut slot = self.packet.clone();
        slot.resize(round.geometry.stride(), 0);
        let key = peeler.peel_slot(&mut slot, index).map_err(EvidenceFault::Layer)?;
        slot.drain(..SEAL_BYTES);
        Ok((slot, key))
    }
}
