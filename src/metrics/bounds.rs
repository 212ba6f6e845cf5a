//! How far from orthogonal a rotation can be at most, from its parameters alone.

use burn::tensor::Tensor;

use super::{larger, smaller};
use crate::plan::RotationPlan;

/// Bounds on `R` from its blocks, in f64. See [`quasi_bounds`].
#[derive(Debug, Clone, PartialEq)]
pub struct QuasiBounds {
    /// `eps_r = max_k || G~_k^T G~_k - I ||_2`, a level each.
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
    /// `tan(theta'/2)` lies in `[1/k, k] tan(theta/2)` with `k = cond(R)`, for which [`condition`](Self::condition) stands
    /// (Wielandt's inequality).
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::tensor::{Device, Tensor};
    /// use burn_goft::quasi_bounds;
    /// // One block that doubles one axis: condition 2.
    /// let bounds = quasi_bounds(Tensor::from_floats([[[2.0, 0.0], [0.0, 1.0]]], &Device::flex()));
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

/// All bounds that hold for the rotation of `blocks [d-1, 2, 2]`, in `O(d)`, without forming `R`.
///
/// With columns `alpha, beta` of a block, `a = |alpha|^2 - 1`, `b = |beta|^2 - 1`, `g = <alpha, beta>`:
#[cfg_attr(
    doc,
    doc = r#"$$\varepsilon_k = \tfrac{|a+b|}{2} + \sqrt{\left(\tfrac{a-b}{2}\right)^2 + g^2} = \lVert \tilde G_k^\top \tilde G_k - I \rVert_2$$"#
)]
#[cfg_attr(
    not(doc),
    doc = "`eps_k = |a+b|/2 + sqrt(((a-b)/2)^2 + g^2) = || G~^T G~ - I ||_2`"
)]
/// A coordinate that no pair of a level touches has singular value 1 there. Strict blocks give 0, 0, 1, 1, 1 up to rounding.
///
/// Source: derived for this crate from submultiplicativity and, for angles, Wielandt's inequality (Horn and Johnson, *Matrix
/// Analysis*, 7.4.34).
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
/// use burn_goft::{orthogonality_error, quasi_bounds};
///
/// let blocks = Tensor::<3>::from_floats([[[1.1, 0.0], [0.0, 1.0]], [[1.0, 0.1], [-0.1, 1.0]]], &Device::flex());
/// let bounds = quasi_bounds(blocks.clone()); // d = 3
/// assert!((bounds.level_eps[0] - 0.21).abs() < 1e-6);
/// assert!(orthogonality_error(blocks).frobenius <= bounds.gram_frobenius);
/// # }
/// ```
pub fn quasi_bounds(blocks: Tensor<3>) -> QuasiBounds {
    let [pairs, rows, columns] = blocks.dims();
    assert!(
        (rows, columns) == (2, 2),
        "quasi_bounds: found blocks [{pairs}, {rows}, {columns}]; pass [d-1, 2, 2]"
    );
    let entries: Vec<f64> = match pairs {
        0 => Vec::new(),
        _ => blocks.into_data().iter().collect(),
    };
    let blocks: Vec<Block> = entries.chunks_exact(4).map(Block::from_rows).collect();
    let plan = RotationPlan::new(pairs + 1);

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
        let blocks = &blocks[level.first..level.first + level.count];
        let untouched = 2 * level.count < plan.dim();
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

/// `|| R - I ||_2 <= sum_r max_k 2 |sin(theta_k / 2)|` for strict angles `[d-1]` in radians: how far a strict adapter can have
/// moved any unit vector. Twice the number of levels at most, and never more than 2 matters.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::strict_distance_bound;
/// let angles = Tensor::<1>::from_floats([std::f32::consts::FRAC_PI_3], &Device::flex()); // d = 2
/// assert!((strict_distance_bound(angles) - 1.0).abs() < 1e-6);
/// # }
/// ```
pub fn strict_distance_bound(angles: Tensor<1>) -> f64 {
    let [pairs] = angles.dims();
    if pairs == 0 {
        return 0.0;
    }
    let angles: Vec<f64> = angles.into_data().iter().collect();
    let chord = |angle: &f64| 2.0 * (angle / 2.0).sin().abs();
    let levels = RotationPlan::new(pairs + 1).levels();
    let largest = levels.map(|level| {
        let angles = &angles[level.first..level.first + level.count];
        angles.iter().map(chord).fold(0.0, larger)
    });
    largest.sum()
}

/// A 2x2 block by its columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    alpha: [f64; 2],
    beta: [f64; 2],
}

impl Block {
    /// From the four entries row by row.
    pub(crate) fn from_rows(entries: &[f64]) -> Self {
        Self {
            alpha: [entries[0], entries[2]],
            beta: [entries[1], entries[3]],
        }
    }

    /// `(a, b, g)`: the entries of `G^T G - I`.
    fn gram_excess(&self) -> (f64, f64, f64) {
        let (alpha, beta) = (self.alpha, self.beta);
        (
            dot(alpha, alpha) - 1.0,
            dot(beta, beta) - 1.0,
            dot(alpha, beta),
        )
    }

    fn gram_excess_squared(&self) -> f64 {
        let (a, b, g) = self.gram_excess();
        a * a + b * b + 2.0 * g * g
    }

    fn eps(&self) -> f64 {
        let (a, b, g) = self.gram_excess();
        (a + b).abs() / 2.0 + ((a - b) / 2.0).hypot(g)
    }

    fn determinant(&self) -> f64 {
        self.alpha[0] * self.beta[1] - self.beta[0] * self.alpha[1]
    }

    /// `(sigma_min, sigma_max)`. The small one from the determinant: the difference of two near numbers would lose it.
    pub(crate) fn singular_values(&self) -> (f64, f64) {
        // Of the Gram matrix itself: its distance from the identity would lose a small block.
        let (alpha, beta) = (self.alpha, self.beta);
        let (p, q, g) = (dot(alpha, alpha), dot(beta, beta), dot(alpha, beta));
        let large = ((p + q) / 2.0 + ((p - q) / 2.0).hypot(g)).sqrt();
        match large {
            0.0 => (0.0, 0.0),
            _ => (self.determinant().abs() / large, large),
        }
    }

    pub(crate) fn condition(&self) -> f64 {
        let (small, large) = self.singular_values();
        large / small
    }

    /// The entries of `(G^-1)^T` row by row.
    pub(crate) fn inverse_transpose(&self) -> [f64; 4] {
        let determinant = self.determinant();
        let ([a1, a2], [b1, b2]) = (self.alpha, self.beta);
        [b2, -a2, -b1, a1].map(|entry| entry / determinant)
    }
}

fn dot(u: [f64; 2], v: [f64; 2]) -> f64 {
    u[0] * v[0] + u[1] * v[1]
}
