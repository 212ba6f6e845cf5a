//! Two models compared: which weights, which values, which samples.

use burn::module::{Lora, Module, ParamGroup, Quantizer};
use burn::nn::LinearConfig;
use burn::tensor::activation::tanh;
use burn::tensor::quantization::{Calibration, QuantValue};
use burn::tensor::{DType, Tensor};
use burn_goft::{
    Drift, DriftReport, Error, Goft, GoftAdapter, GoftModule, Oft, Trace, agreement, angle_change,
    anisotropy, energy_change, identity_distance, kl_divergence, linear_cka, norm_change,
    orthogonality_error, procrustes_distance, quasi_bounds, relative_change, rotation_drift,
    row_drift, spectrum_change, subspace_similarity, svcca,
};

use crate::models::{GoftMlp, Mixed, Mlp, Nested, example, stir};
use crate::{common, device, random};

fn input() -> Tensor<2> {
    common::tensor(&random(1, 40, 7).entries, [40, 7], &device(), DType::F32)
}

fn layers(model: &Mlp) -> [Tensor<2>; 3] {
    let first = tanh(model.fc1.forward(input()));
    let second = tanh(model.fc2.forward(first.clone()));
    [first, second.clone(), model.head.forward(second)]
}

pub(crate) fn trace(model: &Mlp) -> Trace {
    let [first, second, logits] = layers(model);
    // Of any rank: here 8 images of 5 tokens.
    let trace = Trace::new().with_layer("fc1", first.reshape([8, 5, 12]));
    trace.with_layer("fc2", second).with_logits(logits)
}

pub(crate) fn compare(drift: &Drift, before: &Mlp, after: &Mlp) -> DriftReport {
    drift
        .compare(before, trace(before), after, trace(after))
        .unwrap()
}

pub(crate) fn base() -> Mlp {
    example(&device())
}

pub(crate) fn adapted(goft: Goft) -> Mlp {
    stir(base().apply_goft(goft).unwrap(), 9, 0.5)
}

fn everything() -> Drift {
    Drift::new()
        .with_rows(usize::MAX)
        .with_neurons(usize::MAX)
        .with_directions(2)
}

