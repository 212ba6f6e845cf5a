//! The training loop: updates, validation, early stopping, checkpoints. It knows nothing of a
//! command line.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsAccumulator, ModuleOptimizer};
use burn::store::ModuleRecord;

use crate::checkpoint::{self, Best, Checkpoint, Origin, State};
use crate::course::Course;
use crate::error::Error;
use crate::gradients::{self, Gradients};
use crate::log::{Line, Log};
use crate::memory::Heap;
use crate::order;
use crate::progress::{Cost, Progress};
use crate::rates::Rates;
use crate::shards::Shards;
use crate::targets;
use crate::task::{Score, Task};

/// Hears of every update and epoch; a break saves the state and ends the training.
pub type OnProgress<'a, S> = &'a mut dyn FnMut(&Progress<S>) -> ControlFlow<()>;

/// What has happened, for the log and for whoever listens.
type Event<S> = (Line<S>, Progress<S>);

/// What a training is about, which does not change.
#[derive(Debug)]
pub struct Setting<'a, T> {
    /// Data, loss and validation.
    pub task: &'a T,
    /// Batches and updates.
    pub course: Course,
    /// Peak learning rates and penalty.
    pub rates: Rates,
    /// The run's folder, for log and checkpoints.
    pub out: &'a Path,
    /// What checkpoints of this run are made with.
    pub origin: Origin,
    /// Counts from before the model was read.
    pub heap: Heap,
}

/// A training between two updates.
pub struct Trainer<'a, T: Task> {
    pub(crate) setting: Setting<'a, T>,
    pub(crate) model: T::Model,
    optimizer: ModuleOptimizer,
    state: State<T::Score>,
    /// The trained parameters of the best epoch.
    best: Option<ModuleRecord>,
    lengths: Vec<usize>,
    pub(crate) shards: Shards,
}

/// A training that has come to its end.
#[derive(Debug)]
pub struct Finished<M, S> {
    /// The model as after the best epoch.
    pub model: M,
    /// That epoch.
    pub best: Best<S>,
    /// Updates made.
    pub steps: usize,
    /// Mean time of an update, without validation.
    pub seconds_per_step: f64,
    /// The most bytes of the heap in use at a time during updates, less those in use before the
    /// run; none where nobody counts.
    pub peak_memory_bytes: Option<u64>,
}

impl<T: Task> fmt::Debug for Trainer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Trainer");
        fields.field("state", &self.state).finish_non_exhaustive()
    }
}

impl<'a, T: Task> Trainer<'a, T> {
    /// A training from the start, of a model to which a method is attached, on a device with
    /// autodiff.
    pub fn new(setting: Setting<'a, T>, model: T::Model) -> Self {
        // Without weight decay: what it does to adapters is towards the pretrained model, what it
        // does to everything else that is trained is not.
        let optimizer = AdamWConfig::new().with_weight_decay(0.0).with_epsilon(1e-8);
        Self {
            lengths: setting.task.lengths(),
            shards: Shards::new(setting.course.shards, setting.course.batch_size),
            setting,
            model,
            optimizer: optimizer.init(),
            state: State::start(),
            best: None,
        }
    }

    /// Goes on from the latest checkpoint of the run's folder: what follows is, bit for bit, what
    /// would have followed without the interruption.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if there is none, if it is damaged, or if it was made with anything else than
    /// this training's [`Origin`].
    pub fn resume(self) -> Result<Self, Error> {
        let Checkpoint {
            state,
            model,
            optimizer,
            best,
        } = checkpoint::load(self.setting.out, &self.setting.origin)?;
        let model = self
            .model
            .try_load_record(model.allow_partial(true))
            .map_err(|error| Error::run(self.setting.out, error.to_string()))?;
        Ok(Self {
            model,
            optimizer: self.optimizer.load_record(optimizer),
            state,
            best,
            ..self
        })
    }

    /// Updates made.
    pub fn step(&self) -> usize {
        self.state.step
    }

    /// Updates planned.
    pub fn steps(&self) -> usize {
        self.setting.course.steps(self.lengths.len())
    }

    /// After the validation of the last epoch.
    fn is_over(&self) -> bool {
        self.state.stopped || self.is_through()
    }

    /// After all that was planned.
    fn is_through(&self) -> bool {
        let (state, course) = (&self.state, &self.setting.course);
        match course.steps {
            Some(steps) => state.step >= steps && state.update == 0,
            None => state.epoch >= course.epochs,
        }
    }

