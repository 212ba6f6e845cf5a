//! How far representations moved. A metric is a file here and a row in [`METRICS`].

mod anisotropy;
mod centered;
mod cka;
mod procrustes;
mod rows;
mod svcca;

use std::sync::OnceLock;

use anisotropy::Crowd;
pub use anisotropy::anisotropy;
use burn::tensor::Tensor;
use centered::Centered;
pub use cka::linear_cka;
pub use procrustes::procrustes_distance;
pub use rows::{row_cosine, row_norm_ratio};
pub use svcca::{Svcca, svcca};

use crate::error::Error;
use crate::matrix::Matrix;
use crate::metric::Metric;
use crate::read::each_pair;
use crate::vector::{norm, unit};

/// In the order of the table.
pub(crate) const METRICS: [Metric<Representations>; 6] = [
    rows::METRIC,
    rows::NORM_METRIC,
    cka::METRIC,
    svcca::METRIC,
    procrustes::METRIC,
    anisotropy::METRIC,
];

/// Representations of the same inputs before and after, as far as their metrics need them.
pub(crate) struct Representations {
    rows: usize,
    /// Cosine and ratio of norms of each row that is not zero before or after.
    moved: Vec<[f64; 2]>,
    crowds: [Crowd; 2],
    /// The sampled rows, before and after.
    sampled: [Matrix; 2],
    centered: OnceLock<Result<[Centered; 2], Error>>,
}

impl Representations {
    /// Reads two tensors of as many rows, with a sample of those numbers, which rise.
    pub(crate) fn read(
        before: &Tensor<2>,
        after: &Tensor<2>,
        sample: &[usize],
    ) -> Result<Self, Error> {
        let widths = [before.dims()[1], after.dims()[1]];
        let mut crowds = widths.map(Crowd::new);
        let mut sampled = widths.map(|width| Matrix::zeros(0, width));
        let mut moved = Vec::with_capacity(before.dims()[0]);
        let mut units = [Vec::new(), Vec::new()];
        let mut sample = sample.iter().peekable();
        each_pair(before, after, |index, before, after| {
            let sizes = [before, after].map(norm);
            for (side, row) in [before, after].into_iter().enumerate() {
                unit(row, sizes[side], &mut units[side]);
                crowds[side].add(sizes[side], &units[side]);
            }
            if before.len() == after.len() {
                let [old, new] = [0, 1].map(|side| (sizes[side], units[side].as_slice()));
                moved.extend(rows::moved(old, new));
            }
            if sample.next_if(|next| **next == index).is_some() {
                sampled[0].push(before);
                sampled[1].push(after);
            }
        })?;
        Ok(Self {
            rows: before.dims()[0],
            moved,
            crowds,
            sampled,
            centered: OnceLock::new(),
        })
    }

    /// Reads all rows of two tensors.
    fn whole(before: &Tensor<2>, after: &Tensor<2>) -> Result<Self, Error> {
        Self::read(before, after, &Vec::from_iter(0..before.dims()[0]))
    }

    /// Centered once, for all metrics that ask for it; `metric` is the first that does.
    fn centered(&self, metric: &'static str) -> Result<&[Centered; 2], Error> {
        let [before, after] = &self.sampled;
        let centered = self.centered.get_or_init(|| {
            let before = Centered::of(metric, "before", before)?;
            Ok([before, Centered::of(metric, "after", after)?])
        });
        centered.as_ref().map_err(Clone::clone)
    }
}
