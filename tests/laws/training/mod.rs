//! Training: what moves, what does not, and that both sides move alike.

mod learning;
mod penalty;

use std::collections::BTreeMap;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{DType, Device, Gradients, Tensor};
use burn_goft::{Goft, GoftModule, NormScale};

use crate::common;
use crate::methods;
use crate::models::{
    Example, GoftMlp, Mixed, Mlp, device_of, example, for_every_example, gradients_by_path,
    parameters, stir, values,
};

fn loss(output: Tensor<2>) -> Tensor<1> {
    let shape: [usize; 2] = output.dims();
    let target = common::normal(9, shape[0] * shape[1]);
    let target = common::tensor(&target, shape, &output.device(), DType::F32);
    (output - target).square().mean()
}

fn gradients_of<M: Example>(model: &M) -> GradientsParams {
    GradientsParams::from_grads(loss(model.run()).backward(), model)
}

fn step<M: Example>(optimizer: &mut ModuleOptimizer, lr: f64, model: M) -> M {
    let grads = gradients_of(&model);
    optimizer.step(lr, model, grads)
}

/// Adapted with the head's bias kept, away from the identity and with the statistics of norms at
/// rest.
fn adapted<M: Example>(goft: &Goft, device: &Device) -> M {
    let goft = goft.clone().with_trainable(["head.bias"]);
    let model = example::<M>(&device.clone().autodiff()).freeze();
    stir(model.apply_goft(goft).unwrap(), 5, 0.2)
}

fn is_trained(path: &str) -> bool {
    path.contains(".goft.") || path == "head.bias"
}

fn assert_same_gradients(
    device: &Device,
    what: &str,
    found: &BTreeMap<String, Vec<f64>>,
    expected: &BTreeMap<String, Vec<f64>>,
) {
    assert!(
        found.keys().eq(expected.keys()),
        "{what}: {:?} and {:?}",
        found.keys(),
        expected.keys()
    );
    let tolerance = common::through_products(device, 1e-5);
    for (path, expected) in expected {
        common::assert_close(format!("{what}: {path}"), &found[path], expected, tolerance);
    }
}

#[test]
fn three_steps_change_every_entry_of_the_adapters_and_kept_parameters_and_no_other_bit() {
    fn law<M: Example>(device: &Device) {
        for goft in methods::settings() {
            for (mut optimizer, lr) in [
                (SgdConfig::new().init(), 0.5),
                (AdamWConfig::new().init(), 0.01),
            ] {
                let mut model: M = adapted(&goft, device);
                let before = values(&model);
                for _ in 0..3 {
                    model = step(&mut optimizer, lr, model);
                }
                for (path, after) in values(&model) {
                    let what = format!("{} {path}", methods::name(&goft));
                    let pairs = before[&path].iter().zip(&after);
                    let changed = pairs.filter(|(old, new)| old != new).count();
                    let expected = if is_trained(&path) { after.len() } else { 0 };
                    assert_eq!(changed, expected, "{what}");
                    assert!(
                        after.iter().all(|bits| f64::from_bits(*bits).is_finite()),
                        "{what}"
                    );
                }
            }
        }
    }
    for_every_example!(law);
}

#[test]
fn gradients_exist_for_exactly_the_adapters_and_kept_parameters() {
    fn law<M: Example>(device: &Device) {
        for goft in methods::settings() {
            let model: M = adapted(&goft, device);
            let grads = gradients_of(&model);
            let with_gradient = gradients_by_path(&model, &grads);
            for path in parameters(&model).keys() {
                assert_eq!(with_gradient.contains_key(path), is_trained(path), "{path}");
            }
            assert_eq!(grads.len(), with_gradient.len());
        }
    }
    for_every_example!(law);
}

#[test]
fn the_frozen_weight_is_no_node_of_the_graph() {
    for (_, device) in common::devices() {
        let model: GoftMlp = adapted(&Goft::quasi(), &device);
        let grads: Gradients = loss(model.run()).backward();
        assert!(model.fc1.weight().grad(&grads).is_none());
        let model: Mlp = adapted(&Goft::quasi(), &device);
        let grads = loss(model.run()).backward();
        assert!(model.fc1.weight.base().grad(&grads).is_none());
    }
}

#[test]
fn both_sides_give_the_same_gradients() {
    for (device_name, device) in common::devices() {
        for goft in methods::settings() {
            let weight_side: Mlp = adapted(&goft, &device);
            let input_side: GoftMlp = adapted(&goft, &device);
            let what = format!("{device_name} {}", methods::name(&goft));
            assert_eq!(values(&weight_side), values(&input_side), "{what}");
            assert_same_gradients(
                &device,
                &what,
                &gradients_by_path(&input_side, &gradients_of(&input_side)),
                &gradients_by_path(&weight_side, &gradients_of(&weight_side)),
            );
        }
    }
}

