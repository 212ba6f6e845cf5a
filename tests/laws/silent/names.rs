//! A name tells nothing of a layout.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_goft::{AdapterFile, Goft, GoftModule};

use super::{batch, devices, distance};
use crate::common;
use crate::models::{fill, stir};

mod own {
    use burn::module::{Module, Param};
    use burn::tensor::Tensor;

    /// A layer of one's own that goes by burn's name and stores `[out, in]`.
    #[derive(Module, Debug)]
    pub(super) struct Linear {
        pub(super) weight: Param<Tensor<2>>,
    }

    impl Linear {
        pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            x.matmul(self.weight.val().transpose())
        }
    }

    pub(super) mod biased {
        use super::{Module, Param, Tensor};

        #[derive(Module, Debug)]
        pub(in super::super) struct Linear {
            pub(in super::super) weight: Param<Tensor<2>>,
            pub(in super::super) bias: Option<Param<Tensor<1>>>,
        }
    }
}

#[test]
fn a_layer_that_only_has_the_name_of_burns_is_no_default_target() {
    for device in devices() {
        let layer = || {
            let weight = Param::from_tensor(Tensor::zeros([32, 24], &device));
            fill(own::Linear { weight }, 8)
        };
        let error = layer().apply_goft(Goft::strict()).unwrap_err();
        assert!(error.is_no_target(), "{error}");
        let named = Goft::strict().with_targets(["weight"]);
        let error = layer().apply_goft(named.clone()).unwrap_err();
        assert!(error.is_no_target(), "{error}");
        assert!(error.to_string().contains("with_axis"), "{error}");

        let adapted = layer().apply_goft(named.with_axis(1)).unwrap();
        let adapted = stir(adapted, 4, 0.5);
        let site = &adapted.adapter_report().layers[0].site;
        assert_eq!((site.dim(), site.neurons()), (24, 32));
        let x = batch(1, 24, &device);
        let found = adapted.forward(x.clone());
        let turned = adapted.adapters()["weight"].rotate_input(x.clone());
        let tolerance = common::through_products(&device, 1e-4);
        assert!(distance(&found, &layer().forward(turned)) < tolerance);
        assert!(distance(&found, &layer().forward(x)) > 0.1);

        // With a bias, its length tells.
        let weight = Param::from_tensor(Tensor::zeros([32, 24], &device));
        let bias = Some(Param::from_tensor(Tensor::zeros([32], &device)));
        let biased = own::biased::Linear { weight, bias };
        let error = biased.apply_goft(Goft::strict()).unwrap_err();
        assert!(error.is_no_target(), "{error}");
    }
}

/// Two layers that a module written by hand shows without names of their own.
#[derive(Clone, Debug)]
struct Twins(Linear, Linear);

impl Module for Twins {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.0.visit(visitor);
        self.1.visit(visitor);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self(self.0.map(mapper), self.1.map(mapper))
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.1.collect_devices(self.0.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        Self(self.0.fork(device), self.1.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        Self(self.0.to_device(device), self.1.to_device(device))
    }

    fn train(self) -> Self {
        Self(self.0.train(), self.1.train())
    }

    fn valid(&self) -> Self {
        Self(self.0.valid(), self.1.valid())
    }

    fn materialize(self) -> Self {
        Self(self.0.materialize(), self.1.materialize())
    }
}

#[test]
fn two_parameters_of_one_path_are_refused() {
    for device in devices() {
        let linear = || fill(LinearConfig::new(8, 3).init(&device), 8);
        let adapted = || linear().apply_goft(Goft::strict()).unwrap();
        let expected = "two of them are shown as `weight";
        let error = Twins(linear(), linear()).apply_goft(Goft::strict());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let error = AdapterFile::capture(&Twins(adapted(), adapted()));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
