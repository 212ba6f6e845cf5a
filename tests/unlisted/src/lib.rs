//! burn-goft on a backend that it was built without, as LibTorch's is: the portable body runs
//! there, by the same laws.

#![cfg(test)]

#[allow(dead_code, unused_imports, reason = "the laws use all of it")]
#[path = "../../laws/oracle/mod.rs"]
mod oracle;

use burn::module::{Module, Param, Quantizer};
use burn::nn::LinearConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::quantization::{Calibration, QuantValue};
use burn::tensor::{Device, Tensor, TensorData};
use burn_goft::{
    Givens, Goft, GoftLinear, GoftModule, Turn, rotate, rotate_portable, rotate_transpose,
};
use oracle::Rotation;

const DIMS: [usize; 6] = [2, 3, 5, 8, 12, 137];

/// Numbers in [-1, 1) that look like no pattern.
fn numbers(seed: usize, count: usize) -> Vec<f64> {
    let number = |k: usize| (((seed * 7919 + k) as f64) * 12.9898).sin() * 43758.5453;
    (0..count)
        .map(|k| 2.0 * number(k).rem_euclid(1.0) - 1.0)
        .collect()
}

/// Blocks around rotations, so that no level shrinks what it gets.
fn blocks(pairs: usize) -> Vec<f64> {
    let angles = numbers(1, pairs).into_iter().map(|t| 3.0 * t);
    let entries = angles.flat_map(|t| [t.cos(), -t.sin(), t.sin(), t.cos()]);
    entries
        .zip(numbers(2, 4 * pairs))
        .map(|(e, n)| e + 0.1 * n)
        .collect()
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), shape).convert_dtype(burn::tensor::DType::F32);
    Tensor::from_data(data, device)
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().iter().collect()
}

fn assert_close(what: &str, found: &[f64], expected: &[f64]) {
    let scale = expected.iter().fold(0.0f64, |max, e| max.max(e.abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= 1e-5 * scale,
            "{what}: {found} for {expected}"
        );
    }
}

#[test]
fn rotations_and_their_gradients_are_those_of_the_oracle() {
    let device = Device::flex().autodiff();
    for d in DIMS {
        let (x, upstream) = (numbers(3, 4 * d), numbers(4, 4 * d));
        let entries = blocks(d - 1);
        let rotation = Rotation::new(d, &entries);
        for transpose in [false, true] {
            let what = format!("{device:?} d = {d}, transpose {transpose}");
            let rows = tensor(&x, [4, d], &device).require_grad();
            let stored = tensor(&entries, [d - 1, 2, 2], &device).require_grad();
            let turn = if transpose { rotate_transpose } else { rotate };
            let turned = turn(rows.clone(), stored.clone(), 1);
            let image = |v: &[f64], transpose| match transpose {
                true => rotation.apply_transpose(v),
                false => rotation.apply(v),
            };
            let expected: Vec<f64> = x.chunks(d).flat_map(|v| image(v, transpose)).collect();
            assert_close(&what, &values(&turned), &expected);

            let gradients = (turned * tensor(&upstream, [4, d], &device))
                .sum()
                .backward();
            let by_x: Vec<f64> = upstream
                .chunks(d)
                .flat_map(|v| image(v, !transpose))
                .collect();
            assert_close(&what, &values(&rows.grad(&gradients).unwrap()), &by_x);
            let vectors = |rows: &[f64]| rows.chunks(d).map(<[f64]>::to_vec).collect::<Vec<_>>();
            let by_blocks =
                oracle::block_gradients(&rotation, &vectors(&x), &vectors(&upstream), transpose);
            assert_close(
                &what,
                &values(&stored.grad(&gradients).unwrap()),
                &by_blocks,
            );
        }
    }
}

#[test]
fn a_rotation_is_the_portable_body_itself() {
    let device = Device::flex();
    let x: Tensor<2> = tensor(&numbers(5, 36), [3, 12], &device);
    let blocks: Tensor<3> = tensor(&numbers(6, 44), [11, 2, 2], &device);
    let found = rotate_transpose(x.clone(), blocks.clone(), 1);
    let expected = rotate_portable(x, blocks, Turn::new(1).transposed());
    assert_eq!(values(&found), values(&expected));
}

#[test]
fn a_layer_trains_and_merges() {
    let device = Device::flex();
    // What a rotation alone can do is less.
    for (goft, most) in [(Goft::quasi(), 0.95), (Goft::strict(), 0.99)] {
        let mut linear = LinearConfig::new(12, 4)
            .with_bias(false)
            .init(&device.clone().autodiff());
        let weight = tensor(&numbers(9, 48), [12, 4], &device.clone().autodiff());
        linear.weight = Param::from_tensor(weight);
        let mut layer = GoftLinear::from_linear(linear, goft).unwrap();
        let x: Tensor<2> = tensor(&numbers(8, 60), [5, 12], &device.clone().autodiff());
        let loss = |layer: &GoftLinear| layer.forward(x.clone()).square().mean();
        let before = values(&loss(&layer))[0];
        for _ in 0..5 {
            let gradients = GradientsParams::from_grads(loss(&layer).backward(), &layer);
            layer = SgdConfig::new().init().step(0.1, layer, gradients);
        }
        let after = values(&loss(&layer))[0];
        assert!(after < most * before, "{after} of {before}");
        let (layer, x) = (layer.valid(), x.inner());
        let merged = layer.clone().merge_adapters().unwrap();
        assert_close(
            "merged",
            &values(&merged.forward(x.clone())),
            &values(&layer.forward(x)),
        );
    }
}

