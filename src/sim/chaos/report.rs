//! What chaos found, as JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde_json::{Value, json};

use crate::sim::RelayCounts;

use super::ledger::Verdict;
use super::network::{Done, RoleUsage};

/// What all seeds came to.
#[derive(Debug, Default)]
pub struct ChaosReport {
    seeds: Vec<SeedReport>,
    panics: u64,
    skipped: Vec<String>,
}

/// What one seed came to.
#[derive(Debug)]
pub(super) struct SeedReport {
    pub seed: u64,
    pub verdict: Verdict,
    pub rounds: u64,
    pub done: Done,
    pub relays: RelaySums,
    /// From the last fault until everything had arrived.
    pub settled_seconds: f64,
    pub samples: Vec<Sample>,
    /// What else went wrong: daemons that ended by themselves, inboxes that do not answer.
    pub failures: Vec<String>,
    /// Where the network of a failed seed lies.
    pub kept: Option<PathBuf>,
}

/// What everybody took up at a moment.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    pub seed: u64,
    /// Since things began to go wrong.
    pub seconds: u64,
    #[serde(flatten)]
    pub roles: BTreeMap<&'static str, RoleUsage>,
}

/// What the relays of a network did.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct RelaySums {
    received: u64,
    dropped: u64,
    duplicated: u64,
    reordered: u64,
    overflowed: u64,
}

impl ChaosReport {
    /// Whether every seed passed: nothing lost, duplicated or corrupted, and no daemon ended by itself. Where no message
    /// was accepted nothing has been shown.
    pub fn is_good(&self) -> bool {
        let any = self.seeds.iter().any(|seed| seed.verdict.accepted > 0);
        any && self.panics == 0 && self.seeds.iter().all(SeedReport::is_good)
    }

    /// One JSON object, schema 1.
    pub fn json(&self) -> Value {
        let sum = |count: fn(&SeedReport) -> u64| self.seeds.iter().map(count).sum::<u64>();
        let failed: Vec<&SeedReport> = self.seeds.iter().filter(|seed| !seed.is_good()).collect();
        let settled = self.seeds.iter().map(|seed| seed.settled_seconds).fold(0.0, f64::max);
        json!({
            "schema": 1,
            "seeds": self.seeds.len(),
            "rounds": sum(|seed| seed.rounds),
            "accepted": sum(|seed| seed.verdict.accepted),
            "delivered": sum(|seed| seed.verdict.delivered),
            "lost": sum(|seed| seed.verdict.lost),
            "duplicated": sum(|seed| seed.verdict.duplicated),
            "corrupted": sum(|seed| seed.verdict.corrupted),
            "failed_seeds": failed.iter().map(|seed| seed.seed).collect::<Vec<_>>(),
            "held": sum(|seed| seed.verdict.held),
            "held_at_end": sum(|seed| seed.verdict.held_at_end),
            "maybe": sum(|seed| seed.verdict.perhaps),
            "maybe_delivered": sum(|seed| seed.verdict.perhaps_delivered),
            "refused": sum(|seed| seed.verdict.refused),
            "kills": sum(|seed| seed.done.kills),
            "pauses": sum(|seed| seed.done.pauses),
            "partitions": sum(|seed| seed.done.partitions),
            "impairments": sum(|seed| seed.done.impairments),
            "disk_full": sum(|seed| seed.done.disk_full),
            "clock_jumps": sum(|seed| seed.done.clock_jumps),
            "skipped": self.skipped,
            "datagrams": {
                "received": sum(|seed| seed.relays.received),
                "dropped": sum(|seed| seed.relays.dropped),
                "duplicated": sum(|seed| seed.relays.duplicated),
                "reordered": sum(|seed| seed.relays.reordered),
                "overflowed": sum(|seed| seed.relays.overflowed),
            },
            "settled_seconds_max": settled,
            "panics": self.panics,
            "failures": failed.iter().map(|seed| seed.failure()).collect::<Vec<_>>(),
            "samples": self.seeds.iter().flat_map(|seed| &seed.samples).collect::<Vec<_>>(),
        })
    }

    /// `None` for a seed that has no report, because its run panicked.
    pub(super) fn add(&mut self, seed: Option<SeedReport>) {
        self.panics += u64::from(seed.is_none());
        self.seeds.extend(seed);
    }

    pub(super) fn skip(&mut self, what: String) {
        self.skipped.push(what);
    }
}

impl SeedReport {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            verdict: Verdict::default(),
            rounds: 0,
            done: Done::default(),
            relays: RelaySums::default(),
            settled_seconds: 0.0,
            samples: Vec::new(),
            failures: Vec::new(),
            kept: None,
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.verdict.is_good() && self.failures.is_empty()
    }

    /// How it went, in a line for people.
    pub(super) fn line(&self) -> String {
        let Verdict { accepted, delivered, lost, duplicated, corrupted, held, .. } = self.verdict;
        let (seed, rounds, settled) = (self.seed, self.rounds, self.settled_seconds);
        let result = if self.is_good() { "passed" } else { "FAILED" };
        let mut line = format!(
            "seed {seed}: {result}: {rounds} rounds, {delivered} of {accepted} delivered, {lost} lost, {duplicated} \
             duplicated, {corrupted} corrupted, {held} held, {settled:.1} s from the last fault"
        );
        for failure in &self.failures {
            line.push_str(&format!("\n  {failure}"));
        }
        if let Some(kept) = &self.kept {
            line.push_str(&format!("\n  its network lies in {}", kept.display()));
        }
        line
    }

    fn failure(&self) -> Value {
        let Verdict { lost, duplicated, corrupted, .. } = self.verdict;
        json!({
            "seed": self.seed, "lost": lost, "duplicated": duplicated, "corrupted": corrupted,
            "what": self.failures, "dir": self.kept,
        })
    }
}

impl From<&RelayCounts> for RelaySums {
    fn from(counts: &RelayCounts) -> Self {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Self {
            received: read(&counts.received),
            dropped: read(&counts.dropped),
            duplicated: read(&counts.duplicated),
            reordered: read(&counts.reordered),
            overflowed: read(&counts.overflowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(number: u64, lost: u64) -> SeedReport {
        let verdict = Verdict { accepted: 3, delivered: 3 - lost, lost, ..Verdict::default() };
        SeedReport { verdict, rounds: 10, ..SeedReport::new(number) }
    }

    #[test]
    fn sums_are_of_all_seeds_and_failures_are_named() {
        let mut report = ChaosReport::default();
        report.add(Some(SeedReport::new(0)));
        assert!(!report.is_good(), "nothing has been shown");
        let mut report = ChaosReport::default();
        report.add(Some(seed(1, 0)));
        assert!(report.is_good());
        report.add(Some(seed(2, 1)));
        report.add(Some(SeedReport { failures: vec!["mix-1 ended".into()], ..seed(3, 0) }));
        assert!(!report.is_good());
        let json = report.json();
        assert_eq!((&json["schema"], &json["seeds"], &json["rounds"]), (&1.into(), &3.into(), &30.into()));
        assert_eq!((&json["accepted"], &json["delivered"], &json["lost"]), (&9.into(), &8.into(), &1.into()));
        assert_eq!(json["failed_seeds"], json!([2, 3]));
        assert_eq!(json["failures"][1]["what"][0], "mix-1 ended");
    }

    #[test]
    fn a_seed_without_a_report_fails_the_whole() {
        let mut report = ChaosReport::default();
        report.add(Some(seed(1, 0)));
        report.add(None);
        assert!(!report.is_good());
    }
}
