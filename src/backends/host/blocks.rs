//! The blocks as the kernels read them: each of the four entries of all blocks in a row.

use super::real::Real;
use crate::pairs::Topology;
use crate::pairs::tree::{self, TreeLevel as Level};

/// `[d-1, 2, 2]`, entry by entry, in the order of the plan.
pub(super) struct Blocks<C> {
    entries: [Vec<C>; 4],
    pub(super) tiers: Vec<Tier>,
}

/// A level as the pyramid sees it: neighbors of a vector of the coordinates that are left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tier {
    pub(super) level: Level,
    /// Number of coordinates, one more than the pairs hold if it is odd.
    pub(super) length: usize,
    /// Where the coordinates of the next tier start in the pyramid's row of firsts.
    pub(super) start: usize,
}

impl Tier {
    /// Number of coordinates of the next tier.
    pub(super) fn half(&self) -> usize {
        self.length.div_ceil(2)
    }
}

impl<C: Real> Blocks<C> {
    pub(super) fn new(blocks: &[C], dim: usize, topology: Topology) -> Self {
        let entry = |index| blocks.iter().skip(index).step_by(4).copied().collect();
        let mut start = 0;
        let levels = match topology {
            Topology::Neighbors => 1,
            _ => usize::MAX,
        };
        let tiers = tree::levels(dim).take(levels).map(|level| {
            let length = dim.div_ceil(level.stride);
            let tier = Tier {
                level,
                length,
                start,
            };
            start += tier.half();
            tier
        });
        Self {
            tiers: tiers.collect(),
            entries: [0, 1, 2, 3].map(entry),
        }
    }

    pub(super) fn dim(&self) -> usize {
        self.tiers.first().map_or(1, |tier| tier.length)
    }

    /// The number of blocks.
    pub(super) fn count(&self) -> usize {
        self.entries[0].len()
    }

    /// The entries `ii, ij, ji, jj` of a level's blocks.
    #[inline(always)]
    pub(super) fn of(&self, level: &Level) -> [&[C]; 4] {
        let span = level.first..level.first + level.count;
        let [ii, ij, ji, jj] = &self.entries;
        [ii, ij, ji, jj].map(|entries| &entries[span.clone()])
    }

    /// The entries of the transposed blocks of a level.
    #[inline(always)]
    pub(super) fn of_transposed(&self, level: &Level) -> [&[C]; 4] {
        let [ii, ij, ji, jj] = self.of(level);
        [ii, ji, ij, jj]
    }

    /// The entries of one block by its number.
    #[inline(always)]
    pub(super) fn block(&self, pair: usize, transpose: bool) -> [C; 4] {
        let [ii, ij, ji, jj] = [0, 1, 2, 3].map(|entry: usize| self.entries[entry][pair]);
        if transpose {
            [ii, ji, ij, jj]
        } else {
            [ii, ij, ji, jj]
        }
    }
}
