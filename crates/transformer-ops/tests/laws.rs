//! Every operation against loops over plain numbers, and its derivatives against differences of
//! them, on every device.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Distribution, Int, Tensor, TensorData};
use proptest::prelude::*;
use transformer_ops::{
    Activation, Attention, Spans, TransformerOps, activate, attention, cross_entropy, gated,
    layer_norm, linear, rms_norm, rotate_positions,
};

/// A device, a dtype and what its values are right to.
fn places() -> Vec<(&'static str, Device, DType, f64)> {
    #[allow(unused_mut, reason = "there is more with other features")]
    let mut places = vec![
        ("flex f32", Device::flex(), DType::F32, 3e-6),
        ("flex f64", Device::flex(), DType::F64, 1e-12),
        ("flex bf16", Device::flex(), DType::BF16, 3e-2),
    ];
    #[cfg(feature = "ndarray")]
    #[expect(deprecated, reason = "burn deprecates ndarray")]
    places.extend([
        ("ndarray f32", Device::ndarray(), DType::F32, 3e-6),
        ("ndarray f64", Device::ndarray(), DType::F64, 1e-12),
    ]);
    #[cfg(feature = "wgpu")]
    places.push((
        "wgpu f32",
        Device::wgpu(burn::tensor::DeviceKind::Cpu),
        DType::F32,
        2e-5,
    ));
    places
}

/// A tensor's shape and numbers.
#[derive(Clone, Debug)]
struct Numbers {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Numbers {
    /// Numbers that a seed says, about as large as a normal distribution's.
    fn new(shape: &[usize], seed: u64) -> Self {
        let count = shape.iter().product::<usize>();
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let values = (0..count).map(|_| {
            let mut sum = 0.0;
            for _ in 0..4 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                sum += (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
            }
            // Exact in bf16, so that every dtype begins with the same numbers.
            (sum * 1.7 * 32.0).round() / 32.0
        });
        Self {
            shape: shape.to_vec(),
            values: values.collect(),
        }
    }

    fn tensor<const D: usize>(&self, device: &Device, dtype: DType) -> Tensor<D> {
        let data = TensorData::new(self.values.clone(), self.shape.clone());
        Tensor::from_data(data.convert_dtype(dtype), (device, dtype))
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn assert_close(name: &str, found: &[f64], expected: &[f64], limit: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let size = expected
        .iter()
        .fold(1.0f64, |size, value| size.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= limit * size,
            "{name}, number {index}: {found} for {expected}"
        );
    }
}

/// Values and derivatives of an operation on tensors of rank `D` (parameters of rank 1 among them are
/// given as such) against a loop.
fn check<const N: usize>(
    name: &str,
    inputs: &[Numbers; N],
    on_tensors: &dyn Fn([Tensor<4>; N]) -> Tensor<4>,
    on_numbers: &dyn Fn(&[Numbers; N]) -> Vec<f64>,
) {
    let expected = on_numbers(inputs);
    let directions: Vec<Numbers> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| Numbers::new(&input.shape, 77 + index as u64))
        .collect();
    let weights = Numbers::new(&[expected.len()], 5).values;
    let sum = |values: Vec<f64>| -> f64 { values.iter().zip(&weights).map(|(a, b)| a * b).sum() };
    let slopes: Vec<f64> = (0..N)
        .map(|index| {
            let moved = |step: f64| {
                let mut moved = inputs.clone();
                let along = moved[index]
                    .values
                    .iter_mut()
                    .zip(&directions[index].values);
                along.for_each(|(value, direction)| *value += step * direction);
                sum(on_numbers(&moved))
            };
            let step = 1e-5;
            (moved(step) - moved(-step)) / (2.0 * step)
        })
        .collect();
    for (place, device, dtype, limit) in places() {
        let name = format!("{name} on {place}");
        let plain = on_tensors(inputs.each_ref().map(|input| input.tensor(&device, dtype)));
        assert_eq!(plain.dtype(), dtype, "{name}");
        assert_close(&name, &values(plain.clone()), &expected, limit);

        let tracked = inputs.each_ref().map(|input| {
            input
                .tensor::<4>(&device.clone().autodiff(), dtype)
                .require_grad()
        });
        let result = on_tensors(tracked.clone());
        assert_eq!(
            values(result.clone()),
            values(plain),
            "{name}: with autodiff"
        );
        let weights = Numbers {
            shape: result.dims().to_vec(),
            values: weights.clone(),
        };
        let weights = weights.tensor::<4>(&device.clone().autodiff(), dtype);
        let gradients = (result * weights).sum().backward();
        for (index, tracked) in tracked.iter().enumerate() {
            let gradient = values(tracked.grad(&gradients).expect("a derivative"));
            let along = gradient.iter().zip(&directions[index].values);
            let found: f64 = along.clone().map(|(a, b)| a * b).sum();
            let size: f64 = along.map(|(a, b)| (a * b).abs()).sum();
            let limit = (10.0 * limit).max(1e-7);
            assert!(
                (found - slopes[index]).abs() <= limit * size.max(1.0),
                "{name}: derivative by input {index}: {found} for {}",
                slopes[index]
            );
        }
    }
}

fn vector(tensor: Tensor<4>) -> Tensor<1> {
    let count: usize = tensor.dims().iter().product();
    tensor.reshape([count])
}

fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..150 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    2.0 / std::f64::consts::PI.sqrt() * sum
}

