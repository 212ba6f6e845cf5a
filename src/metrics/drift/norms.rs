//! Norms of neurons.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::host::{alike, undefined};
use super::whole::{Whole, column_norms};
use crate::error::Error;

const METRIC: &str = "norm_change";

/// How far the norms of neurons moved, relative to what they were. See [`norm_change`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NormChange {
    /// Mean of the relative change over the neurons.
    pub mean: f64,
    /// Largest.
    pub max: f64,
    /// Neurons that are zero before: nothing is relative to them, and they are in neither number.
    pub zero_neurons: usize,
}

/// How far the norm of each neuron moved, relative to what it was.
///
/// Over the neurons, the columns of `W [d_input, d_output]`:
#[cfg_attr(
    doc,
    doc = r#"$$\left| \frac{\lVert w'_i \rVert}{\lVert w_i \rVert} - 1 \right|$$"#
)]
#[cfg_attr(not(doc), doc = "`| |w'_i| / |w_i| - 1 |`")]
/// A share: 0 where the norm was kept, 1 for a neuron that was doubled or switched off. 0 for a strict adapter without a norm
/// scale, up to rounding: about 1e-7 for f32 weights.
///
/// **Blind to** every change of direction.
///
/// Source: the magnitude of Liu et al. 2024 (DoRA), [arXiv 2402.09353](https://arxiv.org/abs/2402.09353), Section 3, here relative.
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
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::norm_change;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[3.0, 1.0], [4.0, 0.0]], &device);
/// let after = Tensor::<2>::from_floats([[3.0, 0.0], [4.0, 1.5]], &device); // the second turned and half longer
/// let change = norm_change(before, after)?;
/// assert_eq!((change.mean, change.max), (0.25, 0.5));
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn norm_change(before: Tensor<2>, after: Tensor<2>) -> Result<NormChange, Error> {
    let (before, after) = alike(METRIC, before, after)?;
    measure(&before, &after)
}

pub(super) fn measure(before: &Whole, after: &Whole) -> Result<NormChange, Error> {
    let neurons = before.columns;
    let norms = column_norms(before, after).into_iter();
    let (mut sum, mut max, mut count) = (0.0, 0.0f64, 0);
    for [before, after] in norms.filter(|[before, _]| *before != 0.0) {
        let change = (after / before - 1.0).abs();
        sum += change;
        max = max.max(change);
        count += 1;
    }
    if count == 0 {
        return undefined(
            METRIC,
            format!("none of {neurons} neurons before is different from zero"),
        );
    }
    Ok(NormChange {
        mean: sum / count as f64,
        max,
        zero_neurons: neurons - count,
    })
}
