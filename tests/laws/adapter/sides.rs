//! Values and gradients of the two sides.

use burn::tensor::{DType, Tensor};
use burn_goft::{
    Goft, GoftAdapter, GoftLinear, GoftModule, NormScale, Penalty, RotationPlan, Site, Strict,
    orthogonality_error,
};

use super::{D_INPUTS, D_OUTPUT, Layer, Parts, adapter, layers};
use crate::common::{assert_close, normal, numbers, rows, tensor};
use crate::methods;
use crate::oracle::Matrix;

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
            let tolerance = layer.row.through_products(sums * layer.tolerance());
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
        for goft in methods::settings() {
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
    let scale = methods::scale_offsets(adapter).and_then(|p| p.val().grad(&gradients));
    [
        methods::gradient(adapter, &gradients),
        scale.map(|g| numbers(&g)),
    ]
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
    let of_matrix = of_rotated.times(&scaled.transpose());
    let of_rotation = parts.rotation.gradients(&of_matrix);
    let row_dots = |a: &Matrix, b: &Matrix| -> Vec<f64> {
        let rows = a
            .entries
            .chunks_exact(a.columns)
            .zip(b.entries.chunks_exact(b.columns));
        rows.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum())
            .collect()
    };
    let rotation = &parts.rotation.matrix;
    let of_scale = match layer.goft.norm_scale {
        NormScale::None => Vec::new(),
        NormScale::Input => row_dots(&rotation.transpose().times(&of_rotated), &weight),
        NormScale::Neuron => row_dots(
            &rotation.times(&scaled).transpose(),
            &of_effective.transpose(),
        ),
        other => panic!("the laws have no norm scale {other:?}"),
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
        for (goft, d) in methods::settings()
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
                assert!(rotation.is_some(), "{what}");
                let tolerance = layer.row.through_products(4.0 * layer.tolerance());
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
fn one_input_has_nothing_to_turn_and_is_refused_or_left_as_it_is() {
    for (row, goft) in rows()
        .iter()
        .flat_map(|row| methods::settings().into_iter().map(move |goft| (row, goft)))
    {
        let layer = Layer::new(row, &goft, 1);
        let what = layer.what();
        let refusal = layer.base.clone().apply_goft(goft.clone()).unwrap_err();
        assert!(refusal.is_no_target(), "{what}: {refusal}");
        let refusal = GoftLinear::from_linear(layer.base.clone(), &goft).unwrap_err();
        assert!(refusal.is_no_target(), "{what}: {refusal}");

        // An adapter by itself has no rotation.
        let (site, scale) = (Site::new(0, [1, D_OUTPUT]), goft.norm_scale);
        let adapter = GoftAdapter::new(goft.method, scale, site, 0.3, row.dtype, &row.device);
        let adapter = adapter.unwrap();
        let names: Vec<_> = adapter.parameter_names().collect();
        let of_scale = usize::from(scale != NormScale::None);
        assert_eq!(names.len(), of_scale, "{what}: {names:?}");
        let x = layer.input();
        let turned = adapter.rotate_input(x.clone());
        assert_eq!(turned.into_data(), x.clone().into_data(), "{what}");
        assert_eq!(adapter.rotate(x.clone(), 2).into_data(), x.into_data());
        assert!(adapter.blocks().is_none(), "{what}");
        assert!(adapter.penalty(Penalty::Gram).is_none(), "{what}");
        assert_eq!(adapter.gram_bound(), 0.0, "{what}");
        let back = adapter.unmerge(layer.base.weight.val()).unwrap();
        assert_eq!(back.condition, 1.0, "{what}");
        assert_eq!(numbers(&back.weight), layer.weight().entries, "{what}");
    }
}

#[test]
fn strict_adapters_are_orthogonal_in_a_language_models_dimension() {
    for row in rows().iter().filter(|row| row.dtype == DType::F32) {
        for form in [Strict::direct(), Strict::tanh()] {
            let site = Site::new(0, [4096, 1]);
            let (none, device) = (NormScale::None, &row.device);
            let adapter = GoftAdapter::new(form, none, site, 1.0, row.dtype, device).unwrap();
            assert!(methods::case_of(&adapter).orthogonal);
            let error = orthogonality_error(adapter.blocks().unwrap(), RotationPlan::new(4096));
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
