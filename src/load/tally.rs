//! Which of the messages have arrived, and how long they took.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rayon::prelude::*;

use super::game::{Game, lock};
use super::letters::{Message, check};
use super::report::{Latency, Report, WarmUp, commit};

/// What has arrived for one member.
#[derive(Default)]
pub(super) struct Opened {
    messages: Vec<(Message, Instant)>,
    wrong: u64,
}

impl Game {
    /// Opens every letter that has come since the last time; the places of the members that lack messages which were sent
    /// to them.
    pub(super) fn open_letters(&self) -> Vec<usize> {
        let lacks = |place: &usize| {
            let mut opened = lock(&self.opened[*place]);
            for mut answer in std::mem::take(&mut *lock(&self.answers[*place])) {
                let checked = check(&self.crew, self.options.traffic, self.options.bytes, *place, &mut answer.letters);
                opened.wrong += checked.wrong;
                opened.messages.extend(checked.messages.into_iter().map(|message| (message, answer.at)));
            }
            let counted = opened.messages.iter().map(|(message, _)| *message);
            let distinct: HashSet<Message> = counted.filter(|message| message.round >= self.counted).collect();
            (distinct.len() as u64) < self.owed(*place)
        };
        (0..self.crew.len()).into_par_iter().filter(lacks).collect()
    }

    /// Messages that count and have been sent to the member at `place`.
    fn owed(&self, place: usize) -> u64 {
        let packets = u64::from(self.crew.network.parameters.packets_per_client);
        let senders = self.options.traffic.senders(place, self.crew.len());
        let sent = lock(&self.sent);
        let rounds = self.counted..=self.rounds.1;
        let taken =
            |from: usize| rounds.clone().filter(|round| sent.contains_key(&(from as u32, *round))).count() as u64;
        senders.into_iter().map(taken).sum::<u64>() * packets
    }

