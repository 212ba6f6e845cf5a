//! Version 1 of the format, byte for byte: files that were written once must be readable for ever.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{Goft, GoftModule, NormScale};

use crate::models::{rewrite, values};
use crate::{common, file};

/// Written once, by the first version of this crate.
const VERSION_1: &[u8] = include_bytes!("version_1.safetensors");

/// What the adapted model computes, by an independent program in f64.
const OUTPUTS: [f64; 6] = [
    -0.966670513,
    -0.729372229,
    0.178507495,
    -0.785616496,
    -0.776902366,
    -0.0539077991,
];

#[derive(Module, Debug)]
struct Pair {
    one: Linear,
    two: Linear,
}

/// Value `k` of a parameter is a sine of `k` and of the length of the parameter's path.
#[derive(Default)]
struct Sines(Vec<String>);

impl ModuleMapper for Sines {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.0.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.0.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let length = param.shape().num_elements();
        rewrite(param, &sines(self.0.join(".").len(), length))
    }
}

fn sines(n: usize, length: usize) -> Vec<f64> {
    (0..length)
        .map(|k| (10.0 * n as f64 + k as f64).sin())
        .collect()
}

fn base(device: &Device) -> Pair {
    let one = LinearConfig::new(5, 4).init(device);
    let two = LinearConfig::new(4, 3).init(device);
    Pair { one, two }.map(&mut Sines::default())
}

fn adapted(device: &Device) -> Pair {
    let goft = Goft::quasi()
        .with_targets(["one.weight"])
        .with_trainable(["two.bias"])
        .with_norm_scale(NormScale::Input);
    base(device)
        .apply_goft(goft)
        .unwrap()
        .map(&mut Sines::default())
}

#[test]
fn the_bytes_of_a_file_are_those_of_version_1() {
    for (name, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        adapted(&device).save_goft(file(&folder)).unwrap();
        assert_eq!(std::fs::read(file(&folder)).unwrap(), VERSION_1, "{name}");
    }
}

#[test]
fn a_file_of_version_1_loads_and_computes_what_it_did() {
    for (name, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(file(&folder), VERSION_1).unwrap();
        let loaded = base(&device).load_goft(file(&folder)).unwrap();
        assert_eq!(values(&loaded), values(&adapted(&device)), "{name}");
        let x = common::tensor(&sines(100, 10), [2, 5], &device, DType::F32);
        let y = loaded.two.forward(loaded.one.forward(x));
        common::assert_close(name, &common::numbers(&y), &OUTPUTS, 1e-6);
    }
}
