//! Whether representations fill their space or crowd in a cone.

use burn::tensor::Tensor;

use super::host::{norm, undefined};
use super::whole::{Raw, Whole};
use crate::error::Error;

const METRIC: &str = "anisotropy";

/// The average cosine of two different representations, rows of `[n, d]`: how far they crowd in a cone.
///
/// With `u_i = x_i / |x_i|`, over all pairs at once rather than a sample of them:
#[cfg_attr(
    doc,
    doc = r#"$$\frac{1}{n (n - 1)} \sum_{i \ne j} \langle u_i, u_j \rangle = \frac{\lVert \sum_i u_i \rVert^2 - n}{n (n - 1)}$$"#
)]
#[cfg_attr(
    not(doc),
    doc = "`mean over i != j of <u_i, u_j> = (|sum_i u_i|^2 - n) / (n (n - 1))`"
)]
/// Near 0 where directions are spread over the space (isotropic), 1 where all are the same; at least `-1 / (n - 1)`. Measure it
/// before and after: fine-tuning often narrows the cone, and in a narrow one a cosine of two rows says little. Rows that are zero
/// have no direction and are left out. Costs `O(n d)`.
///
/// **Blind to** a rotation of the representation, and to how variance is spread among directions: representations on one line, half
/// of them each way, measure as isotropic.
///
/// Source: Ethayarajh 2019, [arXiv 1909.00512](https://arxiv.org/abs/1909.00512), Section 3.4, there the cosine of randomly
/// chosen pairs.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] with fewer than two rows that are not zero.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::anisotropy;
///
/// let rows = Tensor::<2>::from_floats([[1.0, 0.0], [5.0, 0.0], [0.0, 2.0]], &Device::flex());
/// assert!((anisotropy(rows)? - 1.0 / 3.0).abs() < 1e-12); // one pair of three is parallel, the others are orthogonal
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn anisotropy(representations: Tensor<2>) -> Result<f64, Error> {
    measure(&Raw::read(representations).finite("the representations")?)
}

pub(super) fn measure(representations: &Whole) -> Result<f64, Error> {
    let mut sum = vec![0.0; representations.columns];
    let mut count = 0u32;
    representations.each_row(|row| {
        let norm = norm(row);
        if norm > 0.0 {
            sum.iter_mut()
                .zip(row)
                .for_each(|(sum, v)| *sum += v / norm);
            count += 1;
        }
    });
    if count < 2 {
        let rows = representations.rows;
        return undefined(
            METRIC,
            format!("it needs two rows that are not zero, and {count} of {rows} are not"),
        );
    }
    let square: f64 = sum.iter().map(|v| v * v).sum();
    let count = f64::from(count);
    Ok((square - count) / (count * (count - 1.0)))
}
