//! Values and gradients of the two sides.

use burn::tensor::{DType, Tensor};
use burn_goft::{
    AngleForm, Goft, GoftAdapter, GoftLinear, GoftModule, Kind, NormScale, Penalty,
    orthogonality_error,
};

use crate::common::{assert_close, normal, numbers, rows, tensor};
use crate::oracle::{self, Matrix};
use crate::{D_INPUTS, D_OUTPUT, Layer, Parts, Turn, adapter, layers, settings};

#[test]
fn the_value_of_an_adapted_weight_is_the_scaled_rotation_of_its_base() {
    for layer in layers() {
        let adapted = layer.weight_side();
        let expected = Parts::of(adapter(&adapted), layer.d).effective(&layer.weight());
        let value = adapted.weight.val();
        assert_eq!(value.dtype(), layer.row.dtype);
        assert_close(
            layer.what(),
            &numbers(&value),
            &expected.entries,
            layer.tolerance(),
        );
        let kept = (
            adapted.weight.base().into_data(),
            layer.base.weight.val().into_data(),
        );
        assert_eq!(kept.0, kept.1, "{} keeps its base", layer.what());
    }
}

#[test]
fn both_sides_give_the_layer_of_the_formula() {
    for layer in layers() {
        let (weight_side, input_side) = (layer.weight_side(), layer.input_side());
        let x = layer.input();
        let parts = Parts::of(adapter(&weight_side), layer.d);
        let h = Matrix::new(6, layer.d, numbers(&x)).times(&parts.effective(&layer.weight()));
        let bias = numbers(&layer.base.bias.as_ref().expect("a bias").val());
        let expected: Vec<f64> = h
            .entries
            .iter()
            .zip(bias.iter().cycle())
            .map(|(h, b)| h + b)
            .collect();
        for (side, found) in [
            ("weight", weight_side.forward(x.clone())),
            ("input", input_side.forward(x)),
        ] {
            assert_eq!(found.dims(), [2, 3, D_OUTPUT]);
            // A product in half precision rounds its sums.
            let sums = if layer.is_half() { 4.0 } else { 1.0 };
            let tolerance = sums * layer.tolerance();
            assert_close(
                format!("{}, {side} side", layer.what()),
                &numbers(&found),
                &expected,
                tolerance,
            );
        }
    }
}

/// By the settings alone.
#[test]
fn a_random_start_is_an_adapter_away_from_the_identity() {
    for row in rows() {
        for goft in settings() {
            let layer = Layer::new(&row, &goft.with_init_std(0.2), 12);
            let adapted = layer.base.clone().apply_goft(layer.goft.clone()).unwrap();
            let expected = Parts::of(adapter(&adapted), 12).effective(&layer.weight());
            let found = numbers(&adapted.weight.val());
            assert_close(layer.what(), &found, &expected.entries, layer.tolerance());
            let moved = Matrix::new(12, D_OUTPUT, found).minus(&layer.weight());
            assert!(
                moved.max() > 0.05,
                "{} starts at {}",
                layer.what(),
                moved.max()
            );
        }
    }
}

/// What the optimizer sees of a layer: the gradients of rotation and scale, flat.
fn adapter_gradients(adapter: &GoftAdapter, loss: Tensor<1>) -> [Option<Vec<f64>>; 2] {
    let gradients = loss.backward();
    let angles = adapter
        .angle_parameter()
        .and_then(|p| p.val().grad(&gradients));
    let blocks = adapter
        .block_parameter()
        .and_then(|p| p.val().grad(&gradients));
    let skew = adapter
        .skew_parameter()
        .and_then(|p| p.val().grad(&gradients));
    let scale = adapter
        .scale_parameter()
        .and_then(|p| p.val().grad(&gradients));
    let rotation = angles.or(skew).map(|g| numbers(&g));
    let rotation = rotation.or(blocks.map(|g| numbers(&g)));
    [rotation, scale.map(|g| numbers(&g))]
}

/// The chain rule on dense matrices: `dL/dW* = x^T g`, of which the columns are vectors under `R`.
fn expected_gradients(layer: &Layer, parts: &Parts, upstream: &[f64]) -> [Vec<f64>; 2] {
    let x = Matrix::new(6, layer.d, numbers(&layer.input()));
    let of_effective = x
        .transpose()
        .times(&Matrix::new(6, D_OUTPUT, upstream.to_vec()));
    let weight = layer.weight();
    let scaled = Matrix::diagonal(&parts.input_scale).times(&weight);
    let of_rotated = of_effective.times(&Matrix::diagonal(&parts.neuron_scale));
    let columns = |matrix: &Matrix| -> Vec<Vec<f64>> {
        matrix
            .transpose()
            .entries
            .chunks_exact(layer.d)
            .map(<[f64]>::to_vec)
            .collect()
    };
    let of_rotation = match &parts.turn {
        Turn::Givens(rotation, angles) => {
            let (v, upstream) = (columns(&scaled), columns(&of_rotated));
            let of_blocks = oracle::block_gradients(rotation, &v, &upstream, false);
            match angles {
                Some((angles, slopes)) => {
                    let of_angles = oracle::angle_gradients(angles, &of_blocks);
                    of_angles
                        .iter()
                        .zip(slopes)
                        .map(|(g, slope)| g * slope)
                        .collect()
                }
                None => of_blocks,
            }
        }
        Turn::Oft(_, form, skew) => {
            let of_matrix = of_rotated.times(&scaled.transpose());
            oracle::oft::gradients(layer.d, *form, skew, &of_matrix)
        }
    };
    let row_dots = |a: &Matrix, b: &Matrix| -> Vec<f64> {
        let rows = a
            .entries
            .chunks_exact(a.columns)
            .zip(b.entries.chunks_exact(b.columns));
        rows.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum())
            .collect()
    };
    let rotation = parts.turn.matrix();
    let of_scale = match layer.goft.norm_scale {
        NormScale::None => Vec::new(),
        NormScale::Input => row_dots(&rotation.transpose().times(&of_rotated), &weight),
        NormScale::Neuron => row_dots(
            &rotation.times(&scaled).transpose(),
            &of_effective.transpose(),
        ),
    };
    [of_rotation, of_scale]
}