const ACTIVATIONS: [Activation; 3] = [Activation::Silu, Activation::Gelu, Activation::GeluTanh];

fn activated(x: f64, activation: Activation) -> f64 {
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
    }
}

#[test]
fn activations_and_gates() {
    for activation in ACTIVATIONS {
        for shape in [[1, 1, 1, 1], [2, 3, 1, 37], [1, 5, 7, 1000]] {
            let mut x = Numbers::new(&shape, 1);
            x.values[0] = 9.0;
            let up = Numbers::new(&shape, 2);
            check(
                &format!("{activation:?} of {shape:?}"),
                &[x.clone()],
                &|[x]| activate(x, activation),
                &|[x]| x.values.iter().map(|x| activated(*x, activation)).collect(),
            );
            check(
                &format!("gate by {activation:?} of {shape:?}"),
                &[x, up],
                &|[gate, up]| gated(gate, up, activation),
                &|[gate, up]| {
                    let pairs = gate.values.iter().zip(&up.values);
                    pairs
                        .map(|(gate, up)| activated(*gate, activation) * up)
                        .collect()
                },
            );
        }
    }
}

/// Rows of `x` less `shift` of their mean, over the root of their mean square.
fn normalized(x: &Numbers, width: usize, epsilon: f64, center: bool) -> Vec<f64> {
    let rows = x.values.chunks(width).flat_map(|row| {
        let mean = match center {
            true => row.iter().sum::<f64>() / width as f64,
            false => 0.0,
        };
        let square = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        row.iter()
            .map(move |x| (x - mean) / (square + epsilon).sqrt())
    });
    rows.collect()
}

#[test]
fn norms() {
    for (shape, epsilon) in [
        ([1, 1, 1, 2], 0.3),
        ([2, 3, 1, 37], 1e-5),
        ([1, 40, 9, 96], 1e-2),
    ] {
        let width = shape[3];
        let x = Numbers::new(&shape, 3);
        let [weight, bias] = [4, 5].map(|seed| Numbers::new(&[1, 1, 1, width], seed));
        check(
            &format!("rms norm of {shape:?}"),
            &[x.clone(), weight.clone()],
            &|[x, weight]| rms_norm(x, vector(weight), epsilon),
            &|[x, weight]| {
                let normalized = normalized(x, width, epsilon, false);
                let weights = weight.values.iter().cycle();
                normalized.iter().zip(weights).map(|(x, w)| x * w).collect()
            },
        );
        check(
            &format!("layer norm of {shape:?}"),
            &[x, weight, bias],
            &|[x, weight, bias]| layer_norm(x, vector(weight), vector(bias), epsilon),
            &|[x, weight, bias]| {
                let normalized = normalized(x, width, epsilon, true);
                let affine = weight.values.iter().zip(&bias.values).cycle();
                normalized
                    .iter()
                    .zip(affine)
                    .map(|(x, (w, b))| x * w + b)
                    .collect()
            },
        );
    }
}

