//! Counts over a range that grows with the values.

use serde::{Deserialize, Serialize};

const BINS: usize = 32;
/// The narrowest bin, a power of two so that widths stay exact when they double.
const NARROWEST: f64 = 1.0 / (1u64 << 60) as f64;

/// How many values lie in each of 32 bins of equal width, from 0 to at most twice the largest
/// value.
///
/// The width is a power of two times the narrowest, the smallest that covers the largest value: the
/// same values give the same histogram in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Width of a bin, in the unit of the values; bin `k` holds `k width <= value < (k + 1) width`.
    pub width: f64,
    /// Values in each bin.
    pub counts: Vec<u64>,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            width: NARROWEST,
            counts: vec![0; BINS],
        }
    }

    /// Counts a value that is finite and not negative.
    pub(crate) fn add(&mut self, value: f64) {
        while value >= self.width * BINS as f64 {
            self.double();
        }
        self.counts[(value / self.width) as usize] += 1;
    }

    fn double(&mut self) {
        for bin in 0..BINS / 2 {
            self.counts[bin] = self.counts[2 * bin] + self.counts[2 * bin + 1];
        }
        self.counts[BINS / 2..].fill(0);
        self.width *= 2.0;
    }
}
