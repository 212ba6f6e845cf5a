//! Compares the crate with reference values, file by file.
//!
//! ```text
//! cargo run --release --example parity -- tests/fixtures/*.safetensors --device flex --dtype f64
//! ```
//!
//! Each file is safetensors with float64 tensors, as `tests/make_fixtures.py` writes them: inputs
//! `x`, `grad_y`, `weight` and `angles` (strict) or `blocks` (quasi), and the expected `y = x R`,
//! `y_t = x R^T`, gradients, `merged = R W` and `penalty`. Two things are told apart: the rotation by itself,
//! whose errors have to be within the dtype's tolerance on every device, and adapted layers, which go
//! through the device's own matrix product; four times that product's error, which is measured first, is
//! added to their limit. (burn multiplies f32 in TF32 on CUDA.) Prints one JSON object a file; exits
//! with 1 if an error is beyond its limit, with 2 if a file cannot be compared.
#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr)]

#[path = "support/device.rs"]
mod device;
#[path = "support/precision.rs"]
mod precision;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_goft::{
    Givens, Goft, GoftAdapter, GoftLinear, GoftModule, Penalty, QuasiGivens, rotate,
    rotate_transpose,
};
use clap::{Parser, ValueEnum};
use safetensors::SafeTensors;

#[derive(Parser)]
struct Arguments {
    /// Fixture files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// flex, ndarray, wgpu, wgpu-cpu, vulkan, webgpu, metal, cuda, rocm or cpu.
    #[arg(long, default_value = "flex")]
    device: String,
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Precision,
}

#[derive(Clone, Copy, ValueEnum)]
enum Precision {
    F32,
    F64,
}

