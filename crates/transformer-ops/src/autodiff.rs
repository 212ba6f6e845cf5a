//! Differentiation: one node an operation, which keeps its inputs and nothing else.

use std::fmt::Debug;

use burn::backend::Backend;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::{FloatTensor, IntTensor};

use crate::ops::{Activation, Attention, TransformerOps};
use crate::portable::sum_rows;

/// An operation's node: `$inputs` in, one result out, with what its derivative needs beside them.
macro_rules! node {
    ($op:expr, [$($input:ident),+], $state:expr, $forward:expr) => {{
        let prepared = $op
            .prepare::<C>([$($input.node()),+])
            .compute_bound()
            .stateful();
        match prepared {
            OpsKind::Tracked(mut prep) => {
                let kept = [$(prep.checkpoint(&$input)),+];
                prep.finish((kept, $state), $forward)
            }
            OpsKind::UnTracked(prep) => prep.finish($forward),
        }
    }};
}

/// Registers each derivative with the parent that it is of.
macro_rules! register {
    ($grads:ident, $parents:ident, [$($by:expr),+]) => {{
        let derivatives = [$($by),+];
        for (parent, by) in $parents.into_iter().zip(derivatives) {
            if let Some(parent) = parent {
                $grads.register::<B>(parent.id, by);
            }
        }
    }};
}

fn kept<B: Backend, const N: usize>(
    checkpointer: &mut Checkpointer,
    ids: [NodeId; N],
) -> [B::FloatTensorPrimitive; N] {
    ids.map(|id| checkpointer.retrieve_node_output::<B::FloatTensorPrimitive>(id))
}

impl<B: Backend + TransformerOps, C: CheckpointStrategy> TransformerOps for Autodiff<B, C> {
    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        starts: FloatTensor<Self>,
        ends: FloatTensor<Self>,
        how: Attention,
    ) -> FloatTensor<Self> {
        let (starts, ends) = (starts.into_primitive(), ends.into_primitive());
        let state = Mixed::<B> {
            starts: starts.clone(),
            ends: ends.clone(),
            how,
        };
        node!(
            AttentionNode,
            [query, key, value],
            state,
            B::fused_attention(
                query.into_primitive(),
                key.into_primitive(),
                value.into_primitive(),
                starts,
                ends,
                how
            )
        )
    }

    fn fused_activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        node!(
            ActivateNode,
            [x],
            activation,
            B::fused_activate(x.into_primitive(), activation)
        )
    }

    fn fused_gated(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        node!(
            GatedNode,
            [gate, up],
            activation,
            B::fused_gated(gate.into_primitive(), up.into_primitive(), activation)
        )
    }

    fn fused_rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        node!(
            RmsNode,
            [x, weight],
            epsilon,
            B::fused_rms_norm(x.into_primitive(), weight.into_primitive(), epsilon)
        )
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        node!(
            LayerNode,
            [x, weight, bias],
            epsilon,
            B::fused_layer_norm(
                x.into_primitive(),
                weight.into_primitive(),
                bias.into_primitive(),
                epsilon
            )
        )
    }

    fn fused_rotate_positions(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        back: bool,
    ) -> FloatTensor<Self> {
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        let prepared = RotaryNode
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful();
        match prepared {
            OpsKind::Tracked(prep) => {
                let state = Turned::<B> {
                    cos: cos.clone(),
                    sin: sin.clone(),
                    back,
                };
                prep.finish(
                    state,
                    B::fused_rotate_positions(x.into_primitive(), cos, sin, back),
                )
            }
            OpsKind::UnTracked(prep) => prep.finish(B::fused_rotate_positions(
                x.into_primitive(),
                cos,
                sin,
                back,
            )),
        }
    }

    fn fused_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        transposed: bool,
    ) -> FloatTensor<Self> {
        let tracked = [&x, &weight].map(|tensor| tensor.is_tracked());
        let prepared = ProductNode
            .prepare::<C>([x.node(), weight.node()])
            .compute_bound()
            .stateful();
        let product = |x: FloatTensor<Self>, weight: FloatTensor<Self>| {
            B::fused_product(x.into_primitive(), weight.into_primitive(), transposed)
        };
        match prepared {
            OpsKind::Tracked(mut prep) => {
                // A frozen weight's vectors are not kept: they are the most of a model's memory.
                let state = Multiplied {
                    x: tracked[1].then(|| prep.checkpoint(&x)),
                    weight: tracked[0].then(|| prep.checkpoint(&weight)),
                    transposed,
                };
                prep.finish(state, product(x, weight))
            }
            OpsKind::UnTracked(prep) => prep.finish(product(x, weight)),
        }
    }

    fn fused_affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let tracked = [&x, &weight].map(|tensor| tensor.is_tracked());
        let prepared = AffineNode
            .prepare::<C>([x.node(), weight.node(), bias.node()])
            .compute_bound()
            .stateful();
        let product = |x: FloatTensor<Self>, weight: FloatTensor<Self>| {
            B::fused_affine(
                x.into_primitive(),
                weight.into_primitive(),
                bias.into_primitive(),
            )
        };
        match prepared {
            OpsKind::Tracked(mut prep) => {
                let state = Multiplied {
                    x: tracked[1].then(|| prep.checkpoint(&x)),
                    weight: tracked[0].then(|| prep.checkpoint(&weight)),
                    transposed: false,
                };
                prep.finish(state, product(x, weight))
            }
            OpsKind::UnTracked(prep) => prep.finish(product(x, weight)),
        }
    }

    fn fused_cross_entropy(
        products: FloatTensor<Self>,
        classes: IntTensor<Self>,
        cap: Option<f64>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, IntTensor<Self>) {
        crate::portable::cross_entropy::<Self>(products, classes, cap)
    }
}

