//! Experiment T8: whether the time that work takes tells what is carried.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use rand::SeedableRng;

use super::super::{Plan, T_BOUND, timing};
use super::linkage::write;
use super::view::Rounds;
use super::{Finding, Moments, Outcome, rank_correlation, undisturbed, welch_t};
use crate::crypto::{Backend, Csprng, Label, derive};
use crate::round::Job;
use crate::session::{BuildJob, Built, OpenJob, Opened};

/// What is made easier to notice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sim) enum Knob {
    /// Submissions of dummies alone come from a stock, real ones are built when they are sent.
    Stock,
    /// Real letters are hashed once more.
    Hash,
}

/// Times work of a simulated network in real time.
#[derive(Default)]
pub(in crate::sim) struct Stopwatch {
    pub(in crate::sim) knob: Option<Knob>,
    /// Of submissions, nanoseconds: of dummies alone, and with a message.
    built: [Vec<f64>; 2],
    /// Of answers with one letter: a dummy, and a message.
    opened: [Vec<f64>; 2],
    /// By round: submissions with a message, and nanoseconds of all mixes' work on its packets.
    rounds: BTreeMap<u64, (f64, f64)>,
}

impl Stopwatch {
    pub(in crate::sim) fn build(&mut self, job: BuildJob) -> Built {
        let (round, real) = (job.round(), job.carried() > 0);
        let mut began = Instant::now();
        let built = job.run();
        if self.knob == Some(Knob::Stock) && !real {
            began = Instant::now();
            black_box(built.clone_bytes());
        }
        self.built[usize::from(real)].push(nanos(began));
        self.rounds.entry(round).or_default().0 += f64::from(u8::from(real));
        built
    }

    pub(in crate::sim) fn open(&mut self, job: OpenJob) -> Opened {
        let letters = job.letters();
        let began = Instant::now();
        let opened = job.run();
        let real = opened.arrivals().len();
        if self.knob == Some(Knob::Hash) {
            for letter in opened.arrivals() {
                black_box(derive(Label::Mailbox, &letter.data));
            }
        }
        if letters == 1 {
            self.opened[real].push(nanos(began));
        }
        opened
    }

    pub(in crate::sim) fn work(&mut self, job: Job) -> crate::round::Done {
        let round = match &job {
            Job::Segment { round, .. } | Job::Shuffle { round, .. } | Job::Open { round, .. } => Some(*round),
            _ => None,
        };
        let began = Instant::now();
        let done = job.run();
        if let Some(round) = round {
            self.rounds.entry(round).or_default().1 += nanos(began);
        }
        done
    }
}

fn nanos(began: Instant) -> f64 {
    began.elapsed().as_nanos() as f64
}

/// Welch's t of two kinds.
fn t(kinds: &[Vec<f64>; 2]) -> f64 {
    let [dummy, real] = undisturbed(kinds);
    welch_t(&dummy, &real).abs()
}

/// How what mixes took goes with what there was to do; by ranks, so that a round in which the machine did something else
/// counts no more than any other.
fn correlated(rounds: &[(f64, f64)]) -> f64 {
    rank_correlation(rounds).abs()
}

fn watch(rounds: usize, seed: u64, knob: Option<Knob>) -> Stopwatch {
    const CLIENTS: usize = 64;
    let plan = Plan { clients: CLIENTS, packets_per_client: 1, seed, ..Plan::default() };
    let mut network = Rounds::of(plan);
    network.world.stopwatch = Some(Stopwatch { knob, ..Stopwatch::default() });
    let mut rng = Csprng::seed_from_u64(seed ^ 0x71);
    for _ in 0..rounds {
        network.next_round().expect("an honest network goes on");
        write(&mut network, &mut rng, CLIENTS);
    }
    network.world.stopwatch.take().unwrap_or_default()
}

/// Samples of X25519.
const MULTIPLICATIONS: usize = 100_000;
/// Standard errors of [`rank_correlation`] that chance stays within, but for one time in three thousand: 0.08 of 2,000 rounds.
const MOST_CORRELATED: f64 = 3.577;

/// Experiment T8, over so many rounds of 64 clients.
///
/// # Panics
/// If the simulated network comes to a halt.
pub fn clockwork(rounds: usize, seed: u64) -> Outcome {
    let sound = watch(rounds, seed, None);
    let stock = watch(rounds.min(100), seed, Some(Knob::Stock));
    let hash = watch(rounds, seed, Some(Knob::Hash));
    let scalar = |control: bool| timing(Backend::default(), MULTIPLICATIONS, seed, control).t.abs();
    let finding = |what: &str, value: f64| Finding::new("T8", what, value, 0.0..=T_BOUND);
    let red = T_BOUND..=f64::INFINITY;
    let submissions: u64 = sound.built.iter().map(|kind| kind.len() as u64).sum();
    let letters: u64 = sound.opened.iter().map(|kind| kind.len() as u64).sum();
    let rounds_of = |watched: &Stopwatch| -> Vec<(f64, f64)> {
        watched.rounds.values().copied().filter(|(_, took)| *took > 0.0).collect()
    };
    let even = rounds_of(&sound);
    let longer = even.iter().map(|(_, took)| *took).collect::<Moments>().mean / 100.0;
    let most_correlated = MOST_CORRELATED / (even.len().max(2) as f64 - 1.0).sqrt();
    let slow: Vec<_> = even.iter().map(|(real, took)| (*real, took + real * longer)).collect();
    Outcome {
        id: "T8",
        title: "whether time tells what is carried",
        text: format!(
            "{submissions} submissions built by 64 clients over {rounds} rounds, half of them with a message; {letters} answers of the \
             exit with one letter; the time that all mixes spend on a round's packets against how many of them are real; X25519 of \
             a fixed against random scalars, {MULTIPLICATIONS} calls. Real time on this machine; without what took longer than the slower kind's median, and by ranks where it is a correlation."
        ),
        findings: vec![
            finding("building a submission, |t| of message against dummy", t(&sound.built)).against(
                "dummies from stock",
                t(&stock.built),
                red.clone(),
            ),
            finding("opening a letter, |t| of message against dummy", t(&sound.opened)).against(
                "messages hashed once more",
                t(&hash.opened),
                red.clone(),
            ),
            Finding::new(
                "T8",
                "mixes' work on a round, |correlation| with its real packets",
                correlated(&even),
                0.0..=most_correlated,
            )
            .against("a hundredth of the round longer for each", correlated(&slow), most_correlated..=1.0),
            finding("X25519, |t| of a fixed scalar against random ones", scalar(false)).against(
                "a moment for every bit set",
                scalar(true),
                red,
            ),
        ],
        figures: Vec::new(),
    }
}
