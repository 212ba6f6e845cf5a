//! How far a model's answers moved, in nats.

use burn::tensor::Tensor;

use super::Answers;
use crate::error::Error;
use crate::metric::{Column, Metric};
use crate::spread::Spread;

const NAME: &str = "kl_divergence";

pub(super) const METRIC: Metric<Answers> = Metric {
    columns: &[
        Column::new(NAME, "KL nats"),
        Column::new("kl_divergence_max", "most"),
    ],
    of: |answers| {
        let spread = measure(answers)?;
        if spread.mean.is_finite() {
            return Ok([spread.mean, spread.max].into());
        }
        // JSON has no infinity.
        Error::undefined(
            NAME,
            "it is infinite: a class that was possible before is masked after",
        )
    },
    shade: None,
};

/// The Kullback-Leibler divergence of a model's answers after from those before, in nats: from
/// logits `[n, classes]`, over the rows.
///
#[cfg_attr(
    docsrs,
    doc = r#"$$\mathrm{KL}(p \,\Vert\, p') = \sum_c p_c (\log p_c - \log p'_c), \qquad \log p_c = z_c - \log \sum_b e^{z_b}$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`KL(p || p') = sum_c p_c (log p_c - log p'_c)`, `log p_c = z_c - log sum_b exp z_b`"
)]
/// 0 if the answers are the same; no upper limit. The largest logit of a row is taken off before
/// the exponential, so that none overflows. A logit of minus infinity is a class that is masked:
/// one that is masked after and not before makes the row's divergence infinite, as it is.
///
/// **Blind to** everything that the head does not read: representations can turn and come back. A
/// class that was improbable before hardly counts, even if it is the answer after; the other order,
/// `kl_divergence(after, before)`, sees that. It says that answers changed, not whether they got
/// worse.
///
/// Source: Kullback and Leibler 1951, *On Information and Sufficiency*.
///
/// # Errors
///
/// [`Error::NonFinite`] for NaN and plus infinity; [`Error::Undefined`] without rows or classes, or
/// if a row is all masked.
///
/// # Panics
///
/// If the shapes differ.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::kl_divergence;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[0.0, 0.0]], &device); // a half each
/// let after = Tensor::<2>::from_floats([[3f32.ln(), 0.0]], &device); // three quarters and one
/// let divergence = kl_divergence(before, after)?;
/// assert!((divergence.mean - (4.0f64 / 3.0).ln() / 2.0).abs() < 1e-7);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn kl_divergence(before: Tensor<2>, after: Tensor<2>) -> Result<Spread, Error> {
    measure(&Answers::read(NAME, &before, &after)?)
}

fn measure(answers: &Answers) -> Result<Spread, Error> {
    for (side, masked) in [("before", answers.masked[0]), ("after", answers.masked[1])] {
        if let Some(row) = masked {
            return Error::undefined(
                NAME,
                format!("no class of row {row} {side} has a finite logit"),
            );
        }
    }
    match Spread::of(answers.divergences.iter().copied(), 0) {
        Some(spread) => Ok(spread),
        None => Error::undefined(NAME, "there is no row"),
    }
}

/// The divergence of one row.
pub(super) fn divergence(before: &[f64], after: &[f64]) -> f64 {
    let (of_before, of_after) = (log_sum_exp(before), log_sum_exp(after));
    let terms = before.iter().zip(after).map(|(before, after)| {
        let (log_p, log_q) = (before - of_before, after - of_after);
        let p = log_p.exp();
        match (log_p, log_q) {
            (f64::NEG_INFINITY, _) => 0.0,
            (_, f64::NEG_INFINITY) => f64::INFINITY,
            _ if p == 0.0 => 0.0,
            _ => p * (log_p - log_q),
        }
    });
    // Rounding can leave the sum of two equal answers a hair below zero.
    terms.sum::<f64>().max(0.0)
}

fn log_sum_exp(logits: &[f64]) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|z| (z - largest).exp()).sum();
    largest + sum.ln()
}
