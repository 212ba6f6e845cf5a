//! What a file belongs to: parameters across a restart, and the base that it was trained on.

use burn::module::{Module, ParamGroup};
use burn::nn::LinearConfig;
use burn::optim::AdamConfig;
use burn::tensor::{DType, Device};
use burn_goft::{AdapterFile, AdapterOnly, Goft, GoftModule};

use super::order::{Cast, halves, quantized};
use super::{batch, devices, distance, train, train_mlp};
use crate::common;
use crate::methods;
use crate::models::{Example, Mlp, bits, example, fill, stir};

/// The encoder of all other models under a head that nobody trained with it.
fn with_other_head(device: &Device) -> Mlp {
    Mlp {
        head: fill(Mlp::new(device), 40).head,
        ..example(device)
    }
}

#[test]
fn an_optimizer_goes_on_with_a_loaded_adapter_bit_for_bit() {
    for device in devices() {
        let folder = tempfile::tempdir().unwrap();
        let [file, record] = ["a", "o.bpk"].map(|name| folder.path().join(name));
        for case in methods::methods() {
            let goft = case.goft.with_trainable(["head.*"]);
            let adapted = || example::<Mlp>(&device).apply_goft(goft.clone()).unwrap();
            let mut optimizer = AdamConfig::new().init();
            let model = train(adapted(), &mut optimizer, 0..10, 7, Mlp::forward);
            model.save_adapters(&file).unwrap();
            optimizer.save(&record).unwrap();
            let moments = optimizer.to_record().len();
            let straight = train(model, &mut optimizer, 10..20, 7, Mlp::forward);

            let onto_base = example::<Mlp>(&device).load_adapters(&file).unwrap();
            let onto_adapters = adapted().load_adapters(&file).unwrap();
            for loaded in [onto_base, onto_adapters] {
                let mut optimizer = AdamConfig::new().init().load(&record).unwrap();
                let resumed = train(loaded, &mut optimizer, 10..20, 7, Mlp::forward);
                let x = batch(99, 7, &device);
                let (found, expected) = (resumed.forward(x.clone()), straight.forward(x));
                assert_eq!(bits(&found), bits(&expected), "{}", case.name);
                // And no moments of parameters that are no more.
                assert_eq!(optimizer.to_record().len(), moments, "{}", case.name);
            }
        }
    }
}

#[test]
fn an_adapter_loaded_over_another_leaves_nothing_of_it() {
    for device in devices() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
        let with_head = Goft::strict().with_trainable(["head.*"]);
        let save = |goft: Goft, steps, file| {
            let model = example::<Mlp>(&device).apply_goft(goft).unwrap();
            train_mlp(model, steps).save_adapters(file).unwrap();
        };
        save(with_head.clone(), 0..8, &a);
        save(Goft::strict().with_exclude(["head.*"]), 8..16, &b);
        save(with_head, 16..24, &c);
        let load = |file| example::<Mlp>(&device).load_adapters(file).unwrap();
        let x = || batch(9, 7, &device);

        // Whatever base is meant, the head of A would stay.
        let file = AdapterFile::read(&b).unwrap();
        for file in [file.clone(), file.for_any_base()] {
            let over = load(&a).load_adapters(file).unwrap_err();
            assert!(over.is_mismatch() && !over.is_other_base(), "{over}");
            assert!(
                over.to_string().contains("the model trains `head."),
                "{over}"
            );
        }
        // Frozen or not: the head is not the one that B was trained with.
        let over = load(&a).freeze().load_adapters(&b).unwrap_err();
        assert!(over.is_other_base(), "{over}");
        assert!(over.to_string().contains("head."), "{over}");
        let over = load(&a).load_adapters(&c).unwrap();
        assert_eq!(bits(&over.forward(x())), bits(&load(&c).forward(x())));
        let detached = load(&a).detach_adapters();
        assert!(detached.load_adapters(&b).unwrap_err().is_other_base());
    }
}

