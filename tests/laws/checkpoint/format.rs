//! Version 2 of the format, byte for byte: files of one version must be readable as long as it is.

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{Goft, GoftModule, NormScale};

use super::file;
use crate::common;
use crate::models::{parameters, rewrite, values};

/// Written once, by the first version of this crate.
const VERSION_1: &[u8] = include_bytes!("version_1.safetensors");

/// Written once, when parameters became distances from the identity and files knew their base.
const VERSION_2: &[u8] = include_bytes!("version_2.safetensors");

/// What the adapted model computes, by an independent program in f64.
const OUTPUTS: [f64; 6] = [
    -1.53965348,
    -0.214309642,
    1.30806948,
    0.173041233,
    -1.29320804,
    -1.5704878,
];

#[derive(Module, Debug)]
struct Pair {
    one: Linear,
    two: Linear,
}

/// Value `k` of a parameter is a sine of `k` and of the length of the parameter's path, which is
/// its id too.
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
        let (length, path) = (param.shape().num_elements(), self.0.join("."));
        let (_, values, mapper) = rewrite(param, &sines(path.len(), length)).consume();
        Param::from_mapped_value(ParamId::from(path.len() as u64), values, mapper)
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
fn the_bytes_of_a_file_are_those_of_version_2() {
    for (name, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        adapted(&device).save_adapters(file(&folder)).unwrap();
        assert_eq!(std::fs::read(file(&folder)).unwrap(), VERSION_2, "{name}");
    }
}

#[test]
fn a_file_of_version_2_loads_and_computes_what_it_did() {
    for (name, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(file(&folder), VERSION_2).unwrap();
        let loaded = base(&device).load_adapters(file(&folder)).unwrap();
        assert_eq!(values(&loaded), values(&adapted(&device)), "{name}");
        let ids = |pair: &Pair| -> Vec<_> {
            let held = parameters(pair).into_iter();
            held.map(|(path, held)| (path, held.id)).collect()
        };
        assert_eq!(ids(&loaded), ids(&adapted(&device)), "{name}");
        let x = common::tensor(&sines(100, 10), [2, 5], &device, DType::F32);
        let y = loaded.two.forward(loaded.one.forward(x));
        let tolerance = common::through_products(&device, 1e-6);
        common::assert_close(name, &common::numbers(&y), &OUTPUTS, tolerance);
    }
}

/// Its parameters were not distances from the identity.
#[test]
fn a_file_of_version_1_is_refused_with_its_version() {
    for (name, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(file(&folder), VERSION_1).unwrap();
        let error = base(&device).load_adapters(file(&folder)).unwrap_err();
        assert!(error.is_format(), "{name}: {error}");
        let reason = "it has format version 1, and this build reads version 2; load it with the burn-goft that wrote it";
        assert!(error.to_string().ends_with(reason), "{name}: {error}");
    }
}
