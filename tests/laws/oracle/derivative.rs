//! Derivatives by the chain rule, and by differences, which know nothing of it.

use burn_goft::Penalty;

use super::{Matrix, Rotation, product};

/// Beyond this dimension matrices are too many numbers for a test.
const DENSE: usize = 137;

/// `dL/dG` of all blocks, flat, for `y = R v`, or `y = R^T v`, of some vectors with gradients
/// `dL/dy`.
pub(crate) fn block_gradients(
    rotation: &Rotation,
    v: &[Vec<f64>],
    upstream: &[Vec<f64>],
    transpose: bool,
) -> Vec<f64> {
    if rotation.d <= DENSE {
        dense(rotation, v, upstream, transpose)
    } else {
        vector_by_vector(rotation, v, upstream, transpose)
    }
}

/// Through the matrices: `dL/dR = sum g v^T`, `dL/dP_r = (P_L ... P_{r+1})^T dL/dR (P_{r-1} ...
/// P_1)^T`, from level `L` down.
fn dense(rotation: &Rotation, v: &[Vec<f64>], upstream: &[Vec<f64>], transpose: bool) -> Vec<f64> {
    let d = rotation.d;
    let (left, right) = if transpose {
        (v, upstream)
    } else {
        (upstream, v)
    };
    let rows = |vectors: &[Vec<f64>]| Matrix::new(vectors.len(), d, vectors.concat());
    let of_matrix = rows(left).transpose().times(&rows(right));

    let matrices = rotation.level_matrices();
    let mut above = of_matrix;
    let mut of_levels = Vec::new();
    for (r, pairs) in rotation.levels.iter().enumerate().rev() {
        let below = product(d, &matrices[..r]);
        // Transposed, because zeros of the left factor are free.
        let gradient = below.times(&above.transpose());
        let of_pair = |&(i, j, _): &(usize, usize, _)| {
            [(i, i), (j, i), (i, j), (j, j)].map(|at| gradient[at])
        };
        of_levels.push(pairs.iter().flat_map(of_pair).collect::<Vec<_>>());
        above = matrices[r].transpose().times(&above);
    }
    of_levels.reverse();
    of_levels.concat()
}

/// Through the values before every level, one vector after the other.
pub(crate) fn vector_by_vector(
    rotation: &Rotation,
    v: &[Vec<f64>],
    upstream: &[Vec<f64>],
    transpose: bool,
) -> Vec<f64> {
    let levels: Vec<Rotation> = (0..rotation.levels.len())
        .map(|r| rotation.only(r))
        .collect();
    let mut gradients = vec![0.0; 4 * rotation.levels.concat().len()];
    for (v, upstream) in v.iter().zip(upstream) {
        // With y = R^T v the two change places: v comes from the side of level L.
        let (low, high) = if transpose {
            (upstream, v)
        } else {
            (v, upstream)
        };
        let mut below = vec![low.clone()];
        for level in &levels {
            below.push(level.apply(&below[below.len() - 1]));
        }
        let mut above = high.clone();
        let mut last = gradients.len();
        for (r, pairs) in rotation.levels.iter().enumerate().rev() {
            let first = last - 4 * pairs.len();
            let targets = gradients[first..last].chunks_exact_mut(4);
            for (&(i, j, _), target) in pairs.iter().zip(targets) {
                for (sum, (row, column)) in target.iter_mut().zip([(i, i), (i, j), (j, i), (j, j)])
                {
                    *sum += above[row] * below[r][column];
                }
            }
            last = first;
            above = levels[r].apply_transpose(&above);
        }
    }
    gradients
}

/// `dL/dt` of every angle from `dL/dG` of its block: `<dL/dG, dG/dt>`.
pub(crate) fn angle_gradients(angles: &[f64], block_gradients: &[f64]) -> Vec<f64> {
    let of_angle = |(t, gradient): (&f64, &[f64])| {
        let slope = [-t.sin(), -t.cos(), t.cos(), -t.sin()];
        slope.iter().zip(gradient).map(|(s, g)| s * g).sum()
    };
    let gradients = block_gradients.chunks_exact(4);
    angles.iter().zip(gradients).map(of_angle).collect()
}

/// The penalty of flat blocks: `sum <alpha, beta>^2`, or `sum |G^T G - I|_F^2`.
pub(crate) fn penalty(entries: &[f64], penalty: Penalty) -> f64 {
    let of_block = |entries: &[f64]| {
        let gram = Matrix::new(2, 2, entries.to_vec()).gram();
        match penalty {
            Penalty::Paper => gram[(0, 1)].powi(2),
            Penalty::Gram => gram.minus(&Matrix::identity(2)).frobenius().powi(2),
            other => panic!("the oracle has no {other:?}"),
        }
    };
    entries.chunks_exact(4).map(of_block).sum()
}

/// The gradient of [`penalty`]: `G M` with `M` the derivative by the Gram matrix, twice its
/// symmetric part.
pub(crate) fn penalty_gradients(entries: &[f64], penalty: Penalty) -> Vec<f64> {
    let of_block = |entries: &[f64]| {
        let block = Matrix::new(2, 2, entries.to_vec());
        let gram = block.gram();
        let by_gram = match penalty {
            Penalty::Paper => {
                let twice = 2.0 * gram[(0, 1)];
                Matrix::new(2, 2, vec![0.0, twice, twice, 0.0])
            }
            Penalty::Gram => {
                let excess = gram.minus(&Matrix::identity(2));
                let entries = excess.entries.iter().map(|e| 4.0 * e).collect();
                Matrix::new(2, 2, entries)
            }
            other => panic!("the oracle has no {other:?}"),
        };
        block.times(&by_gram).entries
    };
    entries.chunks_exact(4).flat_map(of_block).collect()
}

/// The gradient of `f` by central differences.
pub(crate) fn central_differences(at: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let shifted = |index: usize, step: f64| {
        let mut point = at.to_vec();
        point[index] += step;
        f(&point)
    };
    let slope = |index| (shifted(index, STEP) - shifted(index, -STEP)) / (2.0 * STEP);
    (0..at.len()).map(slope).collect()
}
