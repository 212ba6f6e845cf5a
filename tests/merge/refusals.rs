//! Merges and unmerges that cannot be done.

use burn_goft::{Error, Goft, GoftModule, NormScale};

use crate::models::{Encoder, Mlp, example, values};
use crate::{adapted, common, poke, saved};

#[test]
fn a_merge_that_would_not_be_finite_is_refused_and_names_the_weight() {
    for (_, device) in common::devices() {
        let goft = Goft::quasi().with_norm_scale(NormScale::Neuron);
        let model: Mlp = adapted(&goft, &device);
        let before = values(&model);
        for (path, value, least) in [
            ("fc2.weight.goft.blocks", f64::NAN, 1),
            ("fc2.weight.goft.blocks", f64::INFINITY, 1),
            ("fc2.weight.goft.neuron_scale", 3e38, 1),
        ] {
            // The largest weight of a column must be beyond one for the product to overflow.
            let broken = poke(poke(model.clone(), "fc2.weight", 50.0), path, value);
            let error = broken.merge_goft().unwrap_err();
            let Error::NonFinite {
                path,
                what,
                count,
                remedy,
            } = &error
            else {
                panic!("{error}");
            };
            assert_eq!(
                (path.as_str(), what.as_str()),
                ("fc2.weight", "the merged weight")
            );
            assert!(*count >= least);
            assert!(remedy.contains("nothing was merged; load an adapter from before"));
            assert!(
                error
                    .to_string()
                    .starts_with("the merged weight of `fc2.weight` holds ")
            );
        }
        assert_eq!(values(&model), before);
    }
}

#[test]
fn a_merge_is_refused_while_the_adapters_are_off() {
    for (_, device) in common::devices() {
        let model = adapted::<Mlp>(&Goft::strict(), &device).enable_goft(false);
        let error = model.clone().merge_goft().unwrap_err();
        assert!(matches!(error, Error::Disabled { .. }));
        assert_eq!(
            error.to_string(),
            "asked to merge while the adapters are switched off, which would drop them; call `enable_goft(true)` first"
        );
        assert!(model.enable_goft(true).merge_goft().is_ok());
    }
}

#[test]
fn a_model_without_adapters_and_a_merged_one_cannot_be_merged() {
    for (_, device) in common::devices() {
        let merged = adapted::<Mlp>(&Goft::strict(), &device)
            .merge_goft()
            .unwrap();
        for model in [example::<Mlp>(&device), merged] {
            let error = model.merge_goft().unwrap_err();
            assert!(matches!(error, Error::NotAdapted { .. }));
            assert_eq!(
                error.to_string(),
                "asked to merge, but no parameter carries a GOFT adapter; call `apply_goft` or `load_goft` first"
            );
        }
    }
}

#[test]
fn an_adapted_model_cannot_be_unmerged() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let model: Mlp = adapted(&Goft::strict(), &device);
        let path = saved(&model, &folder);
        let error = model.unmerge_goft(path).unwrap_err();
        assert!(matches!(error, Error::AlreadyAdapted { .. }), "{error}");
    }
}

#[test]
fn an_adapter_of_another_model_cannot_be_taken_out() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(&adapted::<Encoder>(&Goft::strict(), &device), &folder);
        let error = example::<Mlp>(&device).unmerge_goft(path).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    }
}

#[test]
fn what_has_no_inverse_is_refused_with_its_number_and_condition() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        // A fresh block is the identity: one zero on its diagonal makes it singular.
        let fresh = |goft: Goft| example::<Mlp>(&device).apply_goft(goft).unwrap();
        let cases = [
            (fresh(Goft::quasi()), "fc1.weight.goft.blocks", "block 0"),
            (
                fresh(Goft::quasi().with_norm_scale(NormScale::Input)),
                "fc1.weight.goft.input_scale",
                "scale 0",
            ),
            (
                fresh(Goft::quasi().with_norm_scale(NormScale::Neuron)),
                "fc1.weight.goft.neuron_scale",
                "scale 0",
            ),
        ];
        for (model, path, what) in cases {
            for value in [0.0, 1e-9] {
                let model = poke(model.clone(), path, value);
                let file = saved(&model, &folder);
                let error = model.merge_goft().unwrap().unmerge_goft(file).unwrap_err();
                assert!(
                    matches!(error, Error::Singular { index: 0, condition, .. } if condition > 1e8)
                );
                let message = error.to_string();
                let expected = format!("cannot unmerge: {what} has condition number ");
                assert!(message.starts_with(&expected), "{message}");
                assert!(
                    message.ends_with("keep a copy of the weight before merging such an adapter")
                );
            }
        }
    }
}
