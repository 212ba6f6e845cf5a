//! How much memory a training step takes, before it does.

use std::fmt;

use crate::config::DecoderConfig;
use crate::settings::RunConfig;

/// Bytes of a training step, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The model, what is frozen of its layers in the base.
    pub weights: u64,
    /// What is trained, with its gradient and the optimizer's two moments.
    pub trained: u64,
    /// What the layers keep of each token for the backward pass.
    pub kept: u64,
    /// Logits of the positions that are learned, those that are in memory at a time, and their
    /// derivatives.
    pub logits: u64,
}

const FLOAT: u64 = 4;

/// Logits that are in memory at a time, as `burn_goft_finetune::Head` has them.
const LOGITS: usize = 1 << 24;

impl Estimate {
    /// For what the settings keep frozen weights in and whether they recompute, so many tokens in a
    /// batch, trained numbers and numbers in all.
    pub fn new(
        config: &DecoderConfig,
        settings: &RunConfig,
        tokens: usize,
        trained: usize,
        total: usize,
    ) -> Self {
        let (queries, keys) = (
            config.heads * config.head_dim,
            config.key_heads * config.head_dim,
        );
        // Of a token and layer: the vectors before and behind both norms, queries, keys and values as
        // attention sees them and what it gives, and gate, up and their product. What an adapter
        // rotates is one of these.
        let of_layer = 4 * config.hidden + 2 * queries + 2 * keys + 3 * config.intermediate;
        let layers = config.layers.len();
        let kept = tokens
            * match settings.recompute {
                true => of_layer + layers * config.hidden,
                false => layers * of_layer,
            };
        let shards = settings.shards.clamp(1, tokens.max(1));
        let of_shard = tokens.div_ceil(shards) * config.vocabulary;
        let logits = shards * of_shard.min(LOGITS.max(config.vocabulary));
        let of_layer = config.hidden * (2 * queries + 2 * keys + 3 * config.intermediate);
        let frozen = (total - trained.min(total)) as u64;
        let in_base = frozen.min((of_layer * config.layers.len()) as u64);
        Self {
            weights: settings.base.bytes(in_base, &settings.device) + FLOAT * (frozen - in_base),
            trained: 4 * FLOAT * trained as u64,
            kept: FLOAT * kept as u64,
            logits: 2 * FLOAT * logits as u64,
        }
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        self.weights + self.trained + self.kept + self.logits
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "about {} for a step: weights {}, what is trained {}, kept for the backward pass {}, logits {}",
            size(self.sum()),
            size(self.weights),
            size(self.trained),
            size(self.kept),
            size(self.logits)
        )
    }
}

/// In the unit that people read.
pub(crate) fn size(bytes: u64) -> String {
    match bytes as f64 / f64::from(1 << 20) {
        mebibytes if mebibytes >= 1024.0 => format!("{:.1} GiB", mebibytes / 1024.0),
        mebibytes => format!("{mebibytes:.0} MiB"),
    }
}
