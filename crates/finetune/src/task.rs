//! What a trainer has to be told of a task.

use std::fmt::Debug;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A model, its training data and its validation. All else about a training is the same for a
/// text classifier, a language model and a model of images. Parts of a batch may ask for their losses at the same time.
pub trait Task: Sync {
    /// What is trained.
    type Model: Module;

    /// How good a model is.
    type Score: Score;

    /// Which part of the model is pretrained.
    fn body(&self) -> Body;

    /// The length of every training example, such as its number of tokens: batches hold examples
    /// of similar length. Where examples have no length, equal numbers do.
    fn lengths(&self) -> Vec<usize>;

    /// How much these examples count in the mean of an update: their number, unless the loss is a
    /// mean over something else, such as the tokens that are learned.
    ///
    /// An update of several batches weights their losses by it, and so makes the step that one
    /// batch of all the examples would. Nobody asks for the loss of a batch or shard of weight 0 beside others.
    fn weight(&self, examples: &[usize]) -> f64 {
        examples.len() as f64
    }

    /// How many tokens or pixels a model goes through for these examples, for the log; padding is none
    /// of them. None where nobody asks.
    fn tokens(&self, examples: &[usize]) -> Option<usize> {
        let _ = examples;
        None
    }

    /// The mean loss of some training examples, on the model's device. A [`Tensor`] is a [`Loss`] of
    /// which no more is known.
    fn loss(&self, model: &Self::Model, examples: &[usize]) -> Loss;

    /// The gradients of [`loss`](Self::loss) times a factor, in parts whose sum they are: for a task
    /// that takes its backward pass apart, to have less in memory at a time. None for one pass of all.
    fn in_parts(&self, model: &Self::Model, examples: &[usize], factor: f64) -> Option<Parts> {
        let _ = (model, examples, factor);
        None
    }

    /// Something to read of a model without autodiff, every
    /// [`Course::sample_every`](crate::Course::sample_every) updates.
    fn sample(&self, model: &Self::Model) -> Option<String> {
        let _ = model;
        None
    }

    /// Measures a model without autodiff on the validation data.
    fn validate(&self, model: &Self::Model) -> Self::Score;
}

/// The loss of some examples.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Their mean, `[1]`.
    pub mean: Tensor<1>,
    /// How many of what [`Task::weight`] counts are predicted right, `[1]`, where that is a question.
    pub correct: Option<Tensor<1, Int>>,
}

/// The loss of some examples, and gradients whose sum is that of the loss times a factor.
#[derive(Debug)]
pub struct Parts {
    /// The loss, of which nobody asks a derivative.
    pub loss: Loss,
    /// Gradients of some of the parameters each.
    pub gradients: Vec<GradientsParams>,
}

impl From<Tensor<1>> for Loss {
    fn from(mean: Tensor<1>) -> Self {
        Self {
            mean,
            correct: None,
        }
    }
}

/// What a validation gives: it decides which state is the best and when training stops.
pub trait Score: Clone + Debug + PartialEq + Serialize + DeserializeOwned {
    /// Whether this state is to be kept rather than the other.
    fn is_better_than(&self, other: &Self) -> bool;

    /// A loss, which a training that diverges makes NaN or infinite.
    fn loss(&self) -> f64;
}

/// The pretrained part of a model, to which methods are applied, and what is fresh beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// What messages call the pretrained part, such as `encoder`.
    pub name: &'static str,
    /// The fields of the model that start at random and are trained by every method at a rate of
    /// their own, such as `head`. Everything else is pretrained.
    pub heads: &'static [&'static str],
}

impl Body {
    /// Whether a parameter belongs to one of the heads.
    pub(crate) fn is_head(&self, path: &str) -> bool {
        let inside = |head: &&str| {
            let rest = path.strip_prefix(*head);
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        self.heads.iter().any(inside)
    }
}
