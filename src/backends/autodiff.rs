//! Differentiation: the portable body is recorded operation by operation.

use burn::backend::Backend;
use burn::backend::autodiff::{Autodiff, checkpoint::strategy::CheckpointStrategy};

use crate::ops::GivensOps;

impl<B: Backend + GivensOps, C: CheckpointStrategy> GivensOps for Autodiff<B, C> {}
