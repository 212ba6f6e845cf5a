//! The report as text.

use std::fmt;

use super::{DriftReport, LayerDrift, WeightDrift};

impl fmt::Display for DriftReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.layers.is_empty() {
            let rows = self.layers.iter().map(layer_cells);
            write_table(f, &LAYER_HEADER, rows)?;
        }
        if !self.weights.is_empty() {
            let rows = self.weights.iter().map(weight_cells);
            write_table(f, &WEIGHT_HEADER, rows)?;
        }
        let rotated = || {
            self.weights
                .iter()
                .filter(|weight| weight.rotation.is_some())
        };
        if rotated().next().is_some() {
            write_table(f, &ROTATION_HEADER, rotated().map(rotation_cells))?;
        }
        if let Some(behaviour) = &self.behaviour {
            let kl = behaviour.kl.map(|kl| kl.mean);
            let largest = behaviour.kl.map(|kl| kl.max);
            writeln!(
                f,
                "answers, {} rows: KL {} nats on average, {} at most; the same class on {}",
                behaviour.rows,
                number(kl),
                number(largest),
                share(behaviour.agreement),
            )?;
        }
        for metric in &self.forgetting {
            writeln!(
                f,
                "forgotten: {} {} (from {} to {})",
                metric.metric, metric.forgotten, metric.before, metric.after
            )?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        let settings = &self.settings;
        write!(
            f,
            "at most {} rows for CKA, SVCCA and Procrustes, {} neurons for angles, energy, spectrum and subspace",
            settings.rows, settings.neurons
        )
    }
}

const LAYER_HEADER: [&str; 10] = [
    "representation",
    "cosine",
    "least",
    "norm ratio",
    "least",
    "most",
    "CKA",
    "SVCCA",
    "Procrustes",
    "anisotropy",
];

fn layer_cells(layer: &LayerDrift) -> [String; 10] {
    let cosine = layer.rows.map(|rows| rows.cosine);
    let ratio = layer.rows.map(|rows| rows.norm_ratio);
    [
        layer.name.clone(),
        number(cosine.map(|c| c.mean)),
        number(cosine.map(|c| c.min)),
        number(ratio.map(|r| r.mean)),
        number(ratio.map(|r| r.min)),
        number(ratio.map(|r| r.max)),
        number(layer.cka),
        number(layer.svcca.map(|svcca| svcca.mean)),
        number(layer.procrustes),
        format!(
            "{} to {}",
            number(layer.anisotropy_before),
            number(layer.anisotropy_after)
        ),
    ]
}

const WEIGHT_HEADER: [&str; 9] = [
    "weight",
    "change",
    "angle rad",
    "most",
    "norm",
    "most",
    "energy",
    "spectrum",
    "subspace",
];

fn weight_cells(weight: &WeightDrift) -> [String; 9] {
    let angles = weight.angles.as_ref();
    [
        weight.path.clone(),
        number(weight.relative_change),
        number(angles.map(|angles| angles.mean)),
        number(angles.map(|angles| angles.max)),
        number(weight.norms.map(|norms| norms.mean)),
        number(weight.norms.map(|norms| norms.max)),
        number(weight.energy.map(|energy| energy.relative)),
        number(weight.spectrum.as_ref().map(|spectrum| spectrum.largest)),
        number(weight.subspace),
    ]
}

const ROTATION_HEADER: [&str; 5] = ["rotation", "|R-I|_2", "|R-I|_F", "|R'R-I|_F", "bound"];

fn rotation_cells(weight: &WeightDrift) -> [String; 5] {
    let rotation = weight.rotation;
    [
        weight.path.clone(),
        number(rotation.map(|r| r.spectral)),
        number(rotation.map(|r| r.frobenius)),
        number(rotation.map(|r| r.orthogonality_error)),
        number(rotation.map(|r| r.orthogonality_bound)),
    ]
}

/// Four digits behind the point, or the magnitude of what would vanish there; a bare 0 is nothing at all.
pub(super) fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(value) if value.abs() < 1e-3 => format!("{value:.0e}"),
        Some(value) => format!("{value:.4}"),
    }
}

fn share(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{:.1} %", 100.0 * value))
}

/// Columns as wide as their widest cell, the first to the left and the others to the right, and an empty line.
fn write_table<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    header: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> fmt::Result {
    let mut lines = vec![header.map(String::from)];
    lines.extend(rows);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    for line in &lines {
        write!(f, "{:width$}", line[0], width = widths[0])?;
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            write!(f, "  {cell:>width$}")?;
        }
        writeln!(f)?;
    }
    writeln!(f)
}
