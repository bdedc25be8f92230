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

/// Packets whose keys a client agrees on together: enough to fill the lanes, and few enough megabytes of large messages.
const TOGETHER: usize = 32;

/// What goes behind a submission's request: packets, then records.
pub(super) struct Submission {
    pub packets: Bytes,
    pub records: Bytes,
}

/// By place, what every member shares with every mix in an epoch: agreed on once, as a client does.
type ListKeys = Arc<[Vec<ListKey>]>;

/// Every member's submissions for rounds to come.
pub(super) struct Stock {
    crew: Arc<Crew>,
    traffic: Traffic,
    bytes: usize,
    rounds: Mutex<BTreeMap<u64, HashMap<u32, Submission>>>,
    /// Those of the last epoch for which there were packets to build.
    list_keys: Mutex<Option<(u64, ListKeys)>>,
    built: AtomicU64,
    nanos: AtomicU64,
}

impl Stock {
    /// An empty one; messages have `bytes` bytes.
    pub(super) fn new(crew: Arc<Crew>, traffic: Traffic, bytes: usize) -> Self {
        let (rounds, list_keys, built, nanos) = Default::default();
        Self { crew, traffic, bytes, rounds, list_keys, built, nanos }
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
        let keys = crew.network.parameters.sealed.then(|| self.list_keys(document));
        let built = (0..crew.len()).into_par_iter().map(|place| {
            let began = Instant::now();
            let submission = self.submission(&builder, document, place, keys.as_ref().map(|all| &*all[place]));
            self.nanos.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
            (place as u32, submission)
        });
        let built: HashMap<u32, Submission> = built.collect();
        self.built
            .fetch_add(u64::from(crew.network.parameters.packets_per_client) * crew.len() as u64, Ordering::Relaxed);
        lock(&self.rounds).insert(round, built);
        Ok(())
    }

    /// They are no part of what a packet costs.
    fn list_keys(&self, document: &EpochDocument) -> ListKeys {
        let mut known = lock(&self.list_keys);
        if let Some((_, keys)) = known.as_ref().filter(|(epoch, _)| *epoch == document.epoch) {
            return keys.clone();
        }
        let of_member = |place: usize| {
            let secret = ListSecret::new(&self.crew.members[place].secrets.list, document.network, document.epoch);
            let with = |key| secret.with_mix(key).expect("a verified document's keys are points");
            document.mixes.iter().map(|mix| with(&mix.list_key)).collect::<Vec<_>>()
        };
        let keys: ListKeys = (0..self.crew.len()).into_par_iter().map(of_member).collect();
        *known = Some((document.epoch, keys.clone()));
        keys
    }

    fn submission(
        &self,
        builder: &Builder,
        document: &EpochDocument,
        place: usize,
        keys: Option<&[ListKey]>,
    ) -> Submission {
        let crew = &*self.crew;
        let (parameters, member) = (&crew.network.parameters, &crew.members[place]);
        let (geometry, context) = (builder.geometry(), builder.context());
        let to = crew.members[self.traffic.recipient(place, crew.len())].address;
        let expiry = document.epoch.saturating_add(u64::from(parameters.retention_epochs));
        let messages = (0..parameters.packets_per_client)
            .map(|packet| Message { from: place as u32, round: context.round, packet })
            .collect::<Vec<_>>();
        let mut rng = os_csprng();
        let mut packets = Vec::with_capacity(geometry.packet() * messages.len() + geometry.stride());
        let mut echoes = Vec::with_capacity(messages.len());
        for messages in messages.chunks(TOGETHER) {
            let data: Vec<Vec<u8>> = messages.iter().map(|message| self.data(*message)).collect();
            let of = |(message, data): (&Message, _)| Recipe { to, body: message.body(expiry, data), sender: None };
            let recipes = messages.iter().zip(data.iter().map(Vec::as_slice)).map(of);
            echoes.extend(builder.client_packets(&mut rng, member.index, recipes, &mut packets));
        }
        let records = keys.map(|keys| {
            let onions = onion_digests(packets.chunks_exact(geometry.packet()));
            client_records(context, member.index, &onions, &echoes, keys, &member.identity).to_bytes()
        });
        Submission { packets: packets.into(), records: records.unwrap_or_default().into() }
    }

    fn data(&self, message: Message) -> Vec<u8> {
        let mut data = vec![0; self.bytes];
        message.write(&mut data);
        data
    }

    /// What the member at `place` submits to a round; once.
    pub(super) fn take(&self, round: u64, place: usize) -> Option<Submission> {
        lock(&self.rounds).get_mut(&round)?.remove(&(place as u32))
    }

    /// Bytes of what nobody has taken yet.
    pub(super) fn bytes(&self) -> usize {
        let rounds = lock(&self.rounds);
        let submissions = rounds.values().flat_map(HashMap::values);
        submissions.map(|submission| submission.packets.len() + submission.records.len()).sum()
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
