//! Singular vector canonical correlation analysis.

use burn::tensor::Tensor;
use faer::{Mat, Side};

use super::Representations;
use super::centered::Centered;
use crate::error::Error;
use crate::linalg::{no_convergence, singular_values};
use crate::metric::{Column, Metric, Reading, Shade};
use crate::read::same_rows;

const NAME: &str = "svcca";
/// Share of the variance whose directions are kept, that of the paper.
const VARIANCE: f64 = 0.99;

pub(super) const METRIC: Metric<Representations> = Metric {
    columns: &[Column::new(NAME, "SVCCA"), Column::new("svcca_forced", "")],
    of: |representations| {
        let found = measure(representations.centered(NAME)?)?;
        let (forced, rows) = (found.forced, representations.sampled[0].rows);
        let caution = || {
            format!(
                "{forced} correlations of SVCCA are 1 because {rows} rows are too few; raise `rows`"
            )
        };
        Ok(Reading {
            caution: (forced > 0).then(caution),
            ..[found.mean, forced as f64].into()
        })
    },
    shade: Some(Shade {
        header: "1 - SVCCA",
        distance: |numbers| 1.0 - numbers[0],
    }),
};

/// How far two representations are linear images of each other. See [`svcca`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Svcca {
    /// Mean canonical correlation, 0 to 1, over the smaller number of kept directions.
    pub mean: f64,
    /// Directions that hold 99 % of the variance, before and after.
    pub kept: [usize; 2],
    /// Correlations that are 1 because there are too few rows: two subspaces of these sizes in a
    /// space of `n - 1` dimensions must meet. If this is not 0, the mean says little; pass more
    /// rows.
    pub forced: usize,
}

/// Singular vector canonical correlation analysis of two representations `[n, d]` and `[n, d']` of
/// the same `n` inputs: whether one can be read off the other by a linear map.
///
/// With the rows' mean taken off, both are reduced to the leading singular directions that hold 99
/// % of their variance, and the canonical correlations of what is left are averaged. For
/// `X = U S V^T`, the first `k` columns of `U`, and likewise for `Y`:
#[cfg_attr(
    docsrs,
    doc = r#"$$\frac{1}{\min(k, k')} \sum_i \sigma_i(U_k^\top U'_{k'}) \in [0, 1]$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`sum_i sigma_i(U_k^T U'_k') / min(k, k')`, in `[0, 1]`"
)]
/// 1 if the kept directions of one are linear in those of the other.
///
/// **Blind to** any invertible linear map of the kept directions, rotations among them, and to
/// everything in the last percent of variance. All kept directions count the same, strong or weak.
/// It needs many more rows than directions: `n` rows have at most `n - 1` directions, and where the
/// kept ones fill them, correlations are 1 whatever the representations say. [`Svcca::forced`]
/// counts those.
///
/// Cost: `O(n d min(n, d))`.
///
/// Source: Raghu et al. 2017, [arXiv 1706.05806](https://arxiv.org/abs/1706.05806), Section 2.
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
/// use burn_goft_drift::svcca;
///
/// let device = Device::flex();
/// let rows = [[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0], [3.0, 2.0]];
/// let before = Tensor::<2>::from_floats(rows, &device);
/// let sheared = before.clone().matmul(Tensor::from_floats([[1.0, 1.0], [0.0, 1.0]], &device));
/// let svcca = svcca(before, sheared)?;
/// assert!((svcca.mean - 1.0).abs() < 1e-12);
/// assert_eq!((svcca.kept, svcca.forced), ([2, 2], 1)); // four rows span three directions
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn svcca(before: Tensor<2>, after: Tensor<2>) -> Result<Svcca, Error> {
    same_rows(NAME, &before, &after);
    measure(Representations::whole(&before, &after)?.centered(NAME)?)
}

fn measure([x, y]: &[Centered; 2]) -> Result<Svcca, Error> {
    let rows = x.matrix.nrows();
    let (x, y) = (leading(x)?, leading(y)?);
    let kept = [x.ncols(), y.ncols()];
    let correlations = singular_values(NAME, (x.transpose() * &y).as_ref())?;
    let sum: f64 = correlations.iter().map(|c| c.min(1.0)).sum();
    Ok(Svcca {
        mean: sum / correlations.len() as f64,
        kept,
        forced: (kept[0] + kept[1]).saturating_sub(rows - 1),
    })
}

/// The left singular vectors that hold 99 % of the variance, as columns.
///
/// From the eigenvectors of `X^T X`, which is faster than a singular value decomposition and loses
/// digits of small variances only. None is small here: the last one kept is the largest of those
/// that hold the last percent, so at least that percent over their number.
fn leading(representation: &Centered) -> Result<Mat<f64>, Error> {
    let x = &representation.matrix;
    let gram = x.transpose() * x;
    let eigen = gram.self_adjoint_eigen(Side::Lower);
    let eigen = eigen.or_else(|_| no_convergence(NAME))?;
    // They rise; rounding can take the smallest below zero.
    let variances = eigen.S().column_vector().iter().rev();
    let variances: Vec<f64> = variances.map(|variance| variance.max(0.0)).collect();
    let wanted = VARIANCE * variances.iter().sum::<f64>();
    let mut held = 0.0;
    let enough = |variance: &f64| {
        held += variance;
        held >= wanted
    };
    let kept = variances
        .iter()
        .position(enough)
        .map_or(variances.len(), |last| last + 1);
    let directions = eigen.U().subcols(variances.len() - kept, kept);
    let mut leading = x * directions;
    for (column, variance) in leading.col_iter_mut().rev().zip(&variances) {
        column
            .iter_mut()
            .for_each(|entry| *entry /= variance.sqrt());
    }
    Ok(leading)
}
