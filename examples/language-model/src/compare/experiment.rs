//! A run of the comparison as a training of this crate.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_goft_drift::{Drift, Trace};
use burn_goft_finetune::{
    ADAPTER, Contender, Course, Error, Heap, Origin, Rates, RunFolder, Setting, Trainer, count,
    machine,
};
use fair_compare::{BeforeAfter, Experiment, Outcome, RunError, RunSpec, Split, Steps, median};

use super::CompareConfig;
use crate::batch::Batch;
use crate::data::{Data, TextTokenizer, Trained, encode};
use crate::device::device;
use crate::eval::{exact, perplexity};
use crate::folder::{Pretrained, find};
use crate::generate::{Generation, Sampling, speak};
use crate::model::CausalLm;
use crate::rates;
use crate::run::{attachment, prompt_of, rows};
use crate::settings::RunConfig;
use crate::training::{BODY, Progress, Texts, fit};

/// Test examples whose vectors are compared, at most.
const COMPARED: usize = 64;

/// Tokens of the other text that are looked at together.
const WINDOW: usize = 512;

/// Answers that are written at once.
const AT_ONCE: usize = 16;

pub(super) struct Tuning<'a> {
    config: &'a CompareConfig,
    pretrained: Pretrained,
    tokenizer: TextTokenizer,
    data: Data,
    test: Vec<Trained>,
    other_text: Option<(String, f64)>,
    /// Of the pretrained model.
    vectors: Tensor<2>,
    before: String,
    plain: Device,
    interrupted: &'a AtomicBool,
}

impl<'a> Tuning<'a> {
    pub(super) fn new(
        config: &'a CompareConfig,
        methods: &[Contender],
        interrupted: &'a AtomicBool,
    ) -> Result<Self, Error> {
        let run = &config.run;
        let plain = device(&run.device).map_err(Error::Settings)?;
        let folder = find(&run.model)?;
        let pretrained = Pretrained::load_as(&folder, run.base, &plain.clone().autodiff())?;
        // What cannot be attached is refused now, not run by run.
        for one in methods {
            let run = RunConfig {
                rank: one.rank_or(run.rank),
                ..run.clone()
            };
            let attachment = attachment(&pretrained.model, one.method, &run)?;
            one.method
                .attach(pretrained.model.clone(), &BODY, &attachment)?;
        }
        let max_length = run.max_length.min(pretrained.config.positions);
        let known = pretrained.config.vocabulary;
        let tokenizer = TextTokenizer::in_folder(&folder, pretrained.end(), known, max_length)?;
        // The held-out share is that of one seed for all runs.
        let mut data = Data::read(
            &run.data,
            &tokenizer,
            run.validation_share,
            0,
            run.strict_data,
        )?;
        let mut notes = Vec::new();
        let mut test = encode(
            &run.data.join("test.jsonl"),
            &tokenizer,
            run.strict_data,
            &mut notes,
        )?;
        data.training
            .truncate(config.limit_train.unwrap_or(usize::MAX));
        let most = config.limit_eval.unwrap_or(usize::MAX);
        data.validation.truncate(most);
        test.truncate(most);
        let model = pretrained.model.valid();
        let other_text = match &config.forgetting {
            None => None,
            Some(path) => {
                let text = beginning(path, config.forgetting_bytes)?;
                let before = perplexity(&model, &tokenizer, &text, WINDOW, WINDOW / 2, &plain);
                let before = before.map_err(|reason| Error::data(path, reason))?;
                Some((text, before.loss))
            }
        };
        let vectors = vectors(&model, &test, &plain);
        let mut tuning = Self {
            config,
            vectors,
            pretrained,
            tokenizer,
            data,
            test,
            other_text,
            before: String::new(),
            plain,
            interrupted,
        };
        let loss = fit(&model, &tuning.test, &tuning.plain).loss;
        let right = tuning.right_answers(&model).map(|share| {
            format!(
                " and {share:.1} % of {} answers right",
                tuning.answered().len()
            )
        });
        tuning.before = format!(
            "The pretrained model has a loss of {loss:.4} on the test split{}.",
            right.unwrap_or_default()
        );
        Ok(tuning)
    }

