//! Rotations through burn's remote backend: a server in this process, on a port that the system picks, answers them with the
//! kernels of its CPU backend. Rotations agree bit for bit with the same kernels run here; results of matrix products agree to rounding.

#![cfg(test)]

use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::thread;

use burn::backend::Flex;
use burn::module::{Module, Param};
use burn::nn::LinearConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::remote::{ConnectError, RemoteHost};
use burn::server::{CustomOpRegistry, RemoteServer, ServeError, WebSocketTransport};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_goft::{
    AdapterFile, Givens, Goft, GoftLinear, GoftModule, Oft, Road, Turn, rotate, rotate_portable,
    rotate_transpose,
};

// ANCHOR: server
/// Serves the CPU until the process is stopped, rotations included.
fn serve(listener: TcpListener) -> Result<(), ServeError> {
    let mut operations = CustomOpRegistry::<Flex>::new();
    burn_goft::register_ops(&mut operations);
    RemoteServer::new([Device::flex()])
        .with_custom_ops(operations)
        .serve(WebSocketTransport::from_listener(listener))
}
// ANCHOR_END: server

// ANCHOR: client
/// The first device of a server, such as `ws://10.0.0.2:3000`.
fn connect(address: &str) -> Result<Device, ConnectError> {
    let host = RemoteHost::websocket(address);
    Device::remote_options(&host).init()
}
// ANCHOR_END: client

/// A device of a server that runs in a thread of its own.
fn served(serve: impl FnOnce(TcpListener) -> Result<(), ServeError> + Send + 'static) -> Device {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || serve(listener).expect("it serves"));
    connect(&format!("ws://{address}")).expect("a session")
}

/// A server that knows burn's own operations alone.
fn untold(listener: TcpListener) -> Result<(), ServeError> {
    RemoteServer::new([Device::flex()]).serve(WebSocketTransport::from_listener(listener))
}

fn remote() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| served(serve)).clone()
}

/// Numbers between -1 and 1 without any pattern.
fn tensor<const D: usize>(seed: usize, shape: [usize; D], on: (&Device, DType)) -> Tensor<D> {
    let number = |k: usize| (((seed * 7919 + k) as f64) * 12.9898).sin() * 43758.5453;
    let count = shape.iter().product();
    let numbers = (0..count).map(|k| 2.0 * number(k).rem_euclid(1.0) - 1.0);
    let data = TensorData::new(numbers.collect::<Vec<f64>>(), shape);
    Tensor::from_data(data.convert_dtype(on.1), on)
}

/// As [`tensor`], in f32.
fn single<const D: usize>(seed: usize, shape: [usize; D], device: &Device) -> Tensor<D> {
    tensor(seed, shape, (device, DType::F32))
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().iter().collect()
}

type Rotate = fn(Tensor<3>, Tensor<3>, usize) -> Tensor<3>;

/// A rotation by angles, and the derivatives by the vectors, by the angles, and by blocks alone.
fn rotation(
    device: Device,
    dtype: DType,
    shape: [usize; 3],
    axis: usize,
    turn: Rotate,
) -> [Vec<f64>; 4] {
    let device = device.autodiff();
    let wide = match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    };
    let (x, upstream) = (
        tensor::<3>(1, shape, (&device, dtype)),
        tensor(3, shape, (&device, dtype)),
    );
    let x = x.require_grad();
    let angles = tensor::<1>(2, [shape[axis] - 1], (&device, wide)) * 3.0;
    let angles = angles.detach().require_grad();
    let blocks = Givens::from_angles(angles.clone()).blocks();
    let turned = turn(x.clone(), blocks.clone(), axis);
    assert_eq!(turned.dtype(), dtype);
    let gradients = (turned.clone() * upstream.clone()).sum().backward();
    let by_x = x.grad(&gradients).expect("tracked");
    let by_angles = angles.grad(&gradients).expect("tracked");
    let blocks = blocks.detach().require_grad();
    let alone = turn(x.detach(), blocks.clone(), axis);
    let gradients = (alone * upstream).sum().backward();
    let by_blocks = blocks.grad(&gradients).expect("tracked");
    [
        values(&turned),
        values(&by_x),
        values(&by_angles),
        values(&by_blocks),
    ]
}

const DTYPES: [DType; 3] = [DType::F32, DType::F64, DType::BF16];