#[test]
fn rotary_positions() {
    // Tables of all rows and of one, whole and partial turns.
    for (shape, tables, half) in [
        ([2, 3, 2, 8], 1, 4),
        ([3, 5, 1, 7], 3, 2),
        ([2, 70, 3, 64], 2, 32),
    ] {
        let [_, tokens, heads, width] = shape;
        let angles = Numbers::new(&[tables, tokens, half], 6);
        let table = |of: fn(f64) -> f64| Numbers {
            shape: angles.shape.clone(),
            values: angles.values.iter().map(|angle| of(*angle)).collect(),
        };
        let (cos, sin) = (table(f64::cos), table(f64::sin));
        check(
            &format!("rotary positions of {shape:?}"),
            &[Numbers::new(&shape, 7)],
            &|[x]| {
                let (device, dtype) = (x.device().inner(), x.dtype());
                let [cos, sin] = [&cos, &sin].map(|table| table.tensor(&device, dtype));
                rotate_positions(x, cos, sin)
            },
            &|[x]| {
                let mut turned = x.values.clone();
                for (head, values) in turned.chunks_mut(width).enumerate() {
                    let token = head / heads;
                    let place = match tables {
                        1 => token % tokens,
                        _ => token,
                    } * half;
                    for i in 0..half {
                        let (first, second) = (values[i], values[half + i]);
                        let (cos, sin) = (cos.values[place + i], sin.values[place + i]);
                        values[i] = first * cos - second * sin;
                        values[half + i] = second * cos + first * sin;
                    }
                }
                turned
            },
        );
    }
}

/// The sizes of an attention and its spans.
#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    queries: usize,
    keys: usize,
    key_heads: usize,
    shared: usize,
    width: usize,
    spans: Vec<Vec<std::ops::Range<usize>>>,
    how: Attention,
}

impl Case {
    fn heads(&self) -> usize {
        self.key_heads * self.shared
    }

    fn inputs(&self, seed: u64) -> [Numbers; 3] {
        let keys = [self.rows, self.keys, self.key_heads, self.width];
        [
            Numbers::new(&[self.rows, self.queries, self.heads(), self.width], seed),
            Numbers::new(&keys, seed + 1),
            Numbers::new(&keys, seed + 2),
        ]
    }

    fn expected(&self, [query, key, value]: &[Numbers; 3]) -> Vec<f64> {
        let (heads, width) = (self.heads(), self.width);
        let mut result = vec![0.0; query.values.len()];
        for row in 0..self.rows {
            for index in 0..self.queries {
                for head in 0..heads {
                    let at = ((row * self.queries + index) * heads + head) * width;
                    let q = &query.values[at..at + width];
                    let of_key = |key: usize| {
                        ((row * self.keys + key) * self.key_heads + head / self.shared) * width
                    };
                    let seen = self.spans[row][index].clone();
                    let scores = seen.clone().map(|place| {
                        let k = &key.values[of_key(place)..of_key(place) + width];
                        let z: f64 =
                            q.iter().zip(k).map(|(a, b)| a * b).sum::<f64>() * self.how.scale;
                        self.how.cap.map_or(z, |cap| cap * (z / cap).tanh()).exp()
                    });
                    let scores: Vec<f64> = scores.collect();
                    let sum: f64 = scores.iter().sum();
                    for (score, place) in scores.iter().zip(seen) {
                        let v = &value.values[of_key(place)..of_key(place) + width];
                        for (to, v) in result[at..at + width].iter_mut().zip(v) {
                            *to += score / sum * v;
                        }
                    }
                }
            }
        }
        result
    }

