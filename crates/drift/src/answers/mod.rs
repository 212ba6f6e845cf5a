//! How far a model's answers moved. A metric is a file here and a row in [`METRICS`].

mod agreement;
mod kl;

pub use agreement::agreement;
use burn::tensor::Tensor;
pub use kl::kl_divergence;

use crate::error::Error;
use crate::metric::Metric;
use crate::read::each_pair_unless;

/// In the order of the table.
pub(crate) const METRICS: [Metric<Answers>; 2] = [kl::METRIC, agreement::METRIC];

/// Logits of the same inputs before and after, as far as their metrics need them.
pub(crate) struct Answers {
    shape: [usize; 2],
    /// The divergence of each row, in nats.
    divergences: Vec<f64>,
    /// Rows with the same answer.
    same: usize,
    /// The first row whose classes are all masked, before and after.
    masked: [Option<usize>; 2],
}

impl Answers {
    /// Reads two tensors of one shape; `metric` is the function's name.
    pub(crate) fn read(
        metric: &'static str,
        before: &Tensor<2>,
        after: &Tensor<2>,
    ) -> Result<Self, Error> {
        let (shape, other) = (before.dims(), after.dims());
        assert!(
            shape == other,
            "{metric}: found logits {shape:?} before and {other:?} after; pass [n, classes] of the \
             same inputs"
        );
        let mut answers = Self {
            shape,
            divergences: Vec::with_capacity(shape[0]),
            same: 0,
            masked: [None, None],
        };
        let broken = |logit: f64| logit.is_nan() || logit == f64::INFINITY;
        each_pair_unless(broken, before, after, |row, before, after| {
            for (masked, logits) in answers.masked.iter_mut().zip([before, after]) {
                if logits.iter().all(|logit| *logit == f64::NEG_INFINITY) {
                    masked.get_or_insert(row);
                }
            }
            answers.divergences.push(kl::divergence(before, after));
            answers.same += usize::from(agreement::answer(before) == agreement::answer(after));
        })?;
        Ok(answers)
    }
}
