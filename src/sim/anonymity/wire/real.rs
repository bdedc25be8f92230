//! T3: rounds that carry something against rounds that do not.

use std::collections::BTreeSet;

use super::capture::{Capture, PACKETS};
use super::classifier::{out_of_fold, standardised};
use super::features::{Knob, Sample, names, samples};
use crate::sim::anonymity::{Curve, Figure, Finding, Moments, Outcome, auc, auc_error, kolmogorov_smirnov};

const ID: &str = "T3";
/// The significance at which two distributions differ.
const P: f64 = 1e-3;
/// What the controls must come to.
const SEEN: f64 = 0.9;
/// Of both links together, the measures that are compared one by one.
const COMPARED: [&str; 5] = ["count", "first", "last", "largest gap", "its span"];
/// Points of a curve.
const POINTS: usize = 200;
/// Places in time to which labels are moved to see how far an area strays when there is nothing to find.
const MOVES: usize = 24;

/// The control of [`Knob::Extra`].
const MORE: &str = "one more packet in real rounds";
/// That of [`Knob::Spread`].
const LATER: &str = "a fiftieth of a round between a real round's first and last packet";

/// The experiment on what was captured; `plain` is what [`samples`] makes of it with no knob turned.
pub(super) fn outcome(capture: &Capture, plain: &[Sample]) -> Outcome {
    let is_real = |sample: &Sample| sample.real;
    let (extra, spread) = (samples(capture, Knob::Extra), samples(capture, Knob::Spread));
    let scored = Scored::new(plain, is_real);
    let (with_extra, with_spread) = (Scored::new(&extra, is_real), Scored::new(&spread, is_real));
    let (is_acting, acting) = (|sample: &Sample| sample.touched, Scored::new(plain, |sample| sample.touched));
    let (error, acting_error) = (error(plain, is_real), error(plain, is_acting));
    let mut findings = sizes(plain);
    for name in compared() {
        let finding = Finding::new(ID, format!("Kolmogorov-Smirnov p, {name}"), p(plain, &name), P..=1.0);
        findings.push(match name.as_str() {
            "up: count" => finding.against(MORE, p(&extra, &name), 0.0..=P),
            _ => finding,
        });
    }
    let span = "entry up: its span";
    let finding = Finding::new(ID, "Kolmogorov-Smirnov p, span of the submission", p(plain, span), P..=1.0);
    findings.push(finding.against(LATER, p(&spread, span), 0.0..=P));
    findings.push(scored.finding("AUC, real against dummy", error).against(MORE, with_extra.area(), SEEN..=1.0));
    findings.push(scored.finding("AUC, real against dummy, once more", error).against(
        LATER,
        with_spread.area(),
        SEEN..=1.0,
    ));
    findings.push(acting.finding("AUC, rounds in which the user acts against others", acting_error));
    let curve = |name: &str, scored: &Scored| Curve { name: name.into(), points: scored.curve() };
    let figure = Figure {
        name: "t3-roc",
        title: "T3: what a classifier makes of captured rounds".into(),
        x: ("dummy rounds taken for real ones", false),
        y: ("real rounds found", false),
        curves: vec![
            curve("as captured", &scored),
            curve("one more packet", &with_extra),
            curve("a fiftieth more", &with_spread),
        ],
    };
    let title = "real against dummy, datagrams of real processes";
    Outcome { id: ID, title, text: text(capture, plain, &scored), findings, figures: vec![figure] }
}

/// Whether sizes tell anything: sizes that only one kind has, and how many there are at all.
fn sizes(samples: &[Sample]) -> Vec<Finding> {
    let of = |real: bool| -> BTreeSet<usize> {
        samples.iter().filter(|sample| sample.real == real).flat_map(|sample| sample.sizes.iter().copied()).collect()
    };
    let (real, dummy) = (of(true), of(false));
    let (alone, all) = (real.symmetric_difference(&dummy).count(), real.union(&dummy).count());
    vec![
        Finding::new(ID, "sizes that only one kind has", alone as f64, 0.0..=0.0),
        Finding::new(ID, "sizes of datagrams", all as f64, 1.0..=1.0),
    ]
}

fn compared() -> impl Iterator<Item = String> {
    ["up", "down"].into_iter().flat_map(|way| COMPARED.map(|measure| format!("{way}: {measure}")))
}

fn p(samples: &[Sample], name: &str) -> f64 {
    let place = names().iter().position(|other| other == name).expect("it is one of the names");
    let of = |real: bool| -> Vec<f64> {
        samples.iter().filter(|sample| sample.real == real).map(|sample| sample.values[place]).collect()
    };
    kolmogorov_smirnov(&of(true), &of(false))
}

/// What the classifier made of samples.
struct Scored {
    positive: Vec<f64>,
    negative: Vec<f64>,
}

/// The standard error of a classifier's area when there is nothing to find: its spread over labels that are moved in
/// time, in a circle, so that they follow each other as they do. The error of ranks alone is smaller: what has been
/// learned of too few samples errs alike in all that it scores.
fn error(samples: &[Sample], label: impl Fn(&Sample) -> bool) -> f64 {
    let mut labels: Vec<bool> = samples.iter().map(label).collect();
    let values = standardised_by_client(samples);
    let areas: Moments = (0..MOVES)
        .map(|_| {
            labels.rotate_left(samples.len() / (MOVES + 1));
            Scored::of(&values, &labels).area()
        })
        .collect();
    let positive = labels.iter().filter(|label| **label).count();
    areas.variance().sqrt().max(auc_error(positive, labels.len() - positive))
}

