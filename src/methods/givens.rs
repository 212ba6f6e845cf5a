//! GOFT: angles to rotations of pairs.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::form::{Field, Form};
use super::pairs;
use crate::backends::assert_cosine;
use crate::numeric::empty;
use crate::pairs::{Topology, blocks_of};

/// How a strict adapter's stored parameter becomes an angle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AngleForm {
    /// The parameter is the angle in radians: `theta = p`.
    #[default]
    Direct,
    /// `theta = pi tanh(p)`, the form of the authors' public code, whose published learning rates
    /// are rates for `p`. With [`Direct`](Self::Direct) multiply them by `pi`, the slope at 0, for
    /// Adam, and by `pi^2` for plain gradient descent.
    Tanh,
}

/// Strict (GOFT) rotations: one angle per pair.
///
/// ```text
///                [ cos t  -sin t ]  i
///   G_ij(t)  =   [ sin t   cos t ]  j        counter-clockwise from axis i towards axis j
/// ```
///
/// Orthogonal for every `t`, so `R` keeps all norms and all angles, and `det R = +1`.
///
/// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Eq. 1.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::Givens;
///
/// let device = Device::flex();
/// let givens = Givens::from_angles(Tensor::from_floats([0.5, -1.0, 2.0], &device)); // d = 4
/// assert_eq!(givens.blocks().dims(), [3, 2, 2]);
/// let entries = givens.blocks().into_data().to_vec::<f32>().unwrap();
/// assert!((entries[0] - 0.5f32.cos()).abs() < 1e-6);
/// assert!((entries[1] + 0.5f32.sin()).abs() < 1e-6);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Givens {
    angles: Tensor<1>,
}

impl Givens {
    /// From angles `[d-1]` in radians, in the order of [`RotationPlan`](crate::RotationPlan).
    #[must_use]
    pub fn from_angles(angles: Tensor<1>) -> Self {
        Self { angles }
    }

    /// From the stored parameter `[d-1]` of the given form.
    #[must_use]
    pub fn from_parameter(parameter: Tensor<1>, form: AngleForm) -> Self {
        Self::from_angles(match form {
            AngleForm::Direct => parameter,
            AngleForm::Tanh if parameter.dims() == [0] => parameter,
            AngleForm::Tanh => parameter.tanh().mul_scalar(std::f64::consts::PI),
        })
    }

    /// The angles `[d-1]` in radians.
    pub fn angles(&self) -> Tensor<1> {
        self.angles.clone()
    }

    /// The blocks `[d-1, 2, 2]`, rows `(i, j)`, for [`rotate`](fn@crate::rotate). Differentiable;
    /// the dtype of the angles.
    ///
    /// # Panics
    ///
    /// If the angles are f64 on a device that has no cosine of f64, as wgpu's have none: what they
    /// compute instead is wrong.
    pub fn blocks(&self) -> Tensor<3> {
        let [pairs] = self.angles.dims();
        if pairs == 0 {
            return empty([0, 2, 2], self.angles.dtype(), &self.angles.device());
        }
        assert_cosine(&self.angles);
        blocks_of(self.angles.clone())
    }
}

/// Settings of GOFT: what the stored parameter means, and which coordinates pair.
///
/// `R` is orthogonal whatever the parameters, so every norm and every angle is kept, and
/// `det R = +1`.
///
/// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Section 4.
///
/// # Example
///
/// ```
/// use burn_goft::{AngleForm, Goft, Strict};
///
/// let goft = Goft::new(Strict::tanh());
/// assert_eq!(Strict::tanh().angle_form, AngleForm::Tanh);
/// assert_ne!(goft, Goft::strict());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Strict {
    /// How the stored parameter becomes an angle.
    #[serde(default)]
    pub angle_form: AngleForm,
    /// Which coordinates pair at which level.
    #[serde(default)]
    pub topology: Topology,
}

impl Strict {
    /// Angles in radians are the parameters.
    #[must_use]
    pub fn direct() -> Self {
        Self::default()
    }

    /// Angles are `pi tanh(p)`, as in the authors' code.
    #[must_use]
    pub fn tanh() -> Self {
        Self {
            angle_form: AngleForm::Tanh,
            ..Self::default()
        }
    }

    /// Other pairs than those of the tree.
    ///
    /// ```
    /// use burn_goft::{Strict, Topology};
    /// let strict = Strict::direct().with_topology(Topology::Neighbors);
    /// assert_eq!(strict.topology, Topology::Neighbors);
    /// ```
    #[must_use]
    pub fn with_topology(self, topology: Topology) -> Self {
        Self { topology, ..self }
    }

    fn prefix(self) -> &'static str {
        match self.angle_form {
            AngleForm::Direct => "angles",
            AngleForm::Tanh => "tanh_angles",
        }
    }

    fn make_blocks(self, parameters: &[Tensor<1>]) -> Tensor<3> {
        Givens::from_parameter(parameters[0].clone(), self.angle_form).blocks()
    }
}

impl Form for Strict {
    const NAME: &'static str = "goft";

    fn fields(&self, dim: usize) -> Vec<Field> {
        let name = format!("{}{}", self.prefix(), self.topology.suffix());
        vec![Field::new(name, [self.topology.pair_count(dim)])]
    }

    fn read(names: &[&str]) -> Option<Self> {
        let [name] = names else { return None };
        [Self::direct(), Self::tanh()].into_iter().find_map(|form| {
            let topology = pairs::topology_of(name, form.prefix())?;
            Some(form.with_topology(topology))
        })
    }

    fn turn<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        transpose: bool,
    ) -> Tensor<D> {
        let blocks = self.make_blocks(parameters);
        pairs::rotate(x, blocks, self.topology, axis, transpose)
    }

    fn pair_blocks(&self, parameters: &[Tensor<1>], _dim: usize) -> Option<Tensor<3>> {
        Some(self.make_blocks(parameters))
    }

    #[cfg(all(test, feature = "flex"))]
    fn examples() -> Vec<Self> {
        let neighbors = Self::direct().with_topology(Topology::Neighbors);
        vec![Self::direct(), Self::tanh(), neighbors]
    }
}
