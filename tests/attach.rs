//! Attaching: what becomes of a model's values, and of their training state.

mod common;
mod models;

#[path = "attach/errors.rs"]
mod errors;
#[path = "attach/report.rs"]
mod report;
#[path = "attach/settings.rs"]
mod settings;
#[path = "attach/switch.rs"]
mod switch;
#[path = "attach/targets.rs"]
mod targets;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{Goft, GoftAdapter, GoftModule, Kind};
use models::{Example, Mixed, Mlp, bits, example, for_every_example, parameters, stir, values};

#[test]
fn a_fresh_adapter_leaves_the_output_as_it_was() {
    fn law<M: Example>(device: &Device) {
        let base: M = example(device);
        for goft in models::settings() {
            let name = models::name(&goft);
            let adapted = base.clone().apply_goft(goft).unwrap();
            let one_ulp =
                |expected: &[f64], index: usize| f64::from(f32::EPSILON) * expected[index].abs();
            let (found, expected) = (
                common::numbers(&adapted.run()),
                common::numbers(&base.run()),
            );
            common::assert_within(name, &found, &expected, |i| one_ulp(&expected, i));
        }
    }
    for_every_example!(law);
}

#[test]
fn a_fresh_adapter_leaves_the_weight_bit_equal() {
    for (_, device) in common::devices() {
        let base: Mlp = example(&device);
        for goft in models::settings() {
            let name = models::name(&goft);
            let adapted = base.clone().apply_goft(goft).unwrap();
            assert_eq!(
                bits(&adapted.fc1.weight.val()),
                bits(&base.fc1.weight.val()),
                "{name}"
            );
        }
    }
}

#[test]
fn a_random_start_changes_the_output() {
    fn law<M: Example>(device: &Device) {
        let base: M = example(device);
        for goft in [Goft::strict(), Goft::quasi()] {
            let adapted = base.clone().apply_goft(goft.with_init_std(0.3)).unwrap();
            let change = (adapted.run() - base.run())
                .abs()
                .max()
                .into_scalar::<f32>();
            assert!(change > 1e-3, "{change}");
        }
    }
    for_every_example!(law);
}

#[test]
fn a_random_start_has_the_standard_deviation_asked_for_around_the_identity() {
    for (_, device) in common::devices() {
        for (kind, goft) in [(Kind::Strict, Goft::strict()), (Kind::Quasi, Goft::quasi())] {
            let adapter =
                GoftAdapter::new(&goft.with_init_std(0.3), [4097, 2], DType::F32, &device);
            let offsets: Vec<f64> = match (adapter.angle_parameter(), adapter.block_parameter()) {
                (Some(angles), None) => common::numbers(&angles.val()),
                (None, Some(blocks)) => {
                    let entries = common::numbers(&blocks.val());
                    let identity = [1.0, 0.0, 0.0, 1.0];
                    entries
                        .iter()
                        .zip(identity.iter().cycle())
                        .map(|(e, i)| e - i)
                        .collect()
                }
                _ => panic!("an adapter has angles or blocks"),
            };
            let n = offsets.len() as f64;
            let mean = offsets.iter().sum::<f64>() / n;
            let std = (offsets.iter().map(|o| o * o).sum::<f64>() / n).sqrt();
            // Five standard errors of 4096 samples.
            assert!(mean.abs() < 5.0 * 0.3 / 64.0, "{kind:?}: mean {mean}");
            assert!(
                (std - 0.3).abs() < 5.0 * 0.3 / 90.5,
                "{kind:?}: standard deviation {std}"
            );
        }
    }
}

#[test]
fn after_attaching_exactly_the_adapters_and_the_kept_parameters_are_trainable() {
    fn law<M: Example>(device: &Device) {
        for goft in models::settings() {
            let goft = goft.with_trainable(["head.*"]);
            let model: M = example(&device.clone().autodiff());
            let has_others = parameters(&model)
                .keys()
                .any(|path| linear_outside_head(path));
            // A model whose only `Linear` is the head has nothing left to adapt by default.
            let goft = if has_others {
                goft
            } else {
                goft.with_targets(["embedding.weight"])
            };
            let adapted = model.apply_goft(goft).unwrap();
            for (path, held) in parameters(&adapted) {
                let expected = path.contains(".goft.") || path.starts_with("head.");
                assert_eq!(held.trainable, expected, "{path}");
            }
        }
    }
    for_every_example!(law);
}

fn linear_outside_head(path: &str) -> bool {
    path.ends_with(".weight")
        && ["fc1", "encoder", "blocks"]
            .iter()
            .any(|p| path.starts_with(p))
}

