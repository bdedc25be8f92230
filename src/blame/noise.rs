//! Noise of a burnt round: what a mix says that it added, held against its batch and opened with the keys of all.

use std::collections::BTreeMap;

use crate::crypto::{Digest, Signature};
use crate::packet::{Echo, NO_EXTRA, Trace};
use crate::wire::codec::{Decode, Encode};
use crate::wire::{EchoHeader, Mismatch, Network, OnionKey, Statement, echoes_digest, onion_digest};

use super::case::Walk;
use super::evidence::{mix, same};
use super::proof::{Proof, Round};
use super::taken::{Passed, Source, Taken};
use super::{Case, Evidence, EvidenceFault, Exhibits, Guilty, Offence, Ruling};

/// What a mix handed on, what of that it says was its own, and what is wrong with it.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct NoiseProof {
    pub passed: Passed,
    pub declared: OnionKey,
    /// Under `declared`.
    pub signature: Signature,
    pub wrong: WrongNoise,
}

#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) enum WrongNoise {
    /// There are not as many places as packets were added to what was taken in, or they are not different packets.
    Places(Source),
    /// What it took in peels to one of them.
    Taken(Taken),
    /// A packet of them does not open.
    Layer {
        /// Where it stands in the batch.
        place: u32,
        /// W bytes.
        packet: Vec<u8>,
        /// Onion keys of the hops behind, up to the one at which it does not open.
        keys: Vec<[u8; 32]>,
    },
}

/// An accuser's own noise, opened: the echo that came back for it is right.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(super) struct RightNoise {
    /// What the accuser handed on.
    pub passed: Passed,
    /// The packet at the place that it accuses of, W bytes.
    pub packet: Vec<u8>,
    /// Onion keys of all hops behind it.
    pub keys: Vec<[u8; 32]>,
    /// What was handed back to it.
    pub header: EchoHeader,
    pub echoes: Vec<Echo>,
    /// Of the list.
    pub root: Digest,
}

/// Unless the mix at `hop` has signed this of the round.
pub(super) fn check_declared(
    round: &Round<'_>,
    hop: u8,
    declared: &OnionKey,
    signature: &Signature,
) -> Result<(), EvidenceFault> {
    let (slot, context) = (declared.slot, &round.context);
    if (slot.network, slot.epoch, slot.round) != (context.network, context.epoch, context.round) {
        return Err(EvidenceFault::Slot);
    }
    let is_its = declared.is_signed_by(mix(round.network, hop)?, signature);
    if is_its { Ok(()) } else { Err(EvidenceFault::Signature) }
}

impl NoiseProof {
    pub(super) fn verify(&self, round: &Round<'_>) -> Result<(Guilty, Offence), EvidenceFault> {
        let hop = self.passed.check_signed(round)?;
        check_declared(round, hop, &self.declared, &self.signature)?;
        let (hashes, places) = (&self.passed.hashes, &self.declared.noise);
        let is_right = match &self.wrong {
            WrongNoise::Places(from) => {
                let header = &self.passed.header.header;
                let added = header.added(from.check(round, header)?);
                added == u32::try_from(places.len()).ok() && are_different(hashes, places)
            }
            WrongNoise::Taken(taken) => {
                self.passed.check(round, taken)?;
                let peeled = onion_digest(&taken.peel(round)?.0);
                !places.iter().any(|place| hashes.get(*place as usize) == Some(&peeled))
            }
            WrongNoise::Layer { place, packet, keys } => {
                let hash = hashes.get(*place as usize).filter(|_| places.contains(place));
                check_packet(round, hash, packet)?;
                let trace = trace(round, hop, packet, keys)?;
                match trace.failed {
                    None => true,
                    // The last key that is shown, and no other, is that of the layer which does not open.
                    Some(_) if trace.echo_keys.len() + 1 == keys.len() => false,
                    Some(error) => return Err(EvidenceFault::Layer(error)),
                }
            }
        };
        if is_right { Err(EvidenceFault::Innocent) } else { Ok((Guilty::Mix(hop), Offence::Noise)) }
    }
}

impl RightNoise {
    /// Whether what came back at `place` for the mix at `accuser` was wrong after all.
    pub(super) fn was_wrong(
        &self,
        round: &Round<'_>,
        accuser: u8,
        (hop, place): (u8, u32),
        subject: Digest,
    ) -> Result<bool, EvidenceFault> {
        round.check_echoes(&self.header)?;
        same(self.header.subject(&self.root), subject)?;
        if self.header.hop != hop || self.passed.check_signed(round)? != accuser {
            return Err(EvidenceFault::Slot);
        }
        same(echoes_digest(&self.echoes), self.header.digest)?;
        check_packet(round, self.passed.hashes.get(place as usize), &self.packet)?;
        let all = usize::from(accuser) + self.keys.len() == round.network.mixes();
        let trace = trace(round, accuser, &self.packet, &self.keys)?;
        if let Some(error) = trace.failed {
            return Err(EvidenceFault::Layer(error));
        }
        let expected = trace.echoes.first().filter(|_| all).ok_or(EvidenceFault::Key)?;
        Ok(self.echoes.get(place as usize) != Some(expected))
    }
}

/// Whether these are places in ascending order, of packets that are there once.
fn are_different(hashes: &[Digest], places: &[u32]) -> bool {
    let mut all: Vec<&Digest> = hashes.iter().collect();
    all.sort_unstable();
    let once = |place: &u32| {
        let hash = hashes.get(*place as usize)?;
        let at = all.partition_point(|known| *known < hash);
        Some(all.get(at + 1) != Some(&hash))
    };
    places.is_sorted_by(|a, b| a < b) && places.iter().all(|place| once(place) == Some(true))
}

