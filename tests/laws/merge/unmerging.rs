//! Taking an adapter out of a merged weight.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::LinearConfig;
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{GoftAdapter, GoftModule};

use super::saved;
use crate::common;
use crate::methods;
use crate::models::{self, Example, bits, example, for_every_example, parameters, stir};

#[test]
fn unmerging_restores_weights_outputs_adapters_and_kept_parameters() {
    fn law<M: Example>(device: &Device) {
        let folder = tempfile::tempdir().unwrap();
        for goft in methods::settings() {
            let name = methods::name(&goft);
            // With the statistics of norms at rest, so that a run changes nothing.
            let base = example::<M>(&device.clone().autodiff()).freeze();
            let model = base.apply_goft(goft.with_trainable(["head.bias"])).unwrap();
            let model = stir(model, 5, 0.2);
            let path = saved(&model, &folder);
            let unmerged = model
                .clone()
                .merge_adapters()
                .unwrap()
                .unmerge_adapters(&path)
                .unwrap();
            let (found, expected) = (parameters(&unmerged), parameters(&model));
            assert!(found.keys().eq(expected.keys()), "{name}");
            for (path, expected) in expected {
                let found = &found[&path];
                assert_eq!(found.trainable, expected.trainable, "{name} {path}");
                if path.ends_with(".weight") {
                    let numbers = |bits: &[u64]| -> Vec<f64> {
                        bits.iter().map(|bits| f64::from_bits(*bits)).collect()
                    };
                    let what = format!("{name} {path}");
                    common::assert_close(
                        what,
                        &numbers(&found.bits),
                        &numbers(&expected.bits),
                        1e-5,
                    );
                } else {
                    assert_eq!(found.bits, expected.bits, "{name} {path}");
                }
            }
            let (found, expected) = (unmerged.run(), model.run());
            common::assert_close(
                &name,
                &common::numbers(&found),
                &common::numbers(&expected),
                common::through_products(device, 1e-5),
            );
            let base = unmerged.disable_adapters().run();
            let expected = model.disable_adapters().run();
            common::assert_close(
                &name,
                &common::numbers(&base),
                &common::numbers(&expected),
                common::through_products(device, 1e-5),
            );
        }
    }
    for_every_example!(law);
}

#[test]
fn merging_and_unmerging_hold_in_every_dtype() {
    struct Cast(DType);
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(self.0))
        }
    }
    for row in common::rows() {
        let folder = tempfile::tempdir().unwrap();
        for goft in methods::settings() {
            let what = format!("{row} {}", methods::name(&goft));
            let linear = models::fill(LinearConfig::new(12, 5).init(&row.device), 2);
            let linear = linear.map(&mut Cast(row.dtype)).apply_goft(goft).unwrap();
            let linear = stir(linear, 3, 0.1);
            let path = saved(&linear, &folder);
            let base = common::numbers(&linear.weight.base());
            let adapted = linear.weight.val();
            let merged = linear.merge_adapters().unwrap();
            assert_eq!(merged.weight.val().dtype(), row.dtype, "{what}");
            assert_eq!(bits(&merged.weight.val()), bits(&adapted), "{what}");
            let unmerged = merged.unmerge_adapters(path).unwrap().weight.base();
            assert_eq!(unmerged.dtype(), row.dtype, "{what}");
            // The stored weight is rounded twice, and the rotation's condition is below 4.
            let tolerance = 8.0 * common::epsilon(row.dtype);
            common::assert_close(what, &common::numbers(&unmerged), &base, tolerance);
        }
    }
}

#[test]
fn the_error_of_an_unmerged_weight_is_within_its_condition() {
    for (name, device) in common::devices() {
        for goft in methods::settings() {
            for std in [0.1, 0.4] {
                let linear = models::fill(LinearConfig::new(33, 7).init(&device), 2);
                let linear = stir(linear.apply_goft(goft.clone()).unwrap(), 3, std);
                let adapter: GoftAdapter = linear.weight.reparameterization().cloned().unwrap();
                let unmerged = adapter.unmerge(linear.weight.val()).unwrap();
                let what = format!("{name} {} {std}", methods::name(&goft));
                // Six levels and a scale, each rounded twice on the way there and twice on the way
                // back.
                let tolerance = 28.0 * common::epsilon(DType::F32) * unmerged.condition;
                let expected = common::numbers(&linear.weight.base());
                common::assert_close(
                    &what,
                    &common::numbers(&unmerged.weight),
                    &expected,
                    tolerance,
                );
                let orthogonal = methods::case_of(&adapter).orthogonal;
                if orthogonal && adapter.scale().is_none() {
                    assert_eq!(unmerged.condition, 1.0, "{what}");
                } else {
                    assert!(unmerged.condition > 1.0, "{what}");
                }
            }
        }
    }
}
