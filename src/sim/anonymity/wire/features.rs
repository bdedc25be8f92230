//! What a client's links show in one round, as numbers.

use std::collections::BTreeSet;
use std::fmt::Write;

use rand::{RngExt, SeedableRng};

use super::capture::{Capture, Seen};
use crate::crypto::Csprng;
use crate::sim::Way;

/// One client in one round.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub client: usize,
    pub round: u64,
    /// Whether its packets carried something.
    pub real: bool,
    /// Whether its user did something at the control socket.
    pub touched: bool,
    pub sizes: BTreeSet<usize>,
    /// As [`names`] says.
    pub values: Vec<f64>,
}

/// What is done to the record of rounds that carry something: the controls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Knob {
    None,
    /// The datagrams of one packet more, to the entry, at any moment: of a small packet there is one.
    Extra,
    /// The last datagram of the submission comes later by this share of a round: [`SPREAD`].
    Spread,
}

/// 5 ms of a quarter of a second.
const SPREAD: f64 = 0.02;
/// Datagrams that follow each other within this share of a round are one burst.
const BURST: f64 = 0.01;

/// The links and ways that are looked at each by itself, then the two ways of both links together.
const STREAMS: [(&str, Option<bool>, Way); 6] = [
    ("entry up", Some(false), Way::ToMix),
    ("entry down", Some(false), Way::ToDialler),
    ("exit up", Some(true), Way::ToMix),
    ("exit down", Some(true), Way::ToDialler),
    ("up", None, Way::ToMix),
    ("down", None, Way::ToDialler),
];
/// What is measured of each.
pub(super) const MEASURES: [&str; 8] =
    ["count", "bytes", "first", "last", "largest gap", "largest burst", "its span", "its start"];

/// What each value is.
pub(super) fn names() -> Vec<String> {
    let of = |(stream, ..): &(&str, Option<bool>, Way)| MEASURES.map(|measure| format!("{stream}: {measure}"));
    STREAMS.iter().flat_map(of).collect()
}

/// Every client in every round.
pub(super) fn samples(capture: &Capture, knob: Knob) -> Vec<Sample> {
    let mut random = Csprng::seed_from_u64(capture.seed);
    let mut samples = Vec::with_capacity(capture.rounds.len() * capture.clients);
    for round in &capture.rounds {
        for client in 0..capture.clients {
            let mut seen = capture.between(client, round.start, round.start + capture.length).to_vec();
            let (real, touched) =
                (capture.real.contains(&(client, round.number)), capture.touched.contains(&(client, round.number)));
            if real {
                turn(knob, &mut seen, capture, round.start, &mut random);
            }
            samples.push(Sample {
                client,
                round: round.number,
                real,
                touched,
                sizes: seen.iter().map(|seen| seen.bytes).collect(),
                values: values(&seen, round.start, capture.length),
            });
        }
    }
    samples
}

fn turn(knob: Knob, seen: &mut Vec<Seen>, capture: &Capture, start: f64, random: &mut Csprng) {
    let length = capture.length;
    let Some(last) = seen.iter().rposition(|seen| !seen.exit && seen.way == Way::ToMix) else { return };
    match knob {
        Knob::None => return,
        Knob::Extra => {
            let at = start + random.random_range(0.0..length);
            let more = Seen { at, ..seen[last] };
            let datagrams = (capture.payload as usize).div_ceil(more.bytes.max(1)).max(1);
            seen.extend(std::iter::repeat_n(more, datagrams));
        }
        Knob::Spread => {
            let up: Vec<usize> = (0..=last).filter(|i| !seen[*i].exit && seen[*i].way == Way::ToMix).collect();
            let times: Vec<f64> = up.iter().map(|i| seen[*i].at).collect();
            let burst = largest_burst(&times, length);
            seen[up[burst.end - 1]].at += SPREAD * length;
        }
    }
    seen.sort_by(|a, b| a.at.total_cmp(&b.at));
}

