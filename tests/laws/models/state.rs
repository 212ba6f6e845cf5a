//! A model's parameters, written and read from outside.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};

use crate::common;

/// Replaces every parameter by seeded numbers.
pub(crate) fn fill<M: Module>(model: M, seed: u64) -> M {
    model.map(&mut Rewrite {
        names: Vec::new(),
        adapters: 0,
        seed,
        std: None,
    })
}

/// Adds seeded noise to the adapters' parameters, so that a law is said away from the identity.
pub(crate) fn stir<M: Module>(model: M, seed: u64, std: f64) -> M {
    model.map(&mut Rewrite {
        names: Vec::new(),
        adapters: 0,
        seed,
        std: Some(std),
    })
}

struct Rewrite {
    names: Vec<String>,
    /// How many of the open modules are reparameterizations.
    adapters: usize,
    seed: u64,
    std: Option<f64>,
}

impl ModuleMapper for Rewrite {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.names.push(name.to_string());
        self.adapters += usize::from(container_type == "Reparameterization");
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.names.pop();
        self.adapters -= usize::from(container_type == "Reparameterization");
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.seed += 1;
        let length = param.lazy_shape().num_elements();
        let noise = common::normal(self.seed, length);
        let variance = self.names.last().is_some_and(|name| name == "running_var");
        let values: Vec<f64> = match self.std {
            None if variance => noise.iter().map(|value| 0.5 + value.abs()).collect(),
            None => noise.iter().map(|value| 0.4 * value).collect(),
            Some(std) if self.adapters > 0 => {
                let name = self.names.last().expect("a parameter has a name");
                let start = reflections(name, length, self.seed);
                let old = start.unwrap_or_else(|| common::numbers(&param.base()));
                old.iter().zip(noise).map(|(o, n)| o + std * n).collect()
            }
            Some(_) => return param,
        };
        rewrite(param, &values)
    }
}

/// Vectors that are random where an adapter starts, and equal in pairs: seeded ones of the same
/// distribution.
fn reflections(name: &str, length: usize, seed: u64) -> Option<Vec<f64>> {
    let r: usize = name.strip_prefix("reflections_r")?.parse().ok()?;
    let d = length / r;
    let vector = |pair: usize| {
        let vector = common::normal(1000 * seed + pair as u64, d).into_iter();
        vector.map(|value| value / (d as f64).sqrt())
    };
    Some((0..r).flat_map(|k| vector(k / 2)).collect())
}

/// The parameter with other values, its id and training state as they were.
pub(crate) fn rewrite<const D: usize>(param: Param<Tensor<D>>, values: &[f64]) -> Param<Tensor<D>> {
    param.map(|old| {
        let new = common::tensor(values, old.dims(), &old.device(), old.dtype());
        new.set_require_grad(old.is_require_grad())
    })
}

/// One float parameter as a law sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) id: ParamId,
    pub(crate) trainable: bool,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    /// Exact, and unlike numbers equal to themselves when they are not numbers.
    pub(crate) bits: Vec<u64>,
}

/// Every float parameter by path, adapters included.
pub(crate) fn parameters<M: Module>(model: &M) -> BTreeMap<String, Held> {
    #[derive(Default)]
    struct Reader {
        names: Vec<String>,
        found: BTreeMap<String, Held>,
    }
    impl ModuleVisitor for Reader {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.names.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.names.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let base = param.base();
            let held = Held {
                id: param.id,
                trainable: param.is_require_grad(),
                dtype: base.dtype(),
                shape: base.dims().to_vec(),
                bits: bits(&base),
            };
            self.found.insert(self.names.join("."), held);
        }
    }
    let mut reader = Reader::default();
    model.visit(&mut reader);
    reader.found
}

/// Only the values of [`parameters`].
pub(crate) fn values<M: Module>(model: &M) -> BTreeMap<String, Vec<u64>> {
    let held = parameters(model).into_iter();
    held.map(|(path, held)| (path, held.bits)).collect()
}

/// Gradients by path, in f64.
pub(crate) fn gradients_by_path<M: Module>(
    model: &M,
    grads: &GradientsParams,
) -> BTreeMap<String, Vec<f64>> {
    struct Reader<'a> {
        names: Vec<String>,
        grads: &'a GradientsParams,
        found: BTreeMap<String, Vec<f64>>,
    }
    impl ModuleVisitor for Reader<'_> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.names.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.names.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(grad) = self.grads.get::<D>(param.id) {
                self.found
                    .insert(self.names.join("."), common::numbers(&grad));
            }
        }
    }
    let mut reader = Reader {
        names: Vec::new(),
        grads,
        found: BTreeMap::new(),
    };
    model.visit(&mut reader);
    reader.found
}

/// The values exactly: of floats, two are the same number in f64 if and only if they are the same
/// number.
pub(crate) fn bits<const D: usize>(tensor: &Tensor<D>) -> Vec<u64> {
    let plain = match tensor.dtype() {
        DType::QFloat(_) => tensor.clone().dequantize(),
        _ => tensor.clone(),
    };
    let numbers = common::numbers(&plain).into_iter();
    numbers.map(f64::to_bits).collect()
}
