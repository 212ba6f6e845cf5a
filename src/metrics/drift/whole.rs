//! Matrices as a device gave them, of which most metrics need every entry once.

use burn::tensor::{DType, Tensor};

use super::held::Held;
use super::host::{Host, PLAIN, norm, not_finite, sum_of_squares};
use crate::error::Error;

/// A matrix as the device gave it: reading is the device's, and the rest can be done by any thread.
pub(super) struct Raw {
    data: Option<Held>,
    pub(super) shape: [usize; 2],
}

impl Raw {
    pub(super) fn read(tensor: Tensor<2>) -> Self {
        let shape = tensor.dims();
        let tensor = match tensor.dtype() {
            DType::QFloat(_) => tensor.dequantize(),
            _ => tensor,
        };
        let data = (shape[0] * shape[1] > 0).then(|| Held::of(tensor));
        Self { data, shape }
    }

    /// Whatever the values are.
    pub(super) fn whole(self) -> Whole {
        let [rows, columns] = self.shape;
        let values = match self.data {
            None => Values::Wide(Vec::new()),
            Some(data) if data.single().is_some() => Values::Single(data),
            Some(data) => Values::Wide(data.wide()),
        };
        Whole {
            values,
            rows,
            columns,
        }
    }

    pub(super) fn finite(self, side: &str) -> Result<Whole, Error> {
        let whole = self.whole();
        match whole.broken() {
            0 => Ok(whole),
            count => Err(not_finite(side, count)),
        }
    }
}

/// A matrix row by row. Single precision, the usual case, is kept and widened where it is used: half of the bytes to write and read.
pub(super) struct Whole {
    values: Values,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

enum Values {
    /// Of f32 numbers.
    Single(Held),
    Wide(Vec<f64>),
}

enum Slice<'a> {
    Single(&'a [f32]),
    Wide(&'a [f64]),
}

impl Whole {
    fn slice(&self) -> Slice<'_> {
        match &self.values {
            Values::Single(data) => Slice::Single(data.single().expect("f32 when it was read")),
            Values::Wide(values) => Slice::Wide(values),
        }
    }

    /// How many entries are not finite.
    fn broken(&self) -> usize {
        match self.slice() {
            Slice::Single(values) => values.iter().filter(|v| !v.is_finite()).count(),
            Slice::Wide(values) => values.iter().filter(|v| !v.is_finite()).count(),
        }
    }

    /// A row in f64, in the buffer if it has to be widened.
    fn row<'a>(&'a self, index: usize, buffer: &'a mut Vec<f64>) -> &'a [f64] {
        let range = index * self.columns..(index + 1) * self.columns;
        match self.slice() {
            Slice::Wide(values) => &values[range],
            Slice::Single(values) => {
                buffer.clear();
                buffer.extend(values[range].iter().copied().map(f64::from));
                buffer
            }
        }
    }

    pub(super) fn each_row(&self, mut see: impl FnMut(&[f64])) {
        let mut buffer = Vec::new();
        (0..self.rows).for_each(|index| see(self.row(index, &mut buffer)));
    }

    /// These rows.
    pub(super) fn pick_rows(&self, indices: &[usize]) -> Host {
        let mut buffer = Vec::new();
        let mut values = Vec::with_capacity(indices.len() * self.columns);
        for index in indices {
            values.extend_from_slice(self.row(*index, &mut buffer));
        }
        Host::new(values, indices.len(), self.columns)
    }

    /// These columns, as rows: of a weight, neurons.
    pub(super) fn pick_columns(&self, indices: &[usize]) -> Host {
        let mut values = vec![0.0; indices.len() * self.rows];
        let slice = self.slice();
        for row in 0..self.rows {
            for (place, column) in indices.iter().enumerate() {
                let at = row * self.columns + column;
                values[place * self.rows + row] = match slice {
                    Slice::Single(values) => f64::from(values[at]),
                    Slice::Wide(values) => values[at],
                };
            }
        }
        Host::new(values, indices.len(), self.rows)
    }

    pub(super) fn transposed(&self) -> Host {
        self.pick_columns(&Vec::from_iter(0..self.columns))
    }

    pub(super) fn host(&self) -> Host {
        self.pick_rows(&Vec::from_iter(0..self.rows))
    }

    pub(super) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Of a column, also where a square overflows or vanishes.
    fn column_norm(&self, column: usize, squares: f64) -> f64 {
        match PLAIN.contains(&squares) {
            true => squares.sqrt(),
            false => norm(self.pick_columns(&[column]).row(0)),
        }
    }
}

/// Rows of two matrices of one shape.
pub(super) fn each_pair(before: &Whole, after: &Whole, mut see: impl FnMut(&[f64], &[f64])) {
    let (mut of_before, mut of_after) = (Vec::new(), Vec::new());
    for index in 0..before.rows {
        see(
            before.row(index, &mut of_before),
            after.row(index, &mut of_after),
        );
    }
}

/// The norms of all columns, of a weight neurons, before and after.
pub(super) fn column_norms(before: &Whole, after: &Whole) -> Vec<[f64; 2]> {
    let mut squares = [before, after].map(|whole| vec![0.0; whole.columns]);
    each_pair(before, after, |before, after| {
        for (sums, row) in squares.iter_mut().zip([before, after]) {
            sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v * v);
        }
    });
    let [of_before, of_after] = squares;
    let squares = of_before.into_iter().zip(of_after).enumerate();
    let norms = squares.map(|(column, (b, a))| {
        let norms = [(before, b), (after, a)];
        norms.map(|(whole, squares)| whole.column_norm(column, squares))
    });
    norms.collect()
}

/// `|| after - before ||_F / || before ||_F`, also where a square overflows or vanishes; nothing for a matrix of zeros.
pub(super) fn relative_distance(before: &Whole, after: &Whole) -> Option<f64> {
    let (mut size, mut moved, mut same) = (0.0, 0.0, true);
    each_pair(before, after, |before, after| {
        size += sum_of_squares(before, |_, v| v);
        let squares = sum_of_squares(after, |index, v| v - before[index]);
        moved += squares;
        same &= squares == 0.0 && before == after;
    });
    let size = match PLAIN.contains(&size) {
        true => size.sqrt(),
        false => before.host().norm(),
    };
    match PLAIN.contains(&moved) {
        _ if size == 0.0 => None,
        _ if same => Some(0.0),
        true => Some(moved.sqrt() / size),
        false => {
            let (before, after) = (before.host(), after.host());
            let pairs = after.values().iter().zip(before.values());
            let moved = pairs.map(|(after, before)| after / size - before / size);
            Some(norm(&Vec::from_iter(moved)))
        }
    }
}