#[test]
fn a_loaded_adapter_acts() {
    for device in devices() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.safetensors");
        let goft = Goft::strict().with_init_std(0.5);
        let model = example::<Mlp>(&device).apply_goft(goft).unwrap();
        model.save_adapters(&file).unwrap();
        let off = example::<Mlp>(&device).apply_goft(Goft::strict()).unwrap();
        let off = off.disable_adapters();
        assert!(off.adapter_report().to_string().contains("(off)"));
        assert!(!off.adapter_report().is_enabled());
        let on = off.load_adapters(&file).unwrap();
        assert!(on.adapter_report().is_enabled());
        let x = || batch(9, 7, &device);
        assert_eq!(bits(&on.forward(x())), bits(&model.forward(x())));
    }
}

#[test]
fn a_file_refuses_another_base() {
    for device in devices() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.safetensors");
        let base = || example::<Mlp>(&device);
        let model = train_mlp(base().apply_goft(Goft::strict()).unwrap(), 0..10);
        model.save_adapters(&file).unwrap();

        // A fresh head among the targets.
        let error = with_other_head(&device).load_adapters(&file).unwrap_err();
        assert!(error.is_other_base(), "{error}");
        assert!(error.to_string().contains("`head.weight`"), "{error}");
        let any = AdapterFile::read(&file).unwrap().for_any_base();
        assert!(with_other_head(&device).load_adapters(any).is_ok());

        // The model into which the adapter was merged.
        let merged = model.clone().merge_adapters().unwrap();
        let error = merged.clone().load_adapters(&file).unwrap_err();
        assert!(error.is_other_base(), "{error}");
        let x = || batch(9, 7, &device);
        let unmerged = merged.unmerge_adapters(&file).unwrap();
        let tolerance = common::through_products(&device, 1e-5);
        assert!(distance(&unmerged.forward(x()), &model.forward(x())) < tolerance);
        // And the one into which it was not.
        let error = base().unmerge_adapters(&file).unwrap_err();
        assert!(error.is_other_base(), "{error}");

        // A frozen head beside the targets is part of the base.
        let excluded = Goft::strict().with_exclude(["head.*"]);
        let excluded = train_mlp(base().apply_goft(excluded).unwrap(), 0..3);
        let excluded = AdapterFile::capture(&excluded).unwrap();
        let error = excluded.check(&with_other_head(&device)).unwrap_err();
        assert!(error.is_other_base(), "{error}");
        assert!(excluded.check(&base()).is_ok());
    }
}

/// A rotation that moves the weights by less than packing or rounding them does.
#[test]
fn a_small_adapter_that_is_merged_already_is_refused_in_every_precision() {
    for device in devices() {
        let base = || -> Mlp { fill(wide(&device), 50) };
        for case in methods::methods() {
            let model = stir(base().apply_goft(case.goft.clone()).unwrap(), 51, 0.02);
            let file = AdapterFile::capture(&model).unwrap();
            let merged = model.clone().merge_adapters().unwrap();
            let moved = distance(&merged.fc1.weight.val(), &base().fc1.weight.val());
            assert!(moved > 1e-4, "{}: {moved}", case.name);
            for precision in [Precision::Same, Precision::Half, Precision::Packed] {
                let what = format!("{} {precision:?}", case.name);
                let Some(right) = precision.of(base(), &device) else {
                    continue;
                };
                file.check(&right)
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                if precision != Precision::Packed {
                    let error = right.clone().unmerge_adapters(&file).unwrap_err();
                    assert!(error.is_other_base(), "{what}: {error}");
                }
                let wrong = precision.of(merged.clone(), &device).unwrap();
                if precision == Precision::Packed && case.name.starts_with("hra") {
                    // It starts at random vectors, and this noise leaves it nearer than packing.
                    continue;
                }
                let error = wrong.clone().load_adapters(&file).unwrap_err();
                assert!(error.is_other_base(), "{what}: {error}");
                let any = file.clone().for_any_base();
                assert!(wrong.load_adapters(any).is_ok(), "{what}");
            }
        }
    }
}

