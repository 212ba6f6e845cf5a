//! A training step of one linear layer, by what is trained: against the frozen layer's forward pass
//! and input gradient.
//!
//! ```text
//! cargo bench --bench adapter_step -- [--quick] [--json] [--device NAME]
//! ```
//!
//! Every step computes the layer's output for `n` inputs, and from an output gradient of ones the
//! derivatives by the inputs and by what is trained. The frozen layer trains nothing; the others
//! train an adapter on the same weight.
mod support;

use burn::module::{Lora, Module};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Gradients, Tensor};
use burn_goft::{Goft, GoftLinear, GoftModule, Turn, rotate_portable};
use clap::Parser;
use support::{Options, Row, Timed};

fn main() {
    let options = Options::parse();
    let device = options.device().autodiff();
    let shapes: &[(usize, usize, usize)] = match options.quick {
        true => &[(256, 256, 256)],
        false => &[(2048, 768, 768), (2048, 768, 3072), (1024, 4096, 4096)],
    };
    let mut rows = Vec::new();
    for &(n, d, m) in shapes {
        rows.extend(steps(n, d, m, &device, &options));
    }
    support::print(&rows, &options);
}

/// Forward, then backward from ones.
fn step(x: &Tensor<2>, forward: impl Fn(Tensor<2>) -> Tensor<2>) -> Gradients {
    let x = x.clone().require_grad();
    let gradients = forward(x.clone()).backward();
    assert!(x.grad(&gradients).is_some());
    gradients
}

fn steps(n: usize, d: usize, m: usize, device: &Device, options: &Options) -> Vec<Row> {
    let x = support::tensor([n, d], 2.0, device, DType::F32);
    let linear = LinearConfig::new(d, m)
        .with_bias(false)
        .init(device)
        .freeze();
    // Away from the identity, where a product with zero could be cheap.
    let strict = Goft::strict().with_init_std(0.5);
    let input_side = |goft: &Goft| GoftLinear::from_linear(linear.clone(), goft).expect("a layer");

    let mut calls = vec![call("frozen", &x, {
        let linear = linear.clone();
        move |x| linear.forward(x)
    })];
    for (name, goft) in [
        ("GOFT, input side", strict.clone()),
        ("qGOFT, input side", Goft::quasi().with_init_std(0.1)),
    ] {
        let layer = input_side(&goft);
        calls.push(call(name, &x, move |x| layer.forward(x)));
    }
    let on_weight = linear.clone().apply_goft(strict.clone()).expect("a layer");
    calls.push(call("GOFT, weight side", &x, move |x| on_weight.forward(x)));
    let lora: Linear = linear.clone().apply_lora(Lora::new(8, 16.0));
    let beside = GoftLinear::from(lora.clone());
    calls.push(call("LoRA r=8, weight side", &x, move |x| lora.forward(x)));
    calls.push(call("LoRA r=8, input side", &x, move |x| beside.forward(x)));
    let portable = input_side(&strict);
    calls.push(call("GOFT, portable", &x, move |x| {
        let adapter = portable.adapter().expect("just attached");
        let blocks = adapter.blocks().expect("GOFT is made of pairs");
        linear.forward(rotate_portable(x, blocks, Turn::new(1).transposed()))
    }));
    support::take_turns(&mut calls, options.rounds(), device);

    let row = |call: &Timed| Row {
        bench: "adapter_step",
        method: call.name.clone(),
        direction: call.direction,
        backend: options.device.clone(),
        device: support::name(&options.device()),
        dtype: format!("{:?}", DType::F32).to_lowercase(),
        n,
        d,
        m: Some(m),
        ms: call.median(),
        first_ms: call.first_ms,
        gb_per_s: None,
        copies: None,
        over_frozen: Some(call.over(&calls[0])),
        peak_bytes: support::on_heap(&options.device).then_some(call.peak_bytes),
    };
    calls.iter().map(row).collect()
}

fn call(name: &str, x: &Tensor<2>, forward: impl Fn(Tensor<2>) -> Tensor<2> + 'static) -> Timed {
    let x = x.clone();
    Timed::new(name, "step", move || step(&x, &forward))
}