/// With everything looked at, the report is the functions one by one, on the weights that the models compute with.
#[test]
fn the_report_holds_what_the_functions_say() {
    let (before, after) = (base(), adapted(Goft::quasi()));
    let report = compare(&everything(), &before, &after);
    assert!(report.notes.is_empty(), "{:?}", report.notes);

    let merged = after.clone().merge_goft().unwrap();
    let weights =
        |model: &Mlp| [&model.fc1, &model.fc2, &model.head].map(|linear| linear.weight.val());
    assert_eq!(report.weights.len(), 3);
    for ((weight, b), a) in report
        .weights
        .iter()
        .zip(weights(&before))
        .zip(weights(&merged))
    {
        let pair = || (b.clone(), a.clone());
        assert_eq!(weight.shape, b.dims());
        assert_eq!(weight.sampled_neurons, b.dims()[1]);
        assert_eq!(
            weight.relative_change,
            relative_change(pair().0, pair().1).ok()
        );
        assert_eq!(weight.norms, norm_change(pair().0, pair().1).ok());
        assert_eq!(weight.angles, angle_change(pair().0, pair().1).ok());
        assert_eq!(weight.energy, energy_change(pair().0, pair().1).ok());
        assert_eq!(
            weight.subspace,
            subspace_similarity(pair().0, pair().1, 2).ok()
        );
        let spectrum = spectrum_change(pair().0, pair().1).unwrap();
        let found = weight.spectrum.as_ref().unwrap();
        common::assert_close(&weight.path, &found.before, &spectrum.before, 1e-13);
        common::assert_close(&weight.path, &found.after, &spectrum.after, 1e-13);
    }
    let paths: Vec<_> = report
        .weights
        .iter()
        .map(|weight| weight.path.as_str())
        .collect();
    assert_eq!(paths, ["fc1.weight", "fc2.weight", "head.weight"]);

    let adapter = after
        .fc2
        .weight
        .reparameterization::<GoftAdapter>()
        .unwrap();
    let rotation = report.weights[1].rotation.unwrap();
    let distance = identity_distance(adapter.blocks()).unwrap();
    assert_eq!(
        (rotation.spectral, rotation.frobenius),
        (distance.spectral, distance.frobenius)
    );
    assert_eq!(
        rotation.orthogonality_error,
        orthogonality_error(adapter.blocks()).frobenius
    );
    assert_eq!(
        rotation.orthogonality_bound,
        quasi_bounds(adapter.blocks()).gram_frobenius
    );
    assert!(
        rotation.orthogonality_error > 0.1
            && rotation.orthogonality_error < rotation.orthogonality_bound
    );

    let [old, new] = [&before, &after].map(layers);
    for (index, name) in ["fc1", "fc2"].into_iter().enumerate() {
        let layer = &report.layers[index];
        let pair = || (old[index].clone(), new[index].clone());
        assert_eq!(
            (layer.name.as_str(), layer.total_rows, layer.sampled_rows),
            (name, 40, 40)
        );
        assert_eq!(layer.rows, row_drift(pair().0, pair().1).ok());
        assert_eq!(layer.cka, linear_cka(pair().0, pair().1).ok());
        assert_eq!(layer.svcca, svcca(pair().0, pair().1).ok());
        assert_eq!(
            layer.procrustes,
            procrustes_distance(pair().0, pair().1).ok()
        );
        assert_eq!(layer.anisotropy_before, anisotropy(pair().0).ok());
        assert_eq!(layer.anisotropy_after, anisotropy(pair().1).ok());
        assert!(layer.cka.unwrap() < 0.99, "not one by accident: {layer:?}");
    }
    let behaviour = report.behaviour.unwrap();
    assert_eq!(behaviour.rows, 40);
    assert_eq!(
        behaviour.kl,
        kl_divergence(old[2].clone(), new[2].clone()).ok()
    );
    assert_eq!(
        behaviour.agreement,
        agreement(old[2].clone(), new[2].clone()).ok()
    );
    assert!(behaviour.kl.unwrap().mean > 1e-3);
}

#[test]
fn a_strict_adapter_keeps_angles_and_moves_rows() {
    let report = compare(&everything(), &base(), &adapted(Goft::strict()));
    for weight in &report.weights {
        let rounding = 32.0 * f64::from(f32::EPSILON);
        assert!(weight.angles.as_ref().unwrap().max < rounding, "{weight:?}");
        assert!(weight.norms.unwrap().max < rounding, "{weight:?}");
        assert!(
            weight.spectrum.as_ref().unwrap().largest < rounding,
            "{weight:?}"
        );
        assert!(weight.relative_change.unwrap() > 0.1, "{weight:?}");
        assert!(weight.rotation.unwrap().spectral > 0.1, "{weight:?}");
    }
    for layer in &report.layers {
        assert!(layer.rows.unwrap().cosine.mean < 0.99, "{layer:?}");
    }
}

#[test]
fn an_oft_adapter_is_measured_by_its_effective_weight_and_its_rotation() {
    for form in [Oft::exact(4), Oft::neumann(4, 5)] {
        let after = adapted(Goft::oft(form));
        let mut report = compare(&everything(), &base(), &after);
        for (weight, linear) in report
            .weights
            .iter_mut()
            .zip([&after.fc1, &after.fc2, &after.head])
        {
            let adapter = linear.weight.reparameterization::<GoftAdapter>().unwrap();
            let expected = rotation_drift(adapter, weight.shape[0]).unwrap();
            assert!(expected.spectral > 0.1, "{expected:?}");
            assert_eq!(weight.rotation.take(), Some(expected), "{}", weight.path);
        }
        let merged = compare(&everything(), &base(), &after.merge_goft().unwrap());
        assert_eq!(report.weights, merged.weights);
        assert!(
            report.weights[0].relative_change.unwrap() > 0.01,
            "{report}"
        );
    }
}

