//! Angles between neurons.

use burn::tensor::Tensor;

use super::Weights;
use super::directions::{Directions, has_direction};
use crate::error::Error;
use crate::histogram::Histogram;
use crate::matrix::Matrix;
use crate::metric::{Column, Metric, Reading, Shade};
use crate::read::same_shape;
use crate::spread::Spread;

const NAME: &str = "angle_change";

pub(super) const METRIC: Metric<Weights> = Metric {
    columns: &[
        Column::new(NAME, "angle rad"),
        Column::new("angle_change_max", "most"),
    ],
    of: |weights| {
        let (change, histogram) = measure(&weights.neurons)?;
        Ok(Reading {
            histogram: Some(histogram),
            ..[change.mean, change.max].into()
        })
    },
    shade: Some(Shade {
        header: "angle (rad)",
        distance: |numbers| numbers[0],
    }),
};

/// How far the angle between every two neurons of a weight moved, in radians.
///
/// Neurons are the columns `w_i` of `W [d_input, d_output]`, of a weight before and after. Over all
/// pairs `i < j`:
#[cfg_attr(
    docsrs,
    doc = r#"$$\left| \angle(w'_i, w'_j) - \angle(w_i, w_j) \right|, \qquad \angle(u, v) = \arccos \frac{\langle u, v \rangle}{\lVert u \rVert \lVert v \rVert}$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`| angle(w'_i, w'_j) - angle(w_i, w_j) |`, `angle(u, v) = arccos <u, v> / (|u| |v|)`"
)]
/// 0 to pi; 0 for a rotation, up to rounding: about 1e-7 for f32 weights. Neurons that are zero
/// before or after have no direction and are left out; [`Spread::count`] is the number of pairs.
///
/// **Blind to** a rotation that all neurons share, to the neurons' norms, and to anything that
/// happens to a weight with one neuron. That is what GOFT changes and keeps: a strict adapter can
/// turn every representation and measure as zero here.
///
/// Cost: `O(d_output^2 d_input)`.
///
/// Source: the pairwise angles of Qiu et al. 2023,
/// [arXiv 2306.07280](https://arxiv.org/abs/2306.07280), Section 3.
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
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::angle_change;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device);
/// let after = Tensor::<2>::from_floats([[1.0, 3.0], [0.0, 3.0]], &device); // one now at 45 degrees
/// let change = angle_change(before, after)?;
/// assert!((change.max - std::f64::consts::FRAC_PI_4).abs() < 1e-7);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn angle_change(before: Tensor<2>, after: Tensor<2>) -> Result<Spread, Error> {
    same_shape(NAME, &before, &after);
    Ok(measure(&Weights::whole(&before, &after)?.neurons)?.0)
}

/// How often the angle between two neurons moved by how much: the distribution of which
/// [`angle_change`] is the summary.
///
/// **Blind to** what [`angle_change`] is blind to.
///
/// # Errors
///
/// The errors of [`angle_change`].
///
/// # Panics
///
/// If the shapes differ.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::angle_histogram;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[1.0, 0.0, -2.0], [0.0, 5.0, 0.0]], &device);
/// let after = Tensor::<2>::from_floats([[1.0, 7.0, -2.0], [0.0, 7.0, 0.0]], &device);
/// let histogram = angle_histogram(before, after)?;
/// // The second neuron turned by 45 degrees, so two of three angles moved by that much.
/// let bin = (std::f64::consts::FRAC_PI_4 / histogram.width) as usize;
/// assert_eq!((histogram.counts[0], histogram.counts[bin]), (1, 2));
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn angle_histogram(before: Tensor<2>, after: Tensor<2>) -> Result<Histogram, Error> {
    same_shape("angle_histogram", &before, &after);
    Ok(measure(&Weights::whole(&before, &after)?.neurons)?.1)
}

/// The change of the angles between neurons, which are rows.
fn measure([before, after]: &[Matrix; 2]) -> Result<(Spread, Histogram), Error> {
    let directed = |index: &usize| [before, after].map(|side| has_direction(side.row(*index)));
    let kept: Vec<usize> = (0..before.rows)
        .filter(|index| directed(index) == [true, true])
        .collect();
    let of = |side: &Matrix| Directions::of(&side.pick(&kept));
    let (of_before, of_after) = (of(before), of(after));
    let pairs = of_before.pairs().zip(of_after.pairs());
    let mut histogram = Histogram::new();
    let changes = pairs.map(|(pair, turned)| (turned.angle() - pair.angle()).abs());
    let changes = changes.inspect(|change| histogram.add(*change));
    match Spread::of(changes, before.rows - kept.len()) {
        Some(spread) => Ok((spread, histogram)),
        None => Error::undefined(
            NAME,
            format!(
                "an angle needs two neurons, and {} of {} are not zero before and after",
                kept.len(),
                before.rows
            ),
        ),
    }
}
