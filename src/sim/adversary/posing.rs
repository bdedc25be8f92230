//! A malicious party as a process: the daemon's own driver over real links, and the villain between its engine and these.
//!
//! What it does it writes into a journal beside its store, which is all that an experiment learns from it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::client::{self, Client, ClientConfig, DiskLimits};
use crate::config::{Home, Loading, NetworkFile, Role};
use crate::crypto::{Backend, Digest, IdentityKey, SecretKey};
use crate::mix::{Action, Event, Mix, RequestId};
use crate::net::Limits;
use crate::node::{self, Emission, Node, NodeConfig};
use crate::packet::{Geometry, Slots};
use crate::round::{Noise, OutgoingBatch, Shuffled};
use crate::session;
use crate::store::{MapLimits, Store};
use crate::wire::{Exhibit, Network, PeerMessage, Request};

use super::behaviour::{self, Villain};
use super::journal::Journal;
use super::watched::Watched;
use super::{Deed, Insider, Member, RogueClient, RogueMix};

/// How often it looks whether the keys of others have come, as every daemon does.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A daemon that somebody has taken over.
#[derive(Clone, Debug)]
pub struct Posing {
    /// Whose home it runs from.
    pub home: PathBuf,
    /// Which attack, by name; `None`: a mix that does nothing wrong, says in its journal what leaves it, and dies where a trap is
    /// set.
    pub behaviour: Option<String>,
    /// Hop 1 to L of the malicious mix, or of the mix that a malicious client is after.
    pub position: usize,
    /// Everything random in what it does follows from it.
    pub seed: u64,
}

impl Posing {
    /// Runs until its standard input ends or it is told to stop.
    ///
    /// # Errors
    /// If there is no such behaviour, or for what keeps a daemon from running.
    pub async fn run(&self) -> Result<(), Box<dyn Error>> {
        let stop = CancellationToken::new();
        stop_when_told(&stop)?;
        let home = Home::open::<&str, &str>(&self.home, [])?;
        let file = NetworkFile::read(&home.network)?;
        let journal = Journal::open(&home.dir)?;
        let Some(name) = &self.behaviour else {
            let watched = Watched::new(&home.dir, journal);
            return run_mix(&home, &file, &stop, |_| Ok(Box::new(watched))).await;
        };
        let behaviour = behaviour::ALL.iter().find(|behaviour| behaviour.name == name);
        let behaviour = behaviour.ok_or("there is no such behaviour")?;
        let place = self.position.checked_sub(1).ok_or("positions begin with 1")?;
        match behaviour.villain(place, self.seed) {
            Villain::Mix(_, rogue) => {
                let (has_begun, key) = (behaviour.begins_early(), home.mix_secrets()?.identity);
                let taken = |network: &Arc<Network>| -> Result<Box<dyn node::Intruder>, Box<dyn Error>> {
                    let (geometry, network) = (geometry(network)?, network.clone());
                    let (lacking, forged, waiting, asking, loot_since) = Default::default();
                    Ok(Box::new(TakenMix {
                        rogue,
                        place,
                        key,
                        network,
                        geometry,
                        has_begun,
                        lacking,
                        forged,
                        waiting,
                        asking,
                        loot_since,
                        journal,
                    }))
                };
                run_mix(&home, &file, &stop, taken).await
            }
            Villain::Client(rogue) => run_client(&home, &file, &stop, rogue, journal).await,
        }
    }
}

fn store(home: &Home) -> Result<Store, Box<dyn Error>> {
    Ok(Store::lmdb(&home.dir.join("store"), MapLimits::default())?)
}

async fn run_mix(
    home: &Home,
    file: &NetworkFile,
    stop: &CancellationToken,
    intruder: impl FnOnce(&Arc<Network>) -> Result<Box<dyn node::Intruder>, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    home.make_keys(Role::Mix)?;
    let secrets = home.mix_secrets()?;
    secrets.key_file(&home.id).publish(&file.keys_dir())?;
    let Some(network) = whole(file, stop).await? else { return Ok(()) };
    let line = network.roster.mixes.iter().find(|mix| mix.id == home.id).ok_or("it is no mix")?;
    let config = NodeConfig {
        listen: line.address.parse()?,
        network: network.clone(),
        key: secrets.identity,
        store: store(home)?,
        limits: Limits::default(),
        backend: Backend::default(),
        emission: Emission::default(),
        evidence: Some(home.dir.join("evidence")),
    };
    let node = Node::start_taken_over(config, intruder(&network)?)?;
    node.listen(&home.control).await?;
    stop.cancelled().await;
    node.stop().await;
    Ok(())
}