#[test]
fn a_model_has_not_moved_from_itself() {
    for model in [base(), adapted(Goft::quasi())] {
        let report = compare(&Drift::new(), &model, &model);
        for weight in &report.weights {
            assert_eq!(weight.relative_change, Some(0.0));
            assert_eq!(weight.angles.as_ref().unwrap().max, 0.0);
            assert_eq!(weight.spectrum.as_ref().unwrap().largest, 0.0);
        }
        for layer in &report.layers {
            assert_eq!(layer.rows.unwrap().cosine.min, 1.0);
            assert!((layer.cka.unwrap() - 1.0).abs() < 1e-12);
        }
        let behaviour = report.behaviour.unwrap();
        assert_eq!(
            (behaviour.kl.unwrap().max, behaviour.agreement),
            (0.0, Some(1.0))
        );
    }
}

/// An adapter that is switched off does not act, and its rotation is not reported.
#[test]
fn an_adapter_that_is_off_moves_nothing() {
    let off = adapted(Goft::strict()).enable_goft(false);
    for weight in compare(&Drift::new(), &base(), &off).weights {
        assert_eq!((weight.relative_change, weight.rotation), (Some(0.0), None));
    }
}

#[test]
fn the_input_side_is_measured_as_the_weight_side() {
    let weight_side = adapted(Goft::quasi());
    let input_side = GoftMlp::from(weight_side.clone());
    let (before, none) = (base(), Trace::new);
    let report = |drift: &Drift| drift.compare(&before, none(), &input_side, none()).unwrap();
    let twin = Drift::new()
        .compare(&before, none(), &weight_side, none())
        .unwrap();
    assert_eq!(report(&Drift::new()), twin);
    assert!(twin.weights[0].relative_change.unwrap() > 0.1);
    assert!(twin.weights[0].rotation.is_some() && twin.behaviour.is_none());
}

/// In training, on an autodiff device, as well as after it.
#[test]
fn a_model_in_training_is_measured_as_any_other() {
    let on = |device: burn::tensor::Device| {
        let before: Mlp = example(&device);
        let after = stir(before.clone().apply_goft(Goft::quasi()).unwrap(), 9, 0.5);
        Drift::new()
            .compare(&before, Trace::new(), &after, Trace::new())
            .unwrap()
    };
    assert_eq!(on(device().autodiff()), on(device()));
}

/// A packed weight is the weight that it stands for; packing is a change like any other.
#[test]
fn a_packed_weight_is_measured_by_what_it_stands_for() {
    let dense = LinearConfig::new(32, 16).init(&device());
    let scheme = device()
        .settings()
        .quantization
        .scheme
        .with_value(QuantValue::Q8S);
    let mut quantizer = Quantizer::new(Calibration::MinMax, scheme);
    let packed = dense
        .clone()
        .quantize_weights_group(&mut quantizer, ParamGroup::from_path("weight"));
    let expected = relative_change(dense.weight.val(), packed.weight.val().dequantize()).unwrap();
    assert!(expected > 1e-4, "{expected}");
    assert_eq!(
        relative_change(dense.weight.val(), packed.weight.val()).ok(),
        Some(expected)
    );
    let report = Drift::new()
        .compare(&dense, Trace::new(), &packed, Trace::new())
        .unwrap();
    assert_eq!(report.weights[0].relative_change, Some(expected));
}

/// Of another method the effective weight is compared; it has no rotation.
#[test]
fn burns_lora_is_measured_by_its_effective_weight() {
    let after = stir(base().apply_lora(Lora::new(2, 4.0)), 3, 0.3);
    let report = compare(&Drift::new(), &base(), &after);
    let expected = relative_change(base().fc1.weight.val(), after.fc1.weight.val()).unwrap();
    assert!(expected > 0.01);
    assert_eq!(report.weights[0].relative_change, Some(expected));
    assert!(
        report
            .weights
            .iter()
            .all(|weight| weight.rotation.is_none())
    );
}

