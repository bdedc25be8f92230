//! Experiments T4 and T5: who sent what came out, for an adversary who owns all mixes but one.

use std::collections::HashMap;

use rand::{RngExt, SeedableRng};

use super::super::Plan;
use super::view::{Rounds, View, inverse};
use super::{Finding, Moments, Outcome, entropy, min_entropy};
use crate::crypto::{Csprng, Defence, Defences};

/// An adversary of the linkage game: implement it, and [`LinkageGame::play`] says how good it is.
///
/// Rounds come in order, each a [`View`] of all that this adversary may see. First come lessons, in which it is told the
/// truth, as an adversary is who has clients of its own; then it is asked.
pub trait Linker {
    /// A round of which the truth is known: `truth[i]` is the place at the exit of the packet at place `i` of those that
    /// the entry took, in the order of [`View::received`].
    fn learn(&mut self, view: &View<'_>, truth: &[u32]);

    /// How likely the packet at place `target` at the entry is the one at each place of the exit's batch, in order: as
    /// many weights as there are [`View::mailboxes`], none below 0, which need not sum to one. The first of the largest
    /// is the guess: equal weights for all find one in N. Whether it was right the adversary is not told.
    fn guess(&mut self, view: &View<'_>, target: usize) -> Vec<f64>;
}

/// The game: every client sends one packet a round, mixes add no noise, and the adversary says which letter is whose.
#[derive(Clone, Debug)]
pub struct LinkageGame {
    /// Honest clients, N.
    pub clients: usize,
    /// Mixes.
    pub mixes: usize,
    /// Rounds whose truth is told.
    pub lessons: usize,
    /// Rounds in which every client's packet is asked for: a trial each.
    pub rounds: usize,
    /// What mixes do without.
    pub defences: Defences,
    /// Everything random follows from it.
    pub seed: u64,
}

/// How an adversary did.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkageScore {
    /// Packets asked for.
    pub trials: u64,
    /// Those whose likeliest place was the right one.
    pub hits: u64,
    /// Their share.
    pub success: f64,
    /// Entropy of what it thought, bits, over trials.
    pub entropy: f64,
    /// The same by the likeliest place alone.
    pub min_entropy: f64,
}

impl LinkageGame {
    /// Plays against several adversaries at once, all in the same rounds, each of whom owns every mix but the one at
    /// its place, from 0 (all if `None`).
    ///
    /// Half of the clients' packets, drawn in each round, are real messages of 1 to 200 bytes.
    ///
    /// # Panics
    /// If the network comes to a halt, or an adversary gives another number of weights than there are letters.
    pub fn play(&self, adversaries: &mut [(Option<usize>, Box<dyn Linker + '_>)]) -> Vec<LinkageScore> {
        let mut rounds = Rounds::of(Plan {
            mixes: self.mixes,
            clients: self.clients,
            packets_per_client: 1,
            // Any noise of the honest mix would only hide the clients' packets better.
            noise: Some(0),
            defences: self.defences,
            seed: self.seed,
            ..Plan::default()
        });
        let mut rng = Csprng::seed_from_u64(self.seed ^ 0x11ac);
        let mut scores = vec![Tally::default(); adversaries.len()];
        for number in 0..self.lessons + self.rounds {
            let round = rounds.next_round().expect("an honest network goes on");
            write(&mut rounds, &mut rng, self.clients);
            let truth = round.passage();
            for ((honest, adversary), score) in adversaries.iter_mut().zip(&mut scores) {
                let view = round.seen(*honest);
                if number < self.lessons {
                    adversary.learn(&view, &truth);
                    continue;
                }
                for (target, place) in truth.iter().enumerate() {
                    let weights = adversary.guess(&view, target);
                    assert_eq!(weights.len(), round.mailboxes.len(), "a weight for each letter");
                    score.add(&weights, *place);
                }
            }
        }
        scores.iter().map(Tally::score).collect()
    }
}

/// A [`LinkageScore`] while it grows.
#[derive(Clone, Default)]
struct Tally {
    hits: u64,
    entropy: Moments,
    min_entropy: Moments,
}

impl Tally {
    /// The packet was at `place`.
    fn add(&mut self, weights: &[f64], place: u32) {
        self.hits += u64::from(likeliest(weights) == place as usize);
        self.entropy.add(entropy(weights));
        self.min_entropy.add(min_entropy(weights));
    }

    fn score(&self) -> LinkageScore {
        let trials = self.entropy.count;
        LinkageScore {
            trials,
            hits: self.hits,
            success: self.hits as f64 / trials.max(1) as f64,
            entropy: self.entropy.mean,
            min_entropy: self.min_entropy.mean,
        }
    }
}

/// Half of the clients have something to say.
pub(super) fn write(rounds: &mut Rounds, rng: &mut Csprng, clients: usize) {
    for client in 0..clients {
        if rng.random_bool(0.5) {
            let content = vec![client as u8; rng.random_range(1..=200)];
            rounds.world.send(client, rng.random_range(0..clients), &content);
        }
    }
}

/// Its place; the first of several.
fn likeliest(weights: &[f64]) -> usize {
    let best = |best: usize, (place, weight): (usize, &f64)| if *weight > weights[best] { place } else { best };
    weights.iter().enumerate().fold(0, best)
}

/// The adversary of the laboratory: follows a packet through the shuffles that it knows, and takes what it has learned
/// of the honest mix for the rest: how far packets move there, and whether any bytes survive.
#[derive(Debug, Default)]
pub struct Tracer {
    /// How often a packet has moved so many places, around the end of the batch.
    moves: Vec<f64>,
    /// Of the round looked at last: its number, and by place at the honest mix the output that has bytes in common.
    twins: Option<(u64, Vec<Option<usize>>)>,
}

/// The bytes of which a packet that has not been peeled would have many in common with what it was.
const COMMON: usize = 8;

impl Tracer {
    /// Places at the mix after `hops`, by place at the entry.
    fn follow(view: &View<'_>, hops: std::ops::Range<usize>, mut place: u32) -> u32 {
        for hop in hops {
            let order = view.order(hop).expect("only shuffles that are known are followed");
            place = inverse(order)[&place];
        }
        place
    }

    /// How likely the honest mix's input at place `from` is each of its outputs.
    fn through(&mut self, view: &View<'_>, honest: usize, from: u32) -> Vec<f64> {
        let count = view.sent(honest).len();
        let twin = self.twins(view, honest)[from as usize];
        let weight = |to: usize| match twin {
            Some(twin) => f64::from(u8::from(twin == to)),
            None => self.moves.get(moved(from, to as u32, count)).copied().unwrap_or(1.0),
        };
        (0..count).map(weight).collect()
    }

    fn twins(&mut self, view: &View<'_>, honest: usize) -> &[Option<usize>] {
        if self.twins.as_ref().is_none_or(|(round, _)| *round != view.number()) {
            let sent = view.sent(honest).iter().enumerate();
            let windows: HashMap<&[u8], usize> =
                sent.flat_map(|(to, packet)| packet.windows(COMMON).map(move |window| (window, to))).collect();
            let twin = |packet: &&[u8]| packet.windows(COMMON).find_map(|window| windows.get(window).copied());
            self.twins = Some((view.number(), view.received(honest).iter().map(twin).collect()));
        }
        self.twins.as_ref().map_or(&[], |(_, twins)| twins)
    }
}

fn moved(from: u32, to: u32, count: usize) -> usize {
    (to as usize + count - from as usize) % count
}

impl Linker for Tracer {
    fn learn(&mut self, view: &View<'_>, truth: &[u32]) {
        let Some(honest) = view.honest() else { return };
        let count = view.sent(honest).len();
        self.moves.resize(count, 0.0);
        for (target, end) in (0..).zip(truth) {
            let from = Self::follow(view, 0..honest, target);
            // Back from the exit to what the honest mix sent.
            let to = (honest + 1..view.mixes()).rev().fold(*end, |place, hop| {
                let order = view.order(hop).expect("there is one honest mix");
                order[place as usize].expect("a client's packet came in")
            });
            self.moves[moved(from, to, count)] += 1.0;
        }
    }

    fn guess(&mut self, view: &View<'_>, target: usize) -> Vec<f64> {
        let mut weights = vec![0.0; view.mailboxes().len()];
        let Some(honest) = view.honest() else {
            weights[Self::follow(view, 0..view.mixes(), target as u32) as usize] = 1.0;
            return weights;
        };
        let from = Self::follow(view, 0..honest, target as u32);
        let behind: Vec<_> =
            (honest + 1..view.mixes()).map(|hop| inverse(view.order(hop).expect("one is honest"))).collect();
        for (to, weight) in (0..).zip(self.through(view, honest, from)) {
            let end = behind.iter().fold(to, |place, order| order[&place]);
            weights[end as usize] = weight;
        }
        weights
    }
}

/// 1/64 and three standard errors of 20,000 trials.
const MOST_FOUND: f64 = 0.0183;
/// Bits that the posterior may lack.
const LACKING: (f64, f64) = (0.01, 0.05);

/// Experiments T4 and T5 with the laboratory's [`Tracer`], after so many lessons, over so many rounds of 64 clients.
pub fn linkage(lessons: usize, rounds: usize, seed: u64) -> [Outcome; 2] {
    let game = LinkageGame { clients: 64, mixes: 3, lessons, rounds, defences: Defences::default(), seed };
    let tracer = || Box::<Tracer>::default() as Box<dyn Linker>;
    let places = [Some(0), Some(1), Some(2), None];
    let scores = game.play(&mut places.map(|honest| (honest, tracer())));
    let open =
        LinkageGame { defences: game.defences.without(Defence::Shuffle), lessons: 20, rounds: 20, ..game.clone() };
    let unshuffled = open.play(&mut [Some(0), Some(1), Some(2)].map(|honest| (honest, tracer())));
    let bits = (game.clients as f64).log2();
    let [mut success, mut uncertain] = [Vec::new(), Vec::new()];
    for ((place, score), unshuffled) in (1..).zip(&scores[..3]).zip(&unshuffled) {
        let finding = Finding::new("T4", format!("found, mix {place} honest"), score.success, 0.0..=MOST_FOUND);
        success.push(finding.against("no honest mix", scores[3].success, 1.0..=1.0));
        let of =
            |what: &str, value: f64, lacking: f64, control: f64| {
                Finding::new("T5", format!("{what}, mix {place} honest"), value, bits - lacking..=f64::INFINITY)
                    .against("no shuffle at the honest mix", control, 0.0..=bits - 1.0)
            };
        uncertain.push(of("entropy, bits", score.entropy, LACKING.0, unshuffled.entropy));
        uncertain.push(of("min-entropy, bits", score.min_entropy, LACKING.1, unshuffled.min_entropy));
    }
    let text = format!(
        "{} clients, one packet each a round, half of them real; sealed rounds, no noise. The adversary watches every link, owns \
         all mixes but one and so knows their shuffles, and sees where every letter goes. In {lessons} rounds it was told \
         which letter was whose and learned how far packets move in the honest mix; then it was asked for every packet of \
         {rounds} rounds, {} trials. It also looks for bytes that survive.",
        game.clients, scores[0].trials
    );
    let posterior = "The adversary of T4: how uncertain it is, over its trials, of 6 bits that there are. The control: the \
                     mix that it does not own hands packets on as they came.";
    [
        Outcome { id: "T4", title: "which letter is whose", text, findings: success, figures: Vec::new() },
        Outcome {
            id: "T5",
            title: "what the adversary is left not knowing",
            text: posterior.into(),
            findings: uncertain,
            figures: Vec::new(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t4_one_honest_mix_hides_whose_letter_it_is_and_none_does_not() {
        let [linked, _] = linkage(5, 80, 4);
        for finding in &linked.findings {
            // 5,120 trials: three standard errors are more than of 20,000.
            assert!(finding.value < 1.0 / 64.0 + 3.0 * (63.0f64 / 64.0 / 64.0 / 5120.0).sqrt(), "{finding:?}");
            assert_eq!(finding.control_is_red(), Some(true), "{finding:?}");
        }
    }

    #[test]
    fn t5_without_its_shuffle_the_honest_mix_hides_nothing() {
        let game = LinkageGame {
            clients: 8,
            mixes: 3,
            lessons: 3,
            rounds: 3,
            defences: Defences::default().without(Defence::Shuffle),
            seed: 5,
        };
        let places = [Some(0), Some(1), Some(2)];
        for score in game.play(&mut places.map(|honest| (honest, Box::<Tracer>::default() as Box<dyn Linker>))) {
            assert!(score.success == 1.0 && score.entropy == 0.0, "{score:?}");
        }
    }
}
