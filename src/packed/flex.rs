//! burn's CPU backend, in f32: the weight is unpacked in panels that stay in a cache, and for a few
//! vectors it is multiplied as it is.
#![expect(
    clippy::extra_unused_type_parameters,
    reason = "`S` is the instruction set that `with_simd` compiles a body for; the compiler vectorizes plain loops with it"
)]

use burn::backend::flex::{FlexQTensor, FlexTensor, Layout};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, QuantizedTensor};
use burn::backend::{Bytes, Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use rayon::prelude::*;

use super::PackedOps;
use super::ops::portable;

/// Numbers of a weight that are dense at a time: 4 MiB.
const PANEL: usize = 1 << 20;

/// So many vectors make it worth unpacking a weight before it is multiplied.
const MANY: usize = 8;

/// Numbers of the weight that a thread reads at a time for a few vectors.
const PIECE: usize = 1 << 17;

/// Sums of rows that are in memory at a time, at the most.
const PARTS: usize = 16;

/// Rows that are read together, so that sums are written once for them.
const ROWS: usize = 4;

impl PackedOps for Flex {
    fn packed_product(
        x: FloatTensor<Self>,
        weight: QuantizedTensor<Self>,
        transposed: bool,
    ) -> FloatTensor<Self> {
        let known = x.dtype() == DType::F32;
        match Packed::of(&weight).filter(|_| known) {
            Some(packed) if transposed => packed.transposed_product(x),
            Some(packed) if x.shape()[0] < MANY => packed.few(&x.to_contiguous()),
            Some(packed) => packed.product(x),
            None => portable::<Self>(x, weight, transposed),
        }
    }
}

/// A weight `[rows, columns]` with a scale for each block of values.
struct Packed<'a> {
    values: &'a [i8],
    scales: &'a [f32],
    rows: usize,
    columns: usize,
    /// Rows and columns of a block.
    block: [usize; 2],
}

impl<'a> Packed<'a> {
    /// None for scales of scales, and for weights that do not lie row by row.
    fn of(weight: &'a FlexQTensor) -> Option<Self> {
        let DType::QFloat(scheme) = weight.dtype() else {
            return None;
        };
        let shape = weight.shape();
        let (rows, columns) = (shape[0], shape[1]);
        let block = match (scheme.block_size(), scheme.tensor_scale()) {
            (Some(block), None) => {
                let sizes = block.to_dim_vec(2);
                [usize::from(sizes[0]), usize::from(sizes[1])]
            }
            (None, Some(_)) => [rows, columns],
            _ => return None,
        };
        let whole = rows % block[0] == 0 && columns % block[1] == 0;
        let packed = Self {
            values: weight.tensor().as_slice()?,
            scales: weight.scales(),
            rows,
            columns,
            block,
        };
        (whole && packed.values.len() == rows * columns).then_some(packed)
    }

    /// The scales of a row, block by block.
    fn scales_of(&self, row: usize) -> &'a [f32] {
        let [rows, columns] = self.block;
        let blocks = self.columns / columns;
        &self.scales[row / rows * blocks..][..blocks]
    }

    /// Values of some columns of a row with their scales, in runs that share one.
    fn runs(
        &self,
        row: usize,
        from: usize,
        to: usize,
    ) -> impl Iterator<Item = (usize, f32, &'a [i8])> {
        let width = self.block[1];
        let scales = self.scales_of(row);
        let mut column = from;
        std::iter::from_fn(move || {
            (column < to).then(|| {
                let start = column;
                column = ((start / width + 1) * width).min(to);
                let values = &self.values[row * self.columns..];
                (start - from, scales[start / width], &values[start..column])
            })
        })
    }

    /// The dense numbers of some rows and columns.
    fn panel(&self, rows: [usize; 2], columns: [usize; 2]) -> FlexTensor {
        let width = columns[1] - columns[0];
        let mut dense = vec![0.0; (rows[1] - rows[0]) * width];
        // Some rows a thread.
        let some = ((1 << 14) / width).max(1);
        let parts = dense.par_chunks_mut(some * width).enumerate();
        parts.for_each(|(part, dense)| unpack(self, dense, rows[0] + part * some, columns));
        tensor(dense, [rows[1] - rows[0], width])
    }

    /// `x W`, some columns of `W` at a time.
    fn product(&self, x: FlexTensor) -> FlexTensor {
        let width = (PANEL / self.rows).max(MANY).min(self.columns);
        if width == self.columns {
            return Flex::float_matmul(x, self.panel([0, self.rows], [0, self.columns]));
        }
        let parts = (0..self.columns).step_by(width).map(|from| {
            let to = (from + width).min(self.columns);
            let panel = self.panel([0, self.rows], [from, to]);
            (from, to, Flex::float_matmul(x.clone(), panel))
        });
        beside(parts, x.shape()[0], self.columns)
    }

    /// `x W^T`, some rows of `W` at a time.
    fn transposed_product(&self, x: FlexTensor) -> FlexTensor {
        let height = (PANEL / self.columns).max(MANY).min(self.rows);
        let part = |from: usize| {
            let to = (from + height).min(self.rows);
            let panel = self.panel([from, to], [0, self.columns]);
            let part = Flex::float_matmul(x.clone(), Flex::float_swap_dims(panel, 0, 1));
            (from, to, part)
        };
        if height == self.rows {
            return part(0).2;
        }
        let parts = (0..self.rows).step_by(height).map(part);
        beside(parts, x.shape()[0], self.rows)
    }

    /// `x W` for a few vectors, each packed value read once: some rows a thread, which are one piece of
    /// memory, and their sums added up in order.
    fn few(&self, x: &FlexTensor) -> FlexTensor {
        let vectors = x.shape()[0];
        let values: &[f32] = x.as_slice().expect("made contiguous before");
        let rows = (PIECE / self.columns).max(self.rows.div_ceil(PARTS));
        let rows = rows.next_multiple_of(ROWS).max(ROWS);
        let parts: Vec<Vec<f32>> = (0..self.rows.div_ceil(rows))
            .into_par_iter()
            .map(|part| {
                let first = part * rows;
                let last = (first + rows).min(self.rows);
                let mut sums = vec![0.0; vectors * self.columns];
                multiply(self, &mut sums, values, [first, last]);
                sums
            })
            .collect();
        let mut product = vec![0.0; vectors * self.columns];
        for part in parts {
            for (sum, part) in product.iter_mut().zip(part) {
                *sum += part;
            }
        }
        tensor(product, [vectors, self.columns])
    }
}

