//! An adapter merged into a folder is the adapter merged into the model.

use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use burn_goft::{
    AdapterFile, Goft, GoftModule, Hra, NormScale, Oft, Road, RoadScales, visit_parameters,
};
use hf_folder::{Dtype, Error, HfFolder, Place, floats};
use safetensors::tensor::TensorView;
use tempfile::TempDir;

/// An architecture that no library knows.
#[derive(Module, Debug)]
struct Borogove {
    toves: Embedding,
    gyre: Vec<Linear>,
    wabe: Conv2d,
    rath: LayerNorm,
}

impl Borogove {
    fn new(device: &Device) -> Self {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        let model = Self {
            toves: EmbeddingConfig::new(11, 6).init(device),
            gyre: vec![linear(6, 6), linear(6, 9)],
            wabe: Conv2dConfig::new([6, 4], [3, 2]).init(device),
            rath: LayerNormConfig::new(9).init(device),
        };
        model.map(&mut Fill(0.0, |x| x))
    }
}

/// Counts through the parameters, so that each has values of its own.
struct Fill(f64, fn(f64) -> f64);

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let shape = old.dims();
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count)
                .map(|_| {
                    self.0 += 1.0;
                    (self.1)((1.7 * self.0).sin()) as f32
                })
                .collect();
            let tracked = old.is_require_grad();
            let new = Tensor::from_data(TensorData::new(values, shape), &old.device());
            if tracked { new.require_grad() } else { new }
        })
    }
}

/// As PyTorch's files have it.
fn place(path: &str) -> Place {
    let names = [("gamma", "weight"), ("beta", "bias")];
    let renamed = names
        .iter()
        .find_map(|(from, to)| Some(format!("{}{to}", path.strip_suffix(from)?)));
    Place {
        name: format!("model.{}", renamed.unwrap_or(path.into())),
        transposed: path.starts_with("gyre.") && path.ends_with(".weight"),
    }
}

/// Name, shape and values of every parameter as the folder has them.
fn tensors(model: &Borogove) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let mut found = Vec::new();
    visit_parameters(model, |info, values| {
        let Place { name, transposed } = place(&info.path);
        let (mut shape, mut values) = (info.shape.clone(), values());
        if transposed {
            values = values
                .reshape([shape[0], shape[1]])
                .transpose()
                .flatten(0, 1);
            shape.reverse();
        }
        found.push((name, shape, values.into_data().iter().collect()));
    });
    found
}

fn write(model: &Borogove, folder: &Path, dtype: Dtype) {
    std::fs::create_dir(folder).unwrap();
    let stored: Vec<_> = tensors(model)
        .into_iter()
        .map(|(name, shape, values)| (name, shape, floats::encode(dtype, &values).unwrap().0))
        .collect();
    let views = stored
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(dtype, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors")).unwrap();
}

/// The base in a folder, and a path for the merged one.
fn folders(dtype: Dtype) -> (TempDir, PathBuf, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let [base, out] = ["base", "out"].map(|name| temporary.path().join(name));
    write(&Borogove::new(&Device::flex()), &base, dtype);
    (temporary, base, out)
}

/// Every method, and every container that has a site.
fn settings() -> Vec<Goft> {
    let all = ["toves.weight", "gyre.*.weight", "wabe.weight"];
    let methods = [
        Goft::strict().with_norm_scale(NormScale::Neuron),
        Goft::quasi().with_norm_scale(NormScale::Input),
        Goft::oft(Oft::exact(4)),
        Goft::hra(Hra::new(2)),
        Goft::road(Road::new(RoadScales::Two)),
    ];
    let methods = methods.into_iter();
    methods
        .map(|goft| goft.with_targets(all).with_trainable(["*.bias", "rath.*"]))
        .collect()
}

fn trained(goft: &Goft) -> Borogove {
    let model = Borogove::new(&Device::flex().autodiff())
        .apply_goft(goft.clone())
        .unwrap();
    // Every trained value moves, adapters away from the identity.
    struct Stir(Fill);
    impl ModuleMapper for Stir {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match param.is_require_grad() {
                true => self.0.map_float(param),
                false => param,
            }
        }
    }
    model.map(&mut Stir(Fill(0.5, |x| 0.4 * x))).valid()
}

