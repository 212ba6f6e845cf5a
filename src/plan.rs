//! Which axes pair at which level. Plain numbers, no tensors: the one owner of the pairing.

/// The pairing of one dimension: `ceil(log2 d)` levels with `d - 1` pairs in all.
///
/// Level `r = 1, 2, ...` has stride `s = 2^(r-1)` and pairs `(i, i + s)` for every `i` that is a multiple of `2s` with
/// `i + s < d`. Pairs are numbered level by level, inside a level by rising `i`; parameters follow that order.
///
/// ```text
/// d = 8   level 1: (0,1) (2,3) (4,5) (6,7)    level 2: (0,2) (4,6)    level 3: (0,4)
/// d = 5   level 1: (0,1) (2,3)                level 2: (0,2)          level 3: (0,4)
/// ```
///
/// Level `r` touches only coordinates that are multiples of `2^(r-1)`, so all levels together touch `2(d-1)` of them:
/// the work for one vector is `O(d)`.
///
/// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Eq. 2 and Figure 2; other dimensions than
/// powers of two leave the odd coordinate to the next level.
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
}

/// One level `P_r` of a [`RotationPlan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level {
    /// Distance `s = 2^(r-1)` between the two axes of a pair.
    pub stride: usize,
    /// Number of the level's first pair among all pairs of the plan.
    pub first: usize,
    /// Number of pairs in the level.
    pub count: usize,
}

impl RotationPlan {
    /// The plan for vectors of length `dim`.
    ///
    /// # Panics
    ///
    /// Panics if `dim` is zero: there is no vector to rotate.
    pub fn new(dim: usize) -> Self {
        assert!(
            dim > 0,
            "RotationPlan::new(0): a rotation needs at least one axis; pass the length of the rotated axis"
        );
        Self { dim }
    }

    /// Length `d` of the rotated vectors.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of pairs, `d - 1`: one angle (strict) or one 2x2 block (quasi) each.
    pub fn pair_count(&self) -> usize {
        self.dim - 1
    }

    /// Number of levels, `ceil(log2 d)`.
    pub fn level_count(&self) -> usize {
        self.dim.next_power_of_two().trailing_zeros() as usize
    }

    /// The levels, `P_1` (stride 1, first to act) first.
    pub fn levels(&self) -> impl DoubleEndedIterator<Item = Level> + use<> {
        let dim = self.dim;
        (0..self.level_count()).map(move |index| {
            let stride = 1 << index;
            // `reached` coordinates are multiples of the stride; all pairs so far left one coordinate each behind.
            let reached = dim.div_ceil(stride);
            Level {
                stride,
                first: dim - reached,
                count: reached / 2,
            }
        })
    }
}

impl Level {
    /// The level's pairs `(i, i + stride)` by rising `i`.
    ///
    /// ```
    /// # use burn_goft::RotationPlan;
    /// let second = RotationPlan::new(8).levels().nth(1).unwrap();
    /// assert_eq!(second.pairs().collect::<Vec<_>>(), [(0, 2), (4, 6)]);
    /// assert_eq!(second.first, 4);
    /// ```
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + use<> {
        let stride = self.stride;
        (0..self.count).map(move |k| (2 * k * stride, (2 * k + 1) * stride))
    }
}
