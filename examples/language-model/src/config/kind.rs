//! The kinds of decoders: what differs between them, a row each.

/// A `model_type` of `config.json` and what its models do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    /// As `config.json` spells it.
    pub name: &'static str,
    /// Whether query, key and value are one matrix, and gate and up another.
    pub fused: bool,
    /// Which projections have a bias.
    pub bias: Bias,
    /// What is normalized in queries and keys.
    pub query_norm: QueryNorm,
    /// Where a layer has its norms.
    pub norms: Norms,
    /// Whether norms multiply by one more than their weight, and embeddings by the root of the
    /// width.
    pub gemma: bool,
    /// Which layers look at a window of the latest tokens, where `config.json` does not list them.
    pub windows: Windows,
    /// The window where `config.json` does not speak of one; with `null` it says that there is none.
    pub window: Option<usize>,
    /// The greatest score and the greatest logit where it does not speak of them.
    pub caps: [Option<f64>; 2],
}

/// Which projections have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// Those of the attention by `attention_bias`, those of the feed-forward block by `mlp_bias`.
    Asked,
    /// Query, key and value.
    QueryKeyValue,
    /// None.
    Never,
}

/// What is normalized in queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryNorm {
    /// Nothing.
    None,
    /// Each head by itself.
    EachHead,
    /// All heads together.
    Whole,
}

/// Where a layer has its norms: before attention and feed-forward block, behind them, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Norms {
    Before,
    Behind,
    Both,
}

/// Which layers look at a window of the latest tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// None.
    Never,
    /// All, if there is a `sliding_window`.
    Every,
    /// All but each n-th, by `sliding_window_pattern` or this number.
    AllBut(usize),
    /// Those from `max_window_layers` on, if `use_sliding_window` says so.
    Last,
}

const LLAMA: Kind = Kind {
    name: "llama",
    fused: false,
    bias: Bias::Asked,
    query_norm: QueryNorm::None,
    norms: Norms::Before,
    gemma: false,
    windows: Windows::Never,
    window: None,
    caps: [None; 2],
};

const GEMMA2: Kind = Kind {
    name: "gemma2",
    norms: Norms::Both,
    gemma: true,
    windows: Windows::AllBut(2),
    window: Some(4096),
    caps: [Some(50.0), Some(30.0)],
    ..LLAMA
};

/// All kinds. A new one is a row, and a line in `scripts/tiny_models.py`.
pub const KINDS: [Kind; 8] = [
    LLAMA,
    Kind {
        name: "mistral",
        bias: Bias::Never,
        windows: Windows::Every,
        window: Some(4096),
        ..LLAMA
    },
    Kind {
        name: "qwen2",
        bias: Bias::QueryKeyValue,
        windows: Windows::Last,
        window: Some(4096),
        ..LLAMA
    },
    Kind {
        name: "qwen3",
        query_norm: QueryNorm::EachHead,
        windows: Windows::Last,
        window: Some(4096),
        ..LLAMA
    },
    GEMMA2,
    Kind {
        name: "gemma3_text",
        query_norm: QueryNorm::EachHead,
        windows: Windows::AllBut(6),
        caps: [None; 2],
        ..GEMMA2
    },
    Kind {
        name: "phi3",
        fused: true,
        bias: Bias::Never,
        windows: Windows::Every,
        ..LLAMA
    },
    Kind {
        name: "olmo2",
        query_norm: QueryNorm::Whole,
        norms: Norms::Behind,
        ..LLAMA
    },
];

impl Kind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.name == name)
    }
}
