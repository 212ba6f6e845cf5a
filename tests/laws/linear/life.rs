//! Attaching to one layer, taking off, merging.

use burn::module::{Lora, Module};
use burn::nn::{LinearConfig, LinearLayout};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, FloatDType};
use burn_goft::{AdapterFile, Goft, GoftAdapter, GoftLinear, GoftModule, NormScale, Strict};

use super::{fill, input, linear};
use crate::common;
use crate::methods;
use crate::models::{bits, gradients_by_path, parameters, stir, values};

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
        for goft in methods::settings() {
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
    let goft = Goft::new(Strict::tanh()).with_norm_scale(NormScale::Input);
    let layer = adapted(&goft, &device);
    let adapter = layer.adapter().unwrap();
    assert_eq!(
        (methods::case_of(adapter).name, adapter.norm_scale()),
        ("strict tanh", NormScale::Input)
    );
    assert_eq!(methods::stored(adapter).dims(), [5]);
    assert_eq!(adapter.scale().unwrap().dims(), [6]);
}

#[test]
fn attaching_replaces_the_adapter_there_is() {
    for (_, device) in common::devices() {
        let layer = adapted(&Goft::quasi(), &device)
            .attach(Goft::strict())
            .unwrap();
        let adapter = layer.adapter().unwrap();
        assert_eq!(methods::case_of(adapter).name, "strict");
        let (x, base) = (input([5, 6], &device), linear(&device));
        assert_eq!(bits(&layer.forward(x.clone())), bits(&base.forward(x)));
    }
}

#[test]
fn an_adapter_of_another_method_is_not_replaced() {
    let (_, device) = common::devices().remove(0);
    let layer = GoftLinear::from(linear(&device)).apply_lora(Lora::new(2, 4.0));
    let error = layer.attach(Goft::strict()).unwrap_err();
    assert!(error.is_already_adapted(), "{error}");
    assert!(error.to_string().contains("a `lora` adapter"), "{error}");
}

#[test]
fn lora_beside_the_product_is_lora_in_the_weight() {
    fn law<const D: usize>(shape: [usize; D], device: &Device) {
        for config in super::layouts() {
            let lora = || Lora::new(2, 3.0);
            let linear = fill(config.init(device).apply_lora(lora()), 6);
            let layer = GoftLinear::from(linear.clone());
            let x = input(shape, device).require_grad();
            let tolerance = common::through_products(device, 1e-5);
            let outputs = [layer.forward(x.clone()), linear.forward(x.clone())];
            let [found, expected] = outputs.each_ref().map(common::numbers);
            common::assert_close(format!("{shape:?}"), &found, &expected, tolerance);
            let derivatives = outputs.map(|output| {
                let grads = output.square().sum().backward();
                let by_x = common::numbers(&x.grad(&grads).unwrap());
                let grads = GradientsParams::from_grads(grads, &linear);
                (by_x, gradients_by_path(&linear, &grads))
            });
            let [(found_x, found), (expected_x, expected)] = &derivatives;
            common::assert_close("by x", found_x, expected_x, tolerance);
            let paths: Vec<_> = found.keys().collect();
            assert_eq!(paths, ["weight.lora.a", "weight.lora.b"]);
            for (path, found) in found {
                common::assert_close(path, found, &expected[path], tolerance);
            }
        }
    }
    for (_, device) in common::devices() {
        let device = device.autodiff();
        law([5, 6], &device);
        law([2, 3, 6], &device);
    }
}

/// In a model of half precision whose factors are trained in more digits.
#[test]
fn factors_of_lora_may_be_wider_than_what_they_stand_beside() {
    for row in common::rows() {
        if row.dtype != DType::BF16 {
            continue;
        }
        let device = row.device.clone().autodiff();
        let factors = Lora::new(2, 3.0).set_dtype(FloatDType::F32);
        let whole = fill(linear(&device).apply_lora(factors.clone()), 6);
        let mut half = whole.clone();
        half.bias = half
            .bias
            .map(|bias| bias.map(|bias| bias.cast(DType::BF16)));
        let narrow = linear(&device);
        let narrow = burn::nn::Linear {
            weight: narrow.weight.map(|weight| weight.cast(DType::BF16)),
            bias: half.bias,
        };
        let layer = GoftLinear::from(fill(narrow.apply_lora(factors), 6));
        let x = input([5, 6], &device);
        let found = layer.forward(x.clone().cast(DType::BF16));
        assert_eq!(found.dtype(), DType::BF16);
        let expected = GoftLinear::from(whole).forward(x);
        let (found, expected) = (common::numbers(&found), common::numbers(&expected));
        common::assert_close(row.name, &found, &expected, 0.1);
    }
}

