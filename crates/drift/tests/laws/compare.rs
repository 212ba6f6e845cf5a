//! Two models compared: which weights, which values, which samples.

use burn::module::{Lora, Module, ParamGroup, Quantizer};
use burn::nn::LinearConfig;
use burn::tensor::activation::tanh;
use burn::tensor::quantization::{Calibration, QuantValue};
use burn::tensor::{DType, Tensor};
use burn_goft::{Goft, GoftAdapter, GoftModule, Oft, RotationPlan, orthogonality_error};
use burn_goft_drift::{
    Drift, DriftReport, Error, Measured, Trace, agreement, angle_change, angle_histogram,
    anisotropy, energy_change, hyperspherical_energy, kl_divergence, linear_cka, norm_change,
    procrustes_distance, relative_change, rotation_drift, row_cosine, row_norm_ratio,
    spectrum_change, subspace_similarity, svcca,
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
    // A representation may have any rank: here 8 images of 5 tokens.
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

/// Every value is there, and no other.
#[track_caller]
fn holds(measured: &Measured, expected: &[(&str, f64)]) {
    assert_eq!(measured.values.len(), expected.len(), "{measured:?}");
    for (name, value) in expected {
        assert_eq!(measured.get(name), Some(*value), "{name} of {measured:?}");
    }
}

#[track_caller]
fn value(measured: &Measured, name: &str) -> f64 {
    let value = measured.get(name);
    value.unwrap_or_else(|| panic!("no {name} in {measured:?}"))
}

/// With everything looked at, the report is the functions one by one, on the weights that the
/// models compute with.
#[test]
fn the_report_holds_what_the_functions_say() {
    let (before, after) = (base(), adapted(Goft::quasi()));
    let report = compare(&everything(), &before, &after);
    assert!(report.notes.is_empty(), "{:?}", report.notes);

    let merged = after.clone().merge_adapters().unwrap();
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
        assert_eq!(weight.sampled, b.dims()[1]);
        let norms = norm_change(pair().0, pair().1).unwrap();
        let angles = angle_change(pair().0, pair().1).unwrap();
        holds(
            weight,
            &[
                (
                    "relative_change",
                    relative_change(pair().0, pair().1).unwrap(),
                ),
                ("norm_change", norms.mean),
                ("norm_change_max", norms.max),
                ("angle_change", angles.mean),
                ("angle_change_max", angles.max),
                ("energy_change", energy_change(pair().0, pair().1).unwrap()),
                ("energy_before", hyperspherical_energy(b.clone()).unwrap()),
                ("energy_after", hyperspherical_energy(a.clone()).unwrap()),
                (
                    "spectrum_change",
                    spectrum_change(pair().0, pair().1).unwrap(),
                ),
                (
                    "subspace_similarity",
                    subspace_similarity(pair().0, pair().1, 2).unwrap(),
                ),
            ],
        );
        let histogram = angle_histogram(pair().0, pair().1).unwrap();
        assert_eq!(weight.histograms["angle_change"], histogram);
    }
    let paths = |measured: &[Measured]| Vec::from_iter(measured.iter().map(|m| m.name.clone()));
    let expected = ["fc1.weight", "fc2.weight", "head.weight"];
    assert_eq!(paths(&report.weights), expected);

    assert_eq!(paths(&report.rotations), expected);
    let adapter = after
        .fc2
        .weight
        .reparameterization::<GoftAdapter>()
        .unwrap();
    let (rotation, drift) = (&report.rotations[1], rotation_drift(adapter).unwrap());
    holds(
        rotation,
        &[
            ("distance_spectral", drift.spectral),
            ("distance_frobenius", drift.frobenius),
            ("orthogonality_error", drift.orthogonality_error),
            ("orthogonality_bound", drift.orthogonality_bound),
        ],
    );
    assert_eq!(rotation.shape, [12, 12]);
    assert_eq!(drift.orthogonality_bound, adapter.gram_bound());
    let frobenius = orthogonality_error(adapter.blocks().unwrap(), RotationPlan::new(12)).frobenius;
    let error = drift.orthogonality_error;
    assert!(error > 0.1 && error < frobenius && error < drift.orthogonality_bound);

    let [old, new] = [&before, &after].map(layers);
    for (index, name) in ["fc1", "fc2"].into_iter().enumerate() {
        let layer = &report.layers[index];
        let pair = || (old[index].clone(), new[index].clone());
        assert_eq!(
            (layer.name.as_str(), layer.shape[0], layer.sampled),
            (name, 40, 40)
        );
        let cosine = row_cosine(pair().0, pair().1).unwrap();
        let ratio = row_norm_ratio(pair().0, pair().1).unwrap();
        let svcca = svcca(pair().0, pair().1).unwrap();
        holds(
            layer,
            &[
                ("row_cosine", cosine.mean),
                ("row_cosine_min", cosine.min),
                ("row_norm_ratio", ratio.mean),
                ("row_norm_ratio_min", ratio.min),
                ("row_norm_ratio_max", ratio.max),
                ("linear_cka", linear_cka(pair().0, pair().1).unwrap()),
                ("svcca", svcca.mean),
                ("svcca_forced", svcca.forced as f64),
                (
                    "procrustes_distance",
                    procrustes_distance(pair().0, pair().1).unwrap(),
                ),
                ("anisotropy_before", anisotropy(pair().0).unwrap()),
                ("anisotropy_after", anisotropy(pair().1).unwrap()),
            ],
        );
        assert!(
            value(layer, "linear_cka") < 0.99,
            "not one by accident: {layer:?}"
        );
    }
    let answers = report.answers.unwrap();
    assert_eq!(answers.shape, [40, 3]);
    let kl = kl_divergence(old[2].clone(), new[2].clone()).unwrap();
    holds(
        &answers,
        &[
            ("kl_divergence", kl.mean),
            ("kl_divergence_max", kl.max),
            (
                "agreement",
                agreement(old[2].clone(), new[2].clone()).unwrap(),
            ),
        ],
    );
    assert!(kl.mean > 1e-3);
}

