//! What the frozen weights of a model's layers are kept in.

use burn::module::Param;
use burn::tensor::quantization::{QuantScheme, QuantValue, ScaleDtype};
use burn::tensor::{DType, Device, Tensor};
use burn_goft_finetune::Error;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What the weights of the layers' linear maps are kept in while they are frozen. Embeddings, norms,
/// the head and everything that is trained are f32 whatever the base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// As they are computed with.
    #[default]
    F32,
    /// Half the memory, and products in bf16: for devices that compute in it, which CPUs do slowly.
    Bf16,
    /// Packed into eight bits, with a scale for each 32 numbers of a row.
    Q8,
    /// Packed into four bits in the same way; a CPU keeps each in a byte.
    Q4,
}

/// Numbers of a row that have a scale in common.
const BLOCK: usize = 32;

impl Base {
    /// Refuses a device that does not compute in it.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`].
    pub(crate) fn check(self, device: &Device) -> Result<(), Error> {
        match self {
            Self::Bf16 if !device.supports_dtype(DType::BF16) => Err(Error::Settings(format!(
                "the base is to be bf16, and {device:?} does not compute in bf16; take f32, q8 or q4"
            ))),
            _ => Ok(()),
        }
    }

    /// Bytes of so many numbers on a device, with their scales.
    pub(crate) fn bytes(self, numbers: u64, device: &str) -> u64 {
        let in_bytes = matches!(device, "flex" | "ndarray");
        match self {
            Self::Q4 if in_bytes => Self::Q8.bytes(numbers, device),
            Self::F32 => 4 * numbers,
            Self::Bf16 => 2 * numbers,
            Self::Q8 => numbers + 4 * numbers / BLOCK as u64,
            Self::Q4 => numbers / 2 + 4 * numbers / BLOCK as u64,
        }
    }

    /// Whether its numbers are others than the folder's.
    pub fn is_packed(self) -> bool {
        matches!(self, Self::Q8 | Self::Q4)
    }

    /// A layer's weight as it is kept.
    pub(super) fn keep<const D: usize>(self, weight: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => weight,
            Self::Bf16 => weight.cast(DType::BF16),
            Self::Q8 => pack(weight, QuantValue::Q8S),
            Self::Q4 => pack(weight, QuantValue::Q4S),
        }
    }

    /// The parameter with another value, frozen where burn cannot train it.
    pub(super) fn parameter<const D: usize>(
        self,
        old: &Param<Tensor<D>>,
        value: Tensor<D>,
    ) -> Param<Tensor<D>> {
        let trains = self == Self::F32 && value.device().is_autodiff();
        let value = match trains {
            true => value.require_grad(),
            false => value,
        };
        Param::initialized(old.id, value)
    }
}

fn pack<const D: usize>(weight: Tensor<D>, value: QuantValue) -> Tensor<D> {
    let width = weight.dims()[D - 1];
    // The widest block that the row is a multiple of; words hold up to eight values.
    let block = (3..=BLOCK.ilog2()).rev().map(|bits| 1 << bits);
    let block = block.into_iter().find(|block| width.is_multiple_of(*block));
    let Some(block) = block else {
        // No device packs it: a narrow layer, whose memory is no matter.
        return weight;
    };
    let scheme = weight.device().settings().quantization.scheme;
    weight.quantize_dynamic(&scheme_of(scheme, value, block))
}

fn scheme_of(scheme: QuantScheme, value: QuantValue, block: usize) -> QuantScheme {
    let block = u8::try_from(block).expect("at most BLOCK");
    scheme.with_value(value).per_block([block], ScaleDtype::F32)
}
