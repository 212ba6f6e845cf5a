//! Hugging Face's tensors into a [`CausalLm`].

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor, TensorData};
use burn_goft_finetune::Error;
use hf_folder::{HfFolder, floats};

use super::base::Base;
use crate::config::DecoderConfig;
use crate::model::CausalLm;

/// What a tensor of the head is called; a folder of a tied model may hold a copy of the table.
pub(crate) const HEAD: &str = "lm_head.weight";

/// The table of embeddings.
pub(crate) const TABLE: &str = "model.embed_tokens.weight";

/// Numbers that are computed from the settings, which files of some versions carry along.
const COMPUTED: &str = "rotary_emb.inv_freq";

/// Whether the folder has a head that is not the table of embeddings.
pub(super) fn has_other_head(files: &HfFolder) -> Result<bool, Error> {
    let (Ok(head), Ok(table)) = (files.tensor(HEAD), files.tensor(TABLE)) else {
        return Ok(false);
    };
    let values = |tensor: &hf_folder::Tensor<'_>| tensor.read().map_err(error);
    Ok(head.shape() != table.shape()
        || head.dtype() != table.dtype()
        || values(&head)? != values(&table)?)
}

/// Puts the folder's values into a model.
pub(super) fn load(
    model: CausalLm,
    config: &DecoderConfig,
    files: &HfFolder,
    base: Base,
) -> Result<CausalLm, Error> {
    let mut filling = Filling {
        files,
        base,
        names: Vec::new(),
        containers: Vec::new(),
        read: BTreeSet::new(),
        error: None,
    };
    let model = model.map(&mut filling);
    if let Some(error) = filling.error {
        return Err(error);
    }
    let known = |name: &str| {
        filling.read.contains(name) || config.tied && name == HEAD || name.ends_with(COMPUTED)
    };
    match files.tensors().find(|tensor| !known(tensor.name())) {
        None => Ok(model),
        Some(tensor) => Err(Error::Tensor {
            path: tensor.file().into(),
            tensor: tensor.name().into(),
            reason: format!(
                "has no place in the {} of {} layers that config.json describes; the two do not belong together",
                config.kind.name,
                config.layers.len()
            ),
        }),
    }
}

/// An error of the folder as one of the application.
pub(crate) fn error(error: hf_folder::Error) -> Error {
    match error {
        hf_folder::Error::Io {
            action,
            path,
            source,
        } => Error::Io {
            action,
            path,
            source,
        },
        hf_folder::Error::Folder { path, reason } => Error::Model { path, reason },
        hf_folder::Error::Tensor {
            path,
            tensor,
            reason,
        } => Error::Tensor {
            path,
            tensor,
            reason,
        },
        hf_folder::Error::Hub {
            model,
            file,
            reason,
        } => Error::Hub {
            model,
            file,
            reason,
        },
        other => Error::other(other),
    }
}

/// Whether a struct that holds a parameter is a linear layer, as a traversal calls it.
pub(crate) fn is_linear(container: &str) -> bool {
    container == "Struct:Linear"
}

struct Filling<'a> {
    files: &'a HfFolder,
    base: Base,
    names: Vec<String>,
    containers: Vec<String>,
    read: BTreeSet<String>,
    /// The first; nothing is read behind it.
    error: Option<Error>,
}

impl Filling<'_> {
    /// What the parameter at hand is kept in: linear weights of the layers in the base.
    fn base(&self) -> Base {
        let in_layers = self.names.iter().any(|name| name == "layers");
        let is_weight = self.names.last().is_some_and(|name| name == "weight");
        let linear = self.containers.last().is_some_and(|last| is_linear(last));
        match in_layers && is_weight && linear {
            true => self.base,
            false => Base::F32,
        }
    }

    /// The values of a parameter of this shape, in its own order.
    fn values(&mut self, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let name = self.names.join(".");
        let tensor = self.files.tensor(&name).map_err(error)?;
        let refuse = |reason: String| Error::Tensor {
            path: tensor.file().into(),
            tensor: name.clone(),
            reason,
        };
        // PyTorch's linear layers have the outputs first.
        let transposed =
            self.containers.last().is_some_and(|last| is_linear(last)) && shape.len() == 2;
        let mut expected = shape.to_vec();
        if transposed {
            expected.reverse();
        }
        if tensor.shape() != expected {
            return Err(refuse(format!(
                "has shape {:?}, and config.json asks for {expected:?}",
                tensor.shape()
            )));
        }
        let values = floats::decode(tensor.dtype(), &tensor.read().map_err(error)?);
        let values = values.ok_or_else(|| {
            refuse(format!(
                "is stored as {:?}, and weights are read as f32, f16 and bf16; take the model in one of those",
                tensor.dtype()
            ))
        })?;
        self.read.insert(name);
        Ok(match transposed {
            true => transpose(&values, shape[0], shape[1]),
            false => values,
        })
    }
}

/// `[columns, rows]` as `[rows, columns]`, in blocks that a cache holds.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut turned = vec![0.0; values.len()];
    for row in (0..rows).step_by(BLOCK) {
        for column in (0..columns).step_by(BLOCK) {
            for r in row..rows.min(row + BLOCK) {
                for c in column..columns.min(column + BLOCK) {
                    turned[r * columns + c] = values[c * rows + r];
                }
            }
        }
    }
    turned
}

impl ModuleMapper for Filling<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.names.push(name.into());
        self.containers.push(container_type.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.names.pop();
        self.containers.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        let (shape, device) = (param.lazy_shape(), param.lazy_device());
        match self.values(&shape) {
            Ok(values) => {
                let data = TensorData::new(values, shape);
                let tensor = Tensor::from_data(data, (&device, DType::F32));
                let base = self.base();
                base.parameter(&param, base.keep(tensor))
            }
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}
