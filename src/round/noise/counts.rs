//! How many packets of noise, and to whom.

use rand::RngExt;
use zeroize::Zeroizing;

use crate::crypto::Csprng;
use crate::wire::{NoiseLaw, Parameters};

/// How much noise a mix adds to a round: the probability of every number.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseCounts {
    /// The least number that there is an entry for.
    first: u32,
    /// The probability of at most `first`, `first + 1`, ...; the last is 1.
    cumulative: Vec<f64>,
}

impl NoiseCounts {
    /// Those of a network.
    ///
    /// What lies outside 0 to `noise_packets` goes to the nearer end (clamping, as Vuvuzela does below zero: van den Hooff
    /// et al., SOSP 2015) instead of being drawn again. So no round has less noise than if it had been: of all
    /// ways to keep to the bound this one costs the least of what noise buys, and [`Budget`](super::Budget) reckons with it.
    pub fn of(parameters: &Parameters) -> Self {
        let most = parameters.noise_packets;
        let cumulative = match parameters.noise {
            NoiseLaw::Constant => return Self::constant(most),
            NoiseLaw::None => return Self::constant(0),
            NoiseLaw::Poisson { mean } => poisson(thousandths(mean), most),
            NoiseLaw::Laplace { mean, scale } => laplace(thousandths(mean), thousandths(scale), most),
        };
        Self { first: 0, cumulative }
    }

    /// Always `count`.
    pub fn constant(count: u32) -> Self {
        Self { first: count, cumulative: vec![1.0] }
    }

    /// Of one round: to which mailboxes, by their places in a list of `mailboxes`, each drawn uniformly. All that is random in
    /// how much noise there is and where it ends up is drawn here.
    ///
    /// # Panics
    /// If there is no mailbox.
    pub fn recipients(&self, rng: &mut Csprng, mailboxes: usize) -> Zeroizing<Vec<u32>> {
        let mailboxes = u32::try_from(mailboxes).expect("a network has fewer mailboxes");
        let count = self.draw(rng);
        Zeroizing::new((0..count).map(|_| rng.random_range(0..mailboxes)).collect())
    }

    /// Every number that may come up with its probability, ascending.
    pub fn probabilities(&self) -> impl Iterator<Item = (u32, f64)> {
        let before = [0.0].into_iter().chain(self.cumulative.iter().copied());
        (self.first..).zip(self.cumulative.iter().zip(before).map(|(upto, before)| upto - before))
    }

    /// Packets a round, on average.
    pub fn mean(&self) -> f64 {
        self.moment(|count| count)
    }

    /// The mean of the `power`-th power of the distance from the mean: the variance at 2.
    pub fn central_moment(&self, power: i32) -> f64 {
        let mean = self.mean();
        self.moment(|count| (count - mean).powi(power))
    }

    /// The least number that comes up, or one below it, with a probability above `rare`.
    pub fn least(&self, rare: f64) -> u32 {
        self.first + self.cumulative.partition_point(|upto| *upto <= rare) as u32
    }

    /// Of those rounds alone that have `from` to `to` packets; `None` if there are none.
    pub fn given(&self, from: u32, to: u32) -> Option<Self> {
        let kept = self.probabilities().filter(|(count, _)| (from..=to).contains(count));
        let (counts, probabilities): (Vec<u32>, Vec<f64>) = kept.unzip();
        let all: f64 = probabilities.iter().sum();
        let first = *counts.first().filter(|_| all > 0.0)?;
        Some(Self { first, cumulative: accumulated(probabilities.iter().map(|p| p / all)) })
    }

    /// By inversion: the first number whose cumulative probability exceeds a uniform one of 53 bits.
    fn draw(&self, rng: &mut Csprng) -> u32 {
        let uniform: f64 = rng.random();
        self.first + self.cumulative.partition_point(|upto| *upto <= uniform) as u32
    }

    fn moment(&self, of: impl Fn(f64) -> f64) -> f64 {
        self.probabilities().map(|(count, probability)| probability * of(count.into())).sum()
    }
}

fn thousandths(value: u32) -> f64 {
    f64::from(value) / 1000.0
}

/// Of 0 to `most`; the last has all that is left.
fn poisson(mean: f64, most: u32) -> Vec<f64> {
    // In logarithms: e to the minus mean is no number above 745.
    let mut logarithm = -mean;
    let probabilities = (0..=most).map(|count| {
        let probability = logarithm.exp();
        logarithm += (mean / f64::from(count + 1)).ln();
        probability
    });
    accumulated(probabilities)
}

