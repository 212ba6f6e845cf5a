//! Representations, layer by layer.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::super::centred::Centred;
use super::super::rows::RowDrift;
use super::super::svcca::Svcca;
use super::super::whole::Whole;
use super::super::{anisotropy, cka, procrustes, rows, svcca};
use super::{Drift, Pair, in_parallel, keep};
use crate::error::Error;

/// What the sample of rows is for.
const COMPARED: &str = "CKA, SVCCA and Procrustes distance";

/// How far one representation moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerDrift {
    /// Its name in the trace.
    pub name: String,
    /// Rows that there are.
    pub total_rows: usize,
    /// Rows that CKA, SVCCA and Procrustes saw.
    pub sampled_rows: usize,
    /// [`row_drift`](crate::row_drift) of all rows; the only one here that sees a rotation.
    pub rows: Option<RowDrift>,
    /// [`linear_cka`](crate::linear_cka).
    pub cka: Option<f64>,
    /// [`svcca`](fn@crate::svcca).
    pub svcca: Option<Svcca>,
    /// [`procrustes_distance`](crate::procrustes_distance).
    pub procrustes: Option<f64>,
    /// [`anisotropy`](crate::anisotropy) of all rows before.
    pub anisotropy_before: Option<f64>,
    /// [`anisotropy`](crate::anisotropy) of all rows after.
    pub anisotropy_after: Option<f64>,
}

pub(super) fn compare(
    drift: &Drift,
    before: Vec<(String, Tensor<2>)>,
    after: Vec<(String, Tensor<2>)>,
    notes: &mut Vec<String>,
) -> Result<Vec<LayerDrift>, Error> {
    let names = |layers: &[(String, Tensor<2>)]| {
        let describe = |(name, x): &(String, Tensor<2>)| format!("`{name}` {:?}", x.dims());
        layers.iter().map(describe).collect::<Vec<_>>().join(", ")
    };
    let (found, expected) = (names(&after), names(&before));
    if found != expected {
        return Err(Error::Incomparable {
            what: "the traces".into(),
            before: expected,
            after: found,
        });
    }
    let pairs = before.into_iter().zip(after);
    let pairs = pairs.map(|((name, before), (_, after))| (name, before, after));
    let read = |(name, before, after)| (name, Pair::read(before, after));
    let measure = |(name, pair), notes: &mut _| measure(drift, name, pair, notes);
    Ok(in_parallel(pairs.collect(), notes, read, measure))
}

fn measure(drift: &Drift, name: String, pair: Pair, notes: &mut Vec<String>) -> LayerDrift {
    let [total_rows, _] = pair.shape;
    let sample = drift.sample(total_rows, drift.rows);
    let mut layer = LayerDrift {
        name,
        total_rows,
        sampled_rows: sample.len(),
        rows: None,
        cka: None,
        svcca: None,
        procrustes: None,
        anisotropy_before: None,
        anisotropy_after: None,
    };
    let name = &layer.name;
    let Some((before, after)) = keep(name, pair.values(), notes) else {
        return layer;
    };
    layer.rows = keep(name, rows::measure(&before, &after), notes);
    layer.anisotropy_before = keep(name, anisotropy::measure(&before), notes);
    layer.anisotropy_after = keep(name, anisotropy::measure(&after), notes);

    let centred = |side, rows: &Whole| Centred::of(COMPARED, side, &rows.pick_rows(&sample));
    let before = keep(name, centred("before", &before), notes);
    let after = keep(name, centred("after", &after), notes);
    let Some((before, after)) = before.zip(after) else {
        return layer;
    };
    layer.cka = Some(cka::measure(&before, &after));
    layer.svcca = keep(name, svcca::measure(&before, &after), notes);
    layer.procrustes = keep(name, procrustes::measure(&before, &after), notes);
    let forced = layer.svcca.map_or(0, |svcca| svcca.forced);
    if forced > 0 {
        notes.push(format!(
            "`{name}`: {forced} correlations of SVCCA are 1 because {} rows are too few; raise `rows`",
            layer.sampled_rows
        ));
    }
    layer
}
