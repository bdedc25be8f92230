//! What convicts a party of a burnt round, and how it is checked.

use crate::crypto::{Backend, Digest, PublicKey, SecretKey, Signature};
use crate::packet::{Echo, Geometry, Peeler, RoundContext, Trace, commitment, first_echo, next_echo};
use crate::wire::codec::{Decode, Encode};
use crate::wire::{
    BatchHeader, ClientRecords, EchoHeader, EpochDocument, ListContext, ListRecord, Network, RECORD_BYTES,
    SignedBatchHeader, SignedEchoHeader, SignedEpoch, Slot, batch_digest, echoes_digest, onion_digest,
};

use super::accused;
use super::evidence::{mix, same};
use super::noise::NoiseProof;
use super::promised::{ConfirmProof, ShareProof};
use super::taken::{Passed, Source, Taken};
use super::{EvidenceFault, Guilty, Offence};

pub(super) type Convicted = Result<(Guilty, Offence), EvidenceFault>;

#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) enum Proof {
    /// A client's own packet convicts it.
    Client(ClientProof),
    /// What a mix took in is not in what it handed on.
    Dropped(DroppedProof),
    /// What a mix handed back is not what it got and its own packet make.
    Echo(EchoProof),
    /// What a mix found wrong is right.
    FalseAccusation(accused::FalseProof),
    /// A batch header says what cannot be of what its mix took in.
    Header(HeaderProof),
    /// What a mix says that it added is not noise that opens.
    Noise(NoiseProof),
    /// What a mix confirms is not what it shows for it.
    Confirm(Box<ConfirmProof>),
    /// What a mix released is not what it had committed to.
    Share(ShareProof),
}

/// All records of a client in a round, signed, and the packet of one of them.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct ClientProof {
    pub records: Vec<[u8; RECORD_BYTES]>,
    pub signature: Signature,
    /// Which record, from 0.
    pub which: u32,
    /// As the client sent it.
    pub onion: Vec<u8>,
    /// Onion keys from hop 1 on, up to the hop at which it does not open; all if it opens everywhere.
    pub keys: Vec<[u8; 32]>,
}

#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct DroppedProof {
    pub taken: Taken,
    pub passed: Passed,
}

#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct HeaderProof {
    pub header: SignedBatchHeader,
    /// What its mix took in; without it the header speaks against itself.
    pub from: Option<Source>,
}

#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct EchoProof {
    pub taken: Taken,
    pub header: SignedEchoHeader,
    /// All that were handed back.
    pub echoes: Vec<Echo>,
    /// Unless it is the exit's: where the packet went, and what came back for that batch.
    pub onward: Option<Onward>,
}

#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct Onward {
    pub passed: Passed,
    pub place: u32,
    pub echoes: Vec<Echo>,
}

/// The round that evidence is about, with everything in its document verified.
pub(super) struct Round<'a> {
    pub network: &'a Network,
    /// The epoch document.
    pub epoch: &'a EpochDocument,
    /// Its digest.
    pub document: Digest,
    pub context: RoundContext,
    pub geometry: Geometry,
    onion_keys: Vec<PublicKey>,
}

impl<'a> Round<'a> {
    pub(super) fn new(network: &'a Network, signed: &'a SignedEpoch, round: u64) -> Result<Self, EvidenceFault> {
        let document = &signed.document;
        document.check(network)?;
        signed.verify(network)?;
        let geometry = Geometry::new(network.mixes(), network.parameters.payload as usize);
        let (geometry, onion_keys) = geometry.zip(document.onion_keys(round)).ok_or(EvidenceFault::Slot)?;
        let context = RoundContext { network: document.network, epoch: document.epoch, round };
        Ok(Self { network, epoch: document, document: document.digest(), context, geometry, onion_keys })
    }

    pub(super) fn slot(&self) -> Slot {
        Slot { network: self.context.network, epoch: self.context.epoch, round: self.context.round }
    }

    pub(super) fn list_context(&self) -> ListContext {
        ListContext { network: self.context.network, epoch: self.context.epoch, round: self.context.round }
    }

