//! Mean and extremes.

use serde::{Deserialize, Serialize};

/// Mean, smallest and largest of the values that a metric has for each row, neuron or pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// How many values there are.
    pub count: usize,
    /// Rows or neurons that are left out because they are zero, where the metric has no value.
    pub left_out: usize,
}

impl Spread {
    /// The spread of at least one value; `None` without any.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>, left_out: usize) -> Option<Self> {
        let (mut count, mut sum) = (0usize, 0.0);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            count += 1;
            sum += value;
            min = min.min(value);
            max = max.max(value);
        }
        (count > 0).then_some(Self {
            mean: sum / count as f64,
            min,
            max,
            count,
            left_out,
        })
    }
}
