//! A burnt round and its replay.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::crypto::{Digest, Signature};
use crate::packet::{Echo, Geometry, Peeler, Slots, Trace, commitment, next_echo};
use crate::wire::{
    Accusation, ClientRecords, ListContext, ListRecord, ListRoot, Mismatch, Network, SignedBatchHeader, onion_digest,
};

use super::accused::{self, FalseProof, Shown};
use super::noise::WrongNoise;
use super::proof::{ClientProof, DroppedProof, EchoProof, HeaderProof, Onward, Proof, Round};
use super::taken::{ListShown, Passed, Taken};
use super::{CaseFault, Evidence, Exhibits};

/// What a replay has come upon first.
pub enum Ruling {
    /// Somebody is guilty.
    Guilty(Box<Evidence>),
    /// The onion at this place is not the record's: the entry owes it.
    NotShown {
        /// The record's place in the list.
        place: u32,
    },
    /// The client's packet is wrong, and its signature does not hold or is not there: nobody is named.
    Unsigned {
        /// Its roster index.
        client: u32,
    },
}

/// One packet's way through all hops that take it.
pub(super) struct Walk<'a> {
    /// The first of them: 1 for a client's, of a mix's own the one behind that mix.
    pub first: u8,
    /// Where it stands in what that hop takes in: in the list, or in the batch before.
    pub place: u32,
    /// The client's roster index.
    pub index: u32,
    /// As the first hop takes it, W bytes.
    pub onion: &'a [u8],
}

/// A burnt round, ready to be replayed: everything signed has been held against everything that it names.
pub struct Case {
    network: Arc<Network>,
    shown: Exhibits,
    document: Digest,
    peelers: Vec<Peeler>,
    /// For each batch the hashes, sorted, with their places.
    places: Vec<Vec<(Digest, u32)>>,
}

impl Case {
    /// Holds what has been shown against what was signed, and sorts the hashes of every batch once.
    ///
    /// # Errors
    /// What does not fit, and who owes something.
    pub fn new(network: Arc<Network>, mut shown: Exhibits) -> Result<Self, CaseFault> {
        let listed = shown.listed.iter().map(|signature| (signature.index, signature.signature));
        shown.clients.extend(listed);
        let round = Round::new(&network, &shown.document, shown.round).map_err(CaseFault::Document)?;
        shown.check(&round)?;
        let peelers = (1..=network.mixes() as u8).map(|hop| {
            let key = shown.keys.get(usize::from(hop) - 1).ok_or(CaseFault::Key { hop })?;
            round.peeler(hop, key.0.key).map_err(|_| CaseFault::Key { hop })
        });
        let peelers = peelers.collect::<Result<Vec<_>, _>>()?;
        let document = round.document;
        let places = shown.batches.iter().map(|(_, hashes)| sorted(hashes)).collect();
        Ok(Self { network, shown, document, peelers, places })
    }

    /// Evidence that the batch header of `hop` does not fit what its mix took in; `None` if it does, or if that is not shown: of
    /// hop 1 the list, of others the hashes of the batch before. Needs no onion key.
    pub fn false_header(network: &Network, shown: &Exhibits, hop: u8) -> Option<Evidence> {
        let at = usize::from(hop).checked_sub(1)?;
        let header = shown.batches.get(at)?.0.clone();
        let from = Some(shown.took_in(hop)?);
        let evidence = Evidence::of_round(&shown.document, shown.round, Proof::Header(HeaderProof { header, from }));
        evidence.verify(network).is_ok().then_some(evidence)
    }

    /// The digest of the epoch document whose round it is.
    pub fn document(&self) -> Digest {
        self.document
    }

    /// How many onions there are to replay: the records of the list.
    pub fn len(&self) -> usize {
        self.shown.records.len()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.shown.records.is_empty()
    }

    /// Replays the onions of the list from place `first` on, as the clients sent them; the first fault in list order, if
    /// there is one. Segments may be replayed at one time: of several rulings the one of the earliest segment counts.
    pub fn replay(&self, first: usize, onions: &Slots) -> Option<Ruling> {
        let mut buffer = Vec::with_capacity(onions.geometry().stride());
        (0..onions.len()).find_map(|i| self.replay_one(first + i, onions.received(i), &mut buffer))
    }

    /// Every client's packet has been replayed and is right: the evidence against whose own packets are not, who has touched
    /// them, or an accuser; `None` if what is shown does not prove any accusation false. An accuser who saw another statement
    /// than is shown owes that. `noise` holds, by hop, what mixes have shown of theirs, where [`Case::needs_noise`] says so.
    pub fn close(&self, noise: &BTreeMap<u8, Vec<u8>>) -> Option<Evidence> {
        let own = self.replay_noise(noise);
        own.or_else(|| self.shown.accusations.iter().find_map(|accused| self.refute(accused, noise)))
    }

