//! Norms of neurons.

use burn::tensor::Tensor;

use super::Weights;
use crate::error::Error;
use crate::metric::{Column, Metric, Shade};
use crate::read::same_shape;
use crate::spread::Spread;

const NAME: &str = "norm_change";

pub(super) const METRIC: Metric<Weights> = Metric {
    columns: &[
        Column::new(NAME, "norm"),
        Column::new("norm_change_max", "most"),
    ],
    of: |weights| {
        let change = measure(weights)?;
        Ok([change.mean, change.max].into())
    },
    shade: Some(Shade {
        header: "norm",
        distance: |numbers| numbers[0],
    }),
};

/// How far the norm of each neuron moved, relative to what it was.
///
/// Over the neurons, the columns of `W [d_input, d_output]`:
#[cfg_attr(
    docsrs,
    doc = r#"$$\left| \frac{\lVert w'_i \rVert}{\lVert w_i \rVert} - 1 \right|$$"#
)]
#[cfg_attr(not(docsrs), doc = "`| |w'_i| / |w_i| - 1 |`")]
/// A share: 0 where the norm was kept, 1 for a neuron that was doubled or switched off. 0 for a
/// rotation without a norm scale, up to rounding: about 1e-7 for f32 weights. Neurons that are zero
/// before have nothing to be relative to and are left out.
///
/// **Blind to** every change of direction.
///
/// Source: the magnitude of Liu et al. 2024 (DoRA),
/// [arXiv 2402.09353](https://arxiv.org/abs/2402.09353), Section 3, here relative.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] if no neuron before is different from zero.
///
/// # Panics
///
/// If the shapes differ.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::norm_change;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[3.0, 1.0], [4.0, 0.0]], &device);
/// let after = Tensor::<2>::from_floats([[3.0, 0.0], [4.0, 1.5]], &device); // one turned and grew
/// let change = norm_change(before, after)?;
/// assert_eq!((change.mean, change.max), (0.25, 0.5));
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn norm_change(before: Tensor<2>, after: Tensor<2>) -> Result<Spread, Error> {
    same_shape(NAME, &before, &after);
    measure(&Weights::read(&before, &after, &[], 0)?)
}

fn measure(weights: &Weights) -> Result<Spread, Error> {
    let (before, after) = (weights.norms.before(), weights.norms.after());
    let pairs = before
        .iter()
        .zip(&after)
        .filter(|(before, _)| **before > 0.0);
    let changes: Vec<f64> = pairs
        .map(|(before, after)| (after / before - 1.0).abs())
        .collect();
    let zero = before.len() - changes.len();
    match Spread::of(changes, zero) {
        Some(spread) => Ok(spread),
        None => Error::undefined(
            NAME,
            format!("none of {zero} neurons before is different from zero"),
        ),
    }
}