impl Precision {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    fn tolerance(self) -> f64 {
        match self {
            Self::F32 => 1e-5,
            Self::F64 => 1e-12,
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let device = match device::device(&arguments.device) {
        Ok(device) => device,
        Err(refusal) => {
            eprintln!("{refusal}");
            return ExitCode::from(2);
        }
    };
    let (dtype, name) = (arguments.dtype.dtype(), arguments.dtype.name());
    if !device.supports_dtype(dtype) {
        eprintln!(
            "device `{}` has no {name}; choose another dtype or device",
            arguments.device
        );
        return ExitCode::from(2);
    }
    let product = precision::product_error(&device, dtype);
    let rotation_limit = arguments.dtype.tolerance();
    // A layer's result has gone through one product, its derivatives through two or three.
    let layer_limit = rotation_limit + 4.0 * product;
    let (mut all_pass, mut all_read) = (true, true);
    for file in &arguments.files {
        let errors = match Fixture::read(file, &device.clone().autodiff(), dtype).and_then(compare)
        {
            Ok(errors) => errors,
            Err(failure) => {
                eprintln!("{}: {failure}", file.display());
                all_read = false;
                continue;
            }
        };
        // Written so that a NaN fails.
        let within = |errors: &BTreeMap<String, f64>, limit: f64| {
            errors.values().all(|error| *error <= limit)
        };
        let rotation = within(&errors.rotation, rotation_limit);
        let layer = within(&errors.layer, layer_limit);
        let pass = rotation && layer;
        all_pass &= pass;
        let report = serde_json::json!({
            "file": file,
            "device": arguments.device,
            "dtype": name,
            "pass": pass,
            "rotation": { "within": rotation, "limit": rotation_limit, "max_error": errors.rotation },
            "layer": {
                "within": layer, "limit": layer_limit, "product_error": product, "max_error": errors.layer,
            },
        });
        println!("{report}");
    }
    match (all_read, all_pass) {
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::FAILURE,
        (false, _) => ExitCode::from(2),
    }
}

/// A file's tensors: on the device in the asked dtype, and as they were written.
struct Fixture {
    expected: BTreeMap<String, Vec<f64>>,
    shapes: BTreeMap<String, Vec<usize>>,
    device: Device,
    dtype: DType,
}

impl Fixture {
    fn read(path: &Path, device: &Device, dtype: DType) -> Result<Self, Failure> {
        let bytes = std::fs::read(path)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| {
            format!("not an intact safetensors file ({error}); make fixtures with tests/make_fixtures.py")
        })?;
        let (mut expected, mut shapes) = (BTreeMap::new(), BTreeMap::new());
        for (name, view) in file.iter() {
            if view.dtype() != safetensors::Dtype::F64 {
                return Err(format!(
                    "`{name}` has dtype {:?}, and fixtures are F64",
                    view.dtype()
                )
                .into());
            }
            let values = view
                .data()
                .chunks_exact(8)
                .map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()));
            expected.insert(name.to_string(), values.collect());
            shapes.insert(name.to_string(), view.shape().to_vec());
        }
        let device = device.clone();
        Ok(Self {
            expected,
            shapes,
            device,
            dtype,
        })
    }

    fn tensor<const D: usize>(&self, name: &str) -> Result<Tensor<D>, Failure> {
        let missing = || format!("the file has no tensor `{name}`");
        let values = self.expected.get(name).ok_or_else(missing)?.clone();
        let shape = self.shapes[name].clone();
        if shape.len() != D {
            return Err(format!("`{name}` has shape {shape:?}, and rank {D} is needed").into());
        }
        let data = TensorData::new(values, shape).convert_dtype(self.dtype);
        Ok(Tensor::from_data(data, (&self.device, self.dtype)))
    }

    fn is_strict(&self) -> bool {
        self.expected.contains_key("angles")
    }

    fn goft(&self) -> Goft {
        if self.is_strict() {
            Goft::strict()
        } else {
            Goft::quasi()
        }
    }

    /// What an adapter stores, in a row: the file's angles, or its blocks less the identity.
    fn values(&self) -> Result<Tensor<1>, Failure> {
        if self.is_strict() {
            return self.tensor("angles");
        }
        let blocks = self.tensor::<3>("blocks")?;
        let identity = Tensor::<2>::eye(2, &self.device).cast(self.dtype);
        Ok((blocks - identity.unsqueeze()).reshape([-1]))
    }

    /// The blocks of these stored values.
    fn blocks(&self, values: Tensor<1>) -> Tensor<3> {
        if self.is_strict() {
            return Givens::from_angles(values).blocks();
        }
        let identity = Tensor::<2>::eye(2, &self.device).cast(self.dtype);
        values.reshape([-1, 2, 2]) + identity.unsqueeze()
    }

    /// A layer without bias that carries the file's adapter.
    fn adapted<M: Module + From<Linear>>(&self, weight: Tensor<2>) -> Result<M, Failure> {
        let linear = Linear {
            weight: Param::initialized(ParamId::new(), weight),
            bias: None,
        };
        let layer = M::from(linear).apply_goft(self.goft())?;
        Ok(layer.map(&mut SetAdapter {
            values: self.values()?,
            inside: false,
        }))
    }
}

/// Gives an adapter the file's values.
struct SetAdapter {
    values: Tensor<1>,
    inside: bool,
}

impl ModuleMapper for SetAdapter {
    fn enter_module(&mut self, _name: &str, container_type: &str) {
        self.inside |= container_type == "Reparameterization";
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.inside {
            return param;
        }
        let values = self.values.clone();
        param.map(|old| values.reshape(old.shape()).require_grad())
    }
}

/// The largest errors of a file, by name.
struct Found {
    /// Of the rotation by itself.
    rotation: BTreeMap<String, f64>,
    /// Of adapted layers, over both sides.
    layer: BTreeMap<String, f64>,
}

/// The largest errors, by name.
struct Errors<'a> {
    fixture: &'a Fixture,
    largest: BTreeMap<String, f64>,
}

impl Errors<'_> {
    /// Relative to the largest expected magnitude; the penalty, which is zero for strict blocks, to
    /// at least 1.
    fn check<const D: usize>(&mut self, name: &str, found: Tensor<D>) -> Result<(), Failure> {
        let expected = &self.fixture.expected[name];
        let found: Vec<f64> = match expected.len() {
            0 => Vec::new(),
            _ => found.into_data().iter().collect(),
        };
        if found.len() != expected.len() {
            return Err(format!(
                "`{name}` has {} values, and {} were expected",
                found.len(),
                expected.len()
            )
            .into());
        }
        let magnitude = expected
            .iter()
            .fold(0.0f64, |max, value| max.max(value.abs()));
        let scale = if name == "penalty" {
            magnitude.max(1.0)
        } else {
            magnitude
        };
        let error = found
            .iter()
            .zip(expected)
            .map(|(found, expected)| (found - expected).abs());
        // `max` would drop a NaN.
        let error = error.fold(0.0, |max, error| if error <= max { max } else { error });
        let relative = if error == 0.0 { 0.0 } else { error / scale };
        let largest = self.largest.entry(name.to_string()).or_insert(0.0);
        if relative.is_nan() || relative > *largest {
            *largest = relative;
        }
        Ok(())
    }
}

