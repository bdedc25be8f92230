//! A classifier: logistic regression on each value and its square, each sample scored by one that has not seen its fold.

/// Folds: each is scored by what the others have taught.
const FOLDS: usize = 5;
/// Samples that follow each other and stay together in a fold, so that what they have in common teaches nothing.
const TOGETHER: usize = 64;
/// Keeps weights small where values say the same.
const RIDGE: f64 = 1.0;
/// Newton's steps, at most; a step that moves no weight by this much is the last.
const STEPS: usize = 12;
const SMALL: f64 = 1e-6;
/// Standard deviations beyond which a value is an accident of the machine's.
const FAR: f64 = 4.0;

/// The score of each sample, higher for `true`; samples are in the order of time.
pub(super) fn out_of_fold(values: &[Vec<f64>], labels: &[bool]) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = values.iter().map(|values| expand(values)).collect();
    let fold = |place: usize| place / TOGETHER % FOLDS;
    let mut scores = vec![0.0; rows.len()];
    for left_out in 0..FOLDS {
        let taught = || (0..rows.len()).filter(|place| fold(*place) != left_out);
        let weights = learn(&rows, labels, taught);
        for place in (0..rows.len()).filter(|place| fold(*place) == left_out) {
            scores[place] = dot(&weights, &rows[place]);
        }
    }
    scores
}

/// Values as multiples of their standard deviation from the mean of their group: of one client, whom the adversary
/// watches. What does not vary becomes 0.
pub(super) fn standardised(values: &[&[f64]], groups: &[usize]) -> Vec<Vec<f64>> {
    let width = values.first().map_or(0, |row| row.len());
    let mut result = vec![vec![0.0; width]; values.len()];
    let most = groups.iter().max().map_or(0, |most| most + 1);
    for group in 0..most {
        let members: Vec<usize> = (0..values.len()).filter(|place| groups[*place] == group).collect();
        for column in 0..width {
            let moments: crate::sim::anonymity::Moments = members.iter().map(|place| values[*place][column]).collect();
            let deviation = moments.variance().sqrt();
            for place in &members {
                let away = (values[*place][column] - moments.mean) / deviation;
                result[*place][column] = if away.is_finite() { away.clamp(-FAR, FAR) } else { 0.0 };
            }
        }
    }
    result
}

/// A constant, each value, and its square.
fn expand(values: &[f64]) -> Vec<f64> {
    let squares = values.iter().map(|value| value * value - 1.0);
    std::iter::once(1.0).chain(values.iter().copied()).chain(squares).collect()
}

/// Newton's method on the penalised likelihood.
fn learn<I: Iterator<Item = usize>>(rows: &[Vec<f64>], labels: &[bool], taught: impl Fn() -> I) -> Vec<f64> {
    let width = rows.first().map_or(0, Vec::len);
    let mut weights = vec![0.0; width];
    for _ in 0..STEPS {
        let mut slope: Vec<f64> = weights.iter().map(|weight| -RIDGE * weight).collect();
        let mut curve = vec![vec![0.0; width]; width];
        curve.iter_mut().enumerate().for_each(|(place, row)| row[place] = RIDGE);
        for place in taught() {
            let row = &rows[place];
            let chance = 1.0 / (1.0 + (-dot(&weights, row)).exp());
            let (error, spread) = (f64::from(u8::from(labels[place])) - chance, chance * (1.0 - chance));
            for (i, value) in row.iter().enumerate() {
                slope[i] += error * value;
                let factor = spread * value;
                // The matrix is symmetric: its lower half is enough.
                curve[i].iter_mut().zip(&row[..=i]).for_each(|(cell, other)| *cell += factor * other);
            }
        }
        let step = solve(curve, slope);
        weights.iter_mut().zip(&step).for_each(|(weight, step)| *weight += step);
        if step.iter().all(|step| step.abs() < SMALL) {
            break;
        }
    }
    weights
}

/// Solves a symmetric positive definite system of which the lower half is given (Cholesky).
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let width = right.len();
    for i in 0..width {
        for j in 0..=i {
            let rest = matrix[i][j] - dot(&matrix[i][..j], &matrix[j][..j]);
            matrix[i][j] = if i == j { rest.sqrt() } else { rest / matrix[j][j] };
        }
    }
    for i in 0..width {
        right[i] = (right[i] - dot(&matrix[i][..i], &right[..i])) / matrix[i][i];
    }
    for i in (0..width).rev() {
        let behind: f64 = (i + 1..width).map(|j| matrix[j][i] * right[j]).sum();
        right[i] = (right[i] - behind) / matrix[i][i];
    }
    right
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::crypto::Csprng;
    use crate::sim::anonymity::{auc, auc_error};

    /// Values that are noise, but for what `shift` adds to the first and `spread` multiplies the second by where the label is
    /// true; a third says the same as the first, and a fourth does not vary.
    fn area(shift: f64, spread: f64) -> f64 {
        let mut random = Csprng::seed_from_u64(3);
        let mut noise = || (0..6).map(|_| random.random_range(-1.0..1.0)).sum::<f64>();
        let labels: Vec<bool> = (0..2000).map(|_| noise() > 0.0).collect();
        let row = |label: &bool| {
            let (first, second) = (noise(), noise());
            let (first, second) = if *label { (first + shift, second * spread) } else { (first, second) };
            vec![first, second, 1200.0 * first, 7.0]
        };
        let values: Vec<Vec<f64>> = labels.iter().map(row).collect();
        let rows: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
        let scores = out_of_fold(&standardised(&rows, &vec![0; rows.len()]), &labels);
        let of = |kind| scores.iter().zip(&labels).filter(move |(_, label)| **label == kind).map(|(score, _)| *score);
        auc(&of(true).collect::<Vec<_>>(), &of(false).collect::<Vec<_>>())
    }

    #[test]
    fn it_finds_what_is_there_and_nothing_else() {
        let nothing = area(0.0, 1.0);
        assert!((nothing - 0.5).abs() < 3.0 * auc_error(1000, 1000), "{nothing}");
        let (shift, spread) = (area(4.0, 1.0), area(0.0, 4.0));
        assert!(shift > 0.95 && spread > 0.8, "{shift} {spread}");
    }

    #[test]
    fn systems_are_solved() {
        // The lower half of [[4, 2], [2, 3]].
        let solved = solve(vec![vec![4.0, 0.0], vec![2.0, 3.0]], vec![8.0, 8.0]);
        assert!((solved[0] - 1.0).abs() < 1e-12 && (solved[1] - 2.0).abs() < 1e-12, "{solved:?}");
    }
}
