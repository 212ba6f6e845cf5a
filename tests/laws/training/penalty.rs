//! The orthogonality penalty as a loss.

use burn::module::{Module, Param};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{DType, Device};
use burn_goft::{
    Goft, GoftAdapter, GoftModule, Method, NormScale, Penalty, QuasiGivens, RotationPlan,
    orthogonality_error,
};

use crate::common;
use crate::methods::{self, Dense};
use crate::models::{
    self, Example, GoftMlp, Mlp, example, for_every_example, gradients_by_path, rewrite, stir,
    values,
};
use crate::oracle::{self, Matrix};

fn quasi(device: &Device) -> Mlp {
    let model: Mlp = example(&device.clone().autodiff());
    stir(model.apply_goft(Goft::quasi()).unwrap(), 5, 0.3)
}

fn descend<M: Module>(mut model: M, penalty: Penalty, steps: usize) -> M {
    let mut optimizer = SgdConfig::new().init();
    for _ in 0..steps {
        let grads = model.adapter_penalty(penalty).backward();
        let grads = GradientsParams::from_grads(grads, &model);
        model = optimizer.step(0.05, model, grads);
    }
    model
}

fn adapters(model: &Mlp) -> Vec<GoftAdapter> {
    let layers = [&model.fc1, &model.fc2, &model.head];
    let adapter = |layer: &burn::nn::Linear| layer.weight.reparameterization().cloned();
    layers.into_iter().filter_map(adapter).collect()
}

#[test]
fn the_penalty_of_a_model_is_the_sum_over_its_adapters() {
    for (_, device) in common::devices() {
        for penalty in [Penalty::Paper, Penalty::Gram] {
            let model = quasi(&device);
            let terms = adapters(&model).into_iter().map(|adapter| {
                let blocks = QuasiGivens::from_blocks(adapter.blocks().unwrap());
                common::numbers(&blocks.penalty(penalty))[0]
            });
            let found = common::numbers(&model.adapter_penalty(penalty));
            common::assert_close(format!("{penalty:?}"), &found, &[terms.sum()], 1e-6);
            assert!(found[0] > 0.1);
        }
    }
}

/// Of the rotation of `d` axes by the stored parameters: the sum over its parts.
fn expected_penalty(method: Method, d: usize, stored: &[f64], penalty: Penalty) -> f64 {
    let dense = || Dense::by(method, d, stored.to_vec()).matrix;
    match (method, penalty) {
        (Method::Quasi(_), _) => {
            let identity = [1.0, 0.0, 0.0, 1.0].into_iter().cycle();
            let entries: Vec<f64> = stored.iter().zip(identity).map(|(e, i)| e + i).collect();
            oracle::penalty(&entries, penalty)
        }
        (Method::Hra(form), Penalty::Paper) => oracle::hra::penalty(d, form, stored),
        // Blocks at the diagonal: of their product with its transpose nothing else is left.
        (_, Penalty::Gram) | (Method::Oft(_), _) => {
            let excess = dense().gram().minus(&Matrix::identity(d));
            excess.frobenius().powi(2)
        }
        (Method::Road(_), Penalty::Paper) => {
            let gram = dense().gram();
            (0..d / 2).map(|k| gram[(2 * k, 2 * k + 1)].powi(2)).sum()
        }
        _ => 0.0,
    }
}

/// And its gradient the differences of that.
#[test]
fn the_penalty_of_every_method_is_that_of_its_rotation() {
    for row in common::rows()
        .iter()
        .filter(|row| row.dtype == DType::F64 || row.dtype == DType::F32)
    {
        for (case, d) in methods::methods()
            .iter()
            .flat_map(|case| [2, 5, 8].map(|d| (case, d)))
        {
            for penalty in [Penalty::Paper, Penalty::Gram] {
                let what = format!("{row} {} {penalty:?} d = {d}", case.name);
                let device = row.device.clone().autodiff();
                let weight = common::tensor(&common::normal(1, 3 * d), [d, 3], &device, row.dtype);
                let goft = case.goft.clone().with_targets([""]).with_axis(0);
                let param = Param::from_tensor(weight).apply_goft(goft).unwrap();
                let param = stir(param, 3, 0.3);
                let adapter = param.reparameterization::<GoftAdapter>().unwrap();
                let method = adapter.method();
                let stored = common::numbers(&methods::stored(adapter));
                let expected = expected_penalty(method, d, &stored, penalty);
                let Some(found) = adapter.penalty(penalty) else {
                    assert!(expected < 1e-12, "{what}: none instead of {expected}");
                    continue;
                };
                let tolerance = 256.0 * common::epsilon(row.dtype);
                let is_close = |found: &[f64], expected: &[f64], tolerance: f64| {
                    common::assert_within(&what, found, expected, |index| {
                        tolerance * (1.0 + expected[index].abs())
                    });
                };
                is_close(&common::numbers(&found), &[expected], tolerance);
                let gradient = methods::gradient(adapter, &found.backward());
                let slopes = oracle::central_differences(&stored, |stored| {
                    expected_penalty(method, d, stored, penalty)
                });
                let tolerance = row.through_products(tolerance.max(1e-7));
                is_close(&gradient.unwrap(), &slopes, tolerance);
            }
        }
    }
}

