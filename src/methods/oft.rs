//! OFT: block-diagonal rotations by the Cayley transform.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::cayley::{cayley, largest_square, neumann, newton_leaves, skew_of, turn_blocks};
use super::excess::of_matrices;
use super::form::{Field, Form, Undone};
use super::inverse;
use super::penalty::Penalty;
use crate::error::Error;
use crate::numeric::compute_dtype;
use crate::product::{exact, exactly};

/// Settings of OFT: the block size, and how a block's rotation is made of its parameters.
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
#[non_exhaustive]
pub struct Oft {
    /// Coordinates that are rotated among each other, at least 2. Where it does not divide their
    /// number, the last block is smaller; a vector that is shorter is one block. Sizes and numbers
    /// of terms out of range are refused when they are attached
    /// ([`is_invalid_setting`](Error::is_invalid_setting)).
    pub block_size: usize,
    /// Terms of the Neumann series in place of the inverse, 1 to 4096; none for the exact inverse.
    #[serde(default)]
    pub neumann_terms: Option<usize>,
}

impl Oft {
    /// Exactly orthogonal blocks (Qiu et al. 2023).
    #[must_use]
    pub fn exact(block_size: usize) -> Self {
        Self {
            block_size,
            neumann_terms: None,
        }
    }

    /// The truncated series of OFTv2 (Qiu et al. 2025, which takes 5 terms): no inverse, and
    /// orthogonal only near the identity.
    #[must_use]
    pub fn neumann(block_size: usize, terms: usize) -> Self {
        Self {
            block_size,
            neumann_terms: Some(terms),
        }
    }

    /// Number of parameters for vectors of length `dim`: `b (b - 1) / 2` for each block.
    ///
    /// # Panics
    ///
    /// If the block size is 0.
    pub fn parameter_count(&self, dim: usize) -> usize {
        let pairs = |size: usize| size * size.saturating_sub(1) / 2;
        self.full_blocks(dim) * pairs(self.size(dim)) + pairs(dim % self.size(dim))
    }

