//! OFT's own laws: the blocks against the dense oracle, orthogonality, reach, and the constraint of
//! COFT. What it shares with the other methods is in their tables.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Tensor};
use burn_goft::{Goft, GoftAdapter, GoftLinear, GoftModule, Method, Oft};

use crate::common::{self, DIMS, Row, assert_close, epsilon, normal, numbers, rows, tensor};
use crate::methods;
use crate::models::{self, GoftMlp, Mlp, example, stir, values};
use crate::oracle::{self, Matrix};

fn forms() -> [Oft; 4] {
    [
        Oft::exact(2),
        Oft::exact(5),
        Oft::exact(32),
        Oft::neumann(8, 5),
    ]
}

/// `R [d, d]` as the library makes it, its entries.
fn found(row: &Row, form: Oft, d: usize, skew: &[f64]) -> Matrix {
    let skew: Tensor<1> = tensor(skew, [skew.len()], &row.device, row.dtype);
    let blocks = numbers(&form.blocks(skew, d));
    let size = form.block_size.min(d.max(2));
    let mut matrix = Matrix::new(d, d, vec![0.0; d * d]);
    for i in 0..d {
        for j in (0..d).filter(|j| i / size == j / size) {
            matrix[(i, j)] = blocks[(i / size * size + i % size) * size + j % size];
        }
    }
    matrix
}

fn precise() -> Vec<Row> {
    let rows = rows().into_iter();
    rows.filter(|row| matches!(row.dtype, DType::F32 | DType::F64))
        .collect()
}

#[test]
fn blocks_are_those_of_the_dense_formula() {
    for row in precise() {
        for (form, d) in forms().iter().flat_map(|form| DIMS.map(|d| (*form, d))) {
            if d > 137 {
                continue;
            }
            let skew: Vec<f64> = normal(1, form.parameter_count(d));
            let skew: Vec<f64> = skew.iter().map(|p| 0.5 * p).collect();
            // What the device reads is rounded.
            let rounded: Tensor<1> = tensor(&skew, [skew.len()], &row.device, row.dtype);
            let expected = oracle::oft::matrix(d, form, &numbers(&rounded));
            let found = found(&row, form, d, &skew);
            let what = format!("{row} {form:?} d = {d}");
            assert_close(
                what,
                &found.entries,
                &expected.entries,
                64.0 * epsilon(row.dtype),
            );
        }
    }
}

#[test]
fn exact_blocks_are_orthogonal_and_a_neumann_series_only_near_the_identity() {
    for row in precise() {
        let error = |form: Oft, size: f64| {
            let skew = normal(2, form.parameter_count(96));
            let skew: Vec<f64> = skew.iter().map(|p| size * p).collect();
            let gram = found(&row, form, 96, &skew).gram();
            gram.minus(&Matrix::identity(96)).max()
        };
        for form in [Oft::exact(2), Oft::exact(32)] {
            for size in [0.0, 1e-3, 0.1, 1.0] {
                let error = error(form, size);
                assert!(
                    error <= 32.0 * epsilon(row.dtype),
                    "{row} {form:?} {size}: {error}"
                );
            }
        }
        let form = Oft::neumann(32, 5);
        // Of the series Q^6 is missing, and the rows of Q sum to less than 0.04.
        let missing = 4.0 * 0.04f64.powi(6);
        let near = error(form, 1e-3);
        assert!(near <= missing + 8.0 * epsilon(row.dtype), "{row} {near}");
        assert!(error(form, 0.1) > 1e-3, "{row}");
    }
}

/// `q = tan(t / 2)`: up to the angle that the documentation names. A plane at rest among planes
/// that turn far is what converges last.
#[test]
fn the_exact_inverse_holds_for_rotations_by_up_to_179_degrees() {
    for (row, size) in precise()
        .into_iter()
        .flat_map(|row| [(row.clone(), 32), (row, 256)])
    {
        let form = Oft::exact(size);
        for degrees in [90f64, 150.0, 177.0, 179.0] {
            let found = found(&row, form, size, &oracle::oft::turning(size, degrees));
            let (cos, sin) = (degrees.to_radians().cos(), degrees.to_radians().sin());
            let at_rest = [found[(size - 2, size - 2)], found[(size - 2, size - 1)]];
            assert_close(&row, &at_rest, &[1.0, 0.0], 16.0 * epsilon(row.dtype));
            for i in (0..size - 2).step_by(2) {
                let block = [(i, i), (i, i + 1), (i + 1, i), (i + 1, i + 1)].map(|at| found[at]);
                // The tangent itself is rounded, and near 180 degrees tells little of the angle.
                assert_close(
                    format!("{row} {degrees} degrees"),
                    &block,
                    &[cos, sin, -sin, cos],
                    16.0 * epsilon(row.dtype),
                );
            }
        }
    }
}

