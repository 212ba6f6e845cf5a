//! Targets that seem never to have been trained: a fresh head that is rotated and frozen stays
//! random, and its random values are in no file.

use burn::module::Module;
use burn::tensor::Tensor;

use super::parameters::{ParameterInfo, visit_parameters};

/// Names that classifiers and other heads go by.
const HEADS: [&str; 9] = [
    "head",
    "classifier",
    "classification_head",
    "cls",
    "score",
    "scorer",
    "lm_head",
    "pooler",
    "logits",
];

/// Values that are looked at, at most: enough to know a distribution, few enough to be read from
/// any device.
const LOOKED_AT: usize = 4096;

/// Too few values have no distribution.
const FEWEST: usize = 32;

/// What rounding a weight to bf16 can add to its largest value.
const ROUNDING: f64 = 1.0 / 256.0;

/// A notice for every one of these weights that looks fresh, by its values or by its name.
pub(crate) fn notices<'a, M: Module>(
    model: &M,
    targets: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    let targets: Vec<_> = targets.collect();
    let (mut random, mut heads) = (Vec::new(), Vec::new());
    let mut trained = false;
    visit_parameters(model, |info, values| {
        let Some(inputs) = inputs(info) else { return };
        let is_random = looks_random(values(), inputs);
        trained |= !is_random && info.count() >= FEWEST;
        if !targets.contains(&&info.path) {
            return;
        }
        let is_head = info.path.split('.').any(|part| HEADS.contains(&part));
        if is_random {
            random.push(info.path.clone());
        } else if is_head {
            heads.push(info.path.clone());
        }
    });
    let mut notices = Vec::new();
    // A model that is fresh as a whole, as in a first try, needs no word on each layer.
    if !random.is_empty() && trained {
        notices.push(notice(
            &random,
            "has the values of burn's own initialization",
        ));
    }
    if !heads.is_empty() {
        notices.push(notice(&heads, "goes by the name of a head"));
    }
    notices
}

fn notice(paths: &[String], why: &str) -> String {
    let first = &paths[0];
    let part = first.rsplit_once('.').map_or("", |(parent, _)| parent);
    format!(
        "{} {why}: if nobody has trained it, it would be rotated, frozen and lost, since files hold no base; train it \
         instead with `Goft::with_trainable([\"{part}.*\"])`",
        crate::error::listing(paths)
    )
}

/// The number of inputs of each output, for a weight of a layer that burn starts by that number.
fn inputs(info: &ParameterInfo) -> Option<usize> {
    if !info.is_model() || info.shape.len() < 2 || info.count() == 0 {
        return None;
    }
    let name = info.container.trim_start_matches("Struct:");
    match name {
        "Conv1d" | "Conv2d" | "Conv3d" | "DeformConv2d" => Some(info.shape[1..].iter().product()),
        _ => Some(info.shape[0]),
    }
}

/// Whether values are spread as burn's `Linear` and convolutions start: evenly between plus and
/// minus one over the root of the number of inputs, which no training leaves behind.
fn looks_random(values: Tensor<1>, inputs: usize) -> bool {
    let [count] = values.dims();
    let some = values.narrow(0, 0, count.min(LOOKED_AT)).into_data();
    let some: Vec<f64> = some.iter().collect();
    if some.len() < FEWEST || some.iter().any(|value| !value.is_finite()) {
        return false;
    }
    let limit = (inputs as f64).powf(-0.5);
    let (mut largest, mut squares, mut fourths) = (0.0f64, 0.0, 0.0);
    for value in &some {
        largest = largest.max(value.abs());
        squares += value * value;
        fourths += value.powi(4);
    }
    let n = some.len() as f64;
    let kurtosis = (fourths / n) / (squares / n).powi(2);
    // The largest of n even values is within a few n-ths of the limit; the kurtosis is 9/5.
    let margin = 12.0 / n;
    largest <= limit * (1.0 + ROUNDING)
        && largest >= limit * (1.0 - margin)
        && (kurtosis - 1.8).abs() < 3.0 / n.sqrt()
}