    /// The blocks `[n, b, b]` of a rotation of an axis of length `dim` from its skew parameters, in
    /// a row of [`parameter_count`](Self::parameter_count): block by block, the entries above the
    /// diagonal of `Q` row by row. A smaller last block is filled up with the identity.
    #[cfg_attr(
        docsrs,
        doc = r#"$$R = (I + Q)(I - Q)^{-1} \quad\text{or}\quad (I + Q)\Big(I + \sum_{i=1}^{k} Q^i\Big), \qquad Q^\top = -Q$$"#
    )]
    #[cfg_attr(
        not(docsrs),
        doc = "`R = (I + Q)(I - Q)^-1`, or `(I + Q)(I + Q + .. + Q^k)` with `k` Neumann terms, `Q^T = -Q`"
    )]
    ///
    /// Differentiable; the dtype of the parameters, computed in at least f32. The exact inverse is
    /// found by Newton's iteration and holds to rounding for rotations by up to 179 degrees in
    /// blocks of up to 4096; the Cayley transform reaches 180 at infinity only.
    /// [`oft_bounds`](crate::oft_bounds) says how far from orthogonal the blocks may be beyond
    /// that, and by the series.
    ///
    /// Both forms have the sign of the papers. PEFT's exact form is the inverse of this one; its
    /// series is not.
    ///
    /// Source: Qiu et al. 2023, [arXiv 2306.07280](https://arxiv.org/abs/2306.07280), Section 3.2;
    /// Qiu et al. 2025, [arXiv 2506.19847](https://arxiv.org/abs/2506.19847), Section 3.3.
    ///
    /// # Panics
    ///
    /// If there are not [`parameter_count`](Self::parameter_count) parameters.
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

    /// Whether the blocks of these parameters are orthogonal to rounding: those of an exact inverse
    /// that Newton's steps reach.
    fn is_orthogonal(&self, skew: Tensor<1>, dim: usize) -> bool {
        let reached = || {
            let squares = largest_square(&self.computed(skew.detach(), dim)).into_data();
            let mut squares = squares.iter::<f64>();
            squares.all(|t| newton_leaves(t) <= f64::EPSILON)
        };
        self.neumann_terms.is_none() && reached()
    }

    /// A block larger than the vector is one of the vector's length, and at least a pair.
    fn size(&self, dim: usize) -> usize {
        self.block_size.min(dim.max(2))
    }

    fn full_blocks(&self, dim: usize) -> usize {
        dim / self.size(dim)
    }

    /// The skew parameters, those of a block beyond the radius scaled back to it:
    /// `|| R - I ||_F <= 2 || Q ||_F` for the exact inverse.
    fn held_within(&self, skew: Tensor<1>, radius: f64) -> Tensor<1> {
        let [length] = skew.dims();
        let pairs = self.block_size * (self.block_size - 1) / 2;
        let whole = length - length % pairs;
        let parts = [(0, whole, pairs), (whole, length - whole, length - whole)];
        let parts = parts.into_iter().filter(|(_, count, _)| *count > 0);
        let held = parts.map(|(start, count, of_block)| {
            let blocks = skew.clone().narrow(0, start, count);
            let blocks = blocks.reshape([count / of_block, of_block]);
            // Each parameter stands in Q twice.
            let norm = blocks.clone().square().sum_dim(1).mul_scalar(2.0).sqrt();
            let factor = (norm.mul_scalar(2.0 / radius)).clamp_min(1.0).recip();
            (blocks * factor).reshape([count])
        });
        let held: Vec<_> = held.collect();
        if held.is_empty() {
            return skew;
        }
        Tensor::cat(held, 0)
    }

    /// `Q`, one matrix per block.
    ///
    /// # Panics
    ///
    /// If there are not [`parameter_count`](Self::parameter_count) parameters.
    pub(super) fn skew_matrices(&self, skew: Tensor<1>, dim: usize) -> Tensor<3> {
        let (found, expected) = (skew.dims()[0], self.parameter_count(dim));
        assert!(
            found == expected,
            "Oft: an axis of length {dim} in blocks of {} needs {expected} skew parameters, found {found}",
            self.block_size
        );
        let (size, rest) = (self.size(dim), dim % self.size(dim));
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

/// Terms beyond this would not converge to more digits than an f64 has, for any `Q` they converge
/// for.
const MOST_TERMS: usize = 4096;

impl Form for Oft {
    const NAME: &'static str = "oft";

    fn check(&self) -> Result<(), String> {
        if !(2..1 << 28).contains(&self.block_size) {
            return Err(format!(
                "a block needs at least 2 coordinates; found {}, take a size such as 32",
                self.block_size
            ));
        }
        match self.neumann_terms {
            Some(terms) if !(1..=MOST_TERMS).contains(&terms) => Err(format!(
                "a Neumann series needs 1 to {MOST_TERMS} terms; found {terms}, take a number such as 5"
            )),
            _ => Ok(()),
        }
    }

    fn fields(&self, dim: usize) -> Vec<Field> {
        let name = match self.neumann_terms {
            None => format!("skew_b{}", self.block_size),
            Some(terms) => format!("skew_b{}_k{terms}", self.block_size),
        };
        vec![Field::new(name, [self.parameter_count(dim)])]
    }

    fn read(names: &[&str]) -> Option<Self> {
        let [name] = names else { return None };
        let numbers = name.strip_prefix("skew_b")?;
        let (size, terms) = match numbers.split_once("_k") {
            None => (numbers, None),
            Some((size, terms)) => (size, Some(terms.parse().ok()?)),
        };
        let form = Self {
            block_size: size.parse().ok()?,
            neumann_terms: terms,
        };
        // One spelling for each form, and none that does not work.
        (form.check().is_ok() && form.fields(2)[0].name == *name).then_some(form)
    }

    fn turn<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        transpose: bool,
    ) -> Tensor<D> {
        let blocks = self.blocks(parameters[0].clone(), x.dims()[axis]);
        turn_blocks(x, blocks, axis, transpose)
    }

    fn undo<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        largest: f64,
    ) -> Result<Undone<D>, Error> {
        let (skew, dim) = (parameters[0].clone().detach(), x.dims()[axis]);
        let blocks = self.blocks(skew.clone(), dim);
        let (inverses, condition) = if self.is_orthogonal(skew, dim) {
            (blocks, 1.0)
        } else {
            inverse::of_blocks(blocks, largest)?
        };
        Ok(Undone {
            tensor: exactly(|| turn_blocks(x, inverses, axis, true)),
            condition,
        })
    }

    fn penalty(
        &self,
        parameters: &[Tensor<1>],
        dim: usize,
        _penalty: Penalty,
    ) -> Option<Tensor<1>> {
        // An exact inverse is orthogonal to rounding as far as Newton's steps reach.
        if self.is_orthogonal(parameters[0].clone(), dim) {
            return None;
        }
        let dtype = parameters[0].dtype();
        let skew = parameters[0].clone().cast(compute_dtype(dtype, dtype));
        let blocks = self.blocks(skew, dim);
        let gram = exact(blocks.clone().transpose(), blocks);
        let [_, size, _] = gram.dims();
        let identity = Tensor::<2>::eye(size, &gram.device().inner()).cast(gram.dtype());
        Some((gram - identity.unsqueeze::<3>()).square().sum())
    }

    fn project(&self, parameters: &[Tensor<1>], radius: f64) -> Option<Vec<Tensor<1>>> {
        Some(vec![self.held_within(parameters[0].clone(), radius)])
    }

    fn gram_bound(&self, parameters: &[Tensor<1>], dim: usize) -> f64 {
        let matrices = self.skew_matrices(parameters[0].clone().detach(), dim);
        of_matrices(matrices, self.neumann_terms)
            .map_or(f64::INFINITY, |bounds| bounds.gram_spectral)
    }

    #[cfg(all(test, feature = "flex"))]
    fn examples() -> Vec<Self> {
        vec![
            Self::exact(4),
            Self::exact(32),
            Self::neumann(4, 5),
            Self::neumann(3, 4),
        ]
    }
}
