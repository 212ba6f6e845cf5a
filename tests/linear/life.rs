//! Attaching to one layer, taking off, merging.

use burn::module::{Lora, Module};
use burn::nn::{LinearConfig, LinearLayout};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Device;
use burn_goft::{
    AngleForm, Error, Goft, GoftAdapter, GoftLinear, GoftModule, Kind, NormScale, Oft,
};

use crate::models::{self, bits, parameters, stir, values};
use crate::{common, fill, input, linear};

fn adapted(goft: &Goft, device: &Device) -> GoftLinear {
    stir(
        GoftLinear::from_linear(linear(device), goft).unwrap(),
        4,
        0.3,
    )
}

#[test]
fn the_weight_is_untouched_untracked_and_stays_so_under_training() {
    for (_, device) in common::devices() {
        let device = device.autodiff();
        for goft in models::settings() {
            let mut layer = adapted(&goft, &device);
            let weight = bits(&linear(&device).weight.val());
            let mut optimizer = SgdConfig::new().init();
            for _ in 0..2 {
                assert_eq!(bits(&layer.weight()), weight);
                assert!(!layer.weight().is_require_grad());
                let grads = layer
                    .forward(input([5, 6], &device))
                    .square()
                    .sum()
                    .backward();
                assert!(layer.weight().grad(&grads).is_none());
                let before = values(&layer);
                let grads = GradientsParams::from_grads(grads, &layer);
                layer = optimizer.step(0.1, layer, grads);
                assert_ne!(values(&layer), before);
            }
        }
    }
}

#[test]
fn the_adapter_is_the_one_the_settings_describe() {
    let (_, device) = common::devices().remove(0);
    assert!(GoftLinear::from(linear(&device)).adapter().is_none());
    let goft = Goft::strict()
        .with_angle_form(AngleForm::Tanh)
        .with_norm_scale(NormScale::Input);
    let layer = adapted(&goft, &device);
    let adapter = layer.adapter().unwrap();
    assert_eq!(
        (adapter.kind(), adapter.angle_form(), adapter.norm_scale()),
        (Kind::Strict, AngleForm::Tanh, NormScale::Input)
    );
    assert_eq!(adapter.angle_parameter().unwrap().dims(), [5]);
    assert_eq!(adapter.scale_parameter().unwrap().dims(), [6]);
}

#[test]
fn attaching_replaces_the_adapter_there_is() {
    for (_, device) in common::devices() {
        let layer = adapted(&Goft::quasi(), &device)
            .attach(&Goft::strict())
            .unwrap();
        assert_eq!(layer.adapter().unwrap().kind(), Kind::Strict);
        let (x, base) = (input([5, 6], &device), linear(&device));
        assert_eq!(bits(&layer.forward(x.clone())), bits(&base.forward(x)));
    }
}

#[test]
fn an_adapter_of_another_method_is_not_replaced() {
    let (_, device) = common::devices().remove(0);
    let layer = GoftLinear::from(linear(&device)).apply_lora(Lora::new(2, 4.0));
    let error = layer.attach(&Goft::strict()).unwrap_err();
    assert!(
        matches!(&error, Error::AlreadyAdapted { name, .. } if name == "lora"),
        "{error}"
    );
}

#[test]
fn an_adapter_of_another_method_acts_as_on_linear() {
    for (_, device) in common::devices() {
        let linear = fill(linear(&device).apply_lora(Lora::new(2, 4.0)), 6);
        let layer = GoftLinear::from(linear.clone());
        let x = input([5, 6], &device);
        assert_eq!(
            bits(&layer.forward(x.clone())),
            bits(&linear.forward(x.clone()))
        );
        assert_eq!(
            bits(&layer.detach().forward(x.clone())),
            bits(&linear.forward(x))
        );
    }
}

#[test]
fn detaching_restores_the_output_bit_for_bit() {
    for (_, device) in common::devices() {
        for config in crate::layouts() {
            for goft in models::settings() {
                let base = fill(config.init(&device), 2);
                let layer = GoftLinear::from_linear(base.clone(), &goft).unwrap();
                let layer = stir(layer, 4, 0.3);
                let x = input([5, 6], &device);
                let expected = bits(&base.forward(x.clone()));
                assert_ne!(bits(&layer.forward(x.clone())), expected);
                let detached = layer.detach();
                assert!(detached.adapter().is_none());
                assert_eq!(bits(&detached.forward(x)), expected);
                assert_eq!(values(&detached.merge().unwrap()), values(&base));
            }
        }
    }
}

#[test]
fn only_the_weight_can_be_a_target() {
    let (_, device) = common::devices().remove(0);
    let attach = |goft: &Goft| GoftLinear::from_linear(linear(&device), goft);
    assert!(attach(&Goft::strict().with_targets(["weight"])).is_ok());
    let error = attach(&Goft::strict().with_targets(["*.weight"])).unwrap_err();
    assert!(matches!(error, Error::NoMatch { .. }), "{error}");
    let error = attach(&Goft::strict().with_targets(["bias"])).unwrap_err();
    assert!(matches!(error, Error::NotAMatrix { .. }), "{error}");
}

#[test]
fn a_kept_bias_trains_and_any_other_is_frozen() {
    let (_, device) = common::devices().remove(0);
    let device = device.autodiff();
    let trainable = |goft: Goft| {
        let layer = GoftLinear::from_linear(linear(&device), &goft).unwrap();
        parameters(&layer)["bias"].trainable
    };
    assert!(!trainable(Goft::strict()));
    assert!(trainable(Goft::strict().with_trainable(["bias"])));
}

