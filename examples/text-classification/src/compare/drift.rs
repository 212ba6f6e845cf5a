//! How far an encoder has moved from the pretrained one.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use burn_goft_drift::{Drift, Trace};
use burn_goft_finetune::Error;

use crate::encoder::{Bert, Tokens};
use crate::evaluate;

/// Named numbers for the table: over the texts, the mean cosine between a text's representation
/// before and after and the linear CKA of all; over the linear weights, the mean change of the
/// angle between two neurons.
///
/// Representations are the last layer's, the mean over the tokens of each text. A number that has
/// no value is left out.
pub(super) fn measure(
    before: &Bert,
    after: &Bert,
    texts: &[Tokens],
    device: &Device,
) -> Result<BTreeMap<String, f64>, Error> {
    let trace =
        |bert: &Bert| Trace::new().with_layer("texts", representations(bert, texts, device));
    let drift = Drift::new().with_rows(texts.len());
    let report = drift.compare(before, trace(before), after, trace(after));
    let report = report.map_err(Error::other)?;
    let layer = &report.layers[0];
    let angles = report.weights.iter();
    let angles: Option<Vec<f64>> = angles.map(|weight| weight.get("angle_change")).collect();
    let angle = angles.map(|angles| angles.iter().sum::<f64>().to_degrees() / angles.len() as f64);
    let numbers = [
        ("cosine of representations", layer.get("row_cosine")),
        ("CKA of representations", layer.get("linear_cka")),
        ("angle between neurons, change in deg", angle),
    ];
    let numbers = numbers.into_iter();
    Ok(numbers
        .filter_map(|(name, value)| Some((name.to_string(), value?)))
        .collect())
}

/// `[texts, hidden]`.
fn representations(bert: &Bert, texts: &[Tokens], device: &Device) -> Tensor<2> {
    let rows = evaluate::rows(texts, device, |batch| bert.pool(batch));
    let shape = [rows.len(), rows[0].len()];
    let values: Vec<f32> = rows
        .into_iter()
        .flatten()
        .map(|value| value as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
