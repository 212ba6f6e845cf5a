//! Gradients of an update: whether they are finite, how long they are, and which are the heads'.

use std::collections::{HashMap, HashSet};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_goft::parameters;

use crate::task::Body;

/// The gradients of the body and of the heads, which train at rates of their own.
pub(crate) struct Gradients {
    pub(crate) body: GradientsParams,
    pub(crate) heads: GradientsParams,
    /// Length of all of them together, before any clipping.
    pub(crate) norm: f64,
}

/// Takes gradients apart; an error is the path of the first that is not finite or whose square
/// overflows. Longer ones together than `clip` are scaled down to that length.
pub(crate) fn take_apart<M: Module>(
    model: &M,
    body: &Body,
    gradients: GradientsParams,
    clip: Option<f64>,
) -> Result<Gradients, String> {
    let known = parameters(model).into_iter();
    let mut measure = Measure {
        gradients: &gradients,
        paths: known.map(|known| (known.id, known.path)).collect(),
        found: Vec::new(),
        squares: Vec::new(),
    };
    model.visit(&mut measure);
    // One reading for all: on a GPU each costs a wait.
    let squares: Vec<f64> = if measure.squares.is_empty() {
        Vec::new()
    } else {
        Tensor::cat(measure.squares, 0).into_data().iter().collect()
    };
    let found = measure.found;
    if let Some(index) = squares.iter().position(|square| !square.is_finite()) {
        return Err(found[index].1.clone());
    }
    let norm = squares.iter().sum::<f64>().sqrt();
    let heads = found.into_iter().filter(|(_, path)| body.is_head(path));
    let mut split = Split {
        gradients,
        is_head: heads.map(|(id, _)| id).collect(),
        scale: clip.filter(|most| norm > *most).map(|most| most / norm),
        body: GradientsParams::new(),
        heads: GradientsParams::new(),
    };
    model.visit(&mut split);
    Ok(Gradients {
        body: split.body,
        heads: split.heads,
        norm,
    })
}

struct Measure<'a> {
    gradients: &'a GradientsParams,
    paths: HashMap<ParamId, String>,
    /// The parameters that have a gradient, each with the sum of its squares.
    found: Vec<(ParamId, String)>,
    squares: Vec<Tensor<1>>,
}

impl ModuleVisitor for Measure<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let (Some(gradient), Some(path)) = (
            self.gradients.get::<D>(param.id),
            self.paths.remove(&param.id),
        ) {
            self.found.push((param.id, path));
            self.squares.push(gradient.square().sum());
        }
    }
}

struct Split {
    gradients: GradientsParams,
    is_head: HashSet<ParamId>,
    scale: Option<f64>,
    body: GradientsParams,
    heads: GradientsParams,
}

impl ModuleVisitor for Split {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else {
            return;
        };
        let gradient = match self.scale {
            Some(scale) => gradient.mul_scalar(scale),
            None => gradient,
        };
        let side = if self.is_head.contains(&param.id) {
            &mut self.heads
        } else {
            &mut self.body
        };
        side.register(param.id, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Net {
        body: Linear,
        head: Linear,
    }

    const BODY: Body = Body {
        name: "body",
        heads: &["head"],
    };

    /// Gradients 3, 3, 3, 3 of the body's weight and 8 of the head's: together 10 long.
    fn taken(clip: Option<f64>) -> (f64, Vec<f32>, Vec<f32>) {
        let device = Device::flex().autodiff();
        let linear = |inputs, outputs| {
            let config = LinearConfig::new(inputs, outputs).with_bias(false);
            config.init(&device)
        };
        let net = Net {
            body: linear(2, 2),
            head: linear(1, 1),
        };
        let loss = net.body.weight.val().sum() * 3.0 + net.head.weight.val().sum() * 8.0;
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        let taken = take_apart(&net, &BODY, gradients, clip).unwrap();
        let values = |of: &GradientsParams, id| -> Vec<f32> {
            of.get::<2>(id).unwrap().into_data().iter().collect()
        };
        assert!(taken.body.get::<2>(net.head.weight.id).is_none());
        (
            taken.norm,
            values(&taken.body, net.body.weight.id),
            values(&taken.heads, net.head.weight.id),
        )
    }

    #[test]
    fn all_gradients_together_are_clipped() {
        assert_eq!(taken(None), (10.0, vec![3.0; 4], vec![8.0]));
        assert_eq!(taken(Some(10.0)), taken(None));
        assert_eq!(taken(Some(5.0)), (10.0, vec![1.5; 4], vec![4.0]));
    }
}
