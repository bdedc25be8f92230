//! A burnt round and its replay.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::crypto::{Digest, Signature};
use crate::packet::{Echo, Peeler, Slots, Trace, commitment, next_echo};
use crate::wire::{
    Accusation, ClientRecords, ClientSignature, ListRecord, ListRoot, ListSignature, Mismatch, Network,
    SignedBatchHeader, SignedEchoHeader, SignedEpoch, Statement, batch_digest, echoes_digest, onion_digest,
};

use super::accused::{self, FalseProof, Shown};
use super::evidence::mix;
use super::proof::{ClientProof, DroppedProof, EchoProof, Onward, Proof, Round};
use super::taken::{ListShown, Passed, Source, Taken};
use super::{Evidence, EvidenceFault};

/// What the parties of a burnt round have shown of it.
pub struct Exhibits {
    /// The document of its epoch.
    pub document: SignedEpoch,
    /// The round.
    pub round: u64,
    /// The records of the list, in its order.
    pub records: Vec<ListRecord>,
    /// The clients' signatures that are in the list, and in its root.
    pub listed: Vec<ClientSignature>,
    /// The entry's signature under the list: the first of those that make it complete.
    pub entry: Signature,
    /// Clients' signatures over their records, as far as they are known; by roster index. Those of the list are added.
    pub clients: BTreeMap<u32, Signature>,
    /// Batches from hop 1 on, as far as the round came: header and the hash of each packet.
    pub batches: Vec<(SignedBatchHeader, Vec<Digest>)>,
    /// Echoes from hop L down, as far as the round came: header and echoes. None unless all batches are there.
    pub echoes: Vec<(SignedEchoHeader, Vec<Echo>)>,
    /// The mixes' onion keys of the round, in cascade order: all of them.
    pub keys: Vec<[u8; 32]>,
    /// Who accuses, from hop 1, of what, signed.
    pub accusations: Vec<(u8, Accusation, Signature)>,
}

