//! A packed model is packed in the backward pass too.

use burn::nn::LinearConfig;
use burn::tensor::quantization::{QuantScheme, QuantValue, ScaleDtype};
use burn::tensor::{Device, Distribution, Tensor};
use burn_goft::{Goft, GoftLinear};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const LAYERS: usize = 12;
const WIDTH: usize = 512;

/// Bytes of a layer's weight in f32.
const DENSE: usize = 4 * WIDTH * WIDTH;

fn layer(scheme: QuantScheme, device: &Device) -> GoftLinear {
    let mut linear = LinearConfig::new(WIDTH, WIDTH)
        .with_bias(false)
        .init(device);
    linear.weight = linear
        .weight
        .map(|weight| weight.detach().quantize_dynamic(&scheme));
    GoftLinear::from_linear(linear, Goft::quasi()).unwrap()
}

/// The most bytes that `work` had in use beside what there was before.
fn most(work: impl FnOnce()) -> usize {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    work();
    HEAP.peak_usage() - before
}

#[test]
fn a_step_has_no_dense_model_in_memory() {
    let device = Device::flex().autodiff();
    let scheme = device.settings().quantization.scheme;
    let scheme = scheme
        .with_value(QuantValue::Q8S)
        .per_block([32], ScaleDtype::F32);
    let layers: Vec<GoftLinear> = (0..LAYERS).map(|_| layer(scheme, &device)).collect();
    let x = Tensor::<2>::random([16, WIDTH], Distribution::Normal(0.0, 1.0), &device);
    let step = |forward: fn(&GoftLinear, Tensor<2>) -> Tensor<2>| {
        let result = layers.iter().fold(x.clone(), |x, layer| forward(layer, x));
        let grads = result.square().mean().backward();
        let first = layers[0].adapter().expect("attached");
        for parameter in burn_goft::parameters(first) {
            assert!(parameter.trainable, "{}", parameter.path);
        }
        drop(grads);
    };
    // Threads and their room.
    step(GoftLinear::forward);
    let packed = most(|| step(GoftLinear::forward));
    // burn's own product keeps what it has unpacked.
    let kept = most(|| step(|layer, x| layer.forward_with(x, burn::tensor::module::linear)));
    assert!(
        packed < 4 * DENSE,
        "{packed} bytes beside {LAYERS} packed weights, each of {DENSE} bytes if it were dense"
    );
    assert!(
        kept > LAYERS * DENSE,
        "{kept} bytes: burn unpacks no more, and the law above says nothing"
    );
}
