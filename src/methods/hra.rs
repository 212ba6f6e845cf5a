//! HRA: a product of Householder reflections.

use burn::tensor::{DType, Device, Distribution, Tensor};
use serde::{Deserialize, Serialize};

use super::form::{Field, Form, noise};
use super::penalty::Penalty;
use crate::numeric::compute_dtype;
use crate::product::{device_or_exact, exact};

/// Settings of HRA: a rotation by `r` Householder reflections, `r d` parameters.
///
#[cfg_attr(
    docsrs,
    doc = r#"$$R^\top = H_1 H_2 \cdots H_r, \qquad H_i = I - 2 u_i u_i^\top / \lVert u_i \rVert^2$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`R^T = H_1 H_2 ... H_r`, `H_i = I - 2 u_i u_i^T / |u_i|^2`"
)]
///
/// `R` is orthogonal whatever the vectors, and `det R = +1` for an even number of them. Training
/// starts at the identity: vectors are random and equal in pairs, and two equal reflections cancel.
/// The regularizer of the paper, [`Penalty::Paper`], pulls the vectors towards being orthogonal to
/// each other; it limits how far reflections can repeat each other, and is not needed for `R` to be
/// orthogonal.
///
/// The reflections act as one product with two matrices `[d, r]`, by the compact form
/// `R^T = I - U^T T U` with a triangular `T [r, r]`.
///
/// Source: Yuan et al. 2024, *Bridging The Gap between Low-rank and Orthogonal Adaptation via
/// Householder Reflection Adaptation*, [arXiv 2405.17484](https://arxiv.org/abs/2405.17484),
/// Section 3; the compact form is that of Joffrain et al. 2006.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use burn_goft::{Goft, GoftModule, Hra};
///
/// let linear = LinearConfig::new(64, 10).init(&Device::flex());
/// let linear = linear.apply_goft(Goft::hra(Hra::new(8)))?;
/// assert_eq!(linear.adapter_report().trainable_parameters(), 8 * 64);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Hra {
    /// Number `r` of reflections, even and at least 2.
    pub reflections: usize,
}

impl Hra {
    /// A product of this many reflections; the paper takes 8.
    #[must_use]
    pub fn new(reflections: usize) -> Self {
        Self { reflections }
    }

    /// The unit vectors `[r, d]`; a vector of zeros stays one, and reflects nothing.
    fn unit_vectors(&self, parameters: &[Tensor<1>], dim: usize, dtype: DType) -> Tensor<2> {
        let vectors = parameters[0].clone().cast(dtype);
        let vectors = vectors.reshape([self.reflections, dim]);
        // The largest entry is taken out first, so that squares neither vanish nor overflow.
        let largest = vectors.clone().detach().abs().max_dim(1).clamp_min(1e-30);
        let vectors = vectors / largest;
        let norm = vectors.clone().square().sum_dim(1).clamp_min(1e-30).sqrt();
        vectors / norm
    }
}

/// The triangular `T` of `H_1 ... H_r = I - U^T T U`, from the unit vectors `U [r, d]`: the inverse
/// of `I / 2 + (U U^T above the diagonal)`, row by row from the last.
fn triangle(vectors: &Tensor<2>) -> Tensor<2> {
    let [r, _] = vectors.dims();
    let gram = exact(vectors.clone(), vectors.clone().transpose());
    let identity = Tensor::<2>::eye(r, &vectors.device().inner()).cast(vectors.dtype());
    let twice = |row: usize| identity.clone().narrow(0, row, 1).mul_scalar(2.0);
    let mut rows = twice(r - 1);
    for row in (0..r - 1).rev() {
        let above = gram
            .clone()
            .narrow(0, row, 1)
            .narrow(1, row + 1, r - 1 - row);
        let first = twice(row) - exact(above, rows.clone()).mul_scalar(2.0);
        rows = Tensor::cat(vec![first, rows], 0);
    }
    rows
}

impl Form for Hra {
    const NAME: &'static str = "hra";

    fn check(&self) -> Result<(), String> {
        if self.reflections >= 2 && self.reflections.is_multiple_of(2) {
            return Ok(());
        }
        Err(format!(
            "training starts where reflections cancel in pairs, so their number must be even and at least 2; found \
             {}, take one such as 8",
            self.reflections
        ))
    }

    fn fields(&self, dim: usize) -> Vec<Field> {
        let name = format!("reflections_r{}", self.reflections);
        vec![Field::new(name, [self.reflections, dim])]
    }

    fn read(names: &[&str]) -> Option<Self> {
        let [name] = names else { return None };
        let number = name.strip_prefix("reflections_r")?;
        let form = Self::new(number.parse().ok()?);
        // One spelling for each form, and none that does not work.
        (form.check().is_ok() && number == form.reflections.to_string()).then_some(form)
    }

    fn initial(&self, dim: usize, std: f64, dtype: DType, device: &Device) -> Vec<Tensor<1>> {
        let spread = Distribution::Normal(0.0, (dim as f64).powf(-0.5));
        let half = Tensor::<3>::random([self.reflections / 2, 1, dim], spread, (device, dtype));
        let pairs = half.repeat_dim(1, 2).reshape([self.reflections * dim]);
        if std == 0.0 {
            return vec![pairs];
        }
        vec![pairs + noise(self.reflections * dim, std, dtype, device)]
    }

    fn turn<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        transpose: bool,
    ) -> Tensor<D> {
        let (shape, dtype) = (x.shape(), x.dtype());
        let dim = shape[axis];
        let before: usize = shape[..axis].iter().product();
        let after: usize = shape[axis + 1..].iter().product();
        let compute = compute_dtype(dtype, parameters[0].dtype());
        let vectors = self.unit_vectors(parameters, dim, compute);
        let triangle = triangle(&vectors);
        // On column vectors: `R^T v = v - U^T T U v`, and `R` by the transpose of `T`.
        let triangle = if transpose {
            triangle
        } else {
            triangle.transpose()
        };
        let x = x.cast(compute);
        let turned = if after == 1 {
            let rows = x.reshape([before, dim]);
            let along = device_or_exact(rows.clone(), vectors.clone().transpose());
            let turned = device_or_exact(along, triangle.transpose());
            rows - device_or_exact(turned, vectors)
        } else {
            let columns = x.reshape([before, dim, after]);
            let vectors = vectors.unsqueeze::<3>();
            let along = device_or_exact(vectors.clone(), columns.clone());
            let turned = device_or_exact(triangle.unsqueeze::<3>(), along);
            let change = device_or_exact(vectors.transpose(), turned);
            (columns - change).reshape([before * dim, after])
        };
        turned.reshape(shape).cast(dtype)
    }

    fn penalty(&self, parameters: &[Tensor<1>], dim: usize, penalty: Penalty) -> Option<Tensor<1>> {
        if penalty != Penalty::Paper {
            return None;
        }
        let dtype = parameters[0].dtype();
        let vectors = self.unit_vectors(parameters, dim, compute_dtype(dtype, dtype));
        let gram = exact(vectors.clone(), vectors.transpose());
        let identity = Tensor::<2>::eye(self.reflections, &gram.device().inner());
        let excess = gram.clone() - identity.cast(gram.dtype());
        Some(excess.square().sum())
    }

    #[cfg(all(test, feature = "flex"))]
    fn examples() -> Vec<Self> {
        vec![Self::new(2), Self::new(8)]
    }
}
