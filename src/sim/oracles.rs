//! Oracles: whether what is kept from chosen clients shows in what others see of them.
//!
//! An adversary keeps something from half of the clients, another half each time, and looks whether what it sees differs:
//! after log2 of them it has a name. Each is tried on an honest network, and without the rule which closes it: clients break
//! it, or mixes do not have it.

use std::time::Duration;

use crate::crypto::{Defence, Defences};
use crate::session;
use crate::wire::Request;

use super::{Faults, Party, Plan, Refusing, Witness, World, parallel};

/// Letters by which one of [`Oracles::clients`] is named: log2 of them.
const LETTERS: usize = 4;
/// Longest wait for a letter.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may come again, or fail to come: for a verdict and what it brings.
const AGAIN: Duration = Duration::from_secs(10);
/// How long polls are watched.
const POLLS: Duration = Duration::from_secs(20);

/// An experiment with all of them.
#[derive(Clone, Debug)]
pub struct Oracles {
    /// Networks for each.
    pub seeds: u64,
    /// The first network's seed.
    pub seed: u64,
    /// Networks at a time.
    pub threads: usize,
}

/// What is kept from chosen clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Oracle {
    /// Receipts: a client that sends again without one shows itself by a second letter.
    Receipts,
    /// Answers to polls: a client that asks again without one shows whom they were for.
    Answers,
    /// Submissions, which the entry refuses: a letter that does not come then is of one of these clients, unless other mixes take
    /// them and sign no list without them.
    Submissions,
}

/// What one of them came to.
#[derive(Clone, Copy, Debug)]
pub struct OracleRow {
    /// Which.
    pub oracle: Oracle,
    /// Networks.
    pub seeds: u64,
    /// In which it named the right client.
    pub named: u64,
    /// In which it did without the rule.
    pub control_named: u64,
}

impl Oracle {
    /// All of them.
    pub const ALL: [Oracle; 3] = [Oracle::Receipts, Oracle::Answers, Oracle::Submissions];

    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Oracle::Receipts => "receipts",
            Oracle::Answers => "answers",
            Oracle::Submissions => "submissions",
        }
    }

    /// Whether it names the client that it is after. With `broken` the rule is not there.
    fn names(self, seed: u64, broken: bool) -> bool {
        let sender = 1 + seed as usize % (Oracles::CLIENTS - 1);
        let found = match self {
            Oracle::Receipts => by_receipts(seed, sender, broken),
            Oracle::Answers => by_answers(seed, broken).then_some(sender),
            Oracle::Submissions => by_submissions(seed, sender, broken),
        };
        found == Some(sender)
    }
}

impl OracleRow {
    /// Whether nobody was named, and a broken rule would have shown.
    pub fn is_closed(&self) -> bool {
        self.named == 0 && self.control_named == self.seeds
    }

    /// The row as one JSON object.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "oracle": self.oracle.name(),
            "seeds": self.seeds,
            "named": self.named,
            "control_named": self.control_named,
        })
    }
}

impl Oracles {
    /// Clients of each network.
    pub const CLIENTS: usize = 1 << LETTERS;

    /// Runs those of `oracles`.
    pub fn run(&self, oracles: &[Oracle]) -> Vec<OracleRow> {
        oracles.iter().map(|oracle| self.row(*oracle)).collect()
    }

    fn row(&self, oracle: Oracle) -> OracleRow {
        let named = parallel::each(self.threads, 0..self.seeds, |number| {
            let seed = self.seed.wrapping_add(number);
            [oracle.names(seed, false), oracle.names(seed, true)]
        });
        let count = |place: usize| named.iter().filter(|named| named[place]).count() as u64;
        OracleRow { oracle, seeds: self.seeds, named: count(0), control_named: count(1) }
    }
}

impl World {
    /// Whether a mix so much as looks at what a client asks.
    pub(super) fn granted(&mut self, to: usize, client: usize, id: session::RequestId, request: &Request) -> bool {
        match request {
            Request::Submit { .. } if to == 0 && self.refused.contains(&client) => {
                self.refuses(client, id);
                false
            }
            Request::PollMessages { round, .. } => {
                let polls = self.polls.entry((client, *round)).or_default();
                *polls += 1;
                let dropped = self.unanswered.contains(&client);
                let again = *polls < 2;
                if dropped && self.polls_again && again {
                    self.ask(Party::Client(client), Party::Mix(to), id, request.clone(), None);
                }
                !dropped
            }
            _ => true,
        }
    }
}

fn world(seed: u64) -> World {
    defended(seed, Defences::default())
}

fn defended(seed: u64, defences: Defences) -> World {
    // No draw of the world's own: what differs between two runs is what was done to them.
    let faults = Faults { jitter: Duration::ZERO, ..Faults::default() };
    let (clients, packets_per_client, epoch_rounds) = (Oracles::CLIENTS, 1, 24);
    let plan = Plan { clients, packets_per_client, epoch_rounds, defences, seed, ..Plan::default() };
    let mut world = World::with_faults(plan, faults);
    world.witness = Some(Witness::default());
    world
}

/// The half of the clients whose index has this bit.
fn half(bit: usize) -> impl Iterator<Item = usize> {
    (0..Oracles::CLIENTS).filter(move |client| client >> bit & 1 == 1)
}

/// The recipient, in league with the entry, counts how often each letter comes.
fn by_receipts(seed: u64, sender: usize, broken: bool) -> Option<usize> {
    let mut world = world(seed);
    world.resend_without_receipt = broken;
    let mut name = 0;
    for letter in 0..LETTERS {
        world.lied_to = half(letter).collect();
        let message = world.send(sender, 0, &[letter as u8; 32]);
        let arrivals = |world: &World| world.witness.as_ref().map_or(0, |witness| witness.arrivals(&message.0));
        if !world.run_until(PATIENCE, |world| arrivals(world) > 0) {
            return None;
        }
        world.run_for(AGAIN);
        name |= usize::from(arrivals(&world) > 1) << letter;
    }
    Some(name)
}

/// Whether a half of the clients whose answers the exit drops polls otherwise than if it did not.
fn by_answers(seed: u64, broken: bool) -> bool {
    let polls = |dropping: bool| {
        let mut world = world(seed);
        world.polls_again = broken;
        world.run_for(Duration::from_secs(3));
        world.unanswered = half(0).filter(|_| dropping).collect();
        world.send(2, 1, b"for one whose answers are dropped");
        world.send(3, 0, b"for one whose answers are not");
        world.run_for(POLLS);
        world.polls
    };
    polls(true) != polls(false)
}

/// The entry refuses half of the clients until the letter has come, or can only be of one of them: openly, silently, or by
/// breaking their links, in turn.
fn by_submissions(seed: u64, sender: usize, broken: bool) -> Option<usize> {
    let without = Defences::default().without(Defence::HandOver);
    let mut world = defended(seed, if broken { without } else { Defences::default() });
    let mut name = 0;
    for letter in 0..LETTERS {
        let how = [Refusing::Openly, Refusing::Silently, Refusing::Cutting][letter % 3];
        world.refuse(half(letter), how);
        world.run_for(Duration::from_secs(2));
        let message = world.send(sender, 0, &[letter as u8; 32]);
        let arrived = |world: &World| world.witness.as_ref().is_some_and(|witness| witness.arrivals(&message.0) > 0);
        let came = world.run_until(AGAIN, arrived);
        name |= usize::from(!came) << letter;
        world.refuse([], how);
        if !world.run_until(PATIENCE, arrived) {
            return None;
        }
    }
    Some(name)
}
