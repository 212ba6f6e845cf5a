//! Subspaces of the leading singular directions.

use burn::tensor::Tensor;

use super::Weights;
use super::factors::Factors;
use crate::error::Error;
use crate::metric::{Column, Metric, Shade};
use crate::read::same_shape;

const NAME: &str = "subspace_similarity";

pub(super) const METRIC: Metric<Weights> = Metric {
    columns: &[Column::new(NAME, "subspace")],
    of: |weights| {
        let k = weights.directions.min(weights.neurons[0].rows);
        Ok([measure(weights.factors()?, k)?].into())
    },
    shade: Some(Shade {
        header: "1 - subspace",
        distance: |numbers| 1.0 - numbers[0],
    }),
};

/// How much of the space that a weight reads most is still read most: the overlap of the top `k`
/// left singular directions.
///
/// With `U_k [d_input, k]`, the singular vectors of the `k` largest singular values on the input
/// side of `W [d_input, d_output]`:
#[cfg_attr(
    docsrs,
    doc = r#"$$\phi = \frac{\lVert U_k^\top U'_k \rVert_F^2}{k} \in [0, 1]$$"#
)]
#[cfg_attr(not(docsrs), doc = "`phi = || U_k^T U'_k ||_F^2 / k`")]
/// The mean squared cosine of the angles between the two subspaces: 1 for the same one, 0 for
/// orthogonal ones. Two random ones have `k / d_input`.
///
/// **Blind to** singular values, to what happens inside the subspace, and to the output side. Where
/// `sigma_k` and `sigma_{k+1}` are nearly equal, as in a random weight, the subspace itself is an
/// accident of rounding and moves far with little cause.
///
/// Cost: `O(d_input d_output min(d_input, d_output))`.
///
/// Source: Hu et al. 2022 (LoRA), [arXiv 2106.09685](https://arxiv.org/abs/2106.09685), Eq. 4 with
/// i = j = k.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] if either weight has fewer than `k` singular values
/// that are not zero (to rounding).
///
/// # Panics
///
/// If the shapes differ, or `k` is not in `1..=min(d_input, d_output)`.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::subspace_similarity;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[5.0, 0.0], [0.0, 1.0], [0.0, 0.0]], &device);
/// let after = Tensor::<2>::from_floats([[0.0, 0.0], [0.0, 1.0], [5.0, 0.0]], &device); // axis 0 as 2
/// assert!(subspace_similarity(before.clone(), after.clone(), 1)?.abs() < 1e-12);
/// assert!((subspace_similarity(before, after, 2)? - 0.5).abs() < 1e-12);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn subspace_similarity(before: Tensor<2>, after: Tensor<2>, k: usize) -> Result<f64, Error> {
    same_shape(NAME, &before, &after);
    let [d_input, d_output] = before.dims();
    let most = d_input.min(d_output);
    assert!(
        (1..=most).contains(&k),
        "{NAME}: asked for {k} directions of a weight [{d_input}, {d_output}]; pass 1 to {most}"
    );
    measure(Weights::whole(&before, &after)?.factors()?, k)
}

fn measure([before, after]: &[Factors; 2], k: usize) -> Result<f64, Error> {
    if k == 0 {
        return Error::undefined(NAME, "asked for no direction");
    }
    for (side, factors) in [("before", before), ("after", after)] {
        let rank = factors.rank();
        if rank < k {
            return Error::undefined(
                NAME,
                format!("asked for {k} directions, and the weight {side} has rank {rank}"),
            );
        }
    }
    let leading = |factors: &Factors| factors.directions.subcols(0, k).to_owned();
    let overlap = leading(before).transpose() * leading(after);
    Ok((overlap.norm_l2().powi(2) / k as f64).min(1.0))
}
