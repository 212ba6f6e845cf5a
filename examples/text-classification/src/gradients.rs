//! Gradients of an update: whether they are finite, how long they are, and which are the head's.

use burn::module::Param;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::classifier::Classifier;
use crate::parameters::{self, See};

/// The gradients of the encoder and of the head, which train at rates of their own.
pub(crate) struct Gradients {
    pub(crate) encoder: GradientsParams,
    pub(crate) head: GradientsParams,
    /// Length of all of them together.
    pub(crate) norm: f64,
}

/// Takes gradients apart; an error is the path of the first that is not finite or whose square overflows.
pub(crate) fn take_apart(
    model: &Classifier,
    gradients: GradientsParams,
) -> Result<Gradients, String> {
    let mut split = Split {
        gradients,
        encoder: GradientsParams::new(),
        head: GradientsParams::new(),
        paths: Vec::new(),
        squares: Vec::new(),
    };
    parameters::visit(model, &mut split);
    // One reading for all: on a GPU each costs a wait.
    let squares: Vec<f64> = match split.squares.is_empty() {
        true => Vec::new(),
        false => Tensor::cat(split.squares, 0).into_data().iter().collect(),
    };
    if let Some(index) = squares.iter().position(|square| !square.is_finite()) {
        return Err(split.paths.swap_remove(index));
    }
    Ok(Gradients {
        encoder: split.encoder,
        head: split.head,
        norm: squares.iter().sum::<f64>().sqrt(),
    })
}

struct Split {
    gradients: GradientsParams,
    encoder: GradientsParams,
    head: GradientsParams,
    paths: Vec<String>,
    squares: Vec<Tensor<1>>,
}

impl See for Split {
    fn see<const D: usize>(&mut self, path: &str, _container: &str, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else {
            return;
        };
        self.paths.push(path.into());
        self.squares.push(gradient.clone().square().sum());
        let side = match path.starts_with("head.") {
            true => &mut self.head,
            false => &mut self.encoder,
        };
        side.register(param.id, gradient);
    }
}
