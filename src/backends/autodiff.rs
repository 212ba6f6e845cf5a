//! Differentiation: one node for a whole rotation, whatever the number of levels, that keeps its
//! input and the blocks and nothing else; and one for the blocks of angles, that keeps the blocks.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::Backend;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::retro_forward::RetroForward;
use burn::backend::autodiff::checkpoint::state::BackwardStates;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;

use crate::pairs::{GivensOps, Turn};

impl<B: Backend + GivensOps, C: CheckpointStrategy> GivensOps for Autodiff<B, C> {
    fn givens_rotate(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        turn: Turn,
    ) -> FloatTensor<Self> {
        let blocks_tracked = blocks.is_tracked();
        // Without another handle on it, a buffer that nobody else needs can be rotated where it is.
        let rotate = |x: FloatTensor<Self>, blocks: FloatTensor<Self>| {
            B::givens_rotate(x.into_primitive(), blocks.into_primitive(), turn)
        };
        let prepared = Rotation
            .prepare::<C>([x.node(), blocks.node()])
            .memory_bound()
            .retro_forward(Recompute::<B>::new(x.node().id(), blocks.node().id(), turn))
            .parents([&x, &blocks])
            .stateful();
        match prepared {
            OpsKind::Tracked(mut prep) => {
                let saved = Saved {
                    // Where only `x` is tracked, its own derivative needs the blocks alone.
                    x: blocks_tracked.then(|| prep.checkpoint(&x)),
                    blocks: prep.checkpoint(&blocks),
                    turn,
                };
                prep.finish(saved, rotate(x, blocks))
            }
            OpsKind::UnTracked(prep) => prep.finish(rotate(x, blocks)),
        }
    }

    fn givens_blocks(angles: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = Angles
            .prepare::<C>([angles.node()])
            .compute_bound()
            .stateful();
        let blocks = B::givens_blocks(angles.into_primitive());
        match prepared {
            OpsKind::Tracked(prep) => prep.finish(blocks.clone(), blocks),
            OpsKind::UnTracked(prep) => prep.finish(blocks),
        }
    }
}

/// Blocks of angles, which keep all that their derivative needs.
#[derive(Debug)]
struct Angles;

impl<B: Backend + GivensOps> Backward<B, 1> for Angles {
    type State = FloatTensor<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [of_angles] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        if let Some(of_angles) = of_angles {
            let by_angles = B::givens_angle_gradients(ops.state, grad);
            grads.register::<B>(of_angles.id, by_angles);
        }
    }
}

#[derive(Clone, Debug)]
struct Saved {
    x: Option<NodeId>,
    blocks: NodeId,
    turn: Turn,
}

#[derive(Debug)]
struct Rotation;

impl<B: Backend + GivensOps> Backward<B, 2> for Rotation {
    type State = Saved;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [of_x, of_blocks] = ops.parents;
        let Saved { x, blocks, turn } = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let blocks = checkpointer.retrieve_node_output::<B::FloatTensorPrimitive>(blocks);
        let x = x.map(|id| checkpointer.retrieve_node_output::<B::FloatTensorPrimitive>(id));
        match (of_x, of_blocks, x) {
            (Some(of_x), Some(of_blocks), Some(x)) => {
                let (by_x, by_blocks) = B::givens_gradients(x, grad, blocks, turn);
                grads.register::<B>(of_x.id, by_x);
                grads.register::<B>(of_blocks.id, by_blocks);
            }
            (None, Some(of_blocks), Some(x)) => {
                let by_blocks = B::givens_block_gradients(x, grad, blocks, turn);
                grads.register::<B>(of_blocks.id, by_blocks);
            }
            (Some(of_x), ..) => {
                let by_x = B::givens_rotate(grad, blocks, turn.transposed());
                grads.register::<B>(of_x.id, by_x);
            }
            (None, ..) => {}
        }
    }
}

/// The rotation once more, where a checkpointing strategy prefers computing to keeping.
struct Recompute<B> {
    x: NodeId,
    blocks: NodeId,
    turn: Turn,
    backend: PhantomData<fn() -> B>,
}

impl<B> Recompute<B> {
    fn new(x: NodeId, blocks: NodeId, turn: Turn) -> Self {
        let backend = PhantomData;
        Self {
            x,
            blocks,
            turn,
            backend,
        }
    }
}

impl<B> Debug for Recompute<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Recompute").field(&self.turn).finish()
    }
}

impl<B: Backend + GivensOps> RetroForward for Recompute<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let x = states.get_state::<B::FloatTensorPrimitive>(&self.x);
        let blocks = states.get_state::<B::FloatTensorPrimitive>(&self.blocks);
        states.save(out_node, B::givens_rotate(x, blocks, self.turn));
    }
}
