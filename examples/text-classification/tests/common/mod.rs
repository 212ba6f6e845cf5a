//! A tiny model and tokenizer on disk, made from a seed.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

pub mod oracle;
#[path = "../../../support/stored.rs"]
pub mod stored;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use safetensors::tensor::{Dtype, TensorView};

/// Sizes that are all different, so that no two axes can be mixed up unseen.
pub const HIDDEN: usize = 12;
pub const HEADS: usize = 3;
pub const LAYERS: usize = 2;
pub const INTERMEDIATE: usize = 20;
pub const POSITIONS: usize = 16;
pub const EPSILON: f64 = 1e-12;

/// The words of the tiny language, the special tokens first.
pub const WORDS: [&str; 26] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film", "great", "awful",
    "the", "plot", "is", "was", "and", "fun", "dull", "##ly", "##s", "un", "##fun", ".", ",",
    "not", "very",
];

/// Tensors by Hugging Face name: shape and values, the values exact in f16.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

/// Random weights of the tiny model, `scale` times the usual size.
pub fn tensors(seed: u64) -> Tensors {
    let mut random = StdRng::seed_from_u64(seed);
    let mut tensors = Tensors::new();
    let mut add = |name: String, shape: &[usize], mean: f64, spread: f64| {
        let count = shape.iter().product();
        // Multiples of 1/1024 below 2 are exact in f16.
        let values = (0..count).map(|_| {
            let value: f64 = mean + spread * random.random_range(-1.0..1.0);
            (value * 1024.0).round() / 1024.0
        });
        tensors.insert(name, (shape.to_vec(), values.collect()));
    };
    let embeddings = "embeddings.";
    for (name, rows) in [
        ("word_embeddings", WORDS.len()),
        ("position_embeddings", POSITIONS),
        ("token_type_embeddings", 2),
    ] {
        add(
            format!("{embeddings}{name}.weight"),
            &[rows, HIDDEN],
            0.0,
            0.9,
        );
    }
    add(format!("{embeddings}LayerNorm.weight"), &[HIDDEN], 1.0, 0.3);
    add(format!("{embeddings}LayerNorm.bias"), &[HIDDEN], 0.0, 0.3);
    for layer in 0..LAYERS {
        for (name, outputs, inputs) in [
            ("attention.self.query", HIDDEN, HIDDEN),
            ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", INTERMEDIATE, HIDDEN),
            ("output.dense", HIDDEN, INTERMEDIATE),
        ] {
            let name = format!("encoder.layer.{layer}.{name}");
            add(format!("{name}.weight"), &[outputs, inputs], 0.0, 0.6);
            add(format!("{name}.bias"), &[outputs], 0.0, 0.3);
        }
        for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
            let name = format!("encoder.layer.{layer}.{name}");
            add(format!("{name}.weight"), &[HIDDEN], 1.0, 0.3);
            add(format!("{name}.bias"), &[HIDDEN], 0.0, 0.3);
        }
    }
    tensors
}

/// Writes tensors as safetensors, each under the name that `rename` gives it, with the leftovers
/// that real files have.
pub fn write_weights(
    path: &Path,
    tensors: &Tensors,
    dtype: DType,
    rename: impl Fn(&str) -> String,
) {
    let file_dtype = match dtype {
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        _ => Dtype::F32,
    };
    let mut bytes: Vec<(String, Vec<usize>, Dtype, Vec<u8>)> = Vec::new();
    for (name, (shape, values)) in tensors {
        let data = TensorData::new(values.clone(), shape.clone()).convert_dtype(dtype);
        let raw = data.as_bytes().to_vec();
        bytes.push((rename(name), shape.clone(), file_dtype, raw));
    }
    let positions: Vec<u8> = (0..POSITIONS as i64).flat_map(i64::to_le_bytes).collect();
    bytes.push((
        rename("embeddings.position_ids"),
        vec![1, POSITIONS],
        Dtype::I64,
        positions,
    ));
    let pooler = vec![0; HIDDEN * HIDDEN * 4];
    bytes.push((
        rename("pooler.dense.weight"),
        vec![HIDDEN, HIDDEN],
        Dtype::F32,
        pooler,
    ));
    let views = bytes.iter().map(|(name, shape, dtype, raw)| {
        let view = TensorView::new(*dtype, shape.clone(), raw).expect("sizes agree");
        (name, view)
    });
    let file = safetensors::serialize(views, None).expect("valid tensors");
    std::fs::write(path, file).expect("writable");
}