fn standardised_by_client(samples: &[Sample]) -> Vec<Vec<f64>> {
    let values: Vec<&[f64]> = samples.iter().map(|sample| sample.values.as_slice()).collect();
    let clients: Vec<usize> = samples.iter().map(|sample| sample.client).collect();
    standardised(&values, &clients)
}

impl Scored {
    fn new(samples: &[Sample], label: impl Fn(&Sample) -> bool) -> Self {
        let labels: Vec<bool> = samples.iter().map(label).collect();
        Self::of(&standardised_by_client(samples), &labels)
    }

    fn of(values: &[Vec<f64>], labels: &[bool]) -> Self {
        let scores = out_of_fold(values, labels);
        let of = |kind| scores.iter().zip(labels).filter(|(_, is)| **is == kind).map(|(score, _)| *score).collect();
        Self { positive: of(true), negative: of(false) }
    }

    fn area(&self) -> f64 {
        auc(&self.positive, &self.negative)
    }

    /// Within three standard errors of a guess, if there is nothing to find.
    fn finding(&self, statistic: &str, error: f64) -> Finding {
        Finding::new(ID, statistic, self.area(), 0.5 - 3.0 * error..=0.5 + 3.0 * error)
    }

    /// The share of each kind above a threshold that falls.
    fn curve(&self) -> Vec<(f64, f64)> {
        let sorted = |scores: &[f64]| {
            let mut scores = scores.to_vec();
            scores.sort_by(f64::total_cmp);
            scores
        };
        let (positive, negative) = (sorted(&self.positive), sorted(&self.negative));
        let above = |scores: &[f64], threshold: f64| {
            1.0 - scores.partition_point(|score| *score < threshold) as f64 / scores.len() as f64
        };
        let thresholds = sorted(&[positive.clone(), negative.clone()].concat());
        let step = (thresholds.len() / POINTS).max(1);
        let point = |threshold: &f64| (above(&negative, *threshold), above(&positive, *threshold));
        [(0.0, 0.0)].into_iter().chain(thresholds.iter().rev().step_by(step).map(point)).chain([(1.0, 1.0)]).collect()
    }
}

fn text(capture: &Capture, samples: &[Sample], scored: &Scored) -> String {
    let acts = samples.iter().filter(|sample| sample.touched).count();
    format!(
        "{} clients, each a process of its own, {} rounds of {} s, packets of {} bytes; each client's links to the entry and to the exit lead \
         through relays that write down the way, size and instant of every datagram, which is what an adversary on the \
         client's own line sees. Users hand over messages of one byte to four rounds, {} bytes, and a file among ten, by coins: {} \
         client-rounds carried something and {} did not, as the senders' daemons tell afterwards. In {acts} of them the user \
         did something at the control socket: sent, looked at the status or the outbox, read and marked mail.\n\n\
         The adversary knows the schedule and cuts the record by it; rounds that the entry opened late, or that were not \
         stored, are left out for all clients alike. Of each link and way, and of both links together, it takes number and \
         bytes of the datagrams, the offsets of the first and last, the largest gap, and number, span and start of the \
         largest burst. The classifier is a logistic regression on these {} values of one client, and on their squares; \
         each stretch of rounds is scored by what the others have taught. The controls change the record of real rounds \
         before any value is taken: the datagrams of one more packet to the entry, or the last datagram of the submission \
         a fiftieth of a round later. Bounds of areas are three standard errors: how far the same classifier's area strays when the labels of all \
         samples are moved in time.",
        capture.clients,
        capture.rounds.len(),
        capture.length,
        capture.payload,
        4 * PACKETS * capture.payload,
        scored.positive.len(),
        scored.negative.len(),
        names().len(),
    )
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::crypto::Csprng;
    use crate::sim::Way;
    use crate::sim::anonymity::wire::capture::{Round, Seen};

    /// Rounds of one client that look alike, of which every second carries something, and in every second its user acts; `betrays` adds a datagram of that size
    /// to those.
    fn capture(betrays: Option<usize>) -> Capture {
        let (mut random, mut acts) = (Csprng::seed_from_u64(5), Csprng::seed_from_u64(7));
        let mut capture =
            Capture { clients: 1, length: 0.25, seed: 6, records: vec![Vec::new()], ..Capture::default() };
        for number in 0..1200 {
            let start = number as f64 * 0.25;
            capture.rounds.push(Round { number, start });
            let is_real = random.random_bool(0.5);
            let submission = start + random.random_range(0.03..0.15);
            let mut see = |exit, way, at, bytes| capture.records[0].push(Seen { exit, way, bytes, at });
            see(false, Way::ToDialler, start + 0.001, 1200);
            (0..3).for_each(|i| see(false, Way::ToMix, submission + f64::from(i) * 0.0005, 1200));
            see(true, Way::ToDialler, start + 0.2, 1200);
            if acts.random_bool(0.5) {
                capture.touched.insert((0, number));
            }
            if is_real {
                capture.real.insert((0, number));
                betrays.into_iter().for_each(|bytes| see(true, Way::ToMix, start + 0.21, bytes));
            }
        }
        capture
    }

    #[test]
    fn rounds_that_look_alike_pass_and_others_do_not() {
        let alike = capture(None);
        let outcome_of = |capture: &Capture| outcome(capture, &samples(capture, Knob::None));
        let outcome = outcome_of(&alike);
        assert!(outcome.passes(), "{:#?}", outcome.findings);
        for betrayed in [outcome_of(&capture(Some(1200))), outcome_of(&capture(Some(40)))] {
            let failed = betrayed.findings.iter().filter(|finding| !finding.passes());
            assert!(failed.clone().any(|finding| finding.statistic == "AUC, real against dummy"));
            assert!(failed.clone().any(|finding| finding.statistic.contains("up: count")));
        }
    }
}
