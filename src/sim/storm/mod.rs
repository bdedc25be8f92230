//! A storm: many simulated networks in which everything goes wrong, and a count of what arrived.
//!
//! Each seed is a network of its own. Its users send messages of all sizes while parties crash, stand still and lose each
//! other, clocks jump and disks fill up; then everything heals, and whatever was accepted must have arrived: once, byte
//! for byte, from whom it says. A failed seed alone gives the same run again.

mod trial;
mod users;
mod weather;

use std::collections::BTreeMap;
use std::time::Instant;

use super::parallel;

use trial::{Outcome, Trial};

/// A storm to run.
#[derive(Clone, Debug)]
pub struct Storm {
    /// Rounds to open in all networks together, at least.
    pub rounds: u64,
    /// Rounds of stormy weather in each network.
    pub rounds_each: u64,
    /// The first network's seed; the others follow it.
    pub seed: u64,
    /// How many networks run at a time, each in a thread of its own.
    pub threads: usize,
    /// What is broken on purpose.
    pub control: Control,
    /// Whether mixes in front of the exit lose their disks in crashes: survivable, but no part of the promise.
    pub lose_disks: bool,
}

impl Default for Storm {
    fn default() -> Self {
        Self { rounds: 2000, rounds_each: 400, seed: 1, threads: 2, control: Control::None, lose_disks: false }
    }
}

/// What is broken on purpose, to see that it shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Control {
    /// Nothing.
    #[default]
    None,
    /// Commits return before they are durable: a crash takes back the last few.
    NoFsync,
    /// The inbox does not remember the names of messages it has shown.
    NoIdCheck,
    /// Clients send again what has no receipt, without waiting for the verdict.
    ResendOnMissingReceipt,
}

impl Control {
    /// All of them.
    pub const ALL: [Control; 4] =
        [Control::None, Control::NoFsync, Control::NoIdCheck, Control::ResendOnMissingReceipt];

    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Control::None => "none",
            Control::NoFsync => "no-fsync",
            Control::NoIdCheck => "no-id-check",
            Control::ResendOnMissingReceipt => "resend-on-missing-receipt",
        }
    }
}

/// What a storm came to.
#[derive(Clone, Debug, Default)]
pub struct StormReport {
    /// Networks.
    pub seeds: u64,
    /// Rounds whose numbers were spent.
    pub rounds: u64,
    /// Messages that an outbox took.
    pub accepted: u64,
    /// Of these, those that their recipient saw, unchanged.
    pub delivered: u64,
    /// Of these, those that it never saw.
    pub lost: u64,
    /// Times that a message was seen again.
    pub duplicated: u64,
    /// Messages seen with other bytes, from another sender, or never sent.
    pub corrupted: u64,
    /// Times that a message had failed so often that its user was asked, who sent it again.
    pub held: u64,
    /// Rounds from the end of a storm until everything had arrived, at most.
    pub longest_recovery: u64,
    /// What must never be seen, and how often it was.
    pub violations: BTreeMap<&'static str, u64>,
    /// The seeds of networks in which anything of that happened.
    pub failed_seeds: Vec<u64>,
    /// What happened in them, in words.
    pub details: Vec<String>,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// How long it took.
    pub seconds: f64,
}

impl Storm {
    /// Runs it on threads of its own.
    pub fn run(&self) -> StormReport {
        let began = Instant::now();
        let seeds = self.rounds.div_ceil(self.rounds_each.max(1));
        let mut report = StormReport::default();
        let outcomes = parallel::each(self.threads, 0..seeds, |number| {
            let seed = self.seed.wrapping_add(number);
            (seed, Trial::new(seed, self.control, self.lose_disks).run(self.rounds_each))
        });
        outcomes.into_iter().for_each(|(seed, outcome)| report.add(seed, outcome));
        report.seconds = began.elapsed().as_secs_f64();
        report
    }
}

impl StormReport {
    /// Whether everything arrived and nothing was seen that must not be.
    pub fn is_green(&self) -> bool {
        self.failed_seeds.is_empty() && self.accepted > 0
    }

    /// The report as one JSON object.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema": 1,
            "seeds": self.seeds,
            "rounds": self.rounds,
            "accepted": self.accepted,
            "delivered": self.delivered,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "corrupted": self.corrupted,
            "held": self.held,
            "longest_recovery": self.longest_recovery,
            "violations": self.violations,
            "failed_seeds": self.failed_seeds,
            "faults": self.faults,
            "seconds": self.seconds,
        })
    }

    fn add(&mut self, seed: u64, outcome: Outcome) {
        if !outcome.is_sound() {
            self.failed_seeds.push(seed);
            self.details.extend(outcome.details.iter().map(|detail| format!("seed {seed}: {detail}")));
        }
        self.seeds += 1;
        self.rounds += outcome.rounds;
        self.accepted += outcome.accepted;
        self.delivered += outcome.delivered;
        self.lost += outcome.lost;
        self.duplicated += outcome.duplicated;
        self.corrupted += outcome.corrupted;
        self.held += outcome.held;
        self.longest_recovery = self.longest_recovery.max(outcome.recovery);
        for (violation, count) in outcome.violations {
            *self.violations.entry(violation.name()).or_default() += count;
        }
        for (fault, count) in outcome.faults {
            *self.faults.entry(fault).or_default() += count;
        }
    }
}
