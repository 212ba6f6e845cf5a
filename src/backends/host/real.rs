//! The numbers that the kernels compute in, and those that they read and write.

use std::ops::{Add, AddAssign, Mul};

use burn::tensor::Element;
use bytemuck::Pod;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// f32 or f64.
///
/// Products and sums are rounded one by one and never fused, so that a result does not depend on
/// the instructions that a processor has.
pub(crate) trait Real:
    Stored<Compute = Self> + Default + Add<Output = Self> + Mul<Output = Self> + AddAssign
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

/// What tensors are made of: a [`Real`], or a half-precision number that is computed with as f32.
pub(crate) trait Stored: Element + Pod {
    type Compute: Real;

    /// The values, each exactly.
    fn widen(values: &[Self], wide: &mut [Self::Compute]);

    /// Works on one vector, in `room` where it has to be widened, and rounds what becomes of it.
    fn work_on(
        vector: &mut [Self],
        room: &mut [Self::Compute],
        work: impl FnOnce(&mut [Self::Compute]),
    );
}

macro_rules! as_it_is {
    ($real:ty) => {
        impl Stored for $real {
            type Compute = Self;

            #[inline(always)]
            fn widen(values: &[Self], wide: &mut [Self]) {
                wide.copy_from_slice(values);
            }

            #[inline(always)]
            fn work_on(vector: &mut [Self], _room: &mut [Self], work: impl FnOnce(&mut [Self])) {
                work(vector);
            }
        }
    };
}

macro_rules! as_f32 {
    ($half:ty) => {
        impl Stored for $half {
            type Compute = f32;

            #[inline(always)]
            fn widen(values: &[Self], wide: &mut [f32]) {
                values.convert_to_f32_slice(wide);
            }

            #[inline(always)]
            fn work_on(vector: &mut [Self], room: &mut [f32], work: impl FnOnce(&mut [f32])) {
                vector.convert_to_f32_slice(room);
                work(room);
                vector.convert_from_f32_slice(room);
            }
        }
    };
}

as_it_is!(f32);
as_it_is!(f64);
as_f32!(f16);
as_f32!(bf16);
