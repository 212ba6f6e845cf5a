//! The choice of a learning rate.

use serde::Serialize;

use crate::metric::Direction;
use crate::statistics::Spread;

/// What the tuning runs of one method at one rate gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RateScores {
    /// The learning rate.
    pub rate: f64,
    /// The metric on the validation split, of the runs that finished.
    pub scores: Vec<f64>,
    /// Runs that failed.
    pub failed: usize,
    /// Runs that are not made yet.
    pub missing: usize,
}

/// A learning rate, and whether the grid should have been wider.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Choice {
    /// The learning rate.
    pub rate: f64,
    /// Whether it is the first or the last of its grid: a better one may lie beyond.
    pub at_edge: bool,
}

/// The rate with the best mean; of several such the smallest. A rate of which a run failed is not
/// chosen, whatever the other runs say: their mean is one over the seeds that it did not fail on.
/// `None` if no rate is left.
///
/// Means that differ by no more than the rounding of their sums are the same.
///
/// ```
/// use fair_compare::{Direction, RateScores, choose};
///
/// let scores = |rate, scores: &[f64], failed| RateScores { rate, scores: scores.to_vec(), failed, missing: 0 };
/// let grid = [
///     scores(1e-3, &[0.5, 0.5], 0),
///     scores(1e-2, &[0.8, 0.6], 0),
///     scores(1e-1, &[0.6, 0.8], 0),
///     scores(1e-0, &[0.9], 1),
/// ];
/// let choice = choose(&grid, Direction::Highest).unwrap();
/// assert_eq!((choice.rate, choice.at_edge), (1e-2, false));
/// ```
pub fn choose(grid: &[RateScores], direction: Direction) -> Option<Choice> {
    let eligible: Vec<(f64, Spread, f64)> = grid
        .iter()
        .filter(|rate| rate.failed == 0 && rate.missing == 0)
        .filter_map(|rate| Some((rate.rate, Spread::of(&rate.scores)?, rounding(&rate.scores))))
        .collect();
    let best = eligible.iter().copied().reduce(|best, next| {
        match direction.better(next.1.mean, best.1.mean) {
            true => next,
            false => best,
        }
    })?;
    let as_good = eligible
        .iter()
        .filter(|(_, spread, rounding)| (spread.mean - best.1.mean).abs() <= rounding + best.2);
    let rate = as_good.map(|(rate, ..)| *rate).reduce(f64::min)?;
    let beyond = |other: fn(f64, f64) -> bool| grid.iter().any(|next| other(next.rate, rate));
    Some(Choice {
        rate,
        at_edge: !(beyond(|next, rate| next < rate) && beyond(|next, rate| next > rate)),
    })
}

/// A bound on the error of the mean as computed: the differences to the first, their sum, its
/// division and the first again, each to half an epsilon, are less than an epsilon of the sum of
/// all scores' sizes and as many times the first's.
fn rounding(scores: &[f64]) -> f64 {
    let first = scores.first().map_or(0.0, |score| score.abs());
    let sizes = scores.iter().map(|score| score.abs() + first);
    f64::EPSILON * sizes.sum::<f64>()
}
