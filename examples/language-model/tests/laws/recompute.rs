//! Gradients a layer at a time are those of one pass.

use std::collections::HashMap;
use std::ops::ControlFlow;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use language_model::batch::Batch;
use language_model::model::CausalLm;
use language_model::training::Progress;
use language_model::{Pretrained, RunConfig, train};

use crate::common;

struct Read<'a> {
    gradients: &'a GradientsParams,
    found: HashMap<ParamId, Vec<f32>>,
}

impl ModuleVisitor for Read<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let values = gradient.into_data().iter::<f32>().collect();
            self.found.insert(param.id, values);
        }
    }
}

fn read(model: &CausalLm, gradients: &GradientsParams) -> HashMap<ParamId, Vec<f32>> {
    let mut read = Read {
        gradients,
        found: HashMap::new(),
    };
    model.visit(&mut read);
    read.found
}

#[test]
fn gradients_of_whole_models_are_those_of_one_pass() {
    let device = Device::flex().autodiff();
    let examples = [
        common::example(&[1, 9, 4, 7, 2, 30, 11, 5], 3),
        common::example(&[1, 8, 3], 1),
        common::example(&[1, 22, 35, 14, 6], 2),
    ];
    let [a, b, c] = &examples;
    for kind in [
        "llama",
        "llama3",
        "mistral",
        "qwen2_window",
        "qwen3",
        "gemma2",
        "gemma3",
        "phi3",
        "olmo2",
    ] {
        let (_place, folder) = common::model(kind);
        let model = Pretrained::load(&folder, &device).unwrap().model;
        for rows in [vec![vec![a], vec![b], vec![c]], vec![vec![a, b], vec![c]]] {
            let batch = Batch::packed(&rows, &device);
            let whole = model.cross_entropy(&batch);
            let loss = whole.loss.clone().into_scalar::<f32>();
            let grads = whole.loss.mul_scalar(0.7).backward();
            let expected = read(&model, &GradientsParams::from_grads(grads, &model));

            let (parts, gradients) = model.gradients(&batch, 0.7);
            let mut sum = GradientsAccumulator::new();
            for part in gradients {
                sum.accumulate(&model, part);
            }
            let found = read(&model, &sum.grads());
            assert!(
                (parts.loss.into_scalar::<f32>() - loss).abs() < 1e-5,
                "{kind}"
            );
            assert_eq!(
                parts.correct.into_scalar::<i64>(),
                whole.correct.into_scalar::<i64>()
            );
            assert!(
                expected.len() > 10 && found.len() == expected.len(),
                "{kind}"
            );
            for (id, expected) in expected {
                let most = expected.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
                for (a, b) in found[&id].iter().zip(&expected) {
                    assert!(
                        (a - b).abs() < 2e-5 * most,
                        "{kind}: {a} and {b}, of {most}"
                    );
                }
            }
        }
    }
}

#[test]
fn trainings_of_all_methods_go_the_same_way() {
    for method in ["goft", "qgoft", "oft", "lora", "full"] {
        for targets in [vec![], vec!["*.1.*.q_proj.weight".to_string()]] {
            if method == "full" && !targets.is_empty() {
                continue;
            }
            let (place, folder) = common::model("llama");
            let data = common::data(&place);
            let losses = |recompute: bool| {
                let name = format!("run-{recompute}");
                let config = RunConfig {
                    recompute,
                    targets: targets.clone(),
                    steps: Some(6),
                    batch_size: 2,
                    accumulation: 2,
                    learning_rate: Some(1e-2),
                    penalty: (method == "qgoft").then_some(0.5),
                    ..RunConfig::new(&folder, &data, place.path().join(name), method)
                };
                let mut losses = Vec::new();
                train(&config, &mut |progress| {
                    if let Progress::Step {
                        loss,
                        gradient_norm,
                        ..
                    } = progress
                    {
                        losses.extend([*loss, *gradient_norm]);
                    }
                    ControlFlow::Continue(())
                })
                .unwrap();
                losses
            };
            let (kept, computed) = (losses(false), losses(true));
            assert_eq!(kept.len(), 12);
            for (a, b) in kept.iter().zip(&computed) {
                assert!(
                    (a - b).abs() < 1e-3 * a.abs(),
                    "{method}: {kept:?} and {computed:?}"
                );
            }
        }
    }
}
