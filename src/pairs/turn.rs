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

    /// The turn as one number, by which burn's fusion and its remote backend tell operations apart.
    #[cfg(any(feature = "fusion", feature = "remote"))]
    pub(crate) fn code(self) -> u64 {
        let mut all = Topology::ALL.iter();
        let topology = all
            .position(|one| *one == self.topology)
            .expect("all are there");
        let numbers = [self.axis, usize::from(self.transpose), topology];
        numbers
            .into_iter()
            .fold(0, |code, number| code << 16 | number as u64)
    }

    /// The turn of a number, of those that [`code`](Self::code) gives.
    #[cfg(feature = "remote")]
    pub(crate) fn of_code(code: u64) -> Option<Self> {
        let [topology, transpose, axis] =
            [0, 16, 32].map(|shift| (code >> shift & 0xffff) as usize);
        Some(Self {
            axis,
            transpose: match transpose {
                0 => false,
                1 => true,
                _ => return None,
            },
            topology: *Topology::ALL.get(topology)?,
        })
    }

    /// The same turn by other pairs.
    #[must_use]
    pub fn with_topology(self, topology: Topology) -> Self {
        Self { topology, ..self }
    }
}
