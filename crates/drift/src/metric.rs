//! What a metric is: one row, from which report, table and figure are made.

use crate::error::Error;
use crate::histogram::Histogram;

/// One metric of what `Of` holds.
pub(crate) struct Metric<Of: 'static> {
    /// The numbers that it gives.
    pub(crate) columns: &'static [Column],
    /// As many numbers, in their order.
    pub(crate) of: fn(&Of) -> Result<Reading, Error>,
    /// How the figure shows it, if it does.
    #[cfg_attr(
        not(feature = "figure"),
        expect(dead_code, reason = "the figure alone reads it")
    )]
    pub(crate) shade: Option<Shade>,
}

/// A number in the report.
pub(crate) struct Column {
    /// Its name in the report.
    pub(crate) key: &'static str,
    /// Its header in the table; empty for a number that the table leaves out.
    pub(crate) header: &'static str,
}

/// A cell of the figure.
#[cfg_attr(
    not(feature = "figure"),
    expect(dead_code, reason = "the figure alone reads it")
)]
pub(crate) struct Shade {
    pub(crate) header: &'static str,
    /// A distance, 0 where nothing moved, of the metric's numbers.
    pub(crate) distance: fn(&[f64]) -> f64,
}

/// What a metric found.
pub(crate) struct Reading {
    pub(crate) numbers: Vec<f64>,
    pub(crate) histogram: Option<Histogram>,
    /// What to be careful with.
    pub(crate) caution: Option<String>,
}

impl<const N: usize> From<[f64; N]> for Reading {
    fn from(numbers: [f64; N]) -> Self {
        Self {
            numbers: numbers.to_vec(),
            histogram: None,
            caution: None,
        }
    }
}

impl Column {
    pub(crate) const fn new(key: &'static str, header: &'static str) -> Self {
        Self { key, header }
    }
}
