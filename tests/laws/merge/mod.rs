//! Folding adapters into weights.

mod refusals;
mod unmerging;

use std::path::PathBuf;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use burn_goft::{Goft, GoftModule};

use crate::common;
use crate::methods;
use crate::models::{
    self, Encoder, Example, GoftMlp, Mlp, bits, example, for_every_example, parameters, rewrite,
    stir, values,
};

fn adapted<M: Example>(goft: &Goft, device: &Device) -> M {
    stir(
        example::<M>(device).apply_goft(goft.clone()).unwrap(),
        5,
        0.2,
    )
}

fn saved<M: Module>(model: &M, folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("adapter.safetensors");
    model.save_adapters(&path).unwrap();
    path
}

/// Sets one entry of the parameters whose path ends as given.
struct Poke {
    names: Vec<String>,
    path: &'static str,
    value: f64,
}

fn poke<M: Module>(model: M, path: &'static str, value: f64) -> M {
    let names = Vec::new();
    model.map(&mut Poke { names, path, value })
}

impl ModuleMapper for Poke {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.names.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.names.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.names.join(".") != self.path {
            return param;
        }
        let mut values = common::numbers(&param.base());
        values[0] = self.value;
        rewrite(param, &values)
    }
}

#[test]
fn a_merged_model_computes_what_the_adapted_one_does_and_not_what_the_base_does() {
    fn law<M: Example>(device: &Device) {
        let base = common::numbers(&example::<M>(device).run());
        for goft in methods::settings() {
            let model: M = adapted(&goft, device);
            let unmerged = common::numbers(&model.run());
            let merged = common::numbers(&model.merge_adapters().unwrap().run());
            let tolerance = common::through_products(device, 1e-5);
            common::assert_close(methods::name(&goft), &merged, &unmerged, tolerance);
            let moved = merged.iter().zip(&base).any(|(m, b)| (m - b).abs() > 1e-2);
            assert!(moved, "{}", methods::name(&goft));
        }
    }
    for_every_example!(law);
}

#[test]
fn a_merged_model_carries_no_adapter_and_has_the_parameters_of_the_base() {
    fn law<M: Example>(device: &Device) {
        let base: M = example(device);
        let merged = stir(base.clone().apply_goft(Goft::quasi()).unwrap(), 5, 0.2);
        let merged = merged.merge_adapters().unwrap();
        let names = |model: &M| -> Vec<_> {
            let held = parameters(model).into_iter();
            held.map(|(path, held)| (path, held.id, held.shape))
                .collect()
        };
        assert_eq!(names(&merged), names(&base));
        assert!(merged.adapter_report().layers.is_empty());
    }
    for_every_example!(law);
}

#[test]
fn merging_changes_the_targets_only() {
    for (_, device) in common::devices() {
        let base = values(&example::<Encoder>(&device));
        let goft = Goft::quasi().with_targets(["*.query.weight"]);
        let merged = values(&adapted::<Encoder>(&goft, &device).merge_adapters().unwrap());
        for (path, bits) in merged {
            assert_eq!(
                bits != base[&path],
                path.ends_with("query.weight"),
                "{path}"
            );
        }
    }
}

#[test]
fn a_merged_model_saves_and_loads_as_a_plain_record() {
    fn law<M: Example>(device: &Device) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("merged.bpk");
        let merged = adapted::<M>(&Goft::quasi(), device)
            .merge_adapters()
            .unwrap();
        merged.clone().save_file(&path).unwrap();
        let loaded = models::fill(M::new(device), 77).load_file(&path);
        assert_eq!(values(&loaded), values(&merged));
        assert_eq!(bits(&loaded.run()), bits(&merged.run()));
    }
    for_every_example!(law);
}

#[test]
fn materialize_and_merge_adapters_give_the_same_bits() {
    fn law<M: Example>(device: &Device) {
        for goft in methods::settings() {
            let model: M = adapted(&goft, device);
            let merged = values(&model.clone().merge_adapters().unwrap());
            assert_eq!(values(&model.materialize()), merged);
        }
    }
    for_every_example!(law);
}

#[test]
fn merging_in_training_and_in_validation_gives_the_same_weights() {
    for (_, device) in common::devices() {
        let model: Mlp = adapted(
            &Goft::quasi().with_trainable(["head.*"]),
            &device.autodiff(),
        );
        let merged = model.clone().merge_adapters().unwrap();
        assert_eq!(
            values(&model.valid().merge_adapters().unwrap()),
            values(&merged)
        );
        for (path, held) in parameters(&merged) {
            assert_eq!(held.trainable, path.starts_with("head."), "{path}");
        }
    }
}

#[test]
fn a_merge_on_the_input_side_is_that_of_the_weight_side() {
    for (_, device) in common::devices() {
        for goft in methods::settings() {
            let input_side: GoftMlp = adapted(&goft, &device);
            let weight_side: Mlp = adapted(&goft, &device);
            let input_side = values(&input_side.merge_adapters().unwrap());
            assert_eq!(input_side, values(&weight_side.merge_adapters().unwrap()));
        }
    }
}