    fn replay_one(&self, place: usize, onion: &[u8], buffer: &mut Vec<u8>) -> Option<Ruling> {
        let record = self.shown.records.get(place)?;
        if onion_digest(onion) != record.onion {
            return Some(Ruling::NotShown { place: place as u32 });
        }
        let trace = Trace::new(&self.peelers, record.index, onion, buffer);
        if trace.failed.is_some() {
            return Some(self.blame_client(place, onion, trace.echo_keys.len() + 1));
        }
        let context = self.peelers.first()?.context();
        if commitment(context, record.index, trace.echoes.first()?) != record.commitment {
            return Some(self.blame_client(place, onion, self.peelers.len()));
        }
        self.follow(&Walk { first: 1, place: place as u32, index: record.index, onion }, &trace)
    }

    /// Steps 4 and 5, and 7 for a packet that an accuser could not open, of a packet whose every layer opens.
    pub(super) fn follow(&self, walk: &Walk<'_>, trace: &Trace) -> Option<Ruling> {
        let mut at = vec![walk.place];
        let batches = (1u8..).zip(&self.places).skip(usize::from(walk.first) - 1);
        for ((hop, places), hash) in batches.zip(&trace.packets[1..]) {
            let taken = |before: u32| self.taken(walk, hop, before);
            match find(places, hash) {
                None => return Some(self.dropped(hop, taken(*at.last()?))),
                Some(place) if self.declared(hop).is_some_and(|it| it.noise.binary_search(&place).is_ok()) => {
                    return self.wrong_noise(hop, WrongNoise::Taken(taken(*at.last()?)));
                }
                Some(place) => at.push(place),
            }
        }
        self.echo(walk, trace, &at).or_else(|| self.opens(walk, &at))
    }

    /// Step 2 and 3: the client, if it has signed for this packet.
    fn blame_client(&self, place: usize, onion: &[u8], keys: usize) -> Ruling {
        let index = self.shown.records[place].index;
        let from = self.shown.records.partition_point(|record| record.index < index);
        let to = self.shown.records.partition_point(|record| record.index <= index);
        let own = self.shown.records.get(from..to).unwrap_or_default();
        let client = self.network.roster.clients.get(index as usize);
        let signature = self.shown.clients.get(&index).copied();
        let context = self.list_context();
        let signed = client
            .zip(signature)
            .filter(|(client, signature)| ClientRecords::verify(&client.identity, &context, own, signature));
        let Some((_, signature)) = signed else { return Ruling::Unsigned { client: index } };
        let records = own.iter().map(ListRecord::to_bytes).collect();
        let which = (place - from) as u32;
        let keys = self.shown.keys[..keys].iter().map(|(key, _)| key.key).collect();
        self.guilty(Proof::Client(ClientProof { records, signature, which, onion: onion.to_vec(), keys }))
    }

    /// Step 4.
    fn dropped(&self, hop: u8, taken: Taken) -> Ruling {
        self.guilty(Proof::Dropped(DroppedProof { taken, passed: self.passed(hop) }))
    }

    /// Step 5, from the exit on: the first hop whose echo is not made from the one that it got.
    fn echo(&self, walk: &Walk<'_>, trace: &Trace, at: &[u32]) -> Option<Ruling> {
        let exit = self.peelers.len() as u8;
        let mut came: Option<Echo> = None;
        for (hop, (header, echoes)) in (walk.first..=exit).rev().zip(&self.shown.echoes) {
            let i = usize::from(hop - walk.first);
            let expected = match came {
                None => *trace.echoes.last()?,
                Some(echo) => next_echo(&trace.echo_keys[i], &echo),
            };
            let place = at[i];
            let found = *echoes.get(place as usize)?;
            if found != expected {
                let taken = self.taken(walk, hop, place);
                let onward = came.map(|_| {
                    let (_, echoes) = &self.shown.echoes[usize::from(exit - hop) - 1];
                    Onward { passed: self.passed(hop), place: at[i + 1], echoes: echoes.clone() }
                });
                let (header, echoes) = (header.clone(), echoes.clone());
                return Some(self.guilty(Proof::Echo(EchoProof { taken, header, echoes, onward })));
            }
            came = Some(found);
        }
        None
    }

