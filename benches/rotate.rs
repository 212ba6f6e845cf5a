//! A rotation against a copy of the same tensor: it reads each number once and writes it once, and
//! should cost what that costs.
//!
//! ```text
//! cargo bench --bench rotate -- [--quick] [--json] [--device NAME] [--dtype f32]
//! ```
//!
//! A copy is a new buffer filled from the tensor: on a CPU backend by as many threads as the
//! kernels have, on a device by the device. `forward` is `R^T` on the last axis of activations,
//! `merge` is `R W` on the first axis of a weight, `backward` the derivatives by input and blocks.
//! Portable is the same by the backend's own tensor operations.
mod support;

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{Givens, GivensOps, Turn, rotate, rotate_portable, rotate_transpose};
use clap::Parser;
use rayon::prelude::*;
use support::{Options, Row, Timed};

fn main() {
    let options = Options::parse();
    let (device, dtype) = (options.device(), options.dtype());
    let millions = options
        .millions
        .unwrap_or(if options.quick { 1 } else { 32 });
    let dims: &[usize] = match options.quick {
        true => &[256, 768],
        false => &[256, 768, 1024, 4096, 16384],
    };
    let mut rows = Vec::new();
    for &d in dims {
        let n = (millions << 20) / d;
        rows.extend(activations(n, d, &device, dtype, &options));
    }
    let d = if options.quick { 768 } else { 4096 };
    rows.extend(merge(d, &device, dtype, &options));
    support::print(&rows, &options);
}

fn blocks(d: usize, device: &Device) -> Tensor<3> {
    Givens::from_angles(support::tensor([d - 1], 2.0, device, DType::F32)).blocks()
}

fn copy<const D: usize>(x: &Tensor<D>, options: &Options) -> Timed {
    if !support::on_heap(&options.device) {
        let x = x.clone();
        // What every device can do that reads all and writes all.
        return Timed::new("copy", "forward", move || x.clone().add_scalar(0.0));
    }
    let bytes = x.to_data().as_bytes().to_vec();
    Timed::new("copy", "forward", move || {
        const PIECE: usize = 1 << 17;
        let mut room = Vec::with_capacity(bytes.len());
        let pieces = room.spare_capacity_mut()[..bytes.len()].par_chunks_mut(PIECE);
        pieces
            .zip(bytes.par_chunks(PIECE))
            .for_each(|(room, bytes)| {
                room.write_copy_of_slice(bytes);
            });
        std::hint::black_box(&mut room);
        room
    })
}

fn activations(n: usize, d: usize, device: &Device, dtype: DType, options: &Options) -> Vec<Row> {
    let x = support::tensor([n, d], 2.0, device, dtype);
    let grad = support::tensor([n, d], 1.0, device, dtype);
    let blocks = blocks(d, device);
    let back = Turn::new(1).transposed();
    let mut calls = vec![copy(&x, options)];
    let inputs = (x.clone(), blocks.clone());
    calls.push(Timed::new("rotate", "forward", move || {
        rotate_transpose(inputs.0.clone(), inputs.1.clone(), 1)
    }));
    let inputs = [
        x.clone().into_dispatch(),
        grad.into_dispatch(),
        blocks.clone().into_dispatch(),
    ];
    calls.push(Timed::new("rotate", "backward", move || {
        let [x, grad, blocks] = inputs.clone();
        Dispatch::givens_gradients(x, grad, blocks, back)
    }));
    calls.push(Timed::new("portable", "forward", move || {
        rotate_portable(x.clone(), blocks.clone(), back)
    }));
    support::take_turns(&mut calls, options.rounds(), device);
    report(&calls, n, d, None, dtype, options)
}

fn merge(d: usize, device: &Device, dtype: DType, options: &Options) -> Vec<Row> {
    let weight = support::tensor([d, d], 2.0, device, dtype);
    let blocks = blocks(d, device);
    let mut calls = vec![copy(&weight, options)];
    calls.push(Timed::new("merge", "forward", move || {
        rotate(weight.clone(), blocks.clone(), 0)
    }));
    support::take_turns(&mut calls, options.rounds(), device);
    report(&calls, d, d, Some(d), dtype, options)
}

/// The first call is the copy.
fn report(
    calls: &[Timed],
    n: usize,
    d: usize,
    m: Option<usize>,
    dtype: DType,
    options: &Options,
) -> Vec<Row> {
    // A derivative reads two tensors and writes one.
    let moved = |call: &Timed| match call.direction {
        "backward" => 3 * n * d * dtype.size(),
        _ => 2 * n * d * dtype.size(),
    };
    let row = |call: &Timed| Row {
        bench: "rotate",
        method: call.name.clone(),
        direction: call.direction,
        backend: options.device.clone(),
        device: support::name(&options.device()),
        dtype: format!("{dtype:?}").to_lowercase(),
        n,
        d,
        m,
        ms: call.median(),
        first_ms: call.first_ms,
        gb_per_s: Some(moved(call) as f64 / 1e6 / call.median()),
        copies: Some(call.over(&calls[0])),
        over_frozen: None,
        peak_bytes: support::on_heap(&options.device).then_some(call.peak_bytes),
    };
    calls.iter().map(row).collect()
}
