//! Numbers of a file as `f32`, and back with one rounding.

use half::{bf16, f16};
use safetensors::tensor::Dtype;

/// The numbers of f32, f16 or bf16 bytes, exactly; none for other dtypes.
///
/// # Panics
///
/// If the bytes are no whole number of numbers.
pub fn decode(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    match dtype {
        Dtype::F32 => Some(each(bytes, f32::from_le_bytes)),
        Dtype::F16 => Some(each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32())),
        Dtype::BF16 => Some(each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32())),
        _ => None,
    }
}

/// The bytes of numbers, each rounded to the nearest that the dtype has, and what that cost; none
/// for other dtypes than f32, f16 and bf16.
///
/// ```
/// use hf_folder::{Dtype, floats};
///
/// let (bytes, rounding) = floats::encode(Dtype::BF16, &[1.0, 1.001]).unwrap();
/// assert_eq!(floats::decode(Dtype::BF16, &bytes).unwrap(), [1.0, 1.0]);
/// assert!((rounding.largest - 0.001).abs() < 1e-6);
/// assert_eq!(rounding.overflows, 0);
/// ```
pub fn encode(dtype: Dtype, values: &[f32]) -> Option<(Vec<u8>, Rounding)> {
    let bytes: Vec<u8> = match dtype {
        Dtype::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dtype::F16 => values
            .iter()
            .flat_map(|x| f16::from_f32(*x).to_le_bytes())
            .collect(),
        Dtype::BF16 => values
            .iter()
            .flat_map(|x| bf16::from_f32(*x).to_le_bytes())
            .collect(),
        _ => return None,
    };
    let stored = decode(dtype, &bytes)?;
    let rounding = Rounding::of(values, &stored);
    Some((bytes, rounding))
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    assert!(
        bytes.len().is_multiple_of(N),
        "floats::decode: {} bytes are no whole number of numbers of {N} bytes",
        bytes.len()
    );
    let numbers = bytes.chunks_exact(N);
    numbers
        .map(|bytes| number(bytes.try_into().expect("a chunk")))
        .collect()
}

/// What storing numbers in a dtype cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rounding {
    /// `|| stored - value || / || value ||` over all numbers; 0 if all are zero.
    pub relative: f64,
    /// The largest difference of a number.
    pub largest: f64,
    /// Finite numbers that the dtype holds as infinity.
    pub overflows: usize,
}

impl Rounding {
    fn of(values: &[f32], stored: &[f32]) -> Self {
        let (mut squares, mut lost, mut largest, mut overflows) = (0.0, 0.0, 0.0f64, 0);
        for (value, stored) in values.iter().zip(stored) {
            if value.is_finite() && !stored.is_finite() {
                overflows += 1;
                continue;
            }
            let (value, stored) = (f64::from(*value), f64::from(*stored));
            let difference = (value - stored).abs();
            squares += value * value;
            lost += difference * difference;
            largest = largest.max(difference);
        }
        let relative = if squares > 0.0 {
            (lost / squares).sqrt()
        } else {
            0.0
        };
        Self {
            relative,
            largest,
            overflows,
        }
    }
}