/// Where squares overflow.
#[test]
fn an_exact_inverse_is_finite_whatever_the_parameters_are() {
    for row in precise() {
        for entry in [1e10, 1e19, 1e30] {
            let form = Oft::exact(8);
            let skew = normal(4, form.parameter_count(8));
            let skew: Vec<f64> = skew.iter().map(|p| entry * p).collect();
            let blocks = found(&row, form, 8, &skew);
            let what = format!("{row} {entry}");
            assert!(
                blocks.entries.iter().all(|entry| entry.is_finite()),
                "{what}"
            );
            let excess = blocks.gram().minus(&Matrix::identity(8));
            assert!(excess.max() < 1e-5, "{what}: {}", excess.max());
        }
    }
}

/// Computed in f32, whatever the parameters are kept in: large blocks of half precision have
/// squares that vanish.
#[test]
fn half_precision_is_the_rounding_of_the_result() {
    let device = burn::tensor::Device::flex();
    let form = Oft::exact(256);
    let skew = normal(4, form.parameter_count(256));
    let skew: Vec<f64> = skew.iter().map(|p| 0.1 * p).collect();
    for dtype in [DType::F16, DType::BF16] {
        let skew: Tensor<1> = tensor(&skew, [skew.len()], &device, dtype);
        let half = form.blocks(skew.clone(), 256);
        assert_eq!(half.dtype(), dtype);
        let wide = form.blocks(skew.cast(DType::F64), 256);
        let what = format!("{dtype:?}");
        assert_close(
            what,
            &numbers(&half),
            &numbers(&wide),
            0.51 * epsilon(dtype),
        );
    }
}

#[test]
fn both_sides_rotate_a_language_models_dimension() {
    for row in rows().iter().filter(|row| row.dtype == DType::F32) {
        let goft = Goft::oft(Oft::exact(32)).with_init_std(0.1);
        let linear = LinearConfig::new(4096, 3).init(&row.device);
        let on_input = GoftLinear::from_linear(linear, &goft).unwrap();
        let adapter = on_input.adapter().unwrap().clone();
        let x: Tensor<2> = tensor(&normal(3, 2 * 4096), [2, 4096], &row.device, row.dtype);
        let turned = numbers(&adapter.rotate_input(x.clone()));
        let tolerance = row.through_products(1e-5);
        let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (before, after) in numbers(&x).chunks(4096).zip(turned.chunks(4096)) {
            assert!(
                (norm(after) / norm(before) - 1.0).abs() < tolerance,
                "{row}"
            );
            assert_ne!(before, after);
        }
        let merged = on_input.clone().merge().unwrap();
        let (found, expected) = (on_input.forward(x.clone()), merged.forward(x));
        assert_close(row, &numbers(&found), &numbers(&expected), tolerance);
    }
}

#[test]
fn a_neumann_adapter_is_unmerged_by_inverses_and_reports_their_condition() {
    for row in precise() {
        let form = Oft::neumann(2, 1);
        let adapter = |skew: f64| {
            let goft = Goft::oft(form);
            let linear = LinearConfig::new(2, 2).init(&row.device);
            let linear = linear.apply_goft(goft).unwrap();
            let linear = stir(linear, 5, skew);
            let adapter = linear.weight.reparameterization::<GoftAdapter>();
            adapter.unwrap().clone()
        };
        let weight: Tensor<2> = tensor(&[1.0, 2.0, 3.0, 4.0], [2, 2], &row.device, row.dtype);
        let unmerged = adapter(0.4).unmerge(weight.clone()).unwrap();
        // (1 - q^2) I + 2 Q is a multiple of a rotation: condition 1, known to the 64th root of 2.
        assert_close(&row, &[unmerged.condition], &[1.0], 0.011);
        let broken = adapter(f64::NAN).unmerge(weight);
        assert!(broken.unwrap_err().is_not_finite(), "{row}");
    }
}

