//! Malicious members.

use rand::RngExt;

use crate::crypto::Csprng;
use crate::packet::Echo;
use crate::session::client_records;
use crate::wire::{COMMITMENT_BYTES, ListKey, ListSecret, onion_digests};

use super::rogue::{builder, with_dummy};
use super::{Member, RogueClient, rogue};

/// What a member does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mischief {
    /// Submits twice, the second time other packets.
    Twice,
    /// Seals the layer for this hop, from 1, to another mix's key.
    BadLayer(usize),
    /// Commits to another echo than its packet causes.
    BadCommitment,
    /// Makes wrong MACs for the mix at this place.
    BadMacs(usize),
    /// Flips a bit of one byte of its packet, after its records were made.
    Flip,
    /// Sets the bit of an ephemeral key that X25519 ignores.
    TopBit,
    /// Uses an ephemeral key of low order.
    LowOrder,
    /// Leaves out half of its packets.
    Short,
}

/// A member that means harm.
pub(super) struct Rascal {
    mischief: Mischief,
    rng: Csprng,
    acted: bool,
}

impl Rascal {
    pub(super) fn new(mischief: Mischief, seed: u64) -> Self {
        Self { mischief, rng: rogue::rng(seed), acted: false }
    }

    /// Fresh packets with records that fit them, but for the mischief.
    fn make(&mut self, me: &Member<'_>, round: u64) -> Option<(Vec<u8>, Vec<u8>)> {
        let behind = if let Mischief::BadLayer(hop) = self.mischief { Some(hop - 1) } else { None };
        let builder = builder(&me.document, me.geometry, round, behind)?;
        let (mut packets, mut echoes): (Vec<u8>, Vec<Echo>) = Default::default();
        for _ in 0..me.packets {
            echoes.push(with_dummy(&mut self.rng, |rng, recipe| {
                builder.client_packet(rng, me.index, recipe, &mut packets)
            }));
        }
        match self.mischief {
            Mischief::BadCommitment => echoes[0][self.rng.random_range(0..16)] ^= 1,
            Mischief::TopBit => packets[31] ^= 0x80,
            Mischief::LowOrder => packets[..32].fill(0),
            _ => {}
        }
        let secret = ListSecret::new(me.list, me.document.network, me.document.epoch);
        let keys = me.document.mixes.iter().map(|mix| secret.with_mix(&mix.list_key).ok());
        let keys: Vec<ListKey> = keys.collect::<Option<_>>()?;
        let onions = onion_digests(packets.chunks_exact(me.geometry.packet()));
        let records = client_records(builder.context(), me.index, &onions, &echoes, &keys, me.identity);
        let mut records = records.to_bytes();
        match self.mischief {
            Mischief::BadMacs(place) => records[COMMITMENT_BYTES + 16 * place] ^= 1,
            Mischief::Flip => {
                let at = self.rng.random_range(0..packets.len());
                packets[at] ^= 1 << self.rng.random_range(0..8);
            }
            Mischief::Short => packets.truncate(packets.len() - me.geometry.packet()),
            _ => {}
        }
        Some((packets, records))
    }
}

impl RogueClient for Rascal {
    fn submits(&mut self, me: &Member<'_>, round: u64, submission: (Vec<u8>, Vec<u8>)) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.acted = true;
        let made = self.make(me, round);
        match self.mischief {
            Mischief::Twice => [Some(submission), made].into_iter().flatten().collect(),
            _ => made.into_iter().collect(),
        }
    }

    fn has_acted(&self) -> bool {
        self.acted
    }
}
