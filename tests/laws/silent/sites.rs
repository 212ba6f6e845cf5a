//! What in a parameter is a set of vectors.

use burn::module::{Module, Param};
use burn::nn::attention::{self, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::conv::{
    Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, Conv3d, Conv3dConfig, ConvTranspose1d,
    ConvTranspose1dConfig, ConvTranspose2d, ConvTranspose2dConfig, ConvTranspose3d,
    ConvTranspose3dConfig,
};
use burn::nn::{Embedding, EmbeddingConfig, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, Int, Tensor};
use burn_goft::nn::{GoftMultiHeadAttention, MhaInput};
use burn_goft::{
    AdapterFile, AdapterOnly, Goft, GoftAdapter, GoftLinear, GoftModule, NormScale, Override,
};

use super::{devices, distance};
use crate::common::{self, numbers};
use crate::methods;
use crate::models::{device_of, fill, stir, values};

#[derive(Module, Debug)]
struct Zoo {
    embedding: Embedding,
    conv1: Conv1d,
    conv2: Conv2d,
    conv3: Conv3d,
    up1: ConvTranspose1d,
    up2: ConvTranspose2d,
    up3: ConvTranspose3d,
    grouped: Conv2d,
    experts: Param<Tensor<3>>,
}

impl Zoo {
    fn new(device: &Device) -> Self {
        let zoo = Self {
            embedding: EmbeddingConfig::new(11, 6).init(device),
            conv1: Conv1dConfig::new(6, 4, 3).init(device),
            conv2: Conv2dConfig::new([6, 4], [3, 2]).init(device),
            conv3: Conv3dConfig::new([6, 4], [3, 2, 1]).init(device),
            up1: ConvTranspose1dConfig::new([6, 4], 3).init(device),
            up2: ConvTranspose2dConfig::new([6, 4], [3, 2]).init(device),
            up3: ConvTranspose3dConfig::new([6, 4], [3, 2, 1]).init(device),
            grouped: Conv2dConfig::new([12, 4], [3, 3])
                .with_groups(2)
                .init(device),
            experts: Param::from_tensor(Tensor::zeros([3, 6, 4], device)),
        };
        fill(zoo, 11)
    }

    /// The mean squares of everything that it computes, added up.
    fn loss(&self) -> Tensor<1> {
        fn input<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
            let values = common::normal(12, shape.iter().product());
            common::tensor(&values, shape, device, DType::F32)
        }
        fn size<const D: usize>(output: Tensor<D>) -> Tensor<1> {
            output.square().mean()
        }
        let device = device_of(self);
        let tokens = Tensor::<2, Int>::from_data([[1, 5, 9], [10, 3, 3]], &device);
        let line = || input([2, 6, 5], &device);
        let image = || input([2, 6, 5, 4], &device);
        let volume = || input([2, 6, 5, 4, 3], &device);
        let outputs = [
            size(self.embedding.forward(tokens)),
            size(self.conv1.forward(line())),
            size(self.conv2.forward(image())),
            size(self.conv3.forward(volume())),
            size(self.up1.forward(line())),
            size(self.up2.forward(image())),
            size(self.up3.forward(volume())),
            size(self.grouped.forward(input([2, 12, 5, 4], &device))),
            size(input([3, 2, 6], &device).matmul(self.experts.val())),
        ];
        Tensor::cat(outputs.to_vec(), 0).sum()
    }
}

fn goft(goft: Goft) -> Goft {
    goft.with_targets(["*weight", "experts"])
        .with_override(Override::new("experts").with_axis(1))
}