#[test]
fn gradients_of_two_half_batches_add_up_to_those_of_the_whole() {
    fn law<M: Module>(model: &M, what: &str, run: impl Fn(&M, Tensor<2>) -> Tensor<2>) {
        let batch = common::normal(6, 8 * 7);
        let batch = common::tensor(&batch, [8, 7], &device_of(model), DType::F32);
        let backward = |batch: Tensor<2>| {
            let loss = run(model, batch).square().sum();
            GradientsParams::from_grads(loss.backward(), model)
        };
        let mut accumulator = GradientsAccumulator::new();
        for half in batch.clone().chunk(2, 0) {
            accumulator.accumulate(model, backward(half));
        }
        let whole = gradients_by_path(model, &backward(batch));
        assert_same_gradients(
            &device_of(model),
            what,
            &gradients_by_path(model, &accumulator.grads()),
            &whole,
        );
    }
    for (name, device) in common::devices() {
        for goft in methods::settings() {
            law(&adapted::<Mlp>(&goft, &device), name, Mlp::forward);
            law(&adapted::<GoftMlp>(&goft, &device), name, GoftMlp::forward);
        }
    }
}

#[test]
fn both_checkpointing_strategies_give_the_same_gradients() {
    fn law<M: Example>(device: &Device) {
        for goft in methods::settings() {
            let gradients = |device: Device| {
                let model = example::<M>(&device).freeze();
                let model = model
                    .apply_goft(goft.clone().with_trainable(["head.bias"]))
                    .unwrap();
                let model = stir(model, 5, 0.2);
                gradients_by_path(&model, &gradients_of(&model))
            };
            let plain = gradients(device.clone().autodiff());
            let recomputed = gradients(device.clone().autodiff().gradient_checkpointing());
            assert_same_gradients(device, &methods::name(&goft), &recomputed, &plain);
        }
    }
    for_every_example!(law);
}

#[test]
fn two_trainings_from_the_same_values_give_the_same_bits() {
    fn law<M: Example>(device: &Device) {
        let train = || {
            let mut model: M = adapted(&Goft::quasi(), device);
            let mut optimizer = AdamWConfig::new().init();
            for _ in 0..5 {
                model = step(&mut optimizer, 0.01, model);
            }
            values(&model)
        };
        assert_eq!(train(), train());
    }
    for_every_example!(law);
}

#[test]
fn the_optimizer_keeps_state_for_trained_parameters_only() {
    const MOMENTS: usize = 2;
    fn law<M: Example>(device: &Device) {
        let held = |model: M| {
            let mut optimizer = AdamWConfig::new().init();
            step(&mut optimizer, 0.01, model);
            optimizer.to_record().len()
        };
        let model: M = adapted(&Goft::quasi(), device);
        let trained = parameters(&model)
            .keys()
            .filter(|path| is_trained(path))
            .count();
        assert_eq!(held(model.clone()), MOMENTS * trained);
        assert!(held(model.unfreeze()) > MOMENTS * trained);
    }
    for_every_example!(law);
}

/// Gradients of zero leave the decay alone. A reflection is the same for a vector of any length.
#[test]
fn weight_decay_alone_leads_back_to_the_pretrained_model_or_changes_nothing() {
    fn law<M: Example>(device: &Device) {
        for goft in methods::settings() {
            let name = methods::name(&goft);
            let scale_free = name.starts_with("hra");
            if scale_free && goft.norm_scale != NormScale::None {
                // Its scale goes back and its rotation stays.
                continue;
            }
            let base = example::<M>(&device.clone().autodiff());
            let pretrained = common::numbers(&base.valid().run());
            let mut model = stir(base.apply_goft(goft).unwrap(), 5, 0.2);
            let before = common::numbers(&model.valid().run());
            let stirred = pretrained.iter().zip(&before);
            let away = stirred.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(away > 0.02, "{name}: {away}");
            let mut optimizer = AdamWConfig::new().with_weight_decay(8.0).init();
            for _ in 0..10 {
                let grads = loss(model.run()).mul_scalar(0.0).backward();
                let grads = GradientsParams::from_grads(grads, &model);
                model = optimizer.step(0.1, model, grads);
            }
            let expected = if scale_free { &before } else { &pretrained };
            let tolerance = common::through_products(device, 1e-5);
            common::assert_close(
                name,
                &common::numbers(&model.valid().run()),
                expected,
                tolerance,
            );
        }
    }
    for_every_example!(law);
}

#[test]
fn a_kept_batch_norm_trains_and_moves_its_statistics() {
    for (_, device) in common::devices() {
        let goft = Goft::strict().with_trainable(["batch_norm.*"]);
        let model = example::<Mixed>(&device.autodiff())
            .apply_goft(goft)
            .unwrap();
        let before = values(&model);
        let model = step(&mut SgdConfig::new().init(), 0.5, stir(model, 5, 0.2)).valid();
        for (path, after) in values(&model) {
            let moves = path.starts_with("batch_norm.") || path.contains(".goft.");
            assert_eq!(before[&path] != after, moves, "{path}");
        }
    }
}
