//! `config.json` of an encoder, as Hugging Face writes it.

use std::path::Path;

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn_goft_finetune::Error;
use serde::Deserialize;
use transformer_ops::activate;

use super::disentangled::Reach;
use super::distances::BUCKETS;
use super::kind::{Distance, Kind};

/// The kind and the sizes of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct BertConfig {
    /// What it does in its own way.
    pub kind: &'static Kind,
    /// Number of tokens.
    pub vocabulary: usize,
    /// Width of a token's vector before the layers, where it may be another one.
    pub embedding: usize,
    /// Width of a token's vector.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Attention heads in a layer.
    pub heads: usize,
    /// Width between the two feed-forward products.
    pub intermediate: usize,
    /// Longest text in tokens.
    pub positions: usize,
    /// Number of the first position, 0 or one more than that of the padding token.
    pub first_position: usize,
    /// Rows of the table of token types; 0 for none.
    pub types: usize,
    /// How far tokens see each other where their distance has a vector.
    pub reach: Option<Reach>,
    /// Added to the variance in a layer norm.
    pub norm_epsilon: f64,
    /// Between the two feed-forward products.
    pub activation: Activation,
}

/// What stands between the two feed-forward products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x Phi(x)` with the normal distribution's `Phi`, by erf.
    Gelu,
    /// Its approximation by tanh.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

/// Hugging Face's names.
const ACTIVATIONS: [(&str, Activation); 5] = [
    ("gelu", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("relu", Activation::Relu),
];

impl Activation {
    pub(crate) fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gelu => activate(x, transformer_ops::Activation::Gelu),
            Self::GeluTanh => activate(x, transformer_ops::Activation::GeluTanh),
            Self::Relu => relu(x),
        }
    }
}

/// The file's own spelling, of which DistilBERT has another one. Dropout rates in it are ignored:
/// this encoder has no dropout.
#[derive(Deserialize)]
struct Raw {
    vocab_size: usize,
    embedding_size: Option<usize>,
    #[serde(alias = "dim")]
    hidden_size: usize,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    max_position_embeddings: usize,
    pad_token_id: Option<usize>,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f64>,
    #[serde(default = "gelu_name", alias = "activation")]
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    relative_attention_num_buckets: Option<usize>,
    #[serde(flatten)]
    disentangled: Disentangled,
}

/// DeBERTa's settings.
#[derive(Deserialize)]
struct Disentangled {
    #[serde(default)]
    relative_attention: bool,
    #[serde(default = "yes")]
    position_biased_input: bool,
    #[serde(default)]
    share_att_key: bool,
    #[serde(default)]
    pos_att_type: Names,
    #[serde(default)]
    norm_rel_ebd: Names,
    #[serde(default)]
    conv_kernel_size: usize,
    position_buckets: Option<i64>,
    max_relative_positions: Option<i64>,
}

/// A list, or its names with bars between.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Names {
    #[default]
    None,
    Joined(String),
    List(Vec<String>),
}

impl Names {
    fn contains(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Joined(names) => names.split('|').any(|part| part.trim() == name),
            Self::List(names) => names.iter().any(|part| part == name),
        }
    }
}

impl Disentangled {
    /// Versions 2 and 3 as they were published; other choices of these settings are other models.
    fn reach(&self, positions: usize) -> Result<Reach, String> {
        for (setting, known) in [
            ("relative_attention", self.relative_attention),
            ("position_biased_input", !self.position_biased_input),
            ("share_att_key", self.share_att_key),
            (
                "pos_att_type",
                self.pos_att_type.contains("c2p") && self.pos_att_type.contains("p2c"),
            ),
            ("norm_rel_ebd", self.norm_rel_ebd.contains("layer_norm")),
            ("conv_kernel_size", self.conv_kernel_size == 0),
        ] {
            if !known {
                return Err(format!(
                    "`{setting}` is not as in DeBERTa-v3, the only one of its family that this program has"
                ));
            }
        }
        let positive = |number: Option<i64>| {
            let number = number.and_then(|number| usize::try_from(number).ok());
            number.filter(|number| *number > 0)
        };
        let farthest = positive(self.max_relative_positions).unwrap_or(positions);
        Ok(match positive(self.position_buckets) {
            Some(buckets) => Reach {
                span: buckets,
                farthest: Some(farthest),
            },
            None => Reach {
                span: farthest,
                farthest: None,
            },
        })
    }
}

