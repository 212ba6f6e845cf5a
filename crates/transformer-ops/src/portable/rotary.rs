//! Pairs of coordinates, turned by the position.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

use super::{cast, part};

/// `x` is `[rows, tokens, heads, width]`, the tables `[rows or 1, tokens, n]`.
pub(crate) fn turn<B: Backend>(
    x: FloatTensor<B>,
    cos: FloatTensor<B>,
    sin: FloatTensor<B>,
    back: bool,
) -> FloatTensor<B> {
    let (dtype, width) = (x.dtype(), x.shape()[3]);
    let tables = cos.shape();
    let half = tables[2];
    let by_head = Shape::new([tables[0], tables[1], 1, half]);
    let [cos, sin] =
        [cos, sin].map(|table| B::float_reshape(cast::<B>(table, dtype), by_head.clone()));
    let sin = if back { B::float_neg(sin) } else { sin };
    let first = part::<B>(x.clone(), 3, 0, half);
    let second = part::<B>(x.clone(), 3, half, 2 * half);
    let mut parts = vec![
        B::float_sub(
            B::float_mul(first.clone(), cos.clone()),
            B::float_mul(second.clone(), sin.clone()),
        ),
        B::float_add(B::float_mul(second, cos), B::float_mul(first, sin)),
    ];
    if 2 * half < width {
        parts.push(part::<B>(x, 3, 2 * half, width));
    }
    B::float_cat(parts, 3)
}
