//! burn's `Learner` on a model in a wrapper.

use burn::module::Module;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use crate::adapter_only::AdapterOnly;

impl<M: TrainStep + Module> TrainStep for AdapterOnly<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: M::Input) -> TrainOutput<M::Output> {
        self.inner().step(item)
    }

    fn optimize(
        self,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
        gradients: GradientsParams,
    ) -> Self {
        self.map_inner(|model| model.optimize(optimizer, rate, gradients))
    }

    fn optimize_multi(
        self,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
        gradients: MultiGradientsParams,
    ) -> Self {
        self.map_inner(|model| model.optimize_multi(optimizer, rate, gradients))
    }
}

impl<M: InferenceStep + Module> InferenceStep for AdapterOnly<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: M::Input) -> M::Output {
        self.inner().step(item)
    }
}
