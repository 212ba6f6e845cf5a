//! What an adapter's rotation does, whatever its method.

mod excess;
mod lanczos;

use burn_goft::GoftAdapter;
use excess::Excess;
use lanczos::largest_eigenvalue;

use crate::error::Error;
use crate::metric::{Column, Metric};

const NAME: &str = "rotation_drift";

/// Relative errors of the adapter's dtype that are taken for its rounding: some for each level of a
/// long rotation.
const ROUNDINGS: f64 = 64.0;

pub(crate) const METRICS: [Metric<Rotation>; 1] = [Metric {
    columns: &[
        Column::new("distance_spectral", "|R-I|_2"),
        Column::new("distance_frobenius", "|R-I|_F"),
        Column::new("orthogonality_error", "|R'R-I|_2"),
        Column::new("orthogonality_bound", "bound"),
    ],
    of: |rotation| {
        let drift = rotation.measure()?;
        Ok([
            drift.spectral,
            drift.frobenius,
            drift.orthogonality_error,
            drift.orthogonality_bound,
        ]
        .into())
    },
    shade: None,
}];

/// How far the rotation of an adapter is from doing nothing, and from orthogonal. See
/// [`rotation_drift`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RotationDrift {
    /// `|| R - I ||_2`: how far a unit vector can be moved, 0 to 2 for an orthogonal `R`.
    pub spectral: f64,
    /// `|| R - I ||_F`, 0 to `2 sqrt(d)` for an orthogonal `R`; over `sqrt(d)` it is how far a unit
    /// vector is moved in the quadratic mean.
    pub frobenius: f64,
    /// `|| R^T R - I ||_2` of `R` as the adapter computes it, in its dtype.
    pub orthogonality_error: f64,
    /// [`GoftAdapter::gram_bound`]: a bound on the error from the parameters alone, to which the
    /// adapter's own rounding comes. Rounding or 0 for what is orthogonal by its making.
    pub orthogonality_bound: f64,
}

/// How far the rotation `R [d, d]` of an adapter is from doing nothing and from orthogonal, for
/// every method.
///
#[cfg_attr(
    docsrs,
    doc = r#"$$\lVert R - I \rVert_2, \qquad \lVert R - I \rVert_F, \qquad \lVert R^\top R - I \rVert_2$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`|| R - I ||_2`, `|| R - I ||_F`, `|| R^T R - I ||_2`"
)]
/// The first two say what the adapter itself does, whatever the weight is:
/// `|| R W - W ||_F <= || R - I ||_2 || W ||_F`.
/// [`strict_distance_bound`](burn_goft::strict_distance_bound) bounds that from above for angles;
/// this measures. `R` is formed as the adapter computes it, from the identity, by its entries that
/// are not zero. It acts on the pretrained weight, which is the one before, in a comparison of two
/// models, only if the model before carried no adapter.
///
/// The Frobenius norm is exact to rounding. The spectral norms come from Lanczos's method on
/// `E^T E`, `E = R - I` or `R^T R - I`, which finds them from below: at most 256 steps, fewer once
/// 16 of them have added less than `1e-12` of its square. An error of orthogonality that is the
/// rounding of the adapter's dtype, below 64 times its epsilon, is that of the first 16 steps: its
/// size, not its digits. For a start in a random direction, as
/// here, the largest eigenvalue is missed by more than the share `eps` after `k` steps with a
/// probability of at most
#[cfg_attr(
    docsrs,
    doc = r#"$$1.648 \sqrt{d}\, e^{-\sqrt{\varepsilon} (2k - 1)}$$"#
)]
#[cfg_attr(not(docsrs), doc = "`1.648 sqrt(d) exp(-sqrt(eps) (2 k - 1))`")]
/// whatever `E` is: for `d = 4096` and all steps, 1 % of the square with `1e-20` and 0.1 % with
/// `1e-5`. Where the largest eigenvalue stands apart it is found to rounding.
///
/// **Blind to** the weight (`R` may turn directions that no neuron has), to a norm scale, and to
/// whether the adapter is switched on.
///
/// Cost: the rotation of the `d x d` identity on the adapter's device, in parts of `2^20` entries;
/// then a product with each entry of `R - I` in each step: `O(d log d)` for pairs of axes, `O(d b)`
/// for blocks of `b`.
///
/// Source: the distance that OFT's constrained form bounds, Qiu et al. 2023,
/// [arXiv 2306.07280](https://arxiv.org/abs/2306.07280), Section 3. The probability: Kuczyński and
/// Woźniakowski 1992, *Estimating the largest eigenvalue by the power and Lanczos algorithms with a
/// random start*, SIAM J. Matrix Anal. Appl. 13.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] if the error of orthogonality or its bound is beyond
/// f64.
///
/// # Example
///
/// ```
/// use burn::tensor::{DType, Device};
/// use burn_goft::{GoftAdapter, Method, NormScale, Oft, Quasi, Site, Strict};
/// use burn_goft_drift::rotation_drift;
///
/// let site = Site::new(0, [70, 5]);
/// let scale = NormScale::None;
/// let methods: [Method; 3] =
///     [Strict::direct().into(), Quasi::default().into(), Oft::neumann(32, 5).into()];
/// for method in methods {
///     let at = (DType::F64, &Device::flex());
///     let adapter = GoftAdapter::new(method, scale, site.clone(), 0.02, at.0, at.1)?;
///     let rotation = rotation_drift(&adapter)?;
///     assert!(rotation.spectral > 0.0 && rotation.spectral < rotation.frobenius);
///     assert!(rotation.orthogonality_error <= rotation.orthogonality_bound + 1e-13);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn rotation_drift(adapter: &GoftAdapter) -> Result<RotationDrift, Error> {
    Rotation::read(adapter)?.measure()
}

/// What is needed of an adapter, on the host.
pub(crate) struct Rotation {
    excess: Excess,
    orthogonality_bound: f64,
}

impl Rotation {
    pub(crate) fn read(adapter: &GoftAdapter) -> Result<Self, Error> {
        Ok(Self {
            excess: Excess::of(adapter)?,
            orthogonality_bound: adapter.gram_bound(),
        })
    }

    fn measure(&self) -> Result<RotationDrift, Error> {
        let (excess, dim) = (&self.excess, self.excess.dim());
        let frobenius = excess.frobenius();
        // Divided by it, so that no square overflows or vanishes.
        let spectral = if frobenius == 0.0 {
            0.0
        } else {
            let unit = excess.divided_by(frobenius);
            frobenius * largest_eigenvalue(dim, 0.0, |v| unit.square_times(v)).sqrt()
        };
        let gram_square = |v: &[f64]| excess.gram_times(&excess.gram_times(v));
        let rounding = (ROUNDINGS * excess.epsilon()).powi(2);
        let drift = RotationDrift {
            spectral,
            frobenius,
            orthogonality_error: largest_eigenvalue(dim, rounding, gram_square).sqrt(),
            orthogonality_bound: self.orthogonality_bound,
        };
        let finite = |number: f64| number.is_finite();
        if finite(drift.orthogonality_error) && finite(drift.orthogonality_bound) {
            return Ok(drift);
        }
        Error::undefined(
            NAME,
            "the rotation is so far from orthogonal that its error, or the bound on it, overflows",
        )
    }
}
