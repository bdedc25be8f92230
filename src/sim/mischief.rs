//! Clients that submit what they must not, and sign for it.

use rand::SeedableRng;

use crate::crypto::{Backend, Csprng, IdentityKey, SecretKey};
use crate::packet::{Builder, RoundContext};
use crate::wire::{ClientRecords, EpochDocument, ListContext, ListKey, ListSecret, onion_digest};

use super::World;

/// What a malicious client does to its submissions. Its MACs are right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mischief {
    /// The first packet does not open at this hop, 1 to L.
    Layer {
        /// Where.
        hop: u8,
    },
    /// It commits to another echo than its first packet causes.
    Commitment,
    /// The same as the first, without a signature that holds.
    Unsigned,
}

impl World {
    /// What a client sends in place of what its session made.
    pub(super) fn mischievous(
        &self,
        own: usize,
        round: u64,
        mut packets: Vec<u8>,
        records: Vec<u8>,
    ) -> (Vec<u8>, Vec<u8>) {
        let Some(mischief) = self.clients[own].mischief else { return (packets, records) };
        let chain = self.mixes[0].disk.recover().map(|recovered| recovered.chain).unwrap_or_default();
        let document = chain.iter().rev().find(|signed| signed.document.position(round).is_some());
        let Some(document) = document.map(|signed| &signed.document) else { return (packets, records) };
        let length = self.plan.geometry().packet();
        let mut rng = Csprng::seed_from_u64(round);
        if let Some(builder) = self.builder(document, round) {
            let hop = if let Mischief::Layer { hop } = mischief { hop } else { 2 };
            if mischief != Mischief::Commitment {
                let packet = builder.wrap(&mut rng, hop, own as u32, &vec![7; length]);
                packets[..length].copy_from_slice(&packet);
            }
        }
        let onions: Vec<_> = packets.chunks(length).map(onion_digest).collect();
        let Ok(parsed) = ClientRecords::parse(&records, own as u32, &onions, self.mixes.len()) else {
            return (packets, records);
        };
        let mut signed = parsed.records().to_vec();
        signed[0].commitment[0] ^= 1;
        let seed = if mischief == Mischief::Unsigned { [9; 32] } else { self.clients[own].secrets.identity };
        let identity = IdentityKey::from_seed(&seed);
        let context = ListContext { network: document.network, epoch: document.epoch, round };
        let made = ClientRecords::make(&context, signed, &self.list_keys(own, document), &identity);
        (packets, made.to_bytes())
    }

    fn builder(&self, document: &EpochDocument, round: u64) -> Option<Builder> {
        let context = RoundContext { network: document.network, epoch: document.epoch, round };
        let (onions, envelope) = (document.onion_keys(round)?, document.envelope_key(round)?);
        Some(Builder::new(self.plan.geometry(), context, Backend::default(), onions, envelope))
    }

    fn list_keys(&self, own: usize, document: &EpochDocument) -> Vec<ListKey> {
        let secret = SecretKey::from_bytes(self.clients[own].secrets.list);
        let secret = ListSecret::new(&secret, document.network, document.epoch);
        document.mixes.iter().filter_map(|mix| secret.with_mix(&mix.list_key).ok()).collect()
    }
}
