//! Parameters to 2x2 blocks: the one owner of signs and block order.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::adapter::no_numbers;

/// How a strict adapter's stored parameter becomes an angle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AngleForm {
    /// The parameter is the angle in radians: `theta = p`.
    #[default]
    Direct,
    /// `theta = pi tanh(p)`, the form of the authors' public code. Its checkpoints and the learning rates published in the
    /// paper need it; with [`Direct`](Self::Direct), the slope at 0 being `pi`, multiply those rates by `pi`.
    Tanh,
}

/// Strict (GOFT) rotations: one angle a pair.
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
    pub fn from_angles(angles: Tensor<1>) -> Self {
        Self { angles }
    }

    /// From the stored parameter `[d-1]` of the given form.
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

    /// The blocks `[d-1, 2, 2]`, rows `(i, j)`, for [`rotate`](fn@crate::rotate). Differentiable; the dtype of the angles.
    ///
    /// # Panics
    ///
    /// If the angles are f64 on a device that has no cosine of f64, as wgpu's have none: what they compute instead is wrong.
    pub fn blocks(&self) -> Tensor<3> {
        let [pairs] = self.angles.dims();
        if pairs == 0 {
            return no_numbers([0, 2, 2], self.angles.dtype(), &self.angles.device());
        }
        assert_cosine(&self.angles);
        let (cos, sin) = (self.angles.clone().cos(), self.angles.clone().sin());
        let columns = [cos.clone(), sin.clone().neg(), sin, cos];
        Tensor::cat(columns.map(|c| c.reshape([pairs, 1])).to_vec(), 1).reshape([pairs, 2, 2])
    }
}

/// The shading language of wgpu has no trigonometry in f64, and drivers compute something else without a word.
fn assert_cosine(angles: &Tensor<1>) {
    #[cfg(feature = "cubecl-backend")]
    if angles.dtype() == burn::tensor::DType::F64 {
        use burn::backend::DispatchDevice;
        use burn::tensor::TensorData;
        use std::collections::BTreeMap;
        use std::sync::Mutex;

        static COSINES: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());
        let device = angles.device().inner();
        if !matches!(device.as_dispatch(), DispatchDevice::Cube(_)) {
            return;
        }
        let mut cosines = COSINES
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let cosine = *cosines.entry(format!("{device:?}")).or_insert_with(|| {
            // From a buffer: of a constant, the shader's compiler may take the cosine itself.
            let one = TensorData::from([1.0f64]);
            let one = Tensor::<1>::from_data(one, (&device, angles.dtype()));
            one.cos().into_data().iter().next().unwrap_or(f64::NAN)
        });
        drop(cosines);
        assert!(
            (cosine - 1f64.cos()).abs() < 1e-12,
            "Givens: asked for the blocks of f64 angles on {device:?}, which computes cos(1) = {cosine} in f64; use f32 there, \
             another device for f64, or quasi blocks, which need no cosine",
        );
    }
    let _ = angles;
}

/// Quasi-orthogonal (qGOFT) blocks: a free 2x2 matrix a pair, its columns named as in the paper.
///
/// ```text
///            [ alpha1  beta1 ]  i
///   G~_ij =  [ alpha2  beta2 ]  j
/// ```
///
/// Nothing in the blocks themselves keeps `R` orthogonal; a [`Penalty`] in the loss does, softly.
///
/// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Eq. 5.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::{Penalty, QuasiGivens};
///
/// let device = Device::flex();
/// // Columns (1, 1) and (1, 0): <alpha, beta> = 1.
/// let sheared = QuasiGivens::from_blocks(Tensor::from_floats([[[1.0, 1.0], [1.0, 0.0]]], &device));
/// assert_eq!(sheared.penalty(Penalty::Paper).into_scalar::<f32>(), 1.0);
/// // |alpha|^2 - 1 = 1, |beta|^2 - 1 = 0, twice the inner product squared.
/// assert_eq!(sheared.penalty(Penalty::Gram).into_scalar::<f32>(), 3.0);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct QuasiGivens {
    blocks: Tensor<3>,
}

impl QuasiGivens {
    /// From blocks `[d-1, 2, 2]` in the order of [`RotationPlan`](crate::RotationPlan).
    pub fn from_blocks(blocks: Tensor<3>) -> Self {
        Self { blocks }
    }

    /// The blocks `[d-1, 2, 2]`, rows `(i, j)`, for [`rotate`](fn@crate::rotate).
    pub fn blocks(&self) -> Tensor<3> {
        self.blocks.clone()
    }

    /// The penalty summed over all blocks, `[1]`, without its strength (the paper's lambda). See [`Penalty`].
    pub fn penalty(&self, penalty: Penalty) -> Tensor<1> {
        let [pairs, ..] = self.blocks.dims();
        if pairs == 0 {
            return Tensor::zeros([1], (&self.blocks.device(), self.blocks.dtype()));
        }
        let column = |index| self.blocks.clone().narrow(2, index, 1);
        let inner = |a: Tensor<3>, b: Tensor<3>| (a * b).sum_dim(1);
        let (alpha, beta) = (column(0), column(1));
        let dots = inner(alpha.clone(), beta.clone()).square().sum();
        match penalty {
            Penalty::Paper => dots,
            Penalty::Gram => {
                let excess = |v: Tensor<3>| inner(v.clone(), v).sub_scalar(1.0).square().sum();
                excess(alpha) + excess(beta) + dots.mul_scalar(2.0)
            }
        }
    }
}

/// What keeps quasi blocks near orthogonal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Penalty {
    /// `sum_k <alpha_k, beta_k>^2`, the paper's regulariser (Ma et al. 2024, Eq. 6).
    ///
    /// Zero on every block with orthogonal columns of any length: it controls angles inside a block, not norms, and does not
    /// by itself lead back to GOFT.
    Paper,
    /// `sum_k || G~_k^T G~_k - I ||_F^2`: zero on orthogonal blocks only, so its minimum is GOFT.
    Gram,
}
