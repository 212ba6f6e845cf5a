//! The encoder against a float64 forward that shares no code with it.

mod common;

use burn::module::Module;
use burn::tensor::{DType, Device, bf16};
use burn_goft::{Goft, GoftModule};
use common::{HIDDEN, POSITIONS, Tensors, oracle};
use text_classification::{Bert, BertConfig, Error, TokenBatch, Tokens, load_bert};

fn config(folder: &std::path::Path) -> BertConfig {
    let path = folder.join("config.json");
    std::fs::write(&path, common::config_json()).unwrap();
    BertConfig::load(&path).unwrap()
}

/// Writes the tensors under other names and reads them back as a model.
fn load_as(
    tensors: &Tensors,
    dtype: DType,
    rename: impl Fn(&str) -> String,
) -> Result<Bert, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    common::write_weights(&path, tensors, dtype, rename);
    load_bert(&path, &config(folder.path()), &Device::flex())
}

/// Texts of different lengths, one as long as the model's positions, one with both token types.
fn texts() -> Vec<Tokens> {
    let text = |ids: &[u32], types: &[u32]| Tokens {
        ids: ids.to_vec(),
        types: types.to_vec(),
        truncated: false,
    };
    let long: Vec<u32> = (0..POSITIONS as u32).map(|i| 5 + i).collect();
    vec![
        text(&[2, 11, 8, 13, 6, 3], &[0; 6]),
        text(&[2, 3], &[0; 2]),
        text(&long, &[0; POSITIONS]),
        text(&[2, 7, 8, 3, 17, 12, 3], &[0, 0, 0, 0, 1, 1, 1]),
    ]
}

/// Largest difference between the model's embeddings of all texts in one batch and the oracle's.
fn largest_error(bert: &Bert, tensors: &Tensors) -> f64 {
    let texts = texts();
    let batch = TokenBatch::new(&texts, &Device::flex());
    let pooled: Vec<f64> = bert.pool(&batch).into_data().iter().collect();
    let unit: Vec<f64> = bert.embed(&batch).into_data().iter().collect();
    let mut largest = 0.0f64;
    for (i, text) in texts.iter().enumerate() {
        let (mean, length_one) = oracle::pooled(&oracle::forward(tensors, &text.ids, &text.types));
        for c in 0..HIDDEN {
            largest = largest.max((pooled[i * HIDDEN + c] - mean[c]).abs());
            largest = largest.max((unit[i * HIDDEN + c] - length_one[c]).abs());
        }
    }
    largest
}

/// Two layers of products with up to 20 terms of size about 1, in f32.
const TOLERANCE: f64 = 2e-5;

#[test]
fn embeddings_are_those_of_the_oracle() {
    for seed in [1, 2, 3] {
        let tensors = common::tensors(seed);
        let bert = load_as(&tensors, DType::F32, str::to_string).unwrap();
        let error = largest_error(&bert, &tensors);
        assert!(error < TOLERANCE, "seed {seed}: off by {error:.1e}");
    }
}

#[test]
fn prefixes_old_norm_names_and_half_precisions_load() {
    let tensors = common::tensors(4);
    // The values are exact in f16, so the model is the same.
    let error = |bert: Result<Bert, Error>| largest_error(&bert.unwrap(), &tensors);
    let with_prefix = |name: &str| format!("bert.{name}");
    assert!(error(load_as(&tensors, DType::F32, with_prefix)) < TOLERANCE);
    assert!(error(load_as(&tensors, DType::F16, str::to_string)) < TOLERANCE);
    let old_names = |name: &str| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        name.replace("LayerNorm.bias", "LayerNorm.beta")
    };
    assert!(error(load_as(&tensors, DType::F16, old_names)) < TOLERANCE);

    // bf16 has 8 bits.
    let rounded = tensors.into_iter().map(|(name, (shape, values))| {
        let values = values
            .into_iter()
            .map(|value| f64::from(bf16::from_f64(value)));
        (name, (shape, values.collect()))
    });
    let rounded: Tensors = rounded.collect();
    let bert = load_as(&rounded, DType::BF16, str::to_string).unwrap();
    let found = largest_error(&bert, &rounded);
    assert!(found < TOLERANCE, "{found:.1e}");
}

