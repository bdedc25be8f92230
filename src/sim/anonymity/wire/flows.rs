//! T11: whether the flow of one client matches that of another, to whom it writes.

use super::capture::{Capture, Seen};
use crate::sim::Way;
use crate::sim::anonymity::{Curve, Figure, Finding, Outcome, auc, auc_error, correlation};

const ID: &str = "T11";
/// Rounds in which everybody writes to one other: flows of 100 packets.
pub(super) const FLOW: u64 = 50;
/// Bins of a round in which datagrams are counted: whole rounds, and fine enough to tell one burst from another.
const BINS: [usize; 2] = [1, 10];
/// Rounds by which what arrives may be behind what was sent.
const BEHIND: usize = 3;
/// What the control must come to.
const SEEN: f64 = 0.9;
/// Bins of the pictures.
const SHARES: usize = 40;

/// The experiment on what was captured.
pub(super) fn outcome(capture: &Capture) -> Outcome {
    let mut findings = Vec::new();
    let mut curves = Vec::new();
    for bins in BINS {
        let [plain, thin] = [false, true].map(|thinned| Matched::new(capture, bins, thinned));
        let error = 3.0 * auc_error(plain.talking.len(), plain.others.len());
        let statistic = match bins {
            1 => "AUC, pairs that talk against others, datagrams a round".into(),
            _ => format!("AUC, pairs that talk against others, datagrams a {bins}th of a round"),
        };
        findings.push(Finding::new(ID, statistic, plain.area(), 0.5 - error..=0.5 + error).against(
            "clients that send and poll only when there is something",
            thin.area(),
            SEEN..=1.0,
        ));
        if bins == 1 {
            curves.extend([
                Curve { name: "talk".into(), points: distribution(&plain.talking) },
                Curve { name: "do not".into(), points: distribution(&plain.others) },
                Curve { name: "talk, control".into(), points: distribution(&thin.talking) },
                Curve { name: "do not, control".into(), points: distribution(&thin.others) },
            ]);
        }
    }
    let figure = Figure {
        name: "t11-flows",
        title: "T11: correlation of what one client sends with what another receives".into(),
        x: ("correlation", false),
        y: ("share of pairs below", false),
        curves,
    };
    let title = "flow matching at the client links, datagrams of real processes";
    Outcome { id: ID, title, text: text(capture), findings, figures: vec![figure] }
}

/// How well the flows of pairs match.
struct Matched {
    talking: Vec<f64>,
    others: Vec<f64>,
}

impl Matched {
    /// All pairs in all stretches of rounds in which partners stay; `thinned`: see [`text`].
    fn new(capture: &Capture, bins: usize, thinned: bool) -> Self {
        let mut matched = Self { talking: Vec::new(), others: Vec::new() };
        for (stretch, partners) in capture.partners.iter().enumerate() {
            let flow = |client, way| series(capture, stretch as u64, client, way, bins, thinned);
            let flows = |way| (0..capture.clients).map(|client| flow(client, way)).collect::<Vec<_>>();
            let (up, down) = (flows(Way::ToMix), flows(Way::ToDialler));
            if up[0].len() < bins * FLOW as usize / 2 {
                continue;
            }
            for from in 0..capture.clients {
                for to in (0..capture.clients).filter(|to| *to != from) {
                    let score = score(&up[from], &down[to], bins);
                    match partners[from] == to {
                        true => matched.talking.push(score),
                        false => matched.others.push(score),
                    }
                }
            }
        }
        matched
    }

    fn area(&self) -> f64 {
        auc(&self.talking, &self.others)
    }
}

