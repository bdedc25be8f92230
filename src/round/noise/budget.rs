//! What noise buys: how well the noise of one honest mix hides from the exit which mailbox a letter goes to.
//!
//! The exit sees how many letters each of M mailboxes gets. It knows how many packets every mix has added, for headers say so,
//! and where all noise but that of the one honest mix went, and every other letter. Two worlds are neighbours if one letter
//! goes to mailbox A in the one and to B in the other. Of the n packets of the honest mix each goes to a mailbox drawn uniformly
//! from M; so if in the end A has got a letters and B has got b of those that the exit does not know, the first world is a / b
//! times as likely as the second: the multinomial coefficients differ in nothing else, and neither n nor what the other mailboxes got
//! enters. With epsilon given, delta = E[max(0, 1 - e^epsilon b / a)] in the first world, where a = 1 + A's noise and b = B's.
//! (Both are (epsilon, delta)-indistinguishable, in the sense of Dwork et al. 2006, for exactly this delta and none below.)
//!
//! Two things follow. **Given its mean, a constant is the best law**: delta falls ever more slowly as n grows, and a total that
//! is public hides nothing by being random. And the noise that a certain epsilon and delta take is in proportion to M.
//!
//! It is the budget of one letter in one round, and rounds add up: [`Budget::epsilon_over`]. Clients' dummies go to uniformly drawn mailboxes as well; those of honest
//! clients are as good as noise, and none is reckoned with here.

use super::NoiseCounts;

/// The budget of a law in a network of so many mailboxes.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Of each number of noise packets that go to either of two mailboxes, with its probability; ascending.
    in_both: Vec<(u32, f64)>,
}

impl Budget {
    /// `None` with fewer than two mailboxes: then there is nothing to hide.
    pub fn of(counts: &NoiseCounts, mailboxes: usize) -> Option<Self> {
        let share = (mailboxes >= 2).then(|| 2.0 / mailboxes as f64)?;
        let mut in_both = Vec::new();
        for (count, probability) in counts.probabilities().filter(|(_, probability)| *probability > 0.0) {
            let (first, binomial) = binomial(count, share);
            in_both.resize(in_both.len().max(first as usize + binomial.len()), 0.0);
            in_both[first as usize..].iter_mut().zip(binomial).for_each(|(sum, part)| *sum += probability * part);
        }
        let in_both = (0..).zip(in_both).filter(|(_, probability)| *probability > 0.0).collect();
        Some(Self { in_both })
    }

    /// How much more likely than e to the `epsilon` times something can be in one world than in the other, at most: an average
    /// over the mix's public totals, which is what it is for an exit that does not choose among rounds.
    pub fn delta(&self, epsilon: f64) -> f64 {
        self.in_both.iter().map(|(both, probability)| probability * delta_of(*both, epsilon)).sum()
    }

    /// The least epsilon at which [`Budget::delta`] is at most `delta`, to nine digits; `None` if there is none, because one of the two
    /// mailboxes gets no noise more often than that.
    pub fn epsilon(&self, delta: f64) -> Option<f64> {
        let holds = |epsilon| self.delta(epsilon) <= delta;
        if !holds(f64::INFINITY) {
            return None;
        }
        if holds(0.0) {
            return Some(0.0);
        }
        let mut high = 1.0;
        while !holds(high) {
            high *= 2.0;
        }
        let mut low = 0.0;
        while high - low > 1e-9 * high {
            let middle = f64::midpoint(low, high);
            *(if holds(middle) { &mut high } else { &mut low }) = middle;
        }
        Some(high)
    }

    /// An epsilon for a choice between two mailboxes that stands in each of `rounds` rounds, except with probability `delta`: the
    /// better of what adds up (Dwork et al. 2006) and of the advanced composition theorem (Dwork, Rothblum, Vadhan 2010,
    /// theorem III.3). `None` if there is none.
    pub fn epsilon_over(&self, rounds: u32, delta: f64) -> Option<f64> {
        let k = f64::from(rounds);
        let added = k * self.epsilon(delta / k)?;
        // Half of delta is for rounds in which their own epsilon does not hold, half for the theorem's.
        let half = delta / 2.0;
        let composed =
            self.epsilon(half / k).map(|each| each * (2.0 * k * (1.0 / half).ln()).sqrt() + k * each * each.exp_m1());
        Some(composed.map_or(added, |composed| composed.min(added)))
    }