#[test]
fn every_container_attaches_trains_saves_loads_merges_and_unmerges() {
    let settings = || methods::settings().into_iter();
    for (device, settings) in devices()
        .iter()
        .flat_map(|device| settings().map(move |goft| (device, goft)))
    {
        let name = methods::name(&settings);
        let loss = |model: &Zoo| numbers(&model.loss());
        let base = Zoo::new(device);
        let start = loss(&base);
        let mut model = base.clone().apply_goft(goft(settings)).unwrap();
        let tolerance = common::through_products(device, 1e-5);
        common::assert_close(&name, &loss(&model), &start, tolerance);
        let mut optimizer = AdamConfig::new().init();
        for _ in 0..3 {
            let gradients = model.loss().backward();
            assert!(model.adapters_without_gradient(&gradients).is_empty());
            let gradients = GradientsParams::from_grads(gradients, &model);
            model = optimizer.step(0.05, model, gradients);
        }
        let trained = loss(&model);
        let change = (trained[0] - start[0]).abs() / start[0];
        assert!(change > 1e-4, "{name}: {change}");

        let file = AdapterFile::capture(&model).unwrap();
        let file = AdapterFile::from_bytes(&file.to_bytes().unwrap()).unwrap();
        let loaded = Zoo::new(device).load_adapters(&file).unwrap();
        assert_eq!(values(&loaded), values(&model), "{name}");

        let merged = model.clone().merge_adapters().unwrap();
        common::assert_close(&name, &loss(&merged), &trained, tolerance);
        let unmerged = merged.unmerge_adapters(&file).unwrap();
        let (found, expected) = (values(&unmerged), values(&model));
        assert!(found.keys().eq(expected.keys()));
        for (path, found) in found {
            let numbers = |bits: &[u64]| -> Vec<f64> {
                bits.iter().map(|bits| f64::from_bits(*bits)).collect()
            };
            let what = format!("{name} {path}");
            common::assert_close(what, &numbers(&found), &numbers(&expected[&path]), 2e-5);
        }
    }
}