#[test]
fn a_model_adapted_without_autodiff_becomes_trainable_in_the_same_places() {
    for (_, device) in common::devices() {
        let goft = Goft::quasi().with_trainable(["head.*"]);
        let trained = example::<Mlp>(&device)
            .apply_goft(goft.clone())
            .unwrap()
            .train();
        let direct = example::<Mlp>(&device.autodiff()).apply_goft(goft).unwrap();
        let flags = |model| -> Vec<_> {
            let held = parameters(&model).into_iter();
            held.map(|(path, held)| (path, held.trainable)).collect()
        };
        assert_eq!(flags(trained), flags(direct));
    }
}

#[test]
fn attaching_changes_no_value_and_no_id_of_the_model() {
    fn law<M: Example>(device: &Device) {
        let base: M = example(device);
        let adapted = base
            .clone()
            .apply_goft(Goft::quasi().with_init_std(0.3))
            .unwrap();
        let after = parameters(&adapted);
        for (path, held) in parameters(&base) {
            assert_eq!(
                (&after[&path].bits, after[&path].id),
                (&held.bits, held.id),
                "{path}"
            );
        }
    }
    for_every_example!(law);
}

#[test]
fn every_parameter_of_an_adapted_model_has_its_own_id() {
    for (_, device) in common::devices() {
        for goft in models::settings() {
            let adapted = example::<Mlp>(&device).apply_goft(goft).unwrap();
            let held = parameters(&adapted);
            let ids: std::collections::BTreeSet<_> = held.values().map(|held| held.id).collect();
            assert_eq!(ids.len(), held.len());
        }
    }
}

#[test]
fn num_params_counts_base_and_adapters() {
    for (_, device) in common::devices() {
        let base: Mlp = example(&device);
        let count = base.num_params();
        let strict = base.clone().apply_goft(Goft::strict()).unwrap();
        let quasi = base.apply_goft(Goft::quasi()).unwrap();
        let pairs = 6 + 11 + 4;
        assert_eq!(strict.num_params(), count + pairs);
        assert_eq!(quasi.num_params(), count + 4 * pairs);
    }
}

#[test]
fn attaching_leaves_training_flags_as_they_are() {
    for (_, device) in common::devices() {
        for before in [true, false] {
            let model: Mixed = example(&device.clone().autodiff());
            let model = if before { model } else { model.freeze() };
            let adapted = model.apply_goft(Goft::strict()).unwrap();
            assert_eq!(adapted.batch_norm.training.is_enabled(), before);
        }
    }
}

#[test]
fn clones_of_an_adapted_model_are_independent() {
    for (_, device) in common::devices() {
        let model = example::<Mlp>(&device).apply_goft(Goft::quasi()).unwrap();
        let before = values(&model);
        let stirred = stir(model.clone(), 5, 0.3);
        assert_eq!(values(&model), before);
        assert_ne!(bits(&stirred.run()), bits(&model.run()));
    }
}

#[test]
fn an_adapter_follows_its_model_to_another_device() {
    let devices = common::devices();
    let (_, first) = &devices[0];
    let model = stir(
        example::<Mlp>(first).apply_goft(Goft::quasi()).unwrap(),
        5,
        0.3,
    );
    let expected = common::numbers(&model.run());
    for (name, device) in &devices {
        for moved in [model.clone().to_device(device), model.clone().fork(device)] {
            assert_eq!(moved.devices(), std::slice::from_ref(device));
            common::assert_close(name, &common::numbers(&moved.run()), &expected, 1e-6);
        }
    }
}

#[test]
fn a_lone_parameter_can_be_adapted() {
    for (_, device) in common::devices() {
        let values = common::normal(1, 12);
        let tensor = common::tensor(&values, [4, 3], &device, DType::F32);
        let param = Param::from_tensor(tensor.clone()).apply_reparameterization(Goft::strict());
        let adapter = param.reparameterization::<GoftAdapter>().unwrap();
        assert_eq!(adapter.kind(), Kind::Strict);
        assert_eq!(bits(&param.val()), bits(&tensor));

        let turned = stir(param, 3, 0.5);
        let adapter = turned.reparameterization::<GoftAdapter>().unwrap();
        let expected = burn_goft::rotate(tensor, adapter.blocks(), 0);
        assert_eq!(bits(&turned.val()), bits(&expected));
        assert_eq!(turned.goft_report().layers[0].path, "");
    }
}

#[test]
fn a_lone_parameter_can_be_given_to_apply_goft_by_a_pattern_for_any_path() {
    for (_, device) in common::devices() {
        let param = Param::from_tensor(Tensor::<2>::ones([4, 3], &device));
        let adapted = param
            .apply_goft(Goft::strict().with_targets(["*"]))
            .unwrap();
        assert_eq!(adapted.goft_report().trainable_parameters(), 3);
    }
}
