//! Every topology on every backend, against dense products in f64 that know neither.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{GivensOps, RotationPlan, Topology, Turn, angles, portable, pyramid, turn};
use crate::adapter::{GoftAdapter, NormScale, Site};
use crate::methods::{Givens, Strict};

const DIMS: [usize; 6] = [1, 2, 3, 5, 8, 137];
const TOPOLOGIES: [Topology; 3] = [Topology::Tree, Topology::Neighbors, Topology::BrickWall];

/// The pairs of all levels, from their description.
fn pairing(topology: Topology, d: usize) -> Vec<Vec<(usize, usize)>> {
    let from = |start: usize| (start..d).step_by(2).map(|i| (i, i + 1));
    let neighbors = |start: usize| from(start).filter(|(_, j)| *j < d).collect::<Vec<_>>();
    let mut levels = match topology {
        Topology::Tree => {
            let strides = (0..20).map(|level| 1usize << level);
            let level = |s: usize| (0..d).step_by(2 * s).map(move |i| (i, i + s));
            let in_range = |(_, j): &(usize, usize)| *j < d;
            strides
                .map(|s| level(s).filter(in_range).collect())
                .collect()
        }
        Topology::Neighbors => vec![neighbors(0)],
        Topology::BrickWall => vec![neighbors(0), neighbors(1), neighbors(0)],
    };
    levels.retain(|level: &Vec<_>| !level.is_empty());
    levels
}

/// `R v`, or `R^T v`, pair by pair.
fn image(pairs: &[(usize, usize)], blocks: &[f64], transpose: bool, v: &mut [f64]) {
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    if transpose {
        order.reverse();
    }
    for k in order {
        let ((i, j), block) = (pairs[k], &blocks[4 * k..4 * k + 4]);
        let (right, left) = if transpose { (2, 1) } else { (1, 2) };
        let (x, y) = (v[i], v[j]);
        v[i] = block[0] * x + block[right] * y;
        v[j] = block[left] * x + block[3] * y;
    }
}

fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn blocks(seed: u64, pairs: usize) -> Vec<f64> {
    let noise = numbers(seed, 4 * pairs).into_iter();
    let turns = numbers(seed + 1, pairs).into_iter().map(|t| 3.0 * t);
    let entries = turns.flat_map(|t| [t.cos(), -t.sin(), t.sin(), t.cos()]);
    entries.zip(noise).map(|(e, n)| e + 0.1 * n).collect()
}

/// Every device that is built in, with the widest dtype that it computes in.
fn devices() -> Vec<(Device, DType)> {
    let devices = vec![
        #[cfg(feature = "flex")]
        Device::flex(),
        #[cfg(feature = "ndarray")]
        Device::ndarray(),
        #[cfg(feature = "wgpu")]
        Device::wgpu(burn::tensor::DeviceKind::Cpu),
    ];
    let widest = |device: &Device| {
        let wide = device.supports_dtype(DType::F64);
        if wide { DType::F64 } else { DType::F32 }
    };
    let devices = devices.into_iter();
    devices
        .map(|device| (device.clone(), widest(&device)))
        .collect()
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], on: &(Device, DType)) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), shape).convert_dtype(on.1);
    Tensor::from_data(data, (&on.0, on.1))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

