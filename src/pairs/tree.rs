//! The tree in closed form, for bodies that know it: every level by its stride alone.

/// One level of the tree: pairs `(i, i + stride)` for every `i` that is a multiple of `2 stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TreeLevel {
    /// Distance `2^(r-1)` between the two coordinates of a pair.
    pub(crate) stride: usize,
    /// Number of the level's first pair among all pairs.
    pub(crate) first: usize,
    /// Number of pairs in the level.
    pub(crate) count: usize,
}

/// The levels for vectors of length `dim`, stride 1 first.
pub(crate) fn levels(dim: usize) -> impl DoubleEndedIterator<Item = TreeLevel> + use<> {
    let count = dim.next_power_of_two().trailing_zeros() as usize;
    (0..count).map(move |index| {
        let stride = 1 << index;
        // `reached` coordinates are multiples of the stride; all pairs so far left one coordinate
        // each behind.
        let reached = dim.div_ceil(stride);
        TreeLevel {
            stride,
            first: dim - reached,
            count: reached / 2,
        }
    })
}

impl TreeLevel {
    pub(crate) fn pairs(self) -> Vec<(usize, usize)> {
        let pair = |k| (2 * k * self.stride, (2 * k + 1) * self.stride);
        (0..self.count).map(pair).collect()
    }
}
