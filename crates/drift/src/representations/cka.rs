//! Linear centered kernel alignment.

use burn::tensor::Tensor;

use super::Representations;
use super::centered::Centered;
use crate::error::Error;
use crate::metric::{Column, Metric, Shade};
use crate::read::same_rows;

const NAME: &str = "linear_cka";

pub(super) const METRIC: Metric<Representations> = Metric {
    columns: &[Column::new(NAME, "CKA")],
    of: |representations| Ok([measure(representations.centered(NAME)?)].into()),
    shade: Some(Shade {
        header: "1 - CKA",
        distance: |numbers| 1.0 - numbers[0],
    }),
};

/// Linear centered kernel alignment of two representations `[n, d]` and `[n, d']` of the same `n`
/// inputs: whether the same inputs are alike.
///
/// With the rows' mean taken off:
#[cfg_attr(
    docsrs,
    doc = r#"$$\mathrm{CKA}(X, Y) = \frac{\lVert Y^\top X \rVert_F^2}{\lVert X^\top X \rVert_F \lVert Y^\top Y \rVert_F}
= \frac{\langle X X^\top, Y Y^\top \rangle_F}{\lVert X X^\top \rVert_F \lVert Y Y^\top \rVert_F} \in [0, 1]$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`CKA(X, Y) = || Y^T X ||_F^2 / (|| X^T X ||_F || Y^T Y ||_F)`, in `[0, 1]`"
)]
/// 1 if one is a rotation of the other, scaled and shifted. No `n x n` matrix is formed where
/// `n >= d`, and no `d x d` one where `n < d`: there `X` is replaced by the `n x n` factor `L` of
/// its LQ decomposition, which has the same `X X^T`.
///
/// **Blind to** a rotation of the representation, which is what GOFT learns;
/// [`row_cosine`](crate::row_cosine) sees that. Directions of large variance decide: one of them
/// can hide that all others changed. With few rows it is biased upwards; two rows always have 1.
///
/// Cost: `O(n d d')`, and `O(n^2 (d + d'))` where `n < d`.
///
/// Source: Kornblith et al. 2019, [arXiv 1905.00414](https://arxiv.org/abs/1905.00414), Section 3.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] with fewer than two rows or where all rows are the
/// same.
///
/// # Panics
///
/// If the numbers of rows differ.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::linear_cka;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]], &device);
/// let turned = [[0.0, 1.0], [-2.0, 0.0], [-1.0, -1.0]]; // by 90 degrees
/// let turned = Tensor::<2>::from_floats(turned, &device);
/// assert!((linear_cka(before, turned)? - 1.0).abs() < 1e-12);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn linear_cka(before: Tensor<2>, after: Tensor<2>) -> Result<f64, Error> {
    same_rows(NAME, &before, &after);
    Ok(measure(
        Representations::whole(&before, &after)?.centered(NAME)?,
    ))
}

fn measure([x, y]: &[Centered; 2]) -> f64 {
    let (x, y) = (&x.matrix, &y.matrix);
    let cross = (y.transpose() * x).norm_l2();
    let of_x = (x.transpose() * x).norm_l2();
    let of_y = (y.transpose() * y).norm_l2();
    (cross * cross / (of_x * of_y)).clamp(0.0, 1.0)
}