#[test]
fn rotations_and_their_derivatives_are_the_servers() {
    for (d, dtype) in [2, 3, 5, 8, 137, 768]
        .into_iter()
        .flat_map(|d| DTYPES.map(|t| (d, t)))
    {
        for (axis, shape) in [
            (0, [d, 3, 2]),
            (1, [3, d, 2]),
            (2, [2, 3, d]),
            (2, [0, 3, d]),
        ] {
            for turn in [rotate as Rotate, rotate_transpose] {
                let of = |device| rotation(device, dtype, shape, axis, turn);
                let (found, expected) = (of(remote()), of(Device::flex()));
                assert!(expected.iter().flatten().all(|value| value.is_finite()));
                assert_eq!(found, expected, "{dtype:?} {shape:?} along {axis}");
            }
        }
    }
}

/// As of a client without the feature: burn's own operations, which any server knows.
#[test]
fn the_portable_body_needs_no_server_that_was_told() {
    let device = served(untold);
    for d in [2, 5, 137] {
        let of = |device: Device| {
            let device = device.autodiff();
            let x = single::<3>(1, [2, d, 3], &device).require_grad();
            let blocks = single::<3>(2, [d - 1, 2, 2], &device).require_grad();
            let turned = rotate_portable(x.clone(), blocks.clone(), Turn::new(1).transposed());
            let gradients = (turned.clone() * single(3, [2, d, 3], &device))
                .sum()
                .backward();
            let by_x = values(&x.grad(&gradients).expect("tracked"));
            [
                values(&turned),
                by_x,
                values(&blocks.grad(&gradients).expect("tracked")),
            ]
        };
        let (found, expected) = (of(device.clone()), of(Device::flex()));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4, "{found}, {expected}");
            }
        }
    }
}

/// Also that an adapter moves between devices, and a rotation by other pairs than the tree's.
#[test]
fn an_adapter_that_was_made_here_is_the_same_there() {
    let plain = |device: &Device| {
        let mut linear = LinearConfig::new(9, 4).with_bias(false).init(device);
        linear.weight = Param::from_tensor(single(4, [9, 4], device));
        linear
    };
    for goft in [Goft::road(Road::default()), Goft::strict()] {
        let here = Device::flex();
        let layer =
            GoftLinear::from_linear(plain(&here), goft.with_init_std(0.5)).expect("it fits");
        let adapters = AdapterFile::capture(&layer).expect("it has one");
        let there = GoftLinear::from(plain(&remote()));
        let there = there.load_adapters(adapters).expect("the same base");
        let result =
            |layer: &GoftLinear, device| values(&layer.forward(single::<2>(5, [3, 9], device)));
        let (found, expected) = (result(&there, &remote()), result(&layer, &here));
        let unrotated = values(&single::<2>(5, [3, 9], &here).matmul(single(4, [9, 4], &here)));
        assert_ne!(expected, unrotated);
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found}, {expected}");
        }
    }
}

#[test]
fn layers_train_and_merge_as_they_do_here() {
    for goft in [Goft::strict(), Goft::quasi(), Goft::oft(Oft::exact(4))] {
        let of = |device: Device| {
            let tracked = device.clone().autodiff();
            let mut linear = LinearConfig::new(12, 5).with_bias(false).init(&tracked);
            linear.weight = Param::from_tensor(single(4, [12, 5], &tracked));
            let mut layer = GoftLinear::from_linear(linear, goft.clone()).expect("it fits");
            let x = single::<2>(5, [7, 12], &tracked);
            let mut losses = Vec::new();
            for _ in 0..4 {
                let loss = (layer.forward(x.clone()) - 0.5).square().mean();
                losses.extend(values(&loss));
                let gradients = GradientsParams::from_grads(loss.backward(), &layer);
                layer = SgdConfig::new().init().step(0.3, layer, gradients);
            }
            let merged = layer.valid().merge_adapters().expect("near orthogonal");
            losses.extend(values(&merged.forward(x.inner())));
            losses
        };
        let (found, expected) = (of(remote()), of(Device::flex()));
        assert!(expected[3] < 0.99 * expected[0], "{expected:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found}, {expected}");
        }
    }
}

/// This shows that a rotation is sent as one operation and not as those that it could be made of.
#[test]
fn a_server_that_was_not_told_does_not_know_rotations() {
    let device = served(untold);
    let x = single::<2>(1, [2, 5], &device);
    assert_eq!(values(&(x.clone() * 2.0)).len(), 10);
    let blocks = single::<3>(2, [4, 2, 2], &device);
    let read = catch_unwind(AssertUnwindSafe(|| values(&rotate(x, blocks, 1))));
    let message = *read.unwrap_err().downcast::<String>().expect("a message");
    assert!(message.contains("Failed to read tensor"), "{message}");
}
