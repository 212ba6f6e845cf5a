//! Settings that do not fit a model: each refusal says what was asked, what was found and what to
//! do.

use burn::module::{Lora, Module};
use burn_goft::{Error, Goft, GoftModule, Hra, Method, Oft, Override};

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
    let weights = "`fc1.weight`, `fc2.weight`, `head.weight`";
    let all = "`fc1.weight`, `fc1.bias`, `fc2.weight`, `fc2.bias`, `head.weight`, `head.bias`";
    for (list, goft) in cases {
        let error = refusal::<Mlp>(goft);
        assert!(error.is_no_match(), "{error}");
        // Only weights can be targets.
        let listed = if list == "targets" { weights } else { all };
        let expected = format!(
            "pattern `fc9.weight` of `{list}` matches no parameter; the model has {listed}; write the path as the model's fields \
             spell it, with `*` for any part"
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_pattern_of_a_part_of_a_path_is_shown_as_one_that_would_match() {
    let message = refusal::<Mlp>(Goft::strict().with_targets(["fc"])).to_string();
    let end = "with `*` for any part (`*fc*` would match 2)";
    assert!(message.ends_with(end), "{message}");
}

#[test]
fn a_long_list_of_paths_is_cut_and_counted() {
    // Two layers of six Linears and two norms, a weight and a bias each, and the head.
    let goft = Goft::strict().with_exclude(["nothing"]);
    let message = refusal::<Encoder>(goft).to_string();
    assert!(message.contains(" and 26 more;"), "{message}");
    assert!(!message.contains("head.weight"), "{message}");
    let goft = Goft::strict().with_targets(["nothing"]);
    let message = refusal::<Encoder>(goft).to_string();
    assert!(message.contains(" and 5 more;"), "{message}");
}

#[test]
fn nothing_left_to_adapt_is_an_error() {
    let error = refusal::<Mixed>(Goft::strict().with_exclude(["head.weight"]));
    assert!(error.is_no_target(), "{error}");
    assert_eq!(
        error.to_string(),
        "nothing to adapt: no `Linear` weight is left after exclusion and `trainable`; name the weights with \
         `Goft::with_targets([..])`; the model has `embedding.weight`, `conv.weight`, `head.weight`"
    );
    let goft = Goft::strict()
        .with_targets(["head.weight"])
        .with_trainable(["head.*"]);
    assert_eq!(
        refusal::<Mixed>(goft).to_string(),
        "nothing to adapt: every target is excluded or `trainable`; name others with `Goft::with_targets([..])`; the \
         model has `embedding.weight`, `conv.weight`, `head.weight`"
    );
}

#[test]
fn a_target_that_is_no_matrix_is_an_error() {
    let error = refusal::<Mlp>(Goft::strict().with_targets(["fc1.*"]));
    assert!(error.is_no_target(), "{error}");
    assert_eq!(
        error.to_string(),
        "target `fc1.bias` of shape [12] in a `Linear`: it is a single vector (a bias or a norm), and a rotation needs a set of \
         them; target the weights alone, or train it as it is with `Goft::with_trainable([..])`"
    );
    let without_bias = Goft::strict()
        .with_targets(["fc1.*"])
        .with_exclude(["*.bias"]);
    let (_, device) = common::devices().remove(0);
    assert!(example::<Mlp>(&device).apply_goft(without_bias).is_ok());
}

/// Kernels have a known layout; other sets of vectors are refused where they are named, and left
/// alone where they are not.
#[test]
fn an_axis_that_there_is_not_is_an_error() {
    let error = refusal::<Mixed>(
        Goft::strict()
            .with_targets(["conv.weight"])
            .with_override(Override::new("conv.*").with_axis(3)),
    );
    assert!(error.is_no_target(), "{error}");
    assert_eq!(
        error.to_string(),
        "target `conv.weight` of shape [4, 6, 3] in a `Conv1d`: the settings ask for axis 3, and it has 3 axes, which count \
         from 0"
    );
}

#[test]
fn an_override_that_overrides_nothing_is_an_error() {
    let idle = Override::new("fc9.*").with_axis(0);
    let error = refusal::<Mlp>(Goft::strict().with_override(idle));
    assert!(error.is_no_match(), "{error}");
    let start = "pattern `fc9.*` of `overrides` matches no parameter; the model has `fc1.weight`, ";
    assert!(error.to_string().starts_with(start), "{error}");
    let no_target = Override::new("head.*").with_axis(0);
    let goft = Goft::strict().with_exclude(["head.*"]);
    let error = refusal::<Mlp>(goft.with_override(no_target));
    assert!(error.is_no_match(), "{error}");
    let start = "pattern `head.*` of `overrides` matches no target; the model has `fc1.weight`, `fc2.weight`; ";
    assert!(error.to_string().starts_with(start), "{error}");
    let error = refusal::<Mlp>(Goft::strict().with_override(Override::new("fc1.*")));
    assert!(error.is_invalid_setting(), "{error}");
    assert_eq!(
        error.to_string(),
        "asked for an override of `fc1.*`: it sets nothing; give it a method, a norm scale or an axis"
    );
}

#[test]
fn a_second_application_is_an_error() {
    fn law<M: Example>() {
        let (_, device) = common::devices().remove(0);
        let adapted = example::<M>(&device).apply_goft(Goft::strict()).unwrap();
        let error = adapted.apply_goft(Goft::quasi()).unwrap_err();
        assert!(error.is_already_adapted(), "{error}");
        assert_eq!(
            error.to_string(),
            "`fc1.weight` already carries a `goft` adapter, and burn would adapt that adapter's own parameters; take it off \
             (`detach_adapters`), merge it (`merge_adapters`, or `materialize` for another method), or start from the model as \
             it was before"
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
    assert!(error.is_already_adapted(), "{error}");
    let start = "`fc1.weight` already carries a `lora` adapter, ";
    assert!(error.to_string().starts_with(start), "{error}");
}

#[test]
fn after_a_merge_a_model_can_be_adapted_again() {
    let (_, device) = common::devices().remove(0);
    let merged = example::<Mlp>(&device)
        .apply_goft(Goft::strict())
        .unwrap()
        .merge_adapters()
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
        assert!(error.is_invalid_setting(), "{error}");
        assert_eq!(
            error.to_string(),
            "pattern `fc[1.weight` is not a valid glob: unclosed character class; missing ']'; `*` matches any characters of a \
             parameter path"
        );
    }
}

fn assert_asked(method: impl Into<Method>, reason: &str) {
    let method = method.into();
    for goft in [
        Goft::new(method),
        Goft::strict().with_override(Override::new("fc1.weight").with_method(method)),
    ] {
        let error = refusal::<Mlp>(goft);
        assert!(error.is_invalid_setting(), "{error}");
        let expected = format!("asked for {method:?}: {reason}");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn an_oft_form_that_does_not_work_is_an_error() {
    for size in [0, 1] {
        let reason =
            format!("a block needs at least 2 coordinates; found {size}, take a size such as 32");
        assert_asked(Oft::exact(size), &reason);
    }
    let reason = "a Neumann series needs 1 to 4096 terms; found 0, take a number such as 5";
    assert_asked(Oft::neumann(4, 0), reason);
}

#[test]
fn a_number_of_reflections_that_does_not_start_at_the_identity_is_an_error() {
    for number in [0, 1, 3] {
        let reason = format!(
            "training starts where reflections cancel in pairs, so their number must be even and at least 2; found {number}, \
             take one such as 8"
        );
        assert_asked(Hra::new(number), &reason);
    }
}

#[test]
fn noise_that_there_is_not_is_an_error() {
    for std in [-1.0, f64::NAN, f64::INFINITY] {
        let error = refusal::<Mlp>(Goft::strict().with_init_std(std));
        assert!(error.is_invalid_setting(), "{error}");
        assert_eq!(
            error.to_string(),
            format!(
                "asked for initial noise of standard deviation {std}: it must be not negative and within the range of f32; 0 starts at the \
                 pretrained model"
            )
        );
    }
}