    /// Rows that are learned from.
    pub(super) fn rows(&self) -> usize {
        rows(&self.data.training, &self.config.run).len()
    }

    pub(super) fn counts(&self) -> [usize; 3] {
        [&self.data.training, &self.data.validation, &self.test].map(Vec::len)
    }

    /// What the examples are known by.
    pub(super) fn digest(&self) -> String {
        let digests = self.data.digests.iter().map(|digest| &digest[..12]);
        format!("SHA-256 {}", digests.collect::<Vec<_>>().join(", "))
    }

    /// What the pretrained model does without training.
    pub(super) fn before(&self) -> &str {
        &self.before
    }

    fn is_interrupted(&self) -> ControlFlow<()> {
        match self.interrupted.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn answered(&self) -> &[Trained] {
        &self.test[..self.config.answers.min(self.test.len())]
    }

    /// In percent: each by its last number, or word for word where the expected answer has none.
    fn right_answers(&self, model: &CausalLm) -> Option<f64> {
        let examples = self.answered();
        if examples.is_empty() {
            return None;
        }
        let generation = Generation {
            sampling: Sampling::default(),
            max_tokens: self.config.max_tokens,
            ends: self.pretrained.ends.clone(),
            stops: Vec::new(),
            seed: 0,
        };
        let mut order: Vec<&Trained> = examples.iter().collect();
        order.sort_by_key(|example| example.ids.len());
        let mut pairs = Vec::new();
        for some in order.chunks(AT_ONCE) {
            let prompts: Vec<Vec<u32>> = some.iter().map(|one| prompt_of(one)).collect();
            let go_on = &mut |_, _: &str| ControlFlow::Continue(());
            let tokenizer = &self.tokenizer;
            let spoken = speak(
                model,
                tokenizer,
                &prompts,
                None,
                &generation,
                &self.plain,
                go_on,
            );
            for (example, answer) in some.iter().zip(spoken) {
                let learned = example.ids.iter().zip(&example.learned);
                let expected = learned.filter_map(|(id, learned)| learned.then_some(*id));
                let expected = tokenizer.decode(&expected.collect::<Vec<_>>());
                pairs.push((answer.text, expected));
            }
        }
        let right = pairs.iter().filter(|(answer, expected)| {
            let scores = exact([(answer.as_str(), expected.as_str())]);
            scores.flexible.unwrap_or(scores.text).share > 0.0
        });
        Some(100.0 * right.count() as f64 / pairs.len() as f64)
    }

    /// The outcome with what was answered and forgotten, and how far the model moved.
    fn compare(&self, tuned: &CausalLm, outcome: Outcome) -> Result<Outcome, Error> {
        let mut drift = self.drift(tuned)?;
        if let Some(share) = self.right_answers(tuned) {
            drift.insert("answers right, %".into(), share);
        }
        let forgetting = match &self.other_text {
            None => None,
            Some((text, before)) => {
                let (tokenizer, device) = (&self.tokenizer, &self.plain);
                let after = perplexity(tuned, tokenizer, text, WINDOW, WINDOW / 2, device);
                Some(BeforeAfter {
                    before: *before,
                    after: after.map_err(Error::Settings)?.loss,
                })
            }
        };
        Ok(Outcome {
            drift,
            forgetting,
            ..outcome
        })
    }

    fn drift(&self, tuned: &CausalLm) -> Result<BTreeMap<String, f64>, Error> {
        let vectors = vectors(tuned, &self.test, &self.plain);
        let drift = Drift::new().with_rows(vectors.dims()[0]);
        let trace = |vectors| Trace::new().with_layer("texts", vectors);
        let base = self.pretrained.model.valid();
        let report = drift.compare(&base, trace(self.vectors.clone()), tuned, trace(vectors));
        let report = report.map_err(Error::other)?;
        let angles = report.weights.iter();
        let angles: Vec<f64> = angles
            .filter_map(|weight| weight.get("angle_change"))
            .collect();
        let angle = angles.iter().sum::<f64>() / angles.len().max(1) as f64;
        let cosine = report
            .layers
            .first()
            .and_then(|layer| layer.get("row_cosine"));
        let numbers = [
            ("cosine of representations", cosine),
            (
                "angle between neurons, change in deg",
                (!angles.is_empty()).then(|| angle.to_degrees()),
            ),
        ];
        let numbers = numbers.into_iter();
        Ok(numbers
            .filter_map(|(name, value)| Some((name.to_string(), value?)))
            .collect())
    }
}

impl Experiment for Tuning<'_> {
    fn run(&self, spec: &RunSpec, steps: &mut Steps<'_>) -> Result<Outcome, Box<dyn StdError>> {
        if self.is_interrupted().is_break() {
            return Err(stop().into());
        }
        let heap = Heap::count();
        let mut run = self.config.run.clone();
        run.seed = spec.seed;
        let contender: Contender = spec.method.name().parse()?;
        run.rank = contender.rank_or(run.rank);
        let method = &rates::of(contender.method);
        let attachment = attachment(&self.pretrained.model, method, &run)?;
        let model = self.pretrained.model.clone();
        let model = method.attach(model, &BODY, &attachment)?;
        let (trainable, _) = count(&model);
        let split = match spec.split {
            Split::Validation => &self.data.validation,
            Split::Test => &self.test,
        };
        let texts = Texts {
            training: rows(&self.data.training, &run),
            validation: split,
            recompute: run.recompute,
            question: None,
            device: self.plain.clone(),
        };
        let out = tempfile::Builder::new()
            .prefix(".run-")
            .tempdir_in(&run.out)?;
        let folder = out.path().join("run");
        let folder = RunFolder::open(&folder, Path::new("pretrained"), false)?;
        let setting = Setting {
            task: &texts,
            rates: Rates {
                body: spec.rate,
                penalty: method.penalty,
                ..method.rates(spec.steps as usize)
            },
            course: Course {
                steps: Some(spec.steps as usize),
                patience: None,
                sample_every: None,
                ..run.course()
            },
            out: folder.path(),
            origin: Origin::new(&run, Vec::new(), "", String::new()),
            heap,
        };
        let mut throughput = Vec::new();
        let mut on_progress = |progress: &Progress| {
            if let Progress::Step { cost, .. } = progress {
                throughput.extend(cost.tokens_per_second);
                steps.done(Duration::from_secs_f64(cost.seconds));
            }
            self.is_interrupted()
        };
        let finished = Trainer::new(setting, model)
            .run(&mut on_progress)
            .map_err(reason)?;
        let path = folder.path().join(ADAPTER);
        method.save(&finished.model, &path)?;
        let measured = Outcome {
            adapter_bytes: Some(std::fs::metadata(&path)?.len()),
            peak_memory_bytes: finished.peak_memory_bytes,
            throughput: median(&throughput),
            ..Outcome::new(finished.best.validation.loss, trainable as u64)
        };
        match spec.split {
            Split::Validation => Ok(measured),
            Split::Test => Ok(self.compare(&finished.model.valid(), measured)?),
        }
    }

    fn machine(&self) -> String {
        machine(&self.config.run.device)
    }
}

/// The last layer's vectors of some texts, the mean over the tokens of each, `[texts, hidden]`.
fn vectors(model: &CausalLm, texts: &[Trained], device: &Device) -> Tensor<2> {
    let texts = &texts[..COMPARED.min(texts.len())];
    let rows = texts.iter().map(|text| {
        let batch = Batch::new(&[text], device);
        let hidden = model.hidden(batch.ids, &batch.layout);
        hidden.mean_dim(1).squeeze_dim::<2>(1)
    });
    Tensor::cat(rows.collect(), 0)
}

/// The first bytes of a text, as far as whole characters go.
fn beginning(path: &Path, bytes: usize) -> Result<String, Error> {
    let mut text = std::fs::read_to_string(path).map_err(Error::io("reading", path))?;
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    Ok(text)
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
