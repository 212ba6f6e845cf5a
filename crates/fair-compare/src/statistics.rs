//! Means, spreads and intervals.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Mean and spread of some numbers.
///
/// ```
/// use fair_compare::Spread;
///
/// let spread = Spread::of(&[2.0, 4.0, 9.0]).unwrap();
/// assert_eq!((spread.count, spread.mean), (3, 5.0));
/// assert_eq!(spread.deviation, Some(13f64.sqrt()));
/// assert_eq!(Spread::of(&[7.0]).unwrap().deviation, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many numbers.
    pub count: usize,
    /// `m = sum x / n`.
    pub mean: f64,
    /// Sample standard deviation, `sqrt(sum (x - m)^2 / (n - 1))`. One number has none.
    pub deviation: Option<f64>,
}

impl Spread {
    /// Mean and spread of `values`; `None` of none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        // From the first on, so that equal numbers have it as their mean to the digit.
        let first = values[0];
        let mean = first + values.iter().map(|value| value - first).sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (count > 1).then(|| (squares / (count - 1) as f64).sqrt());
        Some(Self {
            count,
            mean,
            deviation,
        })
    }

    /// Half the width of the interval in which Student's t puts the true mean with probability
    /// `confidence`: `t((1 + confidence) / 2; n - 1) deviation / sqrt(n)`. The numbers are taken to
    /// be independent and about normal.
    ///
    /// ```
    /// use fair_compare::Spread;
    ///
    /// // With four degrees of freedom, t(0.975) = 2.776.
    /// let spread = Spread::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    /// let expected = 2.776 * (2.5f64 / 5.0).sqrt();
    /// assert!((spread.half_width(0.95).unwrap() - expected).abs() < 1e-3);
    /// ```
    pub fn half_width(&self, confidence: f64) -> Option<f64> {
        let deviation = self.deviation?;
        let freedom = (self.count - 1) as f64;
        let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
        let quantile = student.inverse_cdf((1.0 + confidence) / 2.0);
        Some(quantile * deviation / (self.count as f64).sqrt())
    }
}

/// The middle number, or the mean of the middle two; `None` of none.
///
/// ```
/// assert_eq!(fair_compare::median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
/// ```
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let (low, high) = (sorted[last / 2], sorted[last.div_ceil(2)]);
    Some(low + (high - low) / 2.0)
}

/// KL(pretrained ‖ tuned) in nats, the mean over rows of `sum p (ln p - ln q)`, where `p` and `q`
/// are the softmax of the logits of the pretrained and of the tuned model on the same inputs.
///
/// Rows of `classes` logits, one after the other. Taken from logits it is finite for all finite
/// logits; taken from probabilities it would be infinite where one of them underflows.
///
/// # Panics
/// If the two are not the same number of whole rows, at least one.
///
/// ```
/// use fair_compare::kl_divergence;
///
/// // p = (1/2, 1/2) and q = (1/4, 3/4).
/// let kl = kl_divergence(&[0.0, 0.0], &[0.0, 3f64.ln()], 2);
/// assert!((kl - 0.5 * (4f64 / 3.0).ln()).abs() < 1e-15);
/// ```
pub fn kl_divergence(pretrained: &[f64], tuned: &[f64], classes: usize) -> f64 {
    let (a, b) = (pretrained.len(), tuned.len());
    assert!(
        classes > 0 && a == b && a > 0 && a.is_multiple_of(classes),
        "kl_divergence: asked for rows of {classes} classes, got {a} and {b} logits; give as many of both, in whole rows"
    );
    let rows = pretrained
        .chunks_exact(classes)
        .zip(tuned.chunks_exact(classes));
    let sum: f64 = rows.map(|(p, q)| kl_of_row(p, q)).sum();
    sum / (a / classes) as f64
}

fn kl_of_row(pretrained: &[f64], tuned: &[f64]) -> f64 {
    let (p, q) = (log_softmax(pretrained), log_softmax(tuned));
    p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum()
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - max).exp()).sum();
    logits.iter().map(|logit| logit - max - sum.ln()).collect()
}