fn assert_close(what: &str, dtype: DType, found: &[f64], expected: &[f64]) {
    let tolerance = if dtype == DType::F64 { 1e-13 } else { 1e-5 };
    let scale = expected.iter().fold(1.0f64, |max, e| max.max(e.abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (f, e)) in found.iter().zip(expected).enumerate() {
        let error = (f - e).abs();
        assert!(
            error <= tolerance * scale,
            "{what}: {index} is {f}, not {e}"
        );
    }
}

/// A case of the table: vectors along an axis of a tensor, and what is multiplied onto their
/// images.
struct Case {
    turn: Turn,
    shape: [usize; 3],
    pairs: Vec<(usize, usize)>,
    x: Vec<f64>,
    blocks: Vec<f64>,
    upstream: Vec<f64>,
}

impl Case {
    /// All of a dimension.
    fn all(d: usize) -> Vec<Self> {
        let mut cases = Vec::new();
        for topology in TOPOLOGIES {
            for (axis, transpose) in [(0, false), (1, true), (2, false), (2, true)] {
                let mut shape = [2, 3, 2];
                shape[axis] = d;
                let count = shape.iter().product();
                let pairs = pairing(topology, d).concat();
                cases.push(Self {
                    turn: Turn {
                        axis,
                        transpose,
                        topology,
                    },
                    shape,
                    x: numbers(1, count),
                    blocks: blocks(2, pairs.len()),
                    upstream: numbers(4, count),
                    pairs,
                });
            }
        }
        cases
    }

    /// The images of the vectors of `x`.
    fn images(&self, x: &[f64], blocks: &[f64], transpose: bool) -> Vec<f64> {
        let axis = self.turn.axis;
        let stride: usize = self.shape[axis + 1..].iter().product();
        let d = self.shape[axis];
        let mut result = x.to_vec();
        for start in (0..x.len()).filter(|at| (at / stride).is_multiple_of(d)) {
            let places = (0..d).map(|k| start + k * stride);
            let mut vector: Vec<f64> = places.clone().map(|at| x[at]).collect();
            image(&self.pairs, blocks, transpose, &mut vector);
            places
                .zip(vector)
                .for_each(|(at, value)| result[at] = value);
        }
        result
    }

    fn loss(&self, blocks: &[f64]) -> f64 {
        let images = self.images(&self.x, blocks, self.turn.transpose);
        images.iter().zip(&self.upstream).map(|(y, g)| y * g).sum()
    }

    /// By differences, which are exact: the loss is linear in every entry.
    fn by_blocks(&self) -> Vec<f64> {
        let shifted = |index: usize, step: f64| {
            let mut blocks = self.blocks.clone();
            blocks[index] += step;
            self.loss(&blocks)
        };
        let slope = |index| (shifted(index, 1.0) - shifted(index, -1.0)) / 2.0;
        (0..self.blocks.len()).map(slope).collect()
    }

    /// The operation is linear in `x`: its adjoint is the turn the other way.
    fn by_x(&self) -> Vec<f64> {
        self.images(&self.upstream, &self.blocks, !self.turn.transpose)
    }

    fn tensors(&self, on: &(Device, DType)) -> (Tensor<3>, Tensor<3>, Tensor<3>) {
        (
            tensor(&self.x, self.shape, on),
            tensor(&self.blocks, [self.pairs.len(), 2, 2], on),
            tensor(&self.upstream, self.shape, on),
        )
    }

    fn what(&self, on: &(Device, DType)) -> String {
        format!("{:?} {:?} {:?}", on.0, self.turn, self.shape)
    }
}

#[test]
fn plans_have_the_pairs_of_their_description() {
    for (d, topology) in DIMS
        .iter()
        .flat_map(|d| TOPOLOGIES.map(|topology| (*d, topology)))
    {
        let plan = RotationPlan::with_topology(d, topology);
        let levels: Vec<Vec<_>> = plan.levels().map(|level| level.pairs().collect()).collect();
        let expected = pairing(topology, d);
        assert_eq!(levels, expected, "{plan:?}");
        assert_eq!(plan.pair_count(), expected.concat().len(), "{plan:?}");
        assert_eq!(plan.level_count(), expected.len(), "{plan:?}");
        let firsts = plan.levels().map(|level| level.first());
        let counts = expected.iter().scan(0, |next, level| {
            let first = *next;
            *next += level.len();
            Some(first)
        });
        assert!(firsts.eq(counts), "{plan:?}");
    }
}

#[test]
fn every_topology_turns_as_the_dense_product_on_every_device() {
    for (on, d) in devices().iter().flat_map(|on| DIMS.map(|d| (on, d))) {
        for case in Case::all(d) {
            let (x, blocks, _) = case.tensors(on);
            let found = values(turn("law", x, blocks, case.turn));
            let expected = case.images(&case.x, &case.blocks, case.turn.transpose);
            assert_close(&case.what(on), on.1, &found, &expected);
        }
    }
}

#[cfg(feature = "autodiff")]
#[test]
fn every_topology_differentiates_as_the_dense_product_on_every_device() {
    for (on, d) in devices().iter().flat_map(|on| DIMS.map(|d| (on, d))) {
        let on = &(on.0.clone().autodiff(), on.1);
        for case in Case::all(d)
            .into_iter()
            .filter(|case| !case.pairs.is_empty())
        {
            let what = case.what(on);
            let (x, blocks, upstream) = case.tensors(on);
            // Both tracked, and either alone: three ways through the derivative.
            for tracked in [[true, true], [true, false], [false, true]] {
                let track = |tensor: &Tensor<3>, yes: bool| {
                    let tensor = tensor.clone();
                    if yes { tensor.require_grad() } else { tensor }
                };
                let (x, blocks) = (track(&x, tracked[0]), track(&blocks, tracked[1]));
                let turned = turn("law", x.clone(), blocks.clone(), case.turn);
                let gradients = (turned * upstream.clone()).sum().backward();
                for (tensor, tracked, expected) in [
                    (&x, tracked[0], case.by_x()),
                    (&blocks, tracked[1], case.by_blocks()),
                ] {
                    let found = tensor.grad(&gradients).map(values);
                    assert_eq!(found.is_some(), tracked, "{what}");
                    let Some(found) = found else { continue };
                    assert_close(&what, on.1, &found, &expected);
                }
            }
        }
    }
}

/// The pyramid does half the work of the definition at every level, and the same.
#[test]
fn the_pyramid_is_the_definition_on_the_tree() {
    use burn::backend::Dispatch;
    for (on, d) in devices().iter().flat_map(|on| DIMS.map(|d| (on, d))) {
        let trees = Case::all(d).into_iter();
        for case in trees.filter(|case| case.turn.topology == Topology::Tree) {
            let (
                what,
                Turn {
                    axis, transpose, ..
                },
            ) = (case.what(on), case.turn);
            let (x, blocks, upstream) = case.tensors(on);
            let (x, blocks) = (x.into_dispatch(), blocks.into_dispatch());
            let upstream = upstream.into_dispatch();
            let out = |tensor| values(Tensor::<3>::from_dispatch(tensor));

            let found = pyramid::rotate::<Dispatch>(x.clone(), blocks.clone(), axis, transpose);
            let expected =
                portable::level_by_level::<Dispatch>(x.clone(), blocks.clone(), case.turn);
            assert_close(&what, on.1, &out(found), &out(expected));
            if d == 1 {
                continue;
            }
            let found = pyramid::gradients::<Dispatch>(
                x.clone(),
                upstream.clone(),
                blocks.clone(),
                axis,
                transpose,
            );
            let expected =
                portable::gradients_level_by_level::<Dispatch>(x, upstream, blocks, case.turn);
            assert_close(&what, on.1, &out(found.0), &out(expected.0));
            assert_close(&what, on.1, &out(found.1), &out(expected.1));
        }
    }
}

/// Nothing but the topology's own file knows its pairs: an adapter asks for their number and name.
#[test]
fn an_adapter_has_the_pairs_of_its_topology() {
    for (on, d) in devices()
        .iter()
        .flat_map(|on| [2, 3, 5, 8].map(|d| (on, d)))
    {
        // Not every device has a cosine in f64.
        let on = &(on.0.clone(), DType::F32);
        let form = Strict {
            topology: Topology::BrickWall,
            ..Strict::direct()
        };
        let site = Site::new(0, [d, 3]);
        let adapter = GoftAdapter::new(form, NormScale::None, site, 0.7, on.1, &on.0).unwrap();
        let names: Vec<_> = adapter.parameter_names().collect();
        assert_eq!(names, ["angles_brick_wall"]);
        let angles = adapter.parameter("angles_brick_wall").unwrap().val();
        let pairs = pairing(Topology::BrickWall, d).concat();
        assert_eq!(angles.dims(), [pairs.len()]);
        assert_eq!(adapter.gram_bound(), 0.0);

        let x = numbers(7, d);
        let turned = values(adapter.rotate(tensor(&x, [1, d], on), 1));
        let entries = values(Givens::from_angles(angles).blocks());
        let mut expected = x.clone();
        image(&pairs, &entries, false, &mut expected);
        assert_close(&format!("{on:?} d = {d}"), on.1, &turned, &expected);
        let back = values(adapter.rotate_transpose(tensor(&turned, [1, d], on), 1));
        assert_close(&format!("{on:?} d = {d}"), on.1, &back, &x);
    }
}

/// The portable bodies and the kernels, neither of them through a graph.
#[test]
fn angles_and_their_derivatives_are_eq_1_of_the_paper_in_both_bodies() {
    use burn::backend::Dispatch;
    // In f32: wgpu has no cosine of f64.
    for on in devices()
        .into_iter()
        .map(|(device, _)| (device, DType::F32))
    {
        for pairs in [1, 2, 7, 136] {
            let (turns, grad) = (numbers(60, pairs), numbers(61, 4 * pairs));
            let turns: Vec<f64> = turns.iter().map(|angle| 3.0 * angle).collect();
            let entries = turns
                .iter()
                .flat_map(|t| [t.cos(), -t.sin(), t.sin(), t.cos()]);
            let entries: Vec<f64> = entries.collect();
            let by_angle =
                |(t, g): (&f64, &[f64])| t.cos() * (g[2] - g[1]) - t.sin() * (g[0] + g[3]);
            let by_angles: Vec<f64> = turns.iter().zip(grad.chunks(4)).map(by_angle).collect();
            let stored = || tensor::<1>(&turns, [pairs], &on).into_dispatch();
            let blocks = || tensor::<3>(&entries, [pairs, 2, 2], &on).into_dispatch();
            let grad = || tensor::<3>(&grad, [pairs, 2, 2], &on).into_dispatch();
            let bodies = [
                (
                    "portable",
                    angles::blocks::<Dispatch>(stored()),
                    angles::gradients::<Dispatch>(blocks(), grad()),
                ),
                (
                    "kernel",
                    Dispatch::givens_blocks(stored()),
                    Dispatch::givens_angle_gradients(blocks(), grad()),
                ),
            ];
            for (body, blocks, gradients) in bodies {
                let what = format!("{:?} {body} {pairs}", on.0);
                let blocks = values(Tensor::<3>::from_dispatch(blocks));
                assert_close(&what, on.1, &blocks, &entries);
                let gradients = values(Tensor::<1>::from_dispatch(gradients));
                assert_close(&what, on.1, &gradients, &by_angles);
            }
        }
    }
}
