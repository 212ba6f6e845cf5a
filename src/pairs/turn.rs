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
    #[cfg(any(feature = "fusion", test))]
    pub(crate) fn code(self) -> u64 {
        (self.axis as u64) << 16 | self.topology.number() << 1 | u64::from(self.transpose)
    }

    /// The turn of a number, of those that [`code`](Self::code) gives.
    #[cfg(any(feature = "remote", test))]
    pub(crate) fn of_code(code: u64) -> Option<Self> {
        Some(Self {
            axis: (code >> 16) as usize,
            transpose: code & 1 == 1,
            topology: Topology::of_number(code >> 1 & 0x7fff)?,
        })
    }

    /// The same turn by other pairs.
    #[must_use]
    pub fn with_topology(self, topology: Topology) -> Self {
        Self { topology, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_has_a_number_of_its_own() {
        let mut codes = std::collections::BTreeSet::new();
        for (axis, topology) in
            (0..7).flat_map(|axis| Topology::ALL.iter().map(move |t| (axis, *t)))
        {
            let turn = Turn::new(axis).with_topology(topology);
            for turn in [turn, turn.transposed()] {
                assert_eq!(Turn::of_code(turn.code()), Some(turn));
                assert!(codes.insert(turn.code()), "{turn:?}");
            }
        }
        assert_eq!(Turn::of_code(0x7fff << 1), None);
    }
}