#[test]
fn a_merge_is_a_plain_linear_that_computes_the_same() {
    for (_, device) in common::devices() {
        for config in crate::layouts() {
            for goft in models::settings() {
                let layer = GoftLinear::from_linear(fill(config.init(&device), 2), &goft).unwrap();
                let layer = stir(layer, 4, 0.3);
                let x = input([5, 6], &device);
                let expected = common::numbers(&layer.forward(x.clone()));
                let merged = layer.merge().unwrap();
                assert!(merged.weight.reparameterization::<GoftAdapter>().is_none());
                let found = common::numbers(&merged.forward(x));
                common::assert_close(models::name(&goft), &found, &expected, 1e-6);
            }
        }
    }
}

#[test]
fn unmerging_gives_the_layer_back() {
    for (_, device) in common::devices() {
        for goft in models::settings() {
            let layer = adapted(&goft, &device.clone().autodiff());
            let adapter = layer.adapter().unwrap().clone();
            let merged = layer.clone().merge().unwrap();
            let unmerged = GoftLinear::unmerge(merged, &adapter).unwrap();
            let (found, expected) = (unmerged.weight(), layer.weight());
            let name = models::name(&goft);
            common::assert_close(
                &name,
                &common::numbers(&found),
                &common::numbers(&expected),
                1e-5,
            );
            let x = input([5, 6], &device.clone().autodiff());
            let (found, expected) = (unmerged.forward(x.clone()), layer.forward(x));
            common::assert_close(
                &name,
                &common::numbers(&found),
                &common::numbers(&expected),
                1e-5,
            );
            let flags = |layer: &GoftLinear| -> Vec<_> {
                let held = parameters(layer).into_iter();
                held.map(|(path, held)| (path, held.trainable)).collect()
            };
            assert_eq!(flags(&unmerged), flags(&layer));
        }
    }
}

#[test]
fn merging_a_broken_or_switched_off_layer_is_refused() {
    let (_, device) = common::devices().remove(0);
    let broken = stir(adapted(&Goft::quasi(), &device), 1, f64::NAN);
    assert!(matches!(broken.merge(), Err(Error::NonFinite { path, .. }) if path == "weight"));
    let off = adapted(&Goft::quasi(), &device).enable_goft(false);
    assert!(matches!(off.merge(), Err(Error::Disabled { .. })));
}

#[test]
fn a_file_of_a_bare_layer_loads_on_either_side() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer.safetensors");
        let layer = adapted(&Goft::quasi().with_norm_scale(NormScale::Neuron), &device);
        layer.save_goft(&path).unwrap();
        let x = input([5, 6], &device);
        let loaded = GoftLinear::from(linear(&device)).load_goft(&path).unwrap();
        assert_eq!(
            bits(&loaded.forward(x.clone())),
            bits(&layer.forward(x.clone()))
        );
        let weight_side = linear(&device).load_goft(&path).unwrap();
        let (found, expected) = (weight_side.forward(x.clone()), layer.forward(x));
        common::assert_close(
            "weight side",
            &common::numbers(&found),
            &common::numbers(&expected),
            1e-6,
        );
    }
}

#[test]
fn a_file_loads_onto_a_column_layout_layer_that_was_never_read() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer.safetensors");
        let fresh = || {
            LinearConfig::new(6, 4)
                .with_layout(LinearLayout::Col)
                .init(&device)
        };
        let layer = stir(
            GoftLinear::from_linear(fresh(), &Goft::quasi()).unwrap(),
            4,
            0.3,
        );
        layer.save_goft(&path).unwrap();
        let loaded = GoftLinear::from(fresh()).load_goft(&path).unwrap();
        assert_eq!(loaded.goft_report(), layer.goft_report());
        assert_eq!(
            values(&loaded)["weight.goft.blocks"],
            values(&layer)["weight.goft.blocks"]
        );
    }
}

#[test]
fn a_layer_with_one_input_has_nothing_to_turn_and_works() {
    for (_, device) in common::devices() {
        let device = device.autodiff();
        let base = fill(LinearConfig::new(1, 3).init(&device), 2);
        for goft in models::settings() {
            let layer = GoftLinear::from_linear(base.clone(), &goft).unwrap();
            let x = input([5, 1], &device);
            let y = layer.forward(x.clone());
            common::assert_close(
                format!("d = 1, {}", models::name(&goft)),
                &common::numbers(&y),
                &common::numbers(&base.forward(x)),
                1e-6,
            );
            if goft.norm_scale != NormScale::None {
                let grads = GradientsParams::from_grads(y.sum().backward(), &layer);
                assert!(!grads.is_empty());
            }
            assert!(layer.merge().is_ok());
        }
    }
}

#[test]
fn several_layers_of_one_input_compute_what_each_does() {
    for (_, device) in common::devices() {
        let x = input([2, 3, 6], &device);
        let adapted = |goft: Goft, seed| {
            let layer = GoftLinear::from_linear(linear(&device), &goft).unwrap();
            stir(layer, seed, 0.3)
        };
        let plain = GoftLinear::from(linear(&device));
        let off = adapted(Goft::strict(), 8).enable_goft(false);
        let strict = adapted(Goft::strict(), 5);
        let scaled = adapted(Goft::quasi().with_norm_scale(NormScale::Input), 6);
        let neuron = adapted(Goft::strict().with_norm_scale(NormScale::Neuron), 7);
        let oft = adapted(Goft::oft(Oft::exact(4)), 9);
        for layers in [
            [&strict, &scaled, &neuron],
            [&oft, &oft, &oft],
            [&strict, &oft, &plain],
            [&strict, &plain, &neuron],
            [&off, &strict, &scaled],
            [&plain, &plain, &plain],
        ] {
            let found = GoftLinear::forward_each(layers, x.clone());
            for (found, layer) in found.into_iter().zip(layers) {
                assert_eq!(bits(&found), bits(&layer.forward(x.clone())));
            }
        }
    }
}
