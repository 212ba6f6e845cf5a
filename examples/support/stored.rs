//! What a model holds, for tests that ask what a training has changed.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// The bits of every float parameter as it is stored, by path.
pub(crate) fn bits<M: Module>(model: &M) -> BTreeMap<String, Vec<u32>> {
    let mut stored = Stored::default();
    model.visit(&mut stored);
    stored.bits
}

#[derive(Default)]
struct Stored {
    path: Vec<String>,
    bits: BTreeMap<String, Vec<u32>>,
}

impl ModuleVisitor for Stored {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.base().into_data();
        let bits = values.iter::<f32>().map(f32::to_bits).collect();
        self.bits.insert(self.path.join("."), bits);
    }
}
