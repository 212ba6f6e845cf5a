//! The rotation by pairs in dense float64, from the paper's equations alone (Ma et al. 2024, Eq.
//! 1-3).

use crate::matrix::Matrix;

/// Eq. 1: the block of an angle, row by row: `[G_ii, G_ij, G_ji, G_jj]`.
pub(crate) fn givens(t: f64) -> [f64; 4] {
    [t.cos(), -t.sin(), t.sin(), t.cos()]
}

/// Eq. 3: the rotation `R = P_L ... P_1` of dimension `d` by the flat entries of its `d - 1`
/// blocks, level by level: at stride `s = 1, 2, 4, ..` every pair `(i, i + s)` with `i` a multiple
/// of `2s`.
pub(crate) fn rotation(d: usize, entries: &[f64]) -> Matrix {
    assert_eq!(entries.len(), 4 * (d - 1));
    let mut blocks = entries.chunks_exact(4);
    let mut rotation = Matrix::identity(d);
    let mut s = 1;
    while s < d {
        for i in (0..d - s).step_by(2 * s) {
            let block = blocks.next().expect("one block per pair");
            for column in 0..d {
                let (x, y) = (rotation[(i, column)], rotation[(i + s, column)]);
                rotation[(i, column)] = block[0] * x + block[1] * y;
                rotation[(i + s, column)] = block[2] * x + block[3] * y;
            }
        }
        s *= 2;
    }
    rotation
}

/// The rotation by these angles.
pub(crate) fn strict(d: usize, angles: &[f64]) -> Matrix {
    rotation(
        d,
        &angles.iter().flat_map(|t| givens(*t)).collect::<Vec<f64>>(),
    )
}
