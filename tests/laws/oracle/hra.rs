//! HRA in dense float64 from its paper (Yuan et al. 2024): the product of reflections, each a
//! matrix, and its derivative by the product rule.

use burn_goft::Hra;

use super::Matrix;

/// `R = H_r .. H_1`, as `R^T = H_1 .. H_r`.
pub(crate) fn matrix(d: usize, form: Hra, parameters: &[f64]) -> Matrix {
    super::product(d, &reflections(d, form, parameters))
}

/// `H_i = I - 2 u_i u_i^T / |u_i|^2`.
fn reflections(d: usize, form: Hra, parameters: &[f64]) -> Vec<Matrix> {
    let reflection = |u: &[f64]| {
        let squared = dot(u, u);
        let mut h = Matrix::identity(d);
        for i in 0..d {
            for j in 0..d {
                h[(i, j)] -= 2.0 * u[i] * u[j] / squared;
            }
        }
        h
    };
    assert_eq!(parameters.len(), form.reflections * d);
    parameters.chunks_exact(d).map(reflection).collect()
}

/// `dL/du` of every vector from `dL/dR`: with `A = dL/dH`, `-2 (A + A^T) u / |u|^2 + 4 (u^T A u) u
/// / |u|^4`.
pub(crate) fn gradients(d: usize, form: Hra, parameters: &[f64], of_matrix: &Matrix) -> Vec<f64> {
    let reflections = reflections(d, form, parameters);
    let mut above = of_matrix.clone();
    let mut by_vector = Vec::new();
    for (i, u) in parameters.chunks_exact(d).enumerate().rev() {
        // R = (H_r .. H_{i+1}) H_i (H_{i-1} .. H_1), and what is left of H_i is in `above`.
        let below = super::product(d, &reflections[..i]);
        let of_reflection = above.times(&below.transpose());
        let squared = dot(u, u);
        let column = Matrix::new(d, 1, u.to_vec());
        let (one, other) = (
            of_reflection.times(&column).entries,
            of_reflection.transpose().times(&column).entries,
        );
        let quadratic = dot(u, &one);
        let of_vector = (0..d).map(|k| {
            -2.0 * (one[k] + other[k]) / squared + 4.0 * quadratic * u[k] / squared.powi(2)
        });
        by_vector.push(of_vector.collect::<Vec<_>>());
        above = reflections[i].times(&above);
    }
    by_vector.reverse();
    by_vector.concat()
}

fn dot(u: &[f64], v: &[f64]) -> f64 {
    u.iter().zip(v).map(|(a, b)| a * b).sum()
}

/// `|| I - U U^T ||_F^2` of the unit vectors (Yuan et al. 2024, Eq. 7).
pub(crate) fn penalty(d: usize, form: Hra, parameters: &[f64]) -> f64 {
    let unit = parameters.chunks_exact(d).flat_map(|u| {
        let length = dot(u, u).sqrt();
        u.iter().map(move |x| x / length)
    });
    let unit = Matrix::new(form.reflections, d, unit.collect());
    let gram = unit.times(&unit.transpose());
    let excess = gram.minus(&Matrix::identity(form.reflections));
    excess.frobenius().powi(2)
}
