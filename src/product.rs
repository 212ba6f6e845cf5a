//! Matrix products in all digits of f32, on devices that multiply in fewer.
//!
//! Tensor cores take the factors of an f32 product in TF32, of 11 significant bits, and burn uses them by itself. That is right
//! for a layer, whose own product is no better, and not for what is made once and kept: blocks that are to be orthogonal, and
//! weights that are merged. Those go through three parts of each factor, of 8 bits each, which every such device multiplies
//! exactly and adds in f32.

use std::cell::Cell;

use burn::tensor::{DType, Device, Tensor};

thread_local! {
    static EXACTLY: Cell<bool> = const { Cell::new(false) };
}

/// Does this with every product of [`device_or_exact`] in all digits: for merges, whose way leads through burn.
pub(crate) fn exactly<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            EXACTLY.set(self.0);
        }
    }
    let _restore = Restore(EXACTLY.replace(true));
    work()
}

/// The device's own product; all digits within [`exactly`].
pub(crate) fn device_or_exact<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    if EXACTLY.get() {
        exact(a, b)
    } else {
        a.matmul(b)
    }
}

/// The product in all digits of its dtype. Its derivative is that of the device's own product.
pub(crate) fn exact<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    if !may_lose_digits(&a.device(), a.dtype()) {
        return a.matmul(b);
    }
    with_derivative_of(Tensor::matmul, a, b)
}

/// The product in all digits, with the derivative of another one.
fn with_derivative_of<const D: usize>(
    product: impl Fn(Tensor<D>, Tensor<D>) -> Tensor<D>,
    a: Tensor<D>,
    b: Tensor<D>,
) -> Tensor<D> {
    let all = in_parts(a.clone().detach(), b.clone().detach());
    if !a.device().is_autodiff() && !b.device().is_autodiff() {
        return all;
    }
    let own = product(a, b);
    let missing = all - own.clone().detach();
    own + missing
}

/// Whether the device may multiply this dtype in fewer digits than it has, and can split it: a CPU does not, and without bf16
/// there are no such tensor cores.
fn may_lose_digits(device: &Device, dtype: DType) -> bool {
    let device = device.clone().without_autodiff();
    match device.as_dispatch() {
        #[cfg(feature = "flex")]
        burn::backend::DispatchDevice::Flex(_) => false,
        #[cfg(feature = "ndarray")]
        burn::backend::DispatchDevice::NdArray(_) => false,
        _ => dtype == DType::F32 && device.supports_dtype(DType::BF16),
    }
}

/// `a b` as one product along six times as many numbers: of all pairs of parts but those below the last digit of f32,
/// the smallest first.
fn in_parts<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    const PAIRS: [(usize, usize); 6] = [(0, 2), (2, 0), (1, 1), (0, 1), (1, 0), (0, 0)];
    let (a, b) = (parts(a), parts(b));
    let of_a = PAIRS.map(|(part, _)| a[part].clone());
    let of_b = PAIRS.map(|(_, part)| b[part].clone());
    Tensor::cat(of_a.to_vec(), D - 1).matmul(Tensor::cat(of_b.to_vec(), D - 2))
}

/// Three numbers of 8 significant bits, which add up to the one of 24.
fn parts<const D: usize>(number: Tensor<D>) -> [Tensor<D>; 3] {
    let top = |x: &Tensor<D>| x.clone().cast(DType::BF16).cast(DType::F32);
    let high = top(&number);
    let rest = number - high.clone();
    let middle = top(&rest);
    let low = rest - middle.clone();
    [high, middle, low]
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter().collect()
    }

    fn tensor(seed: f32, shape: [usize; 2]) -> Tensor<2> {
        let numbers = (0..shape[0] * shape[1])
            .map(|k| (seed + k as f32 * 0.7).sin() * (k as f32 * 0.3).exp2().rem_euclid(1e4));
        let data = TensorData::new(numbers.collect::<Vec<f32>>(), shape);
        Tensor::from_data(data, &Device::flex())
    }

    /// To the 11 significant bits of TF32.
    fn tf32(x: f32) -> f32 {
        f32::from_bits((x.to_bits() + 0x1000) & !0x1fff)
    }

    #[test]
    fn parts_add_up_and_lose_nothing_on_tensor_cores() {
        let x = tensor(0.2, [13, 17]);
        let split = parts(x.clone()).map(numbers);
        for (k, x) in numbers(x).into_iter().enumerate() {
            let parts = split.each_ref().map(|part| part[k]);
            assert_eq!(parts.map(tf32), parts, "{x}");
            assert_eq!(
                parts.iter().map(|part| f64::from(*part)).sum::<f64>(),
                f64::from(x)
            );
        }
    }

    #[test]
    fn a_product_in_parts_has_all_digits() {
        let (a, b) = (tensor(0.4, [7, 40]), tensor(0.9, [40, 5]));
        let [left, right] = [&a, &b].map(|x| numbers(x.clone()));
        let found = numbers(in_parts(a, b));
        for (at, found) in found.into_iter().enumerate() {
            let terms = (0..40)
                .map(|k| f64::from(left[at / 5 * 40 + k]) * f64::from(right[k * 5 + at % 5]));
            let (sum, size) = terms.fold((0.0, 0.0f64), |(sum, size), term| {
                (sum + term, size + term.abs())
            });
            assert!(
                (f64::from(found) - sum).abs() <= 4.0 * f64::from(f32::EPSILON) * size,
                "{found} {sum} {size}"
            );
        }
    }

    #[cfg(feature = "autodiff")]
    #[test]
    fn its_value_has_all_digits_and_its_derivative_is_the_products_own() {
        fn law<const D: usize>(a: [usize; D], b: [usize; D]) {
            let on = |seed, shape: [usize; D]| {
                let numbers = tensor(seed, [shape.iter().product(), 1]);
                let tracked =
                    Tensor::<2>::from_data(numbers.into_data(), &Device::flex().autodiff());
                tracked.reshape(shape).detach().require_grad()
            };
            let (a, b) = (on(0.3, a), on(0.8, b));
            // One that is wrong by more than rounding, and twice as steep.
            let wrong = |a: Tensor<D>, b: Tensor<D>| a.matmul(b).mul_scalar(2.0);
            let found = with_derivative_of(wrong, a.clone(), b.clone());
            let expected = a.clone().matmul(b.clone());
            let values = [&found, &expected].map(|y| numbers(y.clone()));
            let size = values[1].iter().fold(0.0f32, |size, y| size.max(y.abs()));
            for (found, expected) in values[0].iter().zip(&values[1]) {
                assert!(
                    (found - expected).abs() <= 1e-5 * size,
                    "{found} {expected}"
                );
            }
            let [found, expected] = [found, expected].map(|y| {
                let gradients = y.sum().backward();
                [&a, &b].map(|x| numbers(x.grad(&gradients).unwrap()))
            });
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                let allowed = 1e-5 * expected.abs().max(1.0);
                assert!(
                    (found - 2.0 * expected).abs() <= allowed,
                    "{found} {expected}"
                );
            }
        }
        law([5, 7], [7, 3]);
        law([2, 5, 7], [2, 7, 3]);
        // One matrix for all.
        law([1, 2, 4, 4], [3, 2, 4, 5]);
    }

    #[test]
    fn the_scope_ends_with_the_work_even_if_it_panics() {
        assert!(!EXACTLY.get());
        exactly(|| exactly(|| assert!(EXACTLY.get())));
        assert!(!EXACTLY.get());
        let _ = std::panic::catch_unwind(|| exactly(|| panic!("in the middle")));
        assert!(!EXACTLY.get());
    }
}
