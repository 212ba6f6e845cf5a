//! Functions of a number in operations that the compiler turns into those of vectors: no branch, no
//! call, no conversion beyond 32 bits.

/// What is added and taken off again to round to a whole number.
const ROUND: f32 = 12_582_912.0;

/// `e^x`, to 2.5e-7 of its value; 0 below -87.3, and no more than `e^88`. NaN stays.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let within = x.clamp(-87.3, 88.0);
    let rounded = within * std::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    // The logarithm of 2 in two parts, the first with zeros at its end: the difference is exact.
    let rest = (within - whole * 0.693_359_4) - whole * -2.121_944_4e-4;
    let square = rest * rest;
    let mut series = 1.987_569_2e-4;
    series = series * rest + 1.398_199_9e-3;
    series = series * rest + 8.333_452e-3;
    series = series * rest + 4.166_579_6e-2;
    series = series * rest + 1.666_666_5e-1;
    series = series * rest + 0.5;
    let value = series * square + rest + 1.0;
    // The last bits of `rounded` are the whole number.
    let power = rounded
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127)
        << 23;
    let value = value * f32::from_bits(power);
    if x < -87.3 { 0.0 } else { value }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `tanh x`, to 2e-7.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// The error function, to 4e-7: a quotient of polynomials on -4 to 4, beyond which it is 1 in f32.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let mut upper = -2.726_142e-10;
    upper = upper * square + 2.770_681_3e-8;
    upper = upper * square + -2.101_024e-6;
    upper = upper * square + -5.692_506_5e-5;
    upper = upper * square + -7.349_906_5e-4;
    upper = upper * square + -2.954_600_1e-3;
    upper = upper * square + -1.609_603_3e-2;
    let mut lower = -1.456_607_2e-5;
    lower = lower * square + -2.133_740_6e-4;
    lower = lower * square + -1.682_827e-3;
    lower = lower * square + -7.373_329_2e-3;
    lower = lower * square + -1.426_473_9e-2;
    x * upper / lower
}

/// Sums in as many accumulators as a vector has places, which the order of a plain sum forbids.
#[inline(always)]
pub(super) fn sum(count: usize, of: impl Fn(usize) -> f32) -> f32 {
    const LANES: usize = 32;
    let mut sums = [0.0f32; LANES];
    let whole = count / LANES * LANES;
    let mut index = 0;
    while index < whole {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += of(index + lane);
        }
        index += LANES;
    }
    let rest: f32 = (whole..count).map(of).sum();
    sums.iter().sum::<f32>() + rest
}

/// The largest, NaN left out.
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    const LANES: usize = 32;
    let mut best = [f32::NEG_INFINITY; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (best, value) in best.iter_mut().zip(chunk) {
            *best = if *value > *best { *value } else { *best };
        }
    }
    let rest = chunks.remainder().iter();
    best.iter()
        .chain(rest)
        .copied()
        .fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep() -> impl Iterator<Item = f32> {
        (-120_000..=120_000).map(|step| step as f32 * 1e-3)
    }

    #[test]
    fn exponentials_are_right_to_their_last_digits() {
        for x in sweep().filter(|x| (-87.2..88.0).contains(x)) {
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 2.5e-7, "exp({x}): {} for {expected}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!([exp(-1e30), exp(f32::NEG_INFINITY), exp(-88.0)], [0.0; 3]);
        assert!(exp(f32::INFINITY) > 1e38 && exp(f32::NAN).is_nan());
    }

    /// Against the series of the error function and its continued fraction.
    fn erf_in_f64(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            let n = f64::from(n);
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        2.0 / std::f64::consts::PI.sqrt() * sum
    }

    #[test]
    fn sigmoid_tanh_and_erf_are_right_to_4e_7() {
        for x in sweep() {
            let wide = f64::from(x);
            let close = |found: f32, expected: f64, name: &str| {
                let error = (f64::from(found) - expected).abs();
                assert!(error < 4e-7, "{name}({x}): {found} for {expected}");
            };
            close(sigmoid(x), 1.0 / (1.0 + (-wide).exp()), "sigmoid");
            close(tanh(x), wide.tanh(), "tanh");
            if x.abs() < 4.5 {
                close(erf(x), erf_in_f64(wide), "erf");
            } else {
                close(erf(x), wide.signum(), "erf");
            }
        }
        assert!(erf(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_largest_take_every_number() {
        for count in [0, 1, 31, 32, 33, 100] {
            let values: Vec<f32> = (0..count).map(|n| (n * 7 % 13) as f32).collect();
            assert_eq!(sum(count, |n| values[n]), values.iter().sum::<f32>());
            let expected = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(largest(&values), expected);
        }
    }
}