pub fn config_json() -> String {
    format!(
        r#"{{"model_type": "bert", "vocab_size": {}, "hidden_size": {HIDDEN}, "num_hidden_layers": {LAYERS},
        "num_attention_heads": {HEADS}, "intermediate_size": {INTERMEDIATE}, "max_position_embeddings": {POSITIONS},
        "type_vocab_size": 2, "layer_norm_eps": {EPSILON}, "hidden_act": "gelu"}}"#,
        WORDS.len()
    )
}

/// A model folder with f32 weights and a vocab.txt.
pub fn model_folder(at: &Path, seed: u64) -> PathBuf {
    let folder = at.join("model");
    std::fs::create_dir_all(&folder).expect("writable");
    std::fs::write(folder.join("config.json"), config_json()).expect("writable");
    std::fs::write(folder.join("vocab.txt"), WORDS.join("\n") + "\n").expect("writable");
    write_weights(
        &folder.join("model.safetensors"),
        &tensors(seed),
        DType::F32,
        str::to_string,
    );
    folder
}

const GOOD: [&str; 3] = ["good", "great", "fun"];
const BAD: [&str; 3] = ["bad", "awful", "dull"];

/// `pos` and `neg` reviews in alternation, of 3 to 9 words, the same for the same seed.
pub fn reviews(count: usize, seed: u64) -> Vec<(&'static str, String)> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut review = |index: usize| {
        let (label, opinions) = [("pos", GOOD), ("neg", BAD)][index % 2];
        let subject = ["the film", "the plot", "a film"][random.random_range(0..3)];
        let verb = ["is", "was"][random.random_range(0..2)];
        let mut text = format!("{subject} {verb}");
        for _ in 0..random.random_range(1..3) {
            let very = ["very ", "", "and "][random.random_range(0..3)];
            text += &format!(" {very}{}", opinions[random.random_range(0..3)]);
        }
        (label, text)
    };
    (0..count).map(&mut review).collect()
}

/// Writes lines into a file.
pub fn write_lines(path: &Path, lines: impl IntoIterator<Item = String>) -> PathBuf {
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    std::fs::write(path, text).expect("writable");
    path.into()
}

/// Writes labeled reviews.
pub fn write_reviews(path: &Path, count: usize, seed: u64) -> PathBuf {
    let lines = reviews(count, seed).into_iter();
    write_lines(path, lines.map(|(label, text)| format!("{label}\t{text}")))
}

/// A folder with the tiny model and reviews, and settings to train on them.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub config: text_classification::RunConfig,
}

impl Place {
    /// 40 reviews to learn from, 16 to validate with, 24 to test with.
    pub fn new(method: &str) -> Self {
        let folder = tempfile::tempdir().expect("writable");
        let at = folder.path();
        let model = model_folder(at, 11);
        let mut config = text_classification::RunConfig::new(
            model.to_str().expect("UTF-8"),
            write_reviews(&at.join("train.tsv"), 40, 1),
            write_reviews(&at.join("test.tsv"), 24, 2),
            at.join("out"),
            method,
        );
        config.validation = Some(write_reviews(&at.join("validation.tsv"), 16, 3));
        config.max_length = POSITIONS;
        config.batch_size = 8;
        config.epochs = 3;
        Self { folder, config }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn out(&self, name: &str) -> PathBuf {
        self.config.out.join(name)
    }

    pub fn train(&self) -> Result<text_classification::Trained, text_classification::Error> {
        text_classification::train(&self.config, &mut |_| std::ops::ControlFlow::Continue(()))
    }

    /// The lines of the log of one event.
    pub fn log(&self, event: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.out("log.jsonl")).expect("a log");
        let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        let lines = text.lines().map(parse);
        lines.filter(|line| line["event"] == event).collect()
    }
}

/// The tensors of a safetensors file.
pub fn file_tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(path).expect("a file");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let tensors = file
        .iter()
        .map(|(name, view)| (name.into(), view.data().to_vec()));
    tensors.collect()
}
