//! Adapter files: what they bring back, and what they hold.

mod contents;
mod failed_saves;
mod format;
mod records;
mod refusals;
mod unusual;

use std::path::PathBuf;

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Device;
use burn_goft::{Goft, GoftModule};

use crate::common;
use crate::methods;
use crate::models::{
    Example, GoftMlp, Mixed, Mlp, bits, example, for_every_example, parameters, stir, values,
};

fn file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("adapter.safetensors")
}

/// Adapted with the head's bias kept, and trained for a step, so that everything that can move has
/// moved.
fn trained<M: Example>(goft: &Goft, device: &Device) -> M {
    let goft = goft.clone().with_trainable(["head.bias"]);
    let model = example::<M>(&device.clone().autodiff()).freeze();
    step(stir(model.apply_goft(goft).unwrap(), 5, 0.2))
}

fn step<M: Example>(model: M) -> M {
    let grads = model.run().square().mean().backward();
    let grads = GradientsParams::from_grads(grads, &model);
    SgdConfig::new().init().step(0.1, model, grads)
}

#[test]
fn a_file_loaded_onto_the_base_model_gives_the_same_bits() {
    fn law<M: Example>(device: &Device) {
        let folder = tempfile::tempdir().unwrap();
        for goft in methods::settings() {
            let model: M = trained(&goft, device);
            model.save_adapters(file(&folder)).unwrap();
            let loaded = example::<M>(device).load_adapters(file(&folder)).unwrap();
            let name = methods::name(&goft);
            assert_eq!(values(&loaded), values(&model), "{name}");
            assert_eq!(bits(&loaded.run()), bits(&model.valid().run()), "{name}");
            assert_eq!(loaded.adapter_report(), model.adapter_report(), "{name}");
        }
    }
    for_every_example!(law);
}

#[test]
fn a_file_loaded_onto_the_base_model_in_training_can_be_trained_on() {
    fn law<M: Example>(device: &Device) {
        let folder = tempfile::tempdir().unwrap();
        let model: M = trained(&Goft::quasi(), device);
        model.save_adapters(file(&folder)).unwrap();
        let base = example::<M>(&device.clone().autodiff()).freeze();
        let loaded = base.load_adapters(file(&folder)).unwrap();
        let flags = |model: &M| -> Vec<_> {
            let held = parameters(model).into_iter();
            held.map(|(path, held)| (path, held.trainable)).collect()
        };
        assert_eq!(flags(&loaded), flags(&model));
        assert_eq!(values(&step(loaded)), values(&step(model)));
    }
    for_every_example!(law);
}

#[test]
fn a_file_loaded_into_an_adapted_model_changes_values_and_ids_of_what_is_trained_only() {
    fn law<M: Example>(device: &Device) {
        let folder = tempfile::tempdir().unwrap();
        for goft in methods::settings() {
            let model: M = trained(&goft, device);
            model.save_adapters(file(&folder)).unwrap();
            let target: M = stir(trained(&goft, device), 8, 0.3);
            assert_ne!(values(&target), values(&model));
            let before = parameters(&target);
            let loaded = target.load_adapters(file(&folder)).unwrap();
            assert_eq!(values(&loaded), values(&model));
            let saved = parameters(&model);
            for (path, held) in parameters(&loaded) {
                assert_eq!(held.trainable, before[&path].trainable, "{path}");
                let from = if held.trainable { &saved } else { &before };
                assert_eq!(held.id, from[&path].id, "{path}");
            }
        }
    }
    for_every_example!(law);
}

#[test]
fn a_file_saved_in_training_and_one_saved_in_validation_have_the_same_bytes() {
    fn law<M: Example>(device: &Device) {
        let folder = tempfile::tempdir().unwrap();
        let model: M = trained(&Goft::quasi(), device);
        model.save_adapters(file(&folder)).unwrap();
        let in_training = std::fs::read(file(&folder)).unwrap();
        model.valid().save_adapters(file(&folder)).unwrap();
        assert_eq!(std::fs::read(file(&folder)).unwrap(), in_training);
    }
    for_every_example!(law);
}

fn normed(device: &Device) -> Mixed {
    let goft = Goft::strict().with_trainable(["batch_norm.*"]);
    let model = example::<Mixed>(&device.clone().autodiff());
    step(step(stir(model.apply_goft(goft).unwrap(), 5, 0.2)))
}

fn statistics(norm: &BatchNorm) -> [Vec<u64>; 2] {
    [
        bits(&norm.running_mean.value()),
        bits(&norm.running_var.value()),
    ]
}

#[test]
fn the_statistics_of_a_kept_batch_norm_travel_with_it() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let model = normed(&device);
        // Before `valid`, which would count in the last batch.
        model.save_adapters(file(&folder)).unwrap();
        let valid = model.valid();
        let base: Mixed = example(&device);
        let at_start = statistics(&base.batch_norm);
        let loaded = base.load_adapters(file(&folder)).unwrap();
        assert_ne!(statistics(&loaded.batch_norm), at_start);
        assert_eq!(
            statistics(&loaded.batch_norm),
            statistics(&valid.batch_norm)
        );
        assert_eq!(bits(&loaded.run()), bits(&valid.run()));

        let adapted = normed(&device)
            .load_adapters(file(&folder))
            .unwrap()
            .valid();
        assert_eq!(values(&adapted), values(&valid));
    }
}

#[test]
fn a_file_of_one_side_loads_on_the_other() {
    for (name, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        for goft in methods::settings() {
            let what = format!("{name} {}", methods::name(&goft));
            let weight_side: Mlp = trained(&goft, &device);
            weight_side.save_adapters(file(&folder)).unwrap();
            let input_side = example::<GoftMlp>(&device)
                .load_adapters(file(&folder))
                .unwrap();
            let tolerance = common::through_products(&device, 1e-6);
            let expected = common::numbers(&weight_side.valid().run());
            common::assert_close(
                &what,
                &common::numbers(&input_side.run()),
                &expected,
                tolerance,
            );

            let input_side: GoftMlp = trained(&goft, &device);
            input_side.save_adapters(file(&folder)).unwrap();
            let weight_side = example::<Mlp>(&device)
                .load_adapters(file(&folder))
                .unwrap();
            let expected = common::numbers(&input_side.valid().run());
            common::assert_close(
                &what,
                &common::numbers(&weight_side.run()),
                &expected,
                tolerance,
            );
        }
    }
}
