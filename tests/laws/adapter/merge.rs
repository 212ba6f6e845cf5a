//! Merging changes no output, unmerging restores the weight, and what cannot be undone says so.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{DType, Tensor};
use burn_goft::{AdapterFile, Goft, GoftAdapter, GoftLinear, GoftModule, NormScale};

use super::{D_OUTPUT, Layer, Parts, adapter, edit, layers};
use crate::common::{Row, assert_close, condition_of, epsilon, numbers, parameter_dtype, rows};
use crate::methods;

/// Relative error that a merge or its undoing may add to a weight.
fn exact_to_rounding(row: &Row) -> f64 {
    match row.dtype {
        DType::F64 => 1e-12,
        DType::F32 => 1e-5,
        DType::F16 => 1e-2,
        _ => 6e-2,
    }
}

#[test]
fn a_merged_layer_is_a_plain_one_with_the_same_output() {
    for layer in layers() {
        let what = layer.what();
        let tolerance = exact_to_rounding(&layer.row);
        let (weight_side, input_side) = (layer.weight_side(), layer.input_side());
        let expected = Parts::of(adapter(&weight_side), layer.d).effective(&layer.weight());
        let x = layer.input();
        let outputs = [
            weight_side.forward(x.clone()),
            input_side.forward(x.clone()),
        ];
        let merged = [
            weight_side.merge_adapters().unwrap(),
            input_side.merge().unwrap(),
        ];
        for (merged, output) in merged.into_iter().zip(outputs) {
            assert!(merged.weight.reparameterization::<GoftAdapter>().is_none());
            assert_close(
                &what,
                &numbers(&merged.weight.val()),
                &expected.entries,
                tolerance,
            );
            assert_close(
                &what,
                &numbers(&merged.forward(x.clone())),
                &numbers(&output),
                layer.row.through_products(tolerance),
            );
        }
    }
}

#[test]
fn unmerging_restores_the_weight_and_reports_the_condition() {
    for layer in layers() {
        let what = layer.what();
        let adapted = layer.weight_side();
        let adapter = adapter(&adapted);
        let unmerged = adapter.unmerge(adapted.weight.val()).unwrap();
        assert_eq!(unmerged.weight.dtype(), layer.row.dtype);
        let of_scale = adapter.scale().map_or(1.0, |scale| {
            let mut sizes: Vec<f64> = numbers(&scale).iter().map(|s| s.abs()).collect();
            sizes.sort_by(f64::total_cmp);
            sizes[sizes.len() - 1] / sizes[0]
        });
        // A bound is no less than that of a rotation.
        let of_rotation = methods::condition(adapter).unwrap_or_else(|| {
            let bound = unmerged.condition / of_scale;
            assert!(bound >= 1.0, "{what}: {bound}");
            bound
        });
        assert_close(
            &what,
            &[unmerged.condition],
            &[of_rotation * of_scale],
            1e-6,
        );
        let tolerance = exact_to_rounding(&layer.row);
        assert_close(
            &what,
            &numbers(&unmerged.weight),
            &layer.weight().entries,
            tolerance,
        );
    }
}

#[test]
fn an_unmerged_layer_is_the_adapted_one_again() {
    for layer in layers() {
        let what = layer.what();
        let tolerance = 2.0 * exact_to_rounding(&layer.row);
        let adapted = layer.input_side();
        let adapter = adapted.adapter().unwrap().clone();
        let file = AdapterFile::capture(&adapted).unwrap();
        let again = GoftLinear::unmerge(adapted.clone().merge().unwrap(), &file).unwrap();
        assert_close(
            &what,
            &numbers(&again.weight()),
            &layer.weight().entries,
            tolerance,
        );
        let stored = |adapter: &GoftAdapter| numbers(&methods::stored(adapter));
        assert_eq!(stored(again.adapter().unwrap()), stored(&adapter), "{what}");
        let x = layer.input();
        let (found, expected) = (again.forward(x.clone()), adapted.forward(x));
        let tolerance = layer.row.through_products(tolerance);
        assert_close(&what, &numbers(&found), &numbers(&expected), tolerance);
    }
}