/// Wide enough for a distribution.
fn wide(device: &Device) -> Mlp {
    Mlp {
        fc1: LinearConfig::new(64, 64).init(device),
        fc2: LinearConfig::new(64, 64).init(device),
        head: LinearConfig::new(64, 32).init(device),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Precision {
    Same,
    Half,
    Packed,
}

impl Precision {
    fn of(self, model: Mlp, device: &Device) -> Option<Mlp> {
        match self {
            Self::Same => Some(model),
            Self::Half => {
                let dtype = halves(device).next()?;
                Some(model.map(&mut Cast(dtype)))
            }
            Self::Packed => Some(quantized(model, device)),
        }
    }
}

#[test]
fn a_file_refuses_a_model_that_lacks_what_was_there() {
    for device in devices() {
        let whole = (example::<Mlp>(&device), example::<Mlp>(&device).head);
        let goft = Goft::strict().with_targets(["0.fc1.weight"]);
        let model = whole.clone().apply_goft(goft).unwrap();
        let file = AdapterFile::capture(&model).unwrap();
        let mut fewer = whole;
        fewer.1.bias = None;
        let error = fewer.clone().load_adapters(&file).unwrap_err();
        let expected = "`1.bias`, which the model does not have";
        assert!(
            error.is_mismatch() && error.to_string().contains(expected),
            "{error}"
        );
        assert!(fewer.load_adapters(file.for_any_base()).is_ok());
    }
}

#[test]
fn prefixes_come_and_go_and_a_wrong_one_is_refused() {
    for device in devices() {
        let whole = (example::<Mlp>(&device), fill(Mlp::new(&device), 41));
        let model = whole
            .clone()
            .apply_goft(Goft::quasi().with_init_std(0.2))
            .unwrap();
        let file = AdapterFile::capture(&model).unwrap();
        let x = || batch(9, 7, &device);
        let inner = whole
            .1
            .clone()
            .load_adapters(file.clone().inside("1"))
            .unwrap();
        assert_eq!(bits(&inner.forward(x())), bits(&model.1.forward(x())));
        let back = AdapterFile::capture(&inner).unwrap().under("1");
        let back = whole.clone().load_adapters(back).unwrap();
        assert_eq!(bits(&back.1.forward(x())), bits(&model.1.forward(x())));
        assert_eq!(bits(&back.0.forward(x())), bits(&whole.0.forward(x())));
        let error = whole.1.load_adapters(file.inside("2")).unwrap_err();
        assert!(
            error.is_mismatch() && error.to_string().contains("no adapter"),
            "{error}"
        );
    }
}

#[test]
fn an_adapter_has_the_precision_that_its_weight_asks_for() {
    for device in devices() {
        if !device.clone().inner().supports_dtype(DType::F64) {
            continue;
        }
        let base = |dtype| example::<Mlp>(&device).map(&mut Cast(dtype));
        for (written, read) in [(DType::F64, DType::F32), (DType::F32, DType::F64)] {
            let goft = Goft::quasi().with_init_std(0.2);
            let model = base(written).apply_goft(goft).unwrap();
            let file = AdapterFile::capture(&model).unwrap();
            let attached = base(read).apply_goft(Goft::quasi()).unwrap();
            for loaded in [base(read), attached] {
                let loaded = loaded.load_adapters(&file).unwrap();
                let adapter = &loaded.adapters()["fc1.weight"];
                let dtype = adapter.parameter("block_offsets").unwrap().val().dtype();
                assert_eq!(dtype, read);
            }
        }
    }
}

/// The hash of what a record leaves out follows what is trained.
#[test]
fn a_record_of_what_is_trained_fits_after_more_was_freed() {
    for device in devices() {
        let model = example::<Mlp>(&device).apply_goft(Goft::strict()).unwrap();
        let model = AdapterOnly::new(model);
        drop(model.clone().into_record());
        let free =
            |model: AdapterOnly<Mlp>| model.unfreeze_group(ParamGroup::from_path("head.bias"));
        let record = free(model.clone()).into_record();
        let again = free(AdapterOnly::new(model.into_inner()));
        assert!(again.try_load_record(record).is_ok());
    }
}
