//! How far a matrix moved as a whole, and how far a rotation is from doing nothing.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::excess::Excess;
use super::host::{alike, undefined};
use super::lanczos::spectral_norm;
use super::whole::{Whole, relative_distance};
use crate::error::Error;

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
/// [`strict_distance_bound`](crate::strict_distance_bound) bounds it in `O(d)` from above; this measures. `R` is formed by its
/// `O(d log d)` entries that are not zero, in f64 from the blocks as they are.
///
/// The Frobenius norm is exact to rounding. The spectral norm comes from Lanczos's method on `E^T E`, `E = R - I`, which finds it from
/// below: at most 256 steps of `O(d log d)`, fewer once 16 of them have added less than `1e-12` of its square. For a start in a random
/// direction, as here, the largest eigenvalue is missed by more than the share `eps` after `k` steps with a probability of at most
#[cfg_attr(doc, doc = r#"$$1.648 \sqrt{d}\, e^{-\sqrt{\varepsilon} (2k - 1)}$$"#)]
#[cfg_attr(not(doc), doc = "`1.648 sqrt(d) exp(-sqrt(eps) (2 k - 1))`")]
/// whatever `E` is: for `d = 4096` and all steps, 1 % of the square with `1e-20` and 0.1 % with `1e-5`. Where the largest eigenvalue
/// stands apart it is found to rounding.
///
/// **Blind to** the weight: `R` may turn directions that no neuron has, and it leaves out a norm scale.
///
/// Source: the distance that OFT's constrained form bounds, Qiu et al. 2023, [arXiv 2306.07280](https://arxiv.org/abs/2306.07280),
/// Section 3. The probability: Kuczyński and Woźniakowski 1992, *Estimating the largest eigenvalue by the power and Lanczos algorithms
/// with a random start*, SIAM J. Matrix Anal. Appl. 13.
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
    Ok(of_excess(Excess::of_pairs(blocks)?))
}

pub(super) fn of_excess(excess: Excess) -> IdentityDistance {
    let frobenius = excess.frobenius();
    let spectral = match frobenius {
        0.0 => 0.0,
        size => size * spectral_norm(&excess.divided_by(size)),
    };
    IdentityDistance {
        spectral,
        frobenius,
    }
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
