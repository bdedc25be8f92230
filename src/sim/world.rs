//! The world: parties, links, a clock, and what will happen next.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};

use crate::crypto::{Csprng, MailboxId, remember_checks};
use crate::mix;
use crate::packet::MessageId;
use crate::session::{self, Link};
use crate::store::{MessageName, NewMessage, StoreError};
use crate::wire::Network;

use super::adversary::Toll;
use super::anonymity::{Stopwatch, Watch};
use super::greeting::Greetings;
use super::injury::pair;
use super::kills::Trap;
use super::traffic::{Deferred, Incident, Parcel, Scheduled};
use super::{Faults, Party, Plan, Refusing, SimClient, SimMix, Witness};

/// A simulated network.
pub struct World {
    /// What every link does.
    pub faults: Faults,
    /// The mixes.
    pub mixes: Vec<SimMix>,
    /// The clients.
    pub clients: Vec<SimClient>,
    /// Batches as they went over a link, if [`World::record_batches`] was asked for: (hop that sent, round, packets).
    pub batches: Vec<(usize, u64, Vec<Vec<u8>>)>,
    /// Who looks on, if anybody does.
    pub witness: Option<Witness>,
    /// Who writes down whole rounds, if anybody does.
    pub(super) watch: Option<Watch>,
    /// Who times what is done, if anybody does.
    pub(super) stopwatch: Option<Stopwatch>,
    pub(super) plan: Plan,
    pub(super) network: Arc<Network>,
    pub(super) now: Duration,
    pub(super) rng: Csprng,
    pub(super) queue: BinaryHeap<Scheduled>,
    sequence: u64,
    pub(super) links: BTreeMap<(Party, Party), u64>,
    greetings: Greetings,
    pub(super) partitions: BTreeSet<(Party, Party)>,
    /// Whose link to whom is gone without its having noticed.
    pub(super) unnoticed: BTreeSet<(Party, Party)>,
    /// Who stands still, and what waits for it.
    pub(super) paused: BTreeMap<Party, Vec<Deferred>>,
    /// Clients whom a malicious entry tells that it refused what it has taken.
    pub lied_to: BTreeSet<usize>,
    /// Clients whose submissions a malicious entry refuses, and how.
    pub(super) refused: BTreeSet<usize>,
    pub(super) refusing: Refusing,
    /// Whether a malicious entry passes over what was handed to other mixes.
    pub passes_over: bool,
    /// A malicious mix that changes a byte of what it was handed, counted from the end if it is negative.
    pub spoils: Option<(usize, isize)>,
    /// Clients whose answers a malicious exit drops.
    pub(super) unanswered: BTreeSet<usize>,
    /// How often which client has asked the exit for which round.
    pub(super) polls: BTreeMap<(usize, u64), u32>,
    /// Whether clients ask again when they get no answer: what the protocol forbids.
    pub(super) polls_again: bool,
    /// Whether clients send again what has no receipt: what the protocol forbids.
    pub(super) resend_without_receipt: bool,
    /// What was done to packets and what came of it, if anybody counts.
    pub(super) toll: Toll,
    /// What goes over links.
    #[cfg(test)]
    pub(super) tally: super::tally::Tally,
    /// When a mix is to die.
    pub trap: Option<Trap>,
    pub(super) next_link: u64,
    pub(super) next_stream: u64,
    next_request: u64,
    pub(super) recording: bool,
}

impl World {
    /// A network in which everybody starts at moment zero.
    pub fn new(plan: Plan) -> Self {
        Self::with_faults(plan, Faults::default())
    }

    /// As [`World::new`], with links that misbehave from the start.
    pub fn with_faults(plan: Plan, faults: Faults) -> Self {
        remember_checks();
        let (network, keys, secrets) = plan.network();
        let mixes = keys.into_iter().map(|key| SimMix::new(&plan, &network, key)).collect();
        let clients = secrets.into_iter().map(|secrets| SimClient::new(&network, secrets)).collect();
        let mut world = Self {
            faults,
            mixes,
            clients,
            batches: Vec::new(),
            witness: None,
            watch: None,
            stopwatch: None,
            now: Duration::ZERO,
            rng: Csprng::seed_from_u64(plan.seed ^ 0x5eed),
            queue: BinaryHeap::new(),
            sequence: 0,
            links: BTreeMap::new(),
            greetings: Greetings::default(),
            partitions: BTreeSet::new(),
            unnoticed: BTreeSet::new(),
            paused: BTreeMap::new(),
            lied_to: BTreeSet::new(),
            refused: BTreeSet::new(),
            refusing: Refusing::default(),
            passes_over: false,
            spoils: None,
            unanswered: BTreeSet::new(),
            polls: BTreeMap::new(),
            polls_again: false,
            resend_without_receipt: false,
            toll: Toll::default(),
            #[cfg(test)]
            tally: Default::default(),
            trap: None,
            next_link: 0,
            next_stream: 0,
            next_request: 0,
            recording: false,
            plan,
            network,
        };
        (0..world.mixes.len()).for_each(|mix| world.start_mix(mix));
        (0..world.clients.len()).for_each(|client| world.start_client(client));
        world
    }

