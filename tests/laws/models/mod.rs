//! Small models that the life-cycle laws share, filled with seeded numbers.

mod state;

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{
    BatchNorm, BatchNormConfig, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear,
    LinearConfig,
};
use burn::tensor::activation::tanh;
use burn::tensor::{DType, Device, Int, Tensor};
use burn_goft::GoftLinear;
pub(crate) use state::{bits, fill, gradients_by_path, parameters, rewrite, stir, values};

use crate::common;

/// A model that brings its own input, so that one law can be said of all of them.
pub(crate) trait Example: Module {
    fn new(device: &Device) -> Self;

    /// The outputs `[rows, 3]` for a fixed batch.
    fn run(&self) -> Tensor<2>;
}

/// The model with seeded weights.
pub(crate) fn example<M: Example>(device: &Device) -> M {
    fill(M::new(device), 1)
}

pub(crate) fn device_of<M: Module>(model: &M) -> Device {
    model.devices().remove(0)
}

/// Runs a law, a function of a device that is generic over [`Example`], for every example on every
/// device.
macro_rules! for_every_example {
    ($law:ident) => {
        for (_, device) in crate::common::devices() {
            $law::<crate::models::Mlp>(&device);
            $law::<crate::models::GoftMlp>(&device);
            $law::<crate::models::Encoder>(&device);
            $law::<crate::models::Mixed>(&device);
            $law::<crate::models::Nested>(&device);
        }
    };
}
pub(crate) use for_every_example;

fn input<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = common::normal(seed, shape.iter().product());
    common::tensor(&values, shape, device, DType::F32)
}

/// Two layers and a head, the odd sizes chosen so that no rotation is a power of two.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    pub(crate) fc1: Linear,
    pub(crate) fc2: Linear,
    pub(crate) head: Linear,
}

impl Example for Mlp {
    fn new(device: &Device) -> Self {
        Self {
            fc1: LinearConfig::new(7, 12).init(device),
            fc2: LinearConfig::new(12, 5).init(device),
            head: LinearConfig::new(5, 3).init(device),
        }
    }

    fn run(&self) -> Tensor<2> {
        self.forward(input(2, [6, 7], &device_of(self)))
    }
}

impl Mlp {
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = tanh(self.fc1.forward(x));
        self.head.forward(tanh(self.fc2.forward(x)))
    }
}

/// [`Mlp`] with the same fields, adapted on the input side.
#[derive(Module, Debug)]
pub(crate) struct GoftMlp {
    pub(crate) fc1: GoftLinear,
    pub(crate) fc2: GoftLinear,
    pub(crate) head: Linear,
}

impl From<Mlp> for GoftMlp {
    fn from(mlp: Mlp) -> Self {
        Self {
            fc1: mlp.fc1.into(),
            fc2: mlp.fc2.into(),
            head: mlp.head,
        }
    }
}

impl Example for GoftMlp {
    fn new(device: &Device) -> Self {
        Mlp::new(device).into()
    }

    fn run(&self) -> Tensor<2> {
        self.forward(input(2, [6, 7], &device_of(self)))
    }
}

impl GoftMlp {
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = tanh(self.fc1.forward(x));
        self.head.forward(tanh(self.fc2.forward(x)))
    }
}

/// A transformer encoder of burn with a classifier on top.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    pub(crate) encoder: TransformerEncoder,
    pub(crate) head: Linear,
}

impl Example for Encoder {
    fn new(device: &Device) -> Self {
        Self {
            encoder: TransformerEncoderConfig::new(6, 9, 2, 2)
                .with_dropout(0.0)
                .init(device),
            head: LinearConfig::new(6, 3).init(device),
        }
    }

    fn run(&self) -> Tensor<2> {
        let x = input(3, [2, 4, 6], &device_of(self));
        let x = self.encoder.forward(TransformerEncoderInput::new(x));
        self.head.forward(x.mean_dim(1).reshape([2, 6]))
    }
}

/// Everything that is no `Linear`: embedding, norms, a convolution.
#[derive(Module, Debug)]
pub(crate) struct Mixed {
    pub(crate) embedding: Embedding,
    pub(crate) norm: LayerNorm,
    pub(crate) conv: Conv1d,
    pub(crate) batch_norm: BatchNorm,
    pub(crate) head: Linear,
}

impl Example for Mixed {
    fn new(device: &Device) -> Self {
        Self {
            embedding: EmbeddingConfig::new(11, 6).init(device),
            norm: LayerNormConfig::new(6).init(device),
            conv: Conv1dConfig::new(6, 4, 3).init(device),
            batch_norm: BatchNormConfig::new(4).init(device),
            head: LinearConfig::new(4, 3).init(device),
        }
    }

    fn run(&self) -> Tensor<2> {
        let device = device_of(self);
        let tokens = Tensor::<2, Int>::from_data(
            [[1, 5, 9, 2, 0], [10, 3, 3, 7, 4], [6, 8, 1, 2, 2]],
            &device,
        );
        let x = self.norm.forward(self.embedding.forward(tokens));
        let x = self
            .batch_norm
            .forward(self.conv.forward(x.swap_dims(1, 2)));
        self.head.forward(tanh(x).mean_dim(2).reshape([3, 4]))
    }
}

/// Containers in containers.
#[derive(Module, Debug)]
pub(crate) struct Nested {
    pub(crate) blocks: Vec<Block>,
    pub(crate) head: Linear,
}

#[derive(Module, Debug)]
pub(crate) struct Block {
    pub(crate) layers: [Linear; 2],
    pub(crate) gate: Option<Linear>,
    pub(crate) pair: (Linear, GoftLinear),
}

impl Example for Nested {
    fn new(device: &Device) -> Self {
        let linear = || LinearConfig::new(5, 5).init(device);
        let block = |gate| Block {
            layers: [linear(), linear()],
            gate,
            pair: (linear(), linear().into()),
        };
        Self {
            blocks: vec![block(None), block(Some(linear()))],
            head: LinearConfig::new(5, 3).init(device),
        }
    }

    fn run(&self) -> Tensor<2> {
        let mut x = input(4, [4, 5], &device_of(self));
        for block in &self.blocks {
            x = block
                .layers
                .iter()
                .fold(x, |x, layer| tanh(layer.forward(x)));
            if let Some(gate) = &block.gate {
                x = x.clone() * gate.forward(x);
            }
            x = block.pair.1.forward(tanh(block.pair.0.forward(x)));
        }
        self.head.forward(x)
    }
}
