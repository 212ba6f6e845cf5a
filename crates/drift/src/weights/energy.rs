//! Hyperspherical energy: how evenly the directions of neurons are spread.

use burn::tensor::Tensor;

use super::Weights;
use super::directions::{Directions, has_direction};
use crate::error::Error;
use crate::matrix::Matrix;
use crate::metric::{Column, Metric, Shade};
use crate::read::same_shape;

const NAME: &str = "energy_change";
const ENERGY: &str = "hyperspherical_energy";

pub(super) const METRIC: Metric<Weights> = Metric {
    columns: &[
        Column::new(NAME, "energy"),
        Column::new("energy_before", ""),
        Column::new("energy_after", ""),
    ],
    of: |weights| {
        let [before, after] = measure(&weights.neurons)?;
        Ok([relative(before, after), before, after].into())
    },
    shade: Some(Shade {
        header: "energy",
        distance: |numbers| numbers[0].abs(),
    }),
};

/// The hyperspherical energy of a weight: small where the directions of its neurons are spread
/// evenly.
///
/// Over the neurons, the columns `w_i` of `W [d_input, d_output]`, every two counted in both
/// orders:
#[cfg_attr(
    docsrs,
    doc = r#"$$\mathrm{HE}(W) = \sum_{i \ne j} \lVert \hat w_i - \hat w_j \rVert^{-1}, \qquad \hat w_i = w_i / \lVert w_i \rVert$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`HE(W) = sum over i != j of 1 / |w^_i - w^_j|`, `w^_i = w_i / |w_i|`"
)]
/// Without a unit; grows with the number of pairs, so compare weights of one size only. For many
/// neurons in random directions of a large space every term is near `1 / sqrt(2)`.
///
/// **Blind to** norms and to a rotation that all neurons share. It is one number for all pairs:
/// neurons that trade places keep it.
///
/// Cost: `O(d_output^2 d_input)`.
///
/// Source: Liu et al. 2018, [arXiv 1805.09298](https://arxiv.org/abs/1805.09298), with s = 1 as in
/// Qiu et al. 2023 (OFT), [arXiv 2306.07280](https://arxiv.org/abs/2306.07280), Section 3.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] with fewer than two neurons, if a neuron is zero,
/// which has no direction, or if two have the same direction, where the energy is infinite.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::hyperspherical_energy;
///
/// // Two neurons opposite each other, at distance 2: twice a half.
/// let weight = Tensor::<2>::from_floats([[1.0, -7.0], [0.0, 0.0]], &Device::flex());
/// assert_eq!(hyperspherical_energy(weight)?, 1.0);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn hyperspherical_energy(weight: Tensor<2>) -> Result<f64, Error> {
    energy(&Matrix::finite("the weight", weight)?.transposed())
}

/// How far the [`hyperspherical_energy`] moved, relative to what it was.
///
#[cfg_attr(
    docsrs,
    doc = r#"$$\frac{\mathrm{HE}(W') - \mathrm{HE}(W)}{\mathrm{HE}(W)}$$"#
)]
#[cfg_attr(not(docsrs), doc = "`(HE(W') - HE(W)) / HE(W)`")]
/// Above 0, neurons have come nearer to each other; 0 for a rotation.
///
/// **Blind to** what the energy is blind to.
///
/// # Errors
///
/// The errors of [`hyperspherical_energy`].
///
/// # Panics
///
/// If the shapes differ.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::energy_change;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[1.0, -1.0], [0.0, 0.0]], &device);
/// let after = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device); // orthogonal now
/// let change = energy_change(before, after)?;
/// assert!((change - (2f64.sqrt() - 1.0)).abs() < 1e-12);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn energy_change(before: Tensor<2>, after: Tensor<2>) -> Result<f64, Error> {
    same_shape(NAME, &before, &after);
    let [before, after] = measure(&Weights::whole(&before, &after)?.neurons)?;
    Ok(relative(before, after))
}

fn relative(before: f64, after: f64) -> f64 {
    (after - before) / before
}

/// Before and after, of neurons as rows.
fn measure([before, after]: &[Matrix; 2]) -> Result<[f64; 2], Error> {
    Ok([energy(before)?, energy(after)?])
}

/// What rounding can put between the directions of a vector of this many numbers and of a multiple
/// of it; their norms' grows with the root of the number.
fn rounding(length: usize) -> f64 {
    f64::EPSILON * (8.0 + (length as f64).sqrt() / 4.0)
}

fn energy(neurons: &Matrix) -> Result<f64, Error> {
    if neurons.rows < 2 {
        return Error::undefined(
            ENERGY,
            format!("it needs two neurons, and there is {}", neurons.rows),
        );
    }
    if let Some(zero) = neurons.each_row().position(|neuron| !has_direction(neuron)) {
        return Error::undefined(
            ENERGY,
            format!("neuron {zero} is zero and has no direction"),
        );
    }
    let directions = Directions::of(neurons);
    let same = rounding(neurons.columns);
    let mut energy = 0.0;
    for pair in directions.pairs() {
        let distance = pair.distance();
        if distance <= same {
            return Error::undefined(
                ENERGY,
                "two neurons have the same direction, and the energy is infinite",
            );
        }
        energy += 2.0 / distance;
    }
    Ok(energy)
}
