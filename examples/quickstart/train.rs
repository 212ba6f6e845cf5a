//! The training loop, the same for every method: AdamW, batches, schedule.

use std::error::Error;
use std::time::{Duration, Instant};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use digits::{Batch, Digit, Mounting, Order, Vit, pretrained};

use crate::methods::Method;

/// How long to train, how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) epochs: usize,
    pub(crate) seeds: u64,
}

impl Schedule {
    pub(crate) const FULL: Self = Self {
        epochs: 30,
        seeds: 3,
    };
}

const BATCH: usize = 25;

/// An adapted model and what its training took.
pub(crate) struct Run {
    /// With adapters, on the autodiff device.
    pub(crate) model: Vit,
    pub(crate) trainable: usize,
    /// Without the evaluations between epochs.
    pub(crate) training: Duration,
}

/// Adapts the pretrained model to sideways images; calls `after_epoch` with the model in evaluation
/// mode.
pub(crate) fn adapt(
    method: Method,
    rate: f64,
    labeled: &[Digit],
    epochs: usize,
    seed: u64,
    device: &Device,
    mut after_epoch: impl FnMut(&Vit),
) -> Result<Run, Box<dyn Error>> {
    let device = device.clone().autodiff();
    // For LoRA, whose first factor starts at random.
    device.seed(seed);
    let mut model = crate::attach(method, pretrained(&device)?)?;
    let trainable = count_trainable(&model);
    let mut optimizer = optimizer();

    let mut order = Order::new(seed);
    let mut labeled: Vec<&Digit> = labeled.iter().collect();
    let steps = epochs * labeled.len().div_ceil(BATCH);
    let mut step = 0;
    let mut training = Duration::ZERO;
    for _ in 0..epochs {
        let start = Instant::now();
        order.shuffle(&mut labeled);
        for chosen in labeled.chunks(BATCH) {
            let batch = Batch::new(chosen.iter().copied(), Mounting::Sideways, &device);
            let rate = rate * (1.0 - step as f64 / steps as f64);
            let strength = method.penalty_strength();
            model = crate::train_step(model, &mut optimizer, batch, rate, strength);
            step += 1;
        }
        device.sync()?;
        training += start.elapsed();
        after_epoch(&model.valid());
    }
    Ok(Run {
        model,
        trainable,
        training,
    })
}

/// Without weight decay: it would pull an adapter back to the pretrained model, but a weight that
/// is trained in full to zero, and the comparison would be one of two decays.
fn optimizer() -> ModuleOptimizer {
    AdamWConfig::new().with_weight_decay(0.0).init()
}

fn count_trainable(model: &Vit) -> usize {
    struct Count(usize);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0 += param.lazy_shape().num_elements();
            }
        }
    }
    let mut count = Count(0);
    model.visit(&mut count);
    count.0
}
