//! Differentiation: a node that keeps the packed weight.

use std::fmt;

use burn::backend::Backend;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, QuantizedTensor};

use super::PackedOps;

impl<B: Backend + PackedOps, C: CheckpointStrategy> PackedOps for Autodiff<B, C> {
    fn packed_product(
        x: FloatTensor<Self>,
        weight: QuantizedTensor<Self>,
        transposed: bool,
    ) -> FloatTensor<Self> {
        let prepared = Product.prepare::<C>([x.node()]).compute_bound().stateful();
        let product =
            |weight: QuantizedTensor<B>| B::packed_product(x.into_primitive(), weight, transposed);
        match prepared {
            OpsKind::Tracked(prep) => {
                let kept = Kept {
                    weight: weight.clone(),
                    transposed,
                };
                prep.finish(kept, product(weight))
            }
            OpsKind::UnTracked(prep) => prep.finish(product(weight)),
        }
    }
}

struct Kept<B: Backend> {
    weight: QuantizedTensor<B>,
    transposed: bool,
}

impl<B: Backend> Clone for Kept<B> {
    fn clone(&self) -> Self {
        Self {
            weight: self.weight.clone(),
            transposed: self.transposed,
        }
    }
}

impl<B: Backend> fmt::Debug for Kept<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("transposed", &self.transposed)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Product;

impl<B: Backend + PackedOps> Backward<B, 1> for Product {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [of_x] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        if let Some(of_x) = of_x {
            let Kept { weight, transposed } = ops.state;
            grads.register::<B>(of_x.id, B::packed_product(grad, weight, !transposed));
        }
    }
}
