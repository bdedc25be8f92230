//! What a client counts for Prometheus, and what it tells its log. None of it depends on what the user sends.

use std::time::Instant;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::session::Note;
use crate::wire::Outcome;

/// Counters and their registry.
pub struct Metrics {
    registry: Registry,
    prepare: Histogram,
    rounds: Family<Ended, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Ended {
    result: &'static str,
    reason: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("mixnet");
        // From a tenth of a millisecond to three seconds, each bound twice the one before.
        let prepare = Histogram::new(exponential_buckets(0.0001, 2.0, 16));
        let rounds = Family::<Ended, Counter>::default();
        registry.register("prepare_seconds", "Time to prepare a round's packets", prepare.clone());
        registry.register("rounds", "Rounds ended for this client, by result", rounds.clone());
        Self { registry, prepare, rounds }
    }
}

impl Metrics {
    /// Runs `work` and counts how long it took as preparation.
    pub fn time_preparation<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.prepare.observe(began.elapsed().as_secs_f64());
        done
    }

    /// Counts and logs a fact.
    pub fn note(&self, note: &Note) {
        if let Note::Round(ended) = note {
            let (result, reason) = match (ended.missed, ended.outcome) {
                (true, _) => ("missed", ""),
                (false, Some(Outcome::Stored { .. })) => ("stored", ""),
                (false, Some(Outcome::Aborted(reason))) => ("aborted", reason.name()),
                (false, Some(Outcome::OpenedNotStored)) => ("opened_not_stored", ""),
                (false, None) => ("unknown", ""),
            };
            self.rounds.get_or_create(&Ended { result, reason }).inc();
            tracing::debug!(round = ended.round, result, reason, "round ended");
        } else {
            tracing::warn!("{note}");
        }
    }

    /// The text that Prometheus reads.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing to a string does not fail");
        out
    }
}
