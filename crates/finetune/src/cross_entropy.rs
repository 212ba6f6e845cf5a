//! The loss of a language model's head, without all of its logits.

use burn::tensor::{Int, Tensor};
use transformer_ops::{cross_entropy, linear};

/// A head that gives each class a logit: `z = W h`, `c tanh(z / c)` with a cap `c`.
#[derive(Clone, Debug)]
pub struct Head {
    /// `W [classes, d]`, as embeddings have it.
    pub table: Tensor<2>,
    /// Whether the table is trained, or was made from what is.
    pub trained: bool,
    /// The largest logit.
    pub cap: Option<f64>,
}

/// What a head says of vectors whose classes are known.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// The mean cross entropy, `[1]`, differentiable in the vectors and in a trained table.
    pub loss: Tensor<1>,
    /// How many of the likeliest classes are the right ones, `[1]`.
    pub correct: Tensor<1, Int>,
}

/// Logits that are in memory at a time.
const LOGITS: usize = 1 << 24;

impl Head {
    /// The mean cross entropy of vectors `[n, d]` whose classes are `[n]`, and how many are
    /// predicted.
    ///
    /// `n x classes` logits are never there at once: they are made for some vectors at a time,
    /// turned into derivatives, and dropped. With 50 thousand tokens and 1024 positions these are 64
    /// MiB instead of several times 200.
    ///
    /// # Panics
    ///
    /// If there is no vector, or if shapes do not fit.
    ///
    /// # Example
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use burn_goft_finetune::Head;
    ///
    /// let device = Device::flex();
    /// let table = Tensor::from_floats([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], &device);
    /// let head = Head { table, trained: false, cap: None };
    /// let vectors = Tensor::from_floats([[0.0, 2.0]], &device);
    /// let predicted = head.cross_entropy(vectors, Tensor::from_ints([1], &device));
    /// // -ln(e^2 / (1 + e^2 + 1))
    /// assert!((predicted.loss.into_scalar::<f32>() - 0.239_55).abs() < 1e-4);
    /// assert_eq!(predicted.correct.into_scalar::<i64>(), 1);
    /// ```
    pub fn cross_entropy(&self, vectors: Tensor<2>, classes: Tensor<1, Int>) -> Predicted {
        let [all, _] = self.table.dims();
        self.in_parts(vectors, classes, LOGITS / all.max(1))
    }

    fn in_parts(&self, vectors: Tensor<2>, classes: Tensor<1, Int>, rows: usize) -> Predicted {
        let [count, _] = vectors.dims();
        assert!(count > 0, "Head::cross_entropy: there is no vector");
        let rows = rows.clamp(1, count);
        let differentiated = vectors.device().is_autodiff();
        let plain = |tensor: &Tensor<2>| match tensor.device().is_autodiff() {
            true => tensor.clone().inner(),
            false => tensor.clone(),
        };
        let (h, w) = (plain(&vectors), plain(&self.table));
        let classes = match classes.device().is_autodiff() {
            true => classes.inner(),
            false => classes,
        };
        let mut sums: Option<(Tensor<1>, Tensor<1, Int>)> = None;
        let mut by_vector = Vec::new();
        let mut by_table: Option<Tensor<2>> = None;
        for start in (0..count).step_by(rows) {
            let length = rows.min(count - start);
            let h = h.clone().narrow(0, start, length);
            let classes = classes.clone().narrow(0, start, length);
            let products = linear(h.clone(), w.clone().transpose(), None);
            let found = cross_entropy(products, classes.clone(), self.cap);
            let loss = found.losses.sum();
            let correct = found.likeliest.equal(classes).int().sum();
            sums = Some(match sums {
                Some((losses, all)) => (losses + loss, all + correct),
                None => (loss, correct),
            });
            if !differentiated {
                continue;
            }
            let slope = found.slopes;
            if self.trained {
                let term = slope.clone().transpose().matmul(h);
                by_table = Some(match by_table {
                    Some(sum) => sum + term,
                    None => term,
                });
            }
            by_vector.push(linear(slope, w.clone(), None));
        }
        let (losses, correct) = sums.expect("there is a vector");
        // Of the mean.
        let share = 1.0 / count as f64;
        let loss = losses.mul_scalar(share);
        if !differentiated {
            return Predicted { loss, correct };
        }
        let mut linear = with_slope(vectors, Tensor::cat(by_vector, 0).mul_scalar(share));
        if let Some(slope) = by_table {
            linear = linear + with_slope(self.table.clone(), slope.mul_scalar(share));
        }
        // The value of the loss with the derivatives of what is linear in vectors and table.
        let rest = Tensor::from_inner(loss) - linear.clone().detach();
        Predicted {
            loss: linear + rest,
            correct,
        }
    }
}