fn gelu_name() -> String {
    "gelu".into()
}

fn yes() -> bool {
    true
}

fn absolute() -> String {
    "absolute".into()
}

impl BertConfig {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Model`] for a model or an activation of another kind, and for sizes
    /// that do not go together.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(Error::io("reading the model's settings", path))?;
        Self::parse(&text).map_err(|reason| Error::model(path, reason))
    }

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Typed {
            model_type: Option<String>,
        }
        let unreadable = |error| format!("not the config.json of an encoder: {error}");
        let typed: Typed = serde_json::from_str(text).map_err(unreadable)?;
        let Some(name) = typed.model_type else {
            return Err(format!(
                "it has no `model_type`, which is one of {}",
                Kind::all()
            ));
        };
        let Some(kind) = Kind::named(&name) else {
            return Err(format!(
                "`model_type` is `{name}`, and this program has encoders of type {}; choose a model of one of them",
                Kind::all()
            ));
        };
        let raw: Raw = serde_json::from_str(text).map_err(unreadable)?;
        raw.check(kind)
    }

    /// Whether it was made for pairs of texts.
    pub(crate) fn takes_pairs(&self) -> bool {
        self.types > 1 || !self.kind.pairs_by_type
    }
}

impl Raw {
    fn check(self, kind: &'static Kind) -> Result<BertConfig, String> {
        let known = ACTIVATIONS
            .iter()
            .find(|(name, _)| *name == self.hidden_act);
        let Some((_, activation)) = known else {
            let names: Vec<_> = ACTIVATIONS.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "`hidden_act` is `{}`, and this encoder knows {}",
                self.hidden_act,
                names.join(", ")
            ));
        };
        if self.position_embedding_type != "absolute" {
            return Err(format!(
                "`position_embedding_type` is `{}`, and this encoder knows `absolute`",
                self.position_embedding_type
            ));
        }
        if let Some(buckets) = self.relative_attention_num_buckets
            && kind.distance == Distance::Added
            && buckets != BUCKETS
        {
            return Err(format!(
                "`relative_attention_num_buckets` is {buckets}, and this encoder knows {BUCKETS}"
            ));
        }
        let first_position = match kind.after_padding {
            true => self.pad_token_id.unwrap_or(1) + 1,
            false => 0,
        };
        let positions = self.max_position_embeddings.saturating_sub(first_position);
        let embedding = match kind.narrow {
            Some(usual) => self.embedding_size.unwrap_or(usual),
            None => self.hidden_size,
        };
        let types = kind
            .types
            .map(|usual| self.type_vocab_size.unwrap_or(usual));
        for (name, size) in [
            ("vocab_size", self.vocab_size),
            ("embedding_size", embedding),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("type_vocab_size", types.unwrap_or(1)),
        ] {
            if size == 0 {
                return Err(format!("`{name}` is 0"));
            }
        }
        if positions == 0 {
            return Err(format!(
                "`max_position_embeddings` is {}, which leaves no position for a token",
                self.max_position_embeddings
            ));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "`hidden_size` {} does not divide into `num_attention_heads` {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        let reach = match kind.distance {
            Distance::Disentangled => Some(self.disentangled.reach(positions)?),
            _ => None,
        };
        Ok(BertConfig {
            kind,
            reach,
            vocabulary: self.vocab_size,
            embedding,
            hidden: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            intermediate: self.intermediate_size,
            positions,
            first_position,
            types: types.unwrap_or(0),
            norm_epsilon: self.layer_norm_eps.unwrap_or(kind.epsilon),
            activation: *activation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = r#"{"model_type": "bert", "vocab_size": 20, "hidden_size": 12, "num_hidden_layers": 2,
        "num_attention_heads": 3, "intermediate_size": 16, "max_position_embeddings": 8, "hidden_act": "gelu"}"#;

    #[test]
    fn defaults_are_berts() {
        let config = BertConfig::parse(TINY).unwrap();
        assert_eq!(config.types, 2);
        assert_eq!(config.norm_epsilon, 1e-12);
        assert_eq!(config.activation, Activation::Gelu);
        assert_eq!((config.hidden, config.heads, config.positions), (12, 3, 8));
        // `embedding_size` is ELECTRA's, and its own default.
        let of = |kind: &str| BertConfig::parse(&TINY.replacen("\"bert\"", kind, 1)).unwrap();
        assert_eq!(of("\"bert\", \"embedding_size\": 5").embedding, 12);
        assert_eq!(of("\"electra\", \"embedding_size\": 5").embedding, 5);
        assert_eq!(of("\"electra\"").embedding, 128);
    }

    #[test]
    fn debertas_settings_are_read_in_either_spelling() {
        let deberta = |settings: &str| {
            let kind = format!(
                r#""deberta-v2", "relative_attention": true, "position_biased_input": false, "share_att_key": true, {settings}"#
            );
            BertConfig::parse(&TINY.replacen("\"bert\"", &kind, 1))
        };
        let reach = |settings: &str| deberta(settings).unwrap().reach.unwrap();
        let joined = r#""norm_rel_ebd": "layer_norm", "pos_att_type": "p2c | c2p""#;
        let whole = Reach {
            span: 8,
            farthest: None,
        };
        assert_eq!(reach(joined), whole);
        let listed = r#""norm_rel_ebd": "layer_norm", "pos_att_type": ["c2p", "p2c"], "max_relative_positions": -1, "position_buckets": 4"#;
        let buckets = Reach {
            span: 4,
            farthest: Some(8),
        };
        assert_eq!(reach(listed), buckets);
        for (settings, refused) in [
            (
                r#""norm_rel_ebd": "layer_norm", "pos_att_type": "p2c""#,
                "pos_att_type",
            ),
            (
                r#""norm_rel_ebd": "none", "pos_att_type": "p2c|c2p""#,
                "norm_rel_ebd",
            ),
            (
                &format!("{joined}, \"conv_kernel_size\": 3"),
                "conv_kernel_size",
            ),
        ] {
            let refusal = deberta(settings).unwrap_err();
            assert!(
                refusal.contains(&format!("`{refused}` is not as in DeBERTa-v3")),
                "{refusal}"
            );
        }
    }

    #[test]
    fn other_models_are_refused_by_name() {
        for (from, to, expected) in [
            ("\"bert\"", "\"t5\"", "`model_type` is `t5`"),
            ("\"bert\"", "\"t5\"", "bert, roberta"),
            (
                "\"bert\"",
                "\"roberta\", \"pad_token_id\": 7",
                "is 8, which leaves no position",
            ),
            (
                "\"bert\"",
                "\"mpnet\", \"relative_attention_num_buckets\": 16",
                "is 16, and this encoder knows 32",
            ),
            ("\"gelu\"", "\"silu\"", "`hidden_act` is `silu`"),
            ("\"gelu\"", "\"silu\"", "gelu_new"),
            (
                ": 3,",
                ": 5,",
                "12 does not divide into `num_attention_heads` 5",
            ),
            (": 20,", ": 0,", "`vocab_size` is 0"),
            ("\"hidden_size\": 12, ", "", "hidden_size"),
            ("\"model_type\": \"bert\", ", "", "no `model_type`"),
            (
                "{",
                "{\"position_embedding_type\": \"relative_key\", ",
                "`relative_key`",
            ),
        ] {
            let text = TINY.replacen(from, to, 1);
            assert_ne!(text, TINY);
            let refusal = BertConfig::parse(&text).unwrap_err();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
