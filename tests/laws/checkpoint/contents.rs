//! What a file holds, to the byte.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{AdapterFile, Goft, GoftLinear, GoftModule};

use super::{file, normed, trained};
use crate::common;
use crate::methods;
use crate::models::{
    Encoder, Example, Mixed, bits, example, fill, for_every_example, parameters, stir, values,
};

#[test]
fn the_statistics_of_a_batch_norm_that_is_not_kept_stay_out_of_the_file() {
    for (_, device) in common::devices() {
        let folder = tempfile::tempdir().unwrap();
        let model: Mixed = trained(&Goft::strict(), &device);
        model.save_adapters(file(&folder)).unwrap();
        assert_eq!(
            names(&file(&folder)),
            ["head.bias", "head.weight.goft.angles"]
        );
        normed(&device).save_adapters(file(&folder)).unwrap();
        let expected = ["beta", "gamma", "running_mean", "running_var"];
        let mut expected = expected.map(|name| format!("batch_norm.{name}")).to_vec();
        expected.push("head.weight.goft.angles".into());
        assert_eq!(names(&file(&folder)), expected);
    }
}

/// Names of the tensors in a file, by the safetensors crate alone.
fn names(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<_> = tensors.names().into_iter().map(str::to_string).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_four_bytes_a_parameter_and_little_more() {
    fn law<M: Example>(device: &Device) {
        let folder = tempfile::tempdir().unwrap();
        for goft in methods::settings() {
            let model: M = trained(&goft, device);
            model.save_adapters(file(&folder)).unwrap();
            let size = std::fs::metadata(file(&folder)).unwrap().len() as usize;
            let parameters = model.adapter_report().trainable_parameters();
            // A fingerprint for each parameter that the model has for itself.
            let bases = burn_goft::parameters(&model).into_iter();
            let bases: usize = bases.map(|info| 100 + info.path.len()).sum();
            let allowed = 4 * parameters + 1024 + 200 * names(&file(&folder)).len() + bases;
            assert!(size <= allowed, "{size} bytes for {parameters} parameters");
            assert!(size > 4 * parameters);
        }
    }
    for_every_example!(law);
}

#[test]
fn saving_twice_and_saving_what_was_loaded_gives_the_same_bytes() {
    fn law<M: Example>(device: &Device) {
        let folder = tempfile::tempdir().unwrap();
        let save = |model: &M| {
            model.save_adapters(file(&folder)).unwrap();
            std::fs::read(file(&folder)).unwrap()
        };
        for goft in methods::settings() {
            let model: M = trained(&goft, device);
            let bytes = save(&model);
            assert_eq!(save(&model), bytes);
            let loaded = example::<M>(device).load_adapters(file(&folder)).unwrap();
            assert_eq!(save(&loaded), bytes);
        }
    }
    for_every_example!(law);
}

#[test]
fn every_device_writes_the_same_bytes() {
    let devices = common::devices();
    let folder = tempfile::tempdir().unwrap();
    let mut first: Option<Vec<u8>> = None;
    for (name, device) in devices {
        let goft = Goft::quasi().with_trainable(["head.bias"]);
        let model = stir(
            example::<Encoder>(&device).apply_goft(goft).unwrap(),
            5,
            0.2,
        );
        model.save_adapters(file(&folder)).unwrap();
        // Ids are random numbers.
        let read = AdapterFile::read(file(&folder)).unwrap();
        let bytes = read.with_new_ids().to_bytes().unwrap();
        assert_eq!(&bytes, first.get_or_insert_with(|| bytes.clone()), "{name}");
    }
}

/// Casts every parameter.
struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(self.0))
    }
}

#[test]
fn an_adapter_is_f64_beside_an_f64_weight_and_f32_beside_any_other_and_a_kept_parameter_keeps_its_dtype()
 {
    for row in common::rows() {
        let base = || -> Linear {
            let linear = fill(LinearConfig::new(6, 4).init(&row.device), 2);
            linear.map(&mut Cast(row.dtype))
        };
        let expected = if row.dtype == DType::F64 {
            DType::F64
        } else {
            DType::F32
        };
        let folder = tempfile::tempdir().unwrap();
        for goft in methods::settings() {
            let goft = goft.with_trainable(["bias"]);
            let layer = stir(base().apply_goft(goft).unwrap(), 3, 0.3);
            layer.save_adapters(file(&folder)).unwrap();
            let loaded = base().load_adapters(file(&folder)).unwrap();
            for (path, held) in parameters(&layer) {
                let is_adapter = path.contains(".goft.");
                assert_eq!(
                    held.dtype,
                    if is_adapter { expected } else { row.dtype },
                    "{row} {path}"
                );
                let loaded = &parameters(&loaded)[&path];
                assert_eq!(
                    (loaded.dtype, &loaded.bits),
                    (held.dtype, &held.bits),
                    "{row} {path}"
                );
            }
            assert_eq!(
                bits(&loaded.weight.val()),
                bits(&layer.weight.val()),
                "{row}"
            );
        }
    }
}

#[test]
fn f64_values_that_f32_cannot_hold_come_back() {
    for row in common::rows()
        .into_iter()
        .filter(|row| row.dtype == DType::F64)
    {
        let base = || {
            let linear = fill(LinearConfig::new(6, 4).init(&row.device), 2);
            GoftLinear::from(linear.map(&mut Cast(DType::F64)))
        };
        let folder = tempfile::tempdir().unwrap();
        let layer = stir(base().attach(Goft::strict()).unwrap(), 3, 0.3);
        let angles = |layer: &GoftLinear| values(layer)["weight.goft.angles"].clone();
        let in_f32 = |bits: &u64| f64::from(f64::from_bits(*bits) as f32).to_bits() == *bits;
        assert!(!angles(&layer).iter().any(in_f32));
        layer.save_adapters(file(&folder)).unwrap();
        assert_eq!(
            angles(&base().load_adapters(file(&folder)).unwrap()),
            angles(&layer)
        );
    }
}
