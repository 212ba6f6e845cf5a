//! Hyperspherical energy: how evenly the directions of neurons are spread.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::directions::{Directions, has_direction};
use super::host::{Host, alike, undefined};
use super::whole::Raw;
use crate::error::Error;

const METRIC: &str = "hyperspherical_energy";

/// The hyperspherical energy before and after. See [`energy_change`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EnergyChange {
    /// [`hyperspherical_energy`] of the weight before.
    pub before: f64,
    /// The same of the weight after.
    pub after: f64,
    /// `(after - before) / before`; above 0, neurons have come nearer to each other.
    pub relative: f64,
}

/// The hyperspherical energy of a weight: small where the directions of its neurons are spread evenly.
///
/// Over the neurons, the columns `w_i` of `W [d_input, d_output]`, every two counted in both orders:
#[cfg_attr(
    doc,
    doc = r#"$$\mathrm{HE}(W) = \sum_{i \ne j} \lVert \hat w_i - \hat w_j \rVert^{-1}, \qquad \hat w_i = w_i / \lVert w_i \rVert$$"#
)]
#[cfg_attr(
    not(doc),
    doc = "`HE(W) = sum over i != j of 1 / |w^_i - w^_j|`, `w^_i = w_i / |w_i|`"
)]
/// Without a unit; grows with the number of pairs, so compare weights of one size only. For many neurons in random directions of
/// a large space every term is near `1 / sqrt(2)`.
///
/// **Blind to** norms and to a rotation that all neurons share. It is one number for all pairs: neurons that trade places keep it.
///
/// Cost: `O(d_output^2 d_input)`.
///
/// Source: Liu et al. 2018, [arXiv 1805.09298](https://arxiv.org/abs/1805.09298), with s = 1 as in Qiu et al. 2023 (OFT),
/// [arXiv 2306.07280](https://arxiv.org/abs/2306.07280), Section 3.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] with fewer than two neurons, if a neuron is zero, which has no direction, or if
/// two have the same direction, where the energy is infinite.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::hyperspherical_energy;
///
/// // Two neurons opposite each other, at distance 2: twice a half.
/// let weight = Tensor::<2>::from_floats([[1.0, -7.0], [0.0, 0.0]], &Device::flex());
/// assert_eq!(hyperspherical_energy(weight)?, 1.0);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn hyperspherical_energy(weight: Tensor<2>) -> Result<f64, Error> {
    energy(&Raw::read(weight).finite("the weight")?.transposed())
}

/// The [`hyperspherical_energy`] before and after, and its relative change.
///
/// # Errors
///
/// Those of [`hyperspherical_energy`].
///
/// # Panics
///
/// If the shapes differ.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::energy_change;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[1.0, -1.0], [0.0, 0.0]], &device);
/// let after = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device); // from opposite to orthogonal
/// let change = energy_change(before, after)?;
/// assert!((change.relative - (2f64.sqrt() - 1.0)).abs() < 1e-12);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn energy_change(before: Tensor<2>, after: Tensor<2>) -> Result<EnergyChange, Error> {
    let (before, after) = alike("energy_change", before, after)?;
    measure(&before.transposed(), &after.transposed())
}

/// Of neurons as rows.
pub(super) fn measure(before: &Host, after: &Host) -> Result<EnergyChange, Error> {
    let (before, after) = (energy(before)?, energy(after)?);
    Ok(EnergyChange {
        before,
        after,
        relative: (after - before) / before,
    })
}

/// What rounding can put between the directions of a vector of this many numbers and of a multiple of it; their norms' grows with the root
/// of the number.
fn rounding(length: usize) -> f64 {
    f64::EPSILON * (8.0 + (length as f64).sqrt() / 4.0)
}

fn energy(neurons: &Host) -> Result<f64, Error> {
    if neurons.rows < 2 {
        return undefined(
            METRIC,
            format!("it needs two neurons, and there is {}", neurons.rows),
        );
    }
    if let Some(zero) = neurons.each_row().position(|neuron| !has_direction(neuron)) {
        return undefined(
            METRIC,
            format!("neuron {zero} is zero and has no direction"),
        );
    }
    let directions = Directions::of(neurons);
    let same = rounding(neurons.columns);
    let mut energy = 0.0;
    for pair in directions.pairs() {
        let distance = pair.distance();
        if distance <= same {
            return undefined(
                METRIC,
                "two neurons have the same direction, and the energy is infinite",
            );
        }
        energy += 2.0 / distance;
    }
    Ok(energy)
}
