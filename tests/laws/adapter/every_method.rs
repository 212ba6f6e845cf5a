//! What makes an adapter a method: laws that know nothing of any, each on all rows of the table.

use burn::module::Module;
use burn::nn::Linear;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};
use burn_goft::GoftLinear;

use super::{D_INPUTS, D_OUTPUT, Layer, adapter, edit};
use crate::common::{Row, assert_close, epsilon, normal, numbers, rows, shape, tensor};
use crate::methods::{self, Dense};
use crate::models::{gradients_by_path, parameters};
use crate::oracle::{Matrix, along_axis};

fn precise() -> impl Iterator<Item = Row> {
    let rows = rows().into_iter();
    rows.filter(|row| matches!(row.dtype, DType::F32 | DType::F64))
}

/// Lengths of the columns of a weight and the products between them.
#[test]
fn orthogonal_methods_keep_norms_and_angles_and_the_others_do_not() {
    for row in precise() {
        for method in methods::methods() {
            let mut largest = 0.0f64;
            for d in D_INPUTS {
                let layer = Layer::new(&row, &method.goft, d);
                let turned = Matrix::new(d, D_OUTPUT, numbers(&layer.weight_side().weight.val()));
                let before = layer.weight().gram();
                let error = turned.gram().minus(&before).max();
                largest = largest.max(error);
                // Each of d entries of a column is off by the tolerance.
                let length = (0..D_OUTPUT)
                    .map(|k| before[(k, k)].sqrt())
                    .fold(0.0, f64::max);
                let off = (d as f64).sqrt() * layer.tolerance() * turned.max();
                let allowed = 2.0 * length * off;
                assert!(
                    !method.orthogonal || error <= allowed,
                    "{}: off by {error}, allowed {allowed}",
                    layer.what()
                );
            }
            assert!(
                method.orthogonal || largest > 1e-3,
                "{row} {}: {largest}",
                method.name
            );
        }
    }
}

/// `<R^T x, w> = <x, R w>` for vectors on the input side and on the weight side.
#[test]
fn the_input_side_of_every_method_is_the_adjoint_of_its_weight_side() {
    for row in precise() {
        for (method, d) in methods::methods()
            .iter()
            .flat_map(|method| D_INPUTS.map(|d| (method, d)))
        {
            let layer = Layer::new(&row, &method.goft, d);
            let adapted = layer.weight_side();
            let x = layer.input();
            let turned = adapter(&adapted).rotate_input(x.clone());
            let (x, turned) = [&x, &turned].map(|x| Matrix::new(6, d, numbers(x))).into();
            let value = Matrix::new(d, D_OUTPUT, numbers(&adapted.weight.val()));
            let (found, expected) = (turned.times(&layer.weight()), x.times(&value));
            // Sums of d products that are off by the tolerance on either side.
            let tolerance = 2.0 * (d as f64).sqrt() * layer.tolerance_turned();
            assert_close(layer.what(), &found.entries, &expected.entries, tolerance);
        }
    }
}

/// Differences know nothing of a chain rule. In f64 alone, as no other dtype leaves digits to them.
#[test]
fn gradients_of_every_method_are_differences_of_its_outputs() {
    for row in rows().iter().filter(|row| row.dtype == DType::F64) {
        let device = row.device.clone().autodiff();
        for (goft, d) in methods::settings()
            .iter()
            .flat_map(|goft| [2, 5].map(|d| (goft, d)))
        {
            let layer = Layer::on(&device, row, goft, d);
            assert_slopes(&layer, "weight", layer.weight_side(), Linear::forward);
            assert_slopes(&layer, "input", layer.input_side(), GoftLinear::forward);
        }
    }
}

fn assert_slopes<M: Module>(
    layer: &Layer,
    side: &str,
    adapted: M,
    forward: impl Fn(&M, Tensor<3>) -> Tensor<3>,
) {
    const STEP: f64 = 1e-5;
    let upstream = normal(9, 6 * D_OUTPUT);
    let upstream: Tensor<3> = tensor(&upstream, [2, 3, D_OUTPUT], &layer.device, layer.row.dtype);
    let loss = |model: &M| (forward(model, layer.input()) * upstream.clone()).sum();
    let gradients = GradientsParams::from_grads(loss(&adapted).backward(), &adapted);
    let gradients = gradients_by_path(&adapted, &gradients);
    let fields = parameters(&adapted).into_keys();
    let fields: Vec<String> = fields.filter(|path| path.contains(".goft.")).collect();
    assert!(fields.iter().eq(gradients.keys()), "{}", layer.what());
    for (path, found) in gradients {
        let field = path.rsplit('.').next().expect("a path has a name");
        let shifted = |k: usize, step: f64| {
            let shift = |name: &str, values: &mut [f64]| {
                if name == field {
                    values[k] += step;
                }
            };
            numbers(&loss(&adapted.clone().map(&mut edit(shift))))[0]
        };
        let slope = |k| (shifted(k, STEP) - shifted(k, -STEP)) / (2.0 * STEP);
        let slopes: Vec<f64> = (0..found.len()).map(slope).collect();
        let what = format!("{}, {side} side, {field}", layer.what());
        assert_close(what, &found, &slopes, 1e-7);
    }
}

/// `R` and `R^T` along every axis of a tensor, for every method.
#[test]
fn every_method_rotates_any_axis_as_its_dense_matrix() {
    for row in rows() {
        for method in methods::methods() {
            for (d, axis) in [2, 5, 12]
                .into_iter()
                .flat_map(|d| [(d, 0), (d, 1), (d, 2)])
            {
                let layer = Layer::new(&row, &method.goft, d);
                let adapted = layer.weight_side();
                let adapter = adapter(&adapted);
                let (up, shape) = (Dense::of(adapter).matrix, shape(d, axis));
                let x = normal(14, shape.iter().product());
                let x: Tensor<3> = tensor(&x, shape, &row.device, row.dtype);
                let down = up.transpose();
                for (turned, matrix) in [
                    (adapter.rotate(x.clone(), axis), &up),
                    (adapter.rotate_transpose(x.clone(), axis), &down),
                ] {
                    assert_eq!(turned.dtype(), row.dtype);
                    let image = |v: &[f64]| matrix.times(&Matrix::new(d, 1, v.to_vec())).entries;
                    let expected = along_axis(&numbers(&x), shape, axis, image);
                    let what = format!("{} axis {axis}", layer.what());
                    assert_close(what, &numbers(&turned), &expected, layer.tolerance());
                }
            }
        }
    }
}

#[test]
fn the_bound_of_every_method_on_its_gram_matrix_holds() {
    for row in precise() {
        for method in methods::methods() {
            for d in [2, 5, 12] {
                let layer = Layer::new(&row, &method.goft, d);
                let adapted = layer.weight_side();
                let bound = adapter(&adapted).gram_bound();
                let gram = Dense::of(adapter(&adapted)).matrix.gram();
                let measured = gram.minus(&Matrix::identity(d)).symmetric_norm();
                let what = format!("{}: {measured}, bound {bound}", layer.what());
                // The blocks of the bound are rounded, those of the matrix are not.
                let rounding = 16.0 * epsilon(row.dtype);
                assert!(measured <= bound * (1.0 + rounding) + 1e-12, "{what}");
                assert_eq!(bound < 1e-16, method.orthogonal, "{what}");
            }
        }
    }
}
