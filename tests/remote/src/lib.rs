//! Rotations through burn's remote backend: a server in this process, on a port that the system picks, answers them with the
//! kernels of its CPU backend, and what comes back is, bit for bit, what those give here.

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
use burn::tensor::{Device, Tensor, TensorData};
use burn_goft::{
    AdapterFile, Givens, Goft, GoftLinear, GoftModule, Oft, Road, rotate, rotate_transpose,
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

fn remote() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| served(serve)).clone()
}

/// Numbers between -1 and 1 without any pattern.
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    let number = |k: usize| (((seed * 7919 + k) as f64) * 12.9898).sin() * 43758.5453;
    (0..count)
        .map(|k| (2.0 * number(k).rem_euclid(1.0) - 1.0) as f32)
        .collect()
}

fn tensor<const D: usize>(seed: usize, shape: [usize; D], device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    Tensor::from_data(TensorData::new(numbers(seed, count), shape), device)
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter().collect()
}

#[test]
fn rotations_and_their_derivatives_are_the_servers() {
    for d in [2, 3, 5, 8, 137, 768] {
        for (axis, shape) in [(0, [d, 3, 2]), (1, [3, d, 2]), (2, [2, 3, d])] {
            for turn in [rotate, rotate_transpose] {
                let of = |device: Device| {
                    let device = device.autodiff();
                    let x = tensor::<3>(1, shape, &device).require_grad();
                    let angles = tensor::<1>(2, [d - 1], &device) * 3.0;
                    let angles = angles.detach().require_grad();
                    let blocks = Givens::from_angles(angles.clone()).blocks();
                    let turned = turn(x.clone(), blocks.clone(), axis);
                    let gradients = (turned.clone() * tensor(3, shape, &device))
                        .sum()
                        .backward();
                    let by_x = x.grad(&gradients).expect("tracked");
                    let by_angles = angles.grad(&gradients).expect("tracked");
                    // The blocks alone, whose derivative is an operation of its own.
                    let blocks = blocks.detach().require_grad();
                    let alone = turn(x.detach(), blocks.clone(), axis);
                    let gradients = (alone * tensor(3, shape, &device)).sum().backward();
                    let by_blocks = blocks.grad(&gradients).expect("tracked");
                    [
                        values(&turned),
                        values(&by_x),
                        values(&by_angles),
                        values(&by_blocks),
                    ]
                };
                let (found, expected) = (of(remote()), of(Device::flex()));
                assert!(expected.iter().flatten().all(|value| value.is_finite()));
                assert_eq!(found, expected, "{shape:?} along {axis}");
            }
        }
    }
}

/// Also that an adapter moves between devices, and a rotation by other pairs than the tree's.
#[test]
fn an_adapter_that_was_made_here_is_the_same_there() {
    let plain = |device: &Device| {
        let mut linear = LinearConfig::new(9, 4).with_bias(false).init(device);
        linear.weight = Param::from_tensor(tensor(4, [9, 4], device));
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
            |layer: &GoftLinear, device| values(&layer.forward(tensor::<2>(5, [3, 9], device)));
        let (found, expected) = (result(&there, &remote()), result(&layer, &here));
        let unrotated = values(&tensor::<2>(5, [3, 9], &here).matmul(tensor(4, [9, 4], &here)));
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
            linear.weight = Param::from_tensor(tensor(4, [12, 5], &tracked));
            let mut layer = GoftLinear::from_linear(linear, goft.clone()).expect("it fits");
            let x = tensor::<2>(5, [7, 12], &tracked);
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

/// What shows that a rotation goes over as one operation and not as those that it could be made of.
#[test]
fn a_server_that_was_not_told_does_not_know_rotations() {
    let device = served(|listener| {
        RemoteServer::new([Device::flex()]).serve(WebSocketTransport::from_listener(listener))
    });
    let x = tensor::<2>(1, [2, 5], &device);
    assert_eq!(values(&(x.clone() * 2.0)).len(), 10);
    let blocks = tensor::<3>(2, [4, 2, 2], &device);
    let read = catch_unwind(AssertUnwindSafe(|| values(&rotate(x, blocks, 1))));
    assert!(read.is_err());
}
