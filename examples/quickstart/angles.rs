//! Angles between the neurons of a layer, which an orthogonal method keeps.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use digits::Vit;

/// The angle in degrees between every two neurons of the same layer (columns of its weight), over
/// all layers of the encoder, in a fixed order. In f64: the question is whether angles move at all.
pub(crate) fn between_neurons(model: &Vit) -> Vec<f64> {
    let mut weights = Weights {
        path: Vec::new(),
        found: Vec::new(),
    };
    // Adapters folded in: the weights that the model computes with.
    model.valid().materialize().visit(&mut weights);
    weights.found.iter().flat_map(pairwise).collect()
}

/// Mean absolute difference of two sets of angles.
pub(crate) fn mean_change(before: &[f64], after: &[f64]) -> f64 {
    let changes = before.iter().zip(after).map(|(b, a)| (a - b).abs());
    changes.sum::<f64>() / before.len() as f64
}

/// Columns of a weight.
type Neurons = Vec<Vec<f64>>;

struct Weights {
    path: Vec<String>,
    found: Vec<Neurons>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D != 2 || self.path.first().map(String::as_str) != Some("encoder") {
            return;
        }
        let weight = param.val();
        let columns = weight.dims()[1];
        let values: Vec<f64> = weight.into_data().iter().collect();
        let column = |c: usize| values.iter().skip(c).step_by(columns).copied().collect();
        self.found.push((0..columns).map(column).collect());
    }
}

fn pairwise(neurons: &Neurons) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let norms: Vec<f64> = neurons.iter().map(|n| dot(n, n).sqrt()).collect();
    let mut angles = Vec::new();
    for (i, first) in neurons.iter().enumerate() {
        for (j, second) in neurons.iter().enumerate().skip(i + 1) {
            let cosine = dot(first, second) / (norms[i] * norms[j]);
            angles.push(cosine.clamp(-1.0, 1.0).acos().to_degrees());
        }
    }
    angles
}
