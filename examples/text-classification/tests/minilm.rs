//! The encoder on real weights, all-MiniLM-L6-v2, against reference embeddings.
//!
//! Runs where `BURN_GOFT_MINILM` names a folder with the model and a `reference.json`, a list of
//! `{"text": .., "ids": [..], "embedding": [..]}`.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::Deserialize;
use text_classification::{ModelFiles, TextTokenizer, TokenBatch};

#[derive(Deserialize)]
struct Reference {
    text: String,
    ids: Vec<u32>,
    embedding: Vec<f64>,
}

/// Weights rounded to f16 move an embedding by 2.2e-4.
const TOLERANCE: f64 = 1e-3;

#[test]
fn real_weights_give_the_reference_embeddings() {
    let Some(folder) = std::env::var_os("BURN_GOFT_MINILM") else {
        #[expect(clippy::print_stderr, reason = "a left-out test says so")]
        {
            eprintln!(
                "NOT RUN: BURN_GOFT_MINILM names no folder with all-MiniLM-L6-v2 and its reference.json"
            );
        }
        return;
    };
    let folder = PathBuf::from(folder);
    let json = std::fs::read_to_string(folder.join("reference.json")).unwrap();
    let references: Vec<Reference> = serde_json::from_str(&json).unwrap();
    assert!(!references.is_empty());

    let device = Device::flex();
    let model = ModelFiles::in_folder(&folder).unwrap();
    let model = model.load(512, &device).unwrap();
    let by_words = TextTokenizer::from_vocabulary(&folder.join("vocab.txt"), 512).unwrap();
    let mut texts = Vec::new();
    for reference in &references {
        let tokens = model.tokenizer.encode(&reference.text, None).unwrap();
        assert_eq!(tokens.ids, reference.ids, "{}", reference.text);
        assert_eq!(by_words.encode(&reference.text, None).unwrap(), tokens);
        texts.push(tokens);
    }
    let embedded = model.bert.embed(&TokenBatch::new(&texts, &device));
    let embedded: Vec<f64> = embedded.into_data().iter().collect();
    let expected = references.iter().flat_map(|r| &r.embedding);
    let differences = embedded.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0.0, f64::max);
    assert_eq!(
        embedded.len(),
        references.len() * references[0].embedding.len()
    );
    assert!(largest < TOLERANCE, "off by {largest:.1e}");
}
