//! Norm scales beside a rotation.

use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::site::Site;
use crate::error::{Error, Problem};
use crate::methods::Field;
use crate::numeric::values;

/// Which norms an adapter may scale beside its rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NormScale {
    /// None: an orthogonal rotation keeps every norm.
    #[default]
    None,
    /// `R diag(s) W` with `s [d_input]`: the "scaler" that the authors' code has by default. It
    /// does not keep the angles between neurons.
    Input,
    /// `R W diag(s)` with `s [d_output]`: scales the norm of each neuron and keeps every angle
    /// between neurons. The paper's ablation calls it GOFT*.
    Neuron,
}

const NAMES: [(&str, NormScale); 2] = [
    ("input_scale_offsets", NormScale::Input),
    ("neuron_scale_offsets", NormScale::Neuron),
];

impl NormScale {
    /// The scale whose parameter has this name.
    pub(crate) fn read(name: &str) -> Option<Self> {
        let row = NAMES.iter().find(|(known, _)| *known == name);
        row.map(|(_, scale)| *scale)
    }

    /// Name, without its axis, and shape of the scale's parameter at a site.
    pub(crate) fn field(self, site: &Site) -> Option<Field> {
        let (name, _) = NAMES.iter().find(|(_, scale)| *scale == self)?;
        Some(Field::new(*name, [site.shape[self.axis(site)]]))
    }

    /// The axis of the weight that is scaled.
    pub(crate) fn axis(self, site: &Site) -> usize {
        match self {
            Self::Neuron => site.neuron_axis,
            Self::Input | Self::None => site.axis,
        }
    }

    /// The parameter at one: a scale is stored as its distance from it, so that weight decay leads
    /// back to the pretrained model.
    pub(crate) fn initial(self, site: &Site, dtype: DType, device: &Device) -> Option<Tensor<1>> {
        let count = self.field(site)?.count();
        Some(Tensor::zeros([count], (device, dtype)))
    }
}

/// `1 / s` of stored offsets, and the condition number of the scale.
pub(crate) fn invert(offsets: Tensor<1>, largest: f64) -> Result<(Tensor<1>, f64), Error> {
    let scale = offsets.detach().add_scalar(1.0);
    let entries = values(scale.clone());
    let max = entries
        .iter()
        .fold(0.0f64, |max, value| max.max(value.abs()));
    let mut condition = 1.0f64;
    for (index, value) in entries.iter().enumerate() {
        let one = max / value.abs();
        if one.is_nan() || one > largest {
            return Err(Problem::Singular {
                what: "scale",
                index,
                condition: one,
            }
            .into());
        }
        condition = condition.max(one);
    }
    Ok((scale.recip(), condition))
}
