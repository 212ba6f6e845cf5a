//! Differentiation: one node for a whole rotation, whatever the number of levels, that keeps its input and the blocks and nothing else.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::retro_forward::RetroForward;
use burn::backend::autodiff::checkpoint::state::BackwardStates;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, Slice};

use crate::ops::GivensOps;

impl<B: Backend + GivensOps, C: CheckpointStrategy> GivensOps for Autodiff<B, C> {
    fn givens_rotate(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> FloatTensor<Self> {
        let arguments = Arguments {
            axis,
            transpose,
            one_of: None,
        };
        // Without another handle on it, a buffer that nobody else needs can be rotated where it is.
        let rotate = |x: FloatTensor<Self>, blocks: FloatTensor<Self>| {
            arguments.rotate::<B>(x.into_primitive(), blocks.into_primitive())
        };
        node::<B, C>(x, blocks, arguments, rotate)
    }

    fn givens_rotate_each(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> Vec<FloatTensor<Self>> {
        let (values, all) = (x.primitive().clone(), blocks.primitive().clone());
        let rotated = B::givens_rotate_each(values, all, axis, transpose);
        let node_of = |(index, rotated)| {
            let arguments = Arguments {
                axis,
                transpose,
                one_of: Some(index),
            };
            node::<B, C>(x.clone(), blocks.clone(), arguments, |_, _| rotated)
        };
        rotated.into_iter().enumerate().map(node_of).collect()
    }
}

/// Registers a rotation that `rotate` computes.
fn node<B: Backend + GivensOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    blocks: FloatTensor<Autodiff<B, C>>,
    arguments: Arguments,
    rotate: impl FnOnce(FloatTensor<Autodiff<B, C>>, FloatTensor<Autodiff<B, C>>) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let blocks_tracked = blocks.is_tracked();
    let prepared = Rotation
        .prepare::<C>([x.node(), blocks.node()])
        .memory_bound()
        .retro_forward(Recompute::<B>::new(
            x.node().id(),
            blocks.node().id(),
            arguments,
        ))
        .parents([&x, &blocks])
        .stateful();
    match prepared {
        OpsKind::Tracked(mut prep) => {
            let saved = Saved {
                // Where only `x` is tracked, its own derivative needs the blocks alone.
                x: blocks_tracked.then(|| prep.checkpoint(&x)),
                blocks: prep.checkpoint(&blocks),
                arguments,
            };
            prep.finish(saved, rotate(x, blocks))
        }
        OpsKind::UnTracked(prep) => prep.finish(rotate(x, blocks)),
    }
}

#[derive(Clone, Copy, Debug)]
struct Arguments {
    axis: usize,
    transpose: bool,
    /// Which rotation, if the blocks are those of several.
    one_of: Option<usize>,
}

impl Arguments {
    fn rotate<B: GivensOps>(self, x: FloatTensor<B>, blocks: FloatTensor<B>) -> FloatTensor<B> {
        B::givens_rotate(x, self.blocks::<B>(blocks), self.axis, self.transpose)
    }

    /// The blocks `[d-1, 2, 2]` of this rotation.
    fn blocks<B: Backend>(self, blocks: FloatTensor<B>) -> FloatTensor<B> {
        let shape = blocks.shape();
        match self.one_of {
            None => blocks,
            Some(index) => {
                let blocks = B::float_slice(blocks, &part(&shape, index));
                B::float_reshape(blocks, Shape::new([shape[1], 2, 2]))
            }
        }
    }

    /// The derivative by all blocks, of which this rotation's are some.
    fn padded<B: Backend>(self, of_blocks: FloatTensor<B>, all: &Shape) -> FloatTensor<B> {
        match self.one_of {
            None => of_blocks,
            Some(index) => {
                let (device, dtype) = (of_blocks.device(), of_blocks.dtype());
                let zeros = B::float_zeros(all.clone(), &device, dtype.into());
                let of_blocks = B::float_reshape(of_blocks, Shape::new([1, all[1], 2, 2]));
                B::float_slice_assign(zeros, &part(all, index), of_blocks)
            }
        }
    }
}

/// The blocks of one of several rotations.
fn part(all: &Shape, index: usize) -> [Slice; 4] {
    [index..index + 1, 0..all[1], 0..2, 0..2].map(Slice::from)
}

#[derive(Clone, Debug)]
struct Saved {
    x: Option<NodeId>,
    blocks: NodeId,
    arguments: Arguments,
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
        let Saved {
            x,
            blocks,
            arguments,
        } = ops.state;
        let (axis, transpose) = (arguments.axis, arguments.transpose);
        let grad = grads.consume::<B>(&ops.node);
        let blocks = checkpointer.retrieve_node_output::<B::FloatTensorPrimitive>(blocks);
        let all = blocks.shape();
        let blocks = arguments.blocks::<B>(blocks);
        let x = x.map(|id| checkpointer.retrieve_node_output::<B::FloatTensorPrimitive>(id));
        match (of_x, of_blocks, x) {
            (Some(of_x), Some(of_blocks), Some(x)) => {
                let (by_x, by_blocks) = B::givens_gradients(x, grad, blocks, axis, transpose);
                grads.register::<B>(of_x.id, by_x);
                grads.register::<B>(of_blocks.id, arguments.padded::<B>(by_blocks, &all));
            }
            (None, Some(of_blocks), Some(x)) => {
                let by_blocks = B::givens_block_gradients(x, grad, blocks, axis, transpose);
                grads.register::<B>(of_blocks.id, arguments.padded::<B>(by_blocks, &all));
            }
            (Some(of_x), ..) => {
                let by_x = B::givens_rotate(grad, blocks, axis, !transpose);
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
    arguments: Arguments,
    backend: PhantomData<fn() -> B>,
}

impl<B> Recompute<B> {
    fn new(x: NodeId, blocks: NodeId, arguments: Arguments) -> Self {
        let backend = PhantomData;
        Self {
            x,
            blocks,
            arguments,
            backend,
        }
    }
}

impl<B> Debug for Recompute<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Recompute").field(&self.arguments).finish()
    }
}

impl<B: Backend + GivensOps> RetroForward for Recompute<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let x = states.get_state::<B::FloatTensorPrimitive>(&self.x);
        let blocks = states.get_state::<B::FloatTensorPrimitive>(&self.blocks);
        states.save(out_node, self.arguments.rotate::<B>(x, blocks));
    }
}
