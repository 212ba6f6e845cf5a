//! Settings that do not fit a model: each refusal says what was asked, what was found and what to do.

use burn::module::{Lora, Module};
use burn_goft::{Error, Goft, GoftModule, Oft};

use crate::common;
use crate::models::{Encoder, Example, GoftMlp, Mixed, Mlp, example};

fn refusal<M: Example>(goft: Goft) -> Error {
    let (_, device) = common::devices().remove(0);
    example::<M>(&device).apply_goft(goft).unwrap_err()
}

#[test]
fn a_pattern_that_matches_nothing_is_named_with_its_list_and_the_paths_there_are() {
    let cases = [
        (
            "targets",
            Goft::strict().with_targets(["fc1.weight", "fc9.weight"]),
        ),
        ("exclude", Goft::strict().with_exclude(["fc9.weight"])),
        ("trainable", Goft::strict().with_trainable(["fc9.weight"])),
    ];
    for (list, goft) in cases {
        let error = refusal::<Mlp>(goft);
        assert!(matches!(error, Error::NoMatch { .. }));
        let expected = format!(
            "pattern `fc9.weight` of `{list}` matches no parameter; the model has `fc1.weight`, `fc1.bias`, `fc2.weight`, `fc2.bias`, \
             `head.weight`, `head.bias`; write the path as the model's fields spell it, with `*` for any part"
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_long_list_of_paths_is_cut_and_counted() {
    let message = refusal::<Encoder>(Goft::strict().with_targets(["nothing"])).to_string();
    // Two layers of six Linears and two norms, a weight and a bias each, and the head.
    assert!(message.contains(" and 26 more;"), "{message}");
    assert!(!message.contains("head.weight"), "{message}");
}

#[test]
fn nothing_left_to_adapt_is_an_error() {
    let error = refusal::<Mixed>(Goft::strict().with_exclude(["head.weight"]));
    assert!(matches!(error, Error::NoTarget { .. }));
    assert_eq!(
        error.to_string(),
        "nothing to adapt: no `Linear` weight is left after exclusion and `trainable`; name the weights with \
         `Goft::with_targets([..])`; the model has `embedding.weight`, `head.weight`"
    );
    let goft = Goft::strict()
        .with_targets(["head.weight"])
        .with_trainable(["head.*"]);
    assert_eq!(
        refusal::<Mixed>(goft).to_string(),
        "nothing to adapt: every target is excluded or `trainable`; name the weights with `Goft::with_targets([..])`; the \
         model has `embedding.weight`, `head.weight`"
    );
}

#[test]
fn a_target_that_is_no_matrix_is_an_error() {
    let error = refusal::<Mixed>(Goft::strict().with_targets(["conv.weight"]));
    assert!(matches!(error, Error::NotAMatrix { .. }));
    assert_eq!(
        error.to_string(),
        "target `conv.weight` has shape [4, 6, 3], and a rotation needs a weight [d_input, d_output]; target the weights \
         alone (`*.weight`), or leave it out with `Goft::with_exclude([..])`"
    );
    let error = refusal::<Mlp>(Goft::strict().with_targets(["fc1.*"]));
    assert!(
        error
            .to_string()
            .starts_with("target `fc1.bias` has shape [12]"),
        "{error}"
    );
    let without_bias = Goft::strict()
        .with_targets(["fc1.*"])
        .with_exclude(["*.bias"]);
    let (_, device) = common::devices().remove(0);
    assert!(example::<Mlp>(&device).apply_goft(without_bias).is_ok());
}

#[test]
fn a_second_application_is_an_error() {
    fn law<M: Example>() {
        let (_, device) = common::devices().remove(0);
        let adapted = example::<M>(&device).apply_goft(Goft::strict()).unwrap();
        let error = adapted.apply_goft(Goft::quasi()).unwrap_err();
        assert!(matches!(error, Error::AlreadyAdapted { .. }));
        assert_eq!(
            error.to_string(),
            "`fc1.weight` already carries a `goft` adapter, and burn would adapt that adapter's own parameters; merge it first \
             (`merge_goft`, or `materialize` for another method), or start from the model as it was before"
        );
    }
    law::<Mlp>();
    law::<GoftMlp>();
}

#[test]
fn a_model_with_a_lora_adapter_is_refused_by_its_name() {
    let (_, device) = common::devices().remove(0);
    let adapted = example::<Mlp>(&device).apply_lora(Lora::new(2, 4.0));
    let error = adapted
        .apply_goft(Goft::strict().with_targets(["head.weight"]))
        .unwrap_err();
    assert!(
        matches!(&error, Error::AlreadyAdapted { path, name } if path == "fc1.weight" && name == "lora")
    );
}

#[test]
fn after_a_merge_a_model_can_be_adapted_again() {
    let (_, device) = common::devices().remove(0);
    let merged = example::<Mlp>(&device)
        .apply_goft(Goft::strict())
        .unwrap()
        .merge_goft()
        .unwrap();
    assert!(merged.apply_goft(Goft::quasi()).is_ok());
}

#[test]
fn a_pattern_that_is_no_glob_is_an_error() {
    for goft in [
        Goft::strict().with_targets(["fc[1.weight"]),
        Goft::strict().with_exclude(["fc[1.weight"]),
        Goft::strict().with_trainable(["fc[1.weight"]),
    ] {
        let error = refusal::<Mlp>(goft);
        assert!(matches!(error, Error::Pattern { .. }));
        assert_eq!(
            error.to_string(),
            "pattern `fc[1.weight` is not a valid glob: unclosed character class; missing ']'; `*` matches any characters of a \
             parameter path"
        );
    }
}

#[test]
fn the_bare_traversal_panics_on_a_pattern_that_is_no_glob() {
    let (_, device) = common::devices().remove(0);
    let model: Mlp = example(&device);
    let goft = Goft::strict().with_targets(["{fc1"]);
    let message = common::panic_message(|| model.apply_reparameterization(goft));
    assert!(
        message.starts_with("pattern `{fc1` is not a valid glob"),
        "{message}"
    );
}

#[test]
fn an_oft_form_that_does_not_work_is_an_error() {
    for (form, reason) in [
        (
            Oft::exact(0),
            "a block needs a size of at least 2, such as 32",
        ),
        (
            Oft::exact(1),
            "a block needs a size of at least 2, such as 32",
        ),
        (
            Oft::neumann(4, 0),
            "a Neumann series needs at least 1 term, such as 5",
        ),
    ] {
        let error = refusal::<Mlp>(Goft::oft(form));
        assert!(matches!(error, Error::Oft { asked, .. } if asked == form));
        assert_eq!(
            error.to_string(),
            format!("asked for OFT with {form:?}: {reason}")
        );
    }
}