#[test]
fn a_strict_adapter_keeps_angles_and_moves_rows() {
    let report = compare(&everything(), &base(), &adapted(Goft::strict()));
    for weight in &report.weights {
        let rounding = 32.0 * f64::from(f32::EPSILON);
        for kept in ["angle_change_max", "norm_change_max", "spectrum_change"] {
            assert!(value(weight, kept) < rounding, "{kept}: {weight:?}");
        }
        assert!(value(weight, "relative_change") > 0.1, "{weight:?}");
    }
    for rotation in &report.rotations {
        assert!(value(rotation, "distance_spectral") > 0.1, "{rotation:?}");
    }
    for layer in &report.layers {
        assert!(value(layer, "row_cosine") < 0.99, "{layer:?}");
    }
}

#[test]
fn an_oft_adapter_is_measured_by_its_effective_weight_and_its_rotation() {
    for form in [Oft::exact(4), Oft::neumann(4, 5)] {
        let after = adapted(Goft::oft(form));
        let report = compare(&everything(), &base(), &after);
        let linears = [&after.fc1, &after.fc2, &after.head];
        for (rotation, linear) in report.rotations.iter().zip(linears) {
            let adapter = linear.weight.reparameterization::<GoftAdapter>().unwrap();
            let expected = rotation_drift(adapter).unwrap();
            assert!(expected.spectral > 0.1, "{expected:?}");
            assert_eq!(value(rotation, "distance_spectral"), expected.spectral);
            assert_eq!(
                value(rotation, "orthogonality_error"),
                expected.orthogonality_error
            );
        }
        let merged = compare(&everything(), &base(), &after.merge_adapters().unwrap());
        assert_eq!(report.weights, merged.weights);
        assert!(merged.rotations.is_empty());
        assert!(
            value(&report.weights[0], "relative_change") > 0.01,
            "{report}"
        );
    }
}

#[test]
fn a_model_has_not_moved_from_itself() {
    for model in [base(), adapted(Goft::quasi())] {
        let report = compare(&Drift::new(), &model, &model);
        for weight in &report.weights {
            for still in ["relative_change", "angle_change_max", "spectrum_change"] {
                assert_eq!(weight.get(still), Some(0.0), "{still}");
            }
        }
        for layer in &report.layers {
            assert_eq!(layer.get("row_cosine_min"), Some(1.0));
            assert!((value(layer, "linear_cka") - 1.0).abs() < 1e-12);
        }
        let answers = report.answers.unwrap();
        assert_eq!(answers.get("kl_divergence_max"), Some(0.0));
        assert_eq!(answers.get("agreement"), Some(1.0));
    }
}

