//! Sums over vectors.

use std::ops::Range;

/// Sums of squares that did not overflow and to which nothing vanished that counts.
const PLAIN: Range<f64> = 1e-200..1e200;

/// Euclidean norm, also where a square overflows or vanishes.
pub(crate) fn norm(vector: &[f64]) -> f64 {
    let squares = sum_of_squares(vector);
    if PLAIN.contains(&squares) {
        return squares.sqrt();
    }
    let largest = vector.iter().fold(0.0f64, |max, v| max.max(v.abs()));
    if largest == 0.0 || largest.is_infinite() {
        return largest;
    }
    let squares = vector.iter().map(|v| (v / largest).powi(2));
    largest * squares.sum::<f64>().sqrt()
}

/// In eight lanes, which a processor adds at once; in the same order in every run.
fn sum_of_squares(vector: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (chunks, rest) = vector.as_chunks::<8>();
    for values in chunks {
        lanes
            .iter_mut()
            .zip(values)
            .for_each(|(sum, v)| *sum += v * v);
    }
    lanes
        .iter_mut()
        .zip(rest)
        .for_each(|(sum, v)| *sum += v * v);
    lanes.iter().sum()
}

/// `|u - v|`.
pub(crate) fn distance(u: &[f64], v: &[f64]) -> f64 {
    squared_distance(u, v).sqrt()
}

/// `|u - v|^2`.
pub(crate) fn squared_distance(u: &[f64], v: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let ((u, u_rest), (v, v_rest)) = (u.as_chunks::<8>(), v.as_chunks::<8>());
    for (u, v) in u.iter().zip(v) {
        let differences = u.iter().zip(v).map(|(u, v)| u - v);
        lanes
            .iter_mut()
            .zip(differences)
            .for_each(|(sum, v)| *sum += v * v);
    }
    let differences = u_rest.iter().zip(v_rest).map(|(u, v)| u - v);
    lanes
        .iter_mut()
        .zip(differences)
        .for_each(|(sum, v)| *sum += v * v);
    lanes.iter().sum()
}

/// `v / size` of a vector of this norm, in place of what the buffer held.
pub(crate) fn unit(vector: &[f64], size: f64, buffer: &mut Vec<f64>) {
    buffer.clear();
    // A product is several times faster, and exact enough where the reciprocal is a normal number.
    if (1e-300..1e300).contains(&size) {
        let reciprocal = size.recip();
        buffer.extend(vector.iter().map(|v| v * reciprocal));
    } else {
        buffer.extend(vector.iter().map(|v| v / size));
    }
}
