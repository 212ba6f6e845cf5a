//! Every kind of encoder against what the transformers library computes of the same weights
//! (`make_family.py`).

mod common;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use burn_goft::{Goft, GoftModule};
use common::{Place, WORDS};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use text_classification::{
    Bert, BertConfig, Error, KINDS, ModelFiles, Predictor, Text, TokenBatch, Tokens, load_bert,
};
use tokenizers::Tokenizer;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::pre_tokenizers::whitespace::Whitespace;
use tokenizers::processors::roberta::RobertaProcessing;

const WIDTH: usize = 12;
/// Two layers of products with up to 20 terms of size about 1, in f32; references are rounded to
/// nine places.
const TOLERANCE: f64 = 5e-6;
/// All kinds, and what stands before their names in the file of a model with a head.
const MADE: [(&str, &str); 8] = [
    ("bert", "bert."),
    ("roberta", "roberta."),
    ("xlm-roberta", "roberta."),
    ("camembert", "roberta."),
    ("distilbert", "distilbert."),
    ("electra", "electra."),
    ("mpnet", "mpnet."),
    ("deberta-v2", "deberta."),
];

#[derive(Deserialize)]
struct Reference {
    ids: Vec<u32>,
    vectors: Vec<Vec<f64>>,
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/family")
        .join(kind)
}

