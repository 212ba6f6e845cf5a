//! What a file knows of the values it was trained on: enough to tell how far others are away.
//!
//! Every value is added, with a sign of its own, to one of a few sums; signs and sums are drawn
//! from its number. By how much the sums of two tensors differ tells the norm of their difference,
//! within some tens of percent: a count sketch (Charikar et al. 2002). So a weight in another
//! precision is the same base, and another weight is not.
//!
//! A rotation may move a weight by less than packing does. So where weights differ at all, it is
//! also asked which is nearer to the base: they as they are, or with the adapter taken out.

use burn::tensor::{DType, Tensor};

/// Number of sums.
const SUMS: usize = 8;

/// The sketch of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fingerprint {
    sums: [f32; SUMS],
    norm: f32,
    /// What rounding to the dtype can change, as a share of the norm.
    rounding: f32,
}

impl Fingerprint {
    /// The sketch of values in a row that are stored in `dtype`.
    pub(crate) fn new(values: Tensor<1>, dtype: DType) -> Self {
        let data = values.into_data();
        let (mut sums, mut squares) = ([0.0f64; SUMS], 0.0);
        for (index, value) in data.iter::<f64>().enumerate() {
            let draw = mix(index as u64);
            let signed = if draw & 1 == 0 { value } else { -value };
            sums[(draw >> 1) as usize % SUMS] += signed;
            squares += value * value;
        }
        Self {
            sums: sums.map(|sum| sum as f32),
            norm: squares.sqrt() as f32,
            rounding: rounding(dtype),
        }
    }

    /// How far another tensor is away as a share of this one's norm, and how far rounding alone can
    /// have taken it.
    fn distance(&self, other: &Self) -> (f64, f64) {
        let squares = self.sums.iter().zip(other.sums);
        let squares = squares.map(|(a, b)| f64::from(a - b).powi(2));
        let size = f64::from(self.norm.max(other.norm));
        let distance = if size > 0.0 {
            squares.sum::<f64>().sqrt() / size
        } else {
            0.0
        };
        (distance, f64::from(self.rounding.max(other.rounding)))
    }

    /// The distance, refused if rounding does not explain it.
    pub(super) fn near(&self, other: &Self) -> Result<f64, TooFar> {
        let (difference, allowed) = self.distance(other);
        // NaN is another base too.
        if difference <= allowed {
            Ok(difference)
        } else {
            Err(TooFar {
                difference,
                allowed,
            })
        }
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.norm.is_finite() && self.sums.iter().all(|sum| sum.is_finite())
    }

    /// The bits in hexadecimal digits.
    pub(crate) fn to_text(&self) -> String {
        let numbers = self.sums.into_iter().chain([self.norm, self.rounding]);
        numbers
            .map(|number| format!("{:08x}", number.to_bits()))
            .collect()
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        if !text.is_ascii() || text.len() != 8 * (SUMS + 2) {
            return None;
        }
        let number = |index: usize| {
            let digits = &text[8 * index..8 * (index + 1)];
            u32::from_str_radix(digits, 16).ok().map(f32::from_bits)
        };
        let mut sums = [0.0; SUMS];
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum = number(index)?;
        }
        let found = Self {
            sums,
            norm: number(SUMS)?,
            rounding: number(SUMS + 1)?,
        };
        found.is_finite().then_some(found)
    }
}

/// How far a tensor is away, and how far it may be.
pub(super) struct TooFar {
    pub(super) difference: f64,
    pub(super) allowed: f64,
}

/// Distances of the weights of a model from a file's base, in two ways.
#[derive(Default)]
pub(super) struct Nearer {
    as_they_are: f64,
    taken_out: f64,
}

impl Nearer {
    /// Sketches tell distances within some tens of percent, so a square must be this many times the
    /// other.
    const CLEARLY: f64 = 3.0;

    pub(super) fn add(&mut self, as_it_is: f64, taken_out: f64) {
        self.as_they_are += as_it_is.powi(2);
        self.taken_out += taken_out.powi(2);
    }

    /// Whether the weights have the adapter in them.
    pub(super) fn merged(&self) -> bool {
        self.as_they_are > Self::CLEARLY * self.taken_out
    }

    /// Whether the weights never had it in them.
    pub(super) fn never_merged(&self) -> bool {
        self.taken_out > Self::CLEARLY * self.as_they_are
    }
}

/// The share of its norm by which a tensor may differ and still be the same base: some times the
/// rounding of its dtype, and of a merge undone.
fn rounding(dtype: DType) -> f32 {
    match dtype {
        DType::F64 | DType::F32 | DType::Flex32 => 1e-3,
        DType::F16 => 3e-3,
        DType::BF16 => 1e-2,
        // Eight bits cost about a percent, four about a tenth.
        DType::QFloat(scheme) if scheme.size_bits_value() >= 8 => 5e-2,
        _ => 4e-1,
    }
}

/// The finalizer of SplitMix64: all bits of the number in all bits of the result.
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use rand_distr::StandardNormal;

    use super::*;

    fn sketch(values: &[f64], dtype: DType) -> Fingerprint {
        let values = Tensor::<1>::from_data(values, (&Device::flex(), DType::F64));
        Fingerprint::new(values, dtype)
    }

    fn norm(values: &[f64]) -> f64 {
        values.iter().map(|value| value * value).sum::<f64>().sqrt()
    }

    /// The sketched distance of two tensors as a share of the true one, for a change made of the
    /// numbers of a normal distribution.
    fn share(rng: &mut StdRng, size: f64, change: impl Fn(f64) -> f64) -> f64 {
        let mut random = || -> Vec<f64> { (0..5000).map(|_| rng.sample(StandardNormal)).collect() };
        let base = random();
        let change: Vec<f64> = random().into_iter().map(|x| size * change(x)).collect();
        let other: Vec<f64> = base.iter().zip(&change).map(|(x, y)| x + y).collect();
        let known = norm(&change) / norm(&base).max(norm(&other));
        let [base, other] = [base, other].map(|x| sketch(&x, DType::F32));
        base.distance(&other).0 / known
    }

    /// Usual shares. Their squares follow chi-square with a degree of freedom for each sum, of which
    /// one in 50 000 is outside.
    const USUAL: std::ops::Range<f64> = 0.17..2.2;

    #[test]
    fn distances_are_those_of_the_tensors() {
        let mut rng = StdRng::seed_from_u64(1);
        for size in [1e-3, 1e-2, 0.1, 1.0] {
            let shares: Vec<f64> = (0..40).map(|_| share(&mut rng, size, |x| x)).collect();
            let mean = shares.iter().map(|x| x * x).sum::<f64>() / shares.len() as f64;
            assert!((mean - 1.0).abs() < 0.25, "{size}: {mean}");
            assert!(
                shares.iter().all(|x| USUAL.contains(x)),
                "{size}: {shares:?}"
            );
            // Sums without signs would add it up.
            let one_sign = share(&mut rng, size, f64::abs);
            assert!(USUAL.contains(&one_sign), "{size}: {one_sign}");
        }
    }

    #[test]
    fn the_text_gives_the_fingerprint_back() {
        let values: Vec<f64> = (0..77).map(|x| f64::from(x).sin()).collect();
        let found = sketch(&values, DType::BF16);
        assert_eq!(
            Fingerprint::from_text(&found.to_text()),
            Some(found.clone())
        );
        assert_eq!(Fingerprint::from_text(&found.to_text()[1..]), None);
    }
}
