//! Each mix killed at each moment of a round, in rounds that open and in rounds that burn: never is a share released of a round of
//! which an onion key is published, and nothing is lost.
//!
//! [`Kills`] does it to simulated networks, where a [`Witness`] sees what leaves every mix; [`KillsProcesses`] to real
//! processes, which kill themselves at the moment and keep a journal of what has left them.

mod moment;
mod processes;

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::crypto::Csprng;
use crate::mix::{Action, Event};

use super::{Mischief, Plan, Violation, Witness, World, parallel};

pub use moment::{Moment, Trap};
pub use processes::KillsProcesses;

/// How long the network runs before the trap is set, at least.
const BEFORE: Duration = Duration::from_secs(2);
/// In which the trap must spring: some moments come once in a round.
const SPRINGS: Duration = Duration::from_secs(12);
/// How long whoever is killed stays away.
const AWAY: Duration = Duration::from_millis(700);
/// How long after it everything accepted must have arrived.
const AFTER: Duration = Duration::from_secs(180);
/// After which nothing comes twice any more.
const QUIET: Duration = Duration::from_secs(8);

/// Kills in simulated networks.
#[derive(Clone, Copy, Debug)]
pub struct Kills {
    /// Networks for each trap.
    pub seeds: u64,
    /// The first network's seed.
    pub seed: u64,
    /// Networks at a time.
    pub threads: usize,
    /// L.
    pub mixes: usize,
}

/// What a trap came to.
#[derive(Clone, Debug)]
pub struct KillsRow {
    /// Which.
    pub trap: Trap,
    /// Whether a client made the rounds burn.
    pub burning: bool,
    /// Networks.
    pub seeds: u64,
    /// Of these, those in which the mix came to the moment and died.
    pub killed: u64,
    /// In which a round had a released share and a published onion key.
    pub both: u64,
    /// In which the message arrived exactly once, and a witness saw nothing else that must not be.
    pub sound: u64,
    /// The seeds of networks that were not.
    pub failed_seeds: Vec<u64>,
}

impl Kills {
    /// Runs them all; each row is told as it ends.
    pub fn run(&self, tell: impl Fn(&KillsRow) + Sync) -> Vec<KillsRow> {
        let tries = Trap::all(self.mixes)
            .into_iter()
            .flat_map(|trap| [false, true].map(|burning| (trap, burning)))
            .filter(|(trap, burning)| *burning || !trap.moment.burns());
        parallel::each(self.threads, tries, |(trap, burning)| {
            let mut row = KillsRow::new(trap, burning);
            (0..self.seeds).for_each(|number| row.add(self.mixes, self.seed.wrapping_add(number)));
            tell(&row);
            row
        })
    }
}

impl KillsRow {
    fn new(trap: Trap, burning: bool) -> Self {
        Self { trap, burning, seeds: 0, killed: 0, both: 0, sound: 0, failed_seeds: Vec::new() }
    }

    fn add(&mut self, mixes: usize, seed: u64) {
        let (killed, both, sound) = kill(self.trap, self.burning, mixes, seed);
        self.seeds += 1;
        self.killed += u64::from(killed);
        self.both += u64::from(both);
        self.sound += u64::from(sound);
        if !sound || both {
            self.failed_seeds.push(seed);
        }
    }

    /// Whether nothing was seen that must not be.
    pub fn is_good(&self) -> bool {
        self.failed_seeds.is_empty()
    }

    /// The row as one JSON object.
    pub fn json(&self) -> Value {
        json!({
            "mix": self.trap.mix + 1,
            "moment": self.trap.moment.name(),
            "after": self.trap.after,
            "burning": self.burning,
            "seeds": self.seeds,
            "killed": self.killed,
            "both": self.both,
            "sound": self.sound,
            "failed_seeds": self.failed_seeds,
        })
    }
}

/// One network: whether the mix died, whether a round was released and burnt, and whether all else was as it must be.
fn kill(trap: Trap, burning: bool, mixes: usize, seed: u64) -> (bool, bool, bool) {
    let mut rng = Csprng::seed_from_u64(seed ^ 0x6b11);
    let mut world = World::new(Plan { mixes, seed, epoch_rounds: 20, ..Plan::default() });
    world.witness = Some(Witness::of_guilt());
    world.run_for(BEFORE + Duration::from_millis(rng.random_range(0..1000)));
    if burning {
        world.clients[3].mischief = Some(Mischief::Commitment);
    }
    world.trap = Some(trap);
    world.send(0, 1, b"in spite of it");
    let killed = world.run_until(SPRINGS, |world| world.trap.is_none());
    world.trap = None;
    world.run_for(AWAY);
    if killed {
        world.start_mix(trap.mix);
    }
    world.clients[3].mischief = None;
    let arrived = world.run_until(AFTER, |world| !world.inbox(1).is_empty());
    // What was said before stays said: a round may burn again for want of nobody's guilt.
    (0..mixes).for_each(|mix| world.at_mix(mix, Event::Readmit { client: 3 }));
    world.run_for(QUIET);
    let once = arrived && world.inbox(1).len() == 1;
    let seen = world.witness.as_ref().map(Witness::violations).cloned().unwrap_or_default();
    let both = seen.contains_key(&Violation::ReleasedAndPublished);
    (killed, both, once && seen.is_empty())
}

impl World {
    /// Whether a mix dies at what it is about to do; it has done it then if that is when it dies.
    pub(super) fn springs(&mut self, own: usize, action: &Action) -> Option<Trap> {
        let comes =
            |trap: &Trap| trap.mix == own && Moment::of(action).is_some_and(|(moment, _)| moment == trap.moment);
        self.trap.take_if(|trap| comes(trap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whenever_a_mix_is_killed_no_round_is_released_and_burnt_and_nothing_is_lost() {
        let rows = Kills { seeds: 1, seed: 1, threads: 2, mixes: 3 }.run(|_| {});
        for row in &rows {
            assert!(row.is_good(), "{}", row.json());
        }
        // Each moment comes at each mix: a round that opens has those up to the release, one that burns the others.
        for trap in Trap::all(3) {
            let killed = rows.iter().filter(|row| row.trap == trap).map(|row| row.killed).sum::<u64>();
            assert!(killed > 0, "{trap:?} has never sprung");
        }
    }
}
