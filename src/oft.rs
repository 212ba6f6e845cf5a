//! OFT: block-diagonal rotations by the Cayley transform, the method that GOFT sets out to improve.

use burn::module::{
    Content, Devices, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor, Param, ParamId,
};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::portable::compute_dtype;

/// How OFT makes a rotation of an axis: its block size, and how it inverts.
///
/// # Example
///
/// ```
/// use burn_goft::Oft;
/// // d = 70: two blocks of 32 and one of 6.
/// assert_eq!(Oft::exact(32).parameter_count(70), 2 * (32 * 31 / 2) + 6 * 5 / 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oft {
    /// Axes that are rotated among each other, at least 2. Where it does not divide the axis, the last block is smaller.
    pub block_size: usize,
    /// Terms of the Neumann series in place of the inverse, at least 1; none for the exact inverse.
    #[serde(default)]
    pub neumann_terms: Option<usize>,
}

impl Oft {
    /// Exactly orthogonal blocks (Qiu et al. 2023).
    pub fn exact(block_size: usize) -> Self {
        Self {
            block_size,
            neumann_terms: None,
        }
    }

    /// The truncated series of OFTv2 (Qiu et al. 2025, which takes 5 terms): no inverse, and orthogonal only near the identity.
    pub fn neumann(block_size: usize, terms: usize) -> Self {
        Self {
            block_size,
            neumann_terms: Some(terms),
        }
    }

    /// Numbers of a rotation of an axis of length `dim`: `b (b - 1) / 2` for each block.
    pub fn parameter_count(&self, dim: usize) -> usize {
        let pairs = |size: usize| size * size.saturating_sub(1) / 2;
        self.full_blocks(dim) * pairs(self.block_size) + pairs(dim % self.block_size)
    }

    /// The blocks `[n, b, b]` of a rotation of an axis of length `dim` from its skew parameters, in a row of
    /// [`parameter_count`](Self::parameter_count): block by block, the entries above the diagonal of `Q` row by row. A smaller last
    /// block is filled up with the identity.
    #[cfg_attr(
        doc,
        doc = r#"$$R = (I + Q)(I - Q)^{-1} \quad\text{or}\quad (I + Q)\Big(I + \sum_{i=1}^{k} Q^i\Big), \qquad Q^\top = -Q$$"#
    )]
    #[cfg_attr(
        not(doc),
        doc = "`R = (I + Q)(I - Q)^-1`, or `(I + Q)(I + Q + .. + Q^k)` with `k` Neumann terms, `Q^T = -Q`"
    )]
    ///
    /// Differentiable; the dtype of the parameters. The exact inverse is found by Newton's iteration and holds to rounding for
    /// rotations by up to 177 degrees; the Cayley transform reaches 180 at infinity only.
    ///
    /// Source: Qiu et al. 2023, [arXiv 2306.07280](https://arxiv.org/abs/2306.07280), Section 3.2; Qiu et al. 2025,
    /// [arXiv 2506.19847](https://arxiv.org/abs/2506.19847), Section 3.3.
    ///
    /// # Panics
    ///
    /// If there are not [`parameter_count`](Self::parameter_count) numbers.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::tensor::{Device, Tensor};
    /// use burn_goft::Oft;
    /// // b = 2: R rotates by -2 atan(q), here by -90 degrees.
    /// let q = Tensor::from_floats([1.0], &Device::flex());
    /// let found = Oft::exact(2).blocks(q, 2).into_data().to_vec::<f32>().unwrap();
    /// for (found, expected) in found.iter().zip([0.0, 1.0, -1.0, 0.0]) {
    ///     assert!((found - expected).abs() < 1e-6);
    /// }
    /// # }
    /// ```
    pub fn blocks(&self, skew: Tensor<1>, dim: usize) -> Tensor<3> {
        let (found, expected) = (skew.dims()[0], self.parameter_count(dim));
        assert!(
            found == expected,
            "Oft: an axis of length {dim} in blocks of {} needs {expected} skew parameters, found {found}",
            self.block_size
        );
        let q = self.skew_matrices(skew, dim);
        match self.neumann_terms {
            None => cayley(q),
            Some(terms) => neumann(q, terms),
        }
    }

    fn full_blocks(&self, dim: usize) -> usize {
        dim / self.block_size
    }

    /// The skew parameters, those of a block beyond the radius scaled back to it: `|| R - I ||_F <= 2 || Q ||_F` for the exact inverse.
    pub(crate) fn held_within(&self, skew: Tensor<1>, radius: f64) -> Tensor<1> {
        let [length] = skew.dims();
        let pairs = self.block_size * (self.block_size - 1) / 2;
        let whole = length - length % pairs;
        let parts = [(0, whole, pairs), (whole, length - whole, length - whole)];
        let parts = parts.into_iter().filter(|(_, count, _)| *count > 0);
        let held = parts.map(|(start, count, of_block)| {
            let blocks = skew.clone().narrow(0, start, count);
            let blocks = blocks.reshape([count / of_block, of_block]);
            // Each number stands in Q twice.
            let norm = blocks.clone().square().sum_dim(1).mul_scalar(2.0).sqrt();
            let factor = (norm.mul_scalar(2.0 / radius)).clamp_min(1.0).recip();
            (blocks * factor).reshape([count])
        });
        let held: Vec<_> = held.collect();
        match held.is_empty() {
            true => skew,
            false => Tensor::cat(held, 0),
        }
    }

    /// `Q`, a block each.
    fn skew_matrices(&self, skew: Tensor<1>, dim: usize) -> Tensor<3> {
        let (size, rest) = (self.block_size, dim % self.block_size);
        let full = self.full_blocks(dim);
        let split = full * size * (size - 1) / 2;
        let mut matrices = Vec::with_capacity(2);
        if full > 0 {
            let entries = skew
                .clone()
                .narrow(0, 0, split)
                .reshape([full, split / full]);
            matrices.push(skew_of(entries, size));
        }
        if rest > 1 {
            let count = rest * (rest - 1) / 2;
            let matrix = skew_of(skew.narrow(0, split, count).reshape([1, count]), rest);
            matrices.push(matrix.pad([(0, 0), (0, size - rest), (0, size - rest)], 0.0));
        } else if rest == 1 {
            matrices.push(Tensor::zeros(
                [1, size, size],
                (&skew.device(), skew.dtype()),
            ));
        }
        Tensor::cat(matrices, 0)
    }
}

