//! Switching adapters off and on.

use burn::module::Module;
use burn::tensor::{Device, Gradients};
use burn_goft::{Goft, GoftAdapter, GoftModule};

use crate::common;
use crate::methods;
use crate::models::{
    Example, Mixed, Mlp, bits, example, for_every_example, parameters, stir, values,
};

fn adapted<M: Example>(device: &Device) -> M {
    adapted_by(Goft::quasi(), device)
}

fn adapted_by<M: Example>(goft: Goft, device: &Device) -> M {
    stir(example::<M>(device).apply_goft(goft).unwrap(), 5, 0.3)
}

fn is_on(model: &Mlp) -> bool {
    let layers = [&model.fc1, &model.fc2, &model.head];
    let on = layers.map(|layer| {
        let adapter = layer.weight.reparameterization::<GoftAdapter>();
        adapter.expect("adapted").is_enabled()
    });
    assert!(on.iter().all(|state| *state == on[0]), "{on:?}");
    on[0]
}

#[test]
fn off_is_the_base_model_and_on_again_the_adapted_one() {
    fn law<M: Example>(device: &Device) {
        let base = bits(&example::<M>(device).run());
        for goft in methods::settings() {
            let name = methods::name(&goft);
            let model: M = adapted_by(goft, device);
            let off = model.clone().disable_adapters();
            assert_eq!(bits(&off.run()), base, "{name}");
            assert_ne!(bits(&model.run()), base, "{name}");
            let on = off.enable_adapters();
            assert_eq!(bits(&on.run()), bits(&model.run()), "{name}");
        }
    }
    for_every_example!(law);
}

#[test]
fn switching_changes_no_parameter_and_no_training_state() {
    for (_, device) in common::devices() {
        let goft = Goft::quasi().with_trainable(["batch_norm.*"]);
        let model: Mixed = adapted_by(goft, &device.autodiff());
        assert!(model.batch_norm.training.is_enabled());
        let before = parameters(&model);
        let off = model.disable_adapters();
        assert_eq!(parameters(&off), before);
        assert!(off.batch_norm.training.is_enabled());
        let frozen = off.freeze().enable_adapters();
        assert!(!frozen.batch_norm.training.is_enabled());
    }
}

#[test]
fn a_clone_has_its_own_switch() {
    let (_, device) = common::devices().remove(0);
    let model: Mlp = adapted(&device);
    let off = model.clone().disable_adapters();
    assert!(is_on(&model) && !is_on(&off));
    let on = off.clone().enable_adapters();
    assert!(is_on(&on) && !is_on(&off));
}

#[test]
fn the_switch_survives_everything_that_burn_does_to_a_model() {
    for (_, device) in common::devices() {
        for state in [true, false] {
            let model: Mlp = adapted(&device.clone().autodiff());
            let model = if state {
                model.enable_adapters()
            } else {
                model.disable_adapters()
            };
            let moves: [(&str, Mlp); 8] = [
                ("valid", model.valid()),
                ("train", model.valid().train()),
                (
                    "to_device",
                    model.clone().to_device(&device.clone().autodiff()),
                ),
                ("fork", model.clone().fork(&device.clone().autodiff())),
                ("freeze", model.clone().freeze()),
                ("unfreeze", model.clone().unfreeze()),
                (
                    "freeze, valid, train",
                    model.clone().freeze().valid().train(),
                ),
                ("no_grad", model.clone().no_grad()),
            ];
            for (name, moved) in moves {
                assert_eq!(is_on(&moved), state, "{name}");
            }
        }
    }
}

#[test]
fn a_record_holds_no_switch() {
    for (_, device) in common::devices() {
        let on: Mlp = adapted(&device);
        let off = on.clone().disable_adapters();
        assert!(is_on(&on.clone().load_record(off.clone().into_record())));
        assert!(!is_on(&off.load_record(on.into_record())));
    }
}

#[test]
fn an_adapter_that_is_off_gets_no_gradient() {
    for (_, device) in common::devices() {
        let model: Mlp = adapted(&device.autodiff());
        let gradient = |model: &Mlp, grads: &Gradients| {
            let adapter = model.fc1.weight.reparameterization::<GoftAdapter>();
            methods::gradient(adapter.unwrap(), grads)
        };
        let grads = model.run().sum().backward();
        assert!(gradient(&model, &grads).is_some());
        // With nothing trainable left but a bias, only the bias takes part.
        let off = model.unfreeze().disable_adapters();
        let grads = off.run().sum().backward();
        assert!(gradient(&off, &grads).is_none());
        assert!(off.fc1.weight.base().grad(&grads).is_some());
    }
}

#[test]
fn an_unadapted_model_has_nothing_to_switch() {
    let (_, device) = common::devices().remove(0);
    let model: Mlp = example(&device);
    let before = values(&model);
    assert_eq!(values(&model.disable_adapters()), before);
}
