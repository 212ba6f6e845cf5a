//! burn's LoRA.

use burn::module::{Lora, Module, ParamGroup};
use burn::tensor::{DType, FloatDType};
use burn_goft::parameters;

use crate::attachment::Attachment;
use crate::error::Error;
use crate::start;

/// Attaches factors of a rank, with scale `alpha / rank` 2.
pub(crate) fn attach<M: Module>(model: M, how: &Attachment) -> Result<M, Error> {
    let targets = parameters(&model).into_iter();
    let targets = targets.filter(|parameter| how.paths.contains(&parameter.path));
    let targets: Vec<_> = targets.collect();
    let low = targets.iter().any(|target| target.dtype != DType::F64);
    let smallest = targets
        .iter()
        .filter_map(|target| Some((*target.shape.iter().min()?, target)));
    if let Some((most, target)) = smallest.min_by_key(|(most, _)| *most)
        && how.rank > most
    {
        return Err(Error::Settings(format!(
            "asked for LoRA of rank {}, and `{}` is {:?}: no matrix has a rank above its smaller \
             side; take 1 to {most}",
            how.rank, target.path, target.shape
        )));
    }
    let mut lora = Lora::new(how.rank, 2.0 * how.rank as f64);
    if low {
        // burn would give the factors the precision of what they stand beside.
        lora = lora.set_dtype(FloatDType::F32);
    }
    let chosen = ParamGroup::from_paths(how.paths.clone());
    let model = model.apply_lora(lora.set_param_group(chosen));
    Ok(start::draw_again(model, how.seed))
}
