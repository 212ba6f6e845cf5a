//! How far from orthogonal a rotation can be at most, from its parameters alone.

use burn::tensor::Tensor;

use super::block::Block;
use super::topology::RotationPlan;
use crate::numeric::{larger, smaller, values};

/// Bounds on `R` from its blocks, in f64. See [`quasi_bounds`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QuasiBounds {
    /// `eps_r = max_k || G~_k^T G~_k - I ||_2`, one value per level.
    pub level_eps: Vec<f64>,
    /// `|| R^T R - I ||_2 <= prod_r (1 + eps_r) - 1`.
    pub gram_spectral: f64,
    /// `|| R^T R - I ||_F <= sum_r || P_r^T P_r - I ||_F prod_{s<r} (1 + eps_s)`.
    pub gram_frobenius: f64,
    /// Every singular value of `R` is at least this: `prod_r min_k sigma_min(G~_k)`.
    pub sigma_min: f64,
    /// Every singular value of `R` is at most this: `prod_r max_k sigma_max(G~_k)`.
    pub sigma_max: f64,
    /// `cond(R) <= prod_r cond(P_r)`.
    pub condition: f64,
}

impl QuasiBounds {
    /// The angles, in radians, that an angle of `theta` between two vectors may become under `R`.
    ///
    /// `tan(theta'/2)` lies in `[1/k, k] tan(theta/2)` with `k = cond(R)`, for which
    /// [`condition`](Self::condition) stands (Wielandt's inequality).
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::tensor::{Device, Tensor};
    /// use burn_goft::{RotationPlan, quasi_bounds};
    /// // One block that doubles one axis: condition 2.
    /// let blocks = Tensor::from_floats([[[2.0, 0.0], [0.0, 1.0]]], &Device::flex());
    /// let bounds = quasi_bounds(blocks, RotationPlan::new(2));
    /// let (least, most) = bounds.angle_range(std::f64::consts::FRAC_PI_2);
    /// assert!((least - 2.0 * 0.5f64.atan()).abs() < 1e-9);
    /// assert!((most - 2.0 * 2.0f64.atan()).abs() < 1e-9);
    /// # }
    /// ```
    pub fn angle_range(&self, theta: f64) -> (f64, f64) {
        let half = (theta / 2.0).tan();
        let angle = |tangent: f64| 2.0 * tangent.atan();
        (angle(half / self.condition), angle(half * self.condition))
    }
}

/// All bounds that hold for the rotation of `blocks [pairs, 2, 2]` by the pairs of `plan`, in
/// `O(d)`, without forming `R`.
///
/// With columns `alpha, beta` of a block, `a = |alpha|^2 - 1`, `b = |beta|^2 - 1`,
/// `g = <alpha, beta>`:
#[cfg_attr(
    docsrs,
    doc = r#"$$\varepsilon_k = \tfrac{|a+b|}{2} + \sqrt{\left(\tfrac{a-b}{2}\right)^2 + g^2} = \lVert \tilde G_k^\top \tilde G_k - I \rVert_2$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`eps_k = |a+b|/2 + sqrt(((a-b)/2)^2 + g^2) = || G~^T G~ - I ||_2`"
)]
/// A coordinate that no pair of a level touches has singular value 1 there. Up to rounding,
/// strict blocks give 0 for `level_eps`, `gram_spectral` and `gram_frobenius`, and 1 for the others.
///
/// Source: derived for this crate from submultiplicativity and, for angles, Wielandt's inequality
/// (Horn and Johnson, *Matrix Analysis*, 7.4.34).
///
/// # Panics
///
/// If `blocks` is not `[pairs, 2, 2]` with the number of pairs of the plan, `d - 1` for the tree.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::{RotationPlan, orthogonality_error, quasi_bounds};
///
/// let blocks = Tensor::<3>::from_floats([[[1.1, 0.0], [0.0, 1.0]], [[1.0, 0.1], [-0.1, 1.0]]], &Device::flex());
/// let plan = RotationPlan::new(3);
/// let bounds = quasi_bounds(blocks.clone(), plan);
/// assert!((bounds.level_eps[0] - 0.21).abs() < 1e-6);
/// assert!(orthogonality_error(blocks, plan).frobenius <= bounds.gram_frobenius);
/// # }
/// ```
pub fn quasi_bounds(blocks: Tensor<3>, plan: RotationPlan) -> QuasiBounds {
    plan.check("quasi_bounds", blocks.dims());
    let entries = values(blocks);
    let blocks: Vec<Block> = entries.chunks_exact(4).map(Block::from_rows).collect();

    let mut bounds = QuasiBounds {
        level_eps: Vec::with_capacity(plan.level_count()),
        gram_spectral: 0.0,
        gram_frobenius: 0.0,
        sigma_min: 1.0,
        sigma_max: 1.0,
        condition: 1.0,
    };
    let mut product = 1.0;
    for level in plan.levels() {
        let blocks = &blocks[level.range()];
        let untouched = 2 * level.count() < plan.dim();
        let start = if untouched {
            (1.0, 1.0)
        } else {
            (f64::INFINITY, 0.0)
        };
        let (least, most) = blocks
            .iter()
            .map(Block::singular_values)
            .fold(start, |(least, most), (small, large)| {
                (smaller(least, small), larger(most, large))
            });
        let eps = blocks.iter().map(Block::eps).fold(0.0, larger);
        let frobenius = blocks
            .iter()
            .map(Block::gram_excess_squared)
            .sum::<f64>()
            .sqrt();
        bounds.gram_frobenius += frobenius * product;
        product *= 1.0 + eps;
        bounds.level_eps.push(eps);
        bounds.sigma_min *= least;
        bounds.sigma_max *= most;
        bounds.condition *= most / least;
    }
    bounds.gram_spectral = product - 1.0;
    bounds
}

/// `|| R - I ||_2 <= sum_r max_k 2 |sin(theta_k / 2)|` for strict angles `[pairs]` in radians on
/// the pairs of `plan`: how far a strict adapter can have moved any unit vector. The bound is at
/// most twice the number of levels. No orthogonal `R` is farther than 2 from the identity, so a
/// bound above 2 says nothing.
///
/// # Panics
///
/// If there is not one angle per pair of the plan.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::{RotationPlan, strict_distance_bound};
/// let angles = Tensor::<1>::from_floats([std::f32::consts::FRAC_PI_3], &Device::flex());
/// let bound = strict_distance_bound(angles, RotationPlan::new(2));
/// assert!((bound - 1.0).abs() < 1e-6);
/// # }
/// ```
pub fn strict_distance_bound(angles: Tensor<1>, plan: RotationPlan) -> f64 {
    let ([found], pairs) = (angles.dims(), plan.pair_count());
    assert!(
        found == pairs,
        "strict_distance_bound: found {found} angles, and a plan of {pairs} pairs needs one angle per pair"
    );
    let angles = values(angles);
    let chord = |angle: &f64| 2.0 * (angle / 2.0).sin().abs();
    let largest = plan.levels().map(|level| {
        let angles = &angles[level.range()];
        angles.iter().map(chord).fold(0.0, larger)
    });
    largest.sum()
}
