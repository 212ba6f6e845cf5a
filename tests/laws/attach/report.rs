//! The report's numbers are the formulas'.

use burn::module::{Initializer, Module};
use burn::nn::LinearConfig;
use burn_goft::{Goft, GoftModule, NormScale};

use crate::common;
use crate::methods;
use crate::models::{Encoder, Mixed, Mlp, example};

#[test]
fn an_adapter_costs_one_angle_or_four_entries_a_pair_and_its_scale() {
    let (_, device) = common::devices().remove(0);
    for d_input in common::DIMS.into_iter().filter(|d| *d > 1) {
        for goft in methods::settings() {
            let d_output = 3;
            let linear = LinearConfig::new(d_input, d_output).init(&device);
            let report = linear.apply_goft(goft.clone()).unwrap().adapter_report();
            let rotation = methods::parameter_count(&goft, d_input);
            let scale = match goft.norm_scale {
                NormScale::None => 0,
                NormScale::Input => d_input,
                NormScale::Neuron => d_output,
                other => panic!("the laws have no norm scale {other:?}"),
            };
            let layer = &report.layers[0];
            assert_eq!(
                layer.parameters,
                rotation + scale,
                "d = {d_input}, {}",
                methods::name(&goft)
            );
            assert_eq!(
                (layer.site.dim(), layer.site.neurons()),
                (d_input, d_output)
            );
            assert_eq!(
                (layer.method, layer.norm_scale),
                (goft.method, goft.norm_scale)
            );
            assert_eq!(report.trainable_parameters(), rotation + scale);
        }
    }
}

#[test]
fn the_published_counts_for_llama_come_out() {
    // Query and value projections of 28 layers, hidden size 3072, 1024 key-value features.
    let (_, device) = common::devices().remove(0);
    let count = |goft: Goft| -> usize {
        let layer = |d_output| {
            let zeros = LinearConfig::new(3072, d_output).with_initializer(Initializer::Zeros);
            let linear = zeros.init(&device);
            let linear = linear.apply_goft(goft.clone()).unwrap();
            linear.adapter_report().trainable_parameters()
        };
        28 * (layer(3072) + layer(1024))
    };
    assert_eq!(count(Goft::strict()), 171_976);
    assert_eq!(
        count(Goft::strict().with_norm_scale(NormScale::Input)),
        344_008
    );
    assert_eq!(
        count(Goft::strict().with_norm_scale(NormScale::Neuron)),
        286_664
    );
    assert_eq!(count(Goft::quasi()), 687_904);
}

#[test]
fn kept_parameters_are_counted_apart() {
    let (_, device) = common::devices().remove(0);
    let goft = Goft::strict().with_trainable(["head.*"]);
    let report = example::<Mlp>(&device)
        .apply_goft(goft)
        .unwrap()
        .adapter_report();
    assert_eq!(report.kept_parameters, 5 * 3 + 3);
    assert_eq!(report.trainable_parameters(), 6 + 11 + 18);
    assert_eq!(
        report.total_parameters,
        (7 * 12 + 12) + (12 * 5 + 5) + 18 + 6 + 11
    );
    let share = report.trainable_parameters() as f64 / report.total_parameters as f64;
    assert_eq!(report.trainable_share(), share);
}

#[test]
fn running_statistics_are_no_trainable_parameters() {
    let (_, device) = common::devices().remove(0);
    let goft = Goft::strict().with_trainable(["batch_norm.*"]);
    let report = example::<Mixed>(&device.autodiff())
        .apply_goft(goft)
        .unwrap()
        .adapter_report();
    assert_eq!(report.kept_parameters, 4 + 4);
}

#[test]
fn the_report_is_the_same_in_training_in_validation_and_without_autodiff() {
    let (_, device) = common::devices().remove(0);
    let goft = Goft::quasi()
        .with_trainable(["head.*"])
        .with_norm_scale(NormScale::Neuron);
    let plain = example::<Encoder>(&device)
        .apply_goft(goft.clone())
        .unwrap();
    let training = example::<Encoder>(&device.autodiff())
        .apply_goft(goft)
        .unwrap();
    let report = training.adapter_report();
    assert_eq!(report.total_parameters, training.num_params());
    assert_eq!(training.valid().adapter_report(), report);
    assert_eq!(training.valid().train().adapter_report(), report);
    assert_eq!(plain.adapter_report(), report);
}

#[test]
fn an_unadapted_model_reports_no_layer() {
    let (_, device) = common::devices().remove(0);
    let report = example::<Mlp>(&device).no_grad().adapter_report();
    assert!(report.layers.is_empty());
    assert_eq!(
        (report.trainable_parameters(), report.trainable_share()),
        (0, 0.0)
    );
    assert_eq!(
        report.to_string(),
        "no weight carries an adapter of burn-goft\ntrainable 0 of 179 parameters (0.000 %)"
    );
}

#[test]
fn the_report_prints_as_a_table() {
    let (_, device) = common::devices().remove(0);
    let goft = Goft::quasi()
        .with_norm_scale(NormScale::Neuron)
        .with_trainable(["head.*"]);
    let report = example::<Mlp>(&device)
        .apply_goft(goft)
        .unwrap()
        .adapter_report();
    let table = "\
weight      method  axis   dim  neurons  parameters
fc1.weight  qgoft      0     7       12          36
fc2.weight  qgoft      0    12        5          49
trained beside the adapters: 18 parameters
trainable 103 of 264 parameters (39.015 %)";
    assert_eq!(report.to_string(), table);
}
