//! An adapter as burn sees it: a reparameterization, and a module whose parameters have the names
//! that their method gives them.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    Param, Reparameterization,
};
use burn::tensor::{Device, Tensor};

use super::{GoftAdapter, letterbox};
use crate::numeric::dense;
use crate::product::exactly;

impl Reparameterization for GoftAdapter {
    const NAME: &'static str = "goft";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        if self.enabled {
            // A packed base has no float dtype to rotate in.
            let base = dense(base);
            let trains = |parameter: &Tensor<1>| parameter.is_require_grad();
            // A training step lives with the device's own products; what is folded without a gradient is kept.
            if self.rotation_values().any(|parameter| trains(&parameter)) {
                self.adapt(base)
            } else {
                exactly(|| self.adapt(base))
            }
        } else {
            base
        }
    }
}

impl Module for GoftAdapter {
    fn collect_devices(&self, devices: Devices) -> Devices {
        let parameters = self.parameters.iter();
        parameters.fold(devices, |devices, parameter| {
            parameter.collect_devices(devices)
        })
    }

    fn fork(self, device: &Device) -> Self {
        self.change(|param| param.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.change(|param| param.to_device(device))
    }

    fn train(self) -> Self {
        self.change(Module::train)
    }

    fn valid(&self) -> Self {
        self.clone().change(|param| param.valid())
    }

    fn materialize(self) -> Self {
        self.change(Module::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        letterbox::visited(self);
        for parameter in &self.parameters {
            parameter.visit(visitor);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        if let Some(change) = letterbox::take_change() {
            return change(self);
        }
        let parameters = self.parameters.into_iter();
        Self {
            parameters: parameters.map(|parameter| parameter.map(mapper)).collect(),
            ..self
        }
    }
}

impl GoftAdapter {
    fn change(self, change: impl Fn(Param<Tensor<1>>) -> Param<Tensor<1>>) -> Self {
        let parameters = self.parameters.into_iter();
        Self {
            parameters: parameters
                .map(|parameter| parameter.change(&change))
                .collect(),
            ..self
        }
    }
}

impl ModuleDisplayDefault for GoftAdapter {
    fn content(&self, content: Content) -> Option<Content> {
        let state = if self.enabled { "on" } else { "off" };
        let content = content.add_debug_attribute("method", &self.method);
        content.add_formatted(&state.to_string()).optional()
    }
}

impl ModuleDisplay for GoftAdapter {}