/// Of 0 to `most`: at most n if the unrounded value is below n + 1/2. What lies outside goes to the nearer end, as in Vuvuzela
/// (van den Hooff et al., SOSP 2015, section 4), whose numbers of noise messages are Laplace's, 0 where they are negative.
fn laplace(mean: f64, scale: f64, most: u32) -> Vec<f64> {
    let upto = |count: u32| {
        let away = (f64::from(count) + 0.5 - mean) / scale;
        if away < 0.0 { away.exp() / 2.0 } else { 1.0 - (-away).exp() / 2.0 }
    };
    (0..most).map(upto).chain([1.0]).collect()
}

/// Sums so far, with 1 as the last.
fn accumulated(probabilities: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    let mut sums: Vec<f64> = probabilities
        .map(|probability| {
            sum = f64::min(sum + probability, 1.0);
            sum
        })
        .collect();
    if let Some(last) = sums.last_mut() {
        *last = 1.0;
    }
    sums
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{value} is not {expected}");
    }

    fn pmf(counts: &NoiseCounts, of: u32) -> f64 {
        counts.probabilities().find(|(count, _)| *count == of).map_or(0.0, |(_, probability)| probability)
    }

    fn made(cumulative: Vec<f64>) -> NoiseCounts {
        NoiseCounts { first: 0, cumulative }
    }

    #[test]
    fn probabilities_are_those_of_the_textbook() {
        let few = made(poisson(3.0, 60));
        near(pmf(&few, 0), (-3.0f64).exp());
        near(pmf(&few, 4), 81.0 / 24.0 * (-3.0f64).exp());
        near(few.mean(), 3.0);
        near(few.central_moment(2), 3.0);
        near(few.central_moment(4), 3.0 + 3.0 * 9.0);
        let many = made(poisson(2000.0, 4096));
        near(many.mean(), 2000.0);
        near(many.central_moment(2), 2000.0);
        // Rounding adds to the variance 2 b b what a uniform error has, nearly.
        let wide = made(laplace(500.0, 20.0, 1000));
        near(wide.mean(), 500.0);
        assert!((wide.central_moment(2) - 800.0 - 1.0 / 12.0).abs() < 1e-3);
        near(pmf(&wide, 500), 1.0 - (-0.5f64 / 20.0).exp());
    }

    #[test]
    fn what_lies_outside_goes_to_the_nearer_end() {
        let cut = made(poisson(3.0, 2));
        near(pmf(&cut, 1), 3.0 * (-3.0f64).exp());
        near(pmf(&cut, 2), 1.0 - 4.0 * (-3.0f64).exp());
        let cut = made(laplace(2.0, 4.0, 3));
        near(pmf(&cut, 0), (-1.5f64 / 4.0).exp() / 2.0);
        near(pmf(&cut, 3), (-0.5f64 / 4.0).exp() / 2.0);
        assert_eq!(made(poisson(3.0, 0)), NoiseCounts::constant(0));
    }

    #[test]
    fn draws_follow_the_probabilities_and_every_mailbox_gets_its_share() {
        let mut rng = Csprng::seed_from_u64(1);
        for counts in [made(poisson(4.5, 12)), made(laplace(6.0, 2.0, 12)), NoiseCounts::constant(7)] {
            let (rounds, mut seen, mut mailboxes) = (40_000, [0u32; 13], [0u32; 5]);
            for _ in 0..rounds {
                let recipients = counts.recipients(&mut rng, mailboxes.len());
                seen[recipients.len()] += 1;
                recipients.iter().for_each(|place| mailboxes[*place as usize] += 1);
            }
            let within = |seen: u32, of: f64, probability: f64| {
                let deviation = (of * probability * (1.0 - probability)).sqrt();
                assert!((f64::from(seen) - of * probability).abs() <= 4.5 * deviation, "{seen} of {of}: {probability}");
            };
            (0..).zip(seen).for_each(|(count, seen)| within(seen, rounds.into(), pmf(&counts, count)));
            let all = mailboxes.iter().sum::<u32>().into();
            mailboxes.iter().for_each(|seen| within(*seen, all, 0.2));
        }
    }

    #[test]
    fn a_condition_keeps_what_fulfils_it() {
        let counts = made(poisson(3.0, 20));
        let few = counts.given(1, 2).expect("likely");
        assert_eq!(few.probabilities().map(|(count, _)| count).collect::<Vec<_>>(), [1, 2]);
        near(pmf(&few, 1), 3.0 / 7.5);
        assert_eq!((counts.least(0.0), counts.least(0.1), few.least(0.5)), (0, 1, 2));
        assert_eq!(NoiseCounts::constant(7).given(0, 6), None);
        assert_eq!(NoiseCounts::constant(7).given(7, 7), Some(NoiseCounts::constant(7)));
    }
}
