//! What every call of the operation says beside its tensors.

use super::topology::Topology;

/// Which axis of a tensor is rotated, in which direction, by which pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Turn {
    /// The rotated axis.
    pub axis: usize,
    /// `false`: `R v`, level 1 first. `true`: `R^T v`, the last level first with transposed blocks.
    pub transpose: bool,
    /// Which coordinates pair at which level.
    pub topology: Topology,
}

impl Turn {
    /// `R` along `axis`, the pairs being those of the tree.
    #[must_use]
    pub fn new(axis: usize) -> Self {
        Self {
            axis,
            transpose: false,
            topology: Topology::default(),
        }
    }

    /// `R^T` instead of `R`, and `R` instead of `R^T`.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            transpose: !self.transpose,
            ..self
        }
    }

    /// The same turn by other pairs.
    #[must_use]
    pub fn with_topology(self, topology: Topology) -> Self {
        Self { topology, ..self }
    }
}
