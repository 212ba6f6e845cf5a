//! What an adapter's rotation does, whatever kind it is of.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::distance;
use super::excess::Excess;
use super::host::undefined;
use super::oft::oft_bounds;
use crate::adapter::GoftAdapter;
use crate::error::Error;
use crate::metrics::{OrthogonalityError, gram_excess, identity_like, quasi_bounds};
use crate::oft::{Oft, turn_blocks};

const METRIC: &str = "rotation_drift";

/// How far the rotation of an adapter is from doing nothing, and from orthogonal. See [`rotation_drift`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RotationDrift {
    /// `|| R - I ||_2`, see [`identity_distance`](crate::identity_distance).
    pub spectral: f64,
    /// `|| R - I ||_F`.
    pub frobenius: f64,
    /// `|| R^T R - I ||_F` as the adapter computes, in its dtype and on its device.
    pub orthogonality_error: f64,
    /// Bound on it from the parameters alone, to which the adapter's own rounding comes: see [`quasi_bounds`](crate::quasi_bounds) for
    /// pairs of axes and [`oft_bounds`](crate::oft_bounds) for blocks. Rounding or 0 for what is orthogonal by its making.
    pub orthogonality_bound: f64,
}

/// How far the rotation `R` of an adapter is from doing nothing and from orthogonal, for every kind of adapter.
///
/// `R` acts on an axis of length `d_input`, the pretrained weight's. That weight is the one before, in a comparison of two models, only
/// if the model before carried no adapter.
///
/// **Blind to** the weight, to a norm scale, and to whether the adapter is switched on.
///
/// Cost: two `d_input x d_input` matrices on the adapter's device, for the error of orthogonality;
/// [`identity_distance`](crate::identity_distance) for the rest, and for OFT `O(d_input b^2)` for its bound.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] if a number of these is beyond f64.
///
/// # Panics
///
/// If the adapter is for another length than `d_input`.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{DType, Device};
/// use burn_goft::{Goft, GoftAdapter, Oft, rotation_drift};
///
/// for settings in [Goft::strict(), Goft::quasi(), Goft::oft(Oft::neumann(32, 5))] {
///     let settings = settings.with_init_std(0.02);
///     let adapter = GoftAdapter::new(&settings, [70, 5], DType::F64, &Device::flex());
///     let rotation = rotation_drift(&adapter, 70)?;
///     assert!(rotation.spectral > 0.0 && rotation.spectral < rotation.frobenius);
///     assert!(rotation.orthogonality_error <= rotation.orthogonality_bound + 1e-13);
/// }
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn rotation_drift(adapter: &GoftAdapter, d_input: usize) -> Result<RotationDrift, Error> {
    Rotation::read(adapter, d_input)?.measure()
}

/// What is needed of an adapter, on the host.
pub(super) struct Rotation {
    excess: Excess,
    gram_excess: TensorData,
    orthogonality_bound: f64,
}

impl Rotation {
    /// A new kind of rotation is one more function beside the two.
    pub(super) fn read(adapter: &GoftAdapter, d_input: usize) -> Result<Self, Error> {
        match (adapter.oft(), adapter.skew_parameter()) {
            (Some(form), Some(skew)) => Self::of_oft(form, skew.val(), d_input),
            _ => Self::of_pairs(adapter.blocks()),
        }
    }

    fn of_pairs(blocks: Tensor<3>) -> Result<Self, Error> {
        Ok(Self {
            gram_excess: gram_excess(blocks.clone()).into_data(),
            orthogonality_bound: quasi_bounds(blocks.clone()).gram_frobenius,
            excess: Excess::of_pairs(blocks)?,
        })
    }

    fn of_oft(form: Oft, skew: Tensor<1>, d_input: usize) -> Result<Self, Error> {
        let blocks = form.blocks(skew.clone(), d_input).detach();
        let identity = identity_like(&blocks, d_input);
        let turn = |x, transpose| turn_blocks(x, blocks.clone(), 0, transpose);
        let gram_excess = turn(turn(identity.clone(), false), true) - identity;
        Ok(Self {
            gram_excess: gram_excess.into_data(),
            orthogonality_bound: oft_bounds(form, skew, d_input)?.gram_frobenius,
            excess: Excess::of_blocks(blocks, d_input)?,
        })
    }

    pub(super) fn measure(self) -> Result<RotationDrift, Error> {
        let distance = distance::of_excess(self.excess);
        let drift = RotationDrift {
            spectral: distance.spectral,
            frobenius: distance.frobenius,
            orthogonality_error: OrthogonalityError::of_excess(&self.gram_excess).frobenius,
            orthogonality_bound: self.orthogonality_bound,
        };
        let beyond = |number: f64| !number.is_finite();
        match beyond(drift.orthogonality_error) || beyond(drift.orthogonality_bound) {
            false => Ok(drift),
            true => undefined(
                METRIC,
                "the rotation is so far from orthogonal that its error, or the bound on it, overflows",
            ),
        }
    }
}