/// Results of some columns each, as one.
fn beside(
    parts: impl Iterator<Item = (usize, usize, FlexTensor)>,
    rows: usize,
    columns: usize,
) -> FlexTensor {
    let mut whole = vec![0.0; rows * columns];
    for (from, to, part) in parts {
        let part = part.to_contiguous();
        let part: &[f32] = part.as_slice().expect("made contiguous before");
        let rows = whole.chunks_exact_mut(columns);
        for (row, part) in rows.zip(part.chunks_exact(to - from)) {
            row[from..to].copy_from_slice(part);
        }
    }
    tensor(whole, [rows, columns])
}

fn tensor(values: Vec<f32>, shape: [usize; 2]) -> FlexTensor {
    let layout = Layout::contiguous(Shape::from(shape));
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}

/// Rows from this one on, some columns of each.
#[macerator::with_simd]
fn unpack<'a, S: macerator::Simd>(
    packed: &Packed<'a>,
    dense: &mut [f32],
    from_row: usize,
    columns: [usize; 2],
) {
    let [from, to] = columns;
    let rows = dense.chunks_exact_mut(to - from);
    for (row, dense) in (from_row..).zip(rows) {
        for (start, scale, values) in packed.runs(row, from, to) {
            for (dense, value) in dense[start..].iter_mut().zip(values) {
                *dense = scale * f32::from(*value);
            }
        }
    }
}

/// Adds to `sums [n, columns]` the products of `x [n, rows]` with some rows.
#[macerator::with_simd]
fn multiply<'a, S: macerator::Simd>(
    packed: &Packed<'a>,
    sums: &mut [f32],
    x: &[f32],
    rows: [usize; 2],
) {
    let columns = packed.columns;
    let width = packed.block[1];
    for row in (rows[0]..rows[1]).step_by(ROWS) {
        let some = (rows[1] - row).min(ROWS);
        // What is beyond the last row is multiplied by nothing.
        let place = |n: usize| row + n.min(some - 1);
        let lines: [&[i8]; ROWS] =
            std::array::from_fn(|n| &packed.values[place(n) * columns..][..columns]);
        let scales: [&[f32]; ROWS] = std::array::from_fn(|n| packed.scales_of(place(n)));
        let vectors = sums.chunks_exact_mut(columns);
        for (sums, x) in vectors.zip(x.chunks_exact(packed.rows)) {
            let factors: [f32; ROWS] =
                std::array::from_fn(|n| if n < some { x[row + n] } else { 0.0 });
            for (block, sums) in sums.chunks_exact_mut(width).enumerate() {
                let factors = std::array::from_fn(|n| factors[n] * scales[n][block]);
                let values = lines.map(|line| &line[block * width..][..width]);
                match <&mut [f32; USUAL]>::try_from(&mut *sums) {
                    Ok(sums) => add(sums, factors, values.map(usual)),
                    Err(_) => add(sums, factors, values),
                }
            }
        }
    }
}

/// Columns of the usual block, whose loops the compiler unrolls.
const USUAL: usize = 32;

fn usual(values: &[i8]) -> &[i8; USUAL] {
    values.try_into().expect("as many as there are sums")
}

/// Adds four rows with their factors.
#[inline(always)]
fn add<T: AsRef<[i8]> + ?Sized>(
    sums: &mut (impl AsMut<[f32]> + ?Sized),
    factors: [f32; ROWS],
    rows: [&T; ROWS],
) {
    let sums = sums.as_mut();
    let [p, q, r, s] = factors;
    let [a, b, c, d] = rows.map(|row| &row.as_ref()[..sums.len()]);
    for i in 0..sums.len() {
        sums[i] += (p * f32::from(a[i]) + q * f32::from(b[i]))
            + (r * f32::from(c[i]) + s * f32::from(d[i]));
    }
}