/// Weights of `Linear`s in any container; embeddings and convolutions only if they are adapted.
#[test]
fn weights_are_those_of_linears_and_of_adapters() {
    let paths = |report: DriftReport| {
        report
            .weights
            .into_iter()
            .map(|w| w.path)
            .collect::<Vec<_>>()
    };
    let model: Nested = example(&device());
    let report = Drift::new()
        .compare(&model, Trace::new(), &model, Trace::new())
        .unwrap();
    assert_eq!(
        paths(report),
        [
            "blocks.0.layers.0.weight",
            "blocks.0.layers.1.weight",
            "blocks.0.pair.0.weight",
            "blocks.0.pair.1.weight",
            "blocks.1.layers.0.weight",
            "blocks.1.layers.1.weight",
            "blocks.1.gate.weight",
            "blocks.1.pair.0.weight",
            "blocks.1.pair.1.weight",
            "head.weight"
        ]
    );
    let model: Mixed = example(&device());
    let goft = Goft::strict().with_targets(["embedding.weight"]);
    let after = model.clone().apply_goft(goft).unwrap();
    let report = Drift::new()
        .compare(&model, Trace::new(), &model, Trace::new())
        .unwrap();
    assert_eq!(paths(report), ["head.weight"]);
    for (before, after) in [(&model, &after), (&after, &model)] {
        let report = Drift::new()
            .compare(before, Trace::new(), after, Trace::new())
            .unwrap();
        assert_eq!(paths(report), ["embedding.weight", "head.weight"]);
    }
}

#[test]
fn samples_follow_the_settings_and_the_seed() {
    let (before, after) = (base(), adapted(Goft::quasi()));
    let drift = Drift::new().with_rows(20).with_neurons(4);
    let report = compare(&drift, &before, &after);
    assert_eq!(
        (report.layers[0].total_rows, report.layers[0].sampled_rows),
        (40, 20)
    );
    let neurons: Vec<_> = report
        .weights
        .iter()
        .map(|weight| weight.sampled_neurons)
        .collect();
    assert_eq!(neurons, [4, 4, 3]);
    assert_eq!(report.weights[0].angles.as_ref().unwrap().pairs, 6);

    assert_eq!(
        report,
        compare(&drift, &before, &after),
        "the same seed, the same sample"
    );
    let other = compare(&drift.clone().with_seed(1), &before, &after);
    assert_ne!(report.layers[0].cka, other.layers[0].cka);
    assert_ne!(report.weights[0].angles, other.weights[0].angles);
    // What is cheap sees everything.
    assert_eq!(report.layers[0].rows, other.layers[0].rows);
    assert_eq!(
        report.weights[0].relative_change,
        other.weights[0].relative_change
    );
    assert_eq!(report.weights[0].norms, other.weights[0].norms);
}

#[test]
fn too_few_rows_for_svcca_are_noted() {
    let report = compare(&Drift::new().with_rows(5), &base(), &adapted(Goft::quasi()));
    let svcca = report.layers[0].svcca.unwrap();
    assert!(svcca.forced > 0);
    let noted = |note: &String| note.contains("`fc1`") && note.contains("5 rows are too few");
    assert!(report.notes.iter().any(noted), "{:?}", report.notes);
}