    /// The peeler of `hop`, if `key` is its published key.
    pub(super) fn peeler(&self, hop: u8, key: [u8; 32]) -> Result<Peeler, EvidenceFault> {
        let known = self.onion_keys.get(usize::from(hop).wrapping_sub(1)).ok_or(EvidenceFault::Slot)?;
        let peeler = Peeler::new(self.geometry, self.context, hop, &SecretKey::from_bytes(key), Backend::default());
        if peeler.public_key() == *known { Ok(peeler) } else { Err(EvidenceFault::Key) }
    }

    /// Unless a batch header is of this round and of a hop that hands on.
    pub(super) fn check_batch(&self, header: &BatchHeader) -> Result<(), EvidenceFault> {
        let exit = self.network.mixes();
        let own = header.network == self.context.network
            && header.epoch == self.document
            && header.round == self.context.round
            && (1..exit).contains(&usize::from(header.hop));
        if own { Ok(()) } else { Err(EvidenceFault::Slot) }
    }

    pub(super) fn check_echoes(&self, header: &EchoHeader) -> Result<(), EvidenceFault> {
        let own = header.network == self.context.network
            && header.epoch == self.document
            && header.round == self.context.round
            && (1..=self.network.mixes()).contains(&usize::from(header.hop));
        if own { Ok(()) } else { Err(EvidenceFault::Slot) }
    }

    pub(super) fn check_signed(&self, signed: &SignedBatchHeader) -> Result<(), EvidenceFault> {
        self.check_batch(&signed.header)?;
        let identity = mix(self.network, signed.header.hop)?;
        if signed.is_signed_by(identity) { Ok(()) } else { Err(EvidenceFault::Signature) }
    }
}

impl Proof {
    pub(super) fn verify(&self, round: &Round<'_>) -> Convicted {
        match self {
            Proof::Client(proof) => proof.verify(round),
            Proof::Dropped(proof) => proof.verify(round),
            Proof::Echo(proof) => proof.verify(round),
            Proof::FalseAccusation(proof) => proof.verify(round),
            Proof::Header(proof) => proof.verify(round),
            Proof::Noise(proof) => proof.verify(round),
            Proof::Confirm(proof) => proof.verify(round),
            Proof::Share(proof) => proof.verify(round),
        }
    }
}

impl ClientProof {
    fn verify(&self, round: &Round<'_>) -> Convicted {
        let records: Vec<ListRecord> = self.records.iter().map(ListRecord::from_bytes).collect();
        let named = records.get(self.which as usize).ok_or(EvidenceFault::Records)?;
        let index = named.index;
        let whole = records.len() == round.network.parameters.packets_per_client as usize;
        let client = round.network.roster.clients.get(index as usize);
        let client = client.filter(|_| whole && records.iter().all(|record| record.index == index));
        let client = client.ok_or(EvidenceFault::Records)?;
        if !ClientRecords::verify(&client.identity, &round.list_context(), &records, &self.signature) {
            return Err(EvidenceFault::ClientSignature);
        }
        if self.onion.len() != round.geometry.packet() || onion_digest(&self.onion) != named.onion {
            return Err(EvidenceFault::Packet);
        }
        if self.keys.is_empty() || self.keys.len() > round.network.mixes() {
            return Err(EvidenceFault::Key);
        }
        let peelers = (1..).zip(&self.keys).map(|(hop, key)| round.peeler(hop, *key));
        let peelers = peelers.collect::<Result<Vec<_>, _>>()?;
        let trace = Trace::new(&peelers, index, &self.onion, &mut Vec::new());
        let (opened, shown) = (trace.echo_keys.len(), peelers.len());
        match trace.failed {
            // The last key that is shown, and no other, is that of the layer which does not open.
            Some(_) if opened + 1 == shown => Ok((Guilty::Client(index), Offence::Layer { hop: shown as u8 })),
            Some(error) => Err(EvidenceFault::Layer(error)),
            None if shown == round.network.mixes() => {
                let echo = trace.echoes.first().ok_or(EvidenceFault::Key)?;
                if commitment(&round.context, index, echo) == named.commitment {
                    return Err(EvidenceFault::Innocent);
                }
                Ok((Guilty::Client(index), Offence::Commitment))
            }
            None => Err(EvidenceFault::Innocent),
        }
    }
}

