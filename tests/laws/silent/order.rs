//! Two transforms of one model, in either order.

use burn::module::{Lora, Module, ModuleMapper, Param, Quantizer};
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamConfig;
use burn::tensor::quantization::{Calibration, QuantScheme, QuantValue};
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{AdapterFile, Goft, GoftModule, Penalty};

use super::{batch, devices, distance, train};
use crate::common::{self, numbers};
use crate::methods;
use crate::models::{Mlp, bits, example, fill, stir};

pub(super) fn quantized<M: Module>(model: M, device: &Device) -> M {
    let scheme: QuantScheme = device
        .settings()
        .quantization
        .scheme
        .with_value(QuantValue::Q8S);
    model.quantize_weights(&mut Quantizer::new(Calibration::MinMax, scheme))
}

/// A cast of everything, as a mapper of one's own would do it.
pub(super) struct Cast(pub(super) DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|values| values.detach().cast(self.0))
    }
}

/// The half-precision types that a device computes in.
pub(super) fn halves(device: &Device) -> impl Iterator<Item = DType> + '_ {
    let halves = [DType::BF16, DType::F16].into_iter();
    halves.filter(|dtype| device.clone().inner().supports_dtype(*dtype))
}

fn parameters(linear: &Linear) -> Vec<Vec<u64>> {
    let adapter = &linear.adapters()["weight"];
    let values = |name: &str| bits(&adapter.parameter(name).unwrap().val());
    adapter.parameter_names().map(values).collect()
}

fn linear(device: &Device) -> Linear {
    fill(LinearConfig::new(32, 32).init(device), 5)
}

fn adapted(base: Linear, goft: &Goft) -> Linear {
    stir(base.apply_goft(goft.clone()).unwrap(), 6, 0.2)
}

#[test]
fn adapters_stay_floats_when_the_model_is_packed_after_attaching() {
    for (device, goft) in table() {
        let name = methods::name(&goft);
        let before = adapted(linear(&device), &goft);
        let after = quantized(before.clone(), &device);
        let dtype = after.weight.base().dtype();
        assert!(matches!(dtype, DType::QFloat(_)), "{name}: {dtype:?}");
        assert_eq!(parameters(&after), parameters(&before), "{name}");
        let x = batch(1, 32, &device);
        let (found, expected) = (after.forward(x.clone()), before.forward(x));
        // Eight bits of a weight take a 254th of its range, here 3.2 of about 40.
        let change = distance(&found, &expected);
        assert!(change < 0.02 * largest(&expected), "{name}: {change}");
        let mut optimizer = AdamConfig::new().init();
        let trained = train(after, &mut optimizer, 0..1, 32, Linear::forward);
        assert_ne!(parameters(&trained), parameters(&before), "{name}");
        let file = AdapterFile::capture(&trained).unwrap();
        // The packed base is the dense one, within what packing costs.
        let dense = linear(&device).load_adapters(&file).unwrap();
        assert_eq!(parameters(&dense), parameters(&trained), "{name}");
    }
}

fn largest<const D: usize>(tensor: &Tensor<D>) -> f64 {
    numbers(tensor).iter().fold(0.0, |max, x| max.max(x.abs()))
}

/// Every device with all settings.
fn table() -> impl Iterator<Item = (Device, Goft)> {
    let with_settings = |device: Device| {
        let settings = methods::settings().into_iter();
        settings.map(move |goft| (device.clone(), goft))
    };
    devices().into_iter().flat_map(with_settings)
}

#[test]
fn adapters_keep_their_digits_when_the_model_is_cast_after_attaching() {
    for (device, goft) in table() {
        let before = adapted(linear(&device), &goft);
        for dtype in halves(&device) {
            let after = before.clone().map(&mut Cast(dtype));
            assert_eq!(after.weight.base().dtype(), dtype);
            assert_eq!(parameters(&after), parameters(&before));
        }
    }
}

/// As for a trained model that is made ready to serve.
struct CastAndFreeze(DType);

impl ModuleMapper for CastAndFreeze {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let param = Cast(self.0).map_float(param);
        param.set_require_grad(false)
    }
}

#[test]
fn a_cast_that_freezes_freezes_adapters_too() {
    for (device, goft) in table() {
        let before = adapted(linear(&device), &goft);
        for dtype in halves(&device) {
            let after = before.clone().map(&mut CastAndFreeze(dtype));
            assert_eq!(parameters(&after), parameters(&before));
            assert_eq!(after.adapter_report().trainable_parameters(), 0);
        }
    }
}