#[test]
fn the_folder_holds_what_the_merged_model_does() {
    for goft in settings() {
        let (_temporary, base, out) = folders(Dtype::F32);
        let model = trained(&goft);
        let file = AdapterFile::capture(&model).unwrap();
        let device = Device::flex();
        let done = HfFolder::open(&base)
            .unwrap()
            .merge(&file, place, &device, &out)
            .unwrap();
        let expected = tensors(&model.merge_adapters().unwrap());
        let copy = HfFolder::open(&out).unwrap();
        assert_eq!(done.replaced.len(), expected.len(), "all of it is trained");
        for (name, shape, values) in expected {
            let tensor = copy.tensor(&name).unwrap();
            assert_eq!(tensor.shape(), shape);
            let found = floats::decode(Dtype::F32, &tensor.read().unwrap()).unwrap();
            for (found, expected) in found.iter().zip(&values) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{name}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn half_precision_is_rounded_once() {
    for (dtype, digits) in [(Dtype::BF16, 8), (Dtype::F16, 11)] {
        let (_temporary, base, out) = folders(dtype);
        // Trained in f32: what the folder rounds is no other model.
        let file = AdapterFile::capture(&trained(&settings()[0])).unwrap();
        let folder = HfFolder::open(&base).unwrap();
        let done = folder.merge(&file, place, &Device::flex(), &out).unwrap();
        for one in done.replaced {
            let relative = one.rounding.relative;
            assert!(
                relative < 2f64.powi(-digits),
                "{dtype:?} {}: {relative}",
                one.name
            );
            assert!(
                relative > 0.0 || one.name.ends_with("bias"),
                "{dtype:?} {}",
                one.name
            );
        }
    }
}

#[test]
fn another_model_is_refused_and_nothing_is_written() {
    let (temporary, base, out) = folders(Dtype::F32);
    let goft = Goft::strict().with_targets(["gyre.0.weight"]);
    let file = AdapterFile::capture(&trained(&goft)).unwrap();
    let open = |path: &Path| HfFolder::open(path).unwrap();
    let device = Device::flex();

    let elsewhere = |path: &str| Place {
        name: format!("other.{path}"),
        transposed: true,
    };
    let error = open(&base)
        .merge(&file, elsewhere, &device, &out)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`other.gyre.0.weight` is not among"),
        "{error}"
    );

    let wrong = |_: &str| Place {
        name: "model.gyre.1.weight".into(),
        transposed: true,
    };
    let error = open(&base).merge(&file, wrong, &device, &out).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has shape [9, 6], and `gyre.0.weight` of the adapter asks for [6, 6]"),
        "{error}"
    );

    // The same weight among others.
    let around = temporary.path().join("around");
    let doubled = |tensor: &hf_folder::Tensor<'_>| {
        let values = floats::decode(tensor.dtype(), &tensor.read()?).unwrap();
        let other = tensor.name() == "model.toves.weight";
        Ok(other.then(|| values.iter().map(|x| 2.0 * x).collect()))
    };
    open(&base).rewrite(&around, doubled).unwrap();
    let error = open(&around)
        .merge(&file, place, &device, &out)
        .unwrap_err();
    assert!(
        error.to_string().contains("`model.toves.weight`"),
        "{error}"
    );
    let any = file.clone().for_any_base();
    open(&around)
        .merge(&any, place, &device, temporary.path().join("any"))
        .unwrap();

    // Square, so that only the values can tell.
    let turned = |path: &str| Place {
        transposed: false,
        ..place(path)
    };
    let error = open(&base).merge(&file, turned, &device, &out).unwrap_err();
    assert!(matches!(error, Error::Change { .. }), "{error}");

    open(&base).merge(&file, place, &device, &out).unwrap();
    let again = temporary.path().join("again");
    let error = open(&out).merge(&file, place, &device, &again).unwrap_err();
    assert!(error.to_string().contains("merged"), "{error}");
    assert!(!again.exists());
    open(&out)
        .merge(&file.for_any_base(), place, &device, &again)
        .unwrap();
}
