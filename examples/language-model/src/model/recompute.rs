//! Gradients a layer at a time: each layer's vectors are computed a second time when its turn comes, so
//! that what a backward pass keeps is kept for one layer.
//!
//! Source: Chen et al. 2016, [arXiv 1604.06174](https://arxiv.org/abs/1604.06174).

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_goft_finetune::Predicted;

use super::{CausalLm, Common, trains};
use crate::batch::Batch;

impl CausalLm {
    /// How well the next tokens of a batch are predicted, and the gradients of the loss times a factor,
    /// in parts of some parameters each. They are those of
    /// [`cross_entropy`](Self::cross_entropy)'s loss.
    ///
    /// The input of each layer is kept and nothing else of the forward pass.
    ///
    /// # Panics
    ///
    /// If the model is not on a device with autodiff.
    pub fn gradients(&self, batch: &Batch, factor: f64) -> (Predicted, Vec<GradientsParams>) {
        let device = batch.ids.device();
        let configs = &self.model.layer_configs;
        let mut made: Vec<usize> = Vec::new();
        let mut shared: Vec<Common> = Vec::new();
        // By layer, which of those it uses.
        let uses: Vec<usize> = (0..configs.len())
            .map(|index| {
                let known = made
                    .iter()
                    .position(|known| configs[*known] == configs[index]);
                known.unwrap_or_else(|| {
                    made.push(index);
                    shared.push(Common::new(&configs[index], &batch.layout, &device));
                    made.len() - 1
                })
            })
            .collect();

        let still = self.valid();
        let mut x = still.model.embed(batch.ids.clone().inner());
        let mut inputs = Vec::with_capacity(configs.len());
        for (layer, common) in still.model.layers.iter().zip(&uses) {
            inputs.push(x.clone());
            x = layer.forward(x, &shared[*common], None);
        }

        let mut found = Vec::new();
        let last = Tensor::from_inner(x).require_grad();
        let predicted = self.predict(self.model.norm.forward(last.clone()), batch);
        let mut grads = predicted.loss.clone().mul_scalar(factor).backward();
        let mut by = last.grad_remove(&mut grads);
        found.push(GradientsParams::from_grads(grads, self));

        // Below the first layer with anything to train nobody asks.
        let of_embeddings = trains(&self.model.embed_tokens);
        let first = self.model.layers.iter().position(trains);
        let first = match of_embeddings {
            true => 0,
            false => first.unwrap_or(configs.len()),
        };
        for (index, input) in inputs.into_iter().enumerate().skip(first).rev() {
            let Some(by_output) = by.take() else { break };
            let layer = &self.model.layers[index];
            let input = Tensor::from_inner(input).require_grad();
            let output = layer.forward(input.clone(), &shared[uses[index]], None);
            let mut grads = turned(output, by_output);
            by = input.grad_remove(&mut grads);
            found.push(GradientsParams::from_grads(grads, layer));
        }
        if let (true, Some(by)) = (of_embeddings, by) {
            let grads = turned(self.model.embed(batch.ids.clone()), by);
            found.push(GradientsParams::from_grads(grads, &self.model.embed_tokens));
        }
        let predicted = Predicted {
            loss: predicted.loss.inner(),
            ..predicted
        };
        (predicted, found)
    }
}

/// The backward pass from a result whose derivative is known.
fn turned(output: Tensor<3>, by: Tensor<3>) -> burn::tensor::Gradients {
    (output * Tensor::from_inner(by)).sum().backward()
}