#[test]
fn both_sides_have_the_same_penalty() {
    for (_, device) in common::devices() {
        let goft = Goft::quasi().with_norm_scale(NormScale::Neuron);
        let weight_side = stir(
            example::<Mlp>(&device).apply_goft(goft.clone()).unwrap(),
            5,
            0.3,
        );
        let input_side = stir(
            example::<GoftMlp>(&device).apply_goft(goft).unwrap(),
            5,
            0.3,
        );
        for penalty in [Penalty::Paper, Penalty::Gram] {
            assert_eq!(
                models::bits(&weight_side.adapter_penalty(penalty)),
                models::bits(&input_side.adapter_penalty(penalty)),
            );
        }
    }
}

#[test]
fn descent_on_the_gram_penalty_alone_ends_at_orthogonal_blocks() {
    for (_, device) in common::devices() {
        let start = quasi(&device);
        let end = descend(start.clone(), Penalty::Gram, 200);
        for (before, after) in adapters(&start).into_iter().zip(adapters(&end)) {
            let error = |adapter: GoftAdapter| {
                let plan = RotationPlan::new(adapter.dim());
                orthogonality_error(adapter.blocks().unwrap(), plan).max
            };
            assert!(error(before) > 0.1);
            let after = error(after);
            assert!(after < 1e-5, "{after}");
        }
    }
}

#[test]
fn descent_on_the_paper_penalty_alone_ends_at_orthogonal_columns_of_other_lengths() {
    for (_, device) in common::devices() {
        let end = descend(quasi(&device), Penalty::Paper, 400);
        for adapter in adapters(&end) {
            let blocks = adapter.blocks().unwrap();
            let paper = QuasiGivens::from_blocks(blocks.clone()).penalty(Penalty::Paper);
            assert!(common::numbers(&paper)[0] < 1e-8);
            let error = orthogonality_error(blocks, RotationPlan::new(adapter.dim())).max;
            assert!(error > 0.1, "{error}");
        }
    }
}

#[test]
fn the_paper_penalty_does_not_move_orthogonal_columns_whatever_their_lengths() {
    // Inner products of exactly zero: (3, 4) and (-8, 6), (0, 2) and (0.5, 0), (1.5, 0) and (0,
    // 0.25).
    const BLOCKS: [[f64; 4]; 3] = [
        [3.0, -8.0, 4.0, 6.0],
        [0.0, 0.5, 2.0, 0.0],
        [1.5, 0.0, 0.0, 0.25],
    ];
    for (_, device) in common::devices() {
        let linear = burn::nn::LinearConfig::new(4, 2).init(&device.autodiff());
        let linear = linear.apply_goft(Goft::quasi()).unwrap();
        let identity = [1.0, 0.0, 0.0, 1.0].into_iter().cycle();
        let offsets = BLOCKS.concat().into_iter().zip(identity);
        let offsets = offsets.map(|(e, i)| e - i).collect();
        let model = linear.map(&mut Set(offsets));
        let before = values(&model);
        let after = descend(model.clone(), Penalty::Paper, 3);
        assert_eq!(values(&after), before);
        let after = descend(model, Penalty::Gram, 1);
        assert_ne!(
            values(&after)["weight.goft.block_offsets"],
            before["weight.goft.block_offsets"]
        );
    }
}

struct Set(Vec<f64>);

impl burn::module::ModuleMapper for Set {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<burn::tensor::Tensor<D>>,
    ) -> burn::module::Param<burn::tensor::Tensor<D>> {
        if D == 1 && param.shape().num_elements() == self.0.len() {
            rewrite(param, &self.0)
        } else {
            param
        }
    }
}

#[test]
fn an_orthogonal_adapter_has_a_penalty_of_exactly_zero_that_changes_no_gradient() {
    fn law<M: Example>(device: &Device) {
        for method in methods::methods() {
            if !method.orthogonal {
                continue;
            }
            let goft = method.goft.clone().with_norm_scale(NormScale::Input);
            let model: M = super::adapted(&goft, device);
            let expected = gradients_by_path(&model, &super::gradients_of(&model));
            // That of HRA's own paper is about the vectors, not about the rotation.
            let of_paper = !matches!(method.goft.method, Method::Hra(_));
            let penalties = [Some(Penalty::Gram), of_paper.then_some(Penalty::Paper)];
            for penalty in penalties.into_iter().flatten() {
                let zero = model.adapter_penalty(penalty);
                assert_eq!(common::numbers(&zero), [0.0], "{}", method.name);
                let loss = super::loss(model.run()) + zero.mul_scalar(0.05);
                let grads = GradientsParams::from_grads(loss.backward(), &model);
                let found = gradients_by_path(&model, &grads);
                assert_eq!(found, expected, "{}", method.name);
            }
        }
    }
    for_every_example!(law);
}

#[test]
fn a_penalty_beside_the_loss_reaches_every_quasi_block() {
    for (_, device) in common::devices() {
        let model = quasi(&device);
        let grads = model.adapter_penalty(Penalty::Gram).backward();
        let grads = gradients_by_path(&model, &GradientsParams::from_grads(grads, &model));
        let paths: Vec<_> = grads.keys().map(String::as_str).collect();
        let expected = [
            "fc1.weight.goft.block_offsets",
            "fc2.weight.goft.block_offsets",
            "head.weight.goft.block_offsets",
        ];
        assert_eq!(paths, expected);
        assert!(grads.values().flatten().all(|g| *g != 0.0));
    }
}

#[test]
fn a_model_without_adapters_has_no_penalty() {
    let (_, device) = common::devices().remove(0);
    let model: Mlp = example(&device);
    let message = common::panic_message(|| model.adapter_penalty(Penalty::Paper));
    assert_eq!(
        message,
        "adapter_penalty: the model carries no adapter; call `apply_goft` first"
    );
}
