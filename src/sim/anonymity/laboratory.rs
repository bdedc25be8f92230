//! All experiments in order.

use crate::sim::parallel;

use super::{NoiseAudit, Outcome, clockwork, disclosure, forward_secrecy, linkage, uniformity, unlinkability};

/// How many rounds there are of what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// A tenth of the rounds, where that says anything.
    Quick,
    /// What the bounds are made for.
    Full,
}

/// A run of the laboratory.
#[derive(Clone, Debug)]
pub struct Laboratory {
    /// How much.
    pub extent: Extent,
    /// Everything random in simulations follows from it.
    pub seed: u64,
}

/// The experiments on simulated networks, by the number of their row: some give two rows.
pub const SIMULATED: [&str; 7] = ["T1", "T2", "T4", "T6", "T8", "T9", "T10"];

impl Laboratory {
    /// Runs those of `ids`, `threads` at a time; each outcome is told as it comes, and all are returned in the order of `ids`.
    pub fn run_all(&self, ids: &[&str], threads: usize, tell: impl Fn(&Outcome) + Sync) -> Vec<Outcome> {
        let outcomes = parallel::each(threads, ids, |id| {
            let outcomes = self.run(id);
            outcomes.iter().for_each(&tell);
            outcomes
        });
        outcomes.into_iter().flatten().collect()
    }

    /// Runs one of [`SIMULATED`]; nothing for any other name.
    pub fn run(&self, id: &str) -> Vec<Outcome> {
        let full = self.extent == Extent::Full;
        let seed = self.seed;
        match id {
            "T1" => vec![uniformity(seed)],
            "T2" => vec![unlinkability(seed)],
            // Its lessons are as many as T5's bounds need, however quick it is to be.
            "T4" => linkage(8_000, 400, seed).into(),
            "T8" if full => vec![clockwork(2000, seed)],
            "T8" => vec![clockwork(200, seed)],
            "T9" => vec![NoiseAudit { seed, ..NoiseAudit::default() }.run()],
            "T10" => forward_secrecy(if full { 100 } else { 10 }, seed).into_iter().collect(),
            "T6" if full => vec![disclosure(1000, 4, seed)],
            "T6" => vec![disclosure(100, 4, seed)],
            _ => Vec::new(),
        }
    }
}