#[test]
fn blocks_of_angles_and_their_derivatives_are_those_of_the_oracle() {
    let device = Device::flex().autodiff();
    let angles = numbers(10, 30);
    let stored: Tensor<1> = tensor(&angles, [30], &device).require_grad();
    let blocks = Givens::from_angles(stored.clone()).blocks();
    let entries: Vec<f64> = angles.iter().copied().flat_map(oracle::givens).collect();
    assert_close("blocks", &values(&blocks), &entries);
    let upstream = numbers(11, 120);
    let loss = (blocks * tensor(&upstream, [30, 2, 2], &device)).sum();
    let found = stored.grad(&loss.backward()).unwrap();
    let expected = oracle::angle_gradients(&angles, &upstream);
    assert_close("derivatives", &values(&found), &expected);
}

/// By burn's own product, which unpacks it.
#[test]
fn a_packed_weight_is_multiplied() {
    let device = Device::flex().autodiff();
    let scheme = device
        .settings()
        .quantization
        .scheme
        .with_value(QuantValue::Q8S);
    let linear = LinearConfig::new(12, 4).with_bias(false).init(&device);
    let packed = linear.quantize_weights(&mut Quantizer::new(Calibration::MinMax, scheme));
    let mut dense = packed.clone();
    dense.weight = dense.weight.map(|weight| weight.dequantize());
    let x: Tensor<2> = tensor(&numbers(8, 60), [5, 12], &device).require_grad();
    let [found, expected] = [packed, dense].map(|linear| {
        let y = GoftLinear::from_linear(linear, Goft::quasi())
            .unwrap()
            .forward(x.clone());
        let grads = y.clone().square().sum().backward();
        [values(&y), values(&x.grad(&grads).unwrap())].concat()
    });
    assert_close("packed", &found, &expected);
}

/// The operations of a transformer, of which burn has its own.
#[test]
fn operations_of_a_transformer_are_their_definitions() {
    use burn::tensor::activation::{gelu, silu, softmax};
    use transformer_ops::{
        Activation, Attention, Spans, activate, attention, cross_entropy, gated,
    };
    use transformer_ops::{layer_norm, linear, rms_norm, rotate_positions};

    let device = Device::flex().autodiff();
    let same = |what: &str, found: Tensor<2>, expected: Tensor<2>| {
        assert_close(what, &values(&found), &values(&expected));
    };
    let x: Tensor<2> = tensor(&numbers(31, 60), [6, 10], &device).require_grad();
    let other: Tensor<2> = tensor(&numbers(32, 60), [6, 10], &device);
    let row: Tensor<1> = tensor(&numbers(33, 10), [10], &device);
    same(
        "gelu",
        activate(x.clone(), Activation::Gelu),
        gelu(x.clone()),
    );
    let gate = gated(x.clone(), other.clone(), Activation::Silu);
    same("gate", gate, silu(x.clone()) * other.clone());
    let root = |x: Tensor<2>| (x.square().mean_dim(1) + 1e-5).sqrt();
    let normed = x.clone() / root(x.clone()) * row.clone().unsqueeze();
    same("rms", rms_norm(x.clone(), row.clone(), 1e-5), normed);
    let centered = x.clone() - x.clone().mean_dim(1);
    let normed = centered.clone() / root(centered) * row.clone().unsqueeze() + 0.5;
    let bias = Tensor::full([10], 0.5, &device);
    same(
        "layer",
        layer_norm(x.clone(), row, bias.clone(), 1e-5),
        normed,
    );
    let weight: Tensor<2> = tensor(&numbers(34, 100), [10, 10], &device).require_grad();
    let product = linear(x.clone(), weight.clone(), Some(bias));
    same(
        "linear",
        product.clone(),
        x.clone().matmul(weight.clone()) + 0.5,
    );
    let slopes = (product * other.clone()).sum().backward();
    same(
        "derivative",
        Tensor::from_inner(weight.grad(&slopes).unwrap()),
        x.clone().transpose().matmul(other),
    );

    // One head of width 10, each token of all six.
    let heads = |x: &Tensor<2>| x.clone().reshape([1, 6, 1, 10]);
    let spans = Spans::new(&[vec![0..6; 6]], &device);
    let how = Attention {
        scale: 0.3,
        cap: None,
    };
    let mixed = attention(heads(&x), heads(&x), heads(&x), &spans, how);
    let scores = x.clone().matmul(x.clone().transpose()) * 0.3;
    same(
        "attention",
        mixed.reshape([6, 10]),
        softmax(scores, 1).matmul(x.clone()),
    );
    let [cos, sin] = [0.0, 1.0].map(|of| Tensor::<3>::full([1, 6, 5], of, &device));
    let turned = rotate_positions(heads(&x), cos, sin).reshape([6, 10]);
    let (first, second) = (x.clone().narrow(1, 0, 5), x.clone().narrow(1, 5, 5));
    same(
        "positions",
        turned,
        Tensor::cat(vec![second.neg(), first], 1),
    );

    let classes =
        Tensor::<1, burn::tensor::Int>::from_ints([3, 0, 9, 1, 2, 5], &device.clone().inner());
    let found = cross_entropy(x.clone().inner(), classes.clone(), None);
    let logs = burn::tensor::activation::log_softmax(x.inner(), 1);
    let expected = logs.gather(1, classes.reshape([6, 1])).neg();
    assert_close("loss", &values(&found.losses), &values(&expected));
}
