//! Every attack in every position, many times: whether any of them opens what it must not, names the innocent, or costs a
//! message.
//!
//! [`Adversary`] runs small networks. In each somebody is malicious for a few rounds: a separate implementation that
//! stands between an engine and its links and knows what that party knows. What is counted is seen from outside, by what goes
//! over links (`toll.rs`). A row that names a defence is tried again without it, and must then show.

mod acting;
mod behaviour;
mod clients;
mod entry;
mod follow;
mod journal;
mod keys;
mod packets;
mod posing;
mod processes;
mod rogue;
mod toll;
mod trial;
mod watched;
mod words;

use std::collections::HashSet;
use std::time::Instant;

use crate::blame::Guilty;
use crate::crypto::{Defence, Defences};

use super::{World, parallel};

pub use posing::Posing;
pub use processes::AdversaryProcesses;

pub(in crate::sim) use journal::Journal;
pub(in crate::sim) use watched::Watched;

pub(in crate::sim) use rogue::{Deed, Insider, Member, RogueClient, RogueMix};
pub(in crate::sim) use toll::Toll;

/// Seeds for which a row is tried without the defence that it names, at most: the first that shows it is enough.
const CONTROL_SEEDS: u64 = 20;

/// Why a run of a control names nobody: what shows there must be worse than that.
const WITHOUT: &str = "a defence is missing";

/// The defences that can be taken out, with their words on the command line.
pub const CONTROLS: [(&str, Defence); 6] = [
    ("no-echo-check", Defence::EchoCheck),
    ("no-mac-check", Defence::MacCheck),
    ("no-duplicate-check", Defence::DuplicateCheck),
    ("no-once-rule", Defence::OnceRule),
    ("no-proof-of-possession", Defence::ProofOfPossession),
    ("no-commit-first", Defence::CommitFirst),
];

/// An experiment with attacks.
#[derive(Clone, Debug)]
pub struct Adversary {
    /// Networks for each behaviour in each position.
    pub seeds: u64,
    /// The first network's seed.
    pub seed: u64,
    /// Networks at a time.
    pub threads: usize,
    /// L.
    pub mixes: usize,
    /// The behaviours to try, by name; all if empty.
    pub behaviours: Vec<String>,
    /// What honest mixes do without.
    pub defences: Defences,
}

/// What a behaviour in a position came to.
#[derive(Clone, Debug)]
pub struct AdversaryRow {
    /// The behaviour.
    pub behaviour: &'static str,
    /// Hop 1 to L of the malicious mix, or of the mix that a malicious client is after.
    pub position: usize,
    /// Networks.
    pub seeds: u64,
    /// Of these, those in which the villain did what it was there for.
    pub acted: u64,
    /// In which an honest client's packet was touched before an honest mix.
    pub touched: u64,
    /// In which a round that held such a packet could be opened.
    pub released: u64,
    /// In which something was seen of an honest mix's shuffle, or of a key, that must not be.
    pub leaked: u64,
    /// In which all honest mixes named the culprit, or an honest client has evidence against it.
    pub culprit_named: u64,
    /// Why nobody can be named for this; `None` where everybody who does it must be.
    pub nameless: Option<&'static str>,
    /// In which they named somebody else.
    pub honest_named: u64,
    /// In which every accepted message arrived exactly once afterwards.
    pub delivered_later: u64,
    /// Whether any of the bad shows without the defence that the row is about; `None` if it is about none.
    pub control_red: Option<bool>,
    /// Whether it was tried with real processes, and seen from outside.
    pub processes: bool,
    /// Why it is not known whether such a round could be opened; with processes only.
    pub unknown: Option<String>,
    /// Whether operators had to start their mixes again until everything had arrived; with processes only.
    pub restarted: bool,
    /// What else went wrong; with processes only.
    pub failures: Vec<String>,
    /// How long it took, summed over threads.
    pub seconds: f64,
    /// The seeds of networks that were bad.
    pub failed_seeds: Vec<u64>,
}

/// Whom the engines of these mixes have convicted, each by itself.
fn convictions(world: &World, honest: impl Iterator<Item = usize>) -> Vec<HashSet<Guilty>> {
    honest.map(|mix| world.mixes[mix].convictions.iter().map(|finding| finding.guilty).collect()).collect()
}

