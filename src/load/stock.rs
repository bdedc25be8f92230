//! Packets built ahead of their round.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use rayon::prelude::*;

use crate::crypto::{Backend, os_csprng};
use crate::packet::{Builder, Recipe, RoundContext};
use crate::session::client_records;
use crate::wire::{EpochDocument, ListKey, ListSecret, onion_digests};

use super::letters::{Message, Traffic};
use super::{Crew, LoadError};

/// What goes behind a submission's request: packets, then records.
pub(super) struct Submission {
    pub packets: Bytes,
    pub records: Bytes,
}

/// Every member's submissions for rounds to come.
pub(super) struct Stock {
    crew: Arc<Crew>,
    traffic: Traffic,
    bytes: usize,
    rounds: Mutex<BTreeMap<u64, HashMap<u32, Submission>>>,
    built: AtomicU64,
    nanos: AtomicU64,
}

impl Stock {
    /// An empty one; messages have `bytes` bytes.
    pub(super) fn new(crew: Arc<Crew>, traffic: Traffic, bytes: usize) -> Self {
        Self { crew, traffic, bytes, rounds: Mutex::default(), built: AtomicU64::new(0), nanos: AtomicU64::new(0) }
    }

    /// Builds a round of `document`, on all threads of the pool.
    ///
    /// # Errors
    /// If the document does not hold the round.
    pub(super) fn build(&self, document: &EpochDocument, round: u64) -> Result<(), LoadError> {
        let crew = &*self.crew;
        let missing = || LoadError::Start(format!("no keys of round {round} in its epoch's document"));
        let context = RoundContext { network: document.network, epoch: document.epoch, round };
        let onion_keys = document.onion_keys(round).ok_or_else(missing)?;
        let envelope_key = document.envelope_key(round).ok_or_else(missing)?;
        let builder = Builder::new(crew.geometry, context, Backend::default(), onion_keys, envelope_key);
        let sealed = crew.network.parameters.sealed;
        let built = (0..crew.len()).into_par_iter().map(|place| {
            // Agreed on once an epoch by a client, so no part of what a packet costs.
            let keys = if sealed { self.list_keys(document, place) } else { Vec::new() };
            let began = Instant::now();
            let submission = self.submission(&builder, document, place, &keys);
            self.nanos.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
            (place as u32, submission)
        });
        let built: HashMap<u32, Submission> = built.collect();
        self.built
            .fetch_add(u64::from(crew.network.parameters.packets_per_client) * crew.len() as u64, Ordering::Relaxed);
        lock(&self.rounds).insert(round, built);
        Ok(())
    }

    fn list_keys(&self, document: &EpochDocument, place: usize) -> Vec<ListKey> {
        let secret = ListSecret::new(&self.crew.members[place].secrets.list, document.network, document.epoch);
        let with = |key| secret.with_mix(key).expect("a verified document's keys are points");
        document.mixes.iter().map(|mix| with(&mix.list_key)).collect()
    }

    fn submission(&self, builder: &Builder, document: &EpochDocument, place: usize, keys: &[ListKey]) -> Submission {
        let crew = &*self.crew;
        let (parameters, member) = (&crew.network.parameters, &crew.members[place]);
        let (geometry, context) = (builder.geometry(), builder.context());
        let to = crew.members[self.traffic.recipient(place, crew.len())].address;
        let expiry = document.epoch.saturating_add(u64::from(parameters.retention_epochs));
        let count = parameters.packets_per_client;
        let mut rng = os_csprng();
        let mut data = vec![0; self.bytes];
        let mut packets = Vec::with_capacity(geometry.packet() * count as usize + geometry.stride());
        let mut echoes = Vec::with_capacity(count as usize);
        for packet in 0..count {
            let message = Message { from: place as u32, round: context.round, packet };
            message.write(&mut data);
            let recipe = Recipe { to, body: message.body(expiry, &data), sender: None };
            echoes.push(builder.client_packet(&mut rng, member.index, &recipe, &mut packets));
        }
        let records = match keys {
            [] => Vec::new(),
            keys => {
                let onions = onion_digests(packets.chunks_exact(geometry.packet()));
                client_records(context, member.index, &onions, &echoes, keys, &member.identity).to_bytes()
            }
        };
        Submission { packets: packets.into(), records: records.into() }
    }

    /// What the member at `place` submits to a round; once.
    pub(super) fn take(&self, round: u64, place: usize) -> Option<Submission> {
        lock(&self.rounds).get_mut(&round)?.remove(&(place as u32))
    }

    /// Whether a round has been built.
    pub(super) fn holds(&self, round: u64) -> bool {
        lock(&self.rounds).contains_key(&round)
    }

    /// Forgets what was built for rounds before this one: nobody takes it any more.
    pub(super) fn forget_before(&self, round: u64) {
        let mut rounds = lock(&self.rounds);
        let kept = rounds.split_off(&round);
        *rounds = kept;
    }

    /// Microseconds that a packet has cost its client on one thread, on average.
    pub(super) fn build_us(&self) -> f64 {
        self.nanos.load(Ordering::Relaxed) as f64 / 1000.0 / self.built.load(Ordering::Relaxed).max(1) as f64
    }
}

/// No invariant spans a panic in here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
