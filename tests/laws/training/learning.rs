//! Small tasks that must really be learned.

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{Goft, GoftModule};

use super::{adapted, loss, step};
use crate::common;
use crate::methods;
use crate::models::{
    Encoder, Example, GoftMlp, Mixed, Mlp, Nested, example, gradients_by_path, stir,
};

/// Trains the first layer of `student` to compute what that of `teacher` computes; the first and
/// the last loss.
fn imitate<M: Example>(
    teacher: &M,
    mut student: M,
    first_layer: impl Fn(&M, Tensor<2>) -> Tensor<2>,
) -> (f32, f32, M) {
    let device = super::device_of(&student);
    let x = common::normal(8, 32 * 7);
    let x = common::tensor(&x, [32, 7], &device, DType::F32);
    let target = first_layer(teacher, x.clone()).detach();
    let error = |model: &M| {
        (first_layer(model, x.clone()) - target.clone())
            .square()
            .mean()
    };
    let first = error(&student).into_scalar::<f32>();
    let mut optimizer = AdamConfig::new().init();
    // Most methods are there after one round; a product of several reflections takes more.
    for step in 0..5 * 300 {
        let error = error(&student);
        if step % 300 == 0 && error.clone().into_scalar::<f32>() < 5e-5 * first {
            break;
        }
        let grads = GradientsParams::from_grads(error.backward(), &student);
        let lr = 0.05 * 0.985f64.powi(step % 300);
        student = optimizer.step(lr, student, grads);
    }
    (first, error(&student).into_scalar::<f32>(), student)
}

#[test]
fn the_rotation_that_turned_a_frozen_layer_is_found_again() {
    fn law<M: Example>(
        device: &Device,
        goft: Goft,
        first_layer: impl Fn(&M, Tensor<2>) -> Tensor<2>,
    ) {
        let name = methods::name(&goft);
        let base: M = example(&device.clone().autodiff());
        let student = base.apply_goft(goft.with_targets(["fc1.weight"])).unwrap();
        let teacher = stir(student.clone(), 7, 0.5);
        let (first, last, _) = imitate(&teacher, student, first_layer);
        assert!(
            first > 1e-2 && last < 1e-4 * first,
            "{name}: the loss fell from {first} to {last}"
        );
    }
    for (_, device) in common::devices() {
        for goft in methods::methods().into_iter().map(|method| method.goft) {
            law::<Mlp>(&device, goft.clone(), |model, x| model.fc1.forward(x));
            law::<GoftMlp>(&device, goft, |model, x| model.fc1.forward(x));
        }
    }
}

#[test]
fn ten_steps_lower_the_loss_of_every_example() {
    fn law<M: Example>(device: &Device) {
        for method in methods::methods() {
            let mut model: M = adapted(&method.goft, device);
            let first = loss(model.run()).into_scalar::<f32>();
            let mut optimizer = AdamConfig::new().init();
            for _ in 0..10 {
                model = step(&mut optimizer, 0.03, model);
            }
            let last = loss(model.run()).into_scalar::<f32>();
            assert!(
                last < 0.95 * first,
                "{}: the loss went from {first} to {last}",
                method.name
            );
        }
    }
    for (_, device) in common::devices() {
        law::<Mlp>(&device);
        law::<GoftMlp>(&device);
        law::<Encoder>(&device);
        law::<Mixed>(&device);
        law::<Nested>(&device);
    }
}

#[test]
fn a_training_continues_after_a_validation_where_it_was() {
    for (_, device) in common::devices() {
        let model: Mlp = adapted(&Goft::quasi(), &device);
        let through_validation = model.valid().train();
        let gradients = |model: &Mlp| gradients_by_path(model, &super::gradients_of(model));
        assert_eq!(gradients(&model), gradients(&through_validation));
    }
}
