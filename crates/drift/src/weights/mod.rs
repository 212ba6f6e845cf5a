//! How far a weight moved. A metric is a file here and a row in [`METRICS`].

mod angles;
mod change;
mod columns;
mod directions;
mod energy;
mod factors;
mod norms;
mod spectrum;
mod subspace;

use std::sync::OnceLock;

pub use angles::{angle_change, angle_histogram};
use burn::tensor::Tensor;
pub use change::relative_change;
use columns::ColumnNorms;
pub use energy::{energy_change, hyperspherical_energy};
use factors::Factors;
pub use norms::norm_change;
pub use spectrum::{spectrum, spectrum_change};
pub use subspace::subspace_similarity;

use crate::error::Error;
use crate::matrix::Matrix;
use crate::metric::Metric;
use crate::read::each_part;

/// In the order of the table.
pub(crate) const METRICS: [Metric<Weights>; 6] = [
    change::METRIC,
    angles::METRIC,
    norms::METRIC,
    energy::METRIC,
    spectrum::METRIC,
    subspace::METRIC,
];

/// A weight `[d_input, d_output]` before and after, as far as its metrics need it.
pub(crate) struct Weights {
    pub(crate) norms: ColumnNorms,
    /// The sampled neurons as rows, before and after.
    pub(crate) neurons: [Matrix; 2],
    /// Leading singular directions to compare.
    pub(crate) directions: usize,
    factors: OnceLock<Result<[Factors; 2], Error>>,
}

impl Weights {
    /// Reads the neurons of these numbers from two weights of one shape.
    pub(crate) fn read(
        before: &Tensor<2>,
        after: &Tensor<2>,
        sample: &[usize],
        directions: usize,
    ) -> Result<Self, Error> {
        let [d_input, d_output] = before.dims();
        let mut norms = ColumnNorms::new(before, after)?;
        let empty = || Matrix::zeros(sample.len(), d_input);
        let mut neurons = [empty(), empty()];
        each_part(before, after, |start, before, after| {
            let rows = before.each_row().zip(after.each_row());
            rows.for_each(|(before, after)| norms.add(before, after));
            for (neurons, part) in neurons.iter_mut().zip([before, after]) {
                neurons.put_columns(start, part, sample);
            }
        })?;
        Ok(Self {
            norms,
            neurons,
            directions: directions.min(d_input).min(d_output),
            factors: OnceLock::new(),
        })
    }

    /// Reads all neurons of two weights.
    fn whole(before: &Tensor<2>, after: &Tensor<2>) -> Result<Self, Error> {
        let neurons = Vec::from_iter(0..before.dims()[1]);
        Self::read(before, after, &neurons, usize::MAX)
    }

    /// One singular value decomposition before and one after, for all metrics that ask for them.
    fn factors(&self) -> Result<&[Factors; 2], Error> {
        let [before, after] = &self.neurons;
        let factors = self.factors.get_or_init(|| {
            let of = |neurons| Factors::of("spectrum_change", neurons);
            Ok([of(before)?, of(after)?])
        });
        factors.as_ref().map_err(Clone::clone)
    }
}
