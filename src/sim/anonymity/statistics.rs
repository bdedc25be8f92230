//! The statistics that say whether something shows.

/// Pearson's chi-square of counts against equal expectations; degrees of freedom are one less than there are counts.
pub fn chi_square(counts: &[u64]) -> f64 {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    counts.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum()
}

/// Count, mean and variance (unbiased) in one pass (Welford 1962).
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    squares: f64,
}

impl Moments {
    /// One more.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let away = value - self.mean;
        self.mean += away / self.count as f64;
        self.squares += away * (value - self.mean);
    }

    /// Of fewer than two values there is none: NaN.
    pub fn variance(&self) -> f64 {
        self.squares / (self.count as f64 - 1.0)
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::default();
        values.into_iter().for_each(|value| moments.add(value));
        moments
    }
}

/// Welch's t of two samples with variances of their own.
pub fn welch_t(a: &Moments, b: &Moments) -> f64 {
    (a.mean - b.mean) / (a.variance() / a.count as f64 + b.variance() / b.count as f64).sqrt()
}

/// Times of two kinds without those that are longer than the slower kind's median: in such a sample something else ran,
/// perhaps on the same core. Where both kinds take as long, that leaves half of each.
pub fn undisturbed(kinds: &[Vec<f64>; 2]) -> [Moments; 2] {
    let most = kinds.iter().map(|kind| median(kind)).fold(f64::NEG_INFINITY, f64::max);
    kinds.each_ref().map(|kind| kind.iter().copied().filter(|time| *time <= most).collect())
}

/// The upper one of two in the middle; minus infinity of nothing.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NEG_INFINITY)
}