    fn check(&self, seed: u64) {
        check(
            &format!("{self:?}"),
            &self.inputs(seed),
            &|[query, key, value]| {
                let spans = Spans::new(&self.spans, &query.device().inner());
                attention(query, key, value, &spans, self.how)
            },
            &|inputs| self.expected(inputs),
        );
    }
}

/// Causal, a window, padding on either side, several texts in a row, one new query behind a cache.
#[test]
fn attention_of_every_kind() {
    let plain = Attention {
        scale: 0.4,
        cap: None,
    };
    let capped = Attention {
        scale: 0.9,
        cap: Some(1.3),
    };
    let case =
        |queries: usize, keys: usize, how, span: fn(usize, usize) -> std::ops::Range<usize>| Case {
            rows: 2,
            queries,
            keys,
            key_heads: 2,
            shared: 3,
            width: 5,
            spans: (0..2)
                .map(|row| (0..queries).map(|query| span(row, query)).collect())
                .collect(),
            how,
        };
    for how in [plain, capped] {
        case(7, 7, how, |_, query| 0..query + 1).check(10);
        case(150, 150, how, |_, query| {
            query.saturating_sub(20)..query + 1
        })
        .check(20);
        case(70, 70, how, |row, query| 3 * row..(query + 1).max(3 * row)).check(30);
        case(70, 70, how, |_, query| query / 30 * 30..query + 1).check(40);
        case(1, 33, how, |row, _| 5 * row..33).check(50);
        case(9, 9, how, |row, _| 0..4 + row).check(60);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn attention_of_any_size(
        (rows, queries, keys, key_heads, shared, width) in (1usize..3, 1usize..90, 1usize..90, 1usize..4, 1usize..4, 1usize..12),
        bounds in prop::collection::vec((0usize..90, 0usize..90), 180),
        cap in prop::option::of(0.5f64..3.0),
        seed in 100u64..1_000_000,
    ) {
        let mut bounds = bounds.into_iter().cycle();
        let mut span = || {
            let (a, b) = bounds.next().expect("cycled");
            let (a, b) = (a % (keys + 1), b % (keys + 1));
            // Some see nothing.
            a.min(b)..a.max(b)
        };
        let spans = (0..rows).map(|_| (0..queries).map(|_| span()).collect()).collect();
        let how = Attention { scale: 1.0 / (width as f64).sqrt(), cap };
        Case { rows, queries, keys, key_heads, shared, width, spans, how }.check(seed);
    }
}

#[test]
fn cross_entropies() {
    for (rows, classes, cap) in [
        (1, 1, None),
        (5, 37, None),
        (5, 37, Some(0.7)),
        (3, 1000, Some(4.0)),
    ] {
        let products = Numbers::new(&[rows, classes], 8);
        let right: Vec<i64> = (0..rows)
            .map(|row| ((row * 17 + 3) % classes) as i64)
            .collect();
        let loss = |products: &[f64], class: usize| {
            let logits: Vec<f64> = products
                .iter()
                .map(|z| cap.map_or(*z, |cap: f64| cap * (z / cap).tanh()))
                .collect();
            logits.iter().map(|z| z.exp()).sum::<f64>().ln() - logits[class]
        };
        let each = products.values.chunks(classes).zip(&right);
        let expected: Vec<f64> = each
            .clone()
            .map(|(row, class)| loss(row, *class as usize))
            .collect();
        let slopes = each.clone().flat_map(|(row, class)| {
            let at = |place: usize, step: f64| {
                let mut row = row.to_vec();
                row[place] += step;
                loss(&row, *class as usize)
            };
            let slope = move |place: usize| (at(place, 1e-5) - at(place, -1e-5)) / 2e-5;
            (0..classes).map(slope).collect::<Vec<_>>()
        });
        let slopes: Vec<f64> = slopes.collect();
        let likeliest = each.map(|(row, _)| {
            let best = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            row.iter().position(|z| *z == best).expect("a class") as i64
        });
        let likeliest: Vec<i64> = likeliest.collect();
        for (place, device, dtype, limit) in places() {
            let name = format!("cross entropy of {rows} x {classes}, cap {cap:?}, on {place}");
            let right: Tensor<1, Int> = Tensor::from_data(right.as_slice(), &device);
            let found = cross_entropy(products.tensor(&device, dtype), right, cap);
            assert_close(&name, &values(found.losses), &expected, limit);
            assert_close(&name, &values(found.slopes), &slopes, limit.max(1e-9));
            if dtype != DType::BF16 || cap.is_none() {
                let found: Vec<i64> = found.likeliest.into_data().iter().collect();
                assert_eq!(found, likeliest, "{name}");
            }
        }
    }
}

#[test]
fn products_of_vectors() {
    for (rows, inputs, outputs) in [
        (1, 1, 1),
        (1, 37, 5),
        (3, 6, 300),
        (8, 130, 513),
        // Sums of several parts.
        (2, 700, 513),
        (9, 7, 4),
        (70, 64, 90),
    ] {
        let x = Numbers::new(&[1, rows, inputs], 11);
        let [weight, table] = [12, 13].map(|seed| {
            let shape = if seed == 12 {
                [inputs, outputs]
            } else {
                [outputs, inputs]
            };
            Numbers::new(&shape, seed)
        });
        let bias = Numbers::new(&[outputs], 14);
        let expected = |at: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
            let each = (0..rows).flat_map(|row| (0..outputs).map(move |output| (row, output)));
            let of = |(row, output): (usize, usize)| {
                let products =
                    (0..inputs).map(|input| x.values[row * inputs + input] * at(input, output));
                products.sum::<f64>() + bias.values[output]
            };
            each.map(of).collect()
        };
        for (place, device, dtype, limit) in places() {
            let name = format!("{rows} x {inputs} x {outputs} on {place}");
            let x = || x.tensor::<3>(&device, dtype);
            let bias = || Some(bias.tensor::<1>(&device, dtype));
            // bf16 is rounded at every place of a sum, or only at its end.
            let limit = limit * if dtype == DType::BF16 { 2.0 } else { 1.0 };
            let found = linear(x(), weight.tensor(&device, dtype), bias());
            assert_eq!(found.dims(), [1, rows, outputs]);
            let of_weight = expected(&|input, output| weight.values[input * outputs + output]);
            assert_close(&name, &values(found), &of_weight, limit);
            // A transposed table, and a part of a larger matrix.
            let view = table.tensor::<2>(&device, dtype).transpose();
            let of_table = expected(&|input, output| table.values[output * inputs + input]);
            assert_close(&name, &values(linear(x(), view, bias())), &of_table, limit);
            let wide = Tensor::cat(vec![weight.tensor::<2>(&device, dtype); 2], 1);
            let part = wide.narrow(1, 0, outputs);
            assert_close(&name, &values(linear(x(), part, bias())), &of_weight, limit);
        }
    }
}

