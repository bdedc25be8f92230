//! The world: parties, links, a clock, and what will happen next.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};

use crate::crypto::{Csprng, MailboxId};
use crate::mix;
use crate::packet::MessageId;
use crate::session::{self, Link};
use crate::store::NewMessage;
use crate::wire::Network;

use super::traffic::{Incident, Parcel, Scheduled};
use super::{Faults, Party, Plan, SimClient, SimMix};

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
    pub(super) plan: Plan,
    network: Arc<Network>,
    pub(super) now: Duration,
    rng: Csprng,
    queue: BinaryHeap<Scheduled>,
    sequence: u64,
    links: BTreeMap<(Party, Party), u64>,
    partitions: BTreeSet<(Party, Party)>,
    next_link: u64,
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
        let (network, keys, secrets) = plan.network();
        let mixes = keys.into_iter().map(|key| SimMix::new(&plan, &network, key)).collect();
        let clients = secrets.into_iter().map(|secrets| SimClient::new(&network, secrets)).collect();
        let mut world = Self {
            faults,
            mixes,
            clients,
            batches: Vec::new(),
            now: Duration::ZERO,
            rng: Csprng::seed_from_u64(plan.seed ^ 0x5eed),
            queue: BinaryHeap::new(),
            sequence: 0,
            links: BTreeMap::new(),
            partitions: BTreeSet::new(),
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

    /// Keeps a copy of every batch that goes over a link.
    pub fn record_batches(&mut self) {
        self.recording = true;
    }

    /// Puts a message into a client's outbox, naming the sender.
    pub fn send(&mut self, from: usize, to: usize, content: &[u8]) -> MessageId {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        let address = self.clients[to].secrets.address;
        let message = NewMessage { to: (address.mailbox, address.letter_key), named: true, content };
        let payload = self.plan.payload as usize;
        self.clients[from].disk.outbox.accept(id, &message, payload).expect("the outbox has room");
        MessageId(id)
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

    /// Kills a mix: engine and links are gone, its disk stays as it was.
    pub fn crash_mix(&mut self, mix: usize) {
        self.mixes[mix].engine = None;
        self.cut_all(Party::Mix(mix));
    }

    /// Empties the disk of a mix that does not run.
    pub fn lose_disk(&mut self, mix: usize) {
        self.mixes[mix].lose_disk(&self.plan, &self.network);
    }

    /// Starts a mix.
    pub fn start_mix(&mut self, mix: usize) {
        self.mixes[mix].start(&self.plan, &self.network, mix);
        self.wake(Party::Mix(mix));
        self.connect_all(Party::Mix(mix));
    }

    /// Kills a client.
    pub fn crash_client(&mut self, client: usize) {
        self.clients[client].engine = None;
        self.cut_all(Party::Client(client));
    }

    /// Starts a client.
    pub fn start_client(&mut self, client: usize) {
        let contacts = self.clients.iter().map(|other| (other.mailbox(), other.secrets.address.letter_key)).collect();
        self.clients[client].start(&self.plan, &self.network, client, contacts);
        self.wake(Party::Client(client));
        self.connect_all(Party::Client(client));
    }

    /// The operators admit one more client, who stands first on the roster, so that everybody else moves by one: all
    /// stop, take the new network file, and start again.
    pub fn admit(&mut self) {
        (0..self.mixes.len()).for_each(|mix| self.crash_mix(mix));
        (0..self.clients.len()).for_each(|client| self.crash_client(client));
        self.queue.clear();
        self.plan.clients += 1;
        let (network, _, mut secrets) = self.plan.network();
        let mut network = Arc::unwrap_or_clone(network);
        network.roster.clients.rotate_right(1);
        self.network = Arc::new(network);
        let newcomer = secrets.pop().expect("a network has clients");
        self.clients.insert(0, SimClient::new(&self.network, newcomer));
        (0..self.mixes.len()).for_each(|mix| self.start_mix(mix));
        (0..self.clients.len()).for_each(|client| self.start_client(client));
    }

    /// Cuts the link between two parties until [`World::heal`].
    pub fn partition(&mut self, a: Party, b: Party) {
        self.partitions.insert(pair(a, b));
        self.cut(a, b);
    }

    /// Lets the two parties meet again.
    pub fn heal(&mut self, a: Party, b: Party) {
        self.partitions.remove(&pair(a, b));
        self.connect_later(a, b);
    }

    fn runs(&self, party: Party) -> bool {
        match party {
            Party::Mix(mix) => self.mixes[mix].engine.is_some(),
            Party::Client(client) => self.clients[client].engine.is_some(),
        }
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
        let at = match party {
            Party::Mix(mix) => self.mixes[mix].engine.as_ref().and_then(mix::Mix::poll_timeout),
            Party::Client(client) => self.clients[client].engine.as_ref().and_then(session::Session::poll_timeout),
        };
        if let Some(at) = at {
            self.schedule(at.saturating_sub(self.now), Incident::Wake { party, run });
        }
    }

    fn peers(&self, party: Party) -> Vec<Party> {
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

    fn connect_all(&mut self, party: Party) {
        self.peers(party).into_iter().for_each(|peer| self.connect_later(party, peer));
    }

    fn connect_later(&mut self, a: Party, b: Party) {
        let delay = self.faults.latency + self.faults.jitter.mul_f64(self.rng.random());
        self.schedule(delay, Incident::Connect { a, b });
    }

    fn cut_all(&mut self, party: Party) {
        self.peers(party).into_iter().for_each(|peer| self.cut(party, peer));
    }

    fn cut(&mut self, a: Party, b: Party) {
        if self.links.remove(&pair(a, b)).is_some() {
            self.link_changed(a, b, false);
            self.link_changed(b, a, false);
        }
    }

    fn connect(&mut self, a: Party, b: Party) {
        let pair = pair(a, b);
        let possible = self.runs(a) && self.runs(b) && !self.partitions.contains(&pair);
        if possible && !self.links.contains_key(&pair) {
            self.next_link += 1;
            self.links.insert(pair, self.next_link);
            self.link_changed(a, b, true);
            self.link_changed(b, a, true);
        }
    }

    fn link_changed(&mut self, at: Party, peer: Party, up: bool) {
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
                let link = if mix == 0 { Link::Entry } else { Link::Exit };
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
        let Some(link) = self.links.get(&pair(from, to)).copied() else { return };
        if self.rng.random_bool(self.faults.loss) {
            self.cut(from, to);
            let outage = self.faults.outage.mul_f64(self.rng.random());
            return self.schedule(outage, Incident::Connect { a: from, b: to });
        }
        let between_mixes = matches!((from, to), (Party::Mix(_), Party::Mix(_)));
        let copies = if between_mixes && self.rng.random_bool(self.faults.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.faults.latency + self.faults.jitter.mul_f64(self.rng.random());
            let parcel = make();
            self.schedule(delay, Incident::Arrival { from, to, link, parcel });
        }
    }

    fn happen(&mut self, incident: Incident) {
        match incident {
            Incident::Connect { a, b } => self.connect(a, b),
            Incident::Wake { party, run } if run == self.run(party) => match party {
                Party::Mix(mix) => self.at_mix(mix, mix::Event::Timeout),
                Party::Client(client) => self.at_client(client, session::Event::Timeout),
            },
            Incident::Mix { mix, run, event } if run == self.mixes[mix].run => self.at_mix(mix, *event),
            Incident::Client { client, run, event } if run == self.clients[client].run => {
                self.at_client(client, *event);
            }
            Incident::Arrival { from, to, link, parcel } if self.links.get(&pair(from, to)) == Some(&link) => {
                self.arrive(from, to, parcel);
            }
            _ => {}
        }
    }

    fn arrive(&mut self, from: Party, to: Party, parcel: Parcel) {
        match (from, to, parcel) {
            (Party::Mix(from), Party::Mix(to), Parcel::Peer(message)) => {
                self.at_mix(to, mix::Event::Peer { from, message });
            }
            (Party::Mix(from), Party::Mix(to), Parcel::Batch { stream, header, segments }) => {
                let round = header.header.round;
                self.at_mix(to, mix::Event::Batch { from, stream, header: *header });
                for slots in segments {
                    self.at_mix(to, mix::Event::Segment { from, stream, round, slots });
                }
            }
            (Party::Client(client), Party::Mix(to), Parcel::Request { id: asked, request, packets }) => {
                self.next_request += 1;
                let id = mix::RequestId(self.next_request);
                self.mixes[to].requests.insert(id, (client, asked));
                self.at_mix(to, mix::Event::Request { id, client: client as u32, request, packets });
            }
            (Party::Mix(_), Party::Client(client), Parcel::Reply { id, reply, letters }) => {
                self.at_client(client, session::Event::Reply { id, reply, letters });
            }
            _ => {}
        }
    }
}

fn pair(a: Party, b: Party) -> (Party, Party) {
    (a.min(b), a.max(b))
}