fn check_packet(round: &Round<'_>, hash: Option<&Digest>, packet: &[u8]) -> Result<(), EvidenceFault> {
    let is_it = packet.len() == round.geometry.packet() && hash == Some(&onion_digest(packet));
    if is_it { Ok(()) } else { Err(EvidenceFault::Packet) }
}

/// Opens what the mix at `hop` handed on, with the keys of hops behind it.
fn trace(round: &Round<'_>, hop: u8, packet: &[u8], keys: &[[u8; 32]]) -> Result<Trace, EvidenceFault> {
    if keys.is_empty() || usize::from(hop) + keys.len() > round.network.mixes() {
        return Err(EvidenceFault::Key);
    }
    let peelers = (hop + 1..).zip(keys).map(|(hop, key)| round.peeler(hop, *key));
    let peelers = peelers.collect::<Result<Vec<_>, _>>()?;
    Ok(Trace::new(&peelers, NO_EXTRA, packet, &mut Vec::new()))
}

impl Case {
    /// Evidence that what `hop` says was its noise is not: by number, or because packets are there twice. `None` if it may be.
    pub fn false_noise(network: &Network, shown: &Exhibits, hop: u8) -> Option<Evidence> {
        let at = usize::from(hop).checked_sub(1)?;
        let from = shown.took_in(hop)?;
        let (declared, signature) = shown.keys.get(at)?.clone();
        let (header, hashes) = shown.batches.get(at)?.clone();
        let passed = Passed { header, hashes };
        let proof = NoiseProof { passed, declared, signature, wrong: WrongNoise::Places(from) };
        let evidence = Evidence::of_round(&shown.document, shown.round, Proof::Noise(proof));
        evidence.verify(network).is_ok().then_some(evidence)
    }

    /// Whether somebody accuses of what may be a mix's own packet, or may stand in the place of one, and `hop` has added some: then it
    /// has to show them.
    pub fn needs_noise(&self, hop: u8) -> bool {
        let own =
            |mismatch| matches!(mismatch, Mismatch::Layer { .. } | Mismatch::Replay { .. } | Mismatch::Noise { .. });
        self.shown().accusations.iter().any(|(_, accusation, _)| own(accusation.mismatch))
            && usize::from(hop) <= self.shown().batches.len()
            && self.declared(hop).is_some_and(|declared| !declared.noise.is_empty())
    }

    /// Replays what mixes have added: of each hop W bytes a packet, in the order of the places that it has named.
    pub(super) fn replay_noise(&self, noise: &BTreeMap<u8, Vec<u8>>) -> Option<Evidence> {
        let w = self.geometry().packet();
        let mut buffer = Vec::new();
        noise.iter().find_map(|(hop, packets)| {
            let places = &self.declared(*hop)?.noise;
            places.iter().zip(packets.chunks_exact(w)).find_map(|(place, packet)| {
                match self.replay_own(*hop, *place, packet, &mut buffer)? {
                    Ruling::Guilty(evidence) => Some(*evidence),
                    Ruling::NotShown { .. } | Ruling::Unsigned { .. } => None,
                }
            })
        })
    }

    fn replay_own(&self, hop: u8, place: u32, packet: &[u8], buffer: &mut Vec<u8>) -> Option<Ruling> {
        let (first, keys) = (hop + 1, self.keys_behind(hop));
        let trace = Trace::new(self.peelers_from(first), NO_EXTRA, packet, buffer);
        if trace.failed.is_some() {
            let (packet, keys) = (packet.to_vec(), keys[..=trace.echo_keys.len()].to_vec());
            return self.wrong_noise(hop, WrongNoise::Layer { place, packet, keys });
        }
        self.follow(&Walk { first, place, index: NO_EXTRA, onion: packet }, &trace)
    }

    /// What convicts a mix of what it says was its noise.
    pub(super) fn wrong_noise(&self, hop: u8, wrong: WrongNoise) -> Option<Ruling> {
        let (declared, signature) = self.shown().keys.get(usize::from(hop) - 1)?.clone();
        let proof = NoiseProof { passed: self.passed(hop), declared, signature, wrong };
        Some(self.guilty(Proof::Noise(proof)))
    }

    /// The accuser's own packet, and what came back for it.
    pub(super) fn right_noise(
        &self,
        accuser: u8,
        (hop, place): (u8, u32),
        noise: &BTreeMap<u8, Vec<u8>>,
    ) -> Option<RightNoise> {
        let which = self.declared(accuser)?.noise.iter().position(|known| *known == place)?;
        let packet = noise.get(&accuser)?.chunks_exact(self.geometry().packet()).nth(which)?.to_vec();
        let (header, echoes) = self.shown().echoes.iter().find(|(signed, _)| signed.header.hop == hop)?.clone();
        let root = self.root();
        let keys = self.keys_behind(accuser);
        Some(RightNoise { passed: self.passed(accuser), packet, keys, header: header.header, echoes, root })
    }

    /// What the mix at `hop` says of its key and of its noise.
    pub(super) fn declared(&self, hop: u8) -> Option<&OnionKey> {
        self.shown().keys.get(usize::from(hop).checked_sub(1)?).map(|(declared, _)| declared)
    }

    fn keys_behind(&self, hop: u8) -> Vec<[u8; 32]> {
        self.shown().keys.iter().skip(hop.into()).map(|(key, _)| key.key).collect()
    }
}
