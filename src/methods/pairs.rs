//! What methods share whose rotation is made of 2x2 blocks on pairs.

use burn::tensor::Tensor;

use super::form::Undone;
use super::inverse;
use super::penalty::{self, Penalty};
use crate::error::Error;
use crate::numeric::larger;
use crate::pairs::{RotationPlan, Topology, Turn, quasi_bounds, turn};

/// `R`, or `R^T`, along an axis of `x`.
pub(super) fn rotate<const D: usize>(
    x: Tensor<D>,
    blocks: Tensor<3>,
    topology: Topology,
    axis: usize,
    transpose: bool,
) -> Tensor<D> {
    let asked = Turn {
        axis,
        transpose,
        topology,
    };
    turn("GoftAdapter", x, blocks, asked)
}

/// `R^-1` along an axis of `x`: the inverse of every block, levels in opposite order.
pub(super) fn undo<const D: usize>(
    x: Tensor<D>,
    blocks: Tensor<3>,
    topology: Topology,
    axis: usize,
    largest: f64,
) -> Result<Undone<D>, Error> {
    let blocks = blocks.detach();
    let plan = RotationPlan::with_topology(x.dims()[axis], topology);
    // Rounding can take a condition of one below it.
    let condition = larger(quasi_bounds(blocks.clone(), plan).condition, 1.0);
    let (inverses, _) = inverse::of_blocks(blocks, largest)?;
    Ok(Undone {
        tensor: rotate(x, inverses, topology, axis, true),
        condition,
    })
}

pub(super) fn penalty(blocks: Tensor<3>, penalty: Penalty) -> Option<Tensor<1>> {
    Some(penalty::of_blocks(blocks, penalty))
}

pub(super) fn gram_bound(blocks: Tensor<3>, topology: Topology, dim: usize) -> f64 {
    quasi_bounds(blocks, RotationPlan::with_topology(dim, topology)).gram_spectral
}

/// The suffix of a topology's name, of those that `read` takes: `name` without it.
pub(super) fn topology_of(name: &str, prefix: &str) -> Option<Topology> {
    let suffix = name.strip_prefix(prefix)?;
    Topology::ALL
        .iter()
        .copied()
        .find(|topology| topology.suffix() == suffix)
}
