//! Exact bounds of a probability, from how often something happened (Clopper and Pearson 1934).

/// The lower end of a one-sided Clopper-Pearson interval: the probability with which `hits` or more of `trials` would
/// come up once in 1 / `alpha` repetitions.
pub fn lower_bound(hits: u64, trials: u64, alpha: f64) -> f64 {
    if hits == 0 {
        return 0.0;
    }
    // So many or more have the probability I_p(hits, trials - hits + 1), which rises with p.
    let (a, b) = (hits as f64, (trials - hits) as f64 + 1.0);
    crossing(|p| incomplete_beta(a, b, p) < alpha)
}

/// The upper end of a one-sided Clopper-Pearson interval: the probability with which `hits` or fewer of `trials` would
/// come up once in 1 / `alpha` repetitions.
pub fn upper_bound(hits: u64, trials: u64, alpha: f64) -> f64 {
    1.0 - lower_bound(trials - hits, trials, alpha)
}

/// Where `below` ceases to hold between 0 and 1.
fn crossing(below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        *(if below(middle) { &mut low } else { &mut high }) = middle;
    }
    low
}

/// The regularised incomplete beta function of positive `a` and `b`, to ten digits.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    // The fraction converges fast on the near side of the mean.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    if x == 0.0 {
        return 0.0;
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    front.exp() / (a * beta_fraction(a, b, x))
}

/// 1 + d1 x / (1 + d2 x / (1 + ...)) of DLMF 8.17.22, by Lentz's method.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let apart = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut fraction, mut c, mut d) = (1.0, 1.0, 0.0);
    for step in 1..10_000u32 {
        let m = f64::from(step / 2);
        let coefficient = match step % 2 {
            0 => m * (b - m) / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        d = 1.0 / apart(1.0 + coefficient * x * d);
        c = apart(1.0 + coefficient * x / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// The logarithm of the gamma function of a positive number: Stirling's series above 16, recurrence below.
fn ln_gamma(x: f64) -> f64 {
    if x < 16.0 {
        return ln_gamma(x + 1.0) - x.ln();
    }
    let inverse = 1.0 / (x * x);
    let series = (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64, digits: i32) {
        assert!((value - expected).abs() < 0.6 * 10f64.powi(-digits), "{value} is not {expected}");
    }

    #[test]
    fn the_functions_behind_are_right() {
        near(ln_gamma(5.0), 24f64.ln(), 12);
        near(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 12);
        near(ln_gamma(101.0), (1..=100).map(|k| f64::from(k).ln()).sum(), 10);
        // I_x(2, 3) = 6 x^2 - 8 x^3 + 3 x^4.
        near(incomplete_beta(2.0, 3.0, 0.3), 0.54 - 0.216 + 0.0243, 12);
        near(incomplete_beta(2.0, 3.0, 0.9), 4.86 - 5.832 + 1.9683, 12);
        near(incomplete_beta(5000.0, 5000.0, 0.5), 0.5, 9);
    }

    /// Two-sided intervals of 95 % as tables give them.
    #[test]
    fn bounds_are_those_of_the_textbook() {
        for (hits, trials, low, high) in [
            (0, 10, 0.0, 0.3085),
            (1, 10, 0.0025, 0.4450),
            (5, 10, 0.1871, 0.8129),
            (10, 10, 0.6915, 1.0),
            (1, 20, 0.0013, 0.2487),
            (50, 100, 0.3983, 0.6017),
        ] {
            near(lower_bound(hits, trials, 0.025), low, 4);
            near(upper_bound(hits, trials, 0.025), high, 4);
        }
        // Nothing among n: 1 - alpha^(1/n).
        near(upper_bound(0, 100_000, 0.001), 1.0 - 0.001f64.powf(1e-5), 10);
    }
}