#[test]
fn padding_changes_nothing() {
    let bert = load_as(&common::tensors(5), DType::F32, str::to_string).unwrap();
    let texts = texts();
    let device = Device::flex();
    let together = bert.pool(&TokenBatch::new(&texts, &device));
    for (i, text) in texts.iter().enumerate() {
        let alone = bert.pool(&TokenBatch::new([text], &device));
        let difference = together.clone().slice([i..i + 1, 0..HIDDEN]) - alone;
        let difference = difference.abs().max().into_scalar::<f32>();
        assert!(difference < 1e-6, "text {i} differs by {difference:.1e}");
    }
}

#[test]
fn adapters_at_the_identity_change_nothing_and_globs_find_their_layers() {
    let tensors = common::tensors(6);
    let bert = load_as(&tensors, DType::F32, str::to_string).unwrap();
    let adapted = bert.apply_goft(Goft::quasi()).unwrap();
    assert_eq!(adapted.adapter_report().layers.len(), 12);
    assert!(largest_error(&adapted, &tensors) < TOLERANCE);

    let bert = load_as(&tensors, DType::F32, str::to_string).unwrap();
    let goft = Goft::strict().with_targets(["*.query.weight", "encoder.1.intermediate.weight"]);
    let goft = goft.with_init_std(0.5);
    let adapted = bert.apply_goft(goft).unwrap();
    let paths: Vec<_> = adapted.adapter_report().layers;
    let paths: Vec<_> = paths.iter().map(|layer| layer.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "encoder.0.attention.query.weight",
            "encoder.1.attention.query.weight",
            "encoder.1.intermediate.weight"
        ]
    );
    // Away from the identity the rotated input is the rotated weight.
    assert!(largest_error(&adapted, &tensors) > 1e-2);
    let batch = TokenBatch::new(&texts(), &Device::flex());
    let difference = adapted.pool(&batch) - adapted.materialize().pool(&batch);
    assert!(difference.abs().max().into_scalar::<f32>() < 1e-5);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let refusal = |change: fn(&mut Tensors)| {
        let mut tensors = common::tensors(7);
        change(&mut tensors);
        load_as(&tensors, DType::F32, str::to_string)
            .unwrap_err()
            .to_string()
    };
    let message = refusal(|t| {
        t.remove("encoder.layer.1.attention.self.key.weight");
    });
    assert!(
        message.contains("`encoder.layer.1.attention.self.key.weight` is missing"),
        "{message}"
    );

    let message = refusal(|t| {
        let name = "encoder.layer.0.intermediate.dense.weight".to_string();
        t.insert(name, (vec![20, 11], vec![0.0; 220]));
    });
    assert!(
        message.contains("`encoder.layer.0.intermediate.dense.weight` has shape [20, 11]"),
        "{message}"
    );
    assert!(message.contains("asks for [20, 12]"), "{message}");

    let message = refusal(|t| {
        let name = "embeddings.position_embeddings.weight".to_string();
        t.insert(name, (vec![9, 12], vec![0.0; 108]));
    });
    assert!(message.contains("has shape [9, 12]"), "{message}");
    assert!(message.contains("asks for [16, 12]"), "{message}");

    let message = refusal(|t| {
        let extra = t["encoder.layer.1.output.dense.bias"].clone();
        t.insert("encoder.layer.2.output.dense.bias".into(), extra);
    });
    assert!(
        message.contains("`encoder.layer.2.output.dense.bias` has no place"),
        "{message}"
    );
}

#[test]
fn a_damaged_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let config = config(folder.path());
    std::fs::write(&path, b"not safetensors").unwrap();
    let message = load_bert(&path, &config, &Device::flex()).unwrap_err();
    assert!(message.to_string().contains("cannot read the weights"));
    let missing = folder.path().join("nowhere.safetensors");
    assert!(load_bert(&missing, &config, &Device::flex()).is_err());

    // Cut in the middle of the numbers.
    common::write_weights(&path, &common::tensors(8), DType::F32, str::to_string);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(load_bert(&path, &config, &Device::flex()).is_err());
}
