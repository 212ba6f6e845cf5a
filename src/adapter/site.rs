//! What in a parameter is a set of vectors: which axis an adapter rotates.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::numeric::scale_axis;

/// The place of an adapter: the shape of the parameter, the axis along which its vectors lie, and
/// the axis that counts its neurons.
///
/// | container | parameter | shape | axis | neurons |
/// |---|---|---|---|---|
/// | `Linear` | `weight` | `[d_input, d_output]` | 0 | 1 |
/// | `Embedding` | `weight` | `[n_embedding, d_model]` | 1 | 0 |
/// | `Conv1d`, `Conv2d`, `Conv3d`, `DeformConv2d` | `weight` | `[out, in / groups, ..]` | 1 | 0 |
/// | `ConvTranspose1d`, `2d`, `3d` | `weight` | `[in, out / groups, ..]` | 0 | 1 |
/// | any other | any | rank 2 or more | as asked for | the last axis, or the one before it |
///
/// The vectors of an embedding are its rows, not its vocabulary; those of a convolution are its
/// input channels, at every place of the kernel alike. A convolution with groups turns the channels
/// of all groups by one rotation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Site {
    /// The rotated axis.
    pub axis: usize,
    /// The axis of the neurons, which [`NormScale::Neuron`](crate::NormScale::Neuron) scales.
    pub neuron_axis: usize,
    /// The shape of the parameter.
    pub shape: Vec<usize>,
}

/// A container that burn has: its name, the fields that a traversal shows of it, the ranks of its
/// weight, the rotated axis and that of the neurons.
struct Row {
    container: &'static str,
    fields: &'static [&'static str],
    rank: usize,
    axis: usize,
    neuron_axis: usize,
}

impl Row {
    fn is_of(&self, holder: &Holder<'_>, shape: &[usize]) -> bool {
        self.container == holder.container && holder.field == "weight" && self.rank == shape.len()
    }

    fn site(&self, shape: &[usize]) -> Site {
        Site {
            axis: self.axis,
            neuron_axis: self.neuron_axis,
            shape: shape.to_vec(),
        }
    }
}

const fn row(
    container: &'static str,
    fields: &'static [&'static str],
    rank: usize,
    axis: usize,
    neuron_axis: usize,
) -> Row {
    Row {
        container,
        fields,
        rank,
        axis,
        neuron_axis,
    }
}

const SITES: [Row; 9] = [
    row("Struct:Linear", &["weight", "bias"], 2, 0, 1),
    row("Struct:Embedding", &["weight"], 2, 1, 0),
    row("Struct:Conv1d", &["weight", "bias"], 3, 1, 0),
    row("Struct:Conv2d", &["weight", "bias"], 4, 1, 0),
    row("Struct:Conv3d", &["weight", "bias"], 5, 1, 0),
    row("Struct:DeformConv2d", &["weight", "bias"], 4, 1, 0),
    row("Struct:ConvTranspose1d", &["weight", "bias"], 3, 0, 1),
    row("Struct:ConvTranspose2d", &["weight", "bias"], 4, 0, 1),
    row("Struct:ConvTranspose3d", &["weight", "bias"], 5, 0, 1),
];

/// What a traversal shows of the struct that holds a parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder<'a> {
    /// The struct as burn names it: `Struct:Linear`.
    pub(crate) container: &'a str,
    /// The parameter's own name in it.
    pub(crate) field: &'a str,
    /// The names of all its fields that hold parameters or modules, in order.
    pub(crate) fields: &'a [String],
    /// The length of its bias, if it has one.
    pub(crate) bias: Option<usize>,
}

impl Site {
    /// A parameter of this shape whose vectors lie along `axis`; its neurons are counted by the
    /// last axis, or by the one before it where that is the rotated one.
    ///
    /// ```
    /// use burn_goft::Site;
    /// // Stacked weights of 8 experts.
    /// let site = Site::new(1, [8, 64, 256]);
    /// assert_eq!((site.dim(), site.neuron_axis), (64, 2));
    /// ```
    ///
    /// # Panics
    ///
    /// If the shape has fewer than two axes, or no such axis.
    pub fn new(axis: usize, shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        assert!(
            shape.len() >= 2 && axis < shape.len(),
            "Site::new: asked for axis {axis} of shape {shape:?}; a set of vectors has at least two axes, which count from 0"
        );
        let last = shape.len() - 1;
        let neuron_axis = if axis == last { last - 1 } else { last };
        Self {
            axis,
            neuron_axis,
            shape,
        }
    }

    /// Length of the rotated vectors, the `d` of the formulas.
    pub fn dim(&self) -> usize {
        self.shape[self.axis]
    }

    /// Number of neurons.
    pub fn neurons(&self) -> usize {
        self.shape[self.neuron_axis]
    }

    /// The values of the parameter in a row as `[before, length, after]`, `length` being that of an
    /// axis.
    pub(crate) fn vectors(&self, row: Tensor<1>, axis: usize) -> Tensor<3> {
        let before: usize = self.shape[..axis].iter().product();
        let after: usize = self.shape[axis + 1..].iter().product();
        row.reshape([before, self.shape[axis], after])
    }

    /// The values in a row, scaled along an axis.
    pub(crate) fn scale(&self, row: Tensor<1>, scale: Tensor<1>, axis: usize) -> Tensor<1> {
        scale_axis(self.vectors(row, axis), scale, 1).flatten(0, 2)
    }

    /// The site of a weight along an axis that was asked for. Its neurons are those of the
    /// container where that is the container's own axis.
    pub(crate) fn along(axis: usize, holder: &Holder<'_>, shape: &[usize]) -> Self {
        let row = SITES.iter().find(|row| row.is_of(holder, shape));
        match row.filter(|row| row.axis == axis && row.fields == holder.fields) {
            Some(row) => row.site(shape),
            None => Self::new(axis, shape),
        }
    }

    /// The site of a weight in one of burn's own containers; what is wrong with it otherwise.
    pub(crate) fn known(holder: &Holder<'_>, shape: &[usize]) -> Result<Self, String> {
        let ask = "say which axis holds its vectors: `Goft::with_axis(..)`, or for some targets \
                   `Goft::with_override(Override::new(..).with_axis(..))`";
        let Some(row) = SITES.iter().find(|row| row.is_of(holder, shape)) else {
            return Err(format!(
                "it is not the weight of a container whose layout is known; {ask}"
            ));
        };
        // A struct of somebody else's may have the name of burn's and another layout.
        if holder.fields != row.fields {
            return Err(format!(
                "its container has the fields {:?}, burn's own has {:?}, so its layout is not known; {ask}",
                holder.fields, row.fields
            ));
        }
        let site = row.site(shape);
        match holder.bias {
            None if row.container.contains("Transpose") => Err(format!(
                "without a bias nothing tells whether it has several groups, whose channels a rotation would mix; \
                 if it has none, {ask}"
            )),
            Some(length) if row.container.contains("Transpose") && length != site.neurons() => {
                Err(format!(
                    "its bias has {length} values for {} output channels of a group, so it has several groups, \
                     whose channels a rotation would mix; leave it out with `Goft::with_exclude([..])`",
                    site.neurons()
                ))
            }
            Some(length) if length != site.neurons() => Err(format!(
                "its bias has {length} values where burn's own has {}, so its layout is not known; {ask}",
                site.neurons()
            )),
            _ => Ok(site),
        }
    }
}
