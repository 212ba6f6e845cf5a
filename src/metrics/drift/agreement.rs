//! Whether the answer is the same, and what was forgotten.

use burn::tensor::Tensor;

use super::host::{Host, undefined};
use super::kl::logits;
use crate::error::Error;

const METRIC: &str = "agreement";

/// The share of rows whose largest logit is of the same class before and after, from logits `[n, classes]`.
///
/// 0 to 1; of equal largest logits the first counts.
///
/// **Blind to** how sure the answers are, and to whether they are right: a model that is wrong in the same way agrees with itself.
///
/// Source: the complement of the churn of Milani Fard et al. 2016, *Launch and Iterate*, NeurIPS.
///
/// # Errors
///
/// [`Error::NonFinite`] for NaN and plus infinity; [`Error::Undefined`] without rows or classes.
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
/// use burn_goft::agreement;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[2.0, 1.0], [0.0, 3.0]], &device);
/// let after = Tensor::<2>::from_floats([[9.0, 1.0], [0.5, 0.0]], &device); // the second answer changed
/// assert_eq!(agreement(before, after)?, 0.5);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn agreement(before: Tensor<2>, after: Tensor<2>) -> Result<f64, Error> {
    let (b, a) = (before.dims(), after.dims());
    assert!(
        b == a,
        "{METRIC}: found logits {b:?} before and {a:?} after; pass [n, classes] of the same inputs"
    );
    measure(&logits("before", before)?, &logits("after", after)?)
}

pub(super) fn measure(before: &Host, after: &Host) -> Result<f64, Error> {
    let [rows, classes] = before.shape();
    if rows * classes == 0 {
        return undefined(
            METRIC,
            format!("the logits [{rows}, {classes}] name no class"),
        );
    }
    let pairs = before.each_row().zip(after.each_row());
    let same = pairs.filter(|(before, after)| answer(before) == answer(after));
    Ok(same.count() as f64 / rows as f64)
}

/// The first class with the largest logit.
fn answer(logits: &[f64]) -> usize {
    let better = |best: usize, class: usize| match logits[class] > logits[best] {
        true => class,
        false => best,
    };
    (0..logits.len()).fold(0, better)
}

/// What was forgotten: a metric before minus the same after, for a metric that is better when larger, measured on data of the
/// old task.
///
/// In the metric's unit; above 0, the model got worse. NaN if one of them is.
///
/// **Blind to** what was learnt anew: measure that on data of the new task.
///
/// Source: Chaudhry et al. 2018, [arXiv 1801.10112](https://arxiv.org/abs/1801.10112), for one change of task.
///
/// ```
/// use burn_goft::forgetting;
/// assert_eq!(forgetting(96.5, 58.0), 38.5); // accuracies in percent
/// ```
pub fn forgetting(before: f64, after: f64) -> f64 {
    before - after
}
