//! What is no model, said with what was found and what to do.

use std::path::Path;

use burn::tensor::Device;
use language_model::config::DecoderConfig;
use language_model::{Error, Pretrained};
use serde_json::{Value, json};

use crate::common;

/// The message for a fixture whose config.json was changed.
fn refused(kind: &str, change: impl Fn(&mut Value)) -> String {
    let (_place, folder) = common::model(kind);
    let path = folder.join("config.json");
    let mut config = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(&path, config.to_string()).unwrap();
    message(&folder)
}

fn message(folder: &Path) -> String {
    let error = Pretrained::load(folder, &Device::flex()).unwrap_err();
    assert!(
        matches!(error, Error::Model { .. } | Error::Tensor { .. }),
        "{error:?}"
    );
    error.to_string()
}

/// What transformers takes, which tells a field that is not there from `null`.
#[test]
fn what_a_config_does_not_speak_of_is_its_kinds_own() {
    let read = |kind: &str, change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let (_place, folder) = common::model(kind);
        let text = std::fs::read(folder.join("config.json")).unwrap();
        let mut config: Value = serde_json::from_slice(&text).unwrap();
        change(config.as_object_mut().unwrap());
        DecoderConfig::parse(config.to_string().as_bytes()).unwrap()
    };
    let without = |kind: &str, field: &str| read(kind, &|config| drop(config.remove(field)));
    let null = |kind: &str, field: &str| {
        read(kind, &|config| {
            drop(config.insert(field.into(), Value::Null))
        })
    };
    let window = |config: DecoderConfig| config.layers[0].window;
    assert_eq!(window(without("mistral", "sliding_window")), Some(4096));
    assert_eq!(window(null("mistral", "sliding_window")), None);
    assert_eq!(window(without("gemma2", "sliding_window")), Some(4096));
    assert_eq!(window(without("gemma3", "sliding_window")), Some(4096));
    assert_eq!(window(without("phi3", "sliding_window")), None);
    let (scores, logits) = ("attn_logit_softcapping", "final_logit_softcapping");
    assert_eq!(without("gemma2", scores).score_cap, Some(50.0));
    assert_eq!(null("gemma2", scores).score_cap, None);
    assert_eq!(without("gemma2", logits).logit_cap, Some(30.0));
    assert_eq!(null("gemma2", logits).logit_cap, None);
    assert_eq!(without("gemma3", scores).score_cap, None);
    assert_eq!(without("gemma3", logits).logit_cap, None);
}

#[test]
fn settings_that_do_not_go_together_are_named() {
    let set = |kind: &str, field: &str, value: Value| {
        refused(kind, |config| config[field] = value.clone())
    };
    for (kind, field, value, expected) in [
        ("gemma2", "head_dim", Value::Null, "it lacks `head_dim`"),
        (
            "gemma2",
            "query_pre_attn_scalar",
            json!(0),
            "its `query_pre_attn_scalar` is 0",
        ),
        (
            "llama",
            "num_hidden_layers",
            json!(1_000_000_000_000_u64),
            "which no model has",
        ),
        ("llama", "rope_theta", json!(0), "its `rope_theta` is 0"),
        (
            "llama",
            "model_type",
            json!("mamba"),
            "its model_type is `mamba`; known are llama,",
        ),
        ("llama", "hidden_size", json!(0), "its `hidden_size` is 0"),
        ("llama", "vocab_size", Value::Null, "it lacks `vocab_size`"),
        (
            "llama",
            "hidden_size",
            json!("wide"),
            "no config.json of a language model",
        ),
        (
            "llama",
            "num_key_value_heads",
            json!(3),
            "4 heads cannot share 3",
        ),
        (
            "llama",
            "hidden_act",
            json!("relu6"),
            "its activation is `relu6`; known are",
        ),
        (
            "llama",
            "rope_scaling",
            json!({ "rope_type": "yarn", "factor": 2.0 }),
            "its rotary scaling is `yarn`; known are",
        ),
        (
            "llama",
            "rope_scaling",
            json!({ "type": "linear" }),
            "its rotary scaling `linear` lacks `factor`",
        ),
        (
            "llama3",
            "rope_scaling",
            json!({ "rope_type": "llama3", "factor": 8.0 }),
            "lacks `low_freq_factor`",
        ),
        (
            "llama",
            "partial_rotary_factor",
            json!(0.5),
            "positions turn 3 of the 6 coordinates",
        ),
        (
            "gemma2",
            "layer_types",
            json!(["full_attention"]),
            "its `layer_types` are 1 for 2 layers",
        ),
        (
            "gemma2",
            "layer_types",
            json!(["full_attention", "recurrent"]),
            "a layer is of type `recurrent`",
        ),
        (
            "gemma2",
            "sliding_window",
            Value::Null,
            "it has no `sliding_window`",
        ),
        (
            "gemma3",
            "use_bidirectional_attention",
            json!(true),
            "looks at later tokens too",
        ),
    ] {
        let found = set(kind, field, value);
        assert!(found.contains(expected), "{found}");
        assert!(found.contains("config.json"), "{found}");
    }
    let odd = refused("llama", |config| {
        config["hidden_size"] = json!(26);
        config["head_dim"] = Value::Null;
    });
    assert!(odd.contains("26 is no multiple of its 4 heads"), "{odd}");
    let long = refused("phi3", |config| {
        config["rope_parameters"]["short_factor"] = json!([1.0])
    });
    assert!(
        long.contains("its `short_factor` has 1 numbers, and 3 frequencies"),
        "{long}"
    );
}

