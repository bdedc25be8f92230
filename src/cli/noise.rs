//! What a network's noise hides, and what it costs, for people and for programs.

use serde::Serialize;

use crate::config::NetworkFile;
use crate::round::{Budget, NoiseCounts};
use crate::wire::{DummyPolicy, NoiseLaw, Parameters};

/// The epsilon that noise is measured against: one world at most 2.7 times as likely as the other.
const EPSILON: f64 = 1.0;
/// How often that may fail, once in ten thousand letters: what noise has to come to for being called sufficient.
const DELTA: f64 = 1e-4;
/// Rounds over which a standing habit, writing to one and not to the other, is looked at.
const ROUNDS: u32 = 100;
/// A total that is smaller in fewer rounds is not spoken of.
const RARE: f64 = 1e-6;
/// Where epsilon fails more often than this there is nothing to speak of.
const NOTHING: f64 = 0.1;

/// What one honest mix's noise buys ([`Budget`]), and what that of all costs.
#[derive(Debug, Serialize)]
pub(super) struct NoiseShown {
    /// Packets a round of each mix but the exit, on average.
    mean: f64,
    /// Over how many mailboxes they go.
    mailboxes: usize,
    /// What `delta` and `least_delta` are at.
    epsilon: f64,
    /// How often `epsilon` does not hold for one letter in one round, on average over all rounds.
    delta: f64,
    /// The smallest number of packets that is not rarer than one round in a million.
    least: u32,
    /// `delta` in such a round.
    least_delta: f64,
    /// What would be enough.
    target_delta: f64,
    /// Epsilon at `target_delta`; null if no epsilon holds so often.
    epsilon_at_target: Option<f64>,
    /// Rounds in which somebody writes to the same mailbox.
    rounds: u32,
    /// Epsilon over so many of them, at `target_delta` for all together; null if no epsilon holds so often.
    epsilon_over_rounds: Option<f64>,
    /// Packets a round of each mix with which `epsilon` fails no more often than `target_delta`; null if they are beyond counting.
    needed: Option<u32>,
    /// As many honest clients without anything to say would give as much.
    as_good_as_clients: f64,
    /// As many clients send as much as all mixes add.
    as_dear_as_clients: f64,
    /// What of it goes to where it is useless if all mixes but one are dishonest: one in this many is of use.
    adding_mixes: usize,
    /// Whether clients' own dummies hide nothing of it, as the exit drops them.
    dummies_dropped: bool,
    #[serde(skip)]
    random: bool,
}

impl NoiseShown {
    /// Of a network whose mailboxes are those listed, or else one for each client; `None` if the file breaks rules, or has no
    /// two mailboxes.
    pub(super) fn of(file: &NetworkFile) -> Option<Self> {
        let parameters = file.parameters().ok()?;
        let mailboxes = file.mailboxes.as_ref().map_or(file.clients.len(), Vec::len);
        Self::measured(&parameters, mailboxes, file.mixes.len().saturating_sub(1))
    }

    fn measured(parameters: &Parameters, mailboxes: usize, adding_mixes: usize) -> Option<Self> {
        let counts = NoiseCounts::of(parameters);
        let budget = Budget::of(&counts, mailboxes)?;
        let least = counts.least(RARE);
        let in_clients = |packets: f64| packets / f64::from(parameters.packets_per_client);
        Some(Self {
            mean: counts.mean(),
            mailboxes,
            epsilon: EPSILON,
            delta: budget.delta(EPSILON),
            least,
            least_delta: Budget::of(&NoiseCounts::constant(least), mailboxes)?.delta(EPSILON),
            target_delta: DELTA,
            epsilon_at_target: budget.epsilon(DELTA),
            rounds: ROUNDS,
            epsilon_over_rounds: budget.epsilon_over(ROUNDS, DELTA),
            needed: Budget::needed(mailboxes, EPSILON, DELTA),
            as_good_as_clients: in_clients(counts.mean()),
            as_dear_as_clients: in_clients(counts.mean() * adding_mixes as f64),
            adding_mixes,
            dummies_dropped: parameters.dummies == DummyPolicy::Dropped,
            random: matches!(parameters.noise, NoiseLaw::Poisson { .. } | NoiseLaw::Laplace { .. }),
        })
    }

