//! T9: whether the noise that mixes draw buys what [`Budget`] says.

use rand::SeedableRng;

use super::interval::{lower_bound, upper_bound};
use super::{Finding, Moments, Outcome};
use crate::crypto::Csprng;
use crate::round::{Budget, NoiseCounts};
use crate::sim::Plan;
use crate::wire::NoiseLaw;

/// The audit: two worlds, in which one letter goes to one mailbox or to another, told apart by what the exit sees.
#[derive(Clone, Debug)]
pub struct NoiseAudit {
    /// Rounds of each world, for each law.
    pub rounds: usize,
    /// Of everything random.
    pub seed: u64,
    /// Over how many mailboxes noise is spread.
    pub mailboxes: usize,
    /// Packets a round of the honest mix, on average.
    pub mean: u32,
    /// How often epsilon may fail.
    pub delta: f64,
}

impl Default for NoiseAudit {
    /// Few packets for each mailbox, and a delta of many rounds, so that half the noise is far from the whole: epsilon is a
    /// quotient of frequencies, and 100,000 rounds say little of what happens in ten of them.
    fn default() -> Self {
        Self { rounds: 100_000, seed: 9, mailboxes: 8, mean: 64, delta: 0.01 }
    }
}

/// How likely it is that a sound sampler is found wanting by one of the bounds of one group of rounds.
const ALPHA: f64 = 1e-4;
/// The logarithms of how many times as many letters as the other a mailbox has: 0, 0.1, ... 3. Fixed before anything is drawn.
const STEPS: u32 = 31;

/// What the exit sees of a round: the honest mix's public total, and the letters of two mailboxes.
struct Seen {
    total: u32,
    letters: [u32; 2],
}

/// A law by name, and how many packets it comes to.
struct Law {
    name: &'static str,
    counts: NoiseCounts,
}

/// The rounds of both worlds under a law, and the numbers of packets in them.
struct Played {
    worlds: [Vec<Seen>; 2],
    added: Moments,
}

impl NoiseAudit {
    /// Plays all rounds twice, with all of the noise and with half of it.
    ///
    /// # Panics
    /// If there are fewer than two mailboxes.
    pub fn run(&self) -> Outcome {
        let mut rng = Csprng::seed_from_u64(self.seed);
        let findings = self.laws().iter().flat_map(|law| self.audited(&mut rng, law)).collect();
        Outcome { id: "T9", title: "noise of one honest mix", text: self.text(), findings, figures: Vec::new() }
    }

    /// The laws of a network file, with one mean and twice that as their end.
    fn laws(&self) -> [Law; 3] {
        let (mean, scale) = (self.mean * 1000, self.mean * 1000 / 8);
        let law = |name, noise_packets, noise_law| {
            let plan = Plan { noise_packets, noise_law, ..Plan::default() };
            Law { name, counts: plan.noise_counts() }
        };
        [
            law("constant", self.mean, NoiseLaw::Constant),
            law("Poisson", 2 * self.mean, NoiseLaw::Poisson { mean }),
            law("Laplace", 2 * self.mean, NoiseLaw::Laplace { mean, scale }),
        ]
    }

    fn audited(&self, rng: &mut Csprng, law: &Law) -> Vec<Finding> {
        let (all, half) = (self.played(rng, law, false), self.played(rng, law, true));
        let mut findings = self.moments(law, &all.added, &half.added);
        for (rounds, from, to) in law.groups() {
            let given = law.counts.given(from, to).expect("a group has a quarter of all rounds");
            let budget = Budget::of(&given, self.mailboxes).expect("two mailboxes");
            let epsilon = budget.epsilon(self.delta).expect("enough noise for any epsilon");
            let shown = |played: &Played| {
                let [first, second] = &played.worlds;
                let kept = |world: &[Seen]| -> Vec<[u32; 2]> {
                    world.iter().filter(|seen| (from..=to).contains(&seen.total)).map(|seen| seen.letters).collect()
                };
                epsilon_shown(&kept(first), &kept(second), self.delta)
            };
            let statistic = format!("epsilon shown, {}, {rounds}", law.name);
            let finding = Finding::new("T9", statistic, shown(&all), 0.0..=epsilon);
            findings.push(finding.against("half the noise", shown(&half), epsilon.next_up()..=f64::INFINITY));
        }
        findings
    }

    /// Every round through the draw that makes noise, [`NoiseCounts::recipients`]. With `half` the mix says what it should and adds half.
    fn played(&self, rng: &mut Csprng, law: &Law, half: bool) -> Played {
        let mut added = Moments::default();
        let worlds = [0, 1].map(|world| {
            let mut round = || {
                let recipients = law.counts.recipients(rng, self.mailboxes);
                let kept = &recipients[..if half { recipients.len() / 2 } else { recipients.len() }];
                added.add(kept.len() as f64);
                let mut letters = [0, 1].map(|mailbox| kept.iter().filter(|to| **to == mailbox).count() as u32);
                letters[world] += 1;
                Seen { total: recipients.len() as u32, letters }
            };
            (0..self.rounds).map(|_| round()).collect()
        });
        Played { worlds, added }
    }

