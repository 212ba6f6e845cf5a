//! The product with a packed weight, whatever blocks of it share a scale.

use burn::tensor::module::linear;
use burn::tensor::quantization::{QuantScheme, QuantValue, ScaleDtype};
use burn::tensor::{DType, Device, Tensor};
use burn_goft::packed_linear;

use crate::common;

/// Ways of packing, and how many rows and columns they ask for a multiple of.
fn schemes(name: &str, device: &Device) -> Vec<(&'static str, QuantScheme, [usize; 2])> {
    let scheme = device.settings().quantization.scheme;
    let q8 = scheme.with_value(QuantValue::Q8S);
    let schemes = vec![
        ("q8, one scale", q8.per_tensor(ScaleDtype::F32), [1, 4]),
        ("q8, 32", q8.per_block([32], ScaleDtype::F32), [1, 32]),
        (
            "q4, 32",
            scheme
                .with_value(QuantValue::Q4S)
                .per_block([32], ScaleDtype::F32),
            [1, 32],
        ),
        ("q8, 4 x 8", q8.per_block([4, 8], ScaleDtype::F32), [4, 8]),
        (
            "q8, a column's part",
            q8.per_block([3, 1], ScaleDtype::F32),
            [3, 4],
        ),
        (
            "q4, scales in eight bits",
            scheme
                .with_value(QuantValue::Q4S)
                .per_block([16], ScaleDtype::UE4M3)
                .per_tensor(ScaleDtype::F32),
            [1, 16],
        ),
    ];
    // ndarray packs in eight bits alone, and GPUs blocks of one row.
    let known = |scheme: &QuantScheme| match name {
        "flex" => true,
        "ndarray" => scheme.value == QuantValue::Q8S,
        _ => scheme.num_levels() == 1 && scheme.block_size().is_none_or(|block| block.len() == 1),
    };
    schemes
        .into_iter()
        .filter(|(_, scheme, _)| known(scheme))
        .collect()
}

fn random(seed: u64, shape: [usize; 2], device: &Device) -> Tensor<2> {
    let values = common::normal(seed, shape.iter().product());
    common::tensor(&values, shape, device, DType::F32)
}

/// Numbers of vectors, rows and columns that a scheme can pack.
fn sizes([rows, columns]: [usize; 2]) -> Vec<[usize; 3]> {
    let least = |size: usize, of: usize| size.div_ceil(of) * of;
    let of = |vectors, height, width| [vectors, least(height, rows), least(width, columns)];
    let mut sizes = vec![of(3, 1, 1), of(40, 1, 1)];
    sizes.extend([1, 3, 8, 40].map(|vectors| of(vectors, 37, 300)));
    // More than a panel either way, and a last one that is not full.
    sizes.extend([of(3, 530, 2100), of(9, 530, 2100)]);
    sizes
}

#[test]
fn it_is_the_product_with_the_numbers_it_stands_for_and_so_is_its_derivative() {
    for (device_name, device) in common::devices() {
        let tracked = device.clone().autodiff();
        for (name, scheme, multiple) in schemes(device_name, &device) {
            for [vectors, rows, columns] in sizes(multiple) {
                let what = format!("{device_name}, {name}, {vectors} x {rows} x {columns}");
                let packed = random(1, [rows, columns], &tracked).quantize_dynamic(&scheme);
                let dense = packed.clone().dequantize();
                let bias = random(4, [1, columns], &tracked).reshape([columns]);
                let x = random(2, [vectors, rows], &tracked).require_grad();
                let turned = random(3, [vectors, columns], &tracked);
                let derivative = |y: Tensor<2>| {
                    let grads = (y * turned.clone()).sum().backward();
                    common::numbers(&x.grad(&grads).expect("x is tracked"))
                };
                let found = packed_linear(x.clone(), packed, Some(bias.clone()));
                let expected = linear(x.clone(), dense, Some(bias));
                // Sums of that many products of normal numbers.
                let rounding = 1e-6 * (rows.max(columns) as f64).sqrt().max(4.0);
                let rounding = common::through_products(&device, rounding);
                common::assert_close(
                    &what,
                    &common::numbers(&found),
                    &common::numbers(&expected),
                    rounding,
                );
                common::assert_close(
                    format!("{what}, derivative"),
                    &derivative(found),
                    &derivative(expected),
                    rounding,
                );
            }
        }
    }
}

#[test]
fn it_has_every_rank_and_no_vectors_too() {
    for (name, device) in common::devices() {
        let (_, scheme, _) = schemes(name, &device).swap_remove(1);
        let packed = random(1, [6, 32], &device).quantize_dynamic(&scheme);
        let x = random(2, [10, 6], &device);
        let flat = packed_linear(x.clone(), packed.clone(), None);
        let found = packed_linear(x.clone().reshape([5, 1, 2, 6]), packed.clone(), None);
        assert_eq!(found.dims(), [5, 1, 2, 32]);
        assert_eq!(
            common::numbers(&found.reshape([10, 32])),
            common::numbers(&flat)
        );
        let row = packed_linear(x.narrow(0, 0, 1).reshape([6]), packed.clone(), None);
        assert_eq!(row.dims(), [32]);
        let none = packed_linear(Tensor::<2>::zeros([0, 6], &device), packed, None);
        assert_eq!(none.dims(), [0, 32]);
    }
}

/// A view is read as it lies.
#[test]
fn vectors_may_be_a_view() {
    for (name, device) in common::devices() {
        let (_, scheme, _) = schemes(name, &device).swap_remove(1);
        let packed = random(1, [6, 32], &device).quantize_dynamic(&scheme);
        for vectors in [2, 20] {
            let x = random(2, [6, vectors], &device).transpose();
            let copy: Tensor<2> = Tensor::from_data(x.to_data(), (&device, DType::F32));
            common::assert_close(
                name,
                &common::numbers(&packed_linear(x, packed.clone(), None)),
                &common::numbers(&packed_linear(copy, packed.clone(), None)),
                common::through_products(&device, 1e-6),
            );
        }
    }
}

#[test]
#[should_panic(expected = "the last axis of the input must be 6")]
fn another_width_is_refused() {
    let (name, device) = common::devices().swap_remove(0);
    let (_, scheme, _) = schemes(name, &device).swap_remove(1);
    let packed = random(1, [6, 32], &device).quantize_dynamic(&scheme);
    packed_linear(random(2, [4, 5], &device), packed, None);
}
