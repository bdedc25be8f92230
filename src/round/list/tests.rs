//! A network of three mixes and six clients with two packets each, and lists of it, honest and not.

mod admission;
mod answers;
mod strike;
mod taking;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::crypto::{IdentityKey, PublicKey, SecretKey};
use crate::wire::{
    ClientEntry, DummyPolicy, ListKey, ListKeys, ListRow, ListSecret, MixEntry, NoiseLaw, Parameters, ROW_BYTES,
    Roster, SignedListHeader, onion_digest,
};

const MIXES: usize = 3;
const CLIENTS: u32 = 6;
const PACKETS: usize = 2;
/// D.
const VERDICT_ROUNDS: u32 = 4;
const QUORUM: u32 = 3;
const EPOCH: u64 = 7;
const ROUND: u64 = 300;

/// Everybody's secrets.
struct World {
    network: Arc<Network>,
    keys: Vec<ListKeys>,
}

fn mix_key(mix: usize) -> IdentityKey {
    IdentityKey::from_seed(&[0x11 * (mix as u8 + 1); 32])
}

fn client_key(client: u32) -> IdentityKey {
    IdentityKey::from_seed(&[0xc0 + client as u8; 32])
}

fn mix_list_key(mix: usize) -> SecretKey {
    SecretKey::from_bytes([0x51 + mix as u8; 32])
}

fn client_list_key(client: u32) -> SecretKey {
    SecretKey::from_bytes([0x61 + client as u8; 32])
}

impl World {
    fn new() -> Self {
        let mixes = (0..MIXES).map(|mix| MixEntry {
            id: format!("mix-{mix}"),
            address: String::new(),
            identity: mix_key(mix).identity(),
        });
        let clients = (0..CLIENTS).map(|client| ClientEntry {
            id: format!("client-{client}"),
            identity: client_key(client).identity(),
            list_key: client_list_key(client).public_key(),
        });
        let roster = Roster { mixes: mixes.collect(), clients: clients.collect(), mailboxes: vec![] };
        let network =
            Arc::new(Network { parameters: parameters(), roster, defences: crate::crypto::Defences::default() });
        let list_keys: Vec<PublicKey> = network.roster.clients.iter().map(|client| client.list_key).collect();
        let keys = (0..MIXES)
            .map(|mix| ListKeys::new(ListSecret::new(&mix_list_key(mix), network.id(), EPOCH), list_keys.clone()))
            .collect();
        Self { network, keys }
    }

    fn rules(&self, round: u64) -> ListRules {
        let context = ListContext { network: self.network.id(), epoch: EPOCH, round };
        ListRules { network: self.network.clone(), context, quorum: QUORUM }
    }

    fn struck(&self) -> Struck {
        Struck::new(VERDICT_ROUNDS)
    }

    /// What an honest client sends.
    fn records(&self, client: u32, round: u64) -> ClientRecords {
        let rules = self.rules(round);
        let secret = ListSecret::new(&client_list_key(client), rules.context.network, EPOCH);
        let key = |mix| secret.with_mix(&mix_list_key(mix).public_key()).expect("a point");
        let keys: Vec<ListKey> = (0..MIXES).map(key).collect();
        let record = |packet| ListRecord {
            index: client,
            onion: onion_digest(&[client as u8, round as u8, packet]),
            commitment: [packet; 16],
        };
        let records = (0..PACKETS as u8).map(record).collect();
        ClientRecords::make(&rules.context, records, &keys, &client_key(client))
    }

    /// The same with one bit changed in what is sent: at `at` behind the packets.
    fn changed(&self, client: u32, round: u64, at: usize) -> ClientRecords {
        let honest = self.records(client, round);
        let onions: Vec<Digest> = honest.records().iter().map(|record| record.onion).collect();
        let mut bytes = honest.to_bytes();
        bytes[at] ^= 1;
        ClientRecords::parse(&bytes, client, &onions, MIXES).expect("its length is right")
    }

    /// With a wrong MAC for one mix in the second packet.
    fn bad_mac(&self, client: u32, round: u64, mix: usize) -> ClientRecords {
        self.changed(client, round, (16 + 16 * MIXES) + 16 + 16 * mix)
    }

    /// With a signature that does not hold.
    fn bad_signature(&self, client: u32, round: u64) -> ClientRecords {
        self.changed(client, round, (16 + 16 * MIXES) * PACKETS)
    }

    /// The honest submissions of all clients but 5, who is absent.
    fn everybody(&self, round: u64) -> BTreeMap<u32, ClientRecords> {
        (0..5).map(|client| (client, self.records(client, round))).collect()
    }

    /// The entry's list of `submissions`, all of them admitted.
    fn assemble(&self, round: u64, submissions: BTreeMap<u32, ClientRecords>, struck: &Struck) -> EntryList {
        let (entry, named) = EntryList::assemble(self.rules(round), submissions, struck, &mix_key(0)).expect("a list");
        assert!(named.is_empty());
        entry
    }

    /// `entry`'s first list as the mix at a position takes it.
    fn take(&self, entry: &EntryList, mix: usize, struck: &Struck) -> Result<TakenList, ListFault> {
        let rules = self.rules(entry.header().header.context.round);
        let (header, body) = (entry.header().clone(), entry.body(mix));
        TakenList::take(&rules, mix as u8 + 1, &self.keys[mix], struck, header, &body)
    }

    /// Bytes of round [`ROUND`] as the second mix takes them.
    fn take_bytes(&self, header: SignedListHeader, body: &[u8]) -> Result<TakenList, ListFault> {
        TakenList::take(&self.rules(ROUND), 2, &self.keys[1], &self.struck(), header, body)
    }
}

fn parameters() -> Parameters {
    Parameters {
        network: "lists".into(),
        messages_per_round: 12,
        start_clients: 2,
        min_clients: 2,
        min_share_permille: 500,
        round_ms: 1000,
        submit_ms: 800,
        mix_delay_ms: (0, 0),
        payload: 256,
        packets_per_client: PACKETS as u32,
        noise_packets: 0,
        noise: NoiseLaw::Constant,
        dummies: DummyPolicy::Uniform,
        dummy_payload: vec![],
        max_message: 1 << 20,
        epoch_rounds: 60,
        verdict_rounds: VERDICT_ROUNDS,
        retention_epochs: 10,
        poll_letters: 4,
        mailbox_letters: 64,
        history_rounds: 100,
        threshold: 3,
        sealed: true,
    }
}

fn members(clients: &[u32]) -> Members {
    let mut members = Members::none(CLIENTS as usize);
    clients.iter().for_each(|client| assert!(members.insert(*client)));
    members
}