    /// In sentences, one a line.
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { mailboxes, epsilon, target_delta, rounds, .. } = self;
        let mean = number(self.mean);
        let verdict = if self.delta > NOTHING { ": as good as nothing" } else { "" };
        let mut lines = vec![format!(
            "noise of one honest mix, {mean} a round over {mailboxes} mailboxes: hides from the exit which of two mailboxes a letter \
             goes to with epsilon {epsilon}, except with probability {}{verdict}",
            number(self.delta)
        )];
        if self.random {
            let (least, delta) = (self.least, number(self.least_delta));
            lines.push(format!("in a round with only {least}, which comes once in a million: {delta}"));
        }
        lines.push(match (self.epsilon_at_target, self.needed) {
            (Some(found), _) => {
                let over = self.epsilon_over_rounds.map_or("none".into(), number);
                format!("except with probability {target_delta}: epsilon {}; over {rounds} rounds: {over}", number(found))
            }
            (None, Some(needed)) => {
                format!("except with probability {target_delta}: no epsilon; epsilon {epsilon} would take {needed} a round of each mix")
            }
            (None, None) => format!("except with probability {target_delta}: no epsilon, and no number would do"),
        });
        if self.dummies_dropped {
            lines.push(
                "dummies are dropped: nothing else hides from the exit how many messages every mailbox gets".into(),
            );
        } else if self.mean > 0.0 {
            lines.push(self.price());
        }
        lines
    }

    fn price(&self) -> String {
        let (good, dear) = (number(self.as_good_as_clients), number(self.as_dear_as_clients));
        let dearer = match self.adding_mixes {
            0 | 1 => String::new(),
            mixes => format!(": more than it gives, unless fewer than one client in {mixes} is honest"),
        };
        format!(
            "it gives what the dummies of {good} honest clients give, and all mixes' costs what {dear} clients send{dearer}"
        )
    }
}

/// Three digits, without zeros behind them.
fn number(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (2 - value.abs().log10().floor() as i32).max(0) as usize };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown =
            [(0.0, "0"), (2.0, "2"), (0.406_25, "0.406"), (1234.5, "1234"), (0.000_123_4, "0.000123"), (40.0, "40")];
        shown.into_iter().for_each(|(value, text)| assert_eq!(number(value), text));
    }

    #[test]
    fn what_is_told_is_what_the_budget_says() {
        let shown = |noise: &str| {
            let text = include_str!("../../config/testnet.yaml").to_owned() + noise;
            let file = NetworkFile::parse(&text, std::path::Path::new("network.yaml")).expect(noise);
            NoiseShown::of(&file).expect("four mailboxes")
        };
        let two = shown("");
        // Of two packets none goes to B with probability 9/16; else b is 1 and a at most 2, or b is 2 and a 1.
        assert!((two.delta - 9.0 / 16.0).abs() < 1e-9 && two.epsilon_at_target.is_none() && two.least == 2);
        assert!(two.lines()[0].ends_with("except with probability 0.562: as good as nothing"), "{:?}", two.lines());
        let needed = two.needed.expect("few mailboxes");
        let enough = shown(&format!("noise_packets: {needed}\n"));
        assert!(enough.delta <= DELTA && enough.epsilon_at_target.is_some_and(|epsilon| epsilon <= EPSILON));
        assert_eq!(enough.lines().len(), 3);
        let random = shown("noise_packets: 400\nnoise: {poisson: {mean: 200}}\n");
        assert!(random.least < 140 && random.least_delta > random.delta && random.lines().len() == 4);
        let dropped = shown("dummies: dropped\n");
        assert!(dropped.lines()[2].starts_with("dummies are dropped: nothing else hides"), "{:?}", dropped.lines());
        let none = shown("noise: none\n");
        assert!(none.delta == 1.0 && none.mean == 0.0 && none.lines().len() == 2, "{:?}", none.lines());
    }
}