/// One broken layer does not cost the rest of the report.
#[test]
fn a_layer_with_nan_is_left_out_and_noted() {
    let (before, after) = (base(), adapted(Goft::strict()));
    let [first, second, _] = layers(&after);
    let broken = second.clone() * f32::NAN;
    let [old_first, old_second, _] = layers(&before);
    let old = Trace::new()
        .with_layer("fc1", old_first)
        .with_layer("fc2", old_second);
    let new = Trace::new()
        .with_layer("fc1", first)
        .with_layer("fc2", broken);
    let report = Drift::new().compare(&before, old, &after, new).unwrap();
    assert!(report.layers[0].cka.is_some());
    let broken = &report.layers[1];
    assert!(broken.rows.is_none() && broken.cka.is_none() && broken.anisotropy_before.is_none());
    let noted = |note: &String| note.contains("`fc2`") && note.contains("200 NaN");
    assert!(report.notes.iter().any(noted), "{:?}", report.notes);
}

/// JSON has no infinity: a class that is masked after leaves a note in place of a number.
#[test]
fn an_infinite_divergence_is_noted() {
    let logits = |value: f32| Tensor::<2>::from_floats([[0.0, value]], &device());
    let traced = |value| Trace::new().with_logits(logits(value));
    let model = base();
    let report = Drift::new()
        .compare(&model, traced(1.0), &model, traced(f32::NEG_INFINITY))
        .unwrap();
    let behaviour = report.behaviour.unwrap();
    assert_eq!((behaviour.kl, behaviour.agreement), (None, Some(0.0)));
    assert!(report.notes[0].contains("infinite"), "{:?}", report.notes);
}

#[test]
fn settings_of_zero_are_no_panic() {
    let nothing = Drift::new().with_rows(0).with_neurons(0).with_directions(0);
    let report = compare(&nothing, &base(), &adapted(Goft::strict()));
    assert!(report.layers[0].cka.is_none() && report.weights[0].angles.is_none());
    assert!(report.layers[0].rows.is_some() && report.weights[0].relative_change.is_some());
    assert!(report.notes.len() >= 5, "{:?}", report.notes);
}

#[test]
fn models_and_traces_that_do_not_belong_together_are_refused() {
    let model = base();
    let refused = |before: Trace, after: Trace, parts: &[&str]| {
        let error = Drift::new()
            .compare(&model, before, &model, after)
            .unwrap_err();
        assert!(matches!(error, Error::Incomparable { .. }), "{error:?}");
        let message = error.to_string();
        parts
            .iter()
            .for_each(|part| assert!(message.contains(part), "{message}: {part}"));
    };
    let x = |rows: usize| Tensor::<2>::zeros([rows, 3], &device());
    let layer = |name: &str, rows| Trace::new().with_layer(name, x(rows));
    refused(
        layer("a", 4),
        layer("b", 4),
        &["the traces", "`a` [4, 3]", "`b` [4, 3]"],
    );
    refused(
        layer("a", 4),
        layer("a", 5),
        &["`a` [4, 3] before", "`a` [5, 3] after"],
    );
    refused(layer("a", 4), Trace::new(), &["the traces"]);
    let logits = |rows| Trace::new().with_logits(x(rows));
    refused(
        logits(4),
        logits(5),
        &["the logits", "[4, 3] before", "[5, 3] after"],
    );
    refused(logits(4), Trace::new(), &["the logits", "none after"]);

    let nested: Nested = example(&device());
    let forward = Drift::new().compare(&model, Trace::new(), &nested, Trace::new());
    let message = forward.unwrap_err().to_string();
    assert!(
        message.contains("`fc1.weight`") && message.contains("missing after"),
        "{message}"
    );
    // A weight that only the model after has.
    #[derive(Module, Debug)]
    struct Empty {}
    let forward = Drift::new().compare(&Empty {}, Trace::new(), &model, Trace::new());
    let message = forward.unwrap_err().to_string();
    assert!(
        message.contains("`fc1.weight`: missing before, [7, 12] after"),
        "{message}"
    );

    let layers = (base().head, base().fc1);
    let forward = Drift::new().compare(&layers.0, Trace::new(), &layers.1, Trace::new());
    let message = forward.unwrap_err().to_string();
    assert!(
        message.contains("[5, 3] before, [7, 12] after"),
        "{message}"
    );
}
