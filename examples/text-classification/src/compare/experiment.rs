//! A run of the comparison as a training of this crate.

use std::error::Error as StdError;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::tensor::Device;
use burn_goft_finetune::{Attachment, Contender, Error, grid, machine};
use fair_compare::{BeforeAfter, Experiment, Outcome, RunError, RunSpec, Split, Steps};
use tempfile::TempDir;

use super::contrast::Embedded;
use super::drift;
use super::forgetting::Pairs;
use super::splits::{self, Splits};
use crate::classifier::Classifier;
use crate::data::{Examples, about_truncation, tokenize};
use crate::device::device;
use crate::encoder::{Bert, ModelFiles, Pretrained, Tokens};
use crate::metrics::Metrics;
use crate::predict::Predictor;
use crate::run::{Trained, train};
use crate::settings::RunConfig;
use crate::training::{BODY, Progress};

/// Texts on which drift is measured, at most.
const TEXTS: usize = 256;

pub(super) struct Tuning<'a> {
    run: &'a RunConfig,
    /// Files of the splits, and of the run on its way.
    folder: TempDir,
    before: Before,
    /// Sentences about texts that were cut.
    pub(super) notes: Vec<String>,
    machine: String,
    interrupted: &'a AtomicBool,
}

/// The pretrained encoder and what it is measured on.
struct Before {
    bert: Bert,
    texts: Vec<Tokens>,
    /// With what the pretrained encoder makes of them.
    pairs: Option<(Pairs, Embedded)>,
    device: Device,
}

impl<'a> Tuning<'a> {
    pub(super) fn new(
        run: &'a RunConfig,
        methods: &[Contender],
        splits: &Splits,
        pairs: Option<Pairs>,
        interrupted: &'a AtomicBool,
    ) -> Result<Self, Error> {
        let folder = temporary(&run.out)?;
        splits.write(folder.path())?;
        let device = device(&run.device).map_err(Error::Settings)?;
        let Pretrained {
            bert,
            tokenizer,
            config,
        } = ModelFiles::find(&run.model)?.load(run.max_length, &device)?;
        // What cannot be attached is refused now, not run by run.
        for one in methods {
            let fresh = Classifier::new(bert.clone(), config.hidden, 1, 0, &device);
            let how = Attachment {
                paths: one.method.targets(&fresh, &BODY, &[])?,
                rank: one.rank_or(run.rank),
                seed: 0,
            };
            one.method.attach(fresh, &BODY, &how)?;
        }
        let mut notes = Vec::new();
        let mut tokens_of = |name: &str, examples: &Examples| {
            let tokens = tokenize(examples.rows.iter().map(|row| &row.text), &tokenizer)?;
            let cut = about_truncation(&tokens, tokenizer.max_length());
            notes.extend(cut.map(|cut| format!("Of the {name} split, {cut}.")));
            Ok::<_, Error>(tokens)
        };
        tokens_of("training", &splits.training)?;
        tokens_of("validation", &splits.validation)?;
        let mut texts = tokens_of("test", &splits.test)?;
        texts.truncate(TEXTS);
        let pairs = match pairs {
            Some(pairs) => {
                let cut = about_truncation(&pairs.tokens(&tokenizer)?, tokenizer.max_length());
                notes.extend(cut.map(|cut| format!("Of the forgetting file, {cut}.")));
                let embedded = pairs.embed(&bert, &tokenizer, &device)?;
                Some((pairs, embedded))
            }
            None => None,
        };
        Ok(Self {
            run,
            folder,
            before: Before {
                bert,
                texts,
                pairs,
                device,
            },
            notes,
            machine: machine(&run.device),
            interrupted,
        })
    }

    fn config(&self, spec: &RunSpec, out: PathBuf) -> Result<RunConfig, Error> {
        let contender: Contender = spec.method.name().parse()?;
        let method = contender.method;
        let (encoder, head) = grid::body_and_head(method, spec.rate);
        let file = |name: &str| self.folder.path().join(name);
        Ok(RunConfig {
            train: file(splits::TRAINING),
            validation: Some(file(splits::VALIDATION)),
            // A run that chooses a learning rate never reads the test split.
            eval: file(match spec.split {
                Split::Validation => splits::VALIDATION,
                Split::Test => splits::TEST,
            }),
            out,
            method: method.name.into(),
            rank: contender.rank_or(self.run.rank),
            targets: Vec::new(),
            seed: spec.seed,
            steps: Some(spec.steps as usize),
            learning_rate: Some(encoder),
            head_learning_rate: Some(head),
            penalty: None,
            patience: None,
            resume: false,
            ..self.run.clone()
        })
    }

    fn is_interrupted(&self) -> ControlFlow<()> {
        match self.interrupted.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Experiment for Tuning<'_> {
    fn run(&self, spec: &RunSpec, steps: &mut Steps<'_>) -> Result<Outcome, Box<dyn StdError>> {
        if self.is_interrupted().is_break() {
            return Err(stop().into());
        }
        let out = temporary(self.folder.path())?;
        let config = self.config(spec, out.path().join("run"))?;
        let mut on_progress = |progress: &Progress| {
            if let Progress::Step { cost, .. } = progress {
                steps.done(Duration::from_secs_f64(cost.seconds));
            }
            self.is_interrupted()
        };
        let Trained { outcome, predictor } = train(&config, &mut on_progress).map_err(reason)?;
        let metric = match &outcome.test {
            Metrics::Classification { accuracy, .. } => 100.0 * accuracy,
            regression => regression.score(),
        };
        let measured = Outcome {
            adapter_bytes: Some(outcome.adapter_bytes),
            peak_memory_bytes: outcome.peak_memory_bytes,
            ..Outcome::new(metric, outcome.trainable_parameters as u64)
        };
        match spec.split {
            Split::Validation => Ok(measured),
            Split::Test => Ok(self.before.compare(&predictor, measured)?),
        }
    }

    fn machine(&self) -> String {
        self.machine.clone()
    }
}

impl Before {
    /// The outcome with what was forgotten and how far the encoder moved.
    fn compare(&self, after: &Predictor, outcome: Outcome) -> Result<Outcome, Error> {
        let bert = &after.model.bert;
        let measured = Outcome {
            drift: drift::measure(&self.bert, bert, &self.texts, &self.device)?,
            ..outcome
        };
        let Some((pairs, before)) = &self.pairs else {
            return Ok(measured);
        };
        let after = pairs.embed(bert, &after.tokenizer, &self.device)?;
        Ok(Outcome {
            forgetting: Some(BeforeAfter {
                before: pairs.score(before),
                after: pairs.score(&after),
            }),
            kl: Some(before.divergence(&after)),
            ..measured
        })
    }
}

/// A folder that is gone with the value; a killed process leaves it.
fn temporary(inside: &Path) -> Result<TempDir, Error> {
    let folder = tempfile::Builder::new().prefix(".run-").tempdir_in(inside);
    folder.map_err(Error::io("making a folder in", inside))
}

fn stop() -> RunError {
    RunError::Stop("asked to".into())
}

fn reason(error: Error) -> Box<dyn StdError> {
    match error {
        Error::Interrupted { .. } => stop().into(),
        Error::NotFinite { step, found, .. } => {
            RunError::Diverged(format!("step {step}: {found}")).into()
        }
        // A full disk, say, which is no property of the method.
        Error::Io { .. } => RunError::Stop(error.to_string()).into(),
        other => other.into(),
    }
}
