//! Folding adapters into weights, and taking them out again.

use burn::module::{Module, Reparameterization};
use burn::tensor::{DType, Tensor, TensorData};

use crate::adapter::{GoftAdapter, Unmerged, scale_axis};
use crate::error::Error;
use crate::goft::{Kind, NormScale};
use crate::metrics::{Block, quasi_bounds};
use crate::oft::turn_blocks;
use crate::rotate::rotate_transpose;
use crate::walk;

/// See [`merge_goft`](crate::GoftModule::merge_goft).
pub(crate) fn merge<M: Module>(model: M) -> Result<M, Error> {
    check_mergeable(&model)?;
    Ok(model.materialize())
}

fn check_mergeable<M: Module>(model: &M) -> Result<(), Error> {
    let adapters = walk::adapters(model);
    if adapters.is_empty() {
        return Err(Error::NotAdapted { asked: "merge" });
    }
    if walk::any_switched_off(model) {
        return Err(Error::Disabled { asked: "merge" });
    }
    // Paths first, then one weight at a time: a model's weights need not fit in memory twice.
    for path in adapters.keys() {
        let entries = walk::entries(model, |entry| entry.path == *path);
        let base = entries
            .into_iter()
            .find_map(|entry| Some((entry.values?, entry.shape)));
        let (values, shape) = base.expect("an adapter sits on a parameter");
        let merged =
            adapters[path].rotate_weight(values.without_autodiff().reshape([shape[0], shape[1]]));
        let count = non_finite(merged);
        if count > 0 {
            return Err(Error::NonFinite {
                path: path.clone(),
                what: "the merged weight".into(),
                count,
                remedy: "nothing was merged; load an adapter from before the training diverged",
            });
        }
    }
    Ok(())
}

fn non_finite(tensor: Tensor<2>) -> usize {
    let finite = tensor.is_finite().into_data();
    finite.iter::<bool>().filter(|finite| !finite).count()
}

/// See [`GoftAdapter::unmerge`].
pub(crate) fn unmerge(adapter: &GoftAdapter, merged: Tensor<2>) -> Result<Unmerged, Error> {
    refuse_non_finite(adapter)?;
    let largest = largest_condition(merged.dtype());
    let mut condition = 1.0;
    let mut weight = merged;
    let scale = match adapter.scale_parameter() {
        Some(scale) => {
            let (inverse, of_scale) = invert_scale(scale.val(), largest)?;
            condition *= of_scale;
            Some(inverse)
        }
        None => None,
    };
    // The neuron scale acted last and is undone first.
    if let (Some(inverse), NormScale::Neuron) = (&scale, adapter.norm_scale()) {
        weight = scale_axis(weight, inverse.clone(), 1);
    }
    weight = match adapter.kind() {
        Kind::Strict => rotate_transpose(weight, adapter.blocks().detach(), 0),
        Kind::Quasi => {
            let (inverses, of_blocks) = invert_blocks(adapter.blocks().detach(), largest)?;
            condition *= of_blocks;
            rotate_transpose(weight, inverses, 0)
        }
        Kind::Oft => {
            let (inverses, of_blocks) = oft_inverses(adapter, weight.dims()[0], largest)?;
            condition *= of_blocks;
            turn_blocks(weight, inverses, 0, true)
        }
    };
    if let (Some(inverse), NormScale::Input) = (scale, adapter.norm_scale()) {
        weight = scale_axis(weight, inverse, 0);
    }
    Ok(Unmerged { weight, condition })
}

fn refuse_non_finite(adapter: &GoftAdapter) -> Result<(), Error> {
    let scale = adapter.scale_parameter().map(|scale| scale.val().to_data());
    let rotation = match adapter.skew_parameter() {
        Some(skew) => skew.val(),
        None => adapter.blocks().flatten::<1>(0, 2),
    };
    // An adapter for one input has no number.
    let rotation = (rotation.dims()[0] > 0).then(|| rotation.into_data());
    let values = [scale, rotation].into_iter().flatten();
    let values = values.flat_map(|data| data.iter::<f64>().collect::<Vec<_>>());
    match values.filter(|value| !value.is_finite()).count() {
        0 => Ok(()),
        count => Err(Error::NonFinite {
            path: GoftAdapter::NAME.into(),
            what: "the adapter".into(),
            count,
            remedy: "no merge with it can be undone; restore the weight from a copy",
        }),
    }
}

/// The inverses of all blocks, transposed, so that the transposed rotation by them undoes the rotation; and its condition.
fn invert_blocks(blocks: Tensor<3>, largest: f64) -> Result<(Tensor<3>, f64), Error> {
    let (device, dtype, shape) = (blocks.device(), blocks.dtype(), blocks.dims());
    let condition = quasi_bounds(blocks.clone()).condition;
    let entries: Vec<f64> = blocks.into_data().iter().collect();
    let mut inverses = Vec::with_capacity(entries.len());
    for (index, entries) in entries.chunks_exact(4).enumerate() {
        let block = Block::from_rows(entries);
        let condition = block.condition();
        if condition.is_nan() || condition > largest {
            return Err(Error::Singular {
                what: "block",
                index,
                condition,
            });
        }
        inverses.extend(block.inverse_transpose());
    }
    let data = TensorData::new(inverses, shape).convert_dtype(dtype);
    Ok((Tensor::from_data(data, (&device, dtype)), condition))
}

/// The blocks whose transpose undoes the rotation, and its condition.
fn oft_inverses(
    adapter: &GoftAdapter,
    dim: usize,
    largest: f64,
) -> Result<(Tensor<3>, f64), Error> {
    let (Some(form), Some(skew)) = (adapter.oft(), adapter.skew_parameter()) else {
        unreachable!("an OFT adapter has both");
    };
    let skew = skew.val().detach();
    let blocks = form.blocks(skew.clone(), dim);
    match form.is_orthogonal(skew, dim) {
        true => Ok((blocks, 1.0)),
        false => crate::inverse::of_blocks(blocks, largest),
    }
}

fn invert_scale(scale: Tensor<1>, largest: f64) -> Result<(Tensor<1>, f64), Error> {
    let values: Vec<f64> = scale.to_data().iter().collect();
    let max = values
        .iter()
        .fold(0.0f64, |max, value| max.max(value.abs()));
    let mut condition = 1.0f64;
    for (index, value) in values.iter().enumerate() {
        let of_value = max / value.abs();
        if of_value.is_nan() || of_value > largest {
            return Err(Error::Singular {
                what: "scale",
                index,
                condition: of_value,
            });
        }
        condition = condition.max(of_value);
    }
    Ok((scale.detach().recip(), condition))
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
