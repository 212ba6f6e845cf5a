//! qGOFT: free blocks on pairs, and the penalties that hold them near orthogonal.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::form::{Field, Form, Undone};
use super::pairs;
use super::penalty::{self, Penalty};
use crate::error::Error;
use crate::pairs::Topology;

/// Quasi-orthogonal (qGOFT) blocks: one free 2x2 matrix per pair, its columns named as in the
/// paper.
///
/// ```text
///            [ alpha1  beta1 ]  i
///   G~_ij =  [ alpha2  beta2 ]  j
/// ```
///
/// Nothing in the blocks themselves keeps `R` orthogonal; a [`Penalty`] in the loss does, softly.
///
/// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Eq. 5.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::{Penalty, QuasiGivens};
///
/// let device = Device::flex();
/// // Columns (1, 1) and (1, 0): <alpha, beta> = 1.
/// let sheared = QuasiGivens::from_blocks(Tensor::from_floats([[[1.0, 1.0], [1.0, 0.0]]], &device));
/// assert_eq!(sheared.penalty(Penalty::Paper).into_scalar::<f32>(), 1.0);
/// // |alpha|^2 - 1 = 1, |beta|^2 - 1 = 0, twice the inner product squared.
/// assert_eq!(sheared.penalty(Penalty::Gram).into_scalar::<f32>(), 3.0);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct QuasiGivens {
    blocks: Tensor<3>,
}

impl QuasiGivens {
    /// From blocks `[d-1, 2, 2]` in the order of [`RotationPlan`](crate::RotationPlan). Their
    /// number is checked where they rotate, not here.
    #[must_use]
    pub fn from_blocks(blocks: Tensor<3>) -> Self {
        Self { blocks }
    }

    /// The blocks `[d-1, 2, 2]`, rows `(i, j)`, for [`rotate`](fn@crate::rotate).
    pub fn blocks(&self) -> Tensor<3> {
        self.blocks.clone()
    }

    /// The penalty summed over all blocks, `[1]`, without its strength (the paper's lambda). See
    /// [`Penalty`]. Differentiable; the dtype of the blocks.
    pub fn penalty(&self, penalty: Penalty) -> Tensor<1> {
        penalty::of_blocks(self.blocks.clone(), penalty)
    }
}

/// Settings of qGOFT: which coordinates pair.
///
/// The stored parameters are the blocks less the identity, `[d-1, 2, 2]`, so that weight decay
/// leads back to the pretrained model instead of shrinking the layer.
///
/// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Section 4.3.
///
/// # Example
///
/// ```
/// use burn_goft::{Goft, Quasi};
/// assert_eq!(Goft::new(Quasi::default()), Goft::quasi());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Quasi {
    /// Which coordinates pair at which level.
    #[serde(default)]
    pub topology: Topology,
}

const PREFIX: &str = "block_offsets";

impl Quasi {
    /// Other pairs than those of the tree.
    ///
    /// ```
    /// use burn_goft::{Quasi, Topology};
    /// let quasi = Quasi::default().with_topology(Topology::Neighbors);
    /// assert_eq!(quasi.topology, Topology::Neighbors);
    /// ```
    #[must_use]
    pub fn with_topology(self, topology: Topology) -> Self {
        Self { topology }
    }

    fn make_blocks(self, parameters: &[Tensor<1>], dim: usize) -> Tensor<3> {
        let offsets = parameters[0].clone();
        let pairs = self.topology.pair_count(dim);
        let identity = Tensor::<2>::eye(2, &offsets.device().inner()).cast(offsets.dtype());
        offsets.reshape([pairs, 2, 2]) + identity.reshape([1, 2, 2])
    }
}

impl Form for Quasi {
    const NAME: &'static str = "qgoft";

    fn fields(&self, dim: usize) -> Vec<Field> {
        let name = format!("{PREFIX}{}", self.topology.suffix());
        vec![Field::new(name, [self.topology.pair_count(dim), 2, 2])]
    }

    fn read(names: &[&str]) -> Option<Self> {
        let [name] = names else { return None };
        let topology = pairs::topology_of(name, PREFIX)?;
        Some(Self { topology })
    }

    fn turn<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        transpose: bool,
    ) -> Tensor<D> {
        let blocks = self.make_blocks(parameters, x.dims()[axis]);
        pairs::rotate(x, blocks, self.topology, axis, transpose)
    }

    fn undo<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        largest: f64,
    ) -> Result<Undone<D>, Error> {
        let blocks = self.make_blocks(parameters, x.dims()[axis]);
        pairs::undo(x, blocks, self.topology, axis, largest)
    }

    fn penalty(&self, parameters: &[Tensor<1>], dim: usize, penalty: Penalty) -> Option<Tensor<1>> {
        pairs::penalty(self.make_blocks(parameters, dim), penalty)
    }

    fn gram_bound(&self, parameters: &[Tensor<1>], dim: usize) -> f64 {
        pairs::gram_bound(self.make_blocks(parameters, dim), self.topology, dim)
    }

    fn pair_blocks(&self, parameters: &[Tensor<1>], dim: usize) -> Option<Tensor<3>> {
        Some(self.make_blocks(parameters, dim))
    }

    #[cfg(all(test, feature = "flex"))]
    fn examples() -> Vec<Self> {
        vec![Self::default()]
    }
}