/// A quasi layer of dimension 8 whose pair `index` has the block `entries`.
fn with_block(row: &Row, index: usize, entries: [f64; 4]) -> Linear {
    let layer = Layer::new(row, &Goft::quasi(), 8).weight_side();
    layer.map(&mut edit(|_, values| {
        let [a, b, c, d] = entries;
        values[4 * index..][..4].copy_from_slice(&[a - 1.0, b, c, d - 1.0]);
    }))
}

#[test]
fn a_singular_block_is_named_with_its_condition() {
    for row in &rows() {
        let unmerge = |entries: [f64; 4]| {
            let layer = with_block(row, 5, entries);
            let unmerged =
                adapter(&layer).unmerge(Tensor::<2>::ones([8, D_OUTPUT], (&row.device, row.dtype)));
            unmerged.map(|unmerged| unmerged.condition)
        };
        let condition = condition_of(&unmerge([1.0, 2.0, 2.0, 4.0]).unwrap_err(), "block 5");
        assert!(condition > 1e6, "{row} {condition}");
        // Past the rounding of the weight's dtype, no digit is left.
        let digits = 1.0 / epsilon(row.dtype);
        let lost = unmerge([1.0, 0.0, 0.0, 0.5 / digits]).unwrap_err();
        assert_close(
            row,
            &[condition_of(&lost, "block 5")],
            &[2.0 * digits],
            1e-3,
        );
        let condition = unmerge([1.0, 0.0, 0.0, 4.0 / digits]).unwrap();
        assert!(condition >= 0.25 * digits, "{row} {condition}");
        // A small block is as good as any, however small.
        let condition = unmerge([1e-6, 0.0, 0.0, 1e-6]);
        assert!(condition.is_ok(), "{row} {condition:?}");
    }
}

#[test]
fn an_adapter_that_is_not_finite_is_refused() {
    for row in rows() {
        for goft in methods::settings() {
            for value in [f64::NAN, f64::INFINITY] {
                let layer = Layer::new(&row, &goft, 8);
                // In the scale if there is one, else in every parameter.
                let scaled = goft.norm_scale != NormScale::None;
                let broken = |field: &str, values: &mut [f64]| {
                    if !scaled || methods::is_scale(field) {
                        values[2] = value;
                    }
                };
                let adapted = layer.weight_side().map(&mut edit(broken));
                let ones = Tensor::<2>::ones([8, D_OUTPUT], (&row.device, row.dtype));
                let what = format!("{row} {goft:?} {value}");
                match adapter(&adapted).unmerge(ones) {
                    Err(error) => assert!(error.is_not_finite(), "{what}: {error}"),
                    Ok(_) => panic!("{what}: it was undone"),
                }
            }
        }
    }
}

#[test]
fn a_zero_scale_is_named() {
    for row in rows() {
        for scale in [NormScale::Input, NormScale::Neuron] {
            let layer = Layer::new(&row, &Goft::strict().with_norm_scale(scale), 8);
            let zero = |field: &str, values: &mut [f64]| {
                if methods::is_scale(field) {
                    values[2] = -1.0;
                }
            };
            let adapted = layer.weight_side().map(&mut edit(zero));
            let error = adapter(&adapted).unmerge(adapted.weight.val()).unwrap_err();
            let condition = condition_of(&error, "scale 2");
            assert_eq!(condition, f64::INFINITY, "{row} {scale:?}");
        }
    }
}

/// The parameters of an adapter keep their precision under a weight of half precision.
#[test]
fn parameters_are_single_under_half_and_double_under_double() {
    for layer in layers() {
        let adapted = layer.weight_side();
        let adapter = adapter(&adapted);
        let dtype = methods::stored(adapter).dtype();
        assert_eq!(dtype, parameter_dtype(layer.row.dtype), "{}", layer.what());
    }
}