impl Adversary {
    /// The names of all behaviours.
    pub fn names() -> impl Iterator<Item = &'static str> {
        behaviour::ALL.iter().map(|behaviour| behaviour.name)
    }

    /// Runs it; each row is told as it ends.
    pub fn run(&self, tell: impl Fn(&AdversaryRow) + Sync) -> Vec<AdversaryRow> {
        parallel::each(self.threads, behaviour::tries(&self.behaviours, self.mixes), |(behaviour, place)| {
            let row = self.row(behaviour, place);
            tell(&row);
            row
        })
    }

    fn row(&self, behaviour: &behaviour::Behaviour, place: usize) -> AdversaryRow {
        let began = Instant::now();
        let mut row = AdversaryRow::new(behaviour, place + 1);
        if self.defences != Defences::default() {
            row.nameless = Some(WITHOUT);
        }
        for seed in (0..self.seeds).map(|number| self.seed.wrapping_add(number)) {
            row.add(seed, &trial::run(behaviour, self.mixes, place, seed, self.defences));
        }
        let control = behaviour.control.filter(|(_, at)| *at == place && self.defences == Defences::default());
        // The exit hands on nothing in which a packet could be seen twice; the echoes tell of it there.
        let control = control.filter(|(defence, _)| *defence != Defence::DuplicateCheck || place + 2 < self.mixes);
        if let Some((defence, _)) = control {
            let mut without = AdversaryRow::new(behaviour, place + 1);
            without.nameless = Some(WITHOUT);
            for seed in (0..CONTROL_SEEDS).map(|number| self.seed.wrapping_add(number)) {
                let defences = Defences::default().without(defence);
                without.add(seed, &trial::run(behaviour, self.mixes, place, seed, defences));
                if !without.is_good() {
                    break;
                }
            }
            row.control_red = Some(!without.is_good());
        } else if self.defences != Defences::default() {
            row.control_red = Some(!row.is_good());
        }
        row.seconds = began.elapsed().as_secs_f64();
        row
    }
}

impl AdversaryRow {
    fn new(behaviour: &behaviour::Behaviour, position: usize) -> Self {
        let (behaviour, nameless) = (behaviour.name, behaviour.nameless());
        let (seeds, acted, touched, released, leaked, culprit_named, honest_named, delivered_later) =
            Default::default();
        let (control_red, seconds, failed_seeds) = (None, 0.0, Vec::new());
        let (processes, unknown, restarted, failures) = (false, None, false, Vec::new());
        Self {
            behaviour,
            position,
            seeds,
            acted,
            touched,
            released,
            leaked,
            culprit_named,
            nameless,
            honest_named,
            delivered_later,
            control_red,
            processes,
            unknown,
            restarted,
            failures,
            seconds,
            failed_seeds,
        }
    }

    /// As the list of behaviours has it.
    fn order(&self) -> (Option<usize>, usize) {
        (Adversary::names().position(|name| name == self.behaviour), self.position)
    }

    fn add(&mut self, seed: u64, verdict: &trial::Verdict) {
        self.seeds += 1;
        self.acted += u64::from(verdict.acted);
        self.touched += u64::from(verdict.touched);
        self.released += u64::from(verdict.released);
        self.leaked += u64::from(verdict.leaked.is_some());
        self.culprit_named += u64::from(verdict.culprit_named);
        self.honest_named += u64::from(verdict.honest_named);
        self.delivered_later += u64::from(verdict.delivered);
        let unnamed = verdict.acted && !verdict.culprit_named && self.nameless.is_none();
        if verdict.released || verdict.leaked.is_some() || verdict.honest_named || unnamed || !verdict.delivered {
            self.failed_seeds.push(seed);
        }
    }

    /// Whether nothing was opened or seen that must not be, nobody innocent named, everybody who signed something false, and no
    /// message lost.
    pub fn is_good(&self) -> bool {
        self.failed_seeds.is_empty() && self.failures.is_empty()
    }

    /// Whether it is good, and its control shows that it could have been otherwise.
    pub fn is_sound(&self) -> bool {
        self.is_good() && self.acted > 0 && self.control_red != Some(false)
    }

    /// The row as one JSON object.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "behaviour": self.behaviour,
            "position": self.position,
            "seeds": self.seeds,
            "acted": self.acted,
            "touched": self.touched,
            "released": self.unknown.is_none().then_some(self.released),
            "leaked": self.leaked,
            "culprit_named": self.culprit_named,
            "nameless": self.nameless,
            "honest_named": self.honest_named,
            "delivered_later": self.delivered_later,
            "control_red": self.control_red,
            "processes": self.processes,
            "unknown": self.unknown,
            "restarted": self.restarted,
            "failures": self.failures,
            "seconds": self.seconds,
            "failed_seeds": self.failed_seeds,
        })
    }
}

#[cfg(test)]
mod tests;
