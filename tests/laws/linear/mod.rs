//! `GoftLinear` is a `Linear` to everything around it.

mod life;
mod packed;
mod quantized;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, LinearLayout};
use burn::store::{ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore};
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{Goft, GoftLinear, GoftModule};
use safetensors::tensor::{Dtype, TensorView};

use crate::common;
use crate::methods;
use crate::models::{bits, fill, parameters, stir, values};

fn linear(device: &Device) -> Linear {
    fill(LinearConfig::new(6, 4).init(device), 2)
}

fn layouts() -> [LinearConfig; 4] {
    let config = LinearConfig::new(6, 4);
    [
        config.clone(),
        config.clone().with_bias(false),
        config.clone().with_layout(LinearLayout::Col),
        config.with_layout(LinearLayout::Col).with_bias(false),
    ]
}

fn input<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = common::normal(3, shape.iter().product());
    common::tensor(&values, shape, device, DType::F32)
}

#[test]
fn without_an_adapter_it_computes_bit_for_bit_what_linear_does_on_every_rank() {
    fn law<const D: usize>(shape: [usize; D], device: &Device) {
        for config in layouts() {
            let linear = fill(config.init(device), 2);
            let layer = GoftLinear::from(linear.clone());
            let x = input(shape, device);
            let (found, expected) = (layer.forward(x.clone()), linear.forward(x));
            assert_eq!(found.dims(), expected.dims());
            assert_eq!(bits(&found), bits(&expected));
        }
    }
    for (_, device) in common::devices() {
        law([6], &device);
        law([5, 6], &device);
        law([2, 3, 6], &device);
        law([2, 1, 3, 6], &device);
    }
}

#[test]
fn with_an_adapter_it_computes_what_the_weight_side_does_on_every_rank() {
    fn law<const D: usize>(shape: [usize; D], device: &Device) {
        for config in layouts() {
            for goft in methods::settings() {
                let linear = fill(config.init(device), 2)
                    .apply_goft(goft.clone())
                    .unwrap();
                let linear = stir(linear, 4, 0.3);
                let layer = stir(
                    GoftLinear::from_linear(fill(config.init(device), 2), &goft).unwrap(),
                    4,
                    0.3,
                );
                let x = input(shape, device);
                let (found, expected) = (layer.forward(x.clone()), linear.forward(x));
                assert_eq!(found.dims(), expected.dims());
                let what = format!("{} {shape:?}", methods::name(&goft));
                common::assert_close(
                    what,
                    &common::numbers(&found),
                    &common::numbers(&expected),
                    common::through_products(device, 1e-6),
                );
            }
        }
    }
    for (_, device) in common::devices() {
        law([6], &device);
        law([5, 6], &device);
        law([2, 3, 6], &device);
        law([2, 1, 3, 6], &device);
    }
}

#[test]
fn it_holds_a_weight_and_a_bias_and_nothing_else() {
    for (_, device) in common::devices() {
        let layer = GoftLinear::from(linear(&device));
        assert_eq!(parameters(&layer), parameters(&linear_of(layer.clone())));
        let paths: Vec<_> = parameters(&layer).into_keys().collect();
        assert_eq!(paths, ["bias", "weight"]);
        assert_eq!(layer.num_params(), 28);
        let adapted = layer.attach(Goft::strict()).unwrap();
        let paths: Vec<_> = parameters(&adapted).into_keys().collect();
        assert_eq!(paths, ["bias", "weight", "weight.goft.angles"]);
    }
}

fn linear_of(layer: GoftLinear) -> Linear {
    layer.merge().unwrap()
}

#[test]
fn it_prints_as_linear_does() {
    let (_, device) = common::devices().remove(0);
    for config in layouts() {
        let linear = config.init(&device);
        let expected = linear.to_string();
        assert!(
            expected.starts_with("Linear {d_input: 6, d_output: 4, bias: "),
            "{expected}"
        );
        assert_eq!(GoftLinear::from(linear.clone()).to_string(), expected);
        let adapted = GoftLinear::from_linear(linear.clone(), Goft::quasi()).unwrap();
        let expected = linear.apply_goft(Goft::quasi()).unwrap().to_string();
        assert_eq!(adapted.to_string(), expected);
    }
}

