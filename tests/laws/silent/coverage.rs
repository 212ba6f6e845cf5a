//! What is left alone, and who is told.

use burn::module::{Lora, Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_goft::{Goft, GoftModule, Oft, Override, Penalty, Strict};

use super::devices;
use super::order::quantized;
use crate::common;
use crate::models::{Mixed, Mlp, example, fill, rewrite};

/// A layer with the spread of burn's own initialization.
fn fresh(d_input: usize, d_output: usize, device: &Device) -> Linear {
    let limit = (d_input as f64).powf(-0.5) / std::f64::consts::PI;
    let values = common::angles(20, d_input * d_output);
    let values: Vec<f64> = values.iter().map(|t| limit * t).collect();
    let mut linear = LinearConfig::new(d_input, d_output).init(device);
    linear.weight = rewrite(linear.weight, &values);
    linear
}

#[test]
fn a_fresh_head_is_noticed() {
    for device in devices() {
        let trained: Mlp = example(&device);
        // By its values, whatever its name.
        let fresh = Mlp {
            fc2: fresh(12, 5, &device),
            ..trained.clone()
        };
        let plan = Goft::strict().plan(&fresh).unwrap().to_string();
        let expected = "`fc2.weight` has the values of burn's own";
        assert!(plan.contains(expected), "{plan}");
        // By its name, whatever its values.
        let adapted = trained.clone().apply_goft(Goft::strict()).unwrap();
        let report = adapted.adapter_report().to_string();
        let expected = "`head.weight` goes by the name of a head";
        assert!(report.contains(expected), "{report}");
        let kept = Goft::strict().with_trainable(["head.*"]);
        assert!(kept.plan(&trained).unwrap().notices.is_empty());
    }
}

#[derive(Module, Debug)]
struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    fc: Linear,
}

impl Cnn {
    fn new(device: &Device) -> Self {
        Self {
            conv1: Conv2dConfig::new([3, 8], [3, 3]).init(device),
            conv2: Conv2dConfig::new([8, 8], [3, 3]).init(device),
            fc: LinearConfig::new(8, 5).init(device),
        }
    }
}

#[test]
fn the_report_says_what_is_not_covered() {
    for device in devices() {
        let model = Cnn::new(&device).apply_goft(Goft::strict()).unwrap();
        let report = model.adapter_report();
        let uncovered = report.uncovered.iter().map(|one| one.path.as_str());
        let uncovered: Vec<_> = uncovered.collect();
        assert_eq!(uncovered, ["conv1.weight", "conv2.weight"]);
        let text = report.to_string();
        let expected =
            "not adapted: 2 of 3 weights, 95.2 % of their parameters (2 Conv2d): `conv1.weight`";
        assert!(text.contains(expected), "{text}");
        let all = Goft::strict().with_targets(["*.weight"]);
        let all = Cnn::new(&device).apply_goft(all).unwrap();
        assert!(all.adapter_report().uncovered.is_empty());
        let plan = Goft::strict().plan(&Cnn::new(&device)).unwrap().to_string();
        assert!(plan.contains("not adapted: 2 of 3 weights"), "{plan}");
    }
}

#[test]
fn the_report_counts_what_an_optimizer_would_see() {
    for device in devices() {
        let seen = |model: &Mlp| -> usize {
            let infos = burn_goft::parameters(model).into_iter();
            let trainable = infos.filter(|info| info.trainable);
            trainable.map(|info| info.count()).sum()
        };
        let base: Mlp = example(&device);
        let model = base.clone().apply_goft(Goft::quasi()).unwrap();
        let adapters = 4 * (6 + 11 + 4);
        let models = [
            (model.clone(), adapters),
            (
                model.clone().unfreeze(),
                adapters + 84 + 12 + 60 + 5 + 15 + 3,
            ),
            (model.clone().freeze(), 0),
            (model.valid(), adapters),
            (
                base.apply_lora(Lora::new(2, 4.0)),
                2 * (7 + 12 + 12 + 5 + 5 + 3),
            ),
        ];
        for (model, expected) in models {
            let report = model.adapter_report();
            assert_eq!(report.trainable_parameters(), expected, "{report}");
            assert_eq!(seen(&model), expected);
            let infos = burn_goft::parameters(&model);
            let total: usize = infos.iter().map(|info| info.count()).sum();
            assert_eq!(report.total_parameters, total);
        }
    }
}

