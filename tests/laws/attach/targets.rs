//! Which parameters are adapted.

use burn_goft::{Goft, GoftModule};

use crate::common;
use crate::models::{Encoder, Example, GoftMlp, Mixed, Mlp, Nested, example};

fn adapted<M: Example>(goft: Goft) -> Vec<String> {
    let (_, device) = common::devices().remove(0);
    let report = example::<M>(&device)
        .apply_goft(goft)
        .unwrap()
        .adapter_report();
    report.layers.into_iter().map(|layer| layer.path).collect()
}

fn encoder_layer(index: usize, parts: &[&str]) -> Vec<String> {
    let path = |part: &&str| format!("encoder.layers.{index}.{part}.weight");
    parts.iter().map(path).collect()
}

const LAYER: [&str; 6] = [
    "mha.query",
    "mha.key",
    "mha.value",
    "mha.output",
    "pwff.linear_inner",
    "pwff.linear_outer",
];

#[test]
fn by_default_every_linear_weight_is_adapted_in_the_order_of_the_fields() {
    assert_eq!(
        adapted::<Mlp>(Goft::strict()),
        ["fc1.weight", "fc2.weight", "head.weight"]
    );
    assert_eq!(
        adapted::<GoftMlp>(Goft::strict()),
        ["fc1.weight", "fc2.weight", "head.weight"]
    );
    let mut expected = [encoder_layer(0, &LAYER), encoder_layer(1, &LAYER)].concat();
    expected.push("head.weight".into());
    assert_eq!(adapted::<Encoder>(Goft::strict()), expected);
}

#[test]
fn by_default_no_embedding_norm_or_convolution_is_adapted() {
    assert_eq!(adapted::<Mixed>(Goft::strict()), ["head.weight"]);
}

#[test]
fn linears_in_vectors_arrays_options_and_tuples_are_found() {
    let expected = [
        "blocks.0.layers.0.weight",
        "blocks.0.layers.1.weight",
        "blocks.0.pair.0.weight",
        "blocks.0.pair.1.weight",
        "blocks.1.layers.0.weight",
        "blocks.1.layers.1.weight",
        "blocks.1.gate.weight",
        "blocks.1.pair.0.weight",
        "blocks.1.pair.1.weight",
        "head.weight",
    ];
    assert_eq!(adapted::<Nested>(Goft::quasi()), expected);
}

#[test]
fn a_bare_linear_is_adapted() {
    let (_, device) = common::devices().remove(0);
    let linear = burn::nn::LinearConfig::new(4, 3).init(&device);
    let linear = linear.apply_goft(Goft::strict()).unwrap();
    assert_eq!(linear.adapter_report().layers[0].path, "weight");
}

#[test]
fn a_star_stands_for_any_characters_dots_included() {
    let query_and_value = Goft::strict().with_targets(["*.query.weight", "*.value.weight"]);
    let parts = ["mha.query", "mha.value"];
    let expected = [encoder_layer(0, &parts), encoder_layer(1, &parts)].concat();
    assert_eq!(adapted::<Encoder>(query_and_value), expected);
}

#[test]
fn braces_brackets_and_question_marks_are_alternatives() {
    let braces = Goft::strict().with_targets(["*.{key,output}.weight"]);
    let parts = ["mha.key", "mha.output"];
    let expected = [encoder_layer(0, &parts), encoder_layer(1, &parts)].concat();
    assert_eq!(adapted::<Encoder>(braces), expected);
    assert_eq!(
        adapted::<Mlp>(Goft::strict().with_targets(["fc[13].weight"])),
        ["fc1.weight"]
    );
    let question = Goft::strict().with_targets(["fc?.weight"]);
    assert_eq!(adapted::<Mlp>(question), ["fc1.weight", "fc2.weight"]);
}

#[test]
fn a_pattern_matches_whole_paths_only() {
    let goft = Goft::strict().with_targets(["encoder.layers.1.mha.query.weight"]);
    assert_eq!(
        adapted::<Encoder>(goft),
        ["encoder.layers.1.mha.query.weight"]
    );
    let (_, device) = common::devices().remove(0);
    let part = Goft::strict().with_targets(["query"]);
    assert!(example::<Encoder>(&device).apply_goft(part).is_err());
}

#[test]
fn excluded_parameters_are_left_out_of_named_and_of_default_targets() {
    let by_default = Goft::strict().with_exclude(["*.pwff.*", "encoder.layers.0.*"]);
    let mut expected = encoder_layer(1, &LAYER[..4]);
    expected.push("head.weight".into());
    assert_eq!(adapted::<Encoder>(by_default), expected);
    let named = Goft::strict()
        .with_targets(["fc*.weight"])
        .with_exclude(["fc1.*"]);
    assert_eq!(adapted::<Mlp>(named), ["fc2.weight"]);
}

#[test]
fn a_kept_parameter_is_never_adapted() {
    let by_default = Goft::strict().with_trainable(["head.*"]);
    assert_eq!(adapted::<Mlp>(by_default), ["fc1.weight", "fc2.weight"]);
    let named = Goft::strict()
        .with_targets(["*.weight"])
        .with_trainable(["fc2.weight"]);
    assert_eq!(adapted::<Mlp>(named), ["fc1.weight", "head.weight"]);
}

#[test]
fn an_embedding_is_adapted_where_it_is_named() {
    let goft = Goft::strict().with_targets(["embedding.weight"]);
    assert_eq!(adapted::<Mixed>(goft), ["embedding.weight"]);
}
