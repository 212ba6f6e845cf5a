//! What a metric is called and which way is better.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A metric: its name, its unit, how it is printed and which way is better.
///
/// ```
/// use fair_compare::Metric;
///
/// let metric = Metric::lowest("perplexity").with_digits(2);
/// assert_eq!(metric.to_string(), "perplexity");
/// let metric = Metric::highest("accuracy").with_unit("%").with_digits(1);
/// assert_eq!(metric.to_string(), "accuracy, %");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    pub(crate) name: String,
    pub(crate) unit: Option<String>,
    pub(crate) direction: Direction,
    pub(crate) digits: usize,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// As of an accuracy.
    Highest,
    /// As of a loss.
    Lowest,
}

impl Metric {
    /// A metric of which more is better, printed with three decimals.
    pub fn highest(name: impl Into<String>) -> Self {
        Self::new(name.into(), Direction::Highest)
    }

    /// A metric of which less is better, printed with three decimals.
    pub fn lowest(name: impl Into<String>) -> Self {
        Self::new(name.into(), Direction::Lowest)
    }

    fn new(name: String, direction: Direction) -> Self {
        Self {
            name,
            unit: None,
            direction,
            digits: 3,
        }
    }

    /// The unit of the numbers, such as `%`.
    pub fn with_unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// Decimals in the table. The records keep all.
    pub fn with_digits(mut self, digits: usize) -> Self {
        self.digits = digits;
        self
    }

    /// Which way is better.
    pub fn direction(&self) -> Direction {
        self.direction
    }
}

impl Direction {
    /// Whether `a` is better than `b`.
    pub(crate) fn better(self, a: f64, b: f64) -> bool {
        match self {
            Direction::Highest => a > b,
            Direction::Lowest => a < b,
        }
    }

    /// What is better: `more` or `less`.
    pub(crate) fn comparative(self) -> &'static str {
        match self {
            Direction::Highest => "more",
            Direction::Lowest => "less",
        }
    }

    /// `highest` or `lowest`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Direction::Highest => "highest",
            Direction::Lowest => "lowest",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Some(unit) => write!(f, "{}, {unit}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}
