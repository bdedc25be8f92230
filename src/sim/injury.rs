//! What is done to parties and links: crashes, pauses, partitions, clocks that jump.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use super::party::Clock;
use super::traffic::{Deferred, Incident};
use super::{Party, SimClient, World};

/// How far apart clocks are that begin anywhere: thirty years.
const ANYWHERE_MS: u64 = 30 * 365 * 86_400 * 1000;

impl World {
    /// Kills a mix: engine and links are gone, its disk stays as it was.
    pub fn crash_mix(&mut self, mix: usize) {
        self.crash(Party::Mix(mix));
    }

    /// Kills a client.
    pub fn crash_client(&mut self, client: usize) {
        self.crash(Party::Client(client));
    }

    /// Kills a party, whatever it is doing; what its disk has not done yet is never done.
    pub fn crash(&mut self, party: Party) {
        self.paused.remove(&party);
        match party {
            Party::Mix(mix) => self.mixes[mix].crash(),
            Party::Client(client) => self.clients[client].crash(),
        }
        self.cut_all(party);
        self.unnoticed.retain(|(at, _)| *at != party);
    }

    /// Empties the disk of a mix that does not run.
    pub fn lose_disk(&mut self, mix: usize) {
        self.mixes[mix].lose_disk(&self.plan, &self.network);
    }

    /// Starts a mix.
    pub fn start_mix(&mut self, mix: usize) {
        let clock = self.new_clock();
        self.mixes[mix].start(&self.plan, &self.network, mix, clock);
        self.started(Party::Mix(mix));
    }

    /// Starts a client.
    pub fn start_client(&mut self, client: usize) {
        let contacts = self.clients.iter().map(|other| (other.mailbox(), other.secrets.address.letter_key)).collect();
        let (clock, _) = self.new_clock();
        self.clients[client].start(&self.plan, &self.network, client, contacts, clock);
        self.started(Party::Client(client));
    }

    /// Starts a party that does not run.
    pub fn start(&mut self, party: Party) {
        match party {
            _ if self.runs(party) => {}
            Party::Mix(mix) => self.start_mix(mix),
            Party::Client(client) => self.start_client(client),
        }
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

    fn started(&mut self, party: Party) {
        self.wake(party);
        self.connect_all(party);
    }

    /// A clock, and the calendar's milliseconds at its zero.
    fn new_clock(&mut self) -> (Clock, u64) {
        if !self.faults.clocks {
            return (Clock::showing(self.now, self.now), 0);
        }
        let shown = Duration::from_millis(self.rng.random_range(0..ANYWHERE_MS));
        (Clock::showing(self.now, shown), self.rng.random_range(0..2 * ANYWHERE_MS))
    }

    /// Lets a party's monotonic clock jump ahead, as that of a machine that slept.
    pub fn jump_clock(&mut self, party: Party, by: Duration) {
        match party {
            Party::Mix(mix) => self.mixes[mix].clock.jump(by),
            Party::Client(client) => self.clients[client].clock.jump(by),
        }
        self.wake(party);
    }

    /// Stops a party in its tracks: what comes to it waits. Its links stand until they are cut.
    pub fn pause(&mut self, party: Party) {
        if self.runs(party) {
            self.paused.entry(party).or_default();
        }
    }

    /// Lets a paused party go on: everything that came meanwhile comes now.
    pub fn resume(&mut self, party: Party) {
        let Some(waiting) = self.paused.remove(&party) else { return };
        for deferred in waiting {
            match (party, deferred) {
                (Party::Mix(mix), Deferred::Mix(event)) => self.at_mix(mix, *event),
                (Party::Client(client), Deferred::Client(event)) => self.at_client(client, *event),
                (party, Deferred::Disk) => self.disk_turn(party),
                _ => {}
            }
        }
        self.wake(party);
        self.connect_all(party);
    }

    /// Whether a party runs.
    pub fn runs(&self, party: Party) -> bool {
        match party {
            Party::Mix(mix) => self.mixes[mix].engine.is_some(),
            Party::Client(client) => self.clients[client].engine.is_some(),
        }
    }

    /// Whether a party stands still.
    pub fn is_paused(&self, party: Party) -> bool {
        self.paused.contains_key(&party)
    }

    /// Whether a party runs and does not stand still.
    pub fn is_awake(&self, party: Party) -> bool {
        self.runs(party) && !self.is_paused(party)
    }

    /// Whether a party's disk has been asked for something that it has not done.
    pub fn is_writing(&self, party: Party) -> bool {
        match party {
            Party::Mix(mix) => !self.mixes[mix].records.is_empty(),
            Party::Client(client) => !self.clients[client].chores.is_empty(),
        }
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

    fn cut_all(&mut self, party: Party) {
        let links: Vec<_> = self.links.keys().filter(|(a, b)| [a, b].contains(&&party)).copied().collect();
        links.into_iter().for_each(|(a, b)| self.cut(a, b));
    }

    /// Breaks every link of a party, as when it has been silent for too long; they are made again when it can.
    pub fn lose_links(&mut self, party: Party) {
        self.cut_all(party);
        self.connect_all(party);
    }

    fn connect_all(&mut self, party: Party) {
        self.peers(party).into_iter().for_each(|peer| self.connect_later(party, peer));
    }

    fn connect_later(&mut self, a: Party, b: Party) {
        let delay = self.faults.latency + self.faults.jitter.mul_f64(self.rng.random());
        self.schedule(delay, Incident::Connect { a, b });
    }

    /// A link breaks. One end, drawn at random, may take a while to notice.
    pub(super) fn cut(&mut self, a: Party, b: Party) {
        if self.links.remove(&pair(a, b)).is_none() {
            return;
        }
        let late = self.faults.unnoticed.mul_f64(self.rng.random());
        let (first, second) = if self.rng.random() { (a, b) } else { (b, a) };
        self.link_changed(first, second, false);
        if late.is_zero() {
            return self.link_changed(second, first, false);
        }
        self.unnoticed.insert((second, first));
        self.schedule(late, Incident::Down { at: second, peer: first });
    }

    /// A party notices that a link is gone.
    pub(super) fn notice(&mut self, at: Party, peer: Party) {
        if self.unnoticed.remove(&(at, peer)) {
            self.link_changed(at, peer, false);
        }
    }

    pub(super) fn connect(&mut self, a: Party, b: Party) {
        let pair = pair(a, b);
        let possible = self.is_awake(a) && self.is_awake(b) && !self.partitions.contains(&pair);
        if possible && !self.links.contains_key(&pair) {
            self.notice(a, b);
            self.notice(b, a);
            self.next_link += 1;
            self.links.insert(pair, self.next_link);
            self.link_changed(a, b, true);
            self.link_changed(b, a, true);
        }
    }
}

/// The name of the link between two parties.
pub(super) fn pair(a: Party, b: Party) -> (Party, Party) {
    (a.min(b), a.max(b))
}
