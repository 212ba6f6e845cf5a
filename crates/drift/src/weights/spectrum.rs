//! Singular values.

use burn::tensor::Tensor;

use super::Weights;
use crate::error::Error;
use crate::linalg::singular_values;
use crate::matrix::Matrix;
use crate::metric::{Column, Metric, Shade};
use crate::read::same_shape;

const NAME: &str = "spectrum_change";

pub(super) const METRIC: Metric<Weights> = Metric {
    columns: &[Column::new(NAME, "spectrum")],
    of: |weights| Ok([measure(weights)?].into()),
    shade: Some(Shade {
        header: "spectrum",
        distance: |numbers| numbers[0],
    }),
};

/// How far the singular values of a weight `[d_input, d_output]` moved.
///
/// The largest change is relative to the largest singular value, not to each its own: rounding
/// moves all of them by about that much, and a small one would report it as a change.
#[cfg_attr(
    docsrs,
    doc = r#"$$\max_i \frac{|\sigma'_i - \sigma_i|}{\sigma_1} \le \frac{\lVert W' - W \rVert_2}{\lVert W \rVert_2}$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`max_i |sigma'_i - sigma_i| / sigma_1 <= || W' - W ||_2 / || W ||_2`"
)]
/// 0 where nothing moved, and for a rotation without a norm scale, up to rounding: about 1e-7 for
/// f32 weights.
///
/// **Blind to** every rotation of inputs and of outputs; the directions that belong to the values
/// are what [`subspace_similarity`](crate::subspace_similarity) looks at.
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
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::spectrum_change;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[4.0, 0.0], [0.0, 1.0]], &device);
/// let after = Tensor::<2>::from_floats([[0.0, 2.0], [-4.0, 0.0]], &device); // turned, one doubled
/// let change = spectrum_change(before, after)?;
/// assert!((change - 0.25).abs() < 1e-12);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn spectrum_change(before: Tensor<2>, after: Tensor<2>) -> Result<f64, Error> {
    same_shape(NAME, &before, &after);
    measure(&Weights::whole(&before, &after)?)
}

/// The singular values of a weight `[d_input, d_output]`, falling: what [`spectrum_change`]
/// compares.
///
/// Cost: `O(d_input d_output min(d_input, d_output))`.
///
/// # Errors
///
/// [`Error::NonFinite`].
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::spectrum;
///
/// let weight = Tensor::<2>::from_floats([[0.0, 2.0], [-4.0, 0.0]], &Device::flex());
/// let values = spectrum(weight)?;
/// assert!((values[0] - 4.0).abs() < 1e-12 && (values[1] - 2.0).abs() < 1e-12);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn spectrum(weight: Tensor<2>) -> Result<Vec<f64>, Error> {
    let (size, scaled) = Matrix::finite("the weight", weight)?.scaled();
    let values = singular_values("spectrum", scaled.faer())?;
    Ok(values.into_iter().map(|value| size * value).collect())
}

fn measure(weights: &Weights) -> Result<f64, Error> {
    let [before, after] = weights.factors()?;
    match before.values.first() {
        None | Some(0.0) => Error::undefined(
            NAME,
            "the weight before is zero, and nothing is relative to it",
        ),
        Some(size) => {
            let pairs = before.values.iter().zip(&after.values);
            Ok(pairs.map(|(b, a)| (a - b).abs()).fold(0.0, f64::max) / size)
        }
    }
}