fn compare(fixture: Fixture) -> Result<Found, Failure> {
    let none = || Errors {
        fixture: &fixture,
        largest: BTreeMap::new(),
    };
    let (mut errors, mut of_layers) = (none(), none());
    let values = fixture.values()?.require_grad();
    let blocks = || fixture.blocks(values.clone());
    let rotated = |x| rotate_transpose(x, blocks(), 1);
    gradients(&mut errors, rotated, &values)?;
    let x = fixture.tensor::<2>("x")?;
    let weight = fixture.tensor::<2>("weight")?;
    errors.check("y_t", rotate(x, blocks(), 1))?;
    errors.check("merged", rotate(weight, blocks(), 0))?;
    let penalty = QuasiGivens::from_blocks(blocks()).penalty(Penalty::Paper);
    errors.check("penalty", penalty)?;
    // A weight whose vectors have one coordinate has nothing to rotate, and no adapter.
    if fixture.shapes["weight"][0] > 1 {
        layers(&mut of_layers)?;
    }
    Ok(Found {
        rotation: errors.largest,
        layer: of_layers.largest,
    })
}

/// An adapted layer on either side.
fn layers(errors: &mut Errors<'_>) -> Result<(), Failure> {
    let fixture = errors.fixture;
    let x = fixture.tensor::<2>("x")?;
    let weight = fixture.tensor::<2>("weight")?;
    let dim = weight.dims()[0];
    let identity = || Tensor::<2>::eye(dim, &fixture.device).cast(fixture.dtype);

    // Over the identity, both sides of a layer compute x R.
    let on_weight: Linear = fixture.adapted(identity())?;
    let on_input: GoftLinear = fixture.adapted(identity())?;
    let adapter = on_weight.weight.reparameterization().unwrap();
    gradients(errors, |x| on_weight.forward(x), &stored(adapter))?;
    let adapter = on_input.adapter().unwrap();
    gradients(errors, |x| on_input.forward(x), &stored(adapter))?;
    errors.check("y_t", x.matmul(on_weight.weight.val().transpose()))?;

    let merged = fixture
        .adapted::<Linear>(weight.clone())?
        .merge_adapters()?;
    errors.check("merged", merged.weight.val())?;
    let merged = fixture.adapted::<GoftLinear>(weight)?.merge()?;
    errors.check("merged", merged.weight.val())?;
    errors.check("penalty", on_weight.adapter_penalty(Penalty::Paper))
}

/// The one parameter of an adapter.
fn stored(adapter: &GoftAdapter) -> Tensor<1> {
    let name = adapter.parameter_names().next().expect("a parameter");
    adapter.parameter(name).expect("a parameter").val()
}

/// Output and gradients of what computes `x R`.
fn gradients(
    errors: &mut Errors<'_>,
    forward: impl Fn(Tensor<2>) -> Tensor<2>,
    values: &Tensor<1>,
) -> Result<(), Failure> {
    let x = errors.fixture.tensor::<2>("x")?.require_grad();
    let grad_y = errors.fixture.tensor::<2>("grad_y")?;
    let y = forward(x.clone());
    errors.check("y", y.clone())?;
    let gradients = (y * grad_y).sum().backward();
    errors.check("grad_x", x.grad(&gradients).ok_or("x has no gradient")?)?;
    let name = if errors.fixture.is_strict() {
        "grad_angles"
    } else {
        "grad_blocks"
    };
    // Without a pair there is nothing to differentiate.
    let zero = || values.clone().inner().zeros_like();
    errors.check(name, values.grad(&gradients).unwrap_or_else(zero))
}