/// A number whose derivative by a tensor is known.
fn with_slope(tensor: Tensor<2>, slope: Tensor<2>) -> Tensor<1> {
    (tensor * Tensor::from_inner(slope)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::activation::log_softmax;
    use burn::tensor::{DType, Device, TensorData};

    const COUNT: usize = 7;
    const CLASSES: [i64; COUNT] = [0, 4, 2, 2, 1, 3, 4];

    fn numbers(seed: f64, shape: [usize; 2], device: &Device) -> Tensor<2> {
        let count = shape[0] * shape[1];
        let values: Vec<f64> = (0..count).map(|i| (seed + 1.3 * i as f64).sin()).collect();
        let data = TensorData::new(values, shape);
        Tensor::from_data(data, (device, DType::F64)).require_grad()
    }

    fn values(tensor: Tensor<2>) -> Vec<f64> {
        tensor.into_data().iter().collect()
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    /// Against burn's own logits, with derivatives of a sum in which the loss has a factor.
    #[test]
    fn loss_and_derivatives_are_those_of_all_logits() {
        let device = Device::flex().autodiff();
        for (cap, rows) in [(None, 7), (Some(0.8), 7), (None, 3), (Some(0.8), 1)] {
            let (h, w) = (
                numbers(0.2, [COUNT, 3], &device),
                numbers(0.7, [5, 3], &device),
            );
            let classes = Tensor::from_data(CLASSES, &device);
            let head = Head {
                table: w.clone(),
                trained: true,
                cap,
            };
            let found = head.in_parts(h.clone(), classes.clone(), rows);

            let logits = h.clone().matmul(w.clone().transpose());
            let logits = match cap {
                Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
                None => logits,
            };
            let chosen = log_softmax(logits.clone(), 1).gather(1, classes.clone().unsqueeze_dim(1));
            let expected = chosen.mean().neg();
            let right = logits
                .argmax(1)
                .squeeze_dim::<1>(1)
                .equal(classes)
                .int()
                .sum();
            assert_eq!(
                found.correct.into_scalar::<i64>(),
                right.into_scalar::<i64>()
            );
            let value = |loss: &Tensor<1>| loss.clone().into_scalar::<f64>();
            assert_close(&[value(&found.loss)], &[value(&expected)]);

            let found = found.loss.mul_scalar(3.0).backward();
            let expected = expected.mul_scalar(3.0).backward();
            for tensor in [&h, &w] {
                let [found, expected] = [&found, &expected].map(|all| tensor.grad(all).unwrap());
                assert_close(&values(found), &values(expected));
            }
        }
    }

    #[test]
    fn a_frozen_table_has_no_derivative_and_without_autodiff_there_is_none() {
        let device = Device::flex().autodiff();
        let (h, w) = (
            numbers(0.2, [COUNT, 3], &device),
            numbers(0.7, [5, 3], &device),
        );
        let classes = || Tensor::from_data(CLASSES, &device);
        let head = Head {
            table: w.clone(),
            trained: false,
            cap: None,
        };
        let tracked = head.cross_entropy(h.clone(), classes());
        let gradients = tracked.loss.backward();
        assert!(w.grad(&gradients).is_none() && h.grad(&gradients).is_some());
        let head = Head {
            table: w.inner(),
            ..head
        };
        let plain = head.cross_entropy(h.inner(), classes().inner());
        let [tracked, plain] = [tracked.loss.inner(), plain.loss].map(|x| x.into_scalar::<f64>());
        assert_close(&[plain], &[tracked]);
    }
}