/// How a product gets its weight.
#[derive(Clone, Copy, Debug)]
enum Way {
    Plain,
    /// A transposed view of one that lies the other way round.
    View,
    /// One that lies the other way round, to be transposed by the operation.
    Transposed,
}

impl Way {
    const ALL: [Self; 3] = [Self::Plain, Self::View, Self::Transposed];
}

/// Of the vectors, of the weight, and of both, as they are trained.
#[test]
fn derivatives_of_products() {
    let loop_over = |[n, k, m]: [usize; 3], term: &dyn Fn(usize, usize, usize) -> f64| {
        let each = (0..n).flat_map(|i| (0..k).map(move |j| (i, j)));
        let sum = |(i, j): (usize, usize)| (0..m).map(|l| term(i, j, l)).sum::<f64>();
        each.map(sum).collect::<Vec<f64>>()
    };
    for [rows, inputs, outputs] in [[1, 3, 2], [5, 1, 7], [12, 20, 1], [90, 64, 70]] {
        let [x, turned] = [(inputs, 21), (outputs, 22)]
            .map(|(width, seed)| Numbers::new(&[1, rows, width], seed));
        let weight = Numbers::new(&[inputs, outputs], 23);
        let by_x = loop_over([rows, inputs, outputs], &|row, input, output| {
            turned.values[row * outputs + output] * weight.values[input * outputs + output]
        });
        let by_weight = loop_over([inputs, outputs, rows], &|input, output, row| {
            x.values[row * inputs + input] * turned.values[row * outputs + output]
        });
        let sums: Vec<f64> = (0..outputs)
            .map(|output| {
                (0..rows)
                    .map(|row| turned.values[row * outputs + output])
                    .sum()
            })
            .collect();
        for (place, device, dtype, limit) in places() {
            let device = device.autodiff();
            let limit = limit * if dtype == DType::BF16 { 2.0 } else { 1.0 };
            // Vectors and weight, and the bias if there is one.
            for (train_x, train_weight, train_bias) in [
                (true, false, None),
                (false, true, None),
                (true, true, None),
                (true, false, Some(false)),
                (false, true, Some(false)),
                (true, true, Some(true)),
                (false, false, Some(true)),
            ] {
                for way in Way::ALL {
                    if matches!(way, Way::Transposed) && train_bias.is_some() {
                        continue;
                    }
                    let name = format!(
                        "{rows} x {inputs} x {outputs}, {train_x} {train_weight} {train_bias:?} {way:?}, on {place}"
                    );
                    let bias = train_bias.map(|train| {
                        let bias = Tensor::<1>::ones([outputs], (&device, dtype));
                        match train {
                            true => bias.require_grad(),
                            false => bias,
                        }
                    });
                    let tensor = |train: bool, tensor: Tensor<3>| match train {
                        true => tensor.require_grad(),
                        false => tensor,
                    };
                    let x = tensor(train_x, x.tensor(&device, dtype));
                    let weight = weight.tensor::<2>(&device, dtype);
                    // The same numbers, lying the other way round.
                    let turned_round = weight.clone().transpose().into_data();
                    let weight = match way {
                        Way::Plain => weight,
                        _ => Tensor::from_data(turned_round, (&device, dtype)),
                    };
                    let weight: Tensor<2> = match train_weight {
                        true => weight.require_grad(),
                        false => weight,
                    };
                    let y = match way {
                        Way::Plain => linear(x.clone(), weight.clone(), bias.clone()),
                        Way::View => linear(x.clone(), weight.clone().transpose(), bias.clone()),
                        Way::Transposed => {
                            let flat: Tensor<2> = x.clone().reshape([rows, inputs]);
                            let (flat, weight) =
                                (flat.into_dispatch(), weight.clone().into_dispatch());
                            let y = Dispatch::fused_product(flat, weight, true);
                            Tensor::<2>::from_dispatch(y).reshape([1, rows, outputs])
                        }
                    };
                    let grads = (y * turned.tensor::<3>(&device, dtype)).sum().backward();
                    let by_bias = bias.and_then(|bias| bias.grad(&grads));
                    match by_bias {
                        Some(found) => assert_close(&name, &values(found), &sums, limit),
                        None => assert!(train_bias != Some(true), "{name}"),
                    }
                    match x.grad(&grads) {
                        Some(found) => assert_close(&name, &values(found), &by_x, limit),
                        None => assert!(!train_x, "{name}"),
                    }
                    match weight.grad(&grads) {
                        Some(found) => {
                            let found = match way {
                                Way::Plain => found,
                                _ => found.transpose(),
                            };
                            assert_close(&name, &values(found), &by_weight, limit);
                        }
                        None => assert!(!train_weight, "{name}"),
                    }
                }
            }
        }
    }
}

