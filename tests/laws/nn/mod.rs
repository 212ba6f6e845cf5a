//! burn's attention and transformers, taken over onto the input side: the same modules in every
//! respect but the side.

mod attention;
mod linear;
mod transformer;

use std::collections::BTreeMap;
use std::fmt::Display;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use burn_goft::{Goft, GoftModule};

use crate::common;
use crate::models::{self, fill, parameters};

/// Rounding of a small network in f32, on either side of the rotations.
fn tolerance(device: &Device) -> f64 {
    common::through_products(device, 1e-5)
}

fn input<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = common::normal(seed, shape.iter().product());
    common::tensor(&values, shape, device, DType::F32)
}

/// True where a seeded number is large; in each row the first is never hidden.
fn mask<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D, Bool> {
    let length = shape[D - 1];
    let numbers = common::normal(seed, shape.iter().product());
    let hidden = |(i, x): (usize, f64)| i % length > 0 && x > 0.3;
    let hidden: Vec<bool> = numbers.into_iter().enumerate().map(hidden).collect();
    Tensor::from_data(TensorData::new(hidden, shape), device)
}

/// True where a token would see a later one.
fn causal(batch: usize, tokens: usize, device: &Device) -> Tensor<3, Bool> {
    burn::nn::attention::generate_autoregressive_mask(batch, tokens, device)
}

/// A module of burn, the one of this crate that stands for it, and what both compute of a batch
/// with masks.
trait TakenOver: Module + Display {
    type Here: Module + Display + From<Self>;

    /// Every setting that changes what is computed, with seeded weights and no dropout.
    fn all(device: &Device) -> Vec<Self>;
    fn outputs(&self, device: &Device) -> Vec<Tensor<3>>;
    fn outputs_here(module: &Self::Here, device: &Device) -> Vec<Tensor<3>>;
    fn into_inner(module: Self::Here) -> Self;
}

macro_rules! for_each {
    ($law:ident) => {
        for (_, device) in crate::common::devices() {
            $law::<burn::nn::attention::MultiHeadAttention>(&device);
            $law::<burn::nn::transformer::TransformerEncoder>(&device);
            $law::<burn::nn::transformer::TransformerDecoder>(&device);
        }
    };
}

#[test]
fn without_adapters_it_computes_bit_for_bit_what_burn_does() {
    fn law<M: TakenOver>(device: &Device) {
        for module in M::all(device) {
            let here = M::Here::from(module.clone());
            let (found, expected) = (M::outputs_here(&here, device), module.outputs(device));
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(models::bits(found), models::bits(expected), "{module}");
            }
        }
    }
    for_each!(law);
}

fn methods() -> [Goft; 3] {
    [
        Goft::strict(),
        Goft::quasi().with_norm_scale(burn_goft::NormScale::Input),
        Goft::strict().with_norm_scale(burn_goft::NormScale::Neuron),
    ]
}

/// The module with adapters away from the identity, on either side.
fn adapted<M: TakenOver>(module: M, goft: &Goft) -> (M, M::Here) {
    let goft = goft.clone().with_init_std(0.5);
    let weight_side = module.apply_goft(goft).unwrap();
    let input_side = M::Here::from(weight_side.clone());
    (weight_side, input_side)
}

#[test]
fn with_adapters_it_computes_what_the_weight_side_does() {
    fn law<M: TakenOver>(device: &Device) {
        for module in M::all(device) {
            for goft in methods() {
                let before = module.outputs(device);
                let (weight_side, input_side) = adapted(module.clone(), &goft);
                let found = M::outputs_here(&input_side, device);
                let outputs = weight_side.outputs(device).into_iter().zip(before);
                for (found, (expected, before)) in found.iter().zip(outputs) {
                    let [found, expected, before] =
                        [found, &expected, &before].map(common::numbers);
                    common::assert_close(&module, &found, &expected, tolerance(device));
                    let moved = before.iter().zip(&found).map(|(b, f)| (b - f).abs());
                    assert!(moved.fold(0.0, f64::max) > 1e-2, "{module}");
                }
            }
        }
    }
    for_each!(law);
}

/// Both sides round differently, so a layer that acts on the weight side by mistake gives the very
/// same bits.
#[test]
fn every_layer_rotates_its_input() {
    fn law<M: TakenOver>(device: &Device) {
        let module = M::all(device).remove(0);
        let linear = |path: &String| path.ends_with(".weight") || path == "weight";
        let is_norm = |path: &String| path.contains("norm");
        let paths = parameters(&module).into_keys();
        let weights = paths.filter(|path| linear(path) && !is_norm(path));
        for target in weights {
            let goft = Goft::strict().with_targets([target.clone()]);
            let (weight_side, input_side) = adapted(module.clone(), &goft);
            let found = M::outputs_here(&input_side, device);
            let expected = weight_side.outputs(device);
            let mut pairs = found.iter().zip(&expected);
            let differs = |(a, b): (&Tensor<3>, &Tensor<3>)| models::bits(a) != models::bits(b);
            assert!(pairs.any(differs), "{target}");
        }
    }
    for_each!(law);
}

