//! What holds for every method: a new row of the table inherits all of it.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::StandardNormal;

use super::{Method, Penalty};

const DIMS: [usize; 8] = [1, 2, 3, 5, 8, 12, 33, 137];

fn cases() -> impl Iterator<Item = (Method, usize)> {
    let methods = Method::examples().into_iter();
    methods.flat_map(|method| DIMS.map(|dim| (method, dim)))
}

fn names(method: Method, dim: usize) -> Vec<String> {
    let fields = method.fields(dim).into_iter();
    fields.map(|field| field.name).collect()
}

fn normal<const D: usize>(seed: u64, std: f64, shape: [usize; D]) -> Tensor<D> {
    let mut rng = StdRng::seed_from_u64(seed);
    let number = |_| std * rng.sample::<f64, _>(StandardNormal);
    let values = (0..shape.iter().product()).map(number).collect();
    let data = TensorData::new::<f64, _>(values, shape);
    Tensor::from_data(data, (&Device::flex(), DType::F64))
}

fn largest(tensor: Tensor<2>) -> f64 {
    let values: Vec<f64> = tensor.abs().into_data().iter().collect();
    values.into_iter().fold(0.0, f64::max)
}

/// Parameters away from the identity.
fn parameters(method: Method, dim: usize) -> Vec<Tensor<1>> {
    let fields = method.fields(dim).into_iter().zip(1..);
    fields
        .map(|(field, seed)| normal(seed, 0.3, [field.count()]))
        .collect()
}

#[test]
fn names_tell_the_form() {
    let forms: Vec<_> = Method::examples();
    for method in &forms {
        for dim in DIMS.into_iter().filter(|dim| *dim > 1) {
            let names = names(*method, dim);
            let mut read: Vec<&str> = names.iter().map(String::as_str).collect();
            assert_eq!(Method::read(&read), Some(*method));
            read.reverse();
            assert_eq!(Method::read(&read), Some(*method), "whatever the order");
            assert_eq!(Method::read(&read[1..]), None, "one is missing");
        }
    }
    for (index, one) in forms.iter().enumerate() {
        for other in &forms[index + 1..] {
            assert_ne!(names(*one, 8), names(*other, 8), "{one:?} {other:?}");
        }
        let json = serde_json::to_string(one).unwrap();
        assert_eq!(serde_json::from_str::<Method>(&json).unwrap(), *one);
        one.check().unwrap();
    }
}

#[test]
fn parameters_have_the_shapes_of_their_fields() {
    for (method, dim) in cases() {
        let found = method.initial(dim, 0.3, DType::F64, &Device::flex());
        let found: Vec<_> = found.iter().map(|parameter| parameter.dims()[0]).collect();
        let fields = method.fields(dim).into_iter();
        let expected: Vec<_> = fields.map(|field| field.count()).collect();
        assert_eq!(found, expected, "{method:?} {dim}");
        assert_eq!(dim < 2, expected.is_empty(), "{method:?} {dim}");
    }
}

#[test]
fn the_start_is_the_identity() {
    for (method, dim) in cases() {
        let start = method.initial(dim, 0.0, DType::F64, &Device::flex());
        let x = normal(7, 1.0, [3, dim]);
        for transpose in [false, true] {
            let turned = method.turn(&start, x.clone(), 1, transpose);
            assert!(largest(turned - x.clone()) < 1e-13, "{method:?} {dim}");
        }
        if let Some(penalty) = method.penalty(&start, dim, Penalty::Gram) {
            assert!(penalty.into_scalar::<f64>() < 1e-24, "{method:?} {dim}");
        }
    }
}

#[test]
fn the_transpose_is_the_adjoint_on_either_axis() {
    for (method, dim) in cases() {
        let parameters = parameters(method, dim);
        for axis in [0, 1] {
            let mut shape = [3, 3];
            shape[axis] = dim;
            let [x, y] = [8, 9].map(|seed| normal(seed, 1.0, shape));
            let turn =
                |v: &Tensor<2>, transpose| method.turn(&parameters, v.clone(), axis, transpose);
            let left = (turn(&x, false) * y.clone()).sum().into_scalar::<f64>();
            let right = (x * turn(&y, true)).sum().into_scalar::<f64>();
            assert!(
                (left - right).abs() < 1e-10,
                "{method:?} {dim} {axis}: {left} {right}"
            );
        }
    }
}

#[test]
fn the_gram_matrix_is_within_its_bound() {
    for (method, dim) in cases() {
        let parameters = parameters(method, dim);
        let identity = Tensor::<2>::eye(dim, &Device::flex()).cast(DType::F64);
        let rotation = method.turn(&parameters, identity.clone(), 0, false);
        let excess = rotation.clone().transpose().matmul(rotation) - identity;
        // No entry of a matrix is above its spectral norm.
        let (found, bound) = (largest(excess), method.gram_bound(&parameters, dim));
        assert!(found <= bound + 1e-12, "{method:?} {dim}: {found} {bound}");
    }
}

#[test]
fn a_rotation_is_undone() {
    for (method, dim) in cases() {
        let parameters = parameters(method, dim);
        for axis in [0, 1] {
            let mut shape = [3, 3];
            shape[axis] = dim;
            let x = normal(7, 1.0, shape);
            let turned = method.turn(&parameters, x.clone(), axis, false);
            let undone = method.undo(&parameters, turned, axis, 1e12).unwrap();
            assert!(undone.condition >= 1.0);
            let error = largest(undone.tensor - x) / undone.condition;
            assert!(error < 1e-12, "{method:?} {dim}: {error}");
        }
    }
}