/// Data go into a first layer that is trained.
#[test]
fn a_weight_is_trained_whatever_its_vectors_come_from() {
    for (place, device, dtype, limit) in places() {
        let tracked = device.clone().autodiff();
        for rows in [2, 30] {
            let [x, turned] =
                [(3, 31), (5, 32)].map(|(width, seed)| Numbers::new(&[rows, width], seed));
            let weight = Numbers::new(&[3, 5], 33)
                .tensor::<2>(&tracked, dtype)
                .require_grad();
            let bias = Tensor::<1>::ones([5], (&device, dtype));
            for bias in [None, Some(bias)] {
                let by_weight = |x: Tensor<2>| {
                    let y = linear(x, weight.clone(), bias.clone());
                    let grads = (y * turned.tensor(&tracked, dtype)).sum().backward();
                    values(weight.grad(&grads).expect("a trained weight"))
                };
                let plain = by_weight(x.tensor(&device, dtype));
                assert_close(place, &plain, &by_weight(x.tensor(&tracked, dtype)), limit);
                assert!(plain.iter().any(|slope| slope.abs() > 0.1));
            }
            // Nothing is trained but the bias.
            let plain = Numbers::new(&[3, 5], 33).tensor::<2>(&device, dtype);
            let trained = Tensor::<1>::ones([5], (&tracked, dtype)).require_grad();
            let y = linear(x.tensor::<2>(&device, dtype), plain, Some(trained.clone()));
            let grads = (y * turned.tensor(&tracked, dtype)).sum().backward();
            let found = values(trained.grad(&grads).expect("a trained bias"));
            let sums: Vec<f64> = (0..5)
                .map(|output| (0..rows).map(|row| turned.values[row * 5 + output]).sum())
                .collect();
            assert_close(place, &found, &sums, limit);
        }
    }
}

