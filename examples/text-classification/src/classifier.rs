//! The encoder with a head on the mean of its tokens.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::data::{Target, Task};
use crate::encoder::{Bert, TokenBatch};

/// What is trained: `bert` pretrained, `head` fresh.
#[derive(Module, Debug)]
pub struct Classifier {
    /// The encoder.
    pub bert: Bert,
    /// From the mean of the tokens to a number for each class, or to one number.
    pub head: Linear,
}

impl Classifier {
    /// With a small random head, the same for the same seed on any device.
    pub fn new(bert: Bert, hidden: usize, outputs: usize, seed: u64, device: &Device) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        // Of standard deviation 0.02, BERT's own.
        let values = (0..hidden * outputs).map(|_| random.random_range(-0.035f32..0.035));
        let weight = TensorData::new(values.collect(), [hidden, outputs]);
        let head = Linear {
            weight: Param::from_tensor(Tensor::from_data(weight, device)),
            bias: Some(Param::from_tensor(Tensor::zeros([outputs], device))),
        };
        Self { bert, head }
    }

    /// Logits, or standardized numbers, `[batch, outputs]`.
    pub fn forward(&self, batch: &TokenBatch) -> Tensor<2> {
        self.head.forward(self.bert.pool(batch))
    }

    /// The mean loss of a batch, `[1]`: cross-entropy, or the squared error of the standardized
    /// label.
    pub(crate) fn loss(&self, task: &Task, batch: &TokenBatch, targets: &[Target]) -> Tensor<1> {
        let output = self.forward(batch);
        let device = output.device();
        match task {
            Task::Classification { .. } => {
                let classes = targets.iter().map(|target| match target {
                    Target::Class(class) => *class as i32,
                    Target::Number(_) => unreachable!("the task made the targets"),
                });
                let classes: Vec<i32> = classes.collect();
                let shape = [targets.len(), 1];
                let classes = Tensor::<2, Int>::from_data(TensorData::new(classes, shape), &device);
                log_softmax(output, 1).gather(1, classes).mean().neg()
            }
            Task::Regression { mean, deviation } => {
                let numbers = targets.iter().map(|target| match target {
                    Target::Number(number) => ((number - mean) / deviation) as f32,
                    Target::Class(_) => unreachable!("the task made the targets"),
                });
                let numbers: Vec<f32> = numbers.collect();
                let shape = [targets.len(), 1];
                let numbers = Tensor::<2>::from_data(TensorData::new(numbers, shape), &device);
                (output - numbers).square().mean()
            }
        }
    }
}
