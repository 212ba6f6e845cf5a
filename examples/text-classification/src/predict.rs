//! Using what a run has trained.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use burn_goft_finetune::Error;
use burn_goft_finetune::files::digest;

use crate::classifier::Classifier;
use crate::data::{Encoded, Examples, Task, Text, about_truncation, refuse_other_shape, tokenize};
use crate::encoder::{ModelFiles, TextTokenizer, Tokens};
use crate::evaluate::{self, largest, log_softmax};
use crate::metrics::Metrics;
use crate::saved::Saved;

/// A model that answers.
#[derive(Clone, Debug)]
pub struct Predictor {
    pub(crate) model: Classifier,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) task: Task,
    pub(crate) pairs: bool,
    pub(crate) device: Device,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The class, or the number.
    pub label: String,
    /// What the model gives the class; a number has none.
    pub probability: Option<f64>,
}

/// What to do if the model is not where the training found it.
fn where_it_was(error: Error, model: &str) -> Error {
    match error {
        Error::Model { path, reason } if path == Path::new(model) => Error::Model {
            path,
            reason: format!("{reason}; if the model was moved, name its place with `--model`"),
        },
        other => other,
    }
}

impl Predictor {
    /// Loads the adapter of a run's folder onto its pretrained model, or onto `model`, a folder or
    /// a name on the hub, where that is now.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if the folder holds no finished run, or if the weights are not those that it
    /// was trained on; those of [`ModelFiles`]; [`Error::Goft`] from the adapter's file.
    pub fn load(folder: &Path, model: Option<&str>, device: &Device) -> Result<Self, Error> {
        let saved = Saved::read(folder)?;
        let model = model.unwrap_or(&saved.model);
        let files = ModelFiles::find(model).map_err(|error| where_it_was(error, &saved.model))?;
        let weights = digest(files.weights())?;
        if weights != saved.weights {
            return Err(Error::run(
                folder,
                format!(
                    "it was trained on weights with the SHA-256 {}.., and those of `{model}` have {}..; name the right model with \
                     `--model`, or use these all the same with `--other-weights`",
                    saved.weights.get(..12).unwrap_or(&saved.weights),
                    &weights[..12]
                ),
            ));
        }
        Self::put_on(saved, folder, &files, device, false)
    }

    /// As [`load`](Self::load), onto a model of the same shape whose weights are others, such as
    /// the same ones in another precision.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_on_other_weights(
        folder: &Path,
        model: &str,
        device: &Device,
    ) -> Result<Self, Error> {
        let saved = Saved::read(folder)?;
        Self::put_on(saved, folder, &ModelFiles::find(model)?, device, true)
    }

    fn put_on(
        saved: Saved,
        folder: &Path,
        files: &ModelFiles,
        device: &Device,
        any_base: bool,
    ) -> Result<Self, Error> {
        let training = device.clone().autodiff();
        let pretrained = files.load(saved.max_length, &training)?;
        let (hidden, outputs) = (pretrained.config.hidden, saved.task.outputs());
        let fresh = Classifier::new(pretrained.bert, hidden, outputs, 0, &training);
        Ok(Self {
            model: saved.load(folder, fresh, any_base)?.valid(),
            tokenizer: pretrained.tokenizer,
            task: saved.task,
            pairs: saved.pairs,
            device: device.clone(),
        })
    }

    /// The encoder and the head.
    pub fn model(&self) -> &Classifier {
        &self.model
    }

    /// Whether it takes pairs of texts.
    pub fn takes_pairs(&self) -> bool {
        self.pairs
    }

    /// What it predicts.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// An answer for each text.
    ///
    /// # Errors
    ///
    /// Those of [`TextTokenizer::encode`].
    pub fn predict(&self, texts: &[Text]) -> Result<Vec<Prediction>, Error> {
        let tokens = self.tokens(texts)?;
        let outputs = evaluate::rows(&tokens, &self.device, |batch| self.model.forward(batch));
        Ok(outputs.iter().map(|row| self.answer(row)).collect())
    }

    /// Metrics on labeled examples.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] for pairs where single texts are needed, or the other way round;
    /// [`Error::Line`] for a label that training did not have.
    pub fn evaluate(&self, examples: &Examples) -> Result<Metrics, Error> {
        refuse_other_shape(examples, self.pairs)?;
        let data = Encoded::new(examples, &self.task, &self.tokenizer)?;
        Ok(evaluate::evaluate(
            &self.model,
            &self.task,
            &data,
            &self.device,
        ))
    }

    /// Sentence embeddings of length 1, as the adapted encoder gives them.
    ///
    /// # Errors
    ///
    /// Those of [`TextTokenizer::encode`].
    pub fn embed(&self, texts: &[Text]) -> Result<Vec<Vec<f64>>, Error> {
        let tokens = self.tokens(texts)?;
        Ok(evaluate::rows(&tokens, &self.device, |batch| {
            self.model.bert.embed(batch)
        }))
    }

    /// A sentence about texts that lost their end, if there are any.
    pub(crate) fn about_truncation(&self, texts: &[Text]) -> Result<Option<String>, Error> {
        let tokens = self.tokens(texts)?;
        Ok(about_truncation(&tokens, self.tokenizer.max_length()))
    }

    fn tokens(&self, texts: &[Text]) -> Result<Vec<Tokens>, Error> {
        tokenize(texts.iter(), &self.tokenizer)
    }

    fn answer(&self, output: &[f64]) -> Prediction {
        match &self.task {
            Task::Classification { classes } => {
                let class = largest(output);
                Prediction {
                    label: classes[class].clone(),
                    probability: Some(log_softmax(output)[class].exp()),
                }
            }
            Task::Regression { mean, deviation } => Prediction {
                label: format!("{:.4}", mean + deviation * output[0]),
                probability: None,
            },
        }
    }
}
