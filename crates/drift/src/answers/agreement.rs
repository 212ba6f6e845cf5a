//! Whether the answer is the same.

use burn::tensor::Tensor;

use super::Answers;
use crate::error::Error;
use crate::metric::{Column, Metric};

const NAME: &str = "agreement";

pub(super) const METRIC: Metric<Answers> = Metric {
    columns: &[Column::new(NAME, "same class")],
    of: |answers| Ok([measure(answers)?].into()),
    shade: None,
};

/// The share of rows whose largest logit is of the same class before and after, from logits
/// `[n, classes]`.
///
/// 0 to 1; of equal largest logits the first counts.
///
/// **Blind to** how sure the answers are, and to whether they are right: a model that is wrong in
/// the same way agrees with itself.
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
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::agreement;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[2.0, 1.0], [0.0, 3.0]], &device);
/// let after = Tensor::<2>::from_floats([[9.0, 1.0], [0.5, 0.0]], &device); // the second changed
/// assert_eq!(agreement(before, after)?, 0.5);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn agreement(before: Tensor<2>, after: Tensor<2>) -> Result<f64, Error> {
    measure(&Answers::read(NAME, &before, &after)?)
}

fn measure(answers: &Answers) -> Result<f64, Error> {
    let [rows, classes] = answers.shape;
    match rows * classes {
        0 => Error::undefined(
            NAME,
            format!("the logits [{rows}, {classes}] name no class"),
        ),
        _ => Ok(answers.same as f64 / rows as f64),
    }
}

/// The first class with the largest logit.
pub(super) fn answer(logits: &[f64]) -> usize {
    let better = |best: usize, class: usize| {
        if logits[class] > logits[best] {
            class
        } else {
            best
        }
    };
    (0..logits.len()).fold(0, better)
}
