//! What a burnt round's parties can show: which parts there are, how long each is, and who knows it.

use std::collections::BTreeMap;

use crate::blame::Exhibits;
use crate::crypto::{Digest, Signature};
use crate::packet::Echo;
use crate::wire::{Exhibit, ListRecord, Members, PIECE_BYTES, batch_digest, echoes_digest, onion_digest};

use super::super::Mix;
use super::super::sealing::Sealing;

/// The part of a burnt round that can be replayed: how many packets, which batches and echoes.
pub(super) struct Extent {
    pub packets: usize,
    clients: usize,
    /// How many packets each hop has handed on, from hop 1.
    batches: Vec<usize>,
    /// Hops L down; empty unless all batches are there.
    echoes: Vec<u8>,
}

impl Extent {
    /// As far as every signed header is known and can be true. Headers whose numbers cannot be were never taken.
    pub(super) fn of(sealing: &Sealing) -> Option<Self> {
        let list = sealing.list()?;
        let packets = list.records().len();
        let batches: Vec<usize> =
            sealing.batches.iter().map_while(|batch| Some(batch.as_ref()?.header.count as usize)).collect();
        let all = batches.len() == sealing.batches.len();
        let taken = |hop: u8| usize::from(hop).checked_sub(2).map_or(Some(packets), |at| batches.get(at).copied());
        let echoes = (1..=sealing.echoes.len() as u8).zip(&sealing.echoes).rev().take_while(|(hop, echo)| {
            echo.as_ref().is_some_and(|echo| Some(echo.header.count as usize) == taken(*hop))
        });
        let echoes = echoes.map(|(hop, _)| hop).filter(|_| all).collect();
        Some(Self { packets, clients: list.members().count() as usize, batches, echoes })
    }

    /// How many packets `hop` took in.
    fn taken(&self, hop: u8) -> usize {
        usize::from(hop).checked_sub(2).map_or(self.packets, |at| self.handed_on(at as u8 + 1))
    }

    /// How many it handed on.
    fn handed_on(&self, hop: u8) -> usize {
        usize::from(hop).checked_sub(1).and_then(|at| self.batches.get(at)).copied().unwrap_or_default()
    }

    fn hops(&self) -> std::ops::RangeInclusive<u8> {
        1..=self.batches.len() as u8
    }

    fn exhibits(&self) -> impl Iterator<Item = Exhibit> {
        let batches = self.hops().map(|hop| Exhibit::Batch { hop });
        let echoes = self.echoes.clone().into_iter().map(|hop| Exhibit::Echoes { hop });
        batches.chain(echoes).chain([Exhibit::Signatures])
    }
}

impl Mix {
    /// What has to be shown before, or of the next segment to replay.
    pub(super) fn missing(&self, round: u64, extent: &Extent) -> Vec<Exhibit> {
        let Some(sealing) = self.sealings.get(&round) else { return Vec::new() };
        let Some(blame) = &sealing.blame else { return Vec::new() };
        if let Some(case) = &blame.case {
            let segment = (blame.replayed / self.packets_a_segment()) as u32;
            let onions = vec![Exhibit::Onions { segment }];
            return match blame.replayed < case.len() {
                true if self.own == 0 => Vec::new(),
                true => onions,
                false => {
                    let noise = extent.hops().filter(|hop| case.needs_noise(*hop) && !blame.noise.contains_key(hop));
                    noise.map(|hop| Exhibit::Noise { hop }).collect()
                }
            };
        }
        let there = |exhibit: &Exhibit| match exhibit {
            Exhibit::Batch { hop } => sealing.kept.batches.contains_key(hop),
            Exhibit::Echoes { hop } => sealing.kept.echoes.contains_key(hop),
            _ => blame.signatures.is_some() || self.own == 0,
        };
        extent.exhibits().filter(|exhibit| !there(exhibit)).collect()
    }

    /// Packets of a segment of onions.
    pub(super) fn packets_a_segment(&self) -> usize {
        (PIECE_BYTES / self.geometry.packet()).max(1)
    }

    pub(super) fn length(&self, round: u64, extent: &Extent, exhibit: Exhibit) -> usize {
        match exhibit {
            Exhibit::Batch { hop } => extent.handed_on(hop) * Digest::BYTES,
            Exhibit::Echoes { hop } => extent.taken(hop) * size_of::<Echo>(),
            Exhibit::Signatures => extent.clients * Signature::BYTES,
            Exhibit::Onions { segment } => {
                let first = (segment as usize).saturating_mul(self.packets_a_segment());
                extent.packets.saturating_sub(first).min(self.packets_a_segment()) * self.geometry.packet()
            }
            // As many as it has named with its key; that these can be was found when the case was made.
            Exhibit::Noise { hop } => self.declared(round, hop).map_or(0, <[u32]>::len) * self.geometry.packet(),
            // Of rounds that are collected.
            Exhibit::Submission { .. } => 0,
        }
    }

    /// Which packets of its batch were the noise of `hop`, by its own word.
    fn declared(&self, round: u64, hop: u8) -> Option<&[u32]> {
        let (key, _) = self.sealings.get(&round)?.keys.get(usize::from(hop).checked_sub(1)?)?.as_ref()?;
        Some(&key.noise)
    }

