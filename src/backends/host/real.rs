//! The numbers that the kernels compute in.

use std::ops::{Add, AddAssign, Mul};

use burn::tensor::Element;
use bytemuck::Pod;

/// f32 or f64.
///
/// Products and sums are rounded one by one and never fused, so that a result does not depend on the instructions that a
/// processor has.
pub(crate) trait Real:
    Element + Pod + Default + Add<Output = Self> + Mul<Output = Self> + AddAssign
{
    fn to_f64(self) -> f64;
    fn from_f64(value: f64) -> Self;
}

impl Real for f32 {
    fn to_f64(self) -> f64 {
        self.into()
    }

    fn from_f64(value: f64) -> Self {
        value as Self
    }
}

impl Real for f64 {
    fn to_f64(self) -> f64 {
        self
    }

    fn from_f64(value: f64) -> Self {
        value
    }
}