    /// Step 7, for a packet that an accuser could not open: here it opens.
    fn opens(&self, walk: &Walk<'_>, at: &[u32]) -> Option<Ruling> {
        self.shown.accusations.iter().find_map(|(accuser, accusation, signature)| {
            let Mismatch::Layer { hop, place } = accusation.mismatch else { return None };
            let (header, _) = self.batch(hop)?;
            let taken_at = usize::from(hop + 1).checked_sub(walk.first.into())?;
            let meant = at.get(taken_at) == Some(&place)
                && accusation.subject == header.header.subject()
                && accused::is_possible(accusation.mismatch, *accuser, self.peelers.len());
            if !meant {
                return None;
            }
            let shown = Shown::Layer { header: header.header.clone(), taken: self.taken(walk, *accuser, place) };
            let (accusation, signature) = (accusation.clone(), *signature);
            Some(self.guilty(Proof::FalseAccusation(FalseProof { hop: *accuser, accusation, signature, shown })))
        })
    }

    fn refute(
        &self,
        (accuser, accusation, signature): &(u8, Accusation, Signature),
        noise: &BTreeMap<u8, Vec<u8>>,
    ) -> Option<Evidence> {
        let mixes = self.peelers.len();
        let Accusation { mismatch, .. } = accusation;
        let shown = match mismatch {
            _ if !accused::is_possible(*mismatch, *accuser, mixes) => Shown::Nothing,
            Mismatch::Layer { hop, .. } | Mismatch::Replay { hop, .. } => {
                let (header, hashes) = self.batch(*hop)?;
                Shown::Batch { header: header.header.clone(), hashes: hashes.clone() }
            }
            Mismatch::Noise { hop, place } => {
                let (declared, signature) = self.shown.keys.get(usize::from(*accuser) - 1)?.clone();
                Shown::Noise {
                    declared,
                    signature,
                    right: self.right_noise(*accuser, (*hop, *place), noise).map(Box::new),
                }
            }
            Mismatch::Echo { .. } => {
                let (header, echoes) = self.shown.echoes.get(mixes - 1)?;
                let list = ListShown::new(&self.shown.records, &self.shown.listed);
                Shown::Echo { header: header.header.clone(), echoes: echoes.clone(), list }
            }
            Mismatch::Equivocation { .. } | Mismatch::Transcript { .. } | Mismatch::Header { .. } => return None,
        };
        let (accusation, signature) = (accusation.clone(), *signature);
        let proof = Proof::FalseAccusation(FalseProof { hop: *accuser, accusation, signature, shown });
        let evidence = Evidence::of_round(&self.shown.document, self.shown.round, proof);
        // Whether it was about what is shown here, and false, is what verifying finds.
        evidence.verify(&self.network).is_ok().then_some(evidence)
    }

    /// What `hop` took in on this walk.
    fn taken(&self, walk: &Walk<'_>, hop: u8, place: u32) -> Taken {
        let peelers = self.peelers_from(walk.first);
        let packet = Trace::packet_at(peelers, walk.index, walk.onion, hop - walk.first + 1);
        Taken {
            hop,
            key: self.shown.keys[usize::from(hop) - 1].0.key,
            packet: packet.expect("every layer has opened"),
            place,
            from: self.shown.took_in(hop).expect("it has been found in there"),
        }
    }

    pub(super) fn shown(&self) -> &Exhibits {
        &self.shown
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.peelers[0].geometry()
    }

    /// Of hop `first` and all behind it.
    pub(super) fn peelers_from(&self, first: u8) -> &[Peeler] {
        &self.peelers[usize::from(first) - 1..]
    }

    /// Of the list.
    pub(super) fn root(&self) -> Digest {
        let mut root = ListRoot::new(&self.list_context(), self.shown.records.len() as u32);
        self.shown.records.iter().for_each(|record| root.record(record));
        root.finish(&self.shown.listed)
    }

    pub(super) fn passed(&self, hop: u8) -> Passed {
        let (header, hashes) = &self.shown.batches[usize::from(hop) - 1];
        Passed { header: header.clone(), hashes: hashes.clone() }
    }

    fn batch(&self, hop: u8) -> Option<&(SignedBatchHeader, Vec<Digest>)> {
        self.shown.batches.get(usize::from(hop).checked_sub(1)?)
    }

    pub(super) fn guilty(&self, proof: Proof) -> Ruling {
        Ruling::Guilty(Box::new(Evidence::of_round(&self.shown.document, self.shown.round, proof)))
    }

    fn list_context(&self) -> ListContext {
        let document = &self.shown.document.document;
        ListContext { network: document.network, epoch: document.epoch, round: self.shown.round }
    }
}

/// Hashes in ascending order, each with its place.
fn sorted(hashes: &[Digest]) -> Vec<(Digest, u32)> {
    let mut places: Vec<_> = hashes.iter().copied().zip(0..).collect();
    places.sort_unstable();
    places
}

fn find(places: &[(Digest, u32)], hash: &Digest) -> Option<u32> {
    let at = places.partition_point(|(known, _)| known < hash);
    places.get(at).filter(|(known, _)| known == hash).map(|(_, place)| *place)
}
