//! A training that diverges stops, keeps its last good state, and says where.

mod common;

use std::ops::ControlFlow;

use burn::tensor::DType;
use common::Place;
use sha2::{Digest, Sha256};
use text_classification::{Error, Progress, run};

/// Puts a NaN into a tensor of the pretrained model.
fn spoil(place: &Place, tensor: &str) {
    let mut tensors = common::tensors(11);
    tensors.get_mut(tensor).unwrap().1[7] = f64::NAN;
    let path = place.path("model").join("model.safetensors");
    common::write_weights(&path, &tensors, DType::F32, str::to_string);
}

fn failure(place: &Place) -> (usize, String) {
    match place.train().unwrap_err() {
        error @ Error::NotFinite { step, .. } => (step, error.to_string()),
        other => panic!("{other}"),
    }
}

#[test]
fn a_rate_that_is_far_too_high_is_caught_with_the_parameter() {
    let mut place = Place::new("goft");
    place.config.warmup = 0.0;
    place.config.head_learning_rate = Some(1e39);
    let (step, message) = failure(&place);
    // The first update is finite in its gradients and leaves numbers that are not.
    assert_eq!(step, 2);
    assert!(message.contains("parameter `head."), "{message}");
    assert!(message.contains("no good state to save"), "{message}");
    assert!(message.contains("a lower learning rate"), "{message}");
    assert!(!place.out("adapter.safetensors").exists());

    // Nothing is left that another try could spoil, so that the same folder serves.
    place.config.head_learning_rate = None;
    place.train().unwrap();
}

#[test]
fn a_validation_that_is_not_finite_stops_as_well() {
    let mut place = Place::new("full");
    common::write_reviews(&place.config.train, 8, 5);
    place.config.head_learning_rate = Some(1e39);
    let (step, message) = failure(&place);
    assert_eq!(step, 1);
    assert!(message.contains("the validation loss is NaN"), "{message}");
    assert!(message.contains("parameter `head."), "{message}");
    assert!(!place.out("adapter.safetensors").exists());
}

#[test]
fn the_last_good_state_is_left_and_goes_on() {
    let uninterrupted = Place::new("goft");
    let expected = uninterrupted.train().unwrap().outcome.test;

    let mut place = Place::new("goft");
    let stopped = run(&place.config, &mut |progress| match progress {
        Progress::Step { step: 7, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    stopped.unwrap_err();
    place.config.resume = true;
    let weights = place.path("model").join("model.safetensors");
    let good = std::fs::read(&weights).unwrap();
    let state = place.out("checkpoint-2").join("state.json");
    let good_state = std::fs::read_to_string(&state).unwrap();
    // The checkpoint is told that it is of the spoiled weights, which it would refuse.
    let digest = |bytes: &[u8]| format!("{:x}", Sha256::digest(bytes));
    spoil(&place, "encoder.layer.0.attention.self.value.bias");
    let spoiled = digest(&std::fs::read(&weights).unwrap());
    let claimed = good_state.replace(&digest(&good), &spoiled);
    assert_ne!(claimed, good_state);
    std::fs::write(&state, claimed).unwrap();
    let (step, message) = failure(&place);
    assert_eq!(step, 8);
    assert!(
        message.contains("`bert.encoder.0.attention.value.bias`"),
        "{message}"
    );
    assert!(message.contains("the last good state is in"), "{message}");
    assert!(message.contains("checkpoint-2"), "{message}");

    std::fs::write(&weights, good).unwrap();
    std::fs::write(&state, good_state).unwrap();
    assert_eq!(place.train().unwrap().outcome.test, expected);
}

#[test]
fn a_weight_that_is_not_a_number_is_named() {
    let place = Place::new("lora");
    let mut tensors = common::tensors(11);
    let weight = &mut tensors
        .get_mut("encoder.layer.1.intermediate.dense.weight")
        .unwrap()
        .1;
    weight[17] = f64::NAN;
    let path = place.path("model").join("model.safetensors");
    common::write_weights(&path, &tensors, DType::F32, str::to_string);
    let (step, message) = failure(&place);
    assert_eq!(step, 1);
    assert!(message.contains("the loss is NaN"), "{message}");
    assert!(
        message.contains("`bert.encoder.1.intermediate.weight`"),
        "{message}"
    );
}

#[test]
fn a_gradient_that_overflows_is_named_and_the_state_before_it_kept() {
    let mut place = Place::new("linear-probe");
    // Targets so far from their mean that the squared error's gradient still fits, times the norm
    // of a huge feature.
    let mut tensors = common::tensors(11);
    let gain = &mut tensors
        .get_mut("encoder.layer.1.output.LayerNorm.weight")
        .unwrap()
        .1;
    gain.iter_mut().for_each(|gain| *gain = 3e19);
    let path = place.path("model").join("model.safetensors");
    common::write_weights(&path, &tensors, DType::F32, str::to_string);
    place.config.head_learning_rate = Some(1e-30);
    let (step, message) = failure(&place);
    assert_eq!(step, 1);
    assert!(
        message.contains("gradient of `head.weight` is not finite"),
        "{message}"
    );
    assert!(message.contains("state after step 0 is in"), "{message}");
    assert!(place.out("checkpoint-1").join("state.json").exists());
}
