//! Representations, layer by layer.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::super::host::Host;
use super::super::rows::RowDrift;
use super::super::svcca::Svcca;
use super::super::{anisotropy, cka, procrustes, rows, svcca};
use super::{Drift, keep};
use crate::error::Error;

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
    Ok(pairs
        .map(|((name, b), (_, a))| layer(drift, name, b, a, notes))
        .collect())
}

fn layer(
    drift: &Drift,
    name: String,
    before: Tensor<2>,
    after: Tensor<2>,
    notes: &mut Vec<String>,
) -> LayerDrift {
    let [total_rows, _] = before.dims();
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
    let read = || {
        Ok((
            Host::finite("before", before)?,
            Host::finite("after", after)?,
        ))
    };
    let name = &layer.name;
    let Some((before, after)) = keep(name, read(), notes) else {
        return layer;
    };
    layer.rows = keep(name, rows::measure(&before, &after), notes);
    layer.anisotropy_before = keep(name, anisotropy::measure(&before), notes);
    layer.anisotropy_after = keep(name, anisotropy::measure(&after), notes);
    let (before, after) = (before.pick_rows(&sample), after.pick_rows(&sample));
    layer.cka = keep(name, cka::measure(&before, &after), notes);
    layer.svcca = keep(name, svcca::measure(&before, &after), notes);
    layer.procrustes = keep(name, procrustes::measure(&before, &after), notes);
    if let Some(forced) = layer
        .svcca
        .map(|svcca| svcca.forced)
        .filter(|forced| *forced > 0)
    {
        notes.push(format!(
            "`{name}`: {forced} correlations of SVCCA are 1 because {} rows are too few; raise `rows`",
            layer.sampled_rows
        ));
    }
    layer
}
