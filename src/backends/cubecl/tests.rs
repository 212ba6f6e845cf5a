//! Launches that a software adapter does not get by itself: with planes, which it has and CubeCL
//! does not announce, and three in a row, held to the portable body.

use burn::backend::DispatchDevice;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Device, DeviceKind, TensorData};
use burn_cubecl::{CubeBackend, CubeDevice};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::device::limits;
use super::launch::Rotation;
use super::tile::{Limits, Task};
use crate::pairs::{Turn, portable_gradients, portable_rotate};

/// The software adapter's device, and its limits with planes.
fn with_planes() -> (CubeDevice, Limits) {
    let device = Device::wgpu(DeviceKind::Cpu);
    let DispatchDevice::Cube(device) = device.as_dispatch() else {
        panic!("wgpu is a CubeCL runtime");
    };
    let client = device.client();
    let hardware = &client.properties().hardware;
    let plane = hardware.plane_size_min as usize;
    assert_eq!(plane, hardware.plane_size_max as usize);
    assert!(plane.is_power_of_two() && plane > 1, "planes of {plane}");
    let limits = limits(&client);
    (device.clone(), Limits { plane, ..limits })
}

fn random(seed: u64, shape: &[usize], device: &CubeDevice) -> FloatTensor<CubeBackend> {
    let mut rng = StdRng::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    CubeBackend::float_from_data(TensorData::new(values, shape.to_vec()), device)
}

/// Rotations by any angle plus noise: values keep their magnitude through all levels, so that each
/// level counts.
fn random_blocks(pairs: usize, device: &CubeDevice) -> FloatTensor<CubeBackend> {
    let mut rng = StdRng::seed_from_u64(3);
    let block = (0..pairs).flat_map(|_| {
        let (sin, cos) = rng.random_range(-3.0f32..3.0).sin_cos();
        [cos, -sin, sin, cos].map(|entry| entry + rng.random_range(-0.1..0.1))
    });
    let blocks = TensorData::new(block.collect::<Vec<_>>(), [pairs, 2, 2]);
    CubeBackend::float_from_data(blocks, device)
}

fn values(tensor: FloatTensor<CubeBackend>) -> Vec<f32> {
    let data = burn::tensor::read_sync(CubeBackend::float_into_data(tensor));
    data.expect("readable").iter::<f32>().collect()
}

fn assert_close(what: &str, found: FloatTensor<CubeBackend>, expected: FloatTensor<CubeBackend>) {
    let (found, expected) = (values(found), values(expected));
    let largest = expected.iter().fold(0.0f32, |max, e| max.max(e.abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() <= 1e-5 * largest,
            "{what}: {found} for {expected}"
        );
    }
}

/// Both directions and both derivatives along `axis`.
fn assert_portable(limits: &Limits, device: &CubeDevice, shape: [usize; 2], axis: usize) {
    let dim = shape[axis];
    let kept = [1, 2].map(|seed| random(seed, &shape, device));
    let blocks = random_blocks(dim - 1, device);
    let within = |task| {
        Rotation::within(limits, &kept[0], &blocks, axis, task).expect("the device takes it")
    };
    for (transpose, alone) in [(false, false), (false, true), (true, false), (true, true)] {
        let what = format!("{shape:?} along {axis}, transpose {transpose}, alone {alone}");
        // What nobody else holds is written over.
        let tensor = |index: usize| {
            if alone {
                random(1 + index as u64, &shape, device)
            } else {
                kept[index].clone()
            }
        };
        let (x, grad, blocks) = (|| tensor(0), || tensor(1), || blocks.clone());

        let turn = Turn {
            transpose,
            ..Turn::new(axis)
        };
        let found = within(Task::Rotate).rotate(x(), blocks(), transpose);
        let expected = portable_rotate::<CubeBackend>(x(), blocks(), turn);
        assert_close(&what, found, expected);
        let what = |by: &str| format!("{what}, by {by}");

        let (by_x, by_blocks) =
            within(Task::Differentiate).differentiate(x(), grad(), blocks(), transpose, true);
        let expected = portable_gradients::<CubeBackend>(x(), grad(), blocks(), turn);
        assert_close(&what("x"), by_x.expect("asked for"), expected.0);
        assert_close(&what("blocks"), by_blocks, expected.1);
    }
}

#[test]
fn units_of_a_plane_turn_their_pairs_as_the_portable_body_does() {
    let (device, limits) = with_planes();
    for shape in [[3, 9], [1, 31], [40, 64], [5, 137], [3, 768], [2, 5000]] {
        let x = random(1, &shape, &device);
        let blocks = random_blocks(shape[1] - 1, &device);
        let rotation = Rotation::within(&limits, &x, &blocks, 1, Task::Rotate).expect("it fits");
        assert!(rotation.stages[0].tile.plane_levels > 0, "{shape:?}");
        assert_portable(&limits, &device, shape, 1);
    }
}

#[test]
fn vectors_of_three_launches_turn_as_the_portable_body_turns_them() {
    let (device, limits) = with_planes();
    let shape = [20000, 33];
    let x = random(1, &shape, &device);
    let blocks = random_blocks(shape[0] - 1, &device);
    let derivative =
        Rotation::within(&limits, &x, &blocks, 0, Task::Differentiate).expect("it fits");
    assert_eq!(derivative.stages.len(), 3);
    assert_portable(&limits, &device, shape, 0);
}

/// Where a lane has no vector, nothing is summed: zero times infinity would be no number.
#[test]
fn an_infinite_block_makes_infinite_derivatives_and_not_nan() {
    let (device, limits) = with_planes();
    let ones = |shape: &[usize]| {
        let count = shape.iter().product();
        CubeBackend::float_from_data(TensorData::new(vec![1f32; count], shape.to_vec()), &device)
    };
    let without = Limits { plane: 1, ..limits };
    // Beside registers, in a plane, and in shared memory; three vectors in four lanes.
    for (dim, limits) in [(8, limits), (64, limits), (64, without)] {
        let mut entries = vec![1f32; 4 * (dim - 1)];
        entries[0] = f32::INFINITY;
        let blocks = TensorData::new(entries, [dim - 1, 2, 2]);
        let blocks = CubeBackend::float_from_data(blocks, &device);
        let vectors = || ones(&[3, dim]);
        let derivative = Rotation::within(&limits, &vectors(), &blocks, 1, Task::Differentiate)
            .expect("it fits");
        assert!(derivative.stages[0].tile.lanes > 3);
        let found = derivative.differentiate(vectors(), vectors(), blocks.clone(), false, false);
        let expected =
            portable_gradients::<CubeBackend>(vectors(), vectors(), blocks, Turn::new(1));
        let (found, expected) = (values(found.1), values(expected.1));
        assert!(expected.contains(&f32::INFINITY));
        assert_eq!(found, expected);
    }
}
