//! OFT: block-diagonal rotations by the Cayley transform, the method that GOFT sets out to improve.

mod blocks;
mod form;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

#[cfg(feature = "drift")]
pub(crate) use blocks::ABOVE;
use blocks::{cayley, largest_square, neumann, skew_of};
pub(crate) use blocks::{newton_leaves, turn_blocks};

use crate::portable::compute_dtype;

/// How OFT makes a rotation of an axis: its block size, and how it inverts.
///
/// # Example
///
/// ```
/// use burn_goft::Oft;
/// // d = 70: two blocks of 32 and one of 6.
/// assert_eq!(Oft::exact(32).parameter_count(70), 2 * (32 * 31 / 2) + 6 * 5 / 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oft {
    /// Axes that are rotated among each other, at least 2. Where it does not divide the axis, the last block is smaller.
    pub block_size: usize,
    /// Terms of the Neumann series in place of the inverse, at least 1; none for the exact inverse.
    #[serde(default)]
    pub neumann_terms: Option<usize>,
}

impl Oft {
    /// Exactly orthogonal blocks (Qiu et al. 2023).
    pub fn exact(block_size: usize) -> Self {
        Self {
            block_size,
            neumann_terms: None,
        }
    }

    /// The truncated series of OFTv2 (Qiu et al. 2025, which takes 5 terms): no inverse, and orthogonal only near the identity.
    pub fn neumann(block_size: usize, terms: usize) -> Self {
        Self {
            block_size,
            neumann_terms: Some(terms),
        }
    }

    /// Numbers of a rotation of an axis of length `dim`: `b (b - 1) / 2` for each block.
    pub fn parameter_count(&self, dim: usize) -> usize {
        let pairs = |size: usize| size * size.saturating_sub(1) / 2;
        self.full_blocks(dim) * pairs(self.block_size) + pairs(dim % self.block_size)
    }