#[test]
fn a_half_precision_loss_takes_a_penalty() {
    for (device, dtype) in devices()
        .iter()
        .flat_map(|d| halves(d).map(move |t| (d, t)))
    {
        let model = adapted(linear(device).map(&mut Cast(dtype)), &Goft::quasi());
        let x = || batch(1, 32, device).cast(dtype);
        let without = model.forward(x()).square().mean();
        let loss = model.penalized(without.clone(), Penalty::Gram, 0.01);
        assert_eq!(loss.dtype(), DType::F32);
        let penalty = numbers(&model.adapter_penalty(Penalty::Gram))[0];
        let expected = numbers(&without)[0] + 0.01 * penalty;
        common::assert_close(format!("{dtype:?}"), &numbers(&loss), &[expected], 1e-6);
        let gradients = loss.backward();
        assert!(model.adapters_without_gradient(&gradients).is_empty());
    }
}

#[test]
fn lora_after_attaching_shows_in_the_report() {
    for device in devices() {
        let goft = Goft::strict().with_targets(["fc1.weight"]);
        let model = example::<Mlp>(&device).apply_goft(goft).unwrap();
        let model = model.apply_lora(Lora::new(2, 4.0));
        let report = model.adapter_report();
        // burn freezes the adapter and drops its own where one is: the report shows both.
        assert_eq!(report.layers[0].trainable, 0, "{report}");
        assert!(report.to_string().contains("(frozen)"), "{report}");
        assert_eq!(report.other_parameters, 2 * (12 + 5 + 5 + 3));
        let error = model.save_adapters("/nowhere").unwrap_err();
        assert!(error.is_not_adapted(), "{error}");
    }
}

/// Its factors are in no adapter file.
#[test]
fn saving_while_lora_trains_elsewhere_is_refused() {
    for device in devices() {
        let fc1 = example::<Mlp>(&device)
            .fc1
            .apply_goft(Goft::strict())
            .unwrap();
        let head = example::<Mlp>(&device).head.apply_lora(Lora::new(2, 4.0));
        let model = Mlp {
            fc1,
            head,
            ..example(&device)
        };
        let error = AdapterFile::capture(&model).unwrap_err();
        assert!(
            error.is_unsaved() && error.to_string().contains("`head.weight"),
            "{error}"
        );
        // One that is folded in is part of the base.
        let head = model.head.clone().materialize();
        let model = Mlp { head, ..model };
        assert!(AdapterFile::capture(&model).is_ok());
    }
}

#[test]
fn cycles_of_merging_stay_within_the_stated_bound() {
    for (_, device) in common::devices() {
        let halves = halves(&device).filter(|dtype| *dtype == DType::BF16);
        for dtype in [DType::F32].into_iter().chain(halves) {
            let allowed = if dtype == DType::F32 { 1e-4 } else { 0.1 };
            let base = fill(LinearConfig::new(64, 64).init(&device), 6);
            let base = base.map(&mut Cast(dtype));
            let mut model = adapted(base.clone(), &Goft::strict());
            let file = AdapterFile::capture(&model).unwrap().for_any_base();
            for _ in 0..100 {
                let merged = model.merge_adapters().unwrap();
                model = merged.unmerge_adapters(&file).unwrap();
            }
            let moved = distance(&model.weight.base(), &base.weight.val());
            let moved = moved / largest(&base.weight.val());
            assert!(moved < allowed, "{dtype:?}: {moved}");
        }
    }
}

#[test]
fn detaching_gives_the_base_back_bit_for_bit() {
    for (device, goft) in table() {
        for packed in [false, true] {
            let base = linear(&device);
            let base = if packed {
                quantized(base, &device)
            } else {
                base
            };
            let detached = adapted(base.clone(), &goft).detach_adapters();
            assert!(detached.adapters().is_empty());
            let (found, expected) = (detached.weight.base(), base.weight.base());
            assert_eq!(found.dtype(), expected.dtype());
            let (found, expected) = (found.into_data(), expected.into_data());
            assert_eq!(found.as_bytes(), expected.as_bytes());
            assert_eq!(detached.weight.id, base.weight.id);
            assert!(detached.apply_goft(goft.clone()).is_ok());
        }
    }
}