#[derive(Clone, Debug)]
struct Mixed<B: Backend> {
    starts: B::FloatTensorPrimitive,
    ends: B::FloatTensorPrimitive,
    how: Attention,
}

#[derive(Debug)]
struct AttentionNode;

impl<B: Backend + TransformerOps> Backward<B, 3> for AttentionNode {
    type State = ([NodeId; 3], Mixed<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, saved: &mut Checkpointer) {
        let (parents, (ids, Mixed { starts, ends, how })) = (ops.parents, ops.state);
        let grad = grads.consume::<B>(&ops.node);
        let [query, key, value] = kept::<B, 3>(saved, ids);
        let (by_query, by_key, by_value) =
            B::fused_attention_backward(query, key, value, starts, ends, grad, how);
        register!(grads, parents, [by_query, by_key, by_value]);
    }
}

#[derive(Debug)]
struct ActivateNode;

impl<B: Backend + TransformerOps> Backward<B, 1> for ActivateNode {
    type State = ([NodeId; 1], Activation);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, saved: &mut Checkpointer) {
        let (parents, (ids, activation)) = (ops.parents, ops.state);
        let grad = grads.consume::<B>(&ops.node);
        let [x] = kept::<B, 1>(saved, ids);
        register!(
            grads,
            parents,
            [B::fused_activate_backward(x, grad, activation)]
        );
    }
}

#[derive(Debug)]
struct GatedNode;

impl<B: Backend + TransformerOps> Backward<B, 2> for GatedNode {
    type State = ([NodeId; 2], Activation);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, saved: &mut Checkpointer) {
        let (parents, (ids, activation)) = (ops.parents, ops.state);
        let grad = grads.consume::<B>(&ops.node);
        let [gate, up] = kept::<B, 2>(saved, ids);
        let (by_gate, by_up) = B::fused_gated_backward(gate, up, grad, activation);
        register!(grads, parents, [by_gate, by_up]);
    }
}

#[derive(Debug)]
struct RmsNode;

impl<B: Backend + TransformerOps> Backward<B, 2> for RmsNode {
    type State = ([NodeId; 2], f64);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, saved: &mut Checkpointer) {
        let (parents, (ids, epsilon)) = (ops.parents, ops.state);
        let grad = grads.consume::<B>(&ops.node);
        let [x, weight] = kept::<B, 2>(saved, ids);
        let (by_x, by_weight) = B::fused_rms_norm_backward(x, weight, grad, epsilon);
        register!(grads, parents, [by_x, by_weight]);
    }
}

#[derive(Debug)]
struct LayerNode;

impl<B: Backend + TransformerOps> Backward<B, 3> for LayerNode {
    type State = ([NodeId; 3], f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, saved: &mut Checkpointer) {
        let (parents, (ids, epsilon)) = (ops.parents, ops.state);
        let grad = grads.consume::<B>(&ops.node);
        let [x, weight, _] = kept::<B, 3>(saved, ids);
        let (by_x, by_weight, by_bias) = B::fused_layer_norm_backward(x, weight, grad, epsilon);
        register!(grads, parents, [by_x, by_weight, by_bias]);
    }
}

#[derive(Clone, Debug)]
struct Multiplied {
    /// Where the weight is tracked.
    x: Option<NodeId>,
    /// Where the vectors are.
    weight: Option<NodeId>,
    transposed: bool,
}

#[derive(Debug)]
struct ProductNode;

impl<B: Backend + TransformerOps> Backward<B, 2> for ProductNode {
    type State = Multiplied;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, saved: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        ops.state.backward::<B>(parents, grad, grads, saved);
    }
}

#[derive(Debug)]
struct AffineNode;

impl<B: Backend + TransformerOps> Backward<B, 3> for AffineNode {
    type State = Multiplied;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, saved: &mut Checkpointer) {
        let [of_x, of_weight, of_bias] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        if let Some(of_bias) = of_bias {
            grads.register::<B>(of_bias.id, sum_rows::<B>(grad.clone()));
        }
        let parents = [of_x, of_weight].map(|parent| parent.map(|parent| parent.id));
        ops.state.backward::<B>(parents, grad, grads, saved);
    }
}

impl Multiplied {
    /// The derivatives by vectors and weight.
    fn backward<B: Backend + TransformerOps>(
        self,
        [of_x, of_weight]: [Option<NodeId>; 2],
        grad: FloatTensor<B>,
        grads: &mut Gradients,
        saved: &mut Checkpointer,
    ) {
        let state = self;
        if let (Some(of_weight), Some(x)) = (of_weight, state.x) {
            let [x] = kept::<B, 1>(saved, [x]);
            let (x, grad) = match state.transposed {
                true => (grad.clone(), x),
                false => (x, grad.clone()),
            };
            let by_weight = B::float_matmul(B::float_swap_dims(x, 0, 1), grad);
            grads.register::<B>(of_weight, by_weight);
        }
        if let (Some(of_x), Some(weight)) = (of_x, state.weight) {
            let [weight] = kept::<B, 1>(saved, [weight]);
            let by_x = B::fused_product(grad, weight, !state.transposed);
            grads.register::<B>(of_x, by_x);
        }
    }
}

#[derive(Clone, Debug)]
struct Turned<B: Backend> {
    cos: B::FloatTensorPrimitive,
    sin: B::FloatTensorPrimitive,
    back: bool,
}

#[derive(Debug)]
struct RotaryNode;

impl<B: Backend + TransformerOps> Backward<B, 1> for RotaryNode {
    type State = Turned<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (parents, Turned { cos, sin, back }) = (ops.parents, ops.state);
        let grad = grads.consume::<B>(&ops.node);
        register!(
            grads,
            parents,
            [B::fused_rotate_positions(grad, cos, sin, !back)]
        );
    }
}