/// The gradients of all trained parameters by path.
fn gradients<M: Module>(model: &M, outputs: Vec<Tensor<3>>) -> BTreeMap<String, Vec<f64>> {
    struct Reader {
        names: Vec<String>,
        gradients: burn::tensor::Gradients,
        found: BTreeMap<String, Vec<f64>>,
    }
    impl ModuleVisitor for Reader {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.names.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.names.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(&self.gradients) {
                let values = common::numbers(&gradient);
                self.found.insert(self.names.join("."), values);
            }
        }
    }
    // Not the sum of squares, which a rotation of the output leaves alone.
    let losses = outputs.into_iter().enumerate().map(|(i, output)| {
        let wanted = input(100 + i as u64, output.dims(), &output.device());
        (output * wanted).sum()
    });
    let loss = losses.reduce(|a, b| a + b).expect("some output");
    let mut reader = Reader {
        names: Vec::new(),
        gradients: loss.backward(),
        found: BTreeMap::new(),
    };
    model.visit(&mut reader);
    reader.found
}

#[test]
fn the_gradients_of_the_adapters_are_those_of_the_weight_side_and_the_weights_have_none() {
    fn law<M: TakenOver>(device: &Device) {
        let device = &device.clone().autodiff();
        let module = M::all(device).remove(0);
        for goft in methods() {
            let (weight_side, input_side) = adapted(module.clone(), &goft);
            let expected = gradients(&weight_side, weight_side.outputs(device));
            let found = gradients(&input_side, M::outputs_here(&input_side, device));
            assert!(expected.keys().all(|path| path.contains(".goft.")));
            assert!(found.keys().eq(expected.keys()));
            // Rounding is that of the large terms, which cancel in the scores before a softmax.
            let all = expected.values().flatten();
            let largest = all.fold(0.0, |max: f64, g| max.max(g.abs()));
            for (path, expected) in &expected {
                let allowed = tolerance(device) * largest;
                common::assert_within(path, &found[path], expected, |_| allowed);
            }
        }
    }
    for_each!(law);
}

/// What a visitor is told, in order.
fn told<M: Module>(model: &M) -> Vec<(String, String)> {
    #[derive(Default)]
    struct Ear(Vec<(String, String)>);
    impl ModuleVisitor for Ear {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.0.push((name.to_string(), container_type.to_string()));
        }
        fn exit_module(&mut self, name: &str, _container_type: &str) {
            self.0.push((name.to_string(), "exit".to_string()));
        }
    }
    let mut ear = Ear::default();
    model.visit(&mut ear);
    ear.0
}

#[test]
fn visitors_and_readers_see_burns_module() {
    fn law<M: TakenOver>(device: &Device) {
        for module in M::all(device) {
            let here = M::Here::from(module.clone());
            assert_eq!(told(&here), told(&module));
            assert_eq!(parameters(&here), parameters(&module));
            assert_eq!(here.num_params(), module.num_params());
            assert_eq!(here.to_string(), module.to_string());
            assert_eq!(here.devices(), module.devices());
        }
    }
    for_each!(law);
}

#[test]
fn it_moves_between_training_validation_and_devices_as_burns_module_does() {
    fn same<A: Module, B: Module>(a: A, b: B) {
        assert_eq!(parameters(&a), parameters(&b));
        let is_tracked = |devices: Vec<Device>| {
            let tracked = devices.iter().map(Device::is_autodiff);
            tracked.collect::<Vec<_>>()
        };
        assert_eq!(is_tracked(a.devices()), is_tracked(b.devices()));
    }
    fn law<M: TakenOver>(device: &Device) {
        let device = &device.clone().autodiff();
        let (burns, here) = adapted(M::all(device).remove(0), &Goft::quasi());
        same(here.valid(), burns.valid());
        same(here.valid().train(), burns.valid().train());
        same(here.clone().fork(device), burns.clone().fork(device));
        same(here.clone().freeze(), burns.clone().freeze());
        same(
            here.clone().to_device(device).valid(),
            burns.clone().to_device(device).valid(),
        );
        same(here.valid().materialize(), burns.valid().materialize());
    }
    for_each!(law);
}

#[test]
fn records_and_adapter_files_load_both_ways() {
    fn law<M: TakenOver>(device: &Device) {
        let folder = tempfile::tempdir().unwrap();
        for module in M::all(device) {
            let other = fill(module.clone(), 50);
            let here = M::Here::from(other.clone()).load_record(module.clone().into_record());
            assert_eq!(parameters(&here), parameters(&module));
            let back = other.load_record(here.into_record());
            assert_eq!(parameters(&back), parameters(&module));

            let file = folder.path().join("adapter.safetensors");
            let (weight_side, input_side) = adapted(module.clone(), &Goft::quasi());
            input_side.save_adapters(&file).unwrap();
            let loaded = module.clone().load_adapters(&file).unwrap();
            assert_eq!(models::values(&loaded), models::values(&weight_side));
            weight_side.save_adapters(&file).unwrap();
            let loaded = M::Here::from(module).load_adapters(&file).unwrap();
            assert_eq!(models::values(&loaded), models::values(&input_side));
        }
    }
    for_each!(law);
}

#[test]
fn merged_it_is_burns_module_with_plain_weights() {
    fn law<M: TakenOver>(device: &Device) {
        for module in M::all(device) {
            let (_, input_side) = adapted(module.clone(), &Goft::strict());
            let outputs = M::outputs_here(&input_side, device);
            let merged = M::into_inner(input_side.merge_adapters().unwrap());
            assert!(parameters(&merged).keys().eq(parameters(&module).keys()));
            for (found, expected) in merged.outputs(device).iter().zip(&outputs) {
                let (found, expected) = (common::numbers(found), common::numbers(expected));
                common::assert_close(&module, &found, &expected, tolerance(device));
            }
        }
    }
    for_each!(law);
}
