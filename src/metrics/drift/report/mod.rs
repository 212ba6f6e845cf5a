//! Two models on one batch: the answer to "how far did meaning move".

mod figure;
mod layers;
mod settings;
mod table;
mod trace;
mod weights;

use burn::tensor::Tensor;
pub use layers::LayerDrift;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
pub use settings::Drift;
pub use trace::Trace;
pub use weights::WeightDrift;

use super::host::{Host, undefined};
use super::kl::logits;
use super::spread::Spread;
use super::whole::{Raw, Whole};
use super::{agreement, kl};
use crate::error::Error;

/// How far a model has moved from another one: its representations, its weights and its answers. Made by [`Drift::compare`].
///
/// Prints as a table, draws itself ([`svg`](Self::svg)) and is serialized by serde. What has no value is `None` and is explained in
/// [`notes`](Self::notes); no number is NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// Sizes of the samples and their seed.
    pub settings: Drift,
    /// Representations, in the order of the trace.
    pub layers: Vec<LayerDrift>,
    /// Weights, in the order of the model's fields.
    pub weights: Vec<WeightDrift>,
    /// Answers, if the traces have logits.
    pub behaviour: Option<BehaviourDrift>,
    /// Metrics on data of the old task, added by [`with_forgetting`](Self::with_forgetting).
    pub forgetting: Vec<Forgetting>,
    /// Why a value is missing, and what to be careful with.
    pub notes: Vec<String>,
}

/// How far the answers moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BehaviourDrift {
    /// Rows of logits compared, all that there are.
    pub rows: usize,
    /// [`kl_divergence`](crate::kl_divergence) of the answers after from those before, nats, over the rows.
    pub kl: Option<Spread>,
    /// [`agreement`](crate::agreement) of the answers, 0 to 1.
    pub agreement: Option<f64>,
}

/// A metric on data of the old task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forgetting {
    /// What was measured, and in which unit.
    pub metric: String,
    /// Its value before.
    pub before: f64,
    /// Its value after.
    pub after: f64,
    /// [`forgetting`](crate::forgetting): before minus after.
    pub forgotten: f64,
}

impl DriftReport {
    /// Adds a metric that is better when larger, measured on data of the old task before and after.
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`] if one of the numbers is.
    pub fn with_forgetting(
        mut self,
        metric: impl Into<String>,
        before: f64,
        after: f64,
    ) -> Result<Self, Error> {
        let metric = metric.into();
        let count = [before, after].iter().filter(|v| !v.is_finite()).count();
        if count > 0 {
            return Err(Error::NonFinite {
                path: metric,
                what: "the metric".into(),
                count,
                remedy: "nothing can be said of what was forgotten",
            });
        }
        self.forgetting.push(Forgetting {
            metric,
            before,
            after,
            forgotten: super::forgetting(before, after),
        });
        Ok(self)
    }

    /// The report as a figure: a cell for each layer or weight and each metric, the darker the farther it moved.
    ///
    /// Every cell is a distance, 0 where nothing moved: a cosine or a similarity `s` is shown as `1 - s`, the Procrustes distance is
    /// halved. Shades are the same in every figure, so that two of them can be compared.
    pub fn svg(&self) -> String {
        figure::draw(self)
    }
}

/// The value, or why there is none.
fn keep<T>(of: &str, measured: Result<T, Error>, notes: &mut Vec<String>) -> Option<T> {
    match measured {
        Ok(value) => Some(value),
        Err(error) => {
            notes.push(format!("`{of}`: {error}"));
            None
        }
    }
}

/// A matrix before and after.
struct Pair {
    shape: [usize; 2],
    before: Raw,
    after: Raw,
}

impl Pair {
    fn read(before: Tensor<2>, after: Tensor<2>) -> Self {
        let (before, after) = (Raw::read(before), Raw::read(after));
        let shape = before.shape;
        Self {
            shape,
            before,
            after,
        }
    }

    fn values(self) -> Result<(Whole, Whole), Error> {
        Ok((self.before.finite("before")?, self.after.finite("after")?))
    }
}

/// Items that are read, and measured, at a time.
const TOGETHER: usize = 8;

/// Measures all items, several at once, and collects what they note. Reading stays on this thread, in the order of the items, and goes
/// on while others are measured.
fn in_parallel<I, R: Send, T: Send>(
    items: Vec<I>,
    notes: &mut Vec<String>,
    read: impl Fn(I) -> R,
    measure: impl Fn(R, &mut Vec<String>) -> T + Sync,
) -> Vec<T> {
    let mut measured = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    let mut read_some = || Vec::from_iter(items.by_ref().take(TOGETHER).map(&read));
    let measure = |item| {
        let mut notes = Vec::new();
        (measure(item, &mut notes), notes)
    };
    let mut next = read_some();
    while !next.is_empty() {
        let together = std::mem::take(&mut next).into_par_iter().map(measure);
        let mut done = Vec::new();
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| done = together.collect());
            next = read_some();
        });
        for (item, noted) in done {
            measured.push(item);
            notes.extend(noted);
        }
    }
    measured
}

fn behaviour(
    trace: [trace::Logits; 2],
    notes: &mut Vec<String>,
) -> Result<Option<BehaviourDrift>, Error> {
    let [before, after] = match trace {
        [None, None] => return Ok(None),
        [Some(before), Some(after)] if before.dims() == after.dims() => [before, after],
        [before, after] => {
            let describe = |logits: trace::Logits| match logits {
                Some(logits) => format!("{:?}", logits.dims()),
                None => "none".into(),
            };
            return Err(Error::Incomparable {
                what: "the logits".into(),
                before: describe(before),
                after: describe(after),
            });
        }
    };
    let rows = before.dims()[0];
    let read = || Ok([logits("before", before)?, logits("after", after)?]);
    let pair = keep("logits", read(), notes);
    let (kl, agreement) = match &pair {
        Some([before, after]) => (
            keep("logits", finite_divergence(before, after), notes),
            keep("logits", agreement::measure(before, after), notes),
        ),
        None => (None, None),
    };
    Ok(Some(BehaviourDrift {
        rows,
        kl,
        agreement,
    }))
}

/// JSON has no infinity.
fn finite_divergence(before: &Host, after: &Host) -> Result<Spread, Error> {
    let spread = kl::measure(before, after)?;
    match spread.mean.is_finite() {
        true => Ok(spread),
        false => undefined(
            "kl_divergence",
            "it is infinite: a class that was possible before is masked after",
        ),
    }
}