    /// Who knows it.
    pub(super) fn sources(&self, exhibit: Exhibit) -> Vec<usize> {
        let all = 0..self.network.mixes();
        let knows = |mix: &usize| {
            let hop = *mix as u8 + 1;
            *mix != self.own
                && match exhibit {
                    Exhibit::Batch { hop: of } => hop == of || hop == of + 1,
                    Exhibit::Echoes { hop: of } => of == 1 || hop == of || hop + 1 == of,
                    Exhibit::Signatures | Exhibit::Onions { .. } => hop == 1,
                    Exhibit::Noise { hop: of } => hop == of,
                    Exhibit::Submission { .. } => false,
                }
        };
        all.filter(knows).collect()
    }

    pub(super) fn content(&self, round: u64, exhibit: Exhibit) -> Option<Vec<u8>> {
        // Not before everybody has burnt the round: until then it may still be opened.
        let sealing = self.sealings.get(&round).filter(|sealing| sealing.all_keys())?;
        match exhibit {
            Exhibit::Batch { hop } => Some(sealing.kept.batches.get(&hop)?.iter().flat_map(|hash| hash.0).collect()),
            Exhibit::Echoes { hop } => Some(sealing.kept.echoes.get(&hop)?.concat()),
            Exhibit::Signatures => Some(sealing.client_signatures()?.iter().flat_map(|signed| signed.0).collect()),
            Exhibit::Onions { segment } => {
                let onions = sealing.blame.as_ref()?.onions.as_ref()?;
                let length = self.packets_a_segment() * self.geometry.packet();
                onions.chunks(length).nth(segment as usize).map(<[u8]>::to_vec)
            }
            Exhibit::Noise { hop } => (usize::from(hop) == self.own + 1).then(|| sealing.kept.noise.1.to_vec()),
            Exhibit::Submission { .. } => None,
        }
    }

    /// All that is known of a round, as far as it goes.
    pub(super) fn shown(&self, round: u64, extent: &Extent) -> Option<Exhibits> {
        let sealing = self.sealings.get(&round)?;
        let blame = sealing.blame.as_ref()?;
        let list = sealing.list()?;
        let signatures = sealing.client_signatures().or_else(|| blame.signatures.clone())?;
        let batches = sealing.batches.iter().flatten().take(extent.batches.len());
        let batches =
            batches.map(|signed| Some((signed.clone(), sealing.kept.batches.get(&signed.header.hop)?.clone())));
        let echoes = extent.echoes.iter().map(|hop| {
            let signed = sealing.echoes.get(usize::from(*hop) - 1)?.clone()?;
            Some((signed, sealing.kept.echoes.get(hop)?.clone()))
        });
        Some(Exhibits {
            document: self.epochs.signed(round)?.clone(),
            round,
            records: list.records().to_vec(),
            listed: list.signatures().to_vec(),
            entry: *sealing.agreed.as_ref()?.signatures.first()?,
            clients: clients(list.members(), list.records(), &signatures),
            batches: batches.collect::<Option<_>>()?,
            echoes: echoes.collect::<Option<_>>()?,
            keys: sealing.keys.iter().cloned().collect::<Option<_>>()?,
            accusations: blame.accusations.clone(),
        })
    }
}

impl Sealing {
    pub(super) fn all_keys(&self) -> bool {
        self.keys.iter().all(Option::is_some)
    }

    pub(super) fn take_hashes(&mut self, hop: u8, bytes: &[u8]) -> bool {
        let hashes: Vec<Digest> = bytes.as_chunks().0.iter().map(|hash| Digest(*hash)).collect();
        let header = self.batches.get(usize::from(hop).wrapping_sub(1)).and_then(Option::as_ref);
        let good = header.is_some_and(|signed| signed.header.output == batch_digest(&hashes));
        if good {
            self.kept.batches.insert(hop, hashes);
        }
        good
    }

    /// The noise of `hop`, W bytes each: what it has named of its batch, and nothing else.
    pub(super) fn take_noise(&mut self, hop: u8, bytes: Vec<u8>, packet: usize) -> bool {
        let key = self.keys.get(usize::from(hop).wrapping_sub(1)).and_then(Option::as_ref);
        let (Some((key, _)), Some(hashes), Some(blame)) = (key, self.kept.batches.get(&hop), self.blame.as_mut())
        else {
            return false;
        };
        let hash = |place: &u32| hashes.get(*place as usize).copied();
        let good = bytes.chunks(packet).map(|packet| Some(onion_digest(packet))).eq(key.noise.iter().map(hash));
        if good {
            blame.noise.insert(hop, bytes);
        }
        good
    }

    pub(super) fn take_echoes(&mut self, hop: u8, bytes: &[u8]) -> bool {
        let echoes: Vec<Echo> = bytes.as_chunks().0.to_vec();
        let header = self.echoes.get(usize::from(hop).wrapping_sub(1)).and_then(Option::as_ref);
        let good = header.is_some_and(|signed| signed.header.digest == echoes_digest(&echoes));
        if good {
            self.kept.echoes.insert(hop, echoes);
        }
        good
    }
}

/// The signatures by roster index: one of each client, in the order of the list.
fn clients(members: &Members, records: &[ListRecord], signatures: &[Signature]) -> BTreeMap<u32, Signature> {
    debug_assert!(records.iter().all(|record| members.contains(record.index)));
    members.iter().zip(signatures.iter().copied()).collect()
}
