//! A merge undone.

use burn::module::Reparameterization;
use burn::tensor::{DType, Tensor};

use super::GoftAdapter;
use super::scale::{self, NormScale};
use crate::error::{Error, Problem};
use crate::numeric::count_non_finite;

/// A weight restored by [`GoftAdapter::unmerge`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Unmerged<const D: usize> {
    /// The weight before the merge.
    pub weight: Tensor<D>,
    /// Bound on the condition number of what was undone: the relative error of `weight` is about
    /// this times the rounding of its dtype. 1 for orthogonal rotations without a norm scale.
    pub condition: f64,
}

impl GoftAdapter {
    /// Undoes a merge: `W` from `W* = R diag(s_in) W diag(s_out)`.
    ///
    /// Orthogonal rotations are undone by their transpose, others by the inverse of every block,
    /// levels in opposite order. Exact to rounding: the error grows with [`Unmerged::condition`].
    ///
    /// # Errors
    ///
    /// If a block has no inverse or a scale is zero ([`is_singular`](Error::is_singular)), or if a
    /// parameter is not finite.
    ///
    /// # Panics
    ///
    /// If `merged` does not have the shape of the adapter's [`Site`](crate::Site).
    pub fn unmerge<const D: usize>(&self, merged: Tensor<D>) -> Result<Unmerged<D>, Error> {
        let shape = merged.shape();
        assert!(
            shape.to_vec() == self.site.shape,
            "GoftAdapter::unmerge: found a weight of shape {:?}, and the adapter is for {:?}",
            shape.to_vec(),
            self.site.shape
        );
        let row = merged.reshape([shape.num_elements()]);
        let (weight, condition) = self.unmerge_row(row)?;
        Ok(Unmerged {
            weight: weight.reshape(shape),
            condition,
        })
    }

    /// The weight in a row, from a merged one in a row, and the condition number of what was
    /// undone.
    pub(crate) fn unmerge_row(&self, merged: Tensor<1>) -> Result<(Tensor<1>, f64), Error> {
        unmerge(self, merged)
    }
}

/// See [`GoftAdapter::unmerge`].
fn unmerge(adapter: &GoftAdapter, merged: Tensor<1>) -> Result<(Tensor<1>, f64), Error> {
    refuse_non_finite(adapter)?;
    let largest = largest_condition(merged.dtype());
    let site = adapter.site();
    let (inverse, mut condition) = match adapter.scale_offsets() {
        Some(offsets) => {
            let (inverse, condition) = scale::invert(offsets, largest)?;
            (Some(inverse), condition)
        }
        None => (None, 1.0),
    };
    let unscale = |row: Tensor<1>, asked: NormScale| match &inverse {
        Some(inverse) if adapter.norm_scale() == asked => {
            site.scale(row, inverse.clone(), asked.axis(site))
        }
        _ => row,
    };
    // The neuron scale acted last and is undone first.
    let weight = site.vectors(unscale(merged, NormScale::Neuron), site.axis);
    let parameters: Vec<_> = adapter.rotation_values().map(Tensor::detach).collect();
    let undone = adapter.method().undo(&parameters, weight, 1, largest)?;
    condition *= undone.condition;
    let weight = unscale(undone.tensor.flatten(0, 2), NormScale::Input);
    Ok((weight, condition))
}

fn refuse_non_finite(adapter: &GoftAdapter) -> Result<(), Error> {
    let counts = adapter
        .parameters
        .iter()
        .map(|parameter| count_non_finite(&parameter.param.val().into_data()));
    match counts.sum() {
        0 => Ok(()),
        count => Err(Problem::NonFinite {
            path: GoftAdapter::NAME.into(),
            what: "the adapter".into(),
            count,
            remedy: "no merge with it can be undone; restore the weight from a copy",
        }
        .into()),
    }
}

/// Beyond one over the rounding unit an inverse has no correct digit left.
fn largest_condition(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1.0 / f64::EPSILON,
        DType::F16 => 1024.0,
        DType::BF16 => 128.0,
        _ => 1.0 / f64::from(f32::EPSILON),
    }
}