/// An adapter that is switched off does not act, and its rotation is not reported.
#[test]
fn an_adapter_that_is_off_moves_nothing() {
    let off = adapted(Goft::strict()).disable_adapters();
    let report = compare(&Drift::new(), &base(), &off);
    assert!(report.rotations.is_empty());
    for weight in report.weights {
        assert_eq!(weight.get("relative_change"), Some(0.0));
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
    assert!(value(&twin.weights[0], "relative_change") > 0.1);
    assert!(twin.rotations.len() == 3 && twin.answers.is_none());
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
    assert_eq!(report.weights[0].get("relative_change"), Some(expected));
}

/// An adapter of another method is compared by its effective weight; it has no rotation.
#[test]
fn burns_lora_is_measured_by_its_effective_weight() {
    let after = stir(base().apply_lora(Lora::new(2, 4.0)), 3, 0.3);
    let report = compare(&Drift::new(), &base(), &after);
    let expected = relative_change(base().fc1.weight.val(), after.fc1.weight.val()).unwrap();
    assert!(expected > 0.01);
    assert_eq!(report.weights[0].get("relative_change"), Some(expected));
    assert!(report.rotations.is_empty());
}

/// Weights of `Linear`s in any container; embeddings and convolutions only if they are adapted.
#[test]
fn weights_are_those_of_linears_and_of_adapters() {
    let paths = |report: DriftReport| {
        report
            .weights
            .into_iter()
            .map(|weight| weight.name)
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

/// The rows of an embedding and the channels at each place of a kernel are the vectors that a
/// rotation keeps, whichever of the models carries it.
#[test]
fn vectors_lie_along_the_axis_of_the_adapter() {
    let before: Mixed = example(&device());
    let goft = Goft::strict().with_targets(["embedding.weight", "conv.weight"]);
    let after = stir(before.clone().apply_goft(goft).unwrap(), 9, 0.5);
    let embeddings = [&before, &after].map(|model| model.embedding.weight.val().transpose());
    let kernels = [&before, &after].map(|model| {
        let kernel = model.conv.weight.val();
        kernel.swap_dims(0, 1).reshape([6, 12])
    });
    for (old, new) in [(&before, &after), (&after, &before)] {
        let report = everything().compare(old, Trace::new(), new, Trace::new());
        let report = report.unwrap();
        let expected = [
            ("embedding.weight", [6, 11], &embeddings),
            ("conv.weight", [6, 12], &kernels),
        ];
        for (weight, (name, shape, [a, b])) in report.weights.iter().zip(expected) {
            assert_eq!((weight.name.as_str(), weight.shape), (name, shape));
            let rounding = 32.0 * f64::from(f32::EPSILON);
            for kept in ["angle_change_max", "norm_change_max", "spectrum_change"] {
                assert!(value(weight, kept) < rounding, "{kept}: {weight:?}");
            }
            let moved = value(weight, "relative_change");
            let either =
                [(a, b), (b, a)].map(|(a, b)| relative_change(a.clone(), b.clone()).unwrap());
            assert!(
                moved > 0.1 && either.contains(&moved),
                "{moved}, {either:?}"
            );
        }
    }
    let report = everything().compare(&before, Trace::new(), &after, Trace::new());
    let rotations = report.unwrap().rotations;
    assert_eq!(
        Vec::from_iter(rotations.iter().map(|one| one.shape)),
        [[6, 6]; 2]
    );
}

#[test]
fn samples_follow_the_settings_and_the_seed() {
    let (before, after) = (base(), adapted(Goft::quasi()));
    let drift = Drift::new().with_rows(20).with_neurons(4);
    let report = compare(&drift, &before, &after);
    let sizes = |measured: &[Measured]| Vec::from_iter(measured.iter().map(|m| m.sampled));
    assert_eq!(
        (report.layers[0].shape[0], sizes(&report.layers)),
        (40, vec![20; 2])
    );
    assert_eq!(sizes(&report.weights), [4, 4, 3]);
    let histogram = &report.weights[0].histograms["angle_change"];
    assert_eq!(histogram.counts.iter().sum::<u64>(), 6);

    assert_eq!(
        report,
        compare(&drift, &before, &after),
        "the same seed, the same sample"
    );
    let other = compare(&drift.clone().with_seed(1), &before, &after);
    let (layers, weights) = (
        [&report.layers[0], &other.layers[0]],
        [&report.weights[0], &other.weights[0]],
    );
    let both = |of: [&Measured; 2], name: &str| of.map(|measured| value(measured, name));
    let [one, another] = both(layers, "linear_cka");
    assert_ne!(one, another);
    let [one, another] = both(weights, "angle_change");
    assert_ne!(one, another);
    // What is cheap sees everything.
    for (of, names) in [
        (layers, ["row_cosine", "anisotropy_after"]),
        (weights, ["relative_change", "norm_change"]),
    ] {
        for name in names {
            let [one, another] = both(of, name);
            assert_eq!(one, another, "{name}");
        }
    }
}

#[test]
fn too_few_rows_for_svcca_are_noted() {
    let report = compare(&Drift::new().with_rows(5), &base(), &adapted(Goft::quasi()));
    assert!(value(&report.layers[0], "svcca_forced") > 0.0);
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
    assert!(report.layers[0].get("linear_cka").is_some());
    assert!(report.layers[1].values.is_empty());
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
    let answers = report.answers.unwrap();
    assert_eq!(answers.get("kl_divergence"), None);
    assert_eq!(answers.get("agreement"), Some(0.0));
    assert!(report.notes[0].contains("infinite"), "{:?}", report.notes);
}

#[test]
fn settings_of_zero_are_no_panic() {
    let nothing = Drift::new().with_rows(0).with_neurons(0).with_directions(0);
    let report = compare(&nothing, &base(), &adapted(Goft::strict()));
    let (layer, weight) = (&report.layers[0], &report.weights[0]);
    assert!(layer.get("linear_cka").is_none() && weight.get("angle_change").is_none());
    assert!(layer.get("row_cosine").is_some() && weight.get("relative_change").is_some());
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
