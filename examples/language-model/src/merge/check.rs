//! What a merge has changed: the logits of the model that was trained beside those of the folder that
//! was written.

use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::{Int, Tensor, TensorData};
use burn_goft_finetune::Error;

use crate::cli::Loaded;
use crate::folder::Base;
use crate::model::Layout;

/// The text whose tokens are compared.
const TEXT: &str = "The lighthouse keeper counted nineteen steps from the door to the lamp. \"If each is a foot high,\" he \
                    asked, \"how far is it to the top?\" In 1887 nobody in town would have known: 7 + 12 = 19, x^2 < 4.";

/// How far logits are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogitDifference {
    /// What the weights were kept in beside the adapter; those of the folder are dense.
    pub base: Base,
    /// Tokens after which the logits were compared.
    pub tokens: usize,
    /// The greatest difference of two logits.
    pub greatest: f64,
    /// The root of the mean square of all differences.
    pub typical: f64,
    /// The same of the logits of one position about their mean: how far apart they are at all.
    pub spread: f64,
    /// Share of the tokens after which the likeliest one is the same.
    pub agree: f64,
}

impl LogitDifference {
    /// Compares a model with the adapter of a run, in the base that it was trained beside, and the
    /// folder into which it was merged.
    ///
    /// # Errors
    ///
    /// All that reading them can give.
    pub fn measure(
        model: &Path,
        run: &PathBuf,
        merged: &Path,
        device: &str,
    ) -> Result<Self, Error> {
        let base = crate::run::base_of(run)?;
        let (before, vocabulary) = logits(model, Some(run), device)?;
        let (after, _) = logits(merged, None, device)?;
        Ok(Self::between(base, &before, &after, vocabulary))
    }

    fn between(base: Base, before: &[f32], after: &[f32], vocabulary: usize) -> Self {
        let likeliest = |logits: &[f32]| {
            let numbered = logits.iter().enumerate();
            let most = numbered.max_by(|a, b| a.1.total_cmp(b.1));
            most.map(|(token, _)| token)
        };
        let (mut greatest, mut squares, mut spread) = (0.0f64, 0.0, 0.0);
        let (mut same, mut tokens) = (0, 0);
        for (before, after) in before.chunks(vocabulary).zip(after.chunks(vocabulary)) {
            let mean =
                before.iter().map(|logit| f64::from(*logit)).sum::<f64>() / vocabulary as f64;
            for (a, b) in before.iter().zip(after) {
                let apart = f64::from((a - b).abs());
                // NaN is a difference too: the largest of this order.
                if apart.total_cmp(&greatest).is_gt() {
                    greatest = apart;
                }
                squares += apart * apart;
                spread += (f64::from(*a) - mean).powi(2);
            }
            same += usize::from(likeliest(before) == likeliest(after));
            tokens += 1;
        }
        let root = |sum: f64| (sum / before.len().max(1) as f64).sqrt();
        Self {
            base,
            tokens,
            greatest,
            typical: root(squares),
            spread: root(spread),
            agree: same as f64 / tokens.max(1) as f64,
        }
    }
}

impl fmt::Display for LogitDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "logits after {} tokens differ by {:.1e} (root mean square), at most {:.1e}; those after one token have a standard deviation \
             of {:.1}; the likeliest token is the same after {:.0} % of the tokens",
            self.tokens,
            self.typical,
            self.greatest,
            self.spread,
            100.0 * self.agree
        )?;
        if self.base.is_packed() {
            write!(
                f,
                "\nthe adapter was trained beside weights packed as {:?}, and the folder has the model's own, dense: what packing had \
                 changed is no longer there",
                self.base
            )?;
        }
        Ok(())
    }
}

fn logits(model: &Path, run: Option<&PathBuf>, device: &str) -> Result<(Vec<f32>, usize), Error> {
    let loaded = Loaded::new(model, run, None, device)?;
    let mut ids = loaded
        .tokenizer
        .encode(TEXT)
        .map_err(|reason| Error::model(model, reason))?;
    ids.truncate(loaded.positions);
    let count = ids.len();
    let ids: Vec<i64> = ids.into_iter().map(i64::from).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, count]), &loaded.device);
    let logits = loaded.model().forward(ids, &Layout::of_rows(&[count]));
    let vocabulary = loaded.model().vocabulary();
    Ok((logits.into_data().iter::<f32>().collect(), vocabulary))
}
