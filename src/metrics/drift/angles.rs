//! Angles between neurons.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::directions::{Directions, has_direction};
use super::histogram::Histogram;
use super::host::{Host, alike, undefined};
use crate::error::Error;

const METRIC: &str = "angle_change";

/// How far the angles between neurons moved, in radians. See [`angle_change`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AngleChange {
    /// Mean of `| angle' - angle |` over all pairs.
    pub mean: f64,
    /// Largest.
    pub max: f64,
    /// Pairs compared.
    pub pairs: u64,
    /// Neurons that are zero before or after: they have no direction and are in no pair.
    pub zero_neurons: usize,
    /// All changes.
    pub histogram: Histogram,
}

/// How far the angle between every two neurons of a weight moved, in radians.
///
/// Neurons are the columns `w_i` of `W [d_input, d_output]`, of a weight before and after. Over all pairs `i < j`:
#[cfg_attr(
    doc,
    doc = r#"$$\left| \angle(w'_i, w'_j) - \angle(w_i, w_j) \right|, \qquad \angle(u, v) = \arccos \frac{\langle u, v \rangle}{\lVert u \rVert \lVert v \rVert}$$"#
)]
#[cfg_attr(
    not(doc),
    doc = "`| angle(w'_i, w'_j) - angle(w_i, w_j) |`, `angle(u, v) = arccos <u, v> / (|u| |v|)`"
)]
/// 0 to pi; 0 for a strict adapter, up to rounding: about 1e-7 for f32 weights.
///
/// **Blind to** a rotation that all neurons share, to the neurons' norms, and to anything that happens to a weight with one
/// neuron. That is what GOFT changes and keeps: a strict adapter can turn every representation and measure as zero here.
///
/// Cost: `O(d_output^2 d_input)`.
///
/// Source: the pairwise angles of Qiu et al. 2023, [arXiv 2306.07280](https://arxiv.org/abs/2306.07280), Section 3.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] with fewer than two neurons that are not zero.
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
/// use burn_goft::angle_change;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device);
/// let after = Tensor::<2>::from_floats([[1.0, 3.0], [0.0, 3.0]], &device); // the second neuron, now at 45 degrees
/// let change = angle_change(before, after)?;
/// assert!((change.max - std::f64::consts::FRAC_PI_4).abs() < 1e-7);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn angle_change(before: Tensor<2>, after: Tensor<2>) -> Result<AngleChange, Error> {
    let (before, after) = alike(METRIC, before, after)?;
    measure(&before.transposed(), &after.transposed())
}

/// Of neurons as rows.
pub(super) fn measure(before: &Host, after: &Host) -> Result<AngleChange, Error> {
    let kept: Vec<usize> = (0..before.rows)
        .filter(|index| has_direction(before.row(*index)) && has_direction(after.row(*index)))
        .collect();
    if kept.len() < 2 {
        let (kept, all) = (kept.len(), before.rows);
        return undefined(
            METRIC,
            format!(
                "an angle needs two neurons, and {kept} of {all} are not zero before and after"
            ),
        );
    }
    let zero_neurons = before.rows - kept.len();
    let before = Directions::of(&before.pick_rows(&kept));
    let after = Directions::of(&after.pick_rows(&kept));
    let mut change = AngleChange {
        mean: 0.0,
        max: 0.0,
        pairs: 0,
        zero_neurons,
        histogram: Histogram::new(),
    };
    for (pair, turned) in before.pairs().zip(after.pairs()) {
        let moved = (turned.angle() - pair.angle()).abs();
        change.histogram.add(moved);
        change.mean += moved;
        change.max = change.max.max(moved);
        change.pairs += 1;
    }
    change.mean /= change.pairs as f64;
    Ok(change)
}