/// The values of what was seen in a round.
fn values(seen: &[Seen], start: f64, length: f64) -> Vec<f64> {
    let of = |(_, exit, way): &(&str, Option<bool>, Way)| {
        let its = seen.iter().filter(|seen| seen.way == *way && exit.is_none_or(|exit| seen.exit == exit));
        let (times, bytes): (Vec<f64>, Vec<usize>) = its.map(|seen| (seen.at - start, seen.bytes)).unzip();
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return [0.0; MEASURES.len()] };
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        let burst = largest_burst(&times, length);
        [
            times.len() as f64,
            bytes.iter().sum::<usize>() as f64,
            *first,
            *last,
            gap,
            burst.len() as f64,
            times[burst.end - 1] - times[burst.start],
            times[burst.start],
        ]
    };
    STREAMS.iter().flat_map(of).collect()
}

/// The longest run of datagrams that follow each other closely, the first of several; `times` is not empty.
fn largest_burst(times: &[f64], length: f64) -> std::ops::Range<usize> {
    let (mut from, mut best) = (0, 0..1);
    for place in 1..times.len() {
        // A datagram that the control holds back still belongs to its burst.
        if times[place] - times[place - 1] > BURST.max(2.0 * SPREAD) * length {
            from = place;
        }
        if place + 1 - from > best.len() {
            best = from..place + 1;
        }
    }
    best
}

/// A line for each sample: its kind, whose it is, and its values.
pub(super) fn csv(samples: &[Sample]) -> String {
    let mut text = format!("kind,user_acts,client,round,sizes,{}\n", names().join(",").replace(' ', "_"));
    for sample in samples {
        let kind = if sample.real { "real" } else { "dummy" };
        let sizes: Vec<String> = sample.sizes.iter().map(usize::to_string).collect();
        let touched = u8::from(sample.touched);
        // Writing into a string does not fail.
        let _ = write!(text, "{kind},{touched},{},{},{}", sample.client, sample.round, sizes.join(" "));
        sample.values.iter().for_each(|value| text += &format!(",{value:.6}"));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(exit: bool, way: Way, at: f64) -> Seen {
        Seen { exit, way, bytes: 1200, at }
    }

    /// A request, and a submission of three datagrams 80 ms behind it; an answer from the exit.
    fn round() -> Vec<Seen> {
        let up = [10.01, 10.09, 10.0905, 10.091].map(|at| seen(false, Way::ToMix, at));
        [up.as_slice(), &[seen(true, Way::ToDialler, 10.2)]].concat()
    }

    fn value(values: &[f64], name: &str) -> f64 {
        values[names().iter().position(|other| other == name).expect("a name")]
    }

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
    }

    #[test]
    fn values_are_what_their_names_say() {
        let values = values(&round(), 10.0, 0.25);
        assert_eq!(values.len(), names().len());
        for (name, expected) in [
            ("entry up: count", 4.0),
            ("entry up: bytes", 4800.0),
            ("entry up: first", 0.01),
            ("entry up: last", 0.091),
            ("entry up: largest gap", 0.08),
            ("entry up: largest burst", 3.0),
            ("entry up: its span", 0.001),
            ("entry up: its start", 0.09),
            ("entry down: count", 0.0),
            ("exit down: count", 1.0),
            ("up: count", 4.0),
            ("down: first", 0.2),
        ] {
            near(value(&values, name), expected);
        }
    }

    #[test]
    fn controls_change_what_they_say() {
        let mut random = Csprng::seed_from_u64(1);
        let mut capture = Capture { length: 0.25, payload: 1024, ..Capture::default() };
        let turned = |knob, capture: &Capture, random: &mut Csprng| {
            let mut seen = round();
            turn(knob, &mut seen, capture, 10.0, random);
            assert!(seen.is_sorted_by(|a, b| a.at <= b.at));
            values(&seen, 10.0, 0.25)
        };
        near(value(&turned(Knob::Extra, &capture, &mut random), "entry up: count"), 5.0);
        near(value(&turned(Knob::Spread, &capture, &mut random), "entry up: its span"), 0.006);
        near(value(&turned(Knob::None, &capture, &mut random), "entry up: its span"), 0.001);
        capture.payload = 12_000;
        near(value(&turned(Knob::Extra, &capture, &mut random), "entry up: count"), 14.0);
    }
}
