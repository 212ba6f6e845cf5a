//! How far a matrix moved as a whole.

use burn::tensor::Tensor;

use super::Weights;
use crate::error::Error;
use crate::metric::{Column, Metric, Shade};
use crate::read::same_shape;
use crate::vector::norm;

const NAME: &str = "relative_change";

pub(super) const METRIC: Metric<Weights> = Metric {
    columns: &[Column::new(NAME, "change")],
    of: |weights| Ok([measure(weights)?].into()),
    shade: Some(Shade {
        header: "change",
        distance: |numbers| numbers[0],
    }),
};

/// How far a weight moved as a whole, relative to its size; for any method of fine-tuning.
///
#[cfg_attr(
    docsrs,
    doc = r#"$$\frac{\lVert W' - W \rVert_F}{\lVert W \rVert_F}$$"#
)]
#[cfg_attr(not(docsrs), doc = "`|| W' - W ||_F / || W ||_F`")]
/// A share: 0 where nothing moved, 1 for a weight that was switched off, at most 2 where all norms
/// were kept. Any shape `[d_input, d_output]`, or any two matrices.
///
/// **Blind to** what kind of change it is: a rotation, noise and forgetting of the same size are
/// the same number.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] if the matrix before is zero.
///
/// # Panics
///
/// If the shapes differ.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::relative_change;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[3.0, 0.0], [0.0, 4.0]], &device);
/// let after = Tensor::<2>::from_floats([[3.0, 0.0], [1.0, 4.0]], &device);
/// assert_eq!(relative_change(before, after)?, 0.2);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn relative_change(before: Tensor<2>, after: Tensor<2>) -> Result<f64, Error> {
    same_shape(NAME, &before, &after);
    measure(&Weights::read(&before, &after, &[], 0)?)
}

fn measure(weights: &Weights) -> Result<f64, Error> {
    let size = norm(&weights.norms.before());
    match size {
        0.0 => Error::undefined(
            NAME,
            "the matrix before is zero, and nothing is relative to it",
        ),
        _ => Ok(norm(&weights.norms.moved()) / size),
    }
}
