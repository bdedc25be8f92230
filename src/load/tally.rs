//! Which of the messages have arrived, and how long they took.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rayon::prelude::*;

use super::game::{Game, lock};
use super::letters::{Message, check};
use super::report::{Latency, Report, commit};

impl Game {
    /// Opens every letter and counts.
    pub(super) fn report(&self) -> Report {
        let sent = lock(&self.sent);
        let packets = u64::from(self.crew.network.parameters.packets_per_client);
        let opened = self.answers.par_iter().enumerate().map(|(place, answers)| {
            let mut arrived: Vec<(Message, Instant)> = Vec::new();
            let mut wrong = 0;
            let mut answers = lock(answers);
            for answer in answers.iter_mut() {
                let checked = check(&self.crew, self.options.traffic, self.options.bytes, place, &mut answer.letters);
                wrong += checked.wrong;
                arrived.extend(checked.messages.into_iter().map(|message| (message, answer.at)));
            }
            (arrived, wrong)
        });
        let opened: Vec<_> = opened.collect();
        let mut latency = Latency::default();
        let mut delivered = HashSet::new();
        let (mut duplicates, mut wrong) = (0, 0);
        let mut last: Option<Instant> = None;
        for (arrived, not_ours) in opened {
            wrong += not_ours;
            for (message, at) in arrived {
                let Some(sent) = sent.get(&(message.from, message.round)) else {
                    wrong += 1;
                    continue;
                };
                if !delivered.insert(message) {
                    duplicates += 1;
                    continue;
                }
                latency.record(at.saturating_duration_since(sent.from));
                last = last.max(Some(at));
            }
        }
        let first = sent.values().map(|sent| sent.at).min();
        let seconds = last.zip(first).map_or(0.0, |(last, first)| last.saturating_duration_since(first).as_secs_f64());
        let (sent, delivered) = (sent.len() as u64 * packets, delivered.len() as u64);
        let outcomes = lock(&self.outcomes);
        Report {
            clients: self.crew.len(),
            connections: self.crew.len(),
            packets_per_client: packets,
            payload: self.options.bytes,
            rounds: self.rounds.1 + 1 - self.rounds.0,
            round_seconds: self.round.as_secs_f64(),
            sealed: self.crew.network.parameters.sealed,
            sent,
            delivered,
            lost: sent - delivered,
            duplicates,
            wrong,
            missed: self.missed.load(Ordering::Relaxed),
            not_stored: outcomes.values().filter(|stored| !**stored).count() as u64,
            seconds,
            messages_per_s: if seconds > 0.0 { delivered as f64 / seconds } else { 0.0 },
            latency_ms: latency,
            build_us: self.stock.build_us(),
            hop: Vec::new(),
            load_cpu_s: 0.0,
            load_rss_kb: 0,
            errors: lock(&self.errors).clone(),
            commit: commit(),
        }
    }
}