#[test]
fn a_constrained_rotation_stays_within_the_radius_and_a_smaller_one_as_it_was() {
    fn distances(model: &Mlp, form: Oft) -> Vec<f64> {
        let layers = [(&model.fc1, 7), (&model.fc2, 12)];
        let blocks = layers.into_iter().flat_map(|(layer, d)| {
            let adapter = layer.weight.reparameterization::<GoftAdapter>().unwrap();
            let skew = numbers(&methods::only(adapter).val().inner());
            let rotation = oracle::oft::matrix(d, form, &skew);
            let excess = rotation.minus(&Matrix::identity(d));
            (0..d).step_by(form.block_size).map(move |start| {
                let block = start..(start + form.block_size).min(d);
                let entries = block
                    .clone()
                    .flat_map(|i| block.clone().map(move |j| (i, j)));
                entries.map(|at| excess[at].powi(2)).sum::<f64>().sqrt()
            })
        });
        blocks.collect()
    }
    for (name, device) in common::devices() {
        let form = Oft::exact(4);
        let goft = Goft::oft(form).with_targets(["fc1.weight", "fc2.weight"]);
        let model = example::<Mlp>(&device.autodiff()).apply_goft(goft).unwrap();
        let model = stir(model, 5, 0.3);
        let before = distances(&model, form);
        let radius = 0.5 * before.iter().fold(0.0f64, |max, d| max.max(*d));
        let held = model.clone().project_adapters(radius).unwrap();
        let after = distances(&held, form);
        assert!(
            after.iter().all(|d| *d <= radius * (1.0 + 1e-5)),
            "{name} {after:?}"
        );
        // Held back no further than the bound of the skew norm is loose.
        assert!(after.iter().any(|d| *d >= 0.6 * radius), "{name} {after:?}");
        assert_eq!(
            values(&model.clone().project_adapters(1e3).unwrap()),
            values(&model),
            "{name}"
        );
        let trainable = |model: &Mlp| -> Vec<_> {
            let held = models::parameters(model).into_values();
            held.map(|held| (held.id, held.trainable)).collect()
        };
        assert_eq!(trainable(&held), trainable(&model), "{name}");
    }
}

#[test]
fn an_adapter_file_brings_the_form_with_it_and_refuses_another() {
    let (_, device) = common::devices().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.safetensors");
    let adapted = |form: Oft| {
        let goft = Goft::oft(form).with_targets(["fc1.weight"]);
        stir(example::<Mlp>(&device).apply_goft(goft).unwrap(), 5, 0.2)
    };
    // Seven inputs: in blocks of 6 or 7 one of them is left out, or none.
    adapted(Oft::neumann(6, 3)).save_adapters(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("fc1.weight.goft.skew_b6_k3"));
    let loaded = example::<GoftMlp>(&device).load_adapters(&path).unwrap();
    let adapter = loaded.fc1.adapter().unwrap();
    assert_eq!(adapter.method(), Method::Oft(Oft::neumann(6, 3)));
    assert_eq!(
        values(&loaded),
        values(&GoftMlp::from(adapted(Oft::neumann(6, 3))))
    );
    for other in [Oft::exact(6), Oft::neumann(6, 2), Oft::exact(7)] {
        let error = adapted(other).load_adapters(&path).unwrap_err();
        assert!(error.is_mismatch(), "{error}");
        assert!(error.to_string().contains("skew_b6_k3"), "{error}");
    }
    let again = stir(adapted(Oft::neumann(6, 3)), 8, 0.3)
        .load_adapters(&path)
        .unwrap();
    assert_eq!(values(&again), values(&adapted(Oft::neumann(6, 3))));
}

/// A parameter of the model's own that is called as the adapter's.
#[derive(Module, Debug)]
struct Skewed {
    fc: Linear,
    skew: Param<Tensor<1>>,
}

#[test]
fn a_models_own_parameter_of_the_same_name_is_loaded_too() {
    let (_, device) = common::devices().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.safetensors");
    let adapted = |value: f32| {
        let model = Skewed {
            fc: models::fill(LinearConfig::new(6, 2).init(&device), 1),
            skew: Param::from_tensor(Tensor::full([3], value, &device)),
        };
        let goft = Goft::oft(Oft::exact(4)).with_trainable(["skew"]);
        stir(model.apply_goft(goft).unwrap(), 5, 0.2)
    };
    adapted(2.0).save_adapters(&path).unwrap();
    let loaded = stir(adapted(3.0), 8, 0.3).load_adapters(&path).unwrap();
    assert_eq!(values(&loaded), values(&adapted(2.0)));
    let held = loaded.project_adapters(1e-3).unwrap();
    assert_eq!(numbers(&held.skew.val()), [2.0; 3]);
}
