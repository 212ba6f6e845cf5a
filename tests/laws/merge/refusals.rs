//! Merges and unmerges that cannot be done.

use burn_goft::{Goft, GoftModule, NormScale};

use super::{adapted, poke, saved};
use crate::common;
use crate::models::{Encoder, Mlp, example, values};

#[test]
fn a_merge_that_would_not_be_finite_is_refused_and_names_the_weight() {
    for (_, device) in common::devices() {
        let goft = Goft::quasi().with_norm_scale(NormScale::Neuron);
        let model: Mlp = adapted(&goft, &device);
        let before = values(&model);
        for (path, value, least) in [
            ("fc2.weight.goft.block_offsets", f64::NAN, 1),
            ("fc2.weight.goft.block_offsets", f64::INFINITY, 1),
            ("fc2.weight.goft.neuron_scale_offsets", 3e38, 1),
        ] {
            // The largest weight of a column must be beyond one for the product to overflow.
            let broken = poke(poke(model.clone(), "fc2.weight", 50.0), path, value);
            let error = broken.merge_adapters().unwrap_err();
            let message = error.to_string();
            assert!(error.is_not_finite(), "{message}");
            let start = "the merged weight of `fc2.weight` holds ";
            let rest = message.strip_prefix(start).expect(&message);
            let count: usize = rest.split(' ').next().unwrap().parse().unwrap();
            assert!(count >= least, "{message}");
            let remedy = "nothing was merged; load an adapter from before the training diverged";
            assert!(message.ends_with(remedy), "{message}");
        }
        assert_eq!(values(&model), before);
    }
}

#[test]
fn a_merge_is_refused_while_the_adapters_are_off() {
    for (_, device) in common::devices() {
        let model = adapted::<Mlp>(&Goft::strict(), &device).disable_adapters();
        let error = model.clone().merge_adapters().unwrap_err();
        assert!(error.is_not_adapted(), "{error}");
        assert_eq!(
            error.to_string(),
            "asked to merge while adapters are switched off, which would drop them; call `enable_adapters` first"
        );
        assert!(model.enable_adapters().merge_adapters().is_ok());
    }
}

#[test]
fn a_model_without_adapters_and_a_merged_one_cannot_be_merged() {
    for (_, device) in common::devices() {
        let merged = adapted::<Mlp>(&Goft::strict(), &device)
            .merge_adapters()
            .unwrap();
        for model in [example::<Mlp>(&device), merged] {
            let error = model.merge_adapters().unwrap_err();
            assert!(error.is_not_adapted(), "{error}");
            assert_eq!(
                error.to_string(),
                "asked to merge, but no parameter carries an adapter; call `apply_goft` or `load_adapters` first"
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
        let error = model.unmerge_adapters(path).unwrap_err();
        assert!(error.is_already_adapted(), "{error}");
    }
}

#[test]
fn an_adapter_of_another_model_cannot_be_taken_out() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(&adapted::<Encoder>(&Goft::strict(), &device), &folder);
        let error = example::<Mlp>(&device).unmerge_adapters(path).unwrap_err();
        assert!(error.is_mismatch(), "{error}");
    }
}

#[test]
fn what_has_no_inverse_is_refused_with_its_number_and_condition() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        // A fresh block is the identity: one zero on its diagonal makes it singular.
        let fresh = |goft: Goft| example::<Mlp>(&device).apply_goft(goft).unwrap();
        let cases = [
            (
                fresh(Goft::quasi()),
                "fc1.weight.goft.block_offsets",
                "block 0",
            ),
            (
                fresh(Goft::quasi().with_norm_scale(NormScale::Input)),
                "fc1.weight.goft.input_scale_offsets",
                "scale 0",
            ),
            (
                fresh(Goft::quasi().with_norm_scale(NormScale::Neuron)),
                "fc1.weight.goft.neuron_scale_offsets",
                "scale 0",
            ),
        ];
        for (model, path, what) in cases {
            // Stored is the distance from one.
            for value in [-1.0, 1e-9 - 1.0] {
                let model = poke(model.clone(), path, value);
                let file = saved(&model, &folder);
                let error = model
                    .merge_adapters()
                    .unwrap()
                    .unmerge_adapters(file)
                    .unwrap_err();
                let condition = common::condition_of(&error, what);
                // The difference from one is rounded.
                assert!(condition > 1e7, "{error}");
                let remedy = "keep a copy of the weight before merging such an adapter";
                assert!(error.to_string().ends_with(remedy), "{error}");
            }
        }
    }
}