/// The area under the curve of a classifier that gives `positive` and `negative` these scores: the share of pairs in which
/// the positive one is higher, ties half (Mann and Whitney 1947). 0.5 tells nothing; NaN if either is empty.
pub fn auc(positive: &[f64], negative: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        positive.iter().map(|s| (*s, true)).chain(negative.iter().map(|s| (*s, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Ranks from 1, the middle one for what is equal.
    let (mut at, mut ranks) = (0, 0.0);
    while at < all.len() {
        let same = all[at..].iter().take_while(|(score, _)| *score == all[at].0).count();
        let rank = at as f64 + (same as f64 + 1.0) / 2.0;
        ranks += rank * all[at..at + same].iter().filter(|(_, positive)| *positive).count() as f64;
        at += same;
    }
    let (p, n) = (positive.len() as f64, negative.len() as f64);
    (ranks - p * (p + 1.0) / 2.0) / (p * n)
}

/// The standard error of [`auc`] when there is nothing to tell.
pub fn auc_error(positive: usize, negative: usize) -> f64 {
    let (p, n) = (positive as f64, negative as f64);
    ((p + n + 1.0) / (12.0 * p * n)).sqrt()
}

/// p of the two-sample Kolmogorov-Smirnov test, by its limiting distribution with Stephens' correction; good from about
/// twenty values each.
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (a, b) = (sorted(a), sorted(b));
    let (mut i, mut j, mut most) = (0, 0, 0f64);
    while i < a.len() && j < b.len() {
        let here = a[i].min(b[j]);
        i += a[i..].iter().take_while(|value| **value <= here).count();
        j += b[j..].iter().take_while(|value| **value <= here).count();
        most = most.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    let effective = (a.len() as f64 * b.len() as f64 / (a.len() + b.len()) as f64).sqrt();
    let lambda = (effective + 0.12 + 0.11 / effective) * most;
    if lambda < 0.2 {
        // The series below needs ever more terms there, and the sum is 1 to nine digits.
        return 1.0;
    }
    let term = |k: i32| (-1f64).powi(k - 1) * (-2.0 * f64::from(k * k) * lambda * lambda).exp();
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// Pearson's correlation.
pub fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let (x, y): (Moments, Moments) = (pairs.iter().map(|p| p.0).collect(), pairs.iter().map(|p| p.1).collect());
    let products: f64 = pairs.iter().map(|(a, b)| (a - x.mean) * (b - y.mean)).sum();
    products / (pairs.len() as f64 - 1.0) / (x.variance() * y.variance()).sqrt()
}

/// Spearman's correlation: Pearson's of the ranks, and equal values share theirs. Its standard error of n independent
/// pairs is 1 / sqrt(n - 1), however they are distributed.
pub fn rank_correlation(pairs: &[(f64, f64)]) -> f64 {
    let x = ranks(pairs.iter().map(|p| p.0));
    let y = ranks(pairs.iter().map(|p| p.1));
    correlation(&x.into_iter().zip(y).collect::<Vec<_>>())
}

fn ranks(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> = values.zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranks = vec![0.0; order.len()];
    let mut before = 0;
    for equal in order.chunk_by(|a, b| a.0 == b.0) {
        let shared = before as f64 + (equal.len() as f64 - 1.0) / 2.0;
        for (_, place) in equal {
            ranks[*place] = shared;
        }
        before += equal.len();
    }
    ranks
}

/// Shannon's entropy of weights that need not sum to one, bits.
pub fn entropy(weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    -weights.iter().filter(|w| **w > 0.0).map(|w| w / sum * (w / sum).log2()).sum::<f64>()
}

/// Minus the logarithm of the likeliest one's probability, bits.
pub fn min_entropy(weights: &[f64]) -> f64 {
    -(weights.iter().copied().fold(0.0, f64::max) / weights.iter().sum::<f64>()).log2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-4, "{value} is not {expected}");
    }

    #[test]
    fn statistics_are_those_of_the_textbook() {
        near(chi_square(&[44, 56]), 1.44);
        let moments: Moments = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().collect();
        near(moments.mean, 5.0);
        near(moments.variance(), 32.0 / 7.0);
        let (a, b): (Moments, Moments) = ((1..=5).map(f64::from).collect(), (3..=9).map(f64::from).collect());
        near(welch_t(&a, &b), -2.7775);
        near(auc(&[3.0, 2.0], &[1.0, 2.0]), 0.875);
        near(auc(&[1.0; 5], &[1.0; 7]), 0.5);
        near(auc_error(100, 100), (201.0f64 / 120_000.0).sqrt());
        near(correlation(&[(1.0, 2.0), (2.0, 4.0), (3.0, 6.5)]), 0.997_949);
        // Ranks 0, 1, 2.5, 2.5 and 1, 2, 0, 3.
        near(rank_correlation(&[(1.0, 10.0), (2.0, 20.0), (3.0, 5.0), (3.0, 1e3)]), 0.5 / 22.5f64.sqrt());
        near(entropy(&[1.0, 1.0, 2.0]), 1.5);
        near(min_entropy(&[1.0, 1.0, 2.0]), 1.0);
    }

    #[test]
    fn of_disturbed_times_the_faster_are_left_of_both_kinds() {
        let line = |from: f64| (0..101).map(|i| from + f64::from(i)).collect::<Vec<_>>();
        let [a, b] = undisturbed(&[line(0.0), line(0.0)]);
        assert_eq!((a.count, b.count, welch_t(&a, &b)), (51, 51, 0.0));
        // One kind is slower than the other ever is: all of that is left, and half of this.
        let [fast, slow] = undisturbed(&[line(0.0), line(1000.0)]);
        assert_eq!((fast.count, slow.count), (101, 51));
        assert!(welch_t(&fast, &slow) < -100.0);
    }

    #[test]
    fn kolmogorov_smirnov_tells_what_differs_from_what_does_not() {
        let line = |from: f64| (0..200).map(|i| from + f64::from(i)).collect::<Vec<_>>();
        near(kolmogorov_smirnov(&line(0.0), &line(0.0)), 1.0);
        // D = 0.1: lambda = (10 + 0.12 + 0.011) 0.1.
        near(kolmogorov_smirnov(&line(0.0), &line(20.0)), 0.256_221);
        assert!(kolmogorov_smirnov(&line(0.0), &line(60.0)) < 1e-7);
    }
}