    /// Counts what has been opened.
    pub(super) fn report(&self) -> Report {
        let sent = lock(&self.sent);
        let packets = u64::from(self.crew.network.parameters.packets_per_client);
        let mut latency = Latency::default();
        let mut delivered = HashSet::new();
        let mut warm_up = WarmUp { rounds: self.counted - self.rounds.0, sent: 0, delivered: 0 };
        let (mut duplicates, mut wrong) = (0, 0);
        let mut last: Option<Instant> = None;
        for opened in &self.opened {
            let opened = lock(opened);
            wrong += opened.wrong;
            for &(message, at) in &opened.messages {
                let Some(sent) = sent.get(&(message.from, message.round)) else {
                    wrong += 1;
                    continue;
                };
                let new = delivered.insert(message);
                if message.round < self.counted {
                    warm_up.delivered += u64::from(new);
                    continue;
                }
                if !new {
                    duplicates += 1;
                    continue;
                }
                latency.record(at.saturating_duration_since(sent.from));
                last = last.max(Some(at));
            }
        }
        let counted = || sent.iter().filter(|((_, round), _)| *round >= self.counted);
        let first = counted().map(|(_, sent)| sent.at).min();
        let seconds = last.zip(first).map_or(0.0, |(last, first)| last.saturating_duration_since(first).as_secs_f64());
        let (all, sent) = (sent.len() as u64 * packets, counted().count() as u64 * packets);
        warm_up.sent = all - sent;
        let delivered = delivered.len() as u64 - warm_up.delivered;
        let outcomes = lock(&self.outcomes);
        let not_stored = outcomes.range(self.counted..).filter(|(_, stored)| !**stored).count() as u64;
        Report {
            clients: self.crew.len(),
            connections: self.crew.len(),
            packets_per_client: packets,
            payload: self.options.bytes,
            rounds: self.rounds.1 + 1 - self.counted,
            warm_up,
            round_seconds: self.round.as_secs_f64(),
            sealed: self.crew.network.parameters.sealed,
            sent,
            delivered,
            lost: sent - delivered,
            duplicates,
            wrong,
            missed: self.missed.load(Ordering::Relaxed),
            not_stored,
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::documents::Documents;
    use super::super::game::{Answer, Sent};
    use super::super::stock::Stock;
    use super::super::{Crew, Options, Traffic};
    use super::*;
    use crate::config::{Capability, ClientSecrets};
    use crate::crypto::{IdentityKey, SecretKey};
    use crate::sim::{Plan, Secrets};
    use crate::wire::LETTER_HEADER_BYTES;

    /// Two clients who send a packet a round, from round 1 on.
    fn game(warm_up: u64, rounds: u64) -> Game {
        let (network, _, secrets) = Plan { clients: 2, packets_per_client: 1, ..Plan::default() }.network();
        let secrets = secrets.iter().map(|Secrets { capability, letter, identity, list, .. }| ClientSecrets {
            identity: IdentityKey::from_seed(identity),
            letter: SecretKey::from_bytes(*letter),
            list: SecretKey::from_bytes(*list),
            capability: Capability::from_bytes(*capability),
        });
        let crew = Arc::new(Crew::new(network, secrets).expect("on the roster"));
        let options = Options { rounds, warm_up, bytes: 10, connections: None, traffic: Traffic::Ring, spread: false };
        let stock = Stock::new(crew.clone(), Traffic::Ring, 10);
        let documents = Arc::new(Documents::new(crew.clone()));
        Game::new(crew, options, stock, documents, Arc::new([]), 1)
    }

    #[test]
    fn letters_that_are_no_messages_leave_what_is_owed_missing() {
        let game = game(0, 1);
        assert!(game.open_letters().is_empty(), "nothing was sent");
        let (from, at) = (Instant::now(), Instant::now());
        *lock(&game.sent) = HashMap::from([((0, 1), Sent { from, at }), ((1, 1), Sent { from, at })]);
        // As many letters as are owed, and none of them is a message.
        let letters = vec![0; LETTER_HEADER_BYTES + game.crew.geometry.letter()];
        lock(&game.answers[1]).push(Answer { at, letters });
        assert_eq!(game.open_letters(), [0, 1]);
        assert_eq!((game.report().wrong, game.report().lost), (1, 2));
    }

    #[test]
    fn rounds_before_those_that_count_are_told_apart() {
        let game = game(1, 2);
        let now = Instant::now();
        // In the last round the second client has given up.
        let sent = [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3)];
        *lock(&game.sent) = sent.map(|who| (who, Sent { from: now, at: now })).into();
        *lock(&game.outcomes) = [(1, false), (2, true), (3, false)].into();
        let message = |round| (Message { from: 0, round, packet: 0 }, now);
        lock(&game.opened[1]).messages = [1, 1, 2, 2].map(message).into();
        let report = game.report();
        let warm_up = [report.warm_up.rounds, report.warm_up.sent, report.warm_up.delivered];
        assert_eq!(warm_up, [1, 2, 1]);
        assert_eq!([report.rounds, report.sent, report.delivered, report.lost], [2, 3, 1, 2]);
        assert_eq!([report.duplicates, report.not_stored, report.unsent()], [1, 1, 1]);
        assert_eq!(game.open_letters(), [0, 1], "each is owed a message that counts");
    }

    #[test]
    fn messages_are_due_at_fixed_distances_from_the_first_round_that_counts() {
        let mut game = game(1, 2);
        game.round = Duration::from_secs(5);
        let (start, later) = (Instant::now(), Duration::from_secs(60));
        // A round before it that was late makes nothing late.
        assert_eq!(game.due(1, start, Duration::ZERO, start + later), start + later);
        let (first, delay) = (start + later, Duration::from_secs(1));
        assert_eq!(game.due(2, first, delay, first + later), first + delay);
        assert_eq!(game.due(3, first + later, delay, first + later), first + game.round + delay);
        assert_eq!(game.due(3, first, delay, first), first, "what was sent before it was due");
    }
}
