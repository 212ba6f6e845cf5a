//! The training loop: updates, validation, early stopping, checkpoints. It knows nothing of a command line.

use std::ops::ControlFlow;
use std::time::Instant;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor};
use burn_goft::{GoftModule, Penalty};

use crate::checkpoint::{self, Best, Checkpoint, Origin, State};
use crate::classifier::Classifier;
use crate::encoded::Encoded;
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::gradients::{self, Gradients};
use crate::log::{Line, Log};
use crate::memory::Heap;
use crate::order;
use crate::parameters;
use crate::progress::Progress;
use crate::schedule::Schedule;
use crate::settings::{Rates, RunConfig};
use crate::task::Task;

/// What a training is about, which does not change.
pub(crate) struct Setting<'a> {
    pub(crate) config: &'a RunConfig,
    pub(crate) origin: Origin,
    pub(crate) rates: Rates,
    pub(crate) task: &'a Task,
    pub(crate) training: &'a Encoded,
    pub(crate) validation: &'a Encoded,
    /// Without autodiff.
    pub(crate) device: Device,
    /// Counts from before the model was read.
    pub(crate) heap: Heap,
}

/// A training between two updates.
pub(crate) struct Training<'a> {
    pub(crate) setting: Setting<'a>,
    pub(crate) model: Classifier,
    optimizer: ModuleOptimizer,
    pub(crate) state: State,
    /// The trained parameters of the best epoch.
    best: Option<ModuleRecord>,
}

/// A training that has come to its end.
pub(crate) struct Finished {
    /// As after the best epoch.
    pub(crate) model: Classifier,
    pub(crate) best: Best,
    pub(crate) steps: usize,
    pub(crate) seconds_per_step: f64,
    pub(crate) peak_memory_bytes: Option<u64>,
}

impl<'a> Training<'a> {
    /// From the start, with the method attached to the model.
    pub(crate) fn new(setting: Setting<'a>, model: Classifier) -> Self {
        // Without weight decay, which would pull a free 2x2 block and a scale towards zero instead of the identity.
        let optimizer = AdamWConfig::new().with_weight_decay(0.0).with_epsilon(1e-8);
        Self {
            setting,
            model,
            optimizer: optimizer.init(),
            state: State::start(),
            best: None,
        }
    }

    /// From the latest checkpoint of the run's folder.
    pub(crate) fn resume(self) -> Result<Self, Error> {
        let Checkpoint {
            state,
            model,
            optimizer,
            best,
        } = checkpoint::load(&self.setting.config.out, &self.setting.origin)?;
        let model = self
            .model
            .try_load_record(model.allow_partial(true))
            .map_err(|error| Error::run(&self.setting.config.out, error.to_string()))?;
        Ok(Self {
            model,
            optimizer: self.optimizer.load_record(optimizer),
            state,
            best,
            ..self
        })
    }

    /// Updates in an epoch.
    fn updates(&self) -> usize {
        let batches = self
            .setting
            .training
            .tokens
            .len()
            .div_ceil(self.setting.config.batch_size);
        batches.div_ceil(self.setting.config.accumulation)
    }

    /// Updates in all epochs, or as many as the settings ask for.
    pub(crate) fn steps(&self) -> usize {
        let config = self.setting.config;
        config.steps.unwrap_or(self.updates() * config.epochs)
    }

    /// After the validation of the last epoch.
    fn is_over(&self) -> bool {
        self.state.stopped || self.is_through()
    }

    /// After all that was planned.
    fn is_through(&self) -> bool {
        let (state, config) = (&self.state, self.setting.config);
        match config.steps {
            Some(steps) => state.step >= steps && state.update == 0,
            None => state.epoch >= config.epochs,
        }
    }

    fn schedule(&self) -> Schedule {
        let steps = self.steps();
        Schedule {
            warmup: (self.setting.config.warmup * steps as f64).round() as usize,
            steps,
        }
    }

