//! `config.json`: the sizes of a decoder and what its kind does.

mod kind;
mod rotary;

use std::path::Path;

use burn_goft_finetune::Error;
use serde::{Deserialize, Deserializer};

pub use kind::{Bias, KINDS, Kind, Norms, QueryNorm, Windows};
use rotary::{Lengths, RawRotary};
pub use rotary::{RotarySettings, Scaling};
pub use transformer_ops::Activation;

/// What a decoder is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// What differs between families of models.
    pub kind: Kind,
    /// Number of tokens that the model knows.
    pub vocabulary: usize,
    /// Length of a token's vector.
    pub hidden: usize,
    /// Width of the feed-forward blocks.
    pub intermediate: usize,
    /// Query heads of a layer.
    pub heads: usize,
    /// Key and value heads of a layer, each for as many query heads.
    pub key_heads: usize,
    /// Length of a head's vectors.
    pub head_dim: usize,
    /// The longest text that the model was made for, in tokens.
    pub positions: usize,
    /// Added to the mean square in norms.
    pub norm_epsilon: f64,
    /// Between the two halves of a feed-forward block.
    pub activation: Activation,
    /// Whether the head is the table of embeddings.
    pub tied: bool,
    /// Whether projections of the attention have a bias: those of query, key and value, and that
    /// of the output.
    pub attention_bias: (bool, bool),
    /// Whether projections of the feed-forward block have a bias.
    pub feed_forward_bias: bool,
    /// Multiplies the products of queries and keys.
    pub score_scale: f64,
    /// The largest score, by a tanh.
    pub score_cap: Option<f64>,
    /// The largest logit, by a tanh.
    pub logit_cap: Option<f64>,
    /// What each layer looks at and how it turns positions.
    pub layers: Vec<LayerConfig>,
}

/// What one layer looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerConfig {
    /// How many of the latest tokens, its own included; none for all.
    pub window: Option<usize>,
    /// How positions turn queries and keys.
    pub rotary: RotarySettings,
}

/// Beyond the size of anything, and small enough to multiply.
const LARGEST: usize = 1 << 24;

#[derive(Deserialize)]
struct Raw {
    model_type: Option<String>,
    vocab_size: Option<usize>,
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: Option<usize>,
    original_max_position_embeddings: Option<usize>,
    rms_norm_eps: Option<f64>,
    hidden_act: Option<String>,
    hidden_activation: Option<String>,
    tie_word_embeddings: Option<bool>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    query_pre_attn_scalar: Option<f64>,
    #[serde(default, deserialize_with = "spoken_of")]
    attn_logit_softcapping: Option<Option<f64>>,
    #[serde(default, deserialize_with = "spoken_of")]
    final_logit_softcapping: Option<Option<f64>>,
    #[serde(default, deserialize_with = "spoken_of")]
    sliding_window: Option<Option<usize>>,
    sliding_window_pattern: Option<usize>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    use_bidirectional_attention: Option<bool>,
    layer_types: Option<Vec<String>>,
    partial_rotary_factor: Option<f64>,
    rope_theta: Option<f64>,
    rope_local_base_freq: Option<f64>,
    rope_scaling: Option<RawRotary>,
    rope_parameters: Option<serde_json::Value>,
}

/// Tells a field that is `null` from one that is not there, for which a kind has a default.
fn spoken_of<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