async fn run_client(
    home: &Home,
    file: &NetworkFile,
    stop: &CancellationToken,
    rogue: Box<dyn RogueClient>,
    journal: Journal,
) -> Result<(), Box<dyn Error>> {
    home.make_keys(Role::Client)?;
    let secrets = home.client_secrets()?;
    for key in secrets.key_files(&home.id, &file.id()) {
        key.publish(&file.keys_dir())?;
    }
    let Some(network) = whole(file, stop).await? else { return Ok(()) };
    let own = home.client_secrets()?;
    let index = network.roster.client(&own.identity.identity()).ok_or("it is no client")?;
    let (identity, list, geometry) = (own.identity, own.list, geometry(&network)?);
    let packets = network.parameters.packets_per_client as usize;
    let taken = TakenClient { rogue, index, identity, list, geometry, packets, journal };
    let config = ClientConfig {
        network,
        id: home.id.clone(),
        secrets,
        contacts: home.contacts(),
        store: store(home)?,
        disk_limits: DiskLimits::default(),
        wait_rounds: 0,
        limits: Limits::default(),
        evidence: home.dir.join("evidence"),
    };
    let client = Client::start_taken_over(config, &home.control, Box::new(taken)).await?;
    stop.cancelled().await;
    client.stop().await;
    Ok(())
}

fn geometry(network: &Network) -> Result<Geometry, &'static str> {
    Geometry::new(network.mixes(), network.parameters.payload as usize).ok_or("the network file is out of range")
}

/// The network, once the last public key is there.
async fn whole(file: &NetworkFile, stop: &CancellationToken) -> Result<Option<Arc<Network>>, Box<dyn Error>> {
    loop {
        if let Loading::Complete(network) = file.load()? {
            return Ok(Some(Arc::new(network)));
        }
        if stop.run_until_cancelled(tokio::time::sleep(LOOK_AGAIN)).await.is_none() {
            return Ok(None);
        }
    }
}

/// It must not outlive the experiment that has started it.
fn stop_when_told(stop: &CancellationToken) -> io::Result<()> {
    let (ended, told) = (stop.clone(), stop.clone());
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        terminate.recv().await;
        told.cancel();
    });
    // A thread of its own: the runtime would wait for one of its threads.
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while io::stdin().read(&mut ignored).is_ok_and(|count| count > 0) {}
        ended.cancel();
    });
    Ok(())
}

/// What a villain has got hold of and still has then was not on its way to it anyhow.
const LASTS: Duration = Duration::from_secs(1);

/// A mix that somebody has taken over.
struct TakenMix {
    rogue: Box<dyn RogueMix>,
    place: usize,
    key: IdentityKey,
    network: Arc<Network>,
    geometry: Geometry,
    has_begun: bool,
    /// Batches that lack an honest packet, by round and digest, and clients whose submissions it has replaced.
    lacking: BTreeSet<(u64, Digest)>,
    forged: BTreeSet<(u64, u32)>,
    /// What it does when the link to the next mix is back.
    waiting: Vec<node::Deed>,
    /// Who waits for which answer.
    asking: BTreeMap<RequestId, u32>,
    loot_since: Option<Instant>,
    journal: Journal,
}

impl TakenMix {
    fn act<T>(&mut self, mix: &Mix, disk: &node::Disk, act: impl FnOnce(&mut dyn RogueMix, &Insider<'_>) -> T) -> T {
        let Self { place, key, network, geometry, .. } = self;
        let me = Insider { place: *place, key, network, geometry: *geometry, disk, engine: Some(mix) };
        let done = act(self.rogue.as_mut(), &me);
        if self.rogue.has_acted() {
            self.journal.note(&json!({ "acted": true }));
        }
        match (self.rogue.loot(), self.loot_since) {
            (Some(loot), Some(since)) if since.elapsed() > LASTS => self.journal.note(&json!({ "loot": loot })),
            (Some(_), Some(_)) => {}
            (loot, _) => self.loot_since = loot.map(|_| Instant::now()),
        }
        done
    }

    /// The first stored round shows that the network runs.
    fn has_begun(&mut self, mix: &Mix) -> bool {
        self.has_begun |= mix.status().stored > 0;
        self.has_begun
    }

    fn deeds(&mut self, honest: &[Vec<u8>], deeds: Vec<Deed>) -> Vec<node::Deed> {
        let next = self.place + 1;
        let mut done = Vec::with_capacity(deeds.len());
        for deed in deeds {
            match deed {
                Deed::Say(to, message) => done.push(node::Deed::Do(Box::new(Action::Send { to, message }))),
                Deed::HandOn(header, packets) => {
                    if honest.iter().any(|packet| !packets.contains(packet)) {
                        self.lacking.insert((header.header.round, header.header.output));
                        self.journal.note(&json!({ "touched": header.header.round }));
                    }
                    let packets = outgoing(self.geometry, &packets);
                    let batch = Arc::new(OutgoingBatch { header, packets });
                    done.push(node::Deed::Do(Box::new(Action::Forward { to: next, batch })));
                }
                Deed::Cut(deeds) => {
                    done.push(node::Deed::Cut(next));
                    let deeds = self.deeds(honest, deeds);
                    self.waiting.extend(deeds);
                }
                Deed::Later(after, deeds) => {
                    let deeds = self.deeds(honest, deeds);
                    done.push(node::Deed::Later(after, deeds));
                }
            }
        }
        done
    }
}

/// Packets as a mix would have peeled and ordered them.
fn outgoing(geometry: Geometry, packets: &[Vec<u8>]) -> Shuffled {
    let mut slots = Slots::zeroed(geometry, packets.len());
    packets.iter().enumerate().for_each(|(slot, packet)| slots.peeled_mut(slot).copy_from_slice(packet));
    Shuffled::in_order(geometry, vec![slots], Noise::none(geometry))
}

impl node::Intruder for TakenMix {
    fn does(&mut self, mix: &Mix, disk: &node::Disk, action: Action) -> Vec<node::Deed> {
        if !self.has_begun(mix) {
            return vec![node::Deed::Do(Box::new(action))];
        }
        match action {
            Action::Send { to, message } => {
                let deeds = self.act(mix, disk, |rogue, me| rogue.says(me, to, message));
                self.deeds(&[], deeds)
            }
            Action::Forward { batch, .. } => {
                let honest: Vec<Vec<u8>> = batch.packets.packets().map(<[u8]>::to_vec).collect();
                let (header, packets) = (batch.header.clone(), honest.clone());
                let of_round = |(round, client): &(u64, u32)| {
                    *round == header.header.round && header.header.members.contains(*client)
                };
                if self.forged.iter().any(of_round) {
                    self.journal.note(&json!({ "taken": header.header.round }));
                }
                let deeds = self.act(mix, disk, |rogue, me| rogue.hands_on(me, header, packets));
                self.deeds(&honest, deeds)
            }
            Action::Reply { id, reply } => {
                let reply = match self.asking.remove(&id) {
                    Some(client) => self.act(mix, disk, |rogue, me| rogue.answers(me, client, reply)),
                    None => reply,
                };
                vec![node::Deed::Do(Box::new(Action::Reply { id, reply }))]
            }
            other => vec![node::Deed::Do(Box::new(other))],
        }
    }