    /// Mean and variance, within four standard errors of what the law says.
    fn moments(&self, law: &Law, all: &Moments, half: &Moments) -> Vec<Finding> {
        let rounds = all.count as f64;
        let (mean, variance) = (law.counts.mean(), law.counts.central_moment(2));
        let errors = [
            (variance / rounds).sqrt(),
            ((law.counts.central_moment(4) - variance * variance * (rounds - 3.0) / (rounds - 1.0)) / rounds).sqrt(),
        ];
        let finding = |what: &str, seen: f64, expected: f64, error: f64| {
            let bounds = expected - 4.0 * error..=expected + 4.0 * error;
            Finding::new("T9", format!("{what} of the packets, {}", law.name), seen, bounds)
        };
        let below = |finding: Finding, seen: f64| {
            let low = finding.bounds.start().next_down();
            finding.against("half the noise", seen, 0.0..=low)
        };
        let means = below(finding("mean", all.mean, mean, errors[0]), half.mean);
        let variances = finding("variance", all.variance(), variance, errors[1]);
        // Half of a constant varies as little as all of it.
        let variances = if variance > 0.0 { below(variances, half.variance()) } else { variances };
        vec![means, variances]
    }

    fn text(&self) -> String {
        let Self { rounds, mailboxes, mean, delta, .. } = self;
        format!(
            "One honest mix adds {mean} packets a round on average to {mailboxes} mailboxes. In one world a letter goes to the \
             first mailbox, in the other to the second; the exit knows every other letter, where all other mixes' noise went, \
             and how many packets the honest mix has added. {rounds} rounds of each world, drawn by the code that makes noise.\n\n\
             An event is that one mailbox has at least so many times the letters of the other, for {STEPS} such numbers: the quotient is \
             what makes one world likelier than the other, whatever the total. Its probability in the one world, less delta = {delta}, over that in the \
             other is e to an epsilon that nothing below can explain; shown is the largest that Clopper's and Pearson's bounds leave, \
             wrong once in {:.0} if all is as it should be. It is held against the epsilon that the \
             law buys at that delta (what `mixnode check` prints is the same reckoning), of all rounds, and of those quarters in which \
             the public total was lowest and highest.",
            1.0 / ALPHA
        )
    }
}

impl Law {
    /// Which rounds are looked at together: from which public total to which.
    fn groups(&self) -> Vec<(&'static str, u32, u32)> {
        let all = [("all rounds", 0, u32::MAX)];
        let (low, high) = (self.counts.least(0.25), self.counts.least(0.75));
        let quarters = [("lowest totals", 0, low), ("highest totals", high, u32::MAX)];
        all.into_iter().chain(quarters.into_iter().filter(|_| low < high)).collect()
    }
}

/// The largest epsilon that two worlds show at `delta`, by a lower confidence bound; 0 if they show none. Each is a list of the
/// letters of two mailboxes.
fn epsilon_shown(first: &[[u32; 2]], second: &[[u32; 2]], delta: f64) -> f64 {
    let alpha = ALPHA / f64::from(2 * 2 * STEPS);
    let events = (0..STEPS).flat_map(|step| [(step, 0), (step, 1)]);
    let shown = events.map(|(step, more)| {
        let times = (f64::from(step) / 10.0).exp();
        let hits = |world: &[[u32; 2]]| {
            let happened = |letters: &&[u32; 2]| f64::from(letters[more]) >= times * f64::from(letters[1 - more]);
            world.iter().filter(happened).count() as u64
        };
        let (likely, unlikely) = if more == 0 { (first, second) } else { (second, first) };
        let least = lower_bound(hits(likely), likely.len() as u64, alpha) - delta;
        let most = upper_bound(hits(unlikely), unlikely.len() as u64, alpha);
        if least > 0.0 { (least / most).ln() } else { 0.0 }
    });
    shown.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_buys_what_is_said_of_it_and_half_of_it_does_not() {
        let audit = NoiseAudit { rounds: 50_000, ..NoiseAudit::default() };
        let outcome = audit.run();
        for finding in &outcome.findings {
            assert!(finding.passes(), "{finding:?}");
        }
        assert_eq!(outcome.findings.len(), 3 * 2 + 1 + 3 + 3);
        assert!(outcome.findings.iter().filter(|finding| finding.control_is_red() == Some(true)).count() >= 12);
    }

    #[test]
    fn worlds_that_are_one_show_nothing() {
        let same = [[3, 2], [2, 3], [5, 4], [4, 5]].repeat(1000);
        assert_eq!(epsilon_shown(&same, &same, 0.0), 0.0);
        let (left, right) = (vec![[1, 0]; 1000], vec![[0, 1]; 1000]);
        assert!(epsilon_shown(&left, &right, 0.01) > 4.0);
    }
}