impl DecoderConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Model`] for an architecture that is not known, and for sizes that
    /// are missing or do not go together.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(Error::io("reading", path))?;
        Self::parse(&text).map_err(|reason| Error::model(path, reason))
    }

    /// Reads the text of a `config.json`; an error is what is wrong with it.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(text)
            .map_err(|error| format!("it is no config.json of a language model: {error}"))?;
        raw.checked()
    }
}

impl Raw {
    fn checked(&self) -> Result<DecoderConfig, String> {
        let name = self.model_type.as_deref().unwrap_or("none");
        let kind = Kind::named(name).ok_or_else(|| {
            let known = KINDS.map(|kind| kind.name).join(", ");
            format!("its model_type is `{name}`; known are {known}")
        })?;
        if self.use_bidirectional_attention == Some(true) {
            return Err("its attention looks at later tokens too (`use_bidirectional_attention`); a language model of \
                        this program looks at earlier ones only"
                .into());
        }
        let size = |value: Option<usize>, field: &str| match value {
            Some(0) => Err(format!("its `{field}` is 0")),
            Some(value) => Ok(value),
            None => Err(format!("it lacks `{field}`")),
        };
        let hidden = size(self.hidden_size, "hidden_size")?;
        let heads = size(self.num_attention_heads, "num_attention_heads")?;
        let key_heads = self.num_key_value_heads.unwrap_or(heads);
        if key_heads == 0 || !heads.is_multiple_of(key_heads) {
            return Err(format!(
                "its {heads} heads cannot share {key_heads} heads of keys and values equally"
            ));
        }
        let head_dim = match self.head_dim {
            Some(dim) => dim,
            None if hidden.is_multiple_of(heads) => hidden / heads,
            None => {
                return Err(format!(
                    "its width {hidden} is no multiple of its {heads} heads, and it has no `head_dim`"
                ));
            }
        };
        let positions = size(self.max_position_embeddings, "max_position_embeddings")?;
        let asked = self.attention_bias == Some(true);
        // Kinds have defaults of their own for these, and a config.json names what its model has.
        let named = |present: bool, field: &str| match present {
            true => Ok(()),
            false => Err(format!("it lacks `{field}`")),
        };
        if kind.gemma || kind.query_norm == QueryNorm::EachHead {
            named(self.head_dim.is_some(), "head_dim")?;
        }
        if kind.gemma {
            named(
                self.query_pre_attn_scalar.is_some(),
                "query_pre_attn_scalar",
            )?;
        }
        let positive = |value: Option<f64>, field: &str| match value {
            Some(value) if !(value.is_finite() && value > 0.0) => {
                Err(format!("its `{field}` is {value}, and has to be positive"))
            }
            _ => Ok(value),
        };
        let epsilon = positive(self.rms_norm_eps, "rms_norm_eps")?;
        let epsilon = epsilon.ok_or("it lacks `rms_norm_eps`")?;
        let scalar = positive(self.query_pre_attn_scalar, "query_pre_attn_scalar")?;
        let [score_cap, logit_cap] = kind.caps;
        let score_cap = self.attn_logit_softcapping.unwrap_or(score_cap);
        let score_cap = positive(score_cap, "attn_logit_softcapping")?;
        let logit_cap = self.final_logit_softcapping.unwrap_or(logit_cap);
        let logit_cap = positive(logit_cap, "final_logit_softcapping")?;
        let unbounded = |size: usize| size > LARGEST;
        let sizes = [
            hidden,
            heads,
            head_dim,
            self.intermediate_size.unwrap_or(0),
            self.vocab_size.unwrap_or(0),
            self.num_hidden_layers.unwrap_or(0),
        ];
        if let Some(size) = sizes.into_iter().find(|size| unbounded(*size)) {
            return Err(format!("a size of it is {size}, which no model has"));
        }
        Ok(DecoderConfig {
            kind,
            vocabulary: size(self.vocab_size, "vocab_size")?,
            hidden,
            intermediate: size(self.intermediate_size, "intermediate_size")?,
            heads,
            key_heads,
            head_dim,
            positions,
            norm_epsilon: epsilon,
            activation: self.activation()?,
            tied: self.tie_word_embeddings.unwrap_or(kind.gemma),
            attention_bias: match kind.bias {
                Bias::Asked => (asked, asked),
                Bias::QueryKeyValue => (true, false),
                Bias::Never => (false, false),
            },
            feed_forward_bias: kind.bias == Bias::Asked && self.mlp_bias == Some(true),
            score_scale: match scalar {
                Some(scalar) if kind.gemma => scalar.powf(-0.5),
                _ => (head_dim as f64).powf(-0.5),
            },
            score_cap: score_cap.filter(|_| kind.gemma),
            logit_cap: logit_cap.filter(|_| kind.gemma),
            layers: self.layers(kind, head_dim, positions)?,
        })
    }

    fn activation(&self) -> Result<Activation, String> {
        let name = self.hidden_activation.as_ref().or(self.hidden_act.as_ref());
        match name.map(String::as_str) {
            Some("silu" | "swish") => Ok(Activation::Silu),
            Some("gelu") => Ok(Activation::Gelu),
            Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Activation::GeluTanh),
            Some(other) => Err(format!(
                "its activation is `{other}`; known are silu, gelu and gelu_pytorch_tanh"
            )),
            None => Err("it lacks `hidden_act`".into()),
        }
    }

    fn layers(
        &self,
        kind: Kind,
        head_dim: usize,
        positions: usize,
    ) -> Result<Vec<LayerConfig>, String> {
        let count = self
            .num_hidden_layers
            .ok_or("it lacks `num_hidden_layers`")?;
        let window = self.sliding_window.unwrap_or(kind.window);
        let looks = self.windowed(kind, window, count)?;
        if looks.contains(&true) && window.is_none_or(|window| window == 0) {
            return Err(
                "some of its layers look at a window, and it has no `sliding_window`".into(),
            );
        }
        let lengths = Lengths {
            positions,
            original: self.original_max_position_embeddings,
        };
        let layer = |windowed: bool| {
            Ok(LayerConfig {
                window: window.filter(|_| windowed),
                rotary: self.rotary(kind, windowed, head_dim, &lengths)?,
            })
        };
        looks.into_iter().map(layer).collect()
    }

    /// Which layers look at a window.
    fn windowed(
        &self,
        kind: Kind,
        window: Option<usize>,
        count: usize,
    ) -> Result<Vec<bool>, String> {
        let listed = self.layer_types.as_ref();
        // Those of kinds in which all layers are alike are not looked at.
        if let Some(types) =
            listed.filter(|_| matches!(kind.windows, Windows::AllBut(_) | Windows::Last))
        {
            if types.len() != count {
                return Err(format!(
                    "its `layer_types` are {} for {count} layers",
                    types.len()
                ));
            }
            let windowed = |name: &String| match name.as_str() {
                "full_attention" => Ok(false),
                "sliding_attention" => Ok(true),
                other => Err(format!(
                    "a layer is of type `{other}`; known are full_attention and sliding_attention"
                )),
            };
            return types.iter().map(windowed).collect();
        }
        let windowed = |index: usize| match kind.windows {
            Windows::Never => false,
            Windows::Every => window.is_some(),
            Windows::AllBut(n) => {
                let n = self.sliding_window_pattern.unwrap_or(n).max(1);
                !(index + 1).is_multiple_of(n)
            }
            Windows::Last => {
                let from = self.max_window_layers.unwrap_or(28);
                self.use_sliding_window == Some(true) && index >= from
            }
        };
        Ok((0..count).map(windowed).collect())
    }

    fn rotary(
        &self,
        kind: Kind,
        windowed: bool,
        head_dim: usize,
        lengths: &Lengths,
    ) -> Result<RotarySettings, String> {
        // Gemma 3 turns positions within a window faster than across the text, in two spellings.
        let apart = kind.name == "gemma3_text";
        let raw = match &self.rope_parameters {
            Some(parameters) => {
                let name = if windowed {
                    "sliding_attention"
                } else {
                    "full_attention"
                };
                let parameters = parameters.get(name).unwrap_or(parameters);
                serde_json::from_value(parameters.clone())
                    .map_err(|error| format!("its `rope_parameters` cannot be read: {error}"))?
            }
            None if apart && windowed => RawRotary::default(),
            None => self.rope_scaling.clone().unwrap_or_default(),
        };
        let theta = match (apart, windowed) {
            (true, true) => self.rope_local_base_freq.or(Some(1e4)),
            (true, false) => self.rope_theta.or(Some(1e6)),
            (false, _) => self.rope_theta.or(Some(1e4)),
        };
        let theta = raw.rope_theta.or(theta).expect("each has a default");
        if !(theta.is_finite() && theta > 0.0) {
            return Err(format!(
                "its `rope_theta` is {theta}, and has to be positive"
            ));
        }
        let share = raw.partial_rotary_factor.or(self.partial_rotary_factor);
        let dim = (head_dim as f64 * share.unwrap_or(1.0)) as usize;
        if dim == 0 || !dim.is_multiple_of(2) || dim > head_dim {
            return Err(format!(
                "positions turn {dim} of the {head_dim} coordinates of a head, and they turn pairs"
            ));
        }
        Ok(RotarySettings {
            dim,
            theta,
            scaling: raw.scaling(lengths, dim)?,
        })
    }
}
