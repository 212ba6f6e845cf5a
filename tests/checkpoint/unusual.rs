//! Models and places off the usual path.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Tensor};
use burn_goft::{Goft, GoftModule, NormScale};

use crate::models::{self, GoftMlp, Mlp, bits, example, fill, stir, values};
use crate::{common, file};

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
    model.save_goft(file(&folder)).unwrap();
    let merged = model.clone().merge_goft().unwrap();
    for loaded in [
        split().load_goft(file(&folder)).unwrap(),
        model.clone().load_goft(file(&folder)).unwrap(),
        merged.unmerge_goft(file(&folder)).unwrap(),
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
        model.fc1 = model.fc1.attach(&Goft::strict()).unwrap();
        let neuron = Goft::quasi().with_norm_scale(NormScale::Neuron);
        model.fc2 = model.fc2.attach(&neuron).unwrap();
        let model = stir(model, 5, 0.2);
        model.save_goft(file(&folder)).unwrap();
        let loaded = example::<GoftMlp>(&device)
            .load_goft(file(&folder))
            .unwrap();
        assert_eq!(values(&loaded), values(&model));
        assert_eq!(loaded.goft_report(), model.goft_report());
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
        let param = stir(base().apply_reparameterization(Goft::strict()), 3, 0.5);
        param.save_goft(file(&folder)).unwrap();
        let loaded = base().load_goft(file(&folder)).unwrap();
        assert_eq!(bits(&loaded.val()), bits(&param.val()));
    }
}

#[test]
fn a_layer_with_nothing_to_turn_travels_too() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        for goft in models::settings() {
            let base = || fill(LinearConfig::new(1, 3).init(&device), 2);
            let layer = stir(base().apply_goft(goft.clone()).unwrap(), 3, 0.3);
            layer.save_goft(file(&folder)).unwrap();
            let loaded = base().load_goft(file(&folder)).unwrap();
            assert_eq!(values(&loaded), values(&layer), "{}", models::name(&goft));
        }
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
        assert_eq!(model.goft_report().layers[0].path, "goft.goft.weight");
        let model = model.map(&mut Shift);
        model.save_goft(file(&folder)).unwrap();
        let loaded = base().load_goft(file(&folder)).unwrap();
        assert_eq!(values(&loaded), values(&model));
        let adapted = stir(loaded, 8, 0.1).load_goft(file(&folder)).unwrap();
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

#[test]
fn a_file_in_the_working_directory_needs_no_folder_in_its_path() {
    let (_, device) = common::devices().remove(0);
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let goft = Goft::strict().with_norm_scale(NormScale::Input);
    let model = stir(example::<Mlp>(&device).apply_goft(goft).unwrap(), 5, 0.2);
    model.save_goft("adapter.safetensors").unwrap();
    let loaded = example::<Mlp>(&device)
        .load_goft("adapter.safetensors")
        .unwrap();
    assert_eq!(values(&loaded), values(&model));
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
    model.save_goft(file(&folder)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&file(&folder)), mode(&other));
}