impl DroppedProof {
    fn verify(&self, round: &Round<'_>) -> Convicted {
        let hop = self.passed.check(round, &self.taken)?;
        let (packet, _) = self.taken.peel(round)?;
        if self.passed.hashes.contains(&onion_digest(&packet)) {
            return Err(EvidenceFault::Innocent);
        }
        Ok((Guilty::Mix(hop), Offence::Dropped))
    }
}

impl HeaderProof {
    fn verify(&self, round: &Round<'_>) -> Convicted {
        round.check_signed(&self.header)?;
        let header = &self.header.header;
        let network = round.network;
        let listed = network.listed(header.members.count());
        let most = network.parameters.noise_packets;
        let fits = match &self.from {
            None => true,
            Some(from) => {
                let taken = from.check(round, header)?;
                let members = match from {
                    Source::List(list, _) => list.members(round)? == header.members,
                    // It may have signed under two lists of the round, and its header does not name which.
                    Source::Batch(_) => true,
                };
                members && header.added(taken).is_some_and(|added| added <= most)
            }
        };
        let fits = fits && header.noise_added(listed, most, None).is_ok();
        if fits { Err(EvidenceFault::Innocent) } else { Ok((Guilty::Mix(header.hop), Offence::Header)) }
    }
}

impl EchoProof {
    fn verify(&self, round: &Round<'_>) -> Convicted {
        let header = &self.header.header;
        round.check_echoes(header)?;
        if !self.header.is_signed_by(mix(round.network, header.hop)?) {
            return Err(EvidenceFault::Signature);
        }
        same(echoes_digest(&self.echoes), header.digest)?;
        if self.taken.hop != header.hop {
            return Err(EvidenceFault::Slot);
        }
        let handed_back = self.echoes.get(self.taken.place as usize).ok_or(EvidenceFault::Packet)?;
        let (packet, key) = self.taken.peel(round)?;
        let expected = match &self.onward {
            None if usize::from(header.hop) == round.network.mixes() => {
                self.taken.check_batch(header.input)?;
                first_echo(&key, round.geometry, round.context.round, &packet)
            }
            None => return Err(EvidenceFault::Slot),
            Some(onward) => {
                onward.passed.check(round, &self.taken)?;
                same(echoes_digest(&onward.echoes), header.input)?;
                let (hash, echo) = onward.at().ok_or(EvidenceFault::Packet)?;
                if onion_digest(&packet) != hash {
                    return Err(EvidenceFault::Packet);
                }
                next_echo(&key, &echo)
            }
        };
        if expected == *handed_back {
            return Err(EvidenceFault::Innocent);
        }
        Ok((Guilty::Mix(header.hop), Offence::Echo))
    }
}

impl Onward {
    /// What went to its place, and what came back for it.
    fn at(&self) -> Option<(Digest, Echo)> {
        let place = self.place as usize;
        Some((*self.passed.hashes.get(place)?, *self.echoes.get(place)?))
    }
}

impl Passed {
    /// Unless the mix has signed that it handed this on; its hop.
    pub(super) fn check_signed(&self, round: &Round<'_>) -> Result<u8, EvidenceFault> {
        round.check_signed(&self.header)?;
        same(batch_digest(&self.hashes), self.header.header.output)?;
        Ok(self.header.header.hop)
    }

    /// The hop that took in `taken` and says that it handed this on.
    pub(super) fn check(&self, round: &Round<'_>, taken: &Taken) -> Result<u8, EvidenceFault> {
        self.check_signed(round)?;
        let header = &self.header.header;
        if taken.hop != header.hop {
            return Err(EvidenceFault::Slot);
        }
        taken.check(round, header)?;
        Ok(header.hop)
    }
}
