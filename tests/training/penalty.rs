//! The orthogonality penalty as a loss.

use burn::module::Module;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Device;
use burn_goft::{
    Goft, GoftAdapter, GoftModule, NormScale, Penalty, QuasiGivens, orthogonality_error,
};

use crate::common;
use crate::models::{
    self, Example, GoftMlp, Mlp, example, for_every_example, rewrite, stir, values,
};

fn quasi(device: &Device) -> Mlp {
    let model: Mlp = example(&device.clone().autodiff());
    stir(model.apply_goft(Goft::quasi()).unwrap(), 5, 0.3)
}

fn descend<M: Module>(mut model: M, penalty: Penalty, steps: usize) -> M {
    let mut optimizer = SgdConfig::new().init();
    for _ in 0..steps {
        let grads = model.orthogonality_penalty(penalty).backward();
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
                let blocks = QuasiGivens::from_blocks(adapter.blocks());
                common::numbers(&blocks.penalty(penalty))[0]
            });
            let found = common::numbers(&model.orthogonality_penalty(penalty));
            common::assert_close(format!("{penalty:?}"), &found, &[terms.sum()], 1e-6);
            assert!(found[0] > 0.1);
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
                models::bits(&weight_side.orthogonality_penalty(penalty)),
                models::bits(&input_side.orthogonality_penalty(penalty)),
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
            let error = |adapter: GoftAdapter| orthogonality_error(adapter.blocks()).max;
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
            let blocks = adapter.blocks();
            let paper = QuasiGivens::from_blocks(blocks.clone()).penalty(Penalty::Paper);
            assert!(common::numbers(&paper)[0] < 1e-8);
            let error = orthogonality_error(blocks).max;
            assert!(error > 0.1, "{error}");
        }
    }
}

#[test]
fn the_paper_penalty_does_not_move_orthogonal_columns_whatever_their_lengths() {
    // Inner products of exactly zero: (3, 4) and (-8, 6), (0, 2) and (0.5, 0), (1.5, 0) and (0, 0.25).
    const BLOCKS: [[f64; 4]; 3] = [
        [3.0, -8.0, 4.0, 6.0],
        [0.0, 0.5, 2.0, 0.0],
        [1.5, 0.0, 0.0, 0.25],
    ];
    for (_, device) in common::devices() {
        let linear = burn::nn::LinearConfig::new(4, 2).init(&device.autodiff());
        let linear = linear.apply_goft(Goft::quasi()).unwrap();
        let model = linear.map(&mut Set(BLOCKS.concat()));
        let before = values(&model);
        let after = descend(model.clone(), Penalty::Paper, 3);
        assert_eq!(values(&after), before);
        let after = descend(model, Penalty::Gram, 1);
        assert_ne!(
            values(&after)["weight.goft.blocks"],
            before["weight.goft.blocks"]
        );
    }
}

struct Set(Vec<f64>);

impl burn::module::ModuleMapper for Set {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<burn::tensor::Tensor<D>>,
    ) -> burn::module::Param<burn::tensor::Tensor<D>> {
        if D == 3 {
            rewrite(param, &self.0)
        } else {
            param
        }
    }
}

#[test]
fn a_strict_adapter_has_a_penalty_of_exactly_zero_that_changes_no_gradient() {
    fn law<M: Example>(device: &Device) {
        let model: M = crate::adapted(&Goft::strict().with_norm_scale(NormScale::Input), device);
        for penalty in [Penalty::Paper, Penalty::Gram] {
            let zero = model.orthogonality_penalty(penalty);
            assert_eq!(common::numbers(&zero), [0.0]);
            let loss = crate::loss(model.run()) + zero.mul_scalar(0.05);
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            let expected = crate::by_path(&model, &crate::gradients_of(&model));
            assert_eq!(crate::by_path(&model, &grads), expected);
        }
    }
    for_every_example!(law);
}

#[test]
fn a_penalty_beside_the_loss_reaches_every_quasi_block() {
    for (_, device) in common::devices() {
        let model = quasi(&device);
        let grads = model.orthogonality_penalty(Penalty::Gram).backward();
        let grads = crate::by_path(&model, &GradientsParams::from_grads(grads, &model));
        let paths: Vec<_> = grads.keys().map(String::as_str).collect();
        let expected = [
            "fc1.weight.goft.blocks",
            "fc2.weight.goft.blocks",
            "head.weight.goft.blocks",
        ];
        assert_eq!(paths, expected);
        assert!(grads.values().flatten().all(|g| *g != 0.0));
    }
}

#[test]
fn a_model_without_adapters_has_no_penalty() {
    let (_, device) = common::devices().remove(0);
    let model: Mlp = example(&device);
    let message = common::panic_message(|| model.orthogonality_penalty(Penalty::Paper));
    assert_eq!(
        message,
        "orthogonality_penalty: the model carries no GOFT adapter; call `apply_goft` first"
    );
}
