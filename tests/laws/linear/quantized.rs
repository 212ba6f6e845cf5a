//! A packed weight stays packed.

use burn::module::{Module, ParamGroup, Quantizer};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::quantization::{Calibration, QuantValue};
use burn::tensor::{DType, Device};
use burn_goft::{Goft, GoftLinear, GoftModule};

use super::input;
use crate::common;
use crate::methods;
use crate::models::{self, fill, stir, values};

fn is_packed(layer: &GoftLinear) -> bool {
    matches!(layer.weight().dtype(), DType::QFloat(_))
}

fn packed(device: &Device) -> Linear {
    let linear = fill(LinearConfig::new(32, 16).init(device), 2);
    let scheme = device
        .settings()
        .quantization
        .scheme
        .with_value(QuantValue::Q8S);
    let mut quantizer = Quantizer::new(Calibration::MinMax, scheme);
    linear.quantize_weights_group(&mut quantizer, ParamGroup::from_path("weight"))
}

/// The same layer with the weight that the packed one stands for.
fn unpacked(packed: &Linear) -> Linear {
    let mut dense = packed.clone();
    dense.weight = dense.weight.map(|weight| weight.dequantize());
    dense
}

#[test]
fn it_computes_what_the_weight_it_stands_for_does() {
    for (name, device) in common::devices() {
        for goft in methods::settings() {
            let base = packed(&device);
            let layer = stir(
                GoftLinear::from_linear(base.clone(), &goft).unwrap(),
                4,
                0.3,
            );
            let dense = stir(
                GoftLinear::from_linear(unpacked(&base), &goft).unwrap(),
                4,
                0.3,
            );
            assert!(is_packed(&layer) && !is_packed(&dense));
            let x = input([5, 32], &device);
            let (found, expected) = (layer.forward(x.clone()), dense.forward(x));
            let what = format!("{name} {}", methods::name(&goft));
            // Both multiply the same dequantized numbers (on a CPU the difference is zero); only
            // the order of a sum is free.
            common::assert_close(
                what,
                &common::numbers(&found),
                &common::numbers(&expected),
                common::through_products(&device, 1e-6),
            );
            assert!(is_packed(&layer));
        }
    }
}

#[test]
fn it_stays_packed_through_training_and_the_adapter_learns() {
    for (_, device) in common::devices() {
        let device = device.autodiff();
        for goft in methods::settings() {
            let layer = stir(
                GoftLinear::from_linear(packed(&device), &goft).unwrap(),
                4,
                0.1,
            );
            let weight = models::bits(&layer.weight());
            let loss = |layer: &GoftLinear| layer.forward(input([5, 32], &device)).square().mean();
            let before = loss(&layer);
            let grads = GradientsParams::from_grads(before.backward(), &layer);
            let trained = SgdConfig::new().init().step(0.01, layer.clone(), grads);
            assert!(is_packed(&trained));
            assert_eq!(models::bits(&trained.weight()), weight);
            assert_ne!(values(&trained), values(&layer));
            let (before, after) = (
                before.into_scalar::<f32>(),
                loss(&trained).into_scalar::<f32>(),
            );
            assert!(
                after < before,
                "{}: {before} to {after}",
                methods::name(&goft)
            );
            assert!(is_packed(&trained.valid()) && is_packed(&trained.clone().detach()));
        }
    }
}

#[test]
fn its_gradients_are_those_of_the_weight_it_stands_for() {
    for (name, device) in common::devices() {
        let device = device.autodiff();
        let gradient = |base: Linear| {
            let layer = stir(
                GoftLinear::from_linear(base, Goft::quasi()).unwrap(),
                4,
                0.3,
            );
            let grads = layer
                .forward(input([5, 32], &device))
                .square()
                .sum()
                .backward();
            let blocks = methods::only(layer.adapter().unwrap()).val();
            common::numbers(&blocks.grad(&grads).unwrap())
        };
        let base = packed(&device);
        common::assert_close(
            name,
            &gradient(base.clone()),
            &gradient(unpacked(&base)),
            common::through_products(&device, 1e-5),
        );
    }
}

#[test]
fn a_merge_makes_it_dense() {
    for (name, device) in common::devices() {
        let base = packed(&device);
        let layer = stir(
            GoftLinear::from_linear(base, Goft::quasi()).unwrap(),
            4,
            0.3,
        );
        let x = input([5, 32], &device);
        let expected = common::numbers(&layer.forward(x.clone()));
        let merged = layer.merge().unwrap();
        assert_eq!(merged.weight.base().dtype(), DType::F32);
        let tolerance = common::through_products(&device, 1e-5);
        common::assert_close(
            name,
            &common::numbers(&merged.forward(x)),
            &expected,
            tolerance,
        );
    }
}

#[test]
fn the_weight_side_keeps_it_packed_at_rest() {
    for (name, device) in common::devices() {
        let base = packed(&device);
        let weight_side = stir(base.clone().apply_goft(Goft::quasi()).unwrap(), 4, 0.3);
        assert!(matches!(
            weight_side.weight.base().dtype(),
            DType::QFloat(_)
        ));
        let input_side = stir(
            GoftLinear::from_linear(base, Goft::quasi()).unwrap(),
            4,
            0.3,
        );
        let x = input([5, 32], &device);
        let (found, expected) = (weight_side.forward(x.clone()), input_side.forward(x));
        common::assert_close(
            name,
            &common::numbers(&found),
            &common::numbers(&expected),
            common::through_products(&device, 1e-5),
        );
    }
}

#[test]
fn its_adapter_is_saved_and_loaded_without_it() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adapter.safetensors");
        let layer = stir(
            GoftLinear::from_linear(packed(&device), Goft::strict()).unwrap(),
            4,
            0.3,
        );
        layer.save_adapters(&path).unwrap();
        let loaded = GoftLinear::from(packed(&device))
            .load_adapters(&path)
            .unwrap();
        assert!(is_packed(&loaded));
        let x = input([5, 32], &device);
        assert_eq!(
            models::bits(&loaded.forward(x.clone())),
            models::bits(&layer.forward(x))
        );
    }
}

#[test]
fn a_packed_bias_is_added_as_by_linear() {
    for (name, device) in common::devices() {
        let scheme = device
            .settings()
            .quantization
            .scheme
            .with_value(QuantValue::Q8S);
        let linear = fill(LinearConfig::new(32, 16).init(&device), 2);
        let base = linear.quantize_weights(&mut Quantizer::new(Calibration::MinMax, scheme));
        let x = input([5, 32], &device);
        for goft in methods::settings() {
            let layer = GoftLinear::from_linear(base.clone(), &goft).unwrap();
            let (found, expected) = (layer.forward(x.clone()), base.forward(x.clone()));
            let what = format!("{name} {}", methods::name(&goft));
            common::assert_close(
                what,
                &common::numbers(&found),
                &common::numbers(&expected),
                common::through_products(&device, 1e-6),
            );
        }
    }
}