/// An orthogonal rotation keeps the length of every vector, and the products of any two along the
/// same places.
#[test]
fn rotations_keep_the_vectors_that_the_table_names() {
    for device in devices() {
        let base = Zoo::new(&device);
        let model = base.clone().apply_goft(goft(Goft::strict())).unwrap();
        let model = stir(model, 3, 1.0);
        let gram = |weight: Tensor<3>| weight.clone().transpose().matmul(weight);
        type Products<'a> = &'a dyn Fn(&Zoo) -> (Tensor<3>, Tensor<3>);
        // What moves, and what it keeps.
        let kept: [(&str, Products<'_>); 4] = [
            ("embedding rows", &|model| {
                let rows = model.embedding.weight.val();
                let products = rows.clone().matmul(rows.clone().transpose());
                (rows.unsqueeze(), products.unsqueeze())
            }),
            ("expert columns", &|model| {
                (model.experts.val(), gram(model.experts.val()))
            }),
            ("input channels of a convolution", &|model| {
                let weight = model.conv2.weight.val().swap_dims(0, 1);
                let weight = weight.reshape([1, 6, 24]);
                (weight.clone(), gram(weight))
            }),
            ("input channels of a transposed convolution", &|model| {
                let weight = model.up2.weight.val().reshape([1, 6, 24]);
                (weight.clone(), gram(weight))
            }),
        ];
        for (what, products) in kept {
            let ((before, kept), (after, found)) = (products(&base), products(&model));
            assert!(distance(&before, &after) > 0.1, "{what}");
            let tolerance = common::through_products(&device, 1e-5);
            common::assert_close(what, &numbers(&found), &numbers(&kept), tolerance);
        }
    }
}

#[test]
fn a_transposed_convolution_with_groups_is_refused() {
    let (_, device) = common::devices().remove(0);
    let up = ConvTranspose2dConfig::new([6, 4], [3, 2])
        .with_groups(2)
        .init(&device);
    let error = up
        .apply_goft(Goft::strict().with_targets(["weight"]))
        .unwrap_err();
    assert!(
        error.is_no_target() && error.to_string().contains("several groups"),
        "{error}"
    );
}

/// The depthwise kernel has one input channel per group.
#[test]
fn one_coordinate_is_nothing_to_rotate() {
    let (_, device) = common::devices().remove(0);
    let depthwise = Conv2dConfig::new([4, 4], [3, 3])
        .with_groups(4)
        .init(&device);
    let error = depthwise
        .apply_goft(Goft::strict().with_targets(["weight"]))
        .unwrap_err();
    assert!(
        error.is_no_target() && error.to_string().contains("one coordinate"),
        "{error}"
    );
    let narrow = LinearConfig::new(1, 4).init(&device);
    assert!(
        narrow
            .apply_goft(Goft::strict())
            .unwrap_err()
            .is_no_target()
    );
}

#[test]
fn a_lone_parameter_says_its_axis() {
    let (_, device) = common::devices().remove(0);
    let param = || Param::from_tensor(Tensor::<2>::ones([4, 6], &device));
    assert!(
        param()
            .apply_goft(Goft::strict().with_targets([""]))
            .is_err()
    );
    let adapted = param()
        .apply_goft(Goft::strict().with_targets([""]).with_axis(1))
        .unwrap();
    let adapter = adapted.reparameterization::<GoftAdapter>().unwrap();
    assert_eq!(adapter.site().dim(), 6);
}

/// A square weight has the same shapes along either axis.
#[test]
fn an_adapter_along_the_outputs_is_the_same_on_both_sides_and_in_no_record_the_other() {
    for device in devices() {
        for goft in methods::settings() {
            let name = methods::name(&goft);
            let along = |axis| {
                let goft = goft.clone();
                goft.with_override(Override::new("*weight").with_axis(axis))
            };
            for bias in [false, true] {
                let config = LinearConfig::new(8, 8).with_bias(bias);
                let base = || fill(config.init(&device), 21);
                let weight_side = stir(base().apply_goft(along(1)).unwrap(), 22, 0.3);
                let file = AdapterFile::capture(&weight_side).unwrap();
                let input_side = GoftLinear::from(base()).load_adapters(&file).unwrap();
                let x = common::tensor(&common::normal(23, 40), [5, 8], &device, DType::F32);
                let expected = numbers(&weight_side.forward(x.clone()));
                let close = |what: &str, found: Tensor<2>| {
                    common::assert_close(
                        format!("{name} {what}"),
                        &numbers(&found),
                        &expected,
                        common::through_products(&device, 1e-5),
                    );
                };
                close("input side", input_side.forward(x.clone()));
                close("merged", input_side.merge().unwrap().forward(x));

                let other = base().apply_goft(along(0)).unwrap();
                let record = weight_side.clone().into_record();
                let refused = other.clone().try_load_record(record);
                assert!(refused.is_err(), "{name}: a record for the other axis");
                let record = AdapterOnly::new(weight_side).into_record();
                let refused = AdapterOnly::new(other.clone()).try_load_record(record);
                assert!(refused.is_err(), "{name}: a record for the other axis");
                assert!(other.load_adapters(&file).unwrap_err().is_mismatch());
            }
        }
    }
}

#[test]
fn attention_is_the_same_on_both_sides_along_the_outputs() {
    for device in devices() {
        let base = || -> MultiHeadAttention {
            fill(
                MultiHeadAttentionConfig::new(8, 2)
                    .with_dropout(0.0)
                    .init(&device),
                24,
            )
        };
        let goft = Goft::quasi().with_override(Override::new("*weight").with_axis(1));
        let weight_side = stir(base().apply_goft(goft).unwrap(), 25, 0.3);
        let file = AdapterFile::capture(&weight_side).unwrap();
        let input_side = GoftMultiHeadAttention::from(base());
        let input_side = input_side.load_adapters(&file).unwrap();
        let x = common::tensor(&common::normal(26, 48), [2, 3, 8], &device, DType::F32);
        let expected = weight_side
            .forward(attention::MhaInput::self_attn(x.clone()))
            .context;
        let found = input_side.forward(MhaInput::self_attn(x)).context;
        let tolerance = common::through_products(&device, 1e-5);
        common::assert_close(
            "attention",
            &numbers(&found),
            &numbers(&expected),
            tolerance,
        );
    }
}

#[test]
fn an_axis_that_the_container_has_anyway_keeps_its_neurons() {
    for device in devices() {
        let conv = || fill(Conv2dConfig::new([6, 4], [3, 2]).init(&device), 27);
        let goft = Goft::strict().with_norm_scale(NormScale::Neuron);
        let goft = goft.with_targets(["weight"]);
        let plan = goft.plan(&conv()).unwrap();
        let asked = goft.with_override(Override::new("weight").with_axis(1));
        assert_eq!(asked.plan(&conv()).unwrap(), plan);
        assert_eq!(
            (plan.targets[0].site.axis, plan.targets[0].site.neuron_axis),
            (1, 0)
        );
    }
}

#[test]
fn a_transposed_convolution_that_cannot_show_its_groups_is_asked_for_its_axis() {
    for device in devices() {
        let config = ConvTranspose2dConfig::new([8, 8], [3, 3]).with_bias(false);
        let conv = fill(config.with_groups(4).init(&device), 28);
        let goft = Goft::strict().with_targets(["weight"]);
        let error = goft.plan(&conv).unwrap_err();
        assert!(
            error.is_no_target() && error.to_string().contains("groups"),
            "{error}"
        );
        let plan = goft.with_axis(0).plan(&conv).unwrap();
        assert_eq!(
            (plan.targets[0].site.axis, plan.targets[0].site.neuron_axis),
            (0, 1)
        );
    }
}