fn references(kind: &str) -> Vec<Reference> {
    let json = std::fs::read_to_string(folder(kind).join("reference.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn config(kind: &str) -> BertConfig {
    BertConfig::load(&folder(kind).join("config.json")).unwrap()
}

/// The kind's weights, in a file whose tensors `name` names or leaves out.
fn load_as(kind: &str, name: impl Fn(&str) -> Option<String>) -> Result<Bert, Error> {
    let bytes = std::fs::read(folder(kind).join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.iter().filter_map(|(old, view)| {
        let copy = TensorView::new(view.dtype(), view.shape().to_vec(), view.data());
        Some((name(old)?, copy.unwrap()))
    });
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.safetensors");
    std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    load_bert(&path, &config(kind), &Device::flex())
}

fn load(kind: &str) -> Bert {
    load_as(kind, |name| Some(name.into())).unwrap()
}

/// The texts of the references in one batch, all tokens of this type.
fn batch(references: &[Reference], token_type: u32) -> TokenBatch {
    let texts: Vec<_> = references
        .iter()
        .map(|reference| Tokens {
            ids: reference.ids.clone(),
            types: vec![token_type; reference.ids.len()],
            truncated: false,
        })
        .collect();
    TokenBatch::new(&texts, &Device::flex())
}

fn largest_error(bert: &Bert, references: &[Reference], token_type: u32) -> f64 {
    let vectors = bert.forward(&batch(references, token_type));
    let [_, tokens, width] = vectors.dims();
    assert_eq!(width, WIDTH);
    let found: Vec<f64> = vectors.into_data().iter().collect();
    let mut largest = 0.0f64;
    for (text, reference) in references.iter().enumerate() {
        assert_eq!(reference.vectors.len(), reference.ids.len());
        for (token, expected) in reference.vectors.iter().enumerate() {
            let at = (text * tokens + token) * width;
            let pairs = found[at..at + width].iter().zip(expected);
            largest = pairs.fold(largest, |max, (found, expected)| {
                max.max((found - expected).abs())
            });
        }
    }
    largest
}

#[test]
fn every_kind_has_its_reference() {
    let made: Vec<_> = MADE.iter().map(|(kind, _)| *kind).collect();
    let kinds: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(made, kinds);
}

#[test]
fn vectors_are_those_of_transformers() {
    for (kind, prefix) in MADE {
        let references = references(kind);
        let error = largest_error(&load(kind), &references, 0);
        assert!(error < TOLERANCE, "{kind}: off by {error:.1e}");
        let prefixed = load_as(kind, |name| Some(format!("{prefix}{name}")));
        let error = largest_error(&prefixed.unwrap(), &references, 0);
        assert!(
            error < TOLERANCE,
            "{kind}, with its name: off by {error:.1e}"
        );
    }
}

/// A tokenizer may number the second text of a pair, and RoBERTa's table has a row for the first
/// only.
#[test]
fn types_count_where_pairs_are_told_apart_by_them() {
    for (kind, counts) in [
        ("bert", true),
        ("electra", true),
        ("roberta", false),
        ("xlm-roberta", false),
        ("camembert", false),
        ("distilbert", false),
        ("mpnet", false),
        ("deberta-v2", false),
    ] {
        let error = largest_error(&load(kind), &references(kind), 1);
        assert_eq!(error > 1e-2, counts, "{kind}: {error:.1e}");
        assert_eq!(error < TOLERANCE, !counts, "{kind}: {error:.1e}");
    }
}

#[test]
fn every_kind_has_the_same_layers_to_adapt() {
    for (kind, _) in MADE {
        let goft = Goft::strict().with_init_std(0.3);
        let adapted = load(kind).apply_goft(goft).unwrap();
        let layers = adapted.adapter_report().layers;
        let mut expected = Vec::new();
        if kind == "electra" {
            expected.push("embeddings.project.weight".to_string());
        }
        for layer in 0..2 {
            for name in ["query", "key", "value", "output"] {
                expected.push(format!("encoder.{layer}.attention.{name}.weight"));
            }
            expected.push(format!("encoder.{layer}.intermediate.weight"));
            expected.push(format!("encoder.{layer}.output.weight"));
        }
        let found: Vec<_> = layers.into_iter().map(|layer| layer.path).collect();
        assert_eq!(found, expected, "{kind}");

        let references = references(kind);
        assert!(largest_error(&adapted, &references, 0) > 1e-2, "{kind}");
        let batch = batch(&references, 0);
        let difference = adapted.pool(&batch) - adapted.materialize().pool(&batch);
        let difference = difference.abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5, "{kind}: {difference:.1e}");
    }
}

#[test]
fn missing_tensors_are_named_as_the_file_names_them() {
    for (kind, tensor) in [
        ("roberta", "encoder.layer.1.attention.self.key.weight"),
        ("distilbert", "transformer.layer.1.sa_layer_norm.weight"),
        ("distilbert", "transformer.layer.0.ffn.lin2.bias"),
        ("distilbert", "transformer.layer.0.attention.out_lin.bias"),
        ("mpnet", "encoder.relative_attention_bias.weight"),
        ("mpnet", "encoder.layer.0.attention.attn.o.weight"),
        ("mpnet", "encoder.layer.0.attention.LayerNorm.bias"),
        ("deberta-v2", "encoder.rel_embeddings.weight"),
        ("deberta-v2", "encoder.LayerNorm.bias"),
        (
            "deberta-v2",
            "encoder.layer.1.attention.self.value_proj.bias",
        ),
        ("electra", "embeddings_project.weight"),
        ("electra", "embeddings.LayerNorm.weight"),
    ] {
        let without = load_as(kind, |name| (name != tensor).then(|| name.into()));
        let message = without.unwrap_err().to_string();
        assert!(
            message.contains(&format!("`{tensor}` is missing")),
            "{message}"
        );
    }
}

/// A file of another kind than its settings is refused, not half read.
#[test]
fn weights_of_another_kind_are_refused() {
    let other = folder("mpnet").join("model.safetensors");
    let message = load_bert(&other, &config("roberta"), &Device::flex()).unwrap_err();
    assert!(message.to_string().contains("is missing"), "{message}");
    let message = load_bert(
        &folder("electra").join("model.safetensors"),
        &config("bert"),
        &Device::flex(),
    );
    let message = message.unwrap_err().to_string();
    assert!(message.contains("has shape"), "{message}");
}

/// What published files carry along: a table that DeBERTa's model does not read.
#[test]
fn tables_that_are_not_read_may_stay() {
    let bytes = std::fs::read(folder("deberta-v2").join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let words = file.tensor("embeddings.word_embeddings.weight").unwrap();
    let extra = [
        "embeddings.position_embeddings.weight",
        "embeddings.word_embeddings._weight",
    ];
    let tensors = file.iter().map(|(name, view)| (name.to_string(), view));
    let tensors = tensors.chain(extra.map(|name| (name.to_string(), words.clone())));
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.safetensors");
    std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    let bert = load_bert(&path, &config("deberta-v2"), &Device::flex()).unwrap();
    assert!(largest_error(&bert, &references("deberta-v2"), 0) < TOLERANCE);
    let refused = load_bert(&path, &config("bert"), &Device::flex());
    assert!(refused.is_err());
}

/// A vocabulary alone says nothing of another kind's special tokens.
#[test]
fn a_vocabulary_is_not_enough_for_every_kind() {
    for (kind, enough) in [
        ("bert", true),
        ("distilbert", true),
        ("electra", true),
        ("mpnet", false),
        ("deberta-v2", false),
    ] {
        let place = tempfile::tempdir().unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(folder(kind).join(file), place.path().join(file)).unwrap();
        }
        std::fs::write(place.path().join("vocab.txt"), WORDS.join("\n")).unwrap();
        let loaded = ModelFiles::in_folder(place.path())
            .unwrap()
            .load(16, &Device::flex());
        match loaded {
            Ok(_) => assert!(enough, "{kind}"),
            Err(error) => {
                let message = error.to_string();
                assert!(
                    !enough && message.contains("add its tokenizer.json"),
                    "{message}"
                );
            }
        }
    }
}

/// With a tokenizer of its own, on pairs, from training to an answer.
#[test]
fn other_kinds_are_trained_on_pairs() {
    for kind in ["roberta", "deberta-v2"] {
        train_on_pairs(kind);
    }
}

fn train_on_pairs(kind: &str) {
    let mut place = Place::new("goft");
    let model = place.path(kind);
    std::fs::create_dir(&model).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(folder(kind).join(file), model.join(file)).unwrap();
    }
    let words = WORDS
        .iter()
        .zip(0u32..)
        .map(|(word, id)| (word.to_string(), id));
    let words = WordLevel::builder()
        .vocab(words.collect())
        .unk_token("[UNK]".into())
        .build();
    let mut tokenizer = Tokenizer::new(words.unwrap());
    let (sep, cls) = (("[SEP]".to_string(), 3), ("[CLS]".to_string(), 2));
    tokenizer
        .with_pre_tokenizer(Some(Whitespace {}))
        .with_post_processor(Some(RobertaProcessing::new(sep, cls)));
    tokenizer.save(model.join("tokenizer.json"), false).unwrap();

    let pairs = |count, seed| {
        let reviews = common::reviews(count, seed).into_iter();
        reviews.map(|(label, text)| format!("{label}\tthe film\t{text}"))
    };
    place.config.model = model.to_str().unwrap().into();
    place.config.train = common::write_lines(&place.path("pairs.tsv"), pairs(40, 1));
    place.config.eval = common::write_lines(&place.path("more.tsv"), pairs(24, 2));
    place.config.validation = Some(common::write_lines(&place.path("other.tsv"), pairs(16, 3)));
    let trained = place.train().unwrap();
    let saved = Predictor::load(&place.config.out, None, &Device::flex()).unwrap();
    assert!(saved.takes_pairs());
    let text = Text {
        first: "the film".into(),
        second: Some("the plot is great".into()),
    };
    let texts = std::slice::from_ref(&text);
    let [now, then] =
        [&trained.predictor, &saved].map(|predictor| predictor.predict(texts).unwrap());
    assert_eq!(now[0].label, then[0].label);
    assert_eq!(now[0].probability, then[0].probability);
}
