//! RoAd: neighbors are rotated and scaled.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::form::{Field, Form, Undone};
use super::pairs;
use super::penalty::Penalty;
use crate::backends::assert_cosine;
use crate::error::Error;
use crate::pairs::Topology;

/// How many angles and scales RoAd learns for one pair of coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoadScales {
    /// RoAd_1: one angle and one scale, a rotation times a factor.
    #[default]
    One,
    /// RoAd_2: one angle and one scale for each of the two rows of the block.
    Two,
    /// RoAd_4: one angle and one scale for each of the four entries of the block.
    Four,
}

/// Settings of RoAd: each pair of neighbors is rotated and scaled.
///
#[cfg_attr(
    docsrs,
    doc = r#"$$G = \begin{pmatrix} \alpha_{11} \cos\theta_{11} & -\alpha_{12} \sin\theta_{12} \\ \alpha_{21} \sin\theta_{21} & \alpha_{22} \cos\theta_{22} \end{pmatrix}$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`G = [[a11 cos t11, -a12 sin t12], [a21 sin t21, a22 cos t22]]`"
)]
///
/// with all angles and scales of a pair equal (RoAd_1), those of a row equal (RoAd_2), or all of
/// them free (RoAd_4). Angles are in radians; stored scales are their distance from 1. `R` is
/// orthogonal only while every scale is 1 and the angles of a pair are equal. The last of an odd
/// number of coordinates keeps its value.
///
/// The paper rotates the outputs of a layer. Here, as for every method, the vectors of the weight
/// are rotated: for a `Linear`, its inputs.
///
/// Source: Liao and Monz 2024, *3-in-1: 2D Rotary Adaptation for Efficient Finetuning, Efficient
/// Batching and Composability*, [arXiv 2409.00119](https://arxiv.org/abs/2409.00119), Section 3.2.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use burn_goft::{Goft, GoftModule, Road};
///
/// let linear = LinearConfig::new(64, 10).init(&Device::flex());
/// let linear = linear.apply_goft(Goft::road(Road::default()))?;
/// assert_eq!(linear.adapter_report().trainable_parameters(), 2 * 32);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Road {
    /// How many angles and scales each pair has.
    #[serde(default)]
    pub scales: RoadScales,
}

const TOPOLOGY: Topology = Topology::Neighbors;

impl Road {
    /// RoAd with this many angles and scales for each pair.
    #[must_use]
    pub fn new(scales: RoadScales) -> Self {
        Self { scales }
    }

    /// Angles, and scales, of one pair.
    fn count(self) -> usize {
        match self.scales {
            RoadScales::One => 1,
            RoadScales::Two => 2,
            RoadScales::Four => 4,
        }
    }

    fn make_blocks(self, parameters: &[Tensor<1>], dim: usize) -> Tensor<3> {
        let pairs = TOPOLOGY.pair_count(dim);
        // `[pairs, 2, 2]`, whatever is shared being repeated.
        let of_entries = |parameter: &Tensor<1>| {
            let shape = match self.scales {
                RoadScales::One => [pairs, 1, 1],
                RoadScales::Two => [pairs, 2, 1],
                RoadScales::Four => [pairs, 2, 2],
            };
            parameter.clone().reshape(shape).expand([pairs, 2, 2])
        };
        let [angles, offsets] = parameters else {
            panic!(
                "RoAd has angles and scales, found {} parameters",
                parameters.len()
            );
        };
        assert_cosine(angles);
        let (angles, scales) = (of_entries(angles), of_entries(offsets).add_scalar(1.0));
        let (device, dtype) = (angles.device().inner(), angles.dtype());
        let entries = |entries: [[f32; 2]; 2]| {
            Tensor::<2>::from_floats(entries, &device)
                .cast(dtype)
                .reshape([1, 2, 2])
        };
        let turned = angles.clone().cos() * entries([[1.0, 0.0], [0.0, 1.0]])
            + angles.sin() * entries([[0.0, -1.0], [1.0, 0.0]]);
        turned * scales
    }
}

impl Form for Road {
    const NAME: &'static str = "road";

    fn fields(&self, dim: usize) -> Vec<Field> {
        let (pairs, count) = (TOPOLOGY.pair_count(dim), self.count());
        let shape = match self.scales {
            RoadScales::One => vec![pairs],
            RoadScales::Two => vec![pairs, 2],
            RoadScales::Four => vec![pairs, 2, 2],
        };
        vec![
            Field::new(format!("road{count}_angles"), shape.clone()),
            Field::new(format!("road{count}_scale_offsets"), shape),
        ]
    }

    fn read(names: &[&str]) -> Option<Self> {
        let forms = [RoadScales::One, RoadScales::Two, RoadScales::Four].map(Self::new);
        forms.into_iter().find(|form| {
            let mut expected: Vec<_> = form.fields(2).into_iter().map(|field| field.name).collect();
            let mut names = names.to_vec();
            expected.sort();
            names.sort();
            names == expected
        })
    }

    fn turn<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        transpose: bool,
    ) -> Tensor<D> {
        let blocks = self.make_blocks(parameters, x.dims()[axis]);
        pairs::rotate(x, blocks, TOPOLOGY, axis, transpose)
    }

    fn undo<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        largest: f64,
    ) -> Result<Undone<D>, Error> {
        let blocks = self.make_blocks(parameters, x.dims()[axis]);
        pairs::undo(x, blocks, TOPOLOGY, axis, largest)
    }

    fn penalty(&self, parameters: &[Tensor<1>], dim: usize, penalty: Penalty) -> Option<Tensor<1>> {
        pairs::penalty(self.make_blocks(parameters, dim), penalty)
    }

    fn gram_bound(&self, parameters: &[Tensor<1>], dim: usize) -> f64 {
        pairs::gram_bound(self.make_blocks(parameters, dim), TOPOLOGY, dim)
    }

    fn pair_blocks(&self, parameters: &[Tensor<1>], dim: usize) -> Option<Tensor<3>> {
        Some(self.make_blocks(parameters, dim))
    }

    #[cfg(all(test, feature = "flex"))]
    fn examples() -> Vec<Self> {
        [RoadScales::One, RoadScales::Two, RoadScales::Four]
            .map(Self::new)
            .into()
    }
}