/// Why a round cannot be replayed with what has been shown. Who owes something may still show it; nobody is guilty by
/// silence.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CaseFault {
    /// The epoch document does not hold.
    #[error("the round's document does not hold: {0}")]
    Document(EvidenceFault),
    /// The list is not the one that the entry has signed.
    #[error("the list is not the one that the entry has signed")]
    List,
    /// The onion key of a mix is missing, or not the one of the document.
    #[error("mix {hop} has not published its onion key of the round")]
    Key {
        /// Who owes it.
        hop: u8,
    },
    /// The batch of a mix is not signed by it, or its hashes are not those of its header.
    #[error("the batch of mix {hop} is not shown as it was signed")]
    Batch {
        /// Whose batch it is: it and the next mix owe the hashes.
        hop: u8,
    },
    /// A mix says that it took in another batch than the one before shows. It owes the header that it was sent: with it the
    /// mix before has signed two.
    #[error("mix {hop} has signed that it took in another batch than is shown")]
    Input {
        /// Who owes it.
        hop: u8,
    },
    /// The echoes of a mix are not signed by it, or not those of their header.
    #[error("the echoes of mix {hop} are not shown as they were signed")]
    Echoes {
        /// Whose echoes they are: it and the mix before owe them.
        hop: u8,
    },
    /// A mix says that it made its echoes from others than are shown. It owes the header that it was sent.
    #[error("mix {hop} has signed that it got other echoes than are shown")]
    EchoInput {
        /// Who owes it.
        hop: u8,
    },
    /// An accusation is not signed by its accuser, or of another round.
    #[error("an accusation of mix {hop} is not its own")]
    Accusation {
        /// Whom it names as its accuser.
        hop: u8,
    },
}

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
        check_list(&round, &shown)?;
        check_batches(&round, &shown.batches)?;
        check_echoes(&round, &shown)?;
        for (hop, accusation, signature) in &shown.accusations {
            let context = &round.context;
            let own = (accusation.slot.network, accusation.slot.epoch, accusation.slot.round)
                == (context.network, context.epoch, context.round)
                && mix(&network, *hop).is_ok_and(|mix| accusation.is_signed_by(mix, signature));
            if !own {
                return Err(CaseFault::Accusation { hop: *hop });
            }
        }
        let peelers = (1..=network.mixes() as u8).map(|hop| {
            let key = shown.keys.get(usize::from(hop) - 1).ok_or(CaseFault::Key { hop })?;
            round.peeler(hop, *key).map_err(|_| CaseFault::Key { hop })
        });
        let peelers = peelers.collect::<Result<Vec<_>, _>>()?;
        let document = round.document;
        let places = shown.batches.iter().map(|(_, hashes)| sorted(hashes)).collect();
        Ok(Self { network, shown, document, peelers, places })
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

    /// Every packet has been replayed and is right: the evidence against an accuser; `None` if what is shown does not prove
    /// any accusation false. An accuser who saw another statement than is shown owes that.
    pub fn close(&self) -> Option<Evidence> {
        self.shown.accusations.iter().find_map(|accused| self.refute(accused))
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
        // Where the packet stands in what each hop took in: in the list, then in the batches.
        let mut at = vec![place as u32];
        for ((places, hop), hash) in self.places.iter().zip(1u8..).zip(&trace.packets[1..]) {
            match find(places, hash) {
                Some(place) => at.push(place),
                None => return Some(self.dropped(hop, *at.last()?, record.index, onion)),
            }
        }
        self.echo(&trace, &at, record.index, onion).or_else(|| self.opens(&at, record.index, onion))
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
        let keys = self.shown.keys[..keys].to_vec();
        self.guilty(Proof::Client(ClientProof { records, signature, which, onion: onion.to_vec(), keys }))
    }

    /// Step 4.
    fn dropped(&self, hop: u8, place: u32, index: u32, onion: &[u8]) -> Ruling {
        let taken = self.taken(hop, place, index, onion);
        self.guilty(Proof::Dropped(DroppedProof { taken, passed: self.passed(hop) }))
    }

    /// Step 5, from the exit on: the first hop whose echo is not made from the one that it got.
    fn echo(&self, trace: &Trace, at: &[u32], index: u32, onion: &[u8]) -> Option<Ruling> {
        let exit = self.peelers.len() as u8;
        let mut came: Option<Echo> = None;
        for (hop, (header, echoes)) in (1..=exit).rev().zip(&self.shown.echoes) {
            let i = usize::from(hop) - 1;
            let expected = match came {
                None => *trace.echoes.last()?,
                Some(echo) => next_echo(&trace.echo_keys[i], &echo),
            };
            let place = at[i];
            let found = *echoes.get(place as usize)?;
            if found != expected {
                let taken = self.taken(hop, place, index, onion);
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

    /// Step 6, for a packet that an accuser could not open: here it opens.
    fn opens(&self, at: &[u32], index: u32, onion: &[u8]) -> Option<Ruling> {
        self.shown.accusations.iter().find_map(|(accuser, accusation, signature)| {
            let Mismatch::Layer { hop, place } = accusation.mismatch else { return None };
            let (header, hashes) = self.batch(hop)?;
            let meant = at.get(usize::from(hop)) == Some(&place)
                && accusation.subject == header.header.subject()
                && accused::is_possible(accusation.mismatch, *accuser, self.peelers.len());
            if !meant {
                return None;
            }
            let packet = Trace::packet_at(&self.peelers, index, onion, *accuser)?;
            let key = self.shown.keys[usize::from(*accuser) - 1];
            let taken = accused::layer(*accuser, key, packet, place, hashes.clone());
            let shown = Shown::Layer { header: header.header.clone(), taken };
            let (accusation, signature) = (accusation.clone(), *signature);
            Some(self.guilty(Proof::FalseAccusation(FalseProof { hop: *accuser, accusation, signature, shown })))
        })
    }

    fn refute(&self, (accuser, accusation, signature): &(u8, Accusation, Signature)) -> Option<Evidence> {
        let mixes = self.peelers.len();
        let Accusation { mismatch, .. } = accusation;
        let shown = match mismatch {
            _ if !accused::is_possible(*mismatch, *accuser, mixes) => Shown::Nothing,
            Mismatch::Layer { hop, .. } | Mismatch::Replay { hop, .. } => {
                let (header, hashes) = self.batch(*hop)?;
                Shown::Batch { header: header.header.clone(), hashes: hashes.clone() }
            }
            Mismatch::Noise { .. } => Shown::Noise { header: self.batch(*accuser)?.0.clone() },
            Mismatch::Echo { .. } => {
                let (header, echoes) = self.shown.echoes.get(mixes - 1)?;
                let list = ListShown::new(&self.shown.records, &self.shown.listed);
                Shown::Echo { header: header.header.clone(), echoes: echoes.clone(), list }
            }
            Mismatch::Equivocation { .. } | Mismatch::Transcript { .. } => return None,
        };
        let (accusation, signature) = (accusation.clone(), *signature);
        let proof = Proof::FalseAccusation(FalseProof { hop: *accuser, accusation, signature, shown });
        let evidence = Evidence::of_round(&self.shown.document, self.shown.round, proof);
        // Whether it was about what is shown here, and false, is what verifying finds.
        evidence.verify(&self.network).is_ok().then_some(evidence)
    }

    fn taken(&self, hop: u8, place: u32, index: u32, onion: &[u8]) -> Taken {
        let packet = Trace::packet_at(&self.peelers, index, onion, hop).expect("every layer has opened");
        let from = match hop {
            1 => Source::List(ListShown::new(&self.shown.records, &self.shown.listed), self.shown.entry),
            _ => Source::Batch(self.shown.batches[usize::from(hop) - 2].1.clone()),
        };
        Taken { hop, key: self.shown.keys[usize::from(hop) - 1], packet, place, from }
    }

    fn passed(&self, hop: u8) -> Passed {
        let (header, hashes) = &self.shown.batches[usize::from(hop) - 1];
        Passed { header: header.clone(), hashes: hashes.clone() }
    }

    fn batch(&self, hop: u8) -> Option<&(SignedBatchHeader, Vec<Digest>)> {
        self.shown.batches.get(usize::from(hop).checked_sub(1)?)
    }

    fn guilty(&self, proof: Proof) -> Ruling {
        Ruling::Guilty(Box::new(Evidence::of_round(&self.shown.document, self.shown.round, proof)))
    }

    fn list_context(&self) -> crate::wire::ListContext {
        let document = &self.shown.document.document;
        crate::wire::ListContext { network: document.network, epoch: document.epoch, round: self.shown.round }
    }
}

fn check_list(round: &Round<'_>, shown: &Exhibits) -> Result<(), CaseFault> {
    if !shown.records.is_sorted_by_key(|record| record.index) {
        return Err(CaseFault::List);
    }
    let context = round.list_context();
    let mut root = ListRoot::new(&context, u32::try_from(shown.records.len()).map_err(|_| CaseFault::List)?);
    shown.records.iter().for_each(|record| root.record(record));
    let signed = ListSignature { round: context.round, root: root.finish(&shown.listed), signature: shown.entry };
    let holds = mix(round.network, 1).is_ok_and(|entry| signed.is_signed_by(entry, &context));
    if holds { Ok(()) } else { Err(CaseFault::List) }
}

fn check_batches(round: &Round<'_>, batches: &[(SignedBatchHeader, Vec<Digest>)]) -> Result<(), CaseFault> {
    let mut before: Option<Digest> = None;
    for (hop, (signed, hashes)) in (1u8..).zip(batches) {
        let header = &signed.header;
        let sound = header.hop == hop
            && round.check_signed(signed).is_ok()
            && header.count as usize == hashes.len()
            && batch_digest(hashes) == header.output;
        if !sound {
            return Err(CaseFault::Batch { hop });
        }
        if before.is_some_and(|output| output != header.input) {
            return Err(CaseFault::Input { hop });
        }
        before = Some(header.output);
    }
    Ok(())
}

fn check_echoes(round: &Round<'_>, shown: &Exhibits) -> Result<(), CaseFault> {
    let exit = round.network.mixes();
    let mut before = shown.batches.get(exit - 2).map(|(signed, _)| signed.header.output);
    for (hop, (signed, echoes)) in (1..=exit as u8).rev().zip(&shown.echoes) {
        let header = &signed.header;
        let taken = match hop {
            1 => shown.records.len(),
            _ => shown.batches.get(usize::from(hop) - 2).map_or(0, |(_, hashes)| hashes.len()),
        };
        let sound = header.hop == hop
            && round.check_echoes(header).is_ok()
            && mix(round.network, hop).is_ok_and(|mix| signed.is_signed_by(mix))
            && echoes.len() == taken
            && header.count as usize == taken
            && echoes_digest(echoes) == header.digest;
        if !sound {
            return Err(CaseFault::Echoes { hop });
        }
        if before != Some(header.input) {
            return Err(CaseFault::EchoInput { hop });
        }
        before = Some(header.digest);
    }
    Ok(())
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