#[test]
fn an_adapter_of_another_method_stays() {
    for (_, device) in common::devices() {
        let linear = fill(linear(&device).apply_lora(Lora::new(2, 4.0)), 6);
        let layer = GoftLinear::from(linear);
        let x = input([5, 6], &device);
        let expected = bits(&layer.forward(x.clone()));
        assert_eq!(bits(&layer.detach().forward(x)), expected);
    }
}

#[test]
fn detaching_restores_the_output_bit_for_bit() {
    for (_, device) in common::devices() {
        for config in super::layouts() {
            for goft in methods::settings() {
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
    assert!(error.is_no_match(), "{error}");
    let error = attach(&Goft::strict().with_targets(["bias"])).unwrap_err();
    assert!(error.is_no_target(), "{error}");
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
        for config in super::layouts() {
            for goft in methods::settings() {
                let layer = GoftLinear::from_linear(fill(config.init(&device), 2), &goft).unwrap();
                let layer = stir(layer, 4, 0.3);
                let x = input([5, 6], &device);
                let expected = common::numbers(&layer.forward(x.clone()));
                let merged = layer.merge().unwrap();
                assert!(merged.weight.reparameterization::<GoftAdapter>().is_none());
                let found = common::numbers(&merged.forward(x));
                let tolerance = common::through_products(&device, 1e-6);
                common::assert_close(methods::name(&goft), &found, &expected, tolerance);
            }
        }
    }
}

#[test]
fn unmerging_gives_the_layer_back() {
    for (_, device) in common::devices() {
        for goft in methods::settings() {
            let layer = adapted(&goft, &device.clone().autodiff());
            let file = AdapterFile::capture(&layer).unwrap();
            let merged = layer.clone().merge().unwrap();
            let unmerged = GoftLinear::unmerge(merged, &file).unwrap();
            let (found, expected) = (unmerged.weight(), layer.weight());
            let name = methods::name(&goft);
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
                common::through_products(&device, 1e-5),
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
    let error = broken.merge().unwrap_err();
    assert!(error.is_not_finite(), "{error}");
    assert!(error.to_string().contains("of `weight` holds"), "{error}");
    let off = adapted(&Goft::quasi(), &device).disable_adapters();
    let error = off.merge().unwrap_err();
    assert!(error.is_not_adapted(), "{error}");
}

#[test]
fn a_file_of_a_bare_layer_loads_on_either_side() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer.safetensors");
        let layer = adapted(&Goft::quasi().with_norm_scale(NormScale::Neuron), &device);
        layer.save_adapters(&path).unwrap();
        let x = input([5, 6], &device);
        let loaded = GoftLinear::from(linear(&device))
            .load_adapters(&path)
            .unwrap();
        assert_eq!(
            bits(&loaded.forward(x.clone())),
            bits(&layer.forward(x.clone()))
        );
        let weight_side = linear(&device).load_adapters(&path).unwrap();
        let (found, expected) = (weight_side.forward(x.clone()), layer.forward(x));
        common::assert_close(
            "weight side",
            &common::numbers(&found),
            &common::numbers(&expected),
            common::through_products(&device, 1e-6),
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
            GoftLinear::from_linear(fresh(), Goft::quasi()).unwrap(),
            4,
            0.3,
        );
        layer.save_adapters(&path).unwrap();
        // Its weight is drawn when it is read, and no other has it.
        let onto = |layer: GoftLinear, file: AdapterFile| layer.load_adapters(file);
        let read = || AdapterFile::read(&path).unwrap();
        let error = onto(fresh().into(), read()).unwrap_err();
        assert!(error.is_other_base(), "{error}");
        let loaded = onto(fresh().into(), read().for_any_base()).unwrap();
        assert_eq!(loaded.adapter_report(), layer.adapter_report());
        assert_eq!(
            values(&loaded)["weight.goft.block_offsets"],
            values(&layer)["weight.goft.block_offsets"]
        );
    }
}

#[test]
fn a_layer_with_one_input_has_nothing_to_turn_and_works_without_an_adapter() {
    for (_, device) in common::devices() {
        let base = fill(LinearConfig::new(1, 3).init(&device), 2);
        for goft in methods::settings() {
            let error = GoftLinear::from_linear(base.clone(), &goft).unwrap_err();
            assert!(error.is_no_target(), "{error}");
        }
        let x = input([5, 1], &device);
        let layer = GoftLinear::from(base.clone());
        assert_eq!(bits(&layer.forward(x.clone())), bits(&base.forward(x)));
    }
}