    /// The least number of noise packets, the same in every round, that buys `epsilon` and `delta`, which lie above zero; `None` with
    /// fewer than two mailboxes, or if it is no u32.
    pub fn needed(mailboxes: usize, epsilon: f64, delta: f64) -> Option<u32> {
        let buys = |count| Self::of(&NoiseCounts::constant(count), mailboxes).map(|it| it.delta(epsilon) <= delta);
        let (mut low, mut high) = (0, 1u32);
        while !buys(high)? {
            (low, high) = (high, high.checked_mul(2)?);
        }
        while high - low > 1 {
            let middle = u32::midpoint(low, high);
            *(if buys(middle)? { &mut high } else { &mut low }) = middle;
        }
        Some(if buys(0)? { 0 } else { high })
    }
}

/// Delta if `both` packets of noise went to the two mailboxes together: each to either of them with probability one half.
fn delta_of(both: u32, epsilon: f64) -> f64 {
    let (first, binomial) = binomial(both, 0.5);
    let hidden = |to_a: u32| match both - to_a {
        0 => 0.0,
        to_b => epsilon.exp() * f64::from(to_b) / f64::from(1 + to_a),
    };
    (first..).zip(binomial).map(|(to_a, probability)| probability * (1.0 - hidden(to_a)).max(0.0)).sum()
}