/// As the last layer of a network for images, under a name that no list of heads has.
#[test]
fn a_fresh_layer_behind_trained_ones_of_another_kind_is_noticed() {
    for device in devices() {
        let fresh_network = || {
            let mut model = fill(Cnn::new(&device), 31);
            model.fc = fresh(8, 5, &device);
            model
        };
        let expected = "`fc.weight` has the values of burn's own";
        for goft in [Goft::strict(), Goft::strict().with_targets(["fc.weight"])] {
            let plan = goft.plan(&fresh_network()).unwrap().to_string();
            assert!(plan.contains(expected), "{plan}");
        }
        let all = Goft::strict().with_targets(["*.weight"]);
        let report = fresh_network().apply_goft(all).unwrap().adapter_report();
        assert!(report.to_string().contains(expected), "{report}");
        // As a whole it is a first try.
        let plan = Goft::strict().plan(&Cnn::new(&device)).unwrap();
        assert!(plan.notices.is_empty(), "{plan}");
    }
}

#[test]
fn a_setting_that_changes_nothing_is_refused() {
    let head = |goft: Goft| goft.with_trainable(["head.*"]);
    let both = Override::new("fc1.*").with_method(Oft::exact(4));
    let later = Override::new("*").with_method(Strict::direct());
    for device in devices() {
        let model: Mlp = example(&device);
        for (goft, expected) in [
            (
                head(Goft::strict().with_targets(["fc1.weight", "head.weight"])),
                "`head.weight` of `targets`",
            ),
            (
                Goft::strict()
                    .with_targets(["fc1.weight", "fc2.weight"])
                    .with_exclude(["fc2.*"]),
                "`fc2.weight` of `targets`",
            ),
            (
                Goft::strict()
                    .with_override(both.clone())
                    .with_override(later.clone()),
                "an override of `fc1.*`",
            ),
            (
                Goft::strict().with_targets::<String>([]),
                "the list of targets is empty",
            ),
        ] {
            let error = goft.plan(&model).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let ordered = Goft::strict()
            .with_override(later.clone())
            .with_override(both.clone());
        assert!(ordered.plan(&model).is_ok());
    }
}

#[test]
fn what_cannot_train_is_not_listed_as_trained() {
    for device in devices() {
        let mixed: Mixed = example(&device);
        let goft = |pattern| Goft::strict().with_trainable([pattern]);
        let error = goft("batch_norm.running_mean").plan(&mixed).unwrap_err();
        assert!(error.is_no_match(), "{error}");
        let plan = goft("batch_norm.*").plan(&mixed).unwrap();
        assert_eq!(plan.trainable, ["batch_norm.gamma", "batch_norm.beta"]);

        let packed = quantized(example::<Mlp>(&device), &device);
        let error = goft("head.weight").plan(&packed).unwrap_err();
        assert!(
            error.is_invalid_setting() && error.to_string().contains("packed"),
            "{error}"
        );
    }
}

#[test]
fn a_layer_without_values_is_left_alone() {
    for device in devices() {
        let mut model: Mlp = example(&device);
        model.head = LinearConfig::new(5, 0).init(&device);
        let model = model.apply_goft(Goft::strict()).unwrap();
        let report = model.adapter_report();
        assert_eq!(report.layers.len(), 2, "{report}");
        let named = Goft::strict().with_targets(["weight"]);
        let mut empty: Linear = LinearConfig::new(1, 5).init(&device);
        empty.weight = Param::from_tensor(Tensor::zeros([0, 5], &device));
        let error = named.plan(&empty).unwrap_err();
        assert!(error.to_string().contains("it has no values"), "{error}");
    }
}

#[test]
fn trained_parameters_of_one_id_are_noticed() {
    for device in devices() {
        let goft = Goft::strict()
            .with_trainable(["head.*"])
            .with_targets(["fc1.weight"]);
        let member: Mlp = example::<Mlp>(&device).apply_goft(goft).unwrap();
        let apart = vec![member.clone(), member.detach_adapters()];
        let notices = apart.adapter_report().notices.join(" ");
        assert!(
            notices.contains("`0.head.weight` and `1.head.weight` have one id"),
            "{notices}"
        );
    }
}

#[test]
#[should_panic(expected = "finite and not negative")]
fn a_penalty_of_negative_strength_panics() {
    let device = devices().remove(0);
    let model = example::<Mlp>(&device).apply_goft(Goft::quasi()).unwrap();
    let loss = model.forward(super::batch(1, 7, &device)).mean();
    let _ = model.penalized(loss, Penalty::Gram, -0.01);
}
