//! What the benches share: options, paired timing, peak memory, and a table for people or for
//! programs.
#![allow(dead_code, reason = "every bench uses its part")]

#[path = "../../examples/support/device.rs"]
pub(crate) mod device;

use std::any::Any;
use std::fmt::Write;
use std::time::Instant;

use burn::tensor::{DType, Device, Tensor, TensorData};
use clap::Parser;
use peak_alloc::PeakAlloc;
use serde::Serialize;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Every time is a ratio to something timed in the same run, round by round: medians of pairs hold
/// on a noisy machine.
#[derive(Parser)]
pub(crate) struct Options {
    /// flex, ndarray, or with the feature of that name: wgpu, wgpu-cpu, vulkan, webgpu, metal,
    /// cuda, rocm, cpu.
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// f32, bf16, f16 or f64.
    #[arg(long, default_value = "f32")]
    dtype: String,
    /// One JSON object per line instead of the table.
    #[arg(long)]
    json: bool,
    /// A small subset, to see that everything runs.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Rounds to take the median of.
    #[arg(long)]
    rounds: Option<usize>,
    /// Elements of the largest tensor, in millions.
    #[arg(long)]
    pub(crate) millions: Option<usize>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub(crate) fn device(&self) -> Device {
        device::device(&self.device).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    pub(crate) fn dtype(&self) -> DType {
        match self.dtype.as_str() {
            "f32" => DType::F32,
            "f64" => DType::F64,
            "f16" => DType::F16,
            "bf16" => DType::BF16,
            other => panic!("no dtype is called `{other}`; choose f32, f64, f16 or bf16"),
        }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 9 })
    }
}

/// One measurement. Keys that do not apply are null.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) bench: &'static str,
    pub(crate) method: String,
    pub(crate) direction: &'static str,
    pub(crate) backend: String,
    pub(crate) device: String,
    pub(crate) dtype: String,
    pub(crate) n: usize,
    pub(crate) d: usize,
    pub(crate) m: Option<usize>,
    /// Median.
    pub(crate) ms: f64,
    /// Of the very first call, which on a GPU compiles its kernels.
    pub(crate) first_ms: f64,
    /// What has to be read and written, in 10^9 bytes, over the median: to be held against what the device's memory can do.
    pub(crate) gb_per_s: Option<f64>,
    /// Time over a copy of the rotated tensor, median of the rounds' ratios.
    pub(crate) copies: Option<f64>,
    /// Time over the frozen layer's step, median of the rounds' ratios.
    pub(crate) over_frozen: Option<f64>,
    /// Largest number of heap bytes in use during one call beyond those before it; null where the
    /// tensors are on a device.
    pub(crate) peak_bytes: Option<usize>,
}

/// What one call takes.
pub(crate) struct Timed {
    pub(crate) name: String,
    pub(crate) direction: &'static str,
    run: Box<dyn Fn() -> Box<dyn Any>>,
    pub(crate) ms: Vec<f64>,
    pub(crate) first_ms: f64,
    pub(crate) peak_bytes: usize,
}

impl Timed {
    /// `run` returns what it made, which is held until the device is done with it and then
    /// released: a result that nobody holds is one that a lazy backend need not compute. Making,
    /// waiting and releasing are timed.
    pub(crate) fn new<R: 'static>(
        name: &str,
        direction: &'static str,
        run: impl Fn() -> R + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            direction,
            run: Box::new(move || Box::new(run())),
            ms: Vec::new(),
            first_ms: 0.0,
            peak_bytes: 0,
        }
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.ms.clone())
    }

    /// The median of the ratios to another call, round by round.
    pub(crate) fn over(&self, other: &Self) -> f64 {
        let ratios = self.ms.iter().zip(&other.ms).map(|(a, b)| a / b);
        median(ratios.collect())
    }
}

/// Runs all calls in turn, `rounds` times after a warm-up that also measures memory.
pub(crate) fn take_turns(calls: &mut [Timed], rounds: usize, device: &Device) {
    let finish = || device.sync().expect("the device answers");
    let once = |call: &Timed| {
        let made = (call.run)();
        finish();
        drop(made);
    };
    for call in calls.iter_mut() {
        let start = Instant::now();
        once(call);
        call.first_ms = start.elapsed().as_secs_f64() * 1e3;
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        once(call);
        call.peak_bytes = HEAP.peak_usage().saturating_sub(before);
    }
    for _ in 0..rounds {
        for call in calls.iter_mut() {
            let start = Instant::now();
            once(call);
            call.ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What the device calls itself; a CPU backend says nothing.
pub(crate) fn name(device: &Device) -> String {
    #[cfg(any(
        feature = "wgpu",
        feature = "vulkan",
        feature = "metal",
        feature = "webgpu",
        feature = "cuda",
        feature = "rocm",
        feature = "cpu"
    ))]
    if let Some(identity) = device.identity() {
        return identity.name;
    }
    let _ = device;
    std::env::consts::ARCH.into()
}

/// Whether the device's tensors are on this process's heap.
pub(crate) fn on_heap(device: &str) -> bool {
    matches!(device, "flex" | "ndarray")
}

/// Prints the rows.
#[expect(clippy::print_stdout, reason = "a program for the command line")]
pub(crate) fn print(rows: &[Row], options: &Options) {
    if options.json {
        for row in rows {
            println!("{}", serde_json::to_string(row).expect("plain numbers"));
        }
        return;
    }
    let header = [
        "method",
        "direction",
        "n",
        "d",
        "m",
        "ms",
        "first ms",
        "GB/s",
        "copies",
        "/ frozen",
        "peak MiB",
    ];
    let mut table = vec![header.map(String::from).to_vec()];
    for row in rows {
        let ratio = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.2}"));
        table.push(vec![
            row.method.clone(),
            row.direction.into(),
            row.n.to_string(),
            row.d.to_string(),
            row.m.map_or("-".into(), |m| m.to_string()),
            format!("{:.2}", row.ms),
            format!("{:.1}", row.first_ms),
            row.gb_per_s.map_or("-".into(), |rate| format!("{rate:.1}")),
            ratio(row.copies),
            ratio(row.over_frozen),
            row.peak_bytes.map_or("-".into(), |bytes| {
                format!("{:.1}", bytes as f64 / 1048576.0)
            }),
        ]);
    }
    if let Some(row) = rows.first() {
        println!(
            "{}: {} on {}, {}, {} threads, {} rounds",
            row.bench,
            row.dtype,
            row.backend,
            row.device,
            rayon::current_num_threads(),
            options.rounds()
        );
    }
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            table
                .iter()
                .map(|line| line[column].len())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for line in table {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 | 1 => write!(text, "{cell:width$}  "),
                _ => write!(text, "{cell:>width$}  "),
            };
        }
        println!("{}", text.trim_end());
    }
}

/// Numbers that no kernel has an easy time with, the same in every run.
pub(crate) fn tensor<const D: usize>(
    shape: [usize; D],
    scale: f32,
    device: &Device,
    dtype: DType,
) -> Tensor<D> {
    let count = shape.iter().product();
    let mut state = 0x9E37_79B9_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        scale * (state as f32 / u32::MAX as f32 - 0.5)
    };
    let values: Vec<f32> = std::iter::repeat_with(next).take(count).collect();
    Tensor::from_data(
        TensorData::new(values, shape).convert_dtype(dtype),
        (device, dtype),
    )
}
