//! The method in dense float64, from the paper's equations alone (Ma et al. 2024, Eq. 1-3 and 5):
//! own pairing, own products, own derivatives. Slow and plain, so that it can be read against the
//! paper.

mod derivative;
pub(crate) mod hra;
mod matrix;
pub(crate) mod oft;
pub(crate) mod road;

pub(crate) use derivative::{
    angle_gradients, block_gradients, central_differences, penalty, penalty_gradients,
    vector_by_vector,
};
pub(crate) use matrix::Matrix;

/// Entries of one 2x2 block row by row: `[G_ii, G_ij, G_ji, G_jj]`.
type Entries = [f64; 4];

/// The pairs of all levels: at stride `s = 1, 2, 4, ..` every `(i, i + s)` with `i` a multiple of
/// `2s`.
pub(crate) fn pairing(d: usize) -> Vec<Vec<(usize, usize)>> {
    let mut levels = Vec::new();
    let mut s = 1;
    while s < d {
        levels.push(
            (0..d)
                .filter(|i| i.is_multiple_of(2 * s) && i + s < d)
                .map(|i| (i, i + s))
                .collect(),
        );
        s *= 2;
    }
    levels
}

/// One level of neighbors: `(0, 1) (2, 3) ..`, the last of an odd number alone.
pub(crate) fn neighbors(d: usize) -> Vec<Vec<(usize, usize)>> {
    vec![(0..d / 2).map(|k| (2 * k, 2 * k + 1)).collect()]
}

/// Eq. 1: the block of an angle.
pub(crate) fn givens(t: f64) -> Entries {
    [t.cos(), -t.sin(), t.sin(), t.cos()]
}

/// The rotation `R = P_L ... P_1` of dimension `d`.
pub(crate) struct Rotation {
    d: usize,
    /// The pairs of each level with their blocks.
    levels: Vec<Vec<(usize, usize, Entries)>>,
}

impl Rotation {
    /// From the flat entries of `d - 1` blocks, level by level.
    pub(crate) fn new(d: usize, entries: &[f64]) -> Self {
        Self::by(d, pairing(d), entries)
    }

    /// From the pairs of every level and the flat entries of their blocks.
    pub(crate) fn by(d: usize, pairs: Vec<Vec<(usize, usize)>>, entries: &[f64]) -> Self {
        assert_eq!(entries.len(), 4 * pairs.concat().len());
        let mut blocks = entries.chunks_exact(4);
        let mut next = |(i, j)| {
            let block = blocks.next().expect("a block a pair");
            (i, j, [block[0], block[1], block[2], block[3]])
        };
        let levels = pairs
            .into_iter()
            .map(|pairs| pairs.into_iter().map(&mut next).collect())
            .collect();
        Self { d, levels }
    }

    pub(crate) fn strict(d: usize, angles: &[f64]) -> Self {
        let entries: Vec<f64> = angles.iter().flat_map(|t| givens(*t)).collect();
        Self::new(d, &entries)
    }

    /// The dense matrix `P_r` of every level.
    pub(crate) fn level_matrices(&self) -> Vec<Matrix> {
        let dense = |blocks: &Vec<(usize, usize, Entries)>| {
            let mut level = Matrix::identity(self.d);
            for &(i, j, [ii, ij, ji, jj]) in blocks {
                level[(i, i)] = ii;
                level[(i, j)] = ij;
                level[(j, i)] = ji;
                level[(j, j)] = jj;
            }
            level
        };
        self.levels.iter().map(dense).collect()
    }

    /// Eq. 3: the product of all levels, the first on the right.
    pub(crate) fn matrix(&self) -> Matrix {
        product(self.d, &self.level_matrices())
    }

    /// `R v` without forming `R`: each level changes the coordinates of its pairs.
    pub(crate) fn apply(&self, v: &[f64]) -> Vec<f64> {
        let mut v = v.to_vec();
        for (i, j, [ii, ij, ji, jj]) in self.levels.iter().flatten() {
            let (x, y) = (v[*i], v[*j]);
            v[*i] = ii * x + ij * y;
            v[*j] = ji * x + jj * y;
        }
        v
    }

    /// `R^T v`: the levels in opposite order, each transposed.
    pub(crate) fn apply_transpose(&self, v: &[f64]) -> Vec<f64> {
        let mut v = v.to_vec();
        for (i, j, [ii, ij, ji, jj]) in self.levels.iter().rev().flatten() {
            let (x, y) = (v[*i], v[*j]);
            v[*i] = ii * x + ji * y;
            v[*j] = ij * x + jj * y;
        }
        v
    }

    /// Level `r` alone.
    fn only(&self, r: usize) -> Self {
        Self {
            d: self.d,
            levels: vec![self.levels[r].clone()],
        }
    }

    /// With every entry replaced by its magnitude. `|P_L| ... |P_1| |v|` times the depth and the
    /// rounding unit bounds the error of any computation of `R v` level by level (Higham, *Accuracy
    /// and Stability of Numerical Algorithms*, 3.5).
    pub(crate) fn magnitudes(&self) -> Self {
        let magnitude = |&(i, j, block): &(usize, usize, Entries)| (i, j, block.map(f64::abs));
        let levels = self.levels.iter();
        let levels = levels.map(|level| level.iter().map(magnitude).collect());
        Self {
            d: self.d,
            levels: levels.collect(),
        }
    }
}

/// The product of matrices of which the first acts first.
fn product(d: usize, matrices: &[Matrix]) -> Matrix {
    let first = Matrix::identity(d);
    matrices
        .iter()
        .fold(first, |acted, next| next.times(&acted))
}

/// Replaces every vector along `axis` of a rank-3 tensor by its image.
pub(crate) fn along_axis(
    values: &[f64],
    shape: [usize; 3],
    axis: usize,
    image: impl Fn(&[f64]) -> Vec<f64>,
) -> Vec<f64> {
    let mut result = values.to_vec();
    for indices in axis_indices(values.len(), shape, axis) {
        let vector: Vec<f64> = indices.iter().map(|at| values[*at]).collect();
        for (at, value) in indices.into_iter().zip(image(&vector)) {
            result[at] = value;
        }
    }
    result
}

/// The vectors along `axis` of a rank-3 tensor.
pub(crate) fn vectors(values: &[f64], shape: [usize; 3], axis: usize) -> Vec<Vec<f64>> {
    let vectors = axis_indices(values.len(), shape, axis);
    vectors
        .map(|indices| indices.into_iter().map(|at| values[at]).collect())
        .collect()
}

fn axis_indices(count: usize, shape: [usize; 3], axis: usize) -> impl Iterator<Item = Vec<usize>> {
    let stride: usize = shape[axis + 1..].iter().product();
    let d = shape[axis];
    let starts = (0..count).filter(move |at| (at / stride).is_multiple_of(d));
    starts.map(move |start| (0..d).map(|k| start + k * stride).collect())
}
