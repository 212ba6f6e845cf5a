//! What a drift report costs, in forward passes of the model that it is about.
//!
//! ```text
//! cargo bench --bench drift -- [--quick] [--device NAME]
//! ```
//!
//! The model is a transformer encoder; a batch of 64 or 256 texts of 32 tokens goes through it. *Report* is the comparison alone, its two
//! forward passes already done.
mod support;

use std::rc::Rc;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig};
use burn::tensor::{DType, Tensor};
use burn_goft::{Drift, Goft, GoftModule, Trace};
use clap::Parser;
use support::{Options, Timed};

struct Case {
    d: usize,
    layers: usize,
    /// Texts and tokens.
    batches: &'static [[usize; 2]],
}

fn main() {
    let options = Options::parse();
    let case = match options.quick {
        true => Case {
            d: 64,
            layers: 2,
            batches: &[[8, 8]],
        },
        false => Case {
            d: 384,
            layers: 6,
            batches: &[[64, 32], [256, 32]],
        },
    };
    let device = options.device();
    let base = TransformerEncoderConfig::new(case.d, 4 * case.d, case.d / 64, case.layers)
        .with_dropout(0.0)
        .init(&device);
    let goft = Goft::strict().with_init_std(0.1);
    let adapted = |targets: &[&str]| {
        let goft = goft.clone().with_targets(targets.iter().copied());
        base.clone()
            .apply_goft(goft)
            .expect("the encoder has these weights")
    };
    for (name, after) in [
        ("all weights moved", base.clone().map(&mut Shake)),
        (
            "GOFT on query and value",
            adapted(&["*.query.weight", "*.value.weight"]),
        ),
    ] {
        for batch in case.batches {
            let shape = [batch[0], batch[1], case.d];
            let x = support::tensor(shape, 2.0, &device, DType::F32);
            measure(name, &case, &base, &after, &x, &options);
        }
    }
}

fn measure(
    name: &str,
    case: &Case,
    before: &TransformerEncoder,
    after: &TransformerEncoder,
    x: &Tensor<3>,
    options: &Options,
) {
    let traces = Rc::new([before, after].map(|model| trace(model, x)));
    let (before, after) = (Rc::new(before.clone()), Rc::new(after.clone()));
    let forward = |model: &Rc<TransformerEncoder>| {
        let (model, x) = (model.clone(), x.clone());
        Timed::new("forward", "", move || drop(trace(&model, &x)))
    };
    let report = Timed::new("report", "", {
        let (before, after) = (before.clone(), after.clone());
        move || {
            let [old, new] = (*traces).clone();
            let report = Drift::new().compare(&*before, old, &*after, new);
            assert!(report.expect("two states of one model").weights.len() > 1);
        }
    });
    let mut calls = [forward(&before), forward(&after), report];
    support::take_turns(&mut calls, options.rounds(), &options.device());
    let [old, new, report] = &calls;
    let passes = (0..report.ms.len()).map(|round| old.ms[round] + new.ms[round]);
    let shares: Vec<f64> = report
        .ms
        .iter()
        .zip(passes)
        .map(|(ms, passes)| ms / passes)
        .collect();
    print(
        name,
        case,
        x.dims(),
        [old, new, report],
        support::median(shares),
    );
}

#[expect(clippy::print_stdout, reason = "a program for the command line")]
fn print(
    name: &str,
    case: &Case,
    [texts, tokens, _]: [usize; 3],
    [old, new, report]: [&Timed; 3],
    share: f64,
) {
    println!(
        "{name}: d = {}, {} layers, {} x {} tokens: forward {:.0} ms before, {:.0} ms after, report {:.0} ms, {:.1} % of both",
        case.d,
        case.layers,
        texts,
        tokens,
        old.median(),
        new.median(),
        report.median(),
        100.0 * share
    );
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
        param.map(|value| {
            let noise = support::tensor(value.dims(), 0.01, &value.device(), DType::F32);
            value + noise
        })
    }
}
