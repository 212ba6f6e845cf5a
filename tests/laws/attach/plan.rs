//! A plan is what attaching does, for the model that it was made from.

use burn::module::Module;
use burn::tensor::Device;
use burn_goft::{Goft, GoftModule, Plan};

use crate::common::{self, panic_message};
use crate::methods;
use crate::models::{Encoder, Example, Mixed, Mlp, example, for_every_example, values};

#[test]
fn attaching_the_plan_is_attaching_the_settings() {
    fn law<M: Example>(device: &Device) {
        for goft in methods::settings() {
            let goft = goft.with_trainable(["head.bias"]);
            let base: M = example(device);
            let plan = goft.plan(&base).unwrap();
            let by_plan = base.clone().apply_plan(&plan);
            let report = by_plan.adapter_report();
            assert_eq!(
                plan.adapter_parameters() + 3,
                report.trainable_parameters(),
                "{}",
                methods::name(&goft)
            );
            let planned = plan.targets.iter().map(|target| target.path.as_str());
            let attached = by_plan.adapters();
            assert!(planned.eq(report.layers.iter().map(|layer| layer.path.as_str())));
            for target in &plan.targets {
                let adapter = &attached[&target.path];
                assert_eq!(adapter.method(), target.method);
                assert_eq!(adapter.site(), &target.site);
            }
            let by_settings = base.apply_goft(&goft).unwrap();
            // HRA starts at random vectors.
            if !methods::name(&goft).starts_with("hra") {
                assert_eq!(values(&by_plan), values(&by_settings));
            }
        }
    }
    for_every_example!(law);
}

#[test]
fn a_plan_for_another_model_panics_and_says_what_is_missing() {
    fn refused<M: Module + 'static>(model: M, plan: Plan, expected: &str) {
        let message = panic_message(move || {
            let _ = model.apply_plan(&plan);
        });
        assert!(message.contains(expected), "{message}");
    }
    for (_, device) in common::devices() {
        let mlp: Mlp = example(&device);
        let plan = Goft::strict().plan(&mlp).unwrap();
        let lacks = "a weight `fc1.weight` of shape [7, 12], and the model has none of that path";
        refused(example::<Encoder>(&device), plan.clone(), lacks);
        let adapted = mlp.clone().apply_goft(Goft::strict()).unwrap();
        refused(adapted, plan, "`fc1.weight`");

        let heads = Goft::strict().with_targets(["head.weight"]);
        let shape = "shape [5, 3], and the model has [4, 3]";
        let plan = heads.plan(&mlp).unwrap();
        refused(example::<Mixed>(&device), plan, shape);

        let kept = Goft::strict().with_targets(["head.weight"]);
        let kept = kept.with_trainable(["norm.gamma"]);
        let plan = kept.plan(&example::<Mixed>(&device)).unwrap();
        let mut smaller = example::<Mlp>(&device);
        smaller.head = burn::nn::LinearConfig::new(4, 3).init(&device);
        refused(smaller, plan, "trains `norm.gamma`");
    }
}