#[test]
fn weights_of_another_model_are_named_by_tensor() {
    for (field, value, expected) in [
        (
            "num_hidden_layers",
            json!(3),
            "`model.layers.2.input_layernorm.weight` is not among the",
        ),
        (
            "num_hidden_layers",
            json!(1),
            "`model.layers.1.input_layernorm.weight` has no place in the llama of 1 layers",
        ),
        (
            "intermediate_size",
            json!(35),
            "`model.layers.0.mlp.gate_proj.weight` has shape [36, 24], and config.json asks for [35, 24]",
        ),
        (
            "tie_word_embeddings",
            json!(false),
            "`lm_head.weight` is not among the",
        ),
        (
            "attention_bias",
            json!(true),
            "`model.layers.0.self_attn.q_proj.bias` is not among the",
        ),
    ] {
        let found = refused("llama", |config| config[field] = value.clone());
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn files_that_are_missing_or_damaged_are_named() {
    let found = message(Path::new("/no/such/model"));
    assert!(found.contains("there is no such folder"), "{found}");
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path), &'a str);
    let remove =
        |name: &'static str| move |folder: &Path| std::fs::remove_file(folder.join(name)).unwrap();
    let second = "model-00002-of-00003.safetensors";
    let table: [Damage<'_>; 4] = [
        (
            "llama",
            &remove("model.safetensors"),
            "it has neither `model.safetensors`",
        ),
        (
            "qwen3",
            &remove(second),
            "names this file, and it is not there",
        ),
        (
            "qwen3",
            &|folder| {
                let bytes = std::fs::read(folder.join(second)).unwrap();
                std::fs::write(folder.join(second), &bytes[..bytes.len() - 2]).unwrap();
            },
            "get it again",
        ),
        (
            "llama",
            &|folder| std::fs::write(folder.join("config.json"), "{").unwrap(),
            "no config.json",
        ),
    ];
    for (kind, damage, expected) in table {
        let (_place, folder) = common::model(kind);
        damage(&folder);
        let found = message(&folder);
        assert!(found.contains(expected), "{found}");
    }
}

/// Files of some versions carry numbers that follow from the settings, and a copy of a tied head.
#[test]
fn what_follows_from_the_rest_may_be_there() {
    let (_place, folder) = common::model("llama");
    let path = folder.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<_> = tensors
        .iter()
        .map(|(name, view)| (name.to_string(), view))
        .collect();
    let table = tensors.tensor("model.embed_tokens.weight").unwrap();
    all.push(("lm_head.weight".into(), table));
    let norm = tensors.tensor("model.norm.weight").unwrap();
    all.push(("model.layers.0.self_attn.rotary_emb.inv_freq".into(), norm));
    let with = safetensors::serialize(all, None).unwrap();
    std::fs::write(&path, with).unwrap();
    Pretrained::load(&folder, &Device::flex()).unwrap();
}

/// As transformers takes it, whatever `tie_word_embeddings` says.
#[test]
fn a_head_that_differs_from_the_table_is_one() {
    let (_place, folder) = common::model("llama");
    let load = || Pretrained::load(&folder, &Device::flex()).unwrap();
    assert!(load().config.tied);
    let path = folder.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<_> = tensors
        .iter()
        .map(|(name, view)| (name.to_string(), view))
        .collect();
    let table = tensors.tensor("model.embed_tokens.weight").unwrap();
    let mut other = table.data().to_vec();
    other[3] ^= 1;
    let head = safetensors::tensor::TensorView::new(table.dtype(), table.shape().to_vec(), &other);
    all.push(("lm_head.weight".into(), head.unwrap()));
    let with = safetensors::serialize(all, None).unwrap();
    std::fs::write(&path, with).unwrap();
    assert!(!load().config.tied);
}

/// Both spellings of a rotary scaling at once, as some libraries write them.
#[test]
fn a_scaling_may_be_named_twice() {
    let (_place, folder) = common::model("llama");
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["rope_scaling"] = json!({ "type": "linear", "rope_type": "linear", "factor": 2.0 });
    std::fs::write(&path, config.to_string()).unwrap();
    Pretrained::load(&folder, &Device::flex()).unwrap();
}

/// A script's options can be overridden after it.
#[test]
fn of_an_option_that_is_named_twice_the_last_counts() {
    use clap::Parser;
    use language_model::cli::{Command, Options};

    let parse = |command: &str, more: &str| {
        let line = format!(
            "goft-lm {command} --model m --data d --out o --steps 1 --targets q_proj v_proj {more} --steps 2 --targets k_proj"
        );
        Options::try_parse_from(line.split(' ')).unwrap().command
    };
    let Command::Compare(compare) = parse("compare", "--methods goft,lora:1 --methods full") else {
        panic!()
    };
    assert_eq!(
        (compare.methods, compare.targets, compare.steps),
        (vec!["full".into()], vec!["k_proj".into()], 2)
    );
    let Command::Train(train) = parse("train", "--method goft --method lora") else {
        panic!()
    };
    assert_eq!(
        (&*train.method, train.targets.clone(), train.steps),
        ("lora", vec!["k_proj".into()], Some(2))
    );
}

#[test]
fn a_run_that_has_not_ended_is_nothing_to_use() {
    let (place, folder) = common::model("llama");
    let nowhere = place.path().join("nowhere");
    let model = Pretrained::load(&folder, &Device::flex()).unwrap();
    let refused = [
        language_model::base_of(&nowhere).unwrap_err(),
        language_model::with_adapter(model.model, &folder, &nowhere).unwrap_err(),
        language_model::merge(
            &folder,
            &nowhere,
            &place.path().join("merged"),
            &Device::flex(),
        )
        .unwrap_err(),
    ];
    for error in refused {
        let message = error.to_string();
        assert!(message.contains("no finished run here"), "{message}");
    }
}