/// Skew matrices `[n, b, b]` from the entries `[n, b (b - 1) / 2]` above their diagonals.
fn skew_of(entries: Tensor<2>, size: usize) -> Tensor<3> {
    let [n, count] = entries.dims();
    // Where each entry of a matrix is found in a row of: a zero, the entries, the entries negated.
    let mut places = vec![0; size * size];
    let mut next = 1;
    for i in 0..size {
        for j in i + 1..size {
            places[i * size + j] = next;
            places[j * size + i] = next + count as i64;
            next += 1;
        }
    }
    let device = entries.device();
    let zero = Tensor::<2>::zeros([n, 1], (&device, entries.dtype()));
    let signed = Tensor::cat(vec![zero, entries.clone(), entries.neg()], 1);
    let places = TensorData::new(places, [size * size]);
    let places = Tensor::<1, Int>::from_data(places, &device.inner());
    signed.select(1, places).reshape([n, size, size])
}

/// Newton's steps to the inverse. It starts at the transpose over a bound of `1 + theta^2`, where `theta` is the tangent of half an
/// angle of rotation, and each step squares what is missing: 20 steps find the last digit for angles up to 177 degrees in blocks of 32.
const STEPS: usize = 20;

/// `(I + Q)(I - Q)^-1 = 2 (I - Q)^-1 - I`.
fn cayley(q: Tensor<3>) -> Tensor<3> {
    let identity = identity_like(&q);
    let matrix = identity.clone() - q.clone();
    // The steps before the last need no derivative: one step from a constant has that of the inverse itself.
    let (constant, constant_q) = (matrix.clone().detach(), q.detach());
    let bound = constant_q
        .clone()
        .square()
        .sum_dim(2)
        .sum_dim(1)
        .div_scalar(2.0)
        + 1.0;
    let mut inverse = (identity.clone() + constant_q) / bound;
    for _ in 0..STEPS {
        inverse = newton(&constant, inverse, &identity);
    }
    newton(&matrix, inverse, &identity).mul_scalar(2.0) - identity
}

fn newton(matrix: &Tensor<3>, inverse: Tensor<3>, identity: &Tensor<3>) -> Tensor<3> {
    let missing = identity.clone().mul_scalar(2.0) - matrix.clone().matmul(inverse.clone());
    inverse.matmul(missing)
}

/// `(I + Q)(I + Q + .. + Q^terms)` by Horner's rule.
fn neumann(q: Tensor<3>, terms: usize) -> Tensor<3> {
    let identity = identity_like(&q);
    let mut sum = identity.clone();
    for _ in 0..terms {
        sum = identity.clone() + q.clone().matmul(sum);
    }
    sum.clone() + q.matmul(sum)
}

fn identity_like(matrices: &Tensor<3>) -> Tensor<3> {
    let [_, size, _] = matrices.dims();
    let identity = Tensor::<2>::eye(size, &matrices.device().inner());
    identity.cast(matrices.dtype()).reshape([1, size, size])
}

