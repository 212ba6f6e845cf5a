//! How far a model's answers moved, in nats.

use burn::tensor::Tensor;

use super::host::{Host, not_finite, undefined};
use super::spread::Spread;
use super::whole::Raw;
use crate::error::Error;

const METRIC: &str = "kl_divergence";

/// The Kullback-Leibler divergence of a model's answers after from those before, in nats: from logits `[n, classes]`, over the
/// rows.
///
#[cfg_attr(
    doc,
    doc = r#"$$\mathrm{KL}(p \,\Vert\, p') = \sum_c p_c (\log p_c - \log p'_c), \qquad \log p_c = z_c - \log \sum_b e^{z_b}$$"#
)]
#[cfg_attr(
    not(doc),
    doc = "`KL(p || p') = sum_c p_c (log p_c - log p'_c)`, `log p_c = z_c - log sum_b exp z_b`"
)]
/// 0 if the answers are the same; no upper limit. The largest logit of a row is taken off before the exponential, so that none
/// overflows. A logit of minus infinity is a class that is masked: one that is masked after and not before makes the row's
/// divergence infinite, as it is.
///
/// **Blind to** everything that the head does not read: representations can turn and come back. A class that was improbable before
/// hardly counts, even if it is the answer after; the other order, `kl_divergence(after, before)`, sees that. It says that answers
/// changed, not whether they got worse.
///
/// Source: Kullback and Leibler 1951, *On Information and Sufficiency*.
///
/// # Errors
///
/// [`Error::NonFinite`] for NaN and plus infinity; [`Error::Undefined`] without rows or classes, or if a row is all masked.
///
/// # Panics
///
/// If the shapes differ.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::kl_divergence;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[0.0, 0.0]], &device); // a half each
/// let after = Tensor::<2>::from_floats([[3f32.ln(), 0.0]], &device); // three quarters and one
/// let divergence = kl_divergence(before, after)?;
/// assert!((divergence.mean - (4.0f64 / 3.0).ln() / 2.0).abs() < 1e-7);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn kl_divergence(before: Tensor<2>, after: Tensor<2>) -> Result<Spread, Error> {
    let (b, a) = (before.dims(), after.dims());
    assert!(
        b == a,
        "{METRIC}: found logits {b:?} before and {a:?} after; pass [n, classes] of the same inputs"
    );
    measure(&logits("before", before)?, &logits("after", after)?)
}

/// Logits, which may be minus infinity.
pub(super) fn logits(side: &str, tensor: Tensor<2>) -> Result<Host, Error> {
    let host = Raw::read(tensor).whole().host();
    let broken = |v: &&f64| v.is_nan() || **v == f64::INFINITY;
    match host.values().iter().filter(broken).count() {
        0 => Ok(host),
        count => Err(not_finite(side, count)),
    }
}

pub(super) fn measure(before: &Host, after: &Host) -> Result<Spread, Error> {
    for (side, logits) in [("before", before), ("after", after)] {
        let masked = |row: &[f64]| row.iter().all(|z| *z == f64::NEG_INFINITY);
        if let Some(row) = logits.each_row().position(masked) {
            return undefined(
                METRIC,
                format!("no class of row {row} {side} has a finite logit"),
            );
        }
    }
    let rows = before.each_row().zip(after.each_row());
    match Spread::of(rows.map(|(before, after)| divergence(before, after))) {
        Some(spread) => Ok(spread),
        None => undefined(METRIC, "there is no row"),
    }
}

fn divergence(before: &[f64], after: &[f64]) -> f64 {
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
