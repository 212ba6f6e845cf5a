//! An adapted layer is `h = diag(s_out) W^T diag(s_in) R^T x + b` on both sides, for every method
//! and norm scale.

mod every_method;
mod merge;
mod sides;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{Goft, GoftAdapter, GoftLinear, GoftModule, Method, NormScale};

use crate::common::{self, Row, epsilon, levels, normal, numbers, parameter_dtype, tensor};
use crate::methods::{self, Dense};
use crate::oracle::Matrix;

const D_OUTPUT: usize = 4;

/// Input dimensions of the layers: one pair, odd, composite, several levels.
const D_INPUTS: [usize; 4] = [2, 5, 12, 137];

/// A pretrained layer and what is to be attached to it.
struct Layer {
    row: Row,
    device: Device,
    goft: Goft,
    d: usize,
    base: Linear,
}

impl Layer {
    fn new(row: &Row, goft: &Goft, d: usize) -> Self {
        Self::on(&row.device, row, goft, d)
    }

    fn on(device: &Device, row: &Row, goft: &Goft, d: usize) -> Self {
        let weight = tensor(&normal(1, d * D_OUTPUT), [d, D_OUTPUT], device, row.dtype);
        let bias = tensor(&normal(2, D_OUTPUT), [D_OUTPUT], device, row.dtype);
        Self {
            row: row.clone(),
            device: device.clone(),
            goft: goft.clone(),
            d,
            base: Linear {
                weight: Param::from_tensor(weight),
                bias: Some(Param::from_tensor(bias)),
            },
        }
    }

    fn weight_side(&self) -> Linear {
        let layer = self.base.clone().apply_goft(self.goft.clone());
        layer
            .expect("a linear layer can be adapted")
            .map(&mut edit(fill))
    }

    fn input_side(&self) -> GoftLinear {
        let layer = GoftLinear::from_linear(self.base.clone(), &self.goft);
        layer
            .expect("a linear layer can be adapted")
            .map(&mut edit(fill))
    }

    fn weight(&self) -> Matrix {
        Matrix::new(self.d, D_OUTPUT, numbers(&self.base.weight.val()))
    }

    fn input(&self) -> Tensor<3> {
        tensor(
            &normal(3, 6 * self.d),
            [2, 3, self.d],
            &self.device,
            self.row.dtype,
        )
    }

    /// Relative to the largest number: blocks of angles are rounded at every level, sums over
    /// `d_input`, and half precision after the rotation and after each scale.
    fn tolerance(&self) -> f64 {
        let sums = 8.0 * (levels(self.d) + 1.0) + (self.d as f64).sqrt();
        sums * epsilon(parameter_dtype(self.row.dtype)) + 3.0 * epsilon(self.row.dtype)
    }

    /// As [`tolerance`](Self::tolerance), of vectors that were turned on the input side, where methods that are not made of
    /// pairs take the device's product.
    fn tolerance_turned(&self) -> f64 {
        match self.goft.method {
            Method::Oft(_) | Method::Hra(_) => self.row.through_products(self.tolerance()),
            _ => self.tolerance(),
        }
    }

    fn is_half(&self) -> bool {
        matches!(self.row.dtype, DType::F16 | DType::BF16)
    }

    fn what(&self) -> String {
        format!("{} {} d = {}", self.row, methods::name(&self.goft), self.d)
    }
}

/// Every layer of the table on every device, in every dtype.
fn layers() -> impl Iterator<Item = Layer> {
    let table = |row: Row| {
        let of_setting = move |goft: Goft| {
            let row = row.clone();
            D_INPUTS.map(move |d| Layer::new(&row, &goft, d))
        };
        methods::settings().into_iter().flat_map(of_setting)
    };
    common::rows().into_iter().flat_map(table)
}

/// Rewrites the stored parameters of an adapter, by the name of the field.
struct Edit<F> {
    names: Vec<String>,
    edit: F,
}

fn edit<F: Fn(&str, &mut [f64])>(edit: F) -> Edit<F> {
    let names = Vec::new();
    Edit { names, edit }
}

impl<F: Fn(&str, &mut [f64])> ModuleMapper for Edit<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.names.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.names.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let [.., parent, field] = &self.names[..] else {
            return param;
        };
        if parent != "goft" {
            return param;
        }
        param.map(|old| {
            let mut values = numbers(&old);
            (self.edit)(field, &mut values);
            let new = tensor(&values, old.dims(), &old.device(), old.dtype());
            new.set_require_grad(old.is_require_grad())
        })
    }
}

/// Values far from the start.
fn fill(field: &str, values: &mut [f64]) {
    values.copy_from_slice(&methods::far_from_the_start(field, values.len()));
}

/// `R`, `s_in` and `s_out` in float64, from the stored parameters.
struct Parts {
    rotation: Dense,
    input_scale: Vec<f64>,
    neuron_scale: Vec<f64>,
}

impl Parts {
    fn of(adapter: &GoftAdapter, d: usize) -> Self {
        assert_eq!(adapter.dim(), d);
        let offsets = methods::scale_offsets(adapter).map(|scale| numbers(&scale.val()));
        let scale = offsets.map(|offsets| offsets.iter().map(|s| 1.0 + s).collect());
        let (input_scale, neuron_scale) = match adapter.norm_scale() {
            NormScale::None => (None, None),
            NormScale::Input => (scale, None),
            NormScale::Neuron => (None, scale),
            other => panic!("the laws have no norm scale {other:?}"),
        };
        Self {
            rotation: Dense::of(adapter),
            input_scale: input_scale.unwrap_or(vec![1.0; d]),
            neuron_scale: neuron_scale.unwrap_or(vec![1.0; D_OUTPUT]),
        }
    }

    /// `R diag(s_in) W diag(s_out)`.
    fn effective(&self, weight: &Matrix) -> Matrix {
        let scaled = Matrix::diagonal(&self.input_scale).times(weight);
        let rotated = self.rotation.matrix.times(&scaled);
        rotated.times(&Matrix::diagonal(&self.neuron_scale))
    }
}

fn adapter(layer: &Linear) -> &GoftAdapter {
    layer
        .weight
        .reparameterization()
        .expect("an adapter is attached")
}
