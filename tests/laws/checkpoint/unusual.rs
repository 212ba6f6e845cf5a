//! Models and places off the usual path.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Tensor};
use burn_goft::{Goft, GoftModule, NormScale};

use super::file;
use crate::common;
use crate::models::{GoftMlp, Mlp, bits, example, fill, stir, values};

#[test]
fn a_model_split_over_devices_gets_each_adapter_beside_its_weight() {
    let devices = common::devices();
    let folder = tempfile::tempdir().unwrap();
    let ((_, first), (_, last)) = (&devices[0], &devices[devices.len() - 1]);
    let split = || {
        let mut model: Mlp = example(first);
        model.fc2 = model.fc2.to_device(last);
        model
    };
    let model = stir(split().apply_goft(Goft::quasi()).unwrap(), 5, 0.3);
    model.save_adapters(file(&folder)).unwrap();
    let merged = model.clone().merge_adapters().unwrap();
    for loaded in [
        split().load_adapters(file(&folder)).unwrap(),
        model.clone().load_adapters(file(&folder)).unwrap(),
        merged.unmerge_adapters(file(&folder)).unwrap(),
    ] {
        assert_eq!(loaded.fc1.devices(), std::slice::from_ref(first));
        assert_eq!(loaded.fc2.devices(), std::slice::from_ref(last));
        let (found, expected) = (loaded.fc2.weight.val(), model.fc2.weight.val());
        common::assert_close(
            "fc2",
            &common::numbers(&found),
            &common::numbers(&expected),
            1e-5,
        );
    }
}

#[test]
fn layers_adapted_one_by_one_each_in_its_way_travel_in_one_file() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let mut model: GoftMlp = example(&device);
        model.fc1 = model.fc1.attach(Goft::strict()).unwrap();
        let neuron = Goft::quasi().with_norm_scale(NormScale::Neuron);
        model.fc2 = model.fc2.attach(&neuron).unwrap();
        let model = stir(model, 5, 0.2);
        model.save_adapters(file(&folder)).unwrap();
        let loaded = example::<GoftMlp>(&device)
            .load_adapters(file(&folder))
            .unwrap();
        assert_eq!(values(&loaded), values(&model));
        assert_eq!(loaded.adapter_report(), model.adapter_report());
    }
}

#[test]
fn the_adapter_of_a_lone_parameter_travels_too() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let base = || {
            let values = common::normal(1, 12);
            Param::from_tensor(common::tensor(&values, [4, 3], &device, DType::F32))
        };
        let goft = Goft::strict().with_targets([""]).with_axis(0);
        let param = stir(base().apply_goft(goft).unwrap(), 3, 0.5);
        param.save_adapters(file(&folder)).unwrap();
        let loaded = base().load_adapters(file(&folder)).unwrap();
        assert_eq!(bits(&loaded.val()), bits(&param.val()));
    }
}

/// A user's own name for a field may be ours for the adapter.
#[derive(Module, Debug)]
struct Named {
    goft: GoftNamed,
}

#[derive(Module, Debug)]
struct GoftNamed {
    goft: Linear,
    head: Linear,
}

#[test]
fn a_field_named_goft_is_a_field_like_any_other() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let base = || {
            let goft = LinearConfig::new(5, 4).init(&device);
            let head = LinearConfig::new(4, 3).init(&device);
            fill(
                Named {
                    goft: GoftNamed { goft, head },
                },
                2,
            )
        };
        let goft = Goft::quasi().with_trainable(["*.bias", "*.head.weight"]);
        let model = stir(base().apply_goft(goft).unwrap(), 5, 0.3);
        assert_eq!(model.adapter_report().layers[0].path, "goft.goft.weight");
        let model = model.map(&mut Shift);
        model.save_adapters(file(&folder)).unwrap();
        let loaded = base().load_adapters(file(&folder)).unwrap();
        assert_eq!(values(&loaded), values(&model));
        let adapted = stir(loaded, 8, 0.1).load_adapters(file(&folder)).unwrap();
        assert_eq!(values(&adapted), values(&model));
    }
}

/// Moves every parameter of rank 1.
struct Shift;

impl ModuleMapper for Shift {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| if D == 1 { tensor + 0.25 } else { tensor })
    }
}

/// The working directory is the whole process's.
#[test]
fn a_file_in_the_working_directory_needs_no_folder_in_its_path() {
    let law = "checkpoint::unusual::a_file_in_the_working_directory_needs_no_folder_in_its_path";
    common::in_its_own_process(law, || {
        let (_, device) = common::devices().remove(0);
        let folder = tempfile::tempdir().unwrap();
        std::env::set_current_dir(folder.path()).unwrap();
        let goft = Goft::strict().with_norm_scale(NormScale::Input);
        let model = stir(example::<Mlp>(&device).apply_goft(goft).unwrap(), 5, 0.2);
        model.save_adapters("adapter.safetensors").unwrap();
        let loaded = example::<Mlp>(&device)
            .load_adapters("adapter.safetensors")
            .unwrap();
        assert_eq!(values(&loaded), values(&model));
    });
}

#[cfg(unix)]
#[test]
fn a_file_has_the_permissions_of_any_other_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let (_, device) = common::devices().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, b"").unwrap();
    let model = example::<Mlp>(&device).apply_goft(Goft::strict()).unwrap();
    model.save_adapters(file(&folder)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&file(&folder)), mode(&other));
}
