//! What predicting tokens costs.

use burn::tensor::{DType, Device};
use transformer_ops::cross_entropy;

use crate::batch::{Batch, count};
use crate::data::Trained;
use crate::model::CausalLm;

/// Logits that are in memory at a time.
const LOGITS: usize = 1 << 24;

/// Tokens of a batch, padding included.
const TOKENS: usize = 2048;

/// The cross entropy of each token that is learned of each example, in nats, and whether it is the
/// likeliest; by a model without autodiff.
pub fn token_losses(
    model: &CausalLm,
    examples: &[Trained],
    device: &Device,
) -> Vec<Vec<(f64, bool)>> {
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by_key(|index| examples[*index].ids.len());
    let mut found = vec![Vec::new(); examples.len()];
    let mut rest = order.as_slice();
    while let Some(last) = rest.last() {
        let longest = examples[*last].ids.len().max(1);
        let rows = (TOKENS / longest).clamp(1, rest.len());
        let (before, some) = rest.split_at(rest.len() - rows);
        rest = before;
        let batch: Vec<&Trained> = some.iter().map(|index| &examples[*index]).collect();
        let counts: Vec<usize> = batch.iter().map(|example| count(example)).collect();
        let mut losses = of_batch(model, &Batch::new(&batch, device)).into_iter();
        for (index, count) in some.iter().zip(counts) {
            found[*index] = losses.by_ref().take(count).collect();
        }
    }
    found
}

fn of_batch(model: &CausalLm, batch: &Batch) -> Vec<(f64, bool)> {
    let hidden = model.hidden(batch.ids.clone(), &batch.layout);
    let [rows, tokens, width] = hidden.dims();
    let vectors = hidden
        .reshape([rows * tokens, width])
        .select(0, batch.places.clone());
    let [count, _] = vectors.dims();
    let each = (LOGITS / model.vocabulary()).max(1);
    let mut losses = Vec::with_capacity(count);
    for start in (0..count).step_by(each) {
        let length = each.min(count - start);
        let logits = model.logits(vectors.clone().narrow(0, start, length).unsqueeze());
        let logits = logits.squeeze_dim::<2>(0).cast(DType::F32);
        let next = batch.next.clone().narrow(0, start, length);
        let found = cross_entropy(logits, next.clone(), None);
        let right = found.likeliest.equal(next).int();
        let values = found.losses.into_data().iter::<f64>().collect::<Vec<_>>();
        let right = right.into_data().iter::<i64>().collect::<Vec<_>>();
        losses.extend(
            values
                .into_iter()
                .zip(right.into_iter().map(|one| one == 1)),
        );
    }
    losses
}