/// The binomial distribution, without its tails below 1e-18 of the peak: the first number, and probabilities from there on.
fn binomial(trials: u32, share: f64) -> (u32, Vec<f64>) {
    const NEGLIGIBLE: f64 = 1e-18;
    let (n, odds) = (f64::from(trials), share / (1.0 - share));
    let peak = ((n + 1.0) * share).floor().min(n) as u32;
    // From the peak outwards, as multiples of it: nothing overflows, and nothing is the difference of large numbers.
    let mut below = Vec::new();
    let mut weight = 1.0;
    for k in (1..=peak).rev() {
        weight *= f64::from(k) / ((n - f64::from(k) + 1.0) * odds);
        if weight < NEGLIGIBLE {
            break;
        }
        below.push(weight);
    }
    let first = peak - below.len() as u32;
    below.reverse();
    let mut weights = below;
    weights.push(1.0);
    weight = 1.0;
    for k in peak..trials {
        weight *= (n - f64::from(k)) * odds / f64::from(k + 1);
        if weight < NEGLIGIBLE {
            break;
        }
        weights.push(weight);
    }
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    (first, weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
    }

    fn constant(count: u32, mailboxes: usize) -> Budget {
        Budget::of(&NoiseCounts::constant(count), mailboxes).expect("two or more")
    }

    #[test]
    fn binomials_are_those_of_the_textbook() {
        assert_eq!(binomial(0, 0.3), (0, vec![1.0]));
        assert_eq!(binomial(5, 1.0), (5, vec![1.0]));
        let (first, five) = binomial(5, 0.2);
        assert_eq!(first, 0);
        [0.32768, 0.4096, 0.2048, 0.0512, 0.0064, 0.00032].iter().zip(five).for_each(|(is, it)| near(it, *is));
        let (first, many) = binomial(2_000_000, 1e-4);
        let mean: f64 = (first..).zip(&many).map(|(k, probability)| f64::from(k) * probability).sum();
        near(many.iter().sum(), 1.0);
        assert!((mean - 200.0).abs() < 1e-7 && many.len() < 400, "{mean}");
    }

    /// From the definition: over everything that can come out of n packets to M mailboxes, at most 4^6.
    #[test]
    fn delta_is_what_adding_up_all_outcomes_comes_to() {
        for (count, mailboxes, epsilon) in
            [(0, 2, 1.0), (1, 2, 0.3), (3, 3, 0.5), (5, 4, 0.2), (6, 4, 1.0), (6, 3, 0.0)]
        {
            let outcomes = usize::pow(mailboxes, count);
            let mut worlds = std::collections::BTreeMap::<Vec<u32>, [f64; 2]>::new();
            for outcome in 0..outcomes {
                for world in 0..2 {
                    let mut letters = vec![0; mailboxes];
                    letters[world] += 1;
                    (0..count).for_each(|packet| letters[outcome / mailboxes.pow(packet) % mailboxes] += 1);
                    worlds.entry(letters).or_default()[world] += 1.0 / outcomes as f64;
                }
            }
            for [this, other] in [[0, 1], [1, 0]] {
                let excess = worlds.values().map(|p| (p[this] - f64::exp(epsilon) * p[other]).max(0.0));
                near(constant(count, mailboxes).delta(epsilon), excess.sum());
            }
        }
    }

    #[test]
    fn epsilon_is_where_delta_is_met_and_more_noise_never_costs() {
        let mut before = f64::INFINITY;
        for count in [40, 80, 160, 320] {
            let budget = constant(count, 4);
            let epsilon = budget.epsilon(0.01).expect("enough");
            assert!(epsilon < before && budget.delta(epsilon) <= 0.01 && budget.delta(epsilon - 1e-6) > 0.01);
            before = epsilon;
        }
        assert_eq!(constant(2, 64).epsilon(0.5), None);
        assert_eq!(constant(2, 2).epsilon(1.0), Some(0.0));
        assert!(Budget::of(&NoiseCounts::constant(9), 1).is_none());
    }

    #[test]
    fn what_is_needed_buys_it_and_one_packet_less_does_not() {
        for (mailboxes, epsilon, delta) in [(2, 1.0, 1e-4), (64, 1.0, 0.05), (64, 0.5, 0.01)] {
            let needed = Budget::needed(mailboxes, epsilon, delta).expect("a number");
            assert!(constant(needed, mailboxes).delta(epsilon) <= delta, "{needed}");
            assert!(constant(needed - 1, mailboxes).delta(epsilon) > delta, "{needed}");
        }
        assert_eq!((Budget::needed(9, 1.0, 1.0), Budget::needed(1, 1.0, 0.1)), (Some(0), None));
    }

    /// From the definition: two rounds in a row, over everything that can come out of both.
    #[test]
    fn what_is_said_of_several_rounds_holds_for_all_that_can_come_out_of_them() {
        let budget = constant(60, 2);
        for delta in [0.05, 0.01, 0.001] {
            let epsilon = budget.epsilon_over(2, delta).expect("enough");
            assert!(epsilon > budget.epsilon(delta).expect("enough"), "rounds add up");
            let (first, ways) = binomial(60, 0.5);
            assert_eq!(first, 0);
            // The letters of A: all its noise, and one more in the first world.
            let p = |world: usize, letters: usize| {
                letters.checked_sub(world).and_then(|n| ways.get(n)).copied().unwrap_or(0.0)
            };
            let pairs = (0..=61).flat_map(|one| (0..=61).map(move |two| (one, two)));
            let excess =
                pairs.map(|(one, two)| (p(1, one) * p(1, two) - epsilon.exp() * p(0, one) * p(0, two)).max(0.0));
            assert!(excess.sum::<f64>() <= delta, "{delta}");
        }
        // Many rounds cost less than they add up to, if each costs little.
        let little = constant(1_000_000, 2);
        let over = little.epsilon_over(1000, 1e-4).expect("enough");
        assert!(over < 1000.0 * little.epsilon(1e-7).expect("enough") / 3.0, "{over}");
        assert_eq!(constant(2, 64).epsilon_over(10, 0.5), None);
    }

    /// What the module's text says of laws with the same mean.
    #[test]
    fn of_all_laws_with_one_mean_the_constant_buys_the_most() {
        use crate::sim::Plan;
        use crate::wire::NoiseLaw;
        let of = |noise_law| {
            let counts = Plan { noise_law, noise_packets: 200, ..Plan::default() }.noise_counts();
            assert!((counts.mean() - 100.0).abs() < 0.01, "{}", counts.mean());
            Budget::of(&counts, 4).expect("enough").delta(0.5)
        };
        let constant = constant(100, 4).delta(0.5);
        let poisson = of(NoiseLaw::Poisson { mean: 100_000 });
        let laplace = of(NoiseLaw::Laplace { mean: 100_000, scale: 20_000 });
        assert!(constant < poisson && poisson < laplace, "{constant} {poisson} {laplace}");
    }
}
