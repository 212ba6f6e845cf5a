//! Mean and extremes.

use serde::{Deserialize, Serialize};

/// Mean, smallest and largest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Of at least one number.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (mut count, mut sum) = (0usize, 0.0);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            count += 1;
            sum += value;
            min = min.min(value);
            max = max.max(value);
        }
        let mean = sum / count as f64;
        (count > 0).then_some(Self { mean, min, max })
    }
}