    fn hears(&mut self, mix: &Mix, disk: &node::Disk, event: Event) -> (Option<Event>, Vec<node::Deed>) {
        if let Event::Request { id, client, request, .. } = &event
            && !matches!(request, Request::PollMessages { .. })
        {
            self.asking.insert(*id, *client);
        }
        if !self.has_begun(mix) {
            return (Some(event), Vec::new());
        }
        match event {
            Event::Peer { from, message } => {
                if let PeerMessage::BatchAccepted { round, digest } = &message
                    && self.lacking.contains(&(*round, *digest))
                {
                    self.journal.note(&json!({ "taken": round }));
                }
                // What it has asked for it has refused itself: the client's own packets are in, by way of that mix.
                if let PeerMessage::Show { round, exhibit: Exhibit::Submission { client }, .. } = &message {
                    self.forged.remove(&(*round, *client));
                }
                let is_back = from == self.place + 1 && matches!(message, PeerMessage::Hello { .. });
                let mut done = if is_back { std::mem::take(&mut self.waiting) } else { Vec::new() };
                let (heard, deeds) = self.act(mix, disk, |rogue, me| rogue.hears(me, from, message));
                done.extend(self.deeds(&[], deeds));
                (heard.map(|message| Event::Peer { from, message }), done)
            }
            Event::Worked(done) => (Some(Event::Worked(self.act(mix, disk, |rogue, _| rogue.finds(done)))), Vec::new()),
            Event::Request { id, client, request: Request::Submit { round }, submission: Some(submission) } => {
                let before = submission.packets.received(0).to_vec();
                let taken = self.act(mix, disk, |rogue, me| rogue.takes(me, client, round, submission));
                if taken.as_ref().is_some_and(|taken| taken.packets.received(0) != before) {
                    self.forged.insert((round, client));
                    self.journal.note(&json!({ "touched": round }));
                }
                let request = Request::Submit { round };
                (taken.map(|taken| Event::Request { id, client, request, submission: Some(taken) }), Vec::new())
            }
            other => (Some(other), Vec::new()),
        }
    }
}

/// A member that means harm.
struct TakenClient {
    rogue: Box<dyn RogueClient>,
    index: u32,
    identity: IdentityKey,
    list: SecretKey,
    geometry: Geometry,
    packets: usize,
    journal: Journal,
}

impl client::Intruder for TakenClient {
    fn does(&mut self, disk: &client::Disk, action: session::Action) -> Vec<session::Action> {
        let session::Action::Submit { id, round, packets, records } = action else { return vec![action] };
        let chain = disk.epochs().unwrap_or_default().into_iter().rev().map(|signed| signed.document);
        let document = chain.into_iter().find(|document| document.position(round).is_some());
        let Some(document) = document else { return vec![session::Action::Submit { id, round, packets, records }] };
        let Self { index, identity, list, geometry, packets: count, .. } = self;
        let me = Member { index: *index, identity, list, document, geometry: *geometry, packets: *count };
        let sent = self.rogue.submits(&me, round, (packets, records));
        if self.rogue.has_acted() {
            self.journal.note(&json!({ "acted": true }));
        }
        sent.into_iter().map(|(packets, records)| session::Action::Submit { id, round, packets, records }).collect()
    }
}