    /// Trains to the end and goes back to the best epoch. When `on_progress` breaks, the state is saved and the run stops with
    /// [`Error::Interrupted`].
    pub(crate) fn run(
        mut self,
        on_progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Finished, Error> {
        let mut log = Log::open(&self.setting.config.out, self.state.epoch, self.state.step)?;
        let lengths = self.setting.training.lengths();
        while !self.is_over() {
            let config = self.setting.config;
            let batches = order::epoch(&lengths, config.batch_size, config.seed, self.state.epoch);
            let updates = batches.chunks(config.accumulation);
            let left = self.steps() - self.state.step;
            // Updates alone: a checkpoint is written from copies.
            self.setting.heap.watch();
            for update in updates.skip(self.state.update).take(left) {
                let before = self.state.seconds;
                let line = self.update(update)?;
                log.write(&line)?;
                let Line::Step {
                    step, epoch, loss, ..
                } = line
                else {
                    unreachable!("an update is a step")
                };
                let progress = Progress::Step {
                    step,
                    epoch,
                    loss,
                    seconds: self.state.seconds - before,
                };
                if on_progress(&progress).is_break() {
                    self.state.peak = self.state.peak.max(self.setting.heap.peak());
                    return Err(self.interrupt()?);
                }
            }
            self.state.peak = self.state.peak.max(self.setting.heap.peak());
            let (line, progress) = self.end_epoch()?;
            log.write(&line)?;
            self.save()?;
            if on_progress(&progress).is_break() && !self.is_over() {
                return Err(self.interrupt()?);
            }
        }
        let record = self.best.take().expect("an epoch has been validated");
        let best = self.state.best.take().expect("as its record");
        Ok(Finished {
            model: self.model.load_record(record.allow_partial(true)),
            best,
            steps: self.state.step,
            seconds_per_step: self.state.seconds / self.state.step as f64,
            peak_memory_bytes: self.state.peak,
        })
    }

    pub(crate) fn save(&self) -> Result<std::path::PathBuf, Error> {
        checkpoint::save(
            &self.setting.config.out,
            &self.state,
            &self.setting.origin,
            &self.model,
            &self.optimizer,
            self.best.as_ref(),
        )
    }

    fn interrupt(&self) -> Result<Error, Error> {
        Ok(Error::Interrupted {
            step: self.state.step,
            steps: self.steps(),
            folder: self.save()?,
        })
    }

    /// One update from a few batches: the gradient of the mean loss over all their examples.
    fn update(&mut self, batches: &[Vec<usize>]) -> Result<Line, Error> {
        let start = Instant::now();
        let examples: usize = batches.iter().map(Vec::len).sum();
        let device = self.setting.device.clone().autodiff();
        let mut accumulator = GradientsAccumulator::new();
        let mut mean = 0.0;
        for batch in batches {
            let share = batch.len() as f64 / examples as f64;
            let (tokens, targets) = self.setting.training.batch(batch, &device);
            let loss = self.model.loss(self.setting.task, &tokens, &targets);
            let value = f64::from(loss.clone().into_scalar::<f32>());
            if !value.is_finite() {
                return Err(self.loss_not_finite(loss, value));
            }
            mean += share * value;
            let loss = self.with_penalty(loss).mul_scalar(share);
            let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
            accumulator.accumulate(&self.model, gradients);
        }
        let Gradients {
            encoder,
            head,
            norm,
        } = gradients::take_apart(&self.model, accumulator.grads())
            .map_err(|path| self.gradient_not_finite(mean, &path))?;
        let factor = self.schedule().factor(self.state.step);
        let (rate, head_rate) = (
            factor * self.setting.rates.encoder,
            factor * self.setting.rates.head,
        );
        let model = self.optimizer.step(head_rate, self.model.clone(), head);
        self.model = self.optimizer.step(rate, model, encoder);
        self.state.step += 1;
        self.state.update += 1;
        self.state.loss_sum += mean;
        self.state.seconds += start.elapsed().as_secs_f64();
        Ok(Line::Step {
            step: self.state.step,
            epoch: self.state.epoch,
            loss: mean,
            gradient_norm: norm,
            learning_rate: rate,
            head_learning_rate: head_rate,
        })
    }

    fn with_penalty(&self, loss: Tensor<1>) -> Tensor<1> {
        match self.setting.rates.penalty {
            Some(strength) => {
                loss + self
                    .model
                    .orthogonality_penalty(Penalty::Paper)
                    .mul_scalar(strength)
            }
            None => loss,
        }
    }

    /// Validates, remembers the best, and decides whether to go on.
    fn end_epoch(&mut self) -> Result<(Line, Progress), Error> {
        let validation = evaluate(
            &self.model.valid(),
            self.setting.task,
            self.setting.validation,
            &self.setting.device,
        );
        if !validation.loss().is_finite() {
            return Err(self.validation_not_finite(validation.loss()));
        }
        let epoch = self.state.epoch;
        let before = self.state.best.as_ref();
        // A fixed number of steps ends with the last state.
        let best = self.setting.config.steps.is_some()
            || before.is_none_or(|best| validation.is_better_than(&best.validation));
        if best {
            let trained = parameters::trained(&self.model);
            self.best = Some(self.model.clone().into_record_group(trained));
            self.state.best = Some(Best {
                epoch,
                validation: validation.clone(),
            });
        }
        let training_loss = self.state.loss_sum / self.state.update.max(1) as f64;
        self.state.epoch += 1;
        self.state.update = 0;
        self.state.loss_sum = 0.0;
        let since = epoch - self.state.best.as_ref().map_or(epoch, |best| best.epoch);
        self.state.stopped = self
            .setting
            .config
            .patience
            .is_some_and(|most| since >= most);
        let line = Line::Epoch {
            step: self.state.step,
            epoch,
            training_loss,
            validation: validation.clone(),
            best,
        };
        let progress = Progress::Epoch {
            epoch,
            training_loss,
            validation,
            best,
            stops: self.state.stopped && !self.is_through(),
        };
        Ok((line, progress))
    }
}
