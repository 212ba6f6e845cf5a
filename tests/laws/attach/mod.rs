//! Attaching: what becomes of a model's values, and of their training state.

mod errors;
mod plan;
mod report;
mod settings;
mod switch;
mod targets;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{Goft, GoftAdapter, GoftModule, Method, NormScale, Site};

use crate::common;
use crate::methods;
use crate::models::{
    Example, Mixed, Mlp, bits, example, for_every_example, parameters, stir, values,
};

#[test]
fn a_fresh_adapter_leaves_the_output_as_it_was() {
    fn law<M: Example>(device: &Device) {
        let base: M = example(device);
        for goft in methods::settings() {
            let name = methods::name(&goft);
            let adapted = base.clone().apply_goft(&goft).unwrap();
            let (found, expected) = (
                common::numbers(&adapted.run()),
                common::numbers(&base.run()),
            );
            let largest = expected.iter().fold(0.0f64, |max, y| max.max(y.abs()));
            let one_ulp = |index: usize| f64::from(f32::EPSILON) * expected[index].abs();
            let rounding = methods::rounding_at_start(&goft);
            let rounding = match goft.method {
                // On the input side they turn by the device's product.
                Method::Oft(_) | Method::Hra(_) => common::through_products(device, rounding),
                _ => rounding,
            };
            common::assert_within(name, &found, &expected, |index| {
                let layers = 12.0;
                one_ulp(index).max(layers * rounding * largest)
            });
        }
    }
    for_every_example!(law);
}

#[test]
fn a_fresh_adapter_leaves_the_weight_bit_equal() {
    for (_, device) in common::devices() {
        let base: Mlp = example(&device);
        for goft in methods::settings() {
            let name = methods::name(&goft);
            let rounding = methods::rounding_at_start(&goft);
            let adapted = base.clone().apply_goft(goft).unwrap();
            let (found, expected) = (adapted.fc1.weight.val(), base.fc1.weight.val());
            if rounding == 0.0 {
                assert_eq!(bits(&found), bits(&expected), "{name}");
            } else {
                let (found, expected) = (common::numbers(&found), common::numbers(&expected));
                common::assert_close(name, &found, &expected, rounding);
            }
        }
    }
}

#[test]
fn a_random_start_changes_the_output() {
    fn law<M: Example>(device: &Device) {
        let base: M = example(device);
        for method in methods::methods() {
            let goft = method.goft.with_init_std(0.3);
            let adapted = base.clone().apply_goft(goft).unwrap();
            let change = (adapted.run() - base.run())
                .abs()
                .max()
                .into_scalar::<f32>();
            assert!(change > 1e-3, "{}: {change}", method.name);
        }
    }
    for_every_example!(law);
}

#[test]
fn a_random_start_has_the_standard_deviation_asked_for_around_the_identity() {
    for (_, device) in common::devices() {
        for method in methods::methods() {
            let name = method.name;
            let (method, site) = (method.goft.method, Site::new(0, [4097, 2]));
            let none = NormScale::None;
            let adapter = GoftAdapter::new(method, none, site, 0.3, DType::F32, &device).unwrap();
            let offsets = methods::offsets(&adapter);
            let n = offsets.len() as f64;
            let mean = offsets.iter().sum::<f64>() / n;
            let std = (offsets.iter().map(|o| o * o).sum::<f64>() / n).sqrt();
            let what = format!("{name}: mean {mean}, standard deviation {std}");
            // Five standard errors.
            assert!(mean.abs() < 5.0 * 0.3 / n.sqrt(), "{what}");
            assert!((std - 0.3).abs() < 5.0 * 0.3 / (2.0 * n).sqrt(), "{what}");
        }
    }
}

#[test]
fn after_attaching_exactly_the_adapters_and_the_kept_parameters_are_trainable() {
    fn law<M: Example>(device: &Device) {
        for goft in methods::settings() {
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
        for goft in methods::settings() {
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
        for method in methods::methods() {
            let adapted = base.clone().apply_goft(method.goft.clone()).unwrap();
            let layers = [7, 12, 5].map(|d| methods::parameter_count(&method.goft, d));
            let expected = count + layers.iter().sum::<usize>();
            assert_eq!(adapted.num_params(), expected, "{}", method.name);
        }
    }
}

#[test]
fn attaching_holds_the_norms_still_that_do_not_train_and_leaves_other_training_flags() {
    for (_, device) in common::devices() {
        for (before, trained) in [(true, true), (true, false), (false, true), (false, false)] {
            let model: Mixed = example(&device.clone().autodiff());
            let model = if before { model } else { model.freeze() };
            let goft = if trained {
                Goft::strict().with_trainable(["batch_norm.*"])
            } else {
                Goft::strict()
            };
            let adapted = model.apply_goft(goft).unwrap();
            let enabled = adapted.batch_norm.training.is_enabled();
            assert_eq!(enabled, before && trained);
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
            let either = [first, device].map(|device| common::through_products(device, 1e-6));
            let tolerance = either[0].max(either[1]);
            common::assert_close(name, &common::numbers(&moved.run()), &expected, tolerance);
        }
    }
}

#[test]
fn a_lone_parameter_can_be_adapted() {
    for (_, device) in common::devices() {
        let values = common::normal(1, 12);
        let tensor = common::tensor(&values, [4, 3], &device, DType::F32);
        let goft = Goft::strict().with_targets([""]).with_axis(0);
        let param = Param::from_tensor(tensor.clone()).apply_goft(goft).unwrap();
        let adapter = param.reparameterization::<GoftAdapter>().unwrap();
        assert_eq!(methods::case_of(adapter).name, "strict");
        assert_eq!(bits(&param.val()), bits(&tensor));

        let turned = stir(param, 3, 0.5);
        let adapter = turned.reparameterization::<GoftAdapter>().unwrap();
        let expected = burn_goft::rotate(tensor, adapter.blocks().unwrap(), 0);
        assert_eq!(bits(&turned.val()), bits(&expected));
        assert_eq!(turned.adapter_report().layers[0].path, "");
    }
}

#[test]
fn a_lone_parameter_can_be_given_to_apply_goft_by_a_pattern_for_any_path() {
    for (_, device) in common::devices() {
        let param = Param::from_tensor(Tensor::<2>::ones([4, 3], &device));
        let adapted = param
            .apply_goft(Goft::strict().with_targets(["*"]).with_axis(0))
            .unwrap();
        assert_eq!(adapted.adapter_report().trainable_parameters(), 3);
    }
}
