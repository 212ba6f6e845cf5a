//! How far a matrix moved as a whole, and how far a rotation is from doing nothing.

use burn::tensor::Tensor;
use faer::Side;
use serde::{Deserialize, Serialize};

use super::host::{Host, alike, no_convergence, undefined};
use super::whole::{Raw, Whole, relative_distance};
use crate::error::Error;
use crate::rotate::rotate;

/// `R - I`, measured. See [`identity_distance`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct IdentityDistance {
    /// `|| R - I ||_2`: how far a unit vector can be moved, 0 to 2 for an orthogonal `R`.
    pub spectral: f64,
    /// `|| R - I ||_F`, 0 to `2 sqrt(d)` for an orthogonal `R`; over `sqrt(d)` it is how far a unit vector is moved in the
    /// quadratic mean.
    pub frobenius: f64,
}

/// How far the rotation of `blocks [d-1, 2, 2]` is from the identity.
///
/// What the adapter itself does, whatever the weight is: `|| R W - W ||_F <= || R - I ||_2 || W ||_F`.
/// [`strict_distance_bound`](crate::strict_distance_bound) bounds it in `O(d)`; this forms `R` and costs `O(d^3)`. Computed from
/// `R` in the blocks' own dtype.
///
/// **Blind to** the weight: `R` may turn directions that no neuron has, and it leaves out a norm scale.
///
/// Source: the distance that OFT's constrained form bounds, Qiu et al. 2023, [arXiv 2306.07280](https://arxiv.org/abs/2306.07280),
/// Section 3.
///
/// # Errors
///
/// [`Error::NonFinite`].
///
/// # Panics
///
/// If `blocks` is not `[d-1, 2, 2]`.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::{Givens, identity_distance};
///
/// let angles = Tensor::<1>::from_floats([std::f32::consts::FRAC_PI_3], &Device::flex()); // d = 2, one block
/// let distance = identity_distance(Givens::from_angles(angles).blocks())?;
/// assert!((distance.spectral - 1.0).abs() < 1e-6); // 2 sin(pi / 6)
/// assert!((distance.frobenius - 2f64.sqrt()).abs() < 1e-6);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn identity_distance(blocks: Tensor<3>) -> Result<IdentityDistance, Error> {
    of_excess(&excess(blocks)?)
}

/// `R - I`.
pub(super) fn excess(blocks: Tensor<3>) -> Result<Host, Error> {
    let blocks = blocks.detach();
    let dim = blocks.dims()[0] + 1;
    let identity = Tensor::<2>::eye(dim, &blocks.device()).cast(blocks.dtype());
    let excess = rotate(identity.clone(), blocks, 0) - identity;
    Ok(Raw::read(excess).finite("R - I")?.host())
}

pub(super) fn of_excess(excess: &Host) -> Result<IdentityDistance, Error> {
    let (frobenius, scaled) = excess.scaled();
    let matrix = scaled.matrix();
    let squares = (matrix.transpose() * matrix).self_adjoint_eigenvalues(Side::Lower);
    let squares = squares.or_else(|_| no_convergence("identity_distance"))?;
    let largest = squares.into_iter().fold(0.0, f64::max);
    Ok(IdentityDistance {
        spectral: frobenius * largest.sqrt(),
        frobenius,
    })
}

/// How far a weight moved as a whole, relative to its size; for any method of fine-tuning.
///
#[cfg_attr(doc, doc = r#"$$\frac{\lVert W' - W \rVert_F}{\lVert W \rVert_F}$$"#)]
#[cfg_attr(not(doc), doc = "`|| W' - W ||_F / || W ||_F`")]
/// A share: 0 where nothing moved, 1 for a weight that was switched off, at most 2 where all norms were kept. Any shape
/// `[d_input, d_output]`, or any two matrices.
///
/// **Blind to** what kind of change it is: a rotation, noise and forgetting of the same size are the same number.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] if the matrix before is zero.
///
/// # Panics
///
/// If the shapes differ.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::relative_change;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[3.0, 0.0], [0.0, 4.0]], &device);
/// let after = Tensor::<2>::from_floats([[3.0, 0.0], [1.0, 4.0]], &device);
/// assert_eq!(relative_change(before, after)?, 0.2);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn relative_change(before: Tensor<2>, after: Tensor<2>) -> Result<f64, Error> {
    let (before, after) = alike("relative_change", before, after)?;
    measure(&before, &after)
}

pub(super) fn measure(before: &Whole, after: &Whole) -> Result<f64, Error> {
    match relative_distance(before, after) {
        Some(distance) => Ok(distance),
        None => undefined(
            "relative_change",
            "the matrix before is zero, and nothing is relative to it",
        ),
    }
}
