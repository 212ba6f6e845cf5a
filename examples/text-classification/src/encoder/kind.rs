//! The encoders of BERT's family: what each does in its own way.

/// A kind of encoder, the `model_type` of its `config.json`.
#[derive(Debug, PartialEq)]
pub struct Kind {
    /// `model_type`.
    pub name: &'static str,
    /// Before the names of tensors, in files of models with a head.
    pub(crate) prefix: &'static str,
    /// Names as the file has them and as the model has them. The first that occurs in a path is
    /// replaced, in either direction.
    pub(crate) names: &'static [(&'static str, &'static str)],
    /// Positions count from the number of the padding token plus one.
    pub(crate) after_padding: bool,
    /// Rows of the table of token types if the settings do not say; none if there is no table.
    pub(crate) types: Option<usize>,
    /// Pairs are told apart by their types; by the tokens between them alone if not.
    pub(crate) pairs_by_type: bool,
    /// Whether a token's position is part of its vector.
    pub(crate) positions: bool,
    /// How scores depend on the distance of tokens.
    pub(crate) distance: Distance,
    /// Width of a token's vector before the layers if the settings do not say, where it may be
    /// another than theirs.
    pub(crate) narrow: Option<usize>,
    /// Added to the variance in a layer norm if the settings do not say.
    pub(crate) epsilon: f64,
    /// Whether a `vocab.txt` says how its tokenizer works.
    pub(crate) word_pieces: bool,
}

/// How the score of two tokens depends on their distance, beyond the positions in their vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distance {
    /// It does not.
    Unseen,
    /// A number for the distance is added.
    Added,
    /// A vector for the distance takes part in the products.
    Disentangled,
}

const BERT_NAMES: &[(&str, &str)] = &[
    ("encoder.layer.", "encoder."),
    ("attention.self.query", "attention.query"),
    ("attention.self.key", "attention.key"),
    ("attention.self.value", "attention.value"),
    ("attention.output.dense", "attention.output"),
    ("attention.output.LayerNorm", "attention.norm"),
    ("embeddings.LayerNorm", "embeddings.norm"),
    ("embeddings_project", "embeddings.project"),
    ("intermediate.dense", "intermediate"),
    ("output.dense", "output"),
    ("output.LayerNorm", "norm"),
];

const MPNET_NAMES: &[(&str, &str)] = &[
    ("encoder.layer.", "encoder."),
    ("encoder.relative_attention_bias", "distances"),
    ("attention.attn.q", "attention.query"),
    ("attention.attn.k", "attention.key"),
    ("attention.attn.v", "attention.value"),
    ("attention.attn.o", "attention.output"),
    ("attention.LayerNorm", "attention.norm"),
    ("embeddings.LayerNorm", "embeddings.norm"),
    ("intermediate.dense", "intermediate"),
    ("output.dense", "output"),
    ("output.LayerNorm", "norm"),
];

const DEBERTA_NAMES: &[(&str, &str)] = &[
    ("encoder.layer.", "encoder."),
    ("encoder.rel_embeddings", "relative.vectors"),
    ("encoder.LayerNorm", "relative.norm"),
    ("attention.self.query_proj", "attention.query"),
    ("attention.self.key_proj", "attention.key"),
    ("attention.self.value_proj", "attention.value"),
    ("attention.output.dense", "attention.output"),
    ("attention.output.LayerNorm", "attention.norm"),
    ("embeddings.LayerNorm", "embeddings.norm"),
    ("intermediate.dense", "intermediate"),
    ("output.dense", "output"),
    ("output.LayerNorm", "norm"),
];

const DISTILBERT_NAMES: &[(&str, &str)] = &[
    ("transformer.layer.", "encoder."),
    ("attention.q_lin", "attention.query"),
    ("attention.k_lin", "attention.key"),
    ("attention.v_lin", "attention.value"),
    ("attention.out_lin", "attention.output"),
    ("sa_layer_norm", "attention.norm"),
    ("embeddings.LayerNorm", "embeddings.norm"),
    ("ffn.lin1", "intermediate"),
    ("ffn.lin2", "output"),
    ("output_layer_norm", "norm"),
];

const BERT: Kind = Kind {
    name: "bert",
    prefix: "bert",
    names: BERT_NAMES,
    after_padding: false,
    types: Some(2),
    pairs_by_type: true,
    positions: true,
    distance: Distance::Unseen,
    narrow: None,
    epsilon: 1e-12,
    word_pieces: true,
};

const ROBERTA: Kind = Kind {
    name: "roberta",
    prefix: "roberta",
    after_padding: true,
    pairs_by_type: false,
    word_pieces: false,
    ..BERT
};

/// Every kind; a new one is a row.
pub const KINDS: &[Kind] = &[
    BERT,
    ROBERTA,
    Kind {
        name: "xlm-roberta",
        ..ROBERTA
    },
    Kind {
        name: "camembert",
        ..ROBERTA
    },
    Kind {
        name: "distilbert",
        prefix: "distilbert",
        names: DISTILBERT_NAMES,
        types: None,
        pairs_by_type: false,
        ..BERT
    },
    Kind {
        name: "electra",
        prefix: "electra",
        narrow: Some(128),
        ..BERT
    },
    Kind {
        name: "mpnet",
        prefix: "mpnet",
        names: MPNET_NAMES,
        types: None,
        distance: Distance::Added,
        ..ROBERTA
    },
    // Version 3 as well.
    Kind {
        name: "deberta-v2",
        prefix: "deberta",
        names: DEBERTA_NAMES,
        types: None,
        pairs_by_type: false,
        positions: false,
        distance: Distance::Disentangled,
        epsilon: 1e-7,
        word_pieces: false,
        ..BERT
    },
];

impl Kind {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// The names of all.
    pub(crate) fn all() -> String {
        let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        names.join(", ")
    }
}