/// Tensors as views: what a kernel gets need not lie in one piece.
#[test]
fn views_are_read_as_they_are() {
    let device = Device::flex();
    let x = Tensor::<4>::random([2, 9, 4, 6], Distribution::Normal(0.0, 1.0), &device);
    let view = x.clone().swap_dims(1, 2).narrow(3, 1, 4);
    let copy = Tensor::from_data(view.clone().into_data(), &device);
    let same = |a: Tensor<4>, b: Tensor<4>| assert_eq!(values(a), values(b));
    same(
        activate(view.clone(), Activation::Gelu),
        activate(copy.clone(), Activation::Gelu),
    );
    let weight = Tensor::from_floats([1.0, 2.0, 3.0, 4.0], &device);
    same(
        rms_norm(view.clone(), weight.clone(), 1e-5),
        rms_norm(copy.clone(), weight, 1e-5),
    );
    let spans = Spans::new(&vec![(0..4).map(|n| 0..n + 1).collect(); 2], &device);
    let how = Attention {
        scale: 1.0,
        cap: None,
    };
    same(
        attention(view.clone(), view.clone(), view.clone(), &spans, how),
        attention(copy.clone(), copy.clone(), copy, &spans, how),
    );
}

#[test]
#[should_panic(expected = "heads a multiple of key heads")]
fn heads_that_cannot_be_shared_are_refused() {
    let device = Device::flex();
    let [query, key] = [3, 2].map(|heads| Tensor::<4>::zeros([1, 1, heads, 4], &device));
    let spans = Spans::new(&[std::iter::once(0..1).collect()], &device);
    attention(
        query,
        key.clone(),
        key,
        &spans,
        Attention {
            scale: 1.0,
            cap: None,
        },
    );
}

/// Few vectors and many, with autodiff and without, refuse the same.
#[test]
fn a_bias_has_a_number_for_each_output() {
    for (place, device, dtype, _) in places() {
        for (rows, device) in [
            (2, device.clone()),
            (30, device.clone()),
            (2, device.autodiff()),
        ] {
            let x = Numbers::new(&[rows, 3], 41).tensor::<2>(&device, dtype);
            let weight = Numbers::new(&[3, 5], 42).tensor::<2>(&device, dtype);
            let bias = Tensor::<1>::ones([1], (&device, dtype));
            let product = || linear(x, weight, Some(bias));
            let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(product));
            assert!(refused.is_err(), "{rows} rows on {place}");
        }
    }
}