    /// Trains to the end and goes back to the best epoch.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] when `on_progress` breaks, with the state saved;
    /// [`Error::NotFinite`]; [`Error::Io`] if log or checkpoint cannot be written.
    ///
    /// # Panics
    ///
    /// If there are no training examples.
    pub fn run(
        mut self,
        on_progress: OnProgress<'_, T::Score>,
    ) -> Result<Finished<T::Model, T::Score>, Error> {
        assert!(!self.lengths.is_empty(), "there are training examples");
        let (epoch, step) = (self.state.epoch, self.state.step);
        let mut log = Log::open::<T::Score>(self.setting.out, epoch, step)?;
        let (trainable, total) = targets::count(&self.model);
        let _ = on_progress(&Progress::Started {
            step,
            steps: self.steps(),
            examples: self.lengths.len(),
            trainable,
            total,
        });
        while !self.is_over() {
            let course = &self.setting.course;
            let accumulation = course.accumulation;
            let batches = order::epoch(
                &self.lengths,
                course.batch_size,
                course.seed,
                self.state.epoch,
            );
            let left = self.steps() - self.state.step;
            // Updates alone: a checkpoint is written from copies.
            self.setting.heap.watch();
            for update in batches
                .chunks(accumulation)
                .skip(self.state.update)
                .take(left)
            {
                let (line, progress) = self.update(update)?;
                log.write(&line)?;
                let mut heard = on_progress(&progress);
                if let Some(sample) = self.sample() {
                    heard = match on_progress(&Progress::Note(sample)) {
                        ControlFlow::Break(()) => ControlFlow::Break(()),
                        ControlFlow::Continue(()) => heard,
                    };
                }
                if heard.is_break() {
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

    pub(crate) fn save(&self) -> Result<PathBuf, Error> {
        checkpoint::save(
            self.setting.out,
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

    /// One update from a few batches: the gradient of the mean loss over all that they hold.
    fn update(&mut self, batches: &[Vec<usize>]) -> Result<Event<T::Score>, Error> {
        let start = Instant::now();
        let task = self.setting.task;
        let weights: Vec<f64> = batches.iter().map(|batch| task.weight(batch)).collect();
        let total: f64 = weights.iter().sum();
        let mut accumulator = GradientsAccumulator::new();
        let (mut mean, mut correct) = (0.0, None);
        for (batch, weight) in batches.iter().zip(weights) {
            if weight == 0.0 && total > 0.0 {
                // Nothing is learned from it, and a mean over nothing is not a number.
                continue;
            }
            let share = weight / total;
            let graded = self.grade(batch, share)?;
            if let Some(right) = graded.correct {
                *correct.get_or_insert(0.0) += right;
            }
            mean += share * graded.loss;
            for gradients in graded.gradients {
                accumulator.accumulate(&self.model, gradients);
            }
        }
        let clip = self.setting.course.clip;
        let gradients = gradients::take_apart(&self.model, &task.body(), accumulator.grads(), clip);
        let Gradients { body, heads, norm } =
            gradients.map_err(|path| self.gradient_not_finite(mean, &path))?;
        let schedule = self.setting.course.schedule(self.steps());
        let factor = schedule.factor(self.state.step);
        let rate = factor * self.setting.rates.body;
        let head_rate = factor * self.setting.rates.head;
        let model = self.optimizer.step(head_rate, self.model.clone(), heads);
        self.model = self.optimizer.step(rate, model, body);
        let seconds = start.elapsed().as_secs_f64();
        self.state.step += 1;
        self.state.update += 1;
        self.state.loss_sum += mean;
        self.state.seconds += seconds;
        let accuracy = correct.map(|correct| correct / total);
        let tokens = batches
            .iter()
            .map(|batch| task.tokens(batch))
            .sum::<Option<usize>>();
        let cost = Cost {
            seconds,
            tokens_per_second: tokens.map(|tokens| tokens as f64 / seconds),
            peak_memory_bytes: self.setting.heap.peak(),
        };
        let line = Line::Step {
            step: self.state.step,
            epoch: self.state.epoch,
            loss: mean,
            accuracy,
            gradient_norm: norm,
            learning_rate: rate,
            head_learning_rate: head_rate,
            cost,
        };
        let progress = Progress::Step {
            step: self.state.step,
            epoch: self.state.epoch,
            loss: mean,
            accuracy,
            gradient_norm: norm,
            learning_rate: rate,
            cost,
        };
        Ok((line, progress))
    }

    /// What the model does by now, if it is time for that.
    fn sample(&self) -> Option<String> {
        let every = self.setting.course.sample_every?;
        let due = self.state.step.is_multiple_of(every);
        due.then(|| self.setting.task.sample(&self.model.valid()))
            .flatten()
    }

    /// Validates, remembers the best, and decides whether to go on.
    fn end_epoch(&mut self) -> Result<Event<T::Score>, Error> {
        let validation = self.setting.task.validate(&self.model.valid());
        if !validation.loss().is_finite() {
            return Err(self.validation_not_finite(validation.loss()));
        }
        let epoch = self.state.epoch;
        let before = self.state.best.as_ref();
        // A fixed number of steps ends with the last state, whatever its validation.
        let fixed = self.setting.course.steps.is_some();
        let best = !fixed && before.is_none_or(|best| validation.is_better_than(&best.validation));
        if best || fixed {
            let trained = targets::trained(&self.model);
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
        let patience = self.setting.course.patience;
        self.state.stopped = patience.is_some_and(|most| since >= most);
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
