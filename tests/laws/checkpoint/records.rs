//! burn's own records carry an adapted model too.

use burn::module::{Module, ParamGroup};
use burn::store::ModuleRecord;
use burn::tensor::Device;
use burn_goft::{Goft, GoftModule};

use super::{file, trained};
use crate::common;
use crate::methods;
use crate::models::{self, Example, Mlp, bits, example, for_every_example, stir, values};

fn other<M: Example>(goft: &Goft, device: &Device) -> M {
    let goft = goft.clone().with_trainable(["head.bias"]);
    models::fill(
        example::<M>(&device.clone().autodiff())
            .freeze()
            .apply_goft(goft)
            .unwrap(),
        9,
    )
}

#[test]
fn a_record_brings_base_and_adapter_back_bit_for_bit() {
    fn law<M: Example>(device: &Device) {
        for goft in methods::settings() {
            let model: M = trained(&goft, device);
            let target: M = other(&goft, device);
            assert_ne!(values(&target), values(&model));
            let loaded = target.load_record(model.clone().into_record());
            assert_eq!(values(&loaded), values(&model), "{}", methods::name(&goft));
            assert_eq!(bits(&loaded.run()), bits(&model.run()));
        }
    }
    for_every_example!(law);
}

#[test]
fn a_record_file_and_record_bytes_do_the_same() {
    fn law<M: Example>(device: &Device) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bpk");
        let (model, goft) = (trained::<M>(&Goft::quasi(), device), Goft::quasi());
        model.clone().save_file(&path).unwrap();
        assert_eq!(
            values(&other::<M>(&goft, device).load_file(&path)),
            values(&model)
        );
        let bytes = model.clone().into_record().into_bytes().unwrap();
        let record = ModuleRecord::from_bytes(bytes).unwrap();
        assert_eq!(
            values(&other::<M>(&goft, device).load_record(record)),
            values(&model)
        );
    }
    for_every_example!(law);
}

#[test]
fn a_record_of_the_adapters_alone_leaves_the_base() {
    for (_, device) in common::devices() {
        let (model, target): (Mlp, Mlp) = (
            trained(&Goft::quasi(), &device),
            other(&Goft::quasi(), &device),
        );
        let before = values(&target);
        let group = ParamGroup::from_predicate(".goft.");
        let record = model.clone().into_record_group(group).allow_partial(true);
        let after = values(&target.load_record(record));
        for (path, expected) in values(&model) {
            let from = if path.contains(".goft.") {
                &expected
            } else {
                &before[&path]
            };
            assert_eq!(&after[&path], from, "{path}");
        }
    }
}

#[test]
fn a_record_of_one_form_does_not_load_as_another() {
    let (_, device) = common::devices().remove(0);
    let settings = methods::settings();
    for one in &settings {
        for another in settings.iter().filter(|another| *another != one) {
            let model: Mlp = trained(one, &device);
            let target: Mlp = other(another, &device);
            let names = format!("{} as {}", methods::name(one), methods::name(another));
            assert!(
                target.try_load_record(model.into_record()).is_err(),
                "{names}"
            );
        }
    }
}

#[test]
fn an_adapter_file_loads_onto_a_base_restored_from_a_record() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let model: Mlp = trained(&Goft::strict(), &device);
        model.save_adapters(file(&folder)).unwrap();
        let record = example::<Mlp>(&device).into_record();
        let base = Mlp::new(&device).load_record(record);
        let loaded = base.load_adapters(file(&folder)).unwrap();
        assert_eq!(bits(&loaded.run()), bits(&model.valid().run()));
    }
}

#[test]
fn a_detached_clone_of_the_base_is_not_changed_by_the_adapted_model() {
    for (_, device) in common::devices() {
        let base: Mlp = example(&device.autodiff());
        let before = values(&base);
        let adapted = base.clone().apply_goft(Goft::quasi()).unwrap();
        let _ = super::step(stir(adapted, 5, 0.3));
        assert_eq!(values(&base), before);
    }
}
