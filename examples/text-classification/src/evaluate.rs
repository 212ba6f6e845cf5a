//! A model's answers, and how good they are.

use burn::tensor::{Device, Tensor};

use burn_goft_finetune::order;

use crate::classifier::Classifier;
use crate::data::{Encoded, Target, Task, lengths};
use crate::encoder::{TokenBatch, Tokens};
use crate::metrics::Metrics;

/// Texts evaluated at a time.
pub(crate) const BATCH: usize = 32;

/// Rows of what `compute` gives for batches of texts, in the order of the texts.
pub(crate) fn rows(
    tokens: &[Tokens],
    device: &Device,
    compute: impl Fn(&TokenBatch) -> Tensor<2>,
) -> Vec<Vec<f64>> {
    let mut rows = vec![Vec::new(); tokens.len()];
    for chosen in order::by_length(&lengths(tokens), BATCH) {
        let batch = TokenBatch::new(chosen.iter().map(|index| &tokens[*index]), device);
        let output = compute(&batch);
        let width = output.dims()[1];
        let values: Vec<f64> = output.into_data().iter().collect();
        for (index, row) in chosen.iter().zip(values.chunks_exact(width)) {
            rows[*index] = row.to_vec();
        }
    }
    rows
}

/// Metrics of a model without autodiff.
pub(crate) fn evaluate(
    model: &Classifier,
    task: &Task,
    data: &Encoded,
    device: &Device,
) -> Metrics {
    let outputs = rows(&data.tokens, device, |batch| model.forward(batch));
    match task {
        Task::Classification { .. } => {
            let labels: Vec<usize> = data.targets.iter().map(class).collect();
            let answers: Vec<usize> = outputs.iter().map(|row| largest(row)).collect();
            let losses = outputs.iter().zip(&labels);
            let losses = losses.map(|(row, label)| -log_softmax(row)[*label]);
            Metrics::of_classes(&labels, &answers, &losses.collect::<Vec<_>>())
        }
        Task::Regression { mean, deviation } => {
            let labels: Vec<f64> = data.targets.iter().map(number).collect();
            let answers = outputs.iter().map(|row| mean + deviation * row[0]);
            Metrics::of_numbers(&labels, &answers.collect::<Vec<_>>())
        }
    }
}

fn class(target: &Target) -> usize {
    match target {
        Target::Class(class) => *class,
        Target::Number(_) => unreachable!("the task made the targets"),
    }
}

fn number(target: &Target) -> f64 {
    match target {
        Target::Number(number) => *number,
        Target::Class(_) => unreachable!("the task made the targets"),
    }
}

/// Index of the largest value; the first of equals.
pub(crate) fn largest(row: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

/// `x_i - log sum exp x`, shifted by the maximum.
pub(crate) fn log_softmax(row: &[f64]) -> Vec<f64> {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|x| (x - max).exp()).sum();
    row.iter().map(|x| x - max - sum.ln()).collect()
}