    /// The blocks `[n, b, b]` of a rotation of an axis of length `dim` from its skew parameters, in a row of
    /// [`parameter_count`](Self::parameter_count): block by block, the entries above the diagonal of `Q` row by row. A smaller last
    /// block is filled up with the identity.
    #[cfg_attr(
        doc,
        doc = r#"$$R = (I + Q)(I - Q)^{-1} \quad\text{or}\quad (I + Q)\Big(I + \sum_{i=1}^{k} Q^i\Big), \qquad Q^\top = -Q$$"#
    )]
    #[cfg_attr(
        not(doc),
        doc = "`R = (I + Q)(I - Q)^-1`, or `(I + Q)(I + Q + .. + Q^k)` with `k` Neumann terms, `Q^T = -Q`"
    )]
    ///
    /// Differentiable; the dtype of the parameters, computed in at least f32. The exact inverse is found by Newton's iteration and
    /// holds to rounding for rotations by up to 179 degrees in blocks of up to 4096; the Cayley transform reaches 180 at infinity only.
    /// Beyond that
    #[cfg_attr(
        feature = "drift",
        doc = "[`oft_bounds`](crate::oft_bounds) says how far from orthogonal the blocks may be."
    )]
    #[cfg_attr(not(feature = "drift"), doc = "the blocks may be far from orthogonal.")]
    ///
    /// Source: Qiu et al. 2023, [arXiv 2306.07280](https://arxiv.org/abs/2306.07280), Section 3.2; Qiu et al. 2025,
    /// [arXiv 2506.19847](https://arxiv.org/abs/2506.19847), Section 3.3.
    ///
    /// # Panics
    ///
    /// If there are not [`parameter_count`](Self::parameter_count) numbers.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::tensor::{Device, Tensor};
    /// use burn_goft::Oft;
    /// // b = 2: R rotates by -2 atan(q), here by -90 degrees.
    /// let q = Tensor::from_floats([1.0], &Device::flex());
    /// let found = Oft::exact(2).blocks(q, 2).into_data().to_vec::<f32>().unwrap();
    /// for (found, expected) in found.iter().zip([0.0, 1.0, -1.0, 0.0]) {
    ///     assert!((found - expected).abs() < 1e-6);
    /// }
    /// # }
    /// ```
    pub fn blocks(&self, skew: Tensor<1>, dim: usize) -> Tensor<3> {
        let dtype = skew.dtype();
        let q = self.computed(skew, dim);
        let blocks = match self.neumann_terms {
            None => cayley(q),
            Some(terms) => neumann(q, terms),
        };
        blocks.cast(dtype)
    }

    /// `Q` in the dtype to compute in.
    fn computed(&self, skew: Tensor<1>, dim: usize) -> Tensor<3> {
        let dtype = skew.dtype();
        self.skew_matrices(skew, dim)
            .cast(compute_dtype(dtype, dtype))
    }

    /// Whether the blocks of these parameters are orthogonal to rounding: those of an exact inverse that Newton's steps reach.
    pub(crate) fn is_orthogonal(&self, skew: Tensor<1>, dim: usize) -> bool {
        let reached = || {
            let squares = largest_square(&self.computed(skew.detach(), dim)).into_data();
            let mut squares = squares.iter::<f64>();
            squares.all(|t| newton_leaves(t) <= f64::EPSILON)
        };
        self.neumann_terms.is_none() && reached()
    }

    fn full_blocks(&self, dim: usize) -> usize {
        dim / self.block_size
    }

    /// The skew parameters, those of a block beyond the radius scaled back to it: `|| R - I ||_F <= 2 || Q ||_F` for the exact inverse.
    pub(crate) fn held_within(&self, skew: Tensor<1>, radius: f64) -> Tensor<1> {
        let [length] = skew.dims();
        let pairs = self.block_size * (self.block_size - 1) / 2;
        let whole = length - length % pairs;
        let parts = [(0, whole, pairs), (whole, length - whole, length - whole)];
        let parts = parts.into_iter().filter(|(_, count, _)| *count > 0);
        let held = parts.map(|(start, count, of_block)| {
            let blocks = skew.clone().narrow(0, start, count);
            let blocks = blocks.reshape([count / of_block, of_block]);
            // Each number stands in Q twice.
            let norm = blocks.clone().square().sum_dim(1).mul_scalar(2.0).sqrt();
            let factor = (norm.mul_scalar(2.0 / radius)).clamp_min(1.0).recip();
            (blocks * factor).reshape([count])
        });
        let held: Vec<_> = held.collect();
        match held.is_empty() {
            true => skew,
            false => Tensor::cat(held, 0),
        }
    }

    /// `Q`, a block each.
    ///
    /// # Panics
    ///
    /// If there are not [`parameter_count`](Self::parameter_count) numbers.
    pub(crate) fn skew_matrices(&self, skew: Tensor<1>, dim: usize) -> Tensor<3> {
        let (found, expected) = (skew.dims()[0], self.parameter_count(dim));
        assert!(
            found == expected,
            "Oft: an axis of length {dim} in blocks of {} needs {expected} skew parameters, found {found}",
            self.block_size
        );
        let (size, rest) = (self.block_size, dim % self.block_size);
        let full = self.full_blocks(dim);
        let split = full * size * (size - 1) / 2;
        let mut matrices = Vec::with_capacity(2);
        if full > 0 {
            let entries = skew
                .clone()
                .narrow(0, 0, split)
                .reshape([full, split / full]);
            matrices.push(skew_of(entries, size));
        }
        if rest > 1 {
            let count = rest * (rest - 1) / 2;
            let matrix = skew_of(skew.narrow(0, split, count).reshape([1, count]), rest);
            matrices.push(matrix.pad([(0, 0), (0, size - rest), (0, size - rest)], 0.0));
        } else if rest == 1 {
            matrices.push(Tensor::zeros(
                [1, size, size],
                (&skew.device(), skew.dtype()),
            ));
        }
        Tensor::cat(matrices, 0)
    }
}
