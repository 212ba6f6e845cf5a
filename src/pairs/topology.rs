//! Which axes pair at which level. Plain numbers, no tensors: the one owner of the pairing.

use serde::{Deserialize, Serialize};

use super::tree;

/// Which coordinates of a vector pair at which level of a rotation.
///
/// A topology is a list of levels for every dimension, each a set of disjoint pairs. The operation
/// is defined for any of them; kernels say which ones they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Topology {
    /// The tree of the GOFT paper: `d - 1` pairs in `ceil(log2 d)` levels. See [`RotationPlan`].
    #[default]
    Tree,
    /// One level of neighbors, `(0, 1) (2, 3) ...`: `floor(d / 2)` pairs. The last coordinate of an
    /// odd number keeps its value.
    Neighbors,
    /// Neighbors, then neighbors shifted by one, then neighbors again: what shows that nothing but
    /// this file knows a topology.
    #[cfg(test)]
    BrickWall,
}

impl Topology {
    /// All of them: what a name in a file is compared with.
    pub(crate) const ALL: &[Self] = &[
        Self::Tree,
        Self::Neighbors,
        #[cfg(test)]
        Self::BrickWall,
    ];

    /// The levels for vectors of length `dim`, the first to act first.
    pub(crate) fn levels(self, dim: usize) -> Vec<Level> {
        let pairs: Vec<Vec<(usize, usize)>> = match self {
            Self::Tree => tree::levels(dim).map(|level| level.pairs()).collect(),
            Self::Neighbors => vec![neighbors(0, dim)],
            #[cfg(test)]
            Self::BrickWall => [0, 1, 0].map(|start| neighbors(start, dim)).into(),
        };
        let mut first = 0;
        let level = |pairs: Vec<_>| {
            let level = Level { first, pairs };
            first += level.count();
            level
        };
        let pairs = pairs.into_iter().filter(|pairs| !pairs.is_empty());
        pairs.map(level).collect()
    }

    /// Number of pairs for vectors of length `dim`.
    pub(crate) fn pair_count(self, dim: usize) -> usize {
        match self {
            Self::Tree => dim - 1,
            Self::Neighbors => dim / 2,
            #[cfg(test)]
            Self::BrickWall => self.levels(dim).iter().map(Level::count).sum(),
        }
    }

    /// What stands for it between a client and a server, in every version the same.
    #[cfg(any(feature = "fusion", test))]
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Tree => 0,
            Self::Neighbors => 1,
            #[cfg(test)]
            Self::BrickWall => 2,
        }
    }

    #[cfg(any(feature = "remote", test))]
    pub(crate) fn of_number(number: u64) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|topology| topology.number() == number)
    }

    /// How the name of a parameter says the topology: the tree says nothing.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Tree => "",
            Self::Neighbors => "_neighbors",
            #[cfg(test)]
            Self::BrickWall => "_brick_wall",
        }
    }
}

fn neighbors(start: usize, dim: usize) -> Vec<(usize, usize)> {
    let firsts = (start..dim.saturating_sub(1)).step_by(2);
    firsts.map(|i| (i, i + 1)).collect()
}

/// The pairing of one dimension, by default the tree: `ceil(log2 d)` levels with `d - 1` pairs in
/// all.
///
/// Level `r = 1, 2, ...` of the tree has stride `s = 2^(r-1)` and pairs `(i, i + s)` for every `i`
/// that is a multiple of `2s` with `i + s < d`. Pairs are numbered level by level, inside a level
/// by rising `i`; parameters follow that order.
///
/// ```text
/// d = 8   level 1: (0,1) (2,3) (4,5) (6,7)    level 2: (0,2) (4,6)    level 3: (0,4)
/// d = 5   level 1: (0,1) (2,3)                level 2: (0,2)          level 3: (0,4)
/// ```
///
/// Level `r` touches only coordinates that are multiples of `2^(r-1)`, so all levels together touch
/// `2(d-1)` of them: the work for one vector is `O(d)`.
///
/// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Eq. 2 and Figure
/// 2; other dimensions than powers of two leave the odd coordinate to the next level.
///
/// # Example
///
/// ```
/// use burn_goft::RotationPlan;
///
/// let plan = RotationPlan::new(5);
/// let pairs: Vec<_> = plan.levels().flat_map(|level| level.pairs().collect::<Vec<_>>()).collect();
/// assert_eq!(pairs, [(0, 1), (2, 3), (0, 2), (0, 4)]);
/// assert_eq!(plan.pair_count(), 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RotationPlan {
    dim: usize,
    topology: Topology,
}

/// One level `P_r` of a [`RotationPlan`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Level {
    first: usize,
    pairs: Vec<(usize, usize)>,
}

impl RotationPlan {
    /// The tree for vectors of length `dim`.
    ///
    /// # Panics
    ///
    /// Panics if `dim` is zero: there is no vector to rotate.
    pub fn new(dim: usize) -> Self {
        Self::with_topology(dim, Topology::default())
    }

    /// The plan of another topology for vectors of length `dim`.
    ///
    /// # Panics
    ///
    /// Panics if `dim` is zero: there is no vector to rotate.
    pub fn with_topology(dim: usize, topology: Topology) -> Self {
        assert!(
            dim > 0,
            "RotationPlan: asked for vectors of length 0, and a rotation needs at least one axis; \
             pass the length of the rotated axis"
        );
        Self { dim, topology }
    }

    /// Length `d` of the rotated vectors.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Which coordinates pair.
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// Number of pairs, `d - 1` for the tree. Each pair has one angle (strict) or one 2x2 block
    /// (quasi).
    pub fn pair_count(&self) -> usize {
        self.topology.pair_count(self.dim)
    }

    /// Number of levels, `ceil(log2 d)` for the tree.
    pub fn level_count(&self) -> usize {
        self.topology.levels(self.dim).len()
    }

    /// Panics unless blocks of these dimensions are one 2x2 block per pair.
    pub(crate) fn check(&self, name: &str, blocks: [usize; 3]) {
        let pairs = self.pair_count();
        assert!(
            blocks == [pairs, 2, 2],
            "{name}: found blocks {blocks:?}, and vectors of length {} need [{pairs}, 2, 2]; pass the plan that \
             the blocks were made for",
            self.dim
        );
    }

    /// The levels, `P_1` (first to act) first.
    pub fn levels(&self) -> impl DoubleEndedIterator<Item = Level> + ExactSizeIterator + use<> {
        self.topology.levels(self.dim).into_iter()
    }
}

impl Level {
    /// Number of the level's first pair among all pairs of the plan.
    pub fn first(&self) -> usize {
        self.first
    }

    /// Number of pairs in the level.
    pub fn count(&self) -> usize {
        self.pairs.len()
    }

    /// The numbers of the level's pairs among all pairs of the plan.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.count()
    }

    /// The level's pairs `(i, j)`, `i < j`, by rising `i`.
    ///
    /// ```
    /// # use burn_goft::RotationPlan;
    /// let second = RotationPlan::new(8).levels().nth(1).unwrap();
    /// assert_eq!(second.pairs().collect::<Vec<_>>(), [(0, 2), (4, 6)]);
    /// assert_eq!(second.first(), 4);
    /// ```
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + '_ {
        self.pairs.iter().copied()
    }
}
