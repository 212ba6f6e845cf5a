//! OFT in dense float64 from its papers: `R = (I + Q)(I - Q)^-1` (Qiu et al. 2023) and `(I + Q)(I +
//! Q + .. + Q^k)` (Qiu et al. 2025),
//! `Q` skew and block-diagonal; and its derivative by the chain rule.

use burn_goft::Oft;

use super::Matrix;

/// `Q [d, d]`.
pub(crate) fn skew(d: usize, form: Oft, parameters: &[f64]) -> Matrix {
    let mut q = Matrix::new(d, d, vec![0.0; d * d]);
    for ((i, j), p) in places(d, form).zip(parameters) {
        q[(i, j)] = *p;
        q[(j, i)] = -p;
    }
    q
}

/// Where each parameter stands: above the diagonal, in the block that both axes are of.
fn places(d: usize, form: Oft) -> impl Iterator<Item = (usize, usize)> {
    let all = (0..d).flat_map(move |i| (i + 1..d).map(move |j| (i, j)));
    all.filter(move |(i, j)| i / form.block_size == j / form.block_size)
}

/// `R [d, d]`.
pub(crate) fn matrix(d: usize, form: Oft, parameters: &[f64]) -> Matrix {
    let q = skew(d, form, parameters);
    match form.neumann_terms {
        None => Matrix::identity(d).plus(&q).times(&minus_inverse(&q)),
        Some(terms) => {
            let powers = powers(&q, terms);
            let zero = q.minus(&q);
            let series = powers.iter().fold(zero, |sum, power| sum.plus(power));
            Matrix::identity(d).plus(&q).times(&series)
        }
    }
}

/// `dL/dp` from `dL/dR`.
pub(crate) fn gradients(d: usize, form: Oft, parameters: &[f64], of_matrix: &Matrix) -> Vec<f64> {
    let q = skew(d, form, parameters);
    // dL/dQ by each factor of each product.
    let of_skew = match form.neumann_terms {
        // dR = 2 S dQ S with S = (I - Q)^-1, as R = 2 S - I.
        None => {
            let s = minus_inverse(&q).transpose();
            let product = s.times(of_matrix).times(&s);
            product.plus(&product)
        }
        Some(terms) => {
            let powers = powers(&q, terms);
            let mut sum = q.minus(&q);
            for (m, a) in (1..=terms + 1).flat_map(|m| (0..m).map(move |a| (m, a))) {
                let (left, right) = (powers[a].transpose(), powers[m - 1 - a].transpose());
                let term = left.times(of_matrix).times(&right);
                sum = sum.plus(&term);
                // R has every power twice but the last.
                if m <= terms {
                    sum = sum.plus(&term);
                }
            }
            sum
        }
    };
    places(d, form)
        .map(|(i, j)| of_skew[(i, j)] - of_skew[(j, i)])
        .collect()
}

/// `I, Q, .., Q^last`.
fn powers(q: &Matrix, last: usize) -> Vec<Matrix> {
    let mut powers = vec![Matrix::identity(q.rows)];
    for k in 0..last {
        powers.push(q.times(&powers[k]));
    }
    powers
}

/// `(I - Q)^-1`, by elimination: the diagonal of `I - Q` never vanishes on the way, its symmetric
/// part being `I`.
fn minus_inverse(q: &Matrix) -> Matrix {
    let d = q.rows;
    let (mut left, mut right) = (Matrix::identity(d).minus(q), Matrix::identity(d));
    for k in 0..d {
        let pivot = left[(k, k)];
        for column in 0..d {
            left[(k, column)] /= pivot;
            right[(k, column)] /= pivot;
        }
        for row in (0..d).filter(|row| *row != k) {
            let factor = left[(row, k)];
            for column in 0..d {
                let (of_left, of_right) = (left[(k, column)], right[(k, column)]);
                left[(row, column)] -= factor * of_left;
                right[(row, column)] -= factor * of_right;
            }
        }
    }
    right
}

/// Skew parameters of one block in which all planes (0, 1), (2, 3), .. but the last turn by this
/// angle.
pub(crate) fn turning(size: usize, degrees: f64) -> Vec<f64> {
    let places = (0..size).flat_map(|i| (i + 1..size).map(move |j| (i, j)));
    let turns = |(i, j)| i % 2 == 0 && j == i + 1 && j < size - 1;
    let tangent = (degrees.to_radians() / 2.0).tan();
    let entries = places.map(|place| if turns(place) { tangent } else { 0.0 });
    entries.collect()
}