    /// The network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The present moment.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// User bytes in a packet.
    pub fn payload(&self) -> usize {
        self.plan.payload as usize
    }

    /// Keeps a copy of every batch that goes over a link.
    pub fn record_batches(&mut self) {
        self.recording = true;
    }

    /// Puts a message into a client's outbox, naming the sender.
    ///
    /// # Panics
    /// If the disk does not take it.
    pub fn send(&mut self, from: usize, to: usize, content: &[u8]) -> MessageId {
        MessageId(self.accept(from, to, true, content).expect("the outbox has room"))
    }

    /// Puts a message into a client's outbox, whether or not the client runs.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn accept(&mut self, from: usize, to: usize, named: bool, content: &[u8]) -> Result<MessageName, StoreError> {
        let mut name = [0; 16];
        self.rng.fill_bytes(&mut name);
        let address = self.clients[to].secrets.address;
        let message = NewMessage { to: (address.mailbox, address.letter_key), named, content };
        let payload = self.plan.payload as usize;
        let outbox = &self.clients[from].disk.outbox;
        let accepted = outbox.accept(name, &message, payload);
        // A disk that denies what it has taken: the outbox lists it, so its user knows.
        if accepted.is_err() && outbox.state(&name).is_ok() {
            return Ok(name);
        }
        accepted.map(|_| name)
    }

    /// What a client's inbox holds: who each message is from, by its tag, and its content; in order of completion.
    pub fn inbox(&self, client: usize) -> Vec<(Option<MailboxId>, Vec<u8>)> {
        let inbox = &self.clients[client].disk.inbox;
        let entries = inbox.all().expect("memory does not fail");
        let read = |entry: &crate::store::Entry| {
            let mut content = Vec::new();
            inbox.read(&entry.message, &mut content).expect("memory does not fail");
            (entry.sender, content)
        };
        entries.iter().map(read).collect()
    }

    /// Runs until `done` says so or `limit` more has passed; whether `done` did.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            if done(self) {
                return true;
            }
            match self.queue.pop() {
                Some(next) if next.at <= end => {
                    self.now = self.now.max(next.at);
                    self.happen(next.incident);
                }
                next => {
                    self.queue.extend(next);
                    self.now = end;
                    return done(self);
                }
            }
        }
    }

    /// Runs for `time`.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    fn run(&self, party: Party) -> u64 {
        match party {
            Party::Mix(mix) => self.mixes[mix].run,
            Party::Client(client) => self.clients[client].run,
        }
    }

    pub(super) fn schedule(&mut self, after: Duration, incident: Incident) {
        self.sequence += 1;
        self.queue.push(Scheduled { at: self.now + after, sequence: self.sequence, incident });
    }

    pub(super) fn wake(&mut self, party: Party) {
        let run = self.run(party);
        let (at, clock) = match party {
            Party::Mix(mix) => {
                let mix = &self.mixes[mix];
                (mix.engine.as_ref().and_then(mix::Mix::poll_timeout), mix.clock)
            }
            Party::Client(client) => {
                let client = &self.clients[client];
                (client.engine.as_ref().and_then(session::Session::poll_timeout), client.clock)
            }
        };
        if let Some(at) = at.filter(|_| !self.paused.contains_key(&party)) {
            self.schedule(clock.until(self.now, at), Incident::Wake { party, run });
        }
    }

    pub(super) fn peers(&self, party: Party) -> Vec<Party> {
        let mixes = self.mixes.len();
        match party {
            Party::Mix(own) => {
                let others = (0..mixes).filter(|mix| *mix != own).map(Party::Mix);
                let ends = own == 0 || own + 1 == mixes;
                others.chain((0..if ends { self.clients.len() } else { 0 }).map(Party::Client)).collect()
            }
            Party::Client(_) => vec![Party::Mix(0), Party::Mix(mixes - 1)],
        }
    }

    pub(super) fn link_changed(&mut self, at: Party, peer: Party, up: bool) {
        match (at, peer) {
            (Party::Mix(own), Party::Mix(mix)) => {
                let event = if up { mix::Event::LinkUp { mix } } else { mix::Event::LinkDown { mix } };
                self.at_mix(own, event);
            }
            (Party::Mix(own), Party::Client(client)) => {
                self.mixes[own].requests.retain(|_, (asker, _)| *asker != client);
                if !up {
                    self.at_mix(own, mix::Event::ClientGone { client: client as u32 });
                }
            }
            (Party::Client(own), Party::Mix(mix)) => {
                if !up {
                    self.hand_overs_fail(own, mix);
                }
                let link = match mix {
                    0 => Link::Entry,
                    last if last + 1 == self.mixes.len() => Link::Exit,
                    _ => return,
                };
                let event = match up {
                    true => session::Event::LinkUp { link, post_quantum: true },
                    false => session::Event::LinkDown { link },
                };
                self.at_client(own, event);
            }
            (Party::Client(_), Party::Client(_)) => {}
        }
    }

    /// Puts a parcel on a link; perhaps the link breaks instead, perhaps the parcel comes twice.
    pub(super) fn post(&mut self, from: Party, to: Party, mut make: impl FnMut() -> Parcel) {
        let copies = 1 + usize::from(self.comes_twice(from, to));
        for _ in 0..copies {
            self.post_in_order(from, to, vec![make()]);
        }
    }

    pub(super) fn comes_twice(&mut self, from: Party, to: Party) -> bool {
        let between_mixes = matches!((from, to), (Party::Mix(_), Party::Mix(_)));
        between_mixes && self.rng.random_bool(self.faults.duplication)
    }

    /// Puts the pieces of one stream on a link: they keep their order, and the link may break between any two.
    pub(super) fn post_in_order(&mut self, from: Party, to: Party, parcels: Vec<Parcel>) {
        self.post_after(Duration::ZERO, from, to, parcels);
    }

    /// As [`World::post_in_order`], but `after` so long.
    pub(super) fn post_after(&mut self, after: Duration, from: Party, to: Party, parcels: Vec<Parcel>) {
        let Some(link) = self.links.get(&pair(from, to)).copied() else { return };
        let mut delay = after + self.faults.latency;
        for parcel in parcels {
            if self.rng.random_bool(self.faults.loss) {
                self.cut(from, to);
                let outage = self.faults.outage.mul_f64(self.rng.random());
                return self.schedule(outage, Incident::Connect { a: from, b: to });
            }
            if let Some(witness) = self.witness.as_mut() {
                witness.posted(&parcel);
            }
            self.toll.posted(from, to, &parcel);
            #[cfg(test)]
            self.tally.posted(self.now, from, to, &parcel);
            delay += self.faults.jitter.mul_f64(self.rng.random());
            self.schedule(delay, Incident::Arrival { from, to, link, parcel });
        }
    }

    fn happen(&mut self, incident: Incident) {
        match incident {
            Incident::Connect { a, b } => self.connect(a, b),
            Incident::Down { at, peer } => self.notice(at, peer),
            Incident::Deeds { mix, deeds } => self.carry_out(mix, deeds),
            Incident::Disk { party, run } if run == self.run(party) => self.disk_turn(party),
            Incident::Wake { party, .. } if self.paused.contains_key(&party) => {}
            Incident::Wake { party, run } if run == self.run(party) => match party {
                Party::Mix(mix) => self.at_mix(mix, mix::Event::Timeout),
                Party::Client(client) => self.at_client(client, session::Event::Timeout),
            },
            Incident::Mix { mix, run, event } if run == self.mixes[mix].run => self.at_mix(mix, *event),
            Incident::Client { client, run, event } if run == self.clients[client].run => {
                self.at_client(client, *event);
            }
            Incident::Arrival { from, to, link, parcel } if self.links.get(&pair(from, to)) == Some(&link) => {
                for parcel in self.greetings.pass(from, to, link, parcel) {
                    if self.links.get(&pair(from, to)) == Some(&link) {
                        self.arrive(from, to, parcel);
                    }
                }
            }
            _ => {}
        }
    }

    fn arrive(&mut self, from: Party, to: Party, parcel: Parcel) {
        match (from, to, parcel) {
            (Party::Mix(from), Party::Mix(to), Parcel::Peer(message)) => {
                let message = self.overheard(from, self.mixes[to].as_its_engine_knows(message));
                if let Some(message) = self.heard(to, from, message) {
                    self.at_mix(to, mix::Event::Peer { from, message });
                }
            }
            (Party::Mix(from), Party::Mix(to), Parcel::Batch { stream, header }) => {
                self.at_mix(to, mix::Event::Batch { from, stream, header: *header });
            }
            (Party::Mix(from), Party::Mix(to), Parcel::Segment { stream, round, slots }) => {
                self.at_mix(to, mix::Event::Segment { from, stream, round, slots });
            }
            (Party::Client(client), Party::Mix(to), Parcel::Request { id: asked, request, submission }) => {
                if !self.granted(to, client, asked, &request) {
                    return;
                }
                let Some((request, submission)) = self.asked(to, client, request, submission) else { return };
                self.next_request += 1;
                let id = mix::RequestId(self.next_request);
                self.mixes[to].requests.insert(id, (client, asked));
                self.at_mix(to, mix::Event::Request { id, client: client as u32, request, submission });
            }
            (Party::Mix(_), Party::Client(client), Parcel::Reply { id, reply, letters }) => {
                self.clients[client].handed.remove(&id);
                self.at_client(client, session::Event::Reply { id, reply, letters });
            }
            _ => {}
        }
    }
}