/// Datagrams of a client in each bin of a stretch's rounds, less what is usual in that bin of a round: what a client does
/// in every round at the same time is no sign.
fn series(capture: &Capture, stretch: u64, client: usize, way: Way, bins: usize, thinned: bool) -> Vec<f64> {
    let numbers = capture.first + stretch * FLOW..capture.first + (stretch + 1) * FLOW;
    let kept = match way {
        Way::ToMix => &capture.real,
        Way::ToDialler => &capture.mail,
    };
    let mut counts = Vec::new();
    for round in capture.rounds.iter().filter(|round| numbers.contains(&round.number)) {
        let seen = capture.between(client, round.start, round.start + capture.length);
        let mut of_round = vec![0.0; bins];
        if !thinned || kept.contains(&(client, round.number)) {
            for Seen { at, .. } in seen.iter().filter(|seen| seen.way == way) {
                let bin = ((at - round.start) / capture.length * bins as f64) as usize;
                of_round[bin.min(bins - 1)] += 1.0;
            }
        }
        counts.extend(of_round);
    }
    let rounds = (counts.len() / bins) as f64;
    for bin in 0..bins {
        let usual = counts.iter().skip(bin).step_by(bins).sum::<f64>() / rounds;
        counts.iter_mut().skip(bin).step_by(bins).for_each(|count| *count -= usual);
    }
    counts
}

/// The best correlation at any lag at which something sent could arrive; 0 where a flow does not vary.
fn score(up: &[f64], down: &[f64], bins: usize) -> f64 {
    let at = |lag: usize| {
        let pairs: Vec<(f64, f64)> = up.iter().copied().zip(down[lag..].iter().copied()).collect();
        let correlation = correlation(&pairs);
        if correlation.is_finite() { correlation } else { 0.0 }
    };
    (0..=BEHIND * bins).filter(|lag| lag + 2 < down.len()).map(at).fold(-1.0, f64::max)
}

/// The share of values below each of the points between -1 and 1.
fn distribution(values: &[f64]) -> Vec<(f64, f64)> {
    let below = |x: f64| values.iter().filter(|value| **value <= x).count() as f64 / values.len().max(1) as f64;
    (0..=SHARES).map(|i| 2.0f64.mul_add(i as f64 / SHARES as f64, -1.0)).map(|x| (x, below(x))).collect()
}

fn text(capture: &Capture) -> String {
    format!(
        "The record of T3. In each stretch of {FLOW} rounds, 100 packets of each client, all {} clients stand in a circle \
         drawn anew, and whatever a client's user says goes to the next. The adversary sees all links of all clients. For \
         each ordered pair it takes what the one sends and what the other receives, datagrams in each round or in each tenth \
         of one, less what is usual there, and correlates them at every lag up to {BEHIND} rounds; the best is the pair's \
         score. Pairs of one stretch share flows, so that the error of the area, which takes them for independent, is an \
         approximation.\n\n\
         The control is a client that sends and polls only when there is something: of the same record the datagrams that it \
         sends in rounds that carry nothing of its user's are taken out, and those that it receives in rounds that bring it \
         no mail.",
        capture.clients
    )
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::crypto::Csprng;
    use crate::sim::anonymity::wire::capture::Round;
    use crate::sim::anonymity::wire::users::partners;

    /// Flows that are all noise; who writes to whom is in the truth beside them.
    #[test]
    fn flows_that_are_noise_do_not_match_and_thinned_ones_do() {
        const CLIENTS: usize = 6;
        let mut random = Csprng::seed_from_u64(8);
        let mut capture = Capture {
            clients: CLIENTS,
            length: 0.25,
            records: vec![Vec::new(); CLIENTS],
            partners: (0..8).map(|stretch| partners(1, stretch, CLIENTS)).collect(),
            first: 100,
            ..Capture::default()
        };
        for place in 0..8 * FLOW {
            let (number, start) = (100 + place, place as f64 * 0.25);
            capture.rounds.push(Round { number, start });
            for client in 0..CLIENTS {
                for way in [Way::ToMix, Way::ToDialler] {
                    for _ in 0..random.random_range(8..12) {
                        let at = start + random.random_range(0.0..0.25);
                        capture.records[client].push(Seen { exit: false, way, bytes: 1200, at });
                    }
                }
                if random.random_bool(0.5) {
                    capture.real.insert((client, number));
                    capture.mail.insert((capture.partners[(place / FLOW) as usize][client], number));
                }
            }
        }
        capture.records.iter_mut().for_each(|record| record.sort_by(|a, b| a.at.total_cmp(&b.at)));
        let outcome = outcome(&capture);
        assert!(outcome.passes(), "{:#?}", outcome.findings);
    }
}
