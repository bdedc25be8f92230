//! What a mix counts for Prometheus: sums over rounds, never anything of one client or packet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::mix::Note;
use crate::store::MailboxLosses;
use crate::wire::Outcome;

/// Counters and their registry; a process may have several.
pub struct Metrics {
    registry: Registry,
    rounds: Family<Ended, Counter>,
    packets: Family<Direction, Counter>,
    /// Submissions handed over to this mix, and relayed to it.
    handed: (Counter, Counter),
    rejected: Family<Reason, Counter>,
    phases: Family<Phase, Histogram>,
    refused: Counter,
    expired: Counter,
    epoch: Gauge,
    began: Gauge<f64, AtomicU64>,
    ended: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Ended {
    result: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Phase {
    phase: &'static str,
}

/// Wall-clock time, for showing.
fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// From a millisecond to half a minute, each bound twice the one before.
fn seconds() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.001, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("mixnet");
        let (rounds, packets, rejected, epoch) =
            (Family::default(), Family::default(), Family::default(), Gauge::default());
        let phases = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register("rounds", "Rounds ended, by result", rounds.clone());
        registry.register("packets", "Packets taken in and handed on", packets.clone());
        let (handed_over, relayed) = (Counter::default(), Counter::default());
        let help = "Submissions that clients handed to this mix for want of a receipt";
        registry.register("handed_over", help, handed_over.clone());
        registry.register("relayed", "Submissions taken by way of another mix, at the entry", relayed.clone());
        registry.register("rejected", "What was refused, by reason", rejected.clone());
        registry.register("phase_seconds", "Time that rounds spent in each phase", phases.clone());
        let (refused, expired) = (Counter::default(), Counter::default());
        registry.register("letters_refused", "Letters for full mailboxes, since the store exists", refused.clone());
        registry.register("letters_expired", "Letters deleted for their age, since the store exists", expired.clone());
        registry.register("epoch", "The present epoch", epoch.clone());
        let (began, ended) = (Gauge::default(), Gauge::default());
        registry.register("round_began_timestamp_seconds", "When the last round began here, Unix time", began.clone());
        registry.register("round_ended_timestamp_seconds", "When the last round ended here, Unix time", ended.clone());
        let handed = (handed_over, relayed);
        Self { registry, rounds, packets, handed, rejected, phases, refused, expired, epoch, began, ended }
    }
}

impl Metrics {
    /// Counts a fact.
    pub fn note(&self, note: &Note) {
        match *note {
            Note::RoundBegan => {
                self.began.set(unix_seconds());
            }
            Note::RoundEnded { round, outcome, clients } => {
                let (result, reason) = match outcome {
                    Outcome::Stored { .. } => ("stored", ""),
                    Outcome::Aborted(reason) => ("aborted", reason.name()),
                    Outcome::OpenedNotStored => ("opened_not_stored", ""),
                };
                self.rounds.get_or_create(&Ended { result, reason }).inc();
                self.ended.set(unix_seconds());
                // An ordinary round is no news: the log of a quiet network grows by a line an epoch.
                match outcome.is_stored() {
                    true => tracing::debug!(round, result, reason, clients, "round ended"),
                    false => tracing::info!(round, result, reason, clients, "round ended"),
                }
            }
            Note::PhaseEnded { phase, took } => {
                self.phases.get_or_create(&Phase { phase: phase.name() }).observe(took.as_secs_f64());
            }
            Note::HandedOver => {
                self.handed.0.inc();
            }
            Note::Relayed => {
                self.handed.1.inc();
            }
            Note::PacketsIn(count) => {
                self.packets.get_or_create(&Direction { direction: "in" }).inc_by(count);
            }
            Note::PacketsOut(count) => {
                self.packets.get_or_create(&Direction { direction: "out" }).inc_by(count);
            }
            Note::Rejected { reason, count } => {
                self.rejected.get_or_create(&Reason { reason }).inc_by(count);
            }
            Note::EpochBegan { epoch } => {
                self.epoch.set(epoch as i64);
                tracing::info!(epoch, "epoch began");
            }
        }
    }

    /// Shows the letters that nobody will get, which are counted on the disk. A store that cannot be read has none.
    pub(super) fn lost(&self, losses: &MailboxLosses) {
        for (counter, count) in [(&self.refused, losses.refused), (&self.expired, losses.expired)] {
            counter.inner().fetch_max(count, Ordering::Relaxed);
        }
    }

    /// The text that Prometheus reads.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing to a string does not fail");
        out
    }
}
