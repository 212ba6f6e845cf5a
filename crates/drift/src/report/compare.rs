//! Two models compared: what is read, what is measured of it, and what is noted.

use burn::module::Module;
use burn::tensor::Tensor;
use burn_goft::GoftModule;

use super::models::{self, Weight};
use super::parallel::in_parallel;
use super::{Drift, DriftReport, Measured, Trace};
use crate::answers::{self, Answers};
use crate::error::Error;
use crate::metric::Metric;
use crate::representations::{self, Representations};
use crate::rotation::{self, Rotation};
use crate::weights::{self, Weights};

/// What was measured of one thing, and what is to be said about it.
type Noted = (Measured, Vec<String>);

pub(super) fn models<B: Module, A: Module>(
    drift: &Drift,
    (before, trace_before): (&B, Trace),
    (after, trace_after): (&A, Trace),
) -> Result<DriftReport, Error> {
    same_traces(&trace_before, &trace_after)?;
    let weights = models::weights(before, after)?;
    let mut notes = Vec::new();
    let mut note = |noted: Vec<Noted>| {
        let of_one = noted.into_iter().map(|(measured, noted)| {
            notes.extend(noted);
            measured
        });
        Vec::from_iter(of_one)
    };
    let layers = trace_before.layers.into_iter().zip(trace_after.layers);
    let answers = trace_before.logits.zip(trace_after.logits);
    Ok(DriftReport {
        settings: drift.clone(),
        layers: note(layers_of(drift, layers)),
        weights: note(weights_of(drift, weights)),
        rotations: note(rotations_of(after)),
        answers: note(answers.map(answers_of).into_iter().collect()).pop(),
        forgetting: Vec::new(),
        notes,
    })
}

fn same_traces(before: &Trace, after: &Trace) -> Result<(), Error> {
    let layers = |trace: &Trace| {
        let describe = |(name, x): &(String, Tensor<2>)| format!("`{name}` {:?}", x.dims());
        Vec::from_iter(trace.layers.iter().map(describe)).join(", ")
    };
    let logits = |trace: &Trace| match &trace.logits {
        Some(logits) => format!("{:?}", logits.dims()),
        None => "none".into(),
    };
    for (what, before, after) in [
        ("the traces", layers(before), layers(after)),
        ("the logits", logits(before), logits(after)),
    ] {
        if before != after {
            let what = what.into();
            return Err(Error::Incomparable {
                what,
                before,
                after,
            });
        }
    }
    Ok(())
}

type Layer = (String, Tensor<2>);

fn layers_of(drift: &Drift, layers: impl Iterator<Item = (Layer, Layer)>) -> Vec<Noted> {
    let read = |((name, before), (_, after)): (Layer, Layer)| {
        let sample = drift.sample(before.dims()[0], drift.rows);
        let measured = Measured::new(name, before.dims(), sample.len());
        (measured, Representations::read(&before, &after, &sample))
    };
    in_parallel(layers, read, |(measured, of)| {
        measure(&representations::METRICS, measured, of)
    })
}

fn weights_of(drift: &Drift, weights: Vec<Weight>) -> Vec<Noted> {
    let read = |weight: Weight| {
        let shape = weight.before.dims();
        let sample = drift.sample(shape[1], drift.neurons);
        let measured = Measured::new(weight.path, shape, sample.len());
        let of = Weights::read(&weight.before, &weight.after, &sample, drift.directions);
        (measured, of)
    };
    in_parallel(weights, read, |(measured, of)| {
        measure(&weights::METRICS, measured, of)
    })
}

/// The rotations of the adapters of this crate that act.
fn rotations_of<M: Module>(model: &M) -> Vec<Noted> {
    let adapters = model.adapters().into_iter();
    let on = adapters.filter(|(_, adapter)| adapter.is_enabled());
    let read = |(path, adapter): (String, burn_goft::GoftAdapter)| {
        let dim = adapter.dim();
        (
            Measured::new(path, [dim, dim], dim),
            Rotation::read(&adapter),
        )
    };
    in_parallel(on, read, |(measured, of)| {
        measure(&rotation::METRICS, measured, of)
    })
}

fn answers_of((before, after): (Tensor<2>, Tensor<2>)) -> Noted {
    let shape = before.dims();
    let measured = Measured::new("answers".into(), shape, shape[0]);
    measure(
        &answers::METRICS,
        measured,
        Answers::read("answers", &before, &after),
    )
}

/// All metrics of one thing; what has no value is noted.
fn measure<Of>(metrics: &[Metric<Of>], mut measured: Measured, of: Result<Of, Error>) -> Noted {
    let mut notes: Vec<String> = Vec::new();
    let name = measured.name.clone();
    let mut note = |text: String| {
        let note = format!("`{name}`: {text}");
        // What several metrics share fails for all of them.
        if notes.last() != Some(&note) {
            notes.push(note);
        }
    };
    match of {
        Err(error) => note(error.to_string()),
        Ok(of) => {
            for metric in metrics {
                match (metric.of)(&of) {
                    Err(error) => note(error.to_string()),
                    Ok(reading) => {
                        reading.caution.into_iter().for_each(&mut note);
                        let histogram = reading.histogram.into_iter();
                        let key = || metric.columns[0].key.to_string();
                        measured.histograms.extend(histogram.map(|it| (key(), it)));
                        for (column, number) in metric.columns.iter().zip(reading.numbers) {
                            if number.is_finite() {
                                measured.values.insert(column.key.into(), number);
                            } else {
                                note(format!("{} is beyond f64", column.key));
                            }
                        }
                    }
                }
            }
        }
    }
    (measured, notes)
}
