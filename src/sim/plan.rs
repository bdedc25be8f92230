//! A network to simulate: its parameters, its keys.

use std::sync::Arc;

use rand::{Rng, SeedableRng};

use crate::config::default_poll_letters;
use crate::crypto::{Csprng, Defences, IdentityKey, Label, MailboxId, SecretKey, derive_parts};
use crate::packet::{Address, Geometry};
use crate::round::NoiseCounts;
use crate::wire::{ClientEntry, DummyPolicy, MailboxEntry, MixEntry, Network, NoiseLaw, Parameters, Roster};

/// The size and pace of a network, and the seed of everything random in it. The default of each stands behind its meaning.
#[derive(Clone, Debug)]
pub struct Plan {
    /// L; 3.
    pub mixes: usize,
    /// Clients on the roster; 4.
    pub clients: usize,
    /// User bytes in a packet; 256.
    pub payload: u32,
    /// Packets of each client in each round; 2.
    pub packets_per_client: u32,
    /// Packets of its own that each mix but the exit may add to a round; 2.
    pub noise_packets: u32,
    /// What each mix draws how many it adds from; constant.
    pub noise_law: NoiseLaw,
    /// How many each mix adds, whatever the network says of it; by default what it says.
    pub noise: Option<u32>,
    /// Where clients' dummies go; to mailboxes drawn from all.
    pub dummies: DummyPolicy,
    /// Milliseconds of a round, of which four fifths are its submission window; 1,000.
    pub round_ms: u32,
    /// Bounds of the mix delay, milliseconds; 0 and 50.
    pub mix_delay_ms: (u32, u32),
    /// Distinct clients below which a round aborts; 2.
    pub min_clients: u32,
    /// Share of the members, in thousandths, below which a round aborts; 500.
    pub min_share_permille: u32,
    /// Rounds of an epoch; 60.
    pub epoch_rounds: u32,
    /// Bytes of batches that the entry has on their way at once, beyond two rounds; without bound.
    pub overlap_bytes: u64,
    /// How many mixes together open a round; by default all.
    pub threshold: Option<u8>,
    /// Whether rounds are sealed; yes.
    pub sealed: bool,
    /// Which defences its mixes have; all.
    pub defences: Defences,
    /// Everything random follows from it; 1.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            mixes: 3,
            clients: 4,
            payload: 256,
            packets_per_client: 2,
            noise_packets: 2,
            noise_law: NoiseLaw::Constant,
            noise: None,
            dummies: DummyPolicy::Uniform,
            round_ms: 1000,
            mix_delay_ms: (0, 50),
            min_clients: 2,
            min_share_permille: 500,
            epoch_rounds: 60,
            overlap_bytes: u64::MAX,
            threshold: None,
            sealed: true,
            defences: Defences::default(),
            seed: 1,
        }
    }
}

/// The secrets of one client.
pub struct Secrets {
    /// Polls its mailbox.
    pub capability: [u8; 32],
    /// Opens its letters.
    pub letter: [u8; 32],
    /// The seed of its identity key.
    pub identity: [u8; 32],
    /// Its list key.
    pub list: [u8; 32],
    /// Where its letters go.
    pub address: Address,
}

impl Plan {
    /// The packets' shape.
    ///
    /// # Panics
    /// If the plan is out of range.
    pub fn geometry(&self) -> Geometry {
        Geometry::new(self.mixes, self.payload as usize).expect("the plan is in range")
    }

    /// The network of this plan, its mixes' keys and its clients' secrets.
    pub fn network(&self) -> (Arc<Network>, Vec<Arc<IdentityKey>>, Vec<Secrets>) {
        let mut rng = Csprng::seed_from_u64(self.seed);
        let mut network = Network { parameters: self.parameters(), roster: Roster::default(), defences: self.defences };
        let mut seed = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            bytes
        };
        let keys: Vec<Arc<IdentityKey>> = (0..self.mixes).map(|_| Arc::new(IdentityKey::from_seed(&seed()))).collect();
        network.roster.mixes = keys
            .iter()
            .enumerate()
            .map(|(i, key)| MixEntry {
                id: format!("mix-{}", i + 1),
                address: format!("127.0.0.1:{}", 1 + i),
                identity: key.identity(),
            })
            .collect();
        let id = network.id();
        let mut secrets = Vec::new();
        for i in 0..self.clients {
            let (capability, letter, identity, list) = (seed(), seed(), seed(), seed());
            let digest = derive_parts(Label::Mailbox, &[&id.0, &capability]);
            let mailbox = MailboxId(*digest.0.first_chunk().expect("a digest has 32 bytes"));
            let letter_key = SecretKey::from_bytes(letter).public_key();
            network.roster.clients.push(ClientEntry {
                id: format!("client-{}", i + 1),
                identity: IdentityKey::from_seed(&identity).identity(),
                list_key: SecretKey::from_bytes(list).public_key(),
            });
            network.roster.mailboxes.push(MailboxEntry { id: mailbox, letter_key });
            secrets.push(Secrets { capability, letter, identity, list, address: Address { mailbox, letter_key } });
        }
        network.roster.mailboxes.sort_unstable();
        (Arc::new(network), keys, secrets)
    }

    /// How many packets each mix adds to a round.
    pub fn noise_counts(&self) -> NoiseCounts {
        let chosen = self.noise.map(|count| NoiseCounts::constant(count.min(self.noise_packets)));
        chosen.unwrap_or_else(|| NoiseCounts::of(&self.parameters()))
    }

    fn poll_letters(&self) -> u32 {
        let (packets, noise) = (self.packets_per_client.into(), self.noise_packets.into());
        default_poll_letters(packets, noise, self.mixes, self.clients as u64) as u32
    }

    fn parameters(&self) -> Parameters {
        Parameters {
            network: format!("simulated {}", self.seed),
            messages_per_round: self.clients as u32 * self.packets_per_client,
            start_clients: self.clients as u32,
            min_clients: self.min_clients,
            min_share_permille: self.min_share_permille,
            round_ms: self.round_ms,
            submit_ms: self.round_ms * 4 / 5,
            mix_delay_ms: self.mix_delay_ms,
            payload: self.payload,
            packets_per_client: self.packets_per_client,
            noise_packets: self.noise_packets,
            noise: self.noise_law,
            dummies: self.dummies,
            dummy_payload: b"dummy".to_vec(),
            max_message: 64 << 20,
            epoch_rounds: self.epoch_rounds,
            verdict_rounds: self.mixes as u32 + 3,
            retention_epochs: 1440,
            poll_letters: self.poll_letters(),
            mailbox_letters: 65_536,
            history_rounds: 16_384,
            threshold: self.threshold.map_or(self.mixes as u32, u32::from),
            sealed: self.sealed,
        }
    }
}
