//! The penalties in a loss, and their value for 2x2 blocks.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// What a penalty in the loss holds near zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Penalty {
    /// The regularizer of the method's own paper: for qGOFT and RoAd `sum_k <alpha_k, beta_k>^2`
    /// (Ma et al. 2024, Eq. 6), for HRA `|| I - U U^T ||_F^2` of the unit reflection vectors (Yuan
    /// et al. 2024, Eq. 7), for OFT, which has none, that of [`Gram`](Self::Gram).
    ///
    /// The first is zero on every block with orthogonal columns of any length: it controls angles
    /// inside a block, not norms, and does not by itself lead back to GOFT.
    Paper,
    /// `sum_k || G_k^T G_k - I ||_F^2` over the blocks of the rotation: zero on orthogonal blocks
    /// only, so the minimum for qGOFT is GOFT.
    Gram,
}

/// The penalty summed over all blocks `[pairs, 2, 2]`, `[1]`.
pub(super) fn of_blocks(blocks: Tensor<3>, penalty: Penalty) -> Tensor<1> {
    let [pairs, ..] = blocks.dims();
    if pairs == 0 {
        return Tensor::zeros([1], (&blocks.device(), blocks.dtype()));
    }
    let column = |index| blocks.clone().narrow(2, index, 1);
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
