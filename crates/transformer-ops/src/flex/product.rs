//! Products of many vectors and a matrix, by burn's own kernels, into fresh memory: burn's backend fills
//! the result with zeros first, and where the allocator gives it another alignment copies it.

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::DType;
use rayon::prelude::*;

use super::{PIECE, written};

/// A matrix `[k, m]` as it lies in memory.
pub(super) struct Matrix<'a> {
    /// From its first number to its last.
    values: &'a [f32],
    inputs: usize,
    outputs: usize,
    /// How far neighbors lie apart along the inputs, and along the outputs.
    strides: [usize; 2],
}

/// Multiplications that are worth more than one thread.
const ALONE: usize = 1 << 18;

impl<'a> Matrix<'a> {
    /// Of a tensor, or of its transpose, whose numbers lie forwards.
    pub(super) fn of(tensor: &'a FlexTensor, transposed: bool) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        let mut sizes = [tensor.shape()[0], tensor.shape()[1]];
        let &[rows, columns] = tensor.layout().strides() else {
            return None;
        };
        let mut strides = [usize::try_from(rows).ok()?, usize::try_from(columns).ok()?];
        if transposed {
            sizes.reverse();
            strides.reverse();
        }
        let [inputs, outputs] = sizes;
        if inputs == 0 || outputs == 0 {
            return None;
        }
        let start = tensor.layout().start_offset();
        let last = (inputs - 1) * strides[0] + (outputs - 1) * strides[1];
        Some(Self {
            values: tensor.storage::<f32>().get(start..=start + last)?,
            inputs,
            outputs,
            strides,
        })
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The products of vectors `[n, k]`, of which there is one at least, with a bias `[m]` on each.
    pub(super) fn times(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        assert!(
            !x.is_empty() && x.len().is_multiple_of(self.inputs),
            "{} numbers are no vectors of {}",
            x.len(),
            self.inputs
        );
        let rows = x.len() / self.inputs;
        let mut product = match bias {
            None => Vec::with_capacity(rows * self.outputs),
            Some(bias) => repeated(bias, rows, self.outputs),
        };
        // What is there already is kept as often.
        let (read, share) = match bias {
            None => (false, 0.0),
            Some(_) => (true, 1.0),
        };
        let threads = match rows * self.inputs * self.outputs < ALONE {
            true => gemm::Parallelism::None,
            false => gemm::Parallelism::Rayon(0),
        };
        #[expect(
            unsafe_code,
            reason = "the last numbers of both matrices lie inside their slices, as checked; every number of the result is written, \
                      since none of it is read but a bias that is there, and there is room for all of them"
        )]
        unsafe {
            gemm::gemm(
                rows,
                self.outputs,
                self.inputs,
                product.as_mut_ptr(),
                1,
                self.outputs as isize,
                read,
                x.as_ptr(),
                1,
                self.inputs as isize,
                self.values.as_ptr(),
                self.strides[1] as isize,
                self.strides[0] as isize,
                share,
                1.0,
                false,
                false,
                false,
                threads,
            );
            product.set_len(rows * self.outputs);
        }
        product
    }
}

/// A row, again and again.
fn repeated(row: &[f32], times: usize, width: usize) -> Vec<f32> {
    assert_eq!(row.len(), width, "a bias has a number for each output");
    written(times * width, |to| {
        let pieces = to.par_chunks_mut((PIECE / width).max(1) * width);
        pieces.for_each(|rows| {
            for to in rows.chunks_exact_mut(width) {
                to.write_copy_of_slice(row);
            }
        });
    })
}
