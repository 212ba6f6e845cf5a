//! How much is looked at, and the comparison itself.

use burn::module::Module;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::{DriftReport, Trace, compare};
use crate::error::Error;

/// Compares two models; its fields are how much is looked at.
///
/// Metrics whose cost grows with the square or cube of a size see a sample, the same for both
/// models and, with the same seed and version of the `rand` crate, in every run. The rest sees
/// everything: cosines and norms of representations, their isotropy, norms of neurons, the relative
/// change of weights, and the logits.
///
/// # Example
///
/// ```
/// use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Distribution, Tensor}};
/// use burn_goft::{Goft, GoftModule};
/// use burn_goft_drift::{Drift, Trace};
///
/// let device = Device::flex();
/// let before = LinearConfig::new(16, 8).init(&device); // or any burn module
/// let after = before.clone().apply_goft(Goft::strict().with_init_std(0.1))?;
/// let x = Tensor::<2>::random([100, 16], Distribution::Default, &device);
///
/// let trace = |model: &Linear| Trace::new().with_layer("output", model.forward(x.clone()));
/// let (old, new) = (trace(&before), trace(&after));
/// let report = Drift::new().compare(&before, old, &after, new)?;
///
/// println!("{report}");
/// // Angles between neurons are kept, and representations are not.
/// assert!(report.weights[0].get("angle_change_max").unwrap() < 1e-3);
/// assert!(report.layers[0].get("row_cosine").unwrap() < 0.9999);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drift {
    /// Rows of a representation that CKA, SVCCA and Procrustes see at most, 128 by default.
    pub rows: usize,
    /// Neurons of a weight whose angles, energy, spectrum and subspace are measured at most, 32 by
    /// default. With fewer than all, spectrum and subspace are those of the weight's sampled
    /// columns, and the largest angle is that of the sampled pairs.
    pub neurons: usize,
    /// Leading singular directions in the similarity of subspaces, the `k` of its formula, 8 by
    /// default; fewer in smaller weights.
    pub directions: usize,
    /// Seed of the samples.
    pub seed: u64,
}

impl Default for Drift {
    fn default() -> Self {
        Self {
            rows: 128,
            neurons: 32,
            directions: 8,
            seed: 0,
        }
    }
}

impl Drift {
    /// The default sizes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of [`rows`](Self::rows); `usize::MAX` for all.
    pub fn with_rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    /// Sets the number of [`neurons`](Self::neurons); `usize::MAX` for all.
    pub fn with_neurons(mut self, neurons: usize) -> Self {
        self.neurons = neurons;
        self
    }

    /// Sets the number of [`directions`](Self::directions).
    pub fn with_directions(mut self, directions: usize) -> Self {
        self.directions = directions;
        self
    }

    /// Sets the [`seed`](Self::seed).
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How far `after` has moved from `before`.
    ///
    /// Weights are those of every `Linear` and every adapted matrix, as the models compute with
    /// them: adapters of any method are folded into copies, and the models stay as they are. They
    /// are matched by path, so the two may be of different types, such as one with a `GoftLinear`
    /// where the other has a `Linear`. The traces must name the same layers in the same order.
    ///
    /// # Errors
    ///
    /// [`Error::Incomparable`] if paths, names or shapes differ. What cannot be measured, such as a
    /// layer with NaN in it, is no error: it is left out and noted.
    pub fn compare<B: Module, A: Module>(
        &self,
        before: &B,
        trace_before: Trace,
        after: &A,
        trace_after: Trace,
    ) -> Result<DriftReport, Error> {
        compare::models(self, (before, trace_before), (after, trace_after))
    }

    /// At most `size` of `0..count`, rising.
    pub(super) fn sample(&self, count: usize, size: usize) -> Vec<usize> {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut sample = rand::seq::index::sample(&mut rng, count, size.min(count)).into_vec();
        sample.sort_unstable();
        sample
    }
}
