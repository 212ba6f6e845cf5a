//! Singular values.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::host::{Host, alike, singular_values, undefined};
use crate::error::Error;

const METRIC: &str = "spectrum_change";

/// The singular values of a weight before and after. See [`spectrum_change`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpectrumChange {
    /// Singular values before, falling.
    pub before: Vec<f64>,
    /// Singular values after, falling.
    pub after: Vec<f64>,
    /// Largest change of a singular value, relative to the largest one before.
    pub largest: f64,
}

/// The singular values of a weight `[d_input, d_output]` before and after.
///
/// The largest change is relative to the largest singular value, not to each its own: rounding moves all of them by about that
/// much, and a small one would report it as a change.
#[cfg_attr(
    doc,
    doc = r#"$$\max_i \frac{|\sigma'_i - \sigma_i|}{\sigma_1} \le \frac{\lVert W' - W \rVert_2}{\lVert W \rVert_2}$$"#
)]
#[cfg_attr(
    not(doc),
    doc = "`max_i |sigma'_i - sigma_i| / sigma_1 <= || W' - W ||_2 / || W ||_2`"
)]
/// 0 where nothing moved, and for a strict adapter without a norm scale, up to rounding: about 1e-7 for f32 weights.
///
/// **Blind to** every rotation of inputs and of outputs; the directions that belong to the values are what
/// [`subspace_similarity`](crate::subspace_similarity) looks at.
///
/// Cost: `O(d_input d_output min(d_input, d_output))`.
///
/// Source: the bound is Weyl's (Horn and Johnson, *Matrix Analysis*, 7.3).
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] if the weight before is zero.
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
/// use burn_goft::spectrum_change;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[4.0, 0.0], [0.0, 1.0]], &device);
/// let after = Tensor::<2>::from_floats([[0.0, 2.0], [-4.0, 0.0]], &device); // turned, and the smaller one doubled
/// let change = spectrum_change(before, after)?;
/// assert!((change.after[1] - 2.0).abs() < 1e-12);
/// assert!((change.largest - 0.25).abs() < 1e-12);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn spectrum_change(before: Tensor<2>, after: Tensor<2>) -> Result<SpectrumChange, Error> {
    let (before, after) = alike(METRIC, before, after)?;
    measure(spectrum(&before.host())?, spectrum(&after.host())?)
}

/// Of singular values, falling.
pub(super) fn measure(before: Vec<f64>, after: Vec<f64>) -> Result<SpectrumChange, Error> {
    let size = before.first().copied().unwrap_or(0.0);
    if size == 0.0 {
        return undefined(
            METRIC,
            "the weight before is zero, and nothing is relative to it",
        );
    }
    let changes = before.iter().zip(&after).map(|(b, a)| (a - b).abs());
    let largest = changes.fold(0.0, f64::max) / size;
    Ok(SpectrumChange {
        before,
        after,
        largest,
    })
}

fn spectrum(weight: &Host) -> Result<Vec<f64>, Error> {
    let (size, scaled) = weight.scaled();
    let values = singular_values(METRIC, scaled.matrix())?;
    Ok(values.into_iter().map(|value| size * value).collect())
}
