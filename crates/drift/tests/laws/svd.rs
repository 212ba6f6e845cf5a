//! The singular value decomposition by one-sided Jacobi rotations (Hestenes 1958): slow, accurate,
//! and nobody's library.

use crate::matrix::Matrix;

/// `A = U diag(values) V^T`, values falling; only as many as `A` has columns.
pub(crate) struct Svd {
    /// Left singular vectors, as columns.
    pub(crate) u: Matrix,
    pub(crate) values: Vec<f64>,
}

/// The decomposition of any matrix: one with more columns than rows has zeros among its values.
pub(crate) fn svd(a: &Matrix) -> Svd {
    // Columns as rows, to have them together.
    let mut columns: Vec<Vec<f64>> = rows(&a.transpose());
    let scale = a.frobenius();
    for _sweep in 0..80 {
        let mut off = 0.0f64;
        for p in 0..columns.len() {
            for q in p + 1..columns.len() {
                off = off.max(orthogonalize(&mut columns, p, q, scale));
            }
        }
        if off <= 1e-15 {
            return sorted(columns, a.rows);
        }
    }
    panic!("Jacobi's method did not converge");
}

pub(crate) fn singular_values(a: &Matrix) -> Vec<f64> {
    let mut values = svd(a).values;
    values.truncate(a.rows.min(a.columns));
    values
}

/// Turns two columns until they are orthogonal; returns the cosine that was between them.
fn orthogonalize(columns: &mut [Vec<f64>], p: usize, q: usize, scale: f64) -> f64 {
    let (pp, qq) = (dot(&columns[p], &columns[p]), dot(&columns[q], &columns[q]));
    let pq = dot(&columns[p], &columns[q]);
    // Columns of rounding alone have no angle between them.
    if pp.min(qq).sqrt() <= 1e-16 * scale || pq == 0.0 {
        return 0.0;
    }
    let half_cotangent = (qq - pp) / (2.0 * pq);
    let sign = if half_cotangent < 0.0 { -1.0 } else { 1.0 };
    let tangent = sign / (half_cotangent.abs() + half_cotangent.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    for k in 0..columns[p].len() {
        let (x, y) = (columns[p][k], columns[q][k]);
        columns[p][k] = cosine * x - sine * y;
        columns[q][k] = sine * x + cosine * y;
    }
    pq.abs() / (pp * qq).sqrt()
}

fn sorted(mut columns: Vec<Vec<f64>>, rows: usize) -> Svd {
    let norm = |column: &Vec<f64>| dot(column, column).sqrt();
    columns.sort_by(|a, b| norm(b).total_cmp(&norm(a)));
    let values: Vec<f64> = columns.iter().map(norm).collect();
    let unit = columns.iter().zip(&values);
    let unit = unit.flat_map(|(column, value)| column.iter().map(move |entry| entry / value));
    let u = Matrix::new(columns.len(), rows, unit.collect()).transpose();
    Svd { u, values }
}

pub(crate) fn rows(a: &Matrix) -> Vec<Vec<f64>> {
    a.entries
        .chunks_exact(a.columns)
        .map(<[f64]>::to_vec)
        .collect()
}

pub(crate) fn dot(u: &[f64], v: &[f64]) -> f64 {
    u.iter().zip(v).map(|(u, v)| u * v).sum()
}