#[test]
fn both_layers_load_the_same_record() {
    for (_, device) in common::devices() {
        for config in layouts() {
            let (linear, other) = (fill(config.init(&device), 2), fill(config.init(&device), 3));
            let layer = GoftLinear::from(other);
            // A column-layout layer of burn can load until it is first read.
            let fresh = || config.init(&device);
            let onto_layer = GoftLinear::from(fresh()).load_record(linear.clone().into_record());
            assert_eq!(parameters(&onto_layer), parameters(&linear));
            let onto_linear = fresh().load_record(layer.clone().into_record());
            assert_eq!(parameters(&onto_linear), parameters(&layer));

            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("layer.bpk");
            layer.clone().save_file(&path).unwrap();
            assert_eq!(values(&fresh().load_file(&path)), values(&layer));
            linear.clone().save_file(&path).unwrap();
            assert_eq!(
                values(&GoftLinear::from(fresh()).load_file(&path)),
                values(&linear)
            );
        }
    }
}

#[test]
fn a_record_of_the_base_loads_into_an_adapted_layer_and_leaves_its_adapter() {
    for (_, device) in common::devices() {
        let pretrained = linear(&device);
        let layer = GoftLinear::from(fill(LinearConfig::new(6, 4).init(&device), 9));
        let layer = stir(layer.attach(Goft::quasi()).unwrap(), 4, 0.3);
        let blocks = values(&layer)["weight.goft.block_offsets"].clone();
        let loaded = layer.load_record(pretrained.clone().into_record().allow_partial(true));
        assert_eq!(bits(&loaded.weight()), bits(&pretrained.weight.val()));
        assert_eq!(values(&loaded)["weight.goft.block_offsets"], blocks);
    }
}

/// A layer as PyTorch saves it: the weight as `[d_output, d_input]`, counting up.
fn pytorch_file() -> Vec<u8> {
    let bytes = |values: &[f32]| -> Vec<u8> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        bytes.collect()
    };
    let (weight, bias) = (
        bytes(&(0..24).map(|k| k as f32).collect::<Vec<_>>()),
        bytes(&BIAS),
    );
    let tensors = [
        (
            "weight",
            TensorView::new(Dtype::F32, vec![4, 6], &weight).unwrap(),
        ),
        ("bias", TensorView::new(Dtype::F32, vec![4], &bias).unwrap()),
    ];
    safetensors::serialize(tensors, None).unwrap()
}

const BIAS: [f32; 4] = [0.5, -1.0, 2.0, 4.0];

#[test]
fn a_pytorch_weight_is_transposed_exactly_as_for_linear() {
    let transposed: Vec<f64> = (0..6)
        .flat_map(|input| (0..4).map(move |output| f64::from(6 * output + input)))
        .collect();
    for (_, device) in common::devices() {
        // A column-layout layer transposes what it loads itself.
        for (layout, adapt) in [(LinearLayout::Row, true), (LinearLayout::Col, false)] {
            let store = || {
                let store = SafetensorsStore::from_bytes(Some(pytorch_file()));
                if adapt {
                    store.with_from_adapter(PyTorchToBurnAdapter)
                } else {
                    store
                }
            };
            let config = LinearConfig::new(6, 4).with_layout(layout);
            let mut linear = config.init(&device);
            linear.load_from(&mut store()).unwrap();
            let mut layer = GoftLinear::from(config.init(&device));
            layer.load_from(&mut store()).unwrap();
            assert_eq!(values(&layer), values(&linear));
            assert_eq!(common::numbers(&layer.weight()), transposed);
            assert_eq!(common::numbers(&layer.bias().unwrap()), BIAS.map(f64::from));
        }
    }
}

#[test]
fn a_wrong_input_length_panics_with_both_lengths() {
    let (_, device) = common::devices().remove(0);
    let plain = GoftLinear::from(linear(&device));
    let adapted = GoftLinear::from_linear(linear(&device), Goft::strict()).unwrap();
    let wrong = || input([5, 7], &device);
    for message in [
        common::panic_message(|| plain.forward(wrong())),
        common::panic_message(|| adapted.forward(wrong())),
    ] {
        assert_eq!(
            message,
            "GoftLinear: asked to map input of shape [5, 7], and the layer takes [.., 6] to [.., 4]; the last axis must be the \
             layer's d_input"
        );
    }
}
