//! What a drift report costs, in forward passes of the model that it is about, on burn's CPU
//! backend.
//!
//! ```text
//! cargo bench --package burn-goft-drift --bench drift -- [--quick] [--rounds N]
//! ```
//!
//! The model is a transformer encoder; a batch of 64 or 256 texts of 32 tokens goes through it.
//! *Report* is the comparison alone, its two forward passes already done.

use std::time::Instant;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig};
use burn::tensor::{Device, Distribution, Tensor};
use burn_goft::{Goft, GoftModule};
use burn_goft_drift::{Drift, Trace};
use clap::Parser;

#[derive(Parser)]
struct Options {
    /// A small model, to see that everything runs.
    #[arg(long)]
    quick: bool,
    /// Rounds to take the median of.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

struct Case {
    d: usize,
    layers: usize,
    /// Texts and tokens.
    batches: &'static [[usize; 2]],
}

fn main() {
    let options = Options::parse();
    let case = if options.quick {
        Case {
            d: 64,
            layers: 2,
            batches: &[[8, 8]],
        }
    } else {
        Case {
            d: 384,
            layers: 6,
            batches: &[[64, 32], [256, 32]],
        }
    };
    let device = Device::flex();
    device.seed(1);
    let base = TransformerEncoderConfig::new(case.d, 4 * case.d, case.d / 64, case.layers)
        .with_dropout(0.0)
        .init(&device);
    let goft = Goft::strict()
        .with_init_std(0.1)
        .with_targets(["*.query.weight", "*.value.weight"]);
    let adapted = base.clone().apply_goft(goft);
    for (name, after) in [
        ("all weights moved", base.clone().map(&mut Shake)),
        (
            "GOFT on query and value",
            adapted.expect("the encoder has these weights"),
        ),
    ] {
        for [texts, tokens] in case.batches {
            let x = Tensor::random([*texts, *tokens, case.d], Distribution::Default, &device);
            measure(name, &case, &base, &after, &x, options.rounds);
        }
    }
}

/// The two forward passes and the report in turn, after a warm-up: medians of ratios hold on a
/// noisy machine.
fn measure(
    name: &str,
    case: &Case,
    before: &TransformerEncoder,
    after: &TransformerEncoder,
    x: &Tensor<3>,
    rounds: usize,
) {
    let traces = [before, after].map(|model| trace(model, x));
    let report = || {
        let [old, new] = traces.clone();
        let report = Drift::new().compare(before, old, after, new);
        assert!(report.expect("two states of one model").weights.len() > 1);
    };
    report();
    let mut times = [0; 4].map(|_| Vec::new());
    for _ in 0..rounds {
        let old = milliseconds(|| drop(trace(before, x)));
        let new = milliseconds(|| drop(trace(after, x)));
        let compared = milliseconds(report);
        let round = [old, new, compared, 100.0 * compared / (old + new)];
        times
            .iter_mut()
            .zip(round)
            .for_each(|(all, one)| all.push(one));
    }
    print(name, case, x.dims(), times.map(median));
}

#[expect(clippy::print_stdout, reason = "a program for the command line")]
fn print(
    name: &str,
    case: &Case,
    [texts, tokens, _]: [usize; 3],
    [old, new, report, share]: [f64; 4],
) {
    println!(
        "{name}: d = {}, {} layers, {texts} x {tokens} tokens: \
         forward {old:.0} ms before, {new:.0} ms after, report {report:.0} ms, {share:.1} % of both",
        case.d, case.layers
    );
}

fn milliseconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn trace(model: &TransformerEncoder, x: &Tensor<3>) -> Trace {
    let mut trace = Trace::new();
    let mut x = x.clone();
    for (index, layer) in model.layers.iter().enumerate() {
        x = layer.forward(x, None, None);
        trace = trace.with_layer(format!("layers.{index}"), x.clone());
    }
    trace
}

/// Moves every weight, as full fine-tuning does.
struct Shake;

impl ModuleMapper for Shake {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| value.clone() + value.random_like(Distribution::Uniform(-0.005, 0.005)))
    }
}
