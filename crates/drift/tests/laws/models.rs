//! Small models, filled with seeded numbers.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear,
    LinearConfig,
};
use burn::tensor::{Device, Tensor};
use burn_goft::GoftLinear;

use crate::common;

pub(crate) trait Example: Module {
    fn new(device: &Device) -> Self;
}

/// The model with seeded weights.
pub(crate) fn example<M: Example>(device: &Device) -> M {
    M::new(device).map(&mut Rewrite {
        adapters: 0,
        seed: 1,
        std: None,
    })
}

/// Adds seeded noise to the adapters' parameters, so that a law is said away from the identity.
pub(crate) fn stir<M: Module>(model: M, seed: u64, std: f64) -> M {
    model.map(&mut Rewrite {
        adapters: 0,
        seed,
        std: Some(std),
    })
}

struct Rewrite {
    /// How many of the open modules are reparameterizations.
    adapters: usize,
    seed: u64,
    std: Option<f64>,
}

impl ModuleMapper for Rewrite {
    fn enter_module(&mut self, _name: &str, container_type: &str) {
        self.adapters += usize::from(container_type == "Reparameterization");
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.adapters -= usize::from(container_type == "Reparameterization");
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.seed += 1;
        let noise = common::normal(self.seed, param.lazy_shape().num_elements());
        let values: Vec<f64> = match self.std {
            None => noise.iter().map(|value| 0.4 * value).collect(),
            Some(std) if self.adapters > 0 => {
                let old = common::numbers(&param.base());
                old.iter().zip(noise).map(|(o, n)| o + std * n).collect()
            }
            Some(_) => return param,
        };
        param.map(|old| {
            let new = common::tensor(&values, old.dims(), &old.device(), old.dtype());
            new.set_require_grad(old.is_require_grad())
        })
    }
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
}