/// Multiplies every vector of `x` along `axis` by the block-diagonal matrix of `blocks [n, b, b]`, or by its transpose. Computes at
/// least in f32 and returns the dtype of `x`.
///
/// # Panics
///
/// If the blocks are for another length of the axis.
pub(crate) fn turn_blocks<const D: usize>(
    x: Tensor<D>,
    blocks: Tensor<3>,
    axis: usize,
    transpose: bool,
) -> Tensor<D> {
    let (shape, dtype) = (x.shape(), x.dtype());
    let [n, size, _] = blocks.dims();
    let dim = shape[axis];
    assert!(
        dim.div_ceil(size) == n,
        "OFT: axis {axis} of shape {:?} has length {dim}, and {n} blocks of {size} rotate an axis of up to {}; pass the axis that they \
         were made for",
        shape.to_vec(),
        n * size
    );
    let before: usize = shape[..axis].iter().product();
    let after: usize = shape[axis + 1..].iter().product();
    if shape.num_elements() == 0 {
        return x;
    }
    let compute = compute_dtype(dtype, blocks.dtype());
    let missing = n * size - dim;
    let x = x.cast(compute).reshape([before, dim, after]);
    let x = x.pad([(0, 0), (0, missing), (0, 0)], 0.0);
    let blocks = blocks.cast(compute);
    let blocks = if transpose {
        blocks.transpose()
    } else {
        blocks
    };
    let turned = if after == 1 {
        // Vectors as rows, so that one product serves all of them.
        let rows = x.reshape([before, n, size]).swap_dims(0, 1);
        let turned = rows.matmul(blocks.transpose());
        turned.swap_dims(0, 1).reshape([before, n * size, after])
    } else {
        let columns = x.reshape([before, n, size, after]);
        let turned = blocks.reshape([1, n, size, size]).matmul(columns);
        turned.reshape([before, n * size, after])
    };
    turned.narrow(1, 0, dim).reshape(shape).cast(dtype)
}

/// The id under which a form shows itself to a visitor, with block size and terms in its lower bits.
const MARK: u64 = 0x6f66_7400_0000_0000;
const MARK_BITS: u64 = 0xffff_ff00_0000_0000;
const TERMS_BITS: u32 = 12;

impl Oft {
    /// The name of the skew parameters in a file: what a reader of it must know of the form.
    pub(crate) fn field(&self) -> String {
        match self.neumann_terms {
            None => format!("skew_b{}", self.block_size),
            Some(terms) => format!("skew_b{}_k{terms}", self.block_size),
        }
    }

    /// The form of such a name.
    pub(crate) fn of_field(field: &str) -> Option<Self> {
        let numbers = field.strip_prefix("skew_b")?;
        let (size, terms) = match numbers.split_once("_k") {
            None => (numbers, None),
            Some((size, terms)) => (size, Some(terms.parse().ok()?)),
        };
        let form = Self {
            block_size: size.parse().ok()?,
            neumann_terms: terms,
        };
        // One spelling for each form, and none that does not work.
        (form.check().is_ok() && form.field() == field).then_some(form)
    }

    /// What is wrong with the numbers, if something is.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let sizes = 2..1 << 28;
        let terms = 1..(1 << TERMS_BITS) - 1;
        if !sizes.contains(&self.block_size) {
            return Err("a block needs a size of at least 2, such as 32");
        }
        match self.neumann_terms {
            Some(k) if !terms.contains(&k) => {
                Err("a Neumann series needs at least 1 term, such as 5")
            }
            _ => Ok(()),
        }
    }

    /// The form that a visited flag stands for.
    pub(crate) fn read(flag: &Param<Flag>) -> Option<Self> {
        let id = flag.id.val();
        if id & MARK_BITS != MARK {
            return None;
        }
        let number = id & !MARK_BITS;
        let terms = (number & ((1 << TERMS_BITS) - 1)) as usize;
        Some(Self {
            block_size: (number >> TERMS_BITS) as usize,
            neumann_terms: terms.checked_sub(1),
        })
    }

    fn flag(&self) -> Param<Flag> {
        let terms = self.neumann_terms.map_or(0, |terms| terms as u64 + 1);
        let number = ((self.block_size as u64) << TERMS_BITS) | terms;
        Param::initialized(ParamId::from(MARK | number), Flag::new(true))
    }
}

/// A constant of its adapter. A visitor sees only parameters and flags: it shows itself as a flag, which nobody can set.
impl Module for Oft {
    fn collect_devices(&self, devices: Devices) -> Devices {
        devices
    }

    fn fork(self, _device: &Device) -> Self {
        self
    }

    fn to_device(self, _device: &Device) -> Self {
        self
    }

    fn train(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        *self
    }

    fn materialize(self) -> Self {
        self
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_flag(&self.flag());
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        mapper.map_flag(self.flag());
        self
    }
}

impl ModuleDisplayDefault for Oft {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&self.field()).optional()
    }
}

impl ModuleDisplay for Oft {}
