//! Chaos: networks of real processes in which everything goes wrong that can, and a checker that knows every message.
//!
//! For each seed a network of child processes runs on this machine, each link through a [`Relay`](super::Relay) of its
//! own. While users send and read, a schedule drawn from the seed kills, stops and restarts daemons, cuts and impairs
//! links, fills disks and moves clocks. Then everything is healed, and whatever was accepted has to arrive: once, byte
//! for byte.
//!
//! A seed repeats its schedule and its messages; what the machine makes of them differs a little from run to run.

mod ledger;
mod network;
mod process;
mod report;
mod run;
mod schedule;
mod users;

use std::iter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::sim::parallel;
use crate::testnet::Programs;

pub use report::ChaosReport;

pub(in crate::sim) use ledger::{Ledger, Verdict};
pub(in crate::sim) use network::{Network, OnLink, Setting};
pub(in crate::sim) use users::{Offer, User};

use process::{clocks_can_jump, disks_can_fill};
use report::SeedReport;
use run::Run;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Profile {
    /// Everything: kills, pauses, cut links, loss to 20 %, reordering, duplicates, delays, full disks, clocks that jump.
    All,
    /// Bursts of 20 % loss on all links and 2 % between them, and kills.
    Loss,
    /// Nothing: memory and disk of a network that just runs.
    Calm,
}

/// What chaos is wanted.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// The programs to run.
    pub programs: Programs,
    /// Where the networks lie; one that passes is deleted.
    pub dir: PathBuf,
    /// The first seed.
    pub seed: u64,
    /// How many.
    pub seeds: u64,
    /// How long things go wrong in each.
    pub time: Duration,
    /// Clients, at least 2.
    pub clients: usize,
    /// Mixes, 2 to 7.
    pub mixes: usize,
    /// Networks that run at one time.
    pub parallel: usize,
    /// What goes wrong.
    pub profile: Profile,
    /// Bytes of a file that goes from the first client to the second while things go wrong.
    pub file: Option<usize>,
}

/// What this machine can do to a process without privileges.
#[derive(Clone, Copy, Debug)]
struct Means {
    clocks: bool,
    disks: bool,
}

impl Chaos {
    /// Runs all seeds in the present tokio runtime and tells `say` how it goes. Every wait is bounded: beside its own time
    /// a seed takes a minute to start, two minutes to settle, or more for a file, and 20 s for each daemon that does not
    /// stop. Dropped, it kills every process at once.
    pub async fn run(&self, say: mpsc::UnboundedSender<String>) -> ChaosReport {
        let means = Means { clocks: clocks_can_jump().await, disks: disks_can_fill().await };
        let mut report = ChaosReport::default();
        for (can, what) in [(means.clocks, "clock jumps: `unshare --time`"), (means.disks, "full disks: `prlimit`")] {
            if !can && self.profile == Profile::All {
                let text = format!("SKIPPED {what} does not work here");
                let _ = say.send(text.clone());
                report.skip(text);
            }
        }
        let seeds = self.seed..self.seed.saturating_add(self.seeds);
        let runs = seeds.clone().map(|seed| {
            let (chaos, say) = (self.clone(), say.clone());
            async move { Run::of(&chaos, seed, means, &say).await }
        });
        let tell = |report: &SeedReport| {
            let _ = say.send(report.line());
        };
        let reports = parallel::tasks(self.parallel, runs, tell).await;
        // A panic of ours: the seed is missing in the sums, so that the whole fails.
        let panicked = seeds.count() - reports.len();
        reports
            .into_iter()
            .map(Some)
            .chain(iter::repeat_with(|| None).take(panicked))
            .for_each(|seed| report.add(seed));
        report
    }

    /// Where the network of a seed lies.
    fn dir_of(&self, seed: u64) -> PathBuf {
        self.dir.join(format!("seed-{seed}"))
    }
}

/// Removes a directory and all in it.
fn remove(path: &Path) {
    // What cannot be removed is the system's to clean.
    let _ = std::fs::remove_dir_all(path);
}
