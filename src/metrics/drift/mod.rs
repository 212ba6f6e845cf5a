//! How far did meaning move: metrics of weights, of representations and of behaviour, and a report of them all.
//!
//! Everything is computed in f64 on the host. A pair of matrices whose shapes do not belong together panics, as everywhere in the
//! crate; what is not finite is [`Error::NonFinite`](crate::Error::NonFinite), and where a metric has no value for what it was
//! given, [`Error::Undefined`](crate::Error::Undefined) says why.

mod agreement;
mod angles;
mod anisotropy;
mod centred;
mod cka;
mod directions;
mod distance;
mod energy;
mod excess;
mod factors;
mod held;
mod histogram;
mod host;
mod kl;
mod lanczos;
mod norms;
mod oft;
mod procrustes;
mod report;
mod rotation;
mod rows;
mod spectrum;
mod spread;
mod subspace;
mod svcca;
mod whole;

pub use agreement::{agreement, forgetting};
pub use angles::{AngleChange, angle_change};
pub use anisotropy::anisotropy;
pub use cka::linear_cka;
pub use distance::{IdentityDistance, identity_distance, relative_change};
pub use energy::{EnergyChange, energy_change, hyperspherical_energy};
pub use histogram::Histogram;
pub use kl::kl_divergence;
pub use norms::{NormChange, norm_change};
pub use oft::{OftBounds, oft_bounds};
pub use procrustes::procrustes_distance;
pub use report::{BehaviourDrift, Drift, DriftReport, Forgetting, LayerDrift, Trace, WeightDrift};
pub use rotation::{RotationDrift, rotation_drift};
pub use rows::{RowDrift, row_drift};
pub use spectrum::{SpectrumChange, spectrum_change};
pub use spread::Spread;
pub use subspace::subspace_similarity;
pub use svcca::{Svcca, svcca};