#[test]
fn both_sides_have_the_gradients_of_the_formula() {
    for row in rows() {
        if !matches!(row.dtype, DType::F32 | DType::F64) {
            continue;
        }
        let device = row.device.clone().autodiff();
        for (goft, d) in settings()
            .iter()
            .flat_map(|goft| D_INPUTS.map(|d| (goft, d)))
        {
            let layer = Layer::on(&device, &row, goft, d);
            let (weight_side, input_side) = (layer.weight_side(), layer.input_side());
            let upstream = normal(9, 6 * D_OUTPUT);
            let upstream: Tensor<3> = tensor(&upstream, [2, 3, D_OUTPUT], &device, row.dtype);
            let loss = |h: Tensor<3>| (h * upstream.clone()).sum();

            let parts = Parts::of(adapter(&weight_side), d);
            let [of_rotation, of_scale] = expected_gradients(&layer, &parts, &numbers(&upstream));
            let losses = [
                loss(weight_side.forward(layer.input())),
                loss(input_side.forward(layer.input())),
            ];
            if d == 1 && goft.norm_scale == NormScale::None {
                assert!(
                    losses.iter().all(|loss| !loss.is_tracked()),
                    "nothing to train"
                );
                continue;
            }
            let [of_weight_side, of_input_side] = losses;
            let input_adapter = input_side.adapter().expect("an adapter is attached");
            let sides = [
                (
                    "weight",
                    adapter_gradients(adapter(&weight_side), of_weight_side),
                ),
                ("input", adapter_gradients(input_adapter, of_input_side)),
            ];
            for (side, [rotation, scale]) in sides {
                let what = format!("{}, {side} side", layer.what());
                assert_eq!(rotation.is_some(), d > 1, "{what}: no pair, no gradient");
                let tolerance = 4.0 * layer.tolerance();
                assert_close(
                    &what,
                    &rotation.unwrap_or_default(),
                    &of_rotation,
                    tolerance,
                );
                assert_close(&what, &scale.unwrap_or_default(), &of_scale, tolerance);
            }
        }
    }
}

#[test]
fn one_input_has_nothing_to_turn_and_still_is_a_layer() {
    for row in rows() {
        for goft in settings() {
            let layer = Layer::new(&row, &goft, 1);
            let adapted = layer.weight_side();
            let numbers_of_scale = match goft.norm_scale {
                NormScale::None => 0,
                NormScale::Input => 1,
                NormScale::Neuron => D_OUTPUT,
            };
            let report = adapted.goft_report();
            assert_eq!(
                report.trainable_parameters(),
                numbers_of_scale,
                "{}",
                layer.what()
            );
            let penalty = adapted.orthogonality_penalty(Penalty::Gram);
            assert_eq!(numbers(&penalty), [0.0], "{}", layer.what());
            let back = adapter(&adapted)
                .unmerge(adapted.weight.val())
                .unwrap()
                .weight;
            assert_close(
                layer.what(),
                &numbers(&back),
                &layer.weight().entries,
                layer.tolerance(),
            );
        }
    }
}

#[test]
fn strict_adapters_are_orthogonal_in_a_language_models_dimension() {
    for row in rows().iter().filter(|row| row.dtype == DType::F32) {
        for form in [AngleForm::Direct, AngleForm::Tanh] {
            let goft = Goft::strict().with_angle_form(form).with_init_std(1.0);
            let adapter = GoftAdapter::new(&goft, [4096, 1], row.dtype, &row.device);
            assert_eq!(adapter.kind(), Kind::Strict);
            let error = orthogonality_error(adapter.blocks());
            assert!(error.max <= 1e-5, "{row} {form:?}: {error:?}");
        }
    }
}

#[test]
fn a_layer_without_an_adapter_is_the_plain_layer() {
    for row in rows() {
        let layer = Layer::new(&row, &Goft::quasi(), 12);
        let attached = layer.input_side();
        assert!(attached.adapter().is_some());
        let detached = attached.detach();
        assert!(detached.adapter().is_none());
        let expected = layer.base.forward(layer.input()).into_data();
        assert_eq!(
            detached.forward(layer.input()).into_data(),
            expected,
            "{row}"
        );
        let bare = GoftLinear::from(layer.base.clone());
        assert_eq!(bare.forward(layer.input()).into_data(), expected, "{row}");
    }
}
