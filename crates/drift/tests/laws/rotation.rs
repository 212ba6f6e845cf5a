//! What an adapter's rotation does, for every method, against dense float64 matrices; and the
//! bounds of OFT.

use std::f64::consts::PI;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};
use burn_goft::{
    GoftAdapter, Hra, Method, NormScale, Oft, Quasi, Road, RotationPlan, Site, Strict,
    orthogonality_error, quasi_bounds,
};
use burn_goft_drift::{Error, relative_change, rotation_drift};

use crate::common::{self, angles, blocks, normal, panic_message, tensor};
use crate::matrix::Matrix;
use crate::svd::singular_values;
use crate::{close, device, oft, oracle};

/// Rounding of products of a few dozen f64 numbers.
const ROUNDING: f64 = 1e-12;

/// Sets the parameters of an adapter, one after the other.
struct Fill<'a>(&'a [f64]);

impl ModuleMapper for Fill<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let (values, rest) = self.0.split_at(value.shape().num_elements());
            self.0 = rest;
            tensor(values, value.dims(), &value.device(), value.dtype())
        })
    }
}

/// At the identity.
fn fresh(method: impl Into<Method>, d: usize, dtype: DType) -> GoftAdapter {
    let site = Site::new(0, [d, 3]);
    GoftAdapter::new(method, NormScale::None, site, 0.0, dtype, &device()).unwrap()
}

fn adapter(method: impl Into<Method>, d: usize, parameters: &[f64]) -> GoftAdapter {
    Module::map(fresh(method, d, DType::F64), &mut Fill(parameters))
}

/// The quasi adapter of these blocks, of which it stores what they have more than the identity.
pub(crate) fn quasi(d: usize, blocks: &[f64]) -> GoftAdapter {
    let identity = [1.0, 0.0, 0.0, 1.0].into_iter().cycle();
    let offsets = blocks.iter().zip(identity).map(|(entry, one)| entry - one);
    adapter(Quasi::default(), d, &Vec::from_iter(offsets))
}

fn oft_adapter(form: Oft, d: usize, parameters: &[f64]) -> GoftAdapter {
    adapter(form, d, parameters)
}

fn skew(form: Oft, d: usize, size: f64) -> Vec<f64> {
    let entries = normal(3, form.parameter_count(d));
    entries.iter().map(|entry| size * entry).collect()
}

fn spectral(matrix: &Matrix) -> f64 {
    singular_values(matrix)[0]
}

/// An adapter, and the matrix that it stands for.
fn cases() -> Vec<(String, GoftAdapter, Matrix)> {
    let mut cases = Vec::new();
    for d in [1, 2, 3, 5, 13, 70] {
        let parameters = angles(5, d - 1);
        let dense = oracle::strict(d, &parameters);
        let strict = adapter(Strict::direct(), d, &parameters);
        cases.push((format!("strict, d = {d}"), strict, dense));

        let parameters = blocks(6, d - 1);
        let dense = oracle::rotation(d, &parameters);
        cases.push((format!("quasi, d = {d}"), quasi(d, &parameters), dense));

        for form in [
            Oft::exact(2),
            Oft::exact(32),
            Oft::neumann(5, 4),
            Oft::neumann(32, 5),
        ] {
            let parameters = skew(form, d, 0.05);
            let dense = oft::matrix(d, form, &parameters);
            let adapter = oft_adapter(form, d, &parameters);
            cases.push((format!("{form:?}, d = {d}"), adapter, dense));
        }
        if d > 1 {
            let parameters = normal(7, 4 * d);
            let dense = reflections(d, &parameters);
            let hra = adapter(Hra::new(4), d, &parameters);
            cases.push((format!("hra, d = {d}"), hra, dense));

            let parameters = normal(11, d / 2 * 2);
            let dense = scaled_neighbors(d, &parameters);
            let road = adapter(Road::default(), d, &parameters);
            cases.push((format!("road, d = {d}"), road, dense));
        }
    }
    cases
}

/// `R = H_r .. H_1`, of `R^T = H_1 .. H_r` (Yuan et al. 2024).
fn reflections(d: usize, vectors: &[f64]) -> Matrix {
    vectors.chunks_exact(d).fold(Matrix::identity(d), |r, u| {
        let square: f64 = u.iter().map(|entry| entry * entry).sum();
        let entry = |k: usize| {
            let (i, j) = (k / d, k % d);
            f64::from(u8::from(i == j)) - 2.0 * u[i] * u[j] / square
        };
        Matrix::new(d, d, (0..d * d).map(entry).collect()).times(&r)
    })
}

/// RoAd_1 (Liao and Monz 2024) by the angles of all pairs of neighbors, then what their scales have
/// more than 1.
fn scaled_neighbors(d: usize, parameters: &[f64]) -> Matrix {
    let (angles, offsets) = parameters.split_at(d / 2);
    let mut r = Matrix::identity(d);
    for (pair, (angle, offset)) in angles.iter().zip(offsets).enumerate() {
        for (k, entry) in oracle::givens(*angle).into_iter().enumerate() {
            r[(2 * pair + k / 2, 2 * pair + k % 2)] = (1.0 + offset) * entry;
        }
    }
    r
}

#[test]
fn every_method_is_measured_as_its_dense_matrix() {
    for (case, adapter, dense) in cases() {
        let found = rotation_drift(&adapter).unwrap_or_else(|error| panic!("{case}: {error}"));
        let identity = Matrix::identity(dense.rows);
        let excess = dense.minus(&identity);
        let tolerance = ROUNDING * excess.frobenius().max(1.0);
        let near = |what: &str, found: f64, expected: f64| {
            let off = (found - expected).abs();
            assert!(
                off <= tolerance,
                "{case}: {what} {found}, expected {expected}"
            );
        };
        near("spectral", found.spectral, spectral(&excess));
        near("frobenius", found.frobenius, excess.frobenius());
        let gram = dense.gram().minus(&identity).symmetric_norm();
        near("orthogonality", found.orthogonality_error, gram);
        let bound = found.orthogonality_bound;
        assert_eq!(bound, adapter.gram_bound(), "{case}");
        assert!(gram <= bound + tolerance, "{case}: {gram} over {bound}");
    }
}

/// What pairs of axes have beside: functions of their blocks, in the library.
#[test]
fn of_pairs_the_bound_is_that_of_the_blocks_and_the_error_below_its_frobenius_norm() {
    for d in [2, 5, 70] {
        let adapter = quasi(d, &blocks(6, d - 1));
        let found = rotation_drift(&adapter).unwrap();
        let (blocks, plan) = (adapter.blocks().unwrap(), RotationPlan::new(d));
        let bounds = quasi_bounds(blocks.clone(), plan);
        assert_eq!(found.orthogonality_bound, bounds.gram_spectral);
        let frobenius = orthogonality_error(blocks, plan).frobenius;
        assert!(found.orthogonality_error <= frobenius * (1.0 + ROUNDING));
        assert!(found.orthogonality_error >= frobenius / (d as f64).sqrt());
    }
}

/// `R - I` of a strict rotation and of one that is not normal, sizes beyond what finds every
/// eigenvalue.
#[test]
fn the_spectral_norm_of_a_large_rotation_is_that_of_the_dense_one() {
    let d = 137;
    let turned = |size: f64| {
        let angles = normal(8, d - 1);
        angles
            .iter()
            .flat_map(|t| oracle::givens(size * t))
            .collect()
    };
    for (case, entries) in [
        ("small", turned(0.02)),
        ("medium", turned(0.5)),
        ("all angles", turned(10.0)),
        ("quasi", blocks(9, d - 1)),
    ] {
        let excess = oracle::rotation(d, &entries).minus(&Matrix::identity(d));
        let found = rotation_drift(&quasi(d, &entries)).unwrap();
        let expected = spectral(&excess);
        let off = found.spectral / expected - 1.0;
        assert!((-1e-8..=ROUNDING).contains(&off), "{case}: off by {off:e}");
        close(
            found.frobenius,
            excess.frobenius(),
            ROUNDING * excess.frobenius(),
        );
    }
}

/// The planes of one level, by angles spread evenly up to a half turn: eigenvalues of `R - I` crowd
/// where the largest is, the worst case for Lanczos's method. It finds the norm from below, and
/// nearer than the documentation promises.
#[test]
fn crowded_eigenvalues_are_found_to_what_is_promised() {
    let d = 4096;
    let turned = (1..=d / 2).map(|k| 2.0 * PI * k as f64 / d as f64);
    let entries: Vec<f64> = turned
        .clone()
        .chain(vec![0.0; d / 2 - 1])
        .flat_map(oracle::givens)
        .collect();
    let found = rotation_drift(&quasi(d, &entries)).unwrap();
    let off = found.spectral / 2.0 - 1.0;
    assert!((-5e-4..=ROUNDING).contains(&off), "off by {off:e}");
    let squares: f64 = turned.map(|t| 8.0 * (t / 2.0).sin().powi(2)).sum();
    close(found.frobenius, squares.sqrt(), ROUNDING * squares.sqrt());
}

/// Where `1 - cos` is far below the rounding of 1.
#[test]
fn a_small_rotation_keeps_its_digits() {
    for size in [1e-3, 1e-6, 1e-9] {
        let entries: Vec<f64> = oracle::givens(size).repeat(3);
        let excess = oracle::rotation(4, &entries).minus(&Matrix::identity(4));
        let found = rotation_drift(&quasi(4, &entries)).unwrap();
        close(found.spectral / spectral(&excess), 1.0, 1e-9);
        close(found.frobenius / excess.frobenius(), 1.0, 1e-9);
    }
}

/// The bound finds `q = || Q ||_2` to `b^(1/128)` from above.
#[test]
fn the_bounds_of_oft_hold_and_are_attained() {
    for terms in 1..=9 {
        for (size, d) in [(2, 2), (2, 7), (5, 5), (8, 21)] {
            for scale in [0.01, 0.1, 0.25] {
                let form = Oft::neumann(size, terms);
                let parameters = skew(form, d, scale);
                let q = spectral(&oft::skew(d, form, &parameters));
                let bound = oft_adapter(form, d, &parameters).gram_bound();
                let gram = oft::matrix(d, form, &parameters).gram();
                let norm = gram.minus(&Matrix::identity(d)).symmetric_norm();
                let case = format!("{form:?}, d = {d}, q = {q}: {bound}, found {norm}");

                let rounding = ROUNDING * (1.0 + bound);
                assert!(norm <= bound + rounding, "{case}");
                // By the largest angle alone, or a third of it.
                let share = match (terms + 1) % 4 {
                    0 if q < 1.0 => 1.0 / 3.0,
                    0 => continue,
                    _ => 1.0 - 1e-9,
                };
                let above = (size as f64).powf((terms + 1) as f64 / 64.0);
                assert!(norm >= share * bound / above - rounding, "{case}");
            }
        }
    }
}

/// Planes that all turn alike: every one of them attains the bound.
#[test]
fn the_bound_by_frobenius_norms_is_attained() {
    for terms in [1, 2, 4, 5] {
        let (form, d, q) = (Oft::neumann(2, terms), 8, 0.3f64);
        let bound = oft_adapter(form, d, &[q; 4]).gram_bound();
        let gram = oft::matrix(d, form, &[q; 4]).gram();
        let error = gram.minus(&Matrix::identity(d)).frobenius();
        let above = 2f64.powf((terms + 1) as f64 / 64.0);
        let most = bound * (d as f64).sqrt();
        // The error is what is left of entries of size 1, and rounded as they are.
        let range = most / above - ROUNDING..=most + ROUNDING;
        assert!(range.contains(&error), "{terms}: {error:e}, {range:?}");
    }
}

#[test]
fn an_exact_inverse_is_orthogonal_whatever_the_parameters_are() {
    for scale in [0.1, 1.0, 5.0] {
        let form = Oft::exact(8);
        let adapter = oft_adapter(form, 21, &skew(form, 21, scale));
        assert!(adapter.gram_bound() < 1e-300);
        let found = rotation_drift(&adapter).unwrap();
        assert!(found.orthogonality_error < ROUNDING, "{found:?}");
        // Twice the sine of half the largest angle of rotation, whose tangent is the largest
        // eigenvalue of Q.
        let q = spectral(&oft::skew(21, form, &skew(form, 21, scale)));
        close(2.0 * q.atan().sin() / found.spectral, 1.0, ROUNDING);
    }
}

/// Near 180 degrees Newton's steps do not get to the end, and the bound says by how much, which the
/// plane at rest attains.
#[test]
fn what_newtons_steps_leave_is_bounded_and_attained() {
    for (size, degrees, within) in [(32, 179.0, 1e-60), (32, 179.9, 0.65), (64, 179.9, 0.9)] {
        let form = Oft::exact(size);
        let adapter = oft_adapter(form, size, &oft::turning(size, degrees));
        let found = rotation_drift(&adapter).unwrap();
        let (error, bound) = (found.orthogonality_error, found.orthogonality_bound);
        assert!(bound <= within, "{found:?}");
        let case = format!("{size} {degrees}: {bound}, found {error}");
        assert!(error <= bound + 1e-10, "{case}");
        assert!(error >= 0.99 * bound - 1e-10, "{case}");
    }
}

/// What cannot be undone by the transpose is undone by inverses.
#[test]
fn a_rotation_beyond_newtons_steps_is_unmerged() {
    let form = Oft::exact(32);
    for (degrees, exact) in [(90.0, true), (179.9, false)] {
        let adapter = adapter(form, 32, &oft::turning(32, degrees));
        let weight = tensor(&normal(7, 96), [32, 3], &device(), DType::F64);
        let merged = adapter.rotate(weight.clone(), 0);
        let unmerged = adapter.unmerge(merged).unwrap();
        assert_eq!(unmerged.condition == 1.0, exact, "{}", unmerged.condition);
        let moved = relative_change(weight, unmerged.weight).unwrap();
        assert!(moved < 1e-10, "{degrees}: {moved}");
    }
}

#[test]
fn parameters_that_are_not_finite_are_an_error_and_too_few_a_panic() {
    let form = Oft::neumann(2, 5);
    let too_few = || tensor(&[0.1], [1], &device(), DType::F64);
    let message = panic_message(|| form.blocks(too_few(), 4));
    assert!(
        message.contains("needs 2 skew parameters, found 1"),
        "{message}"
    );
    for broken in [f64::NAN, f64::INFINITY] {
        for method in [
            Quasi::default().into(),
            Strict::direct().into(),
            Method::from(form),
        ] {
            let mut parameters = vec![0.1; fresh(method, 4, DType::F64).num_params()];
            parameters[1] = broken;
            let found = rotation_drift(&adapter(method, 4, &parameters));
            assert!(
                matches!(found, Err(Error::NonFinite { .. })),
                "{broken}: {found:?}"
            );
        }
    }
    // A report has no infinity in it: JSON knows none.
    let huge = rotation_drift(&quasi(2, &[1e200; 4]));
    assert!(matches!(huge, Err(Error::Undefined { .. })), "{huge:?}");
}

/// In f32 the error of a series is beyond rounding where the bound is, and within it where the
/// bound is below.
#[test]
fn the_error_is_the_one_of_the_adapters_dtype() {
    for (form, scale) in [(Oft::exact(8), 0.1), (Oft::neumann(8, 5), 0.1)] {
        let parameters = skew(form, 24, scale);
        let adapter = Module::map(fresh(form, 24, DType::F32), &mut Fill(&parameters));
        let found = rotation_drift(&adapter).unwrap();
        // The rounding of 24 rows of 8 entries, each a sum of 8 products, on top of the blocks' own
        // rounding.
        let rounding = 32.0 * 24f64.sqrt() * common::epsilon(DType::F32);
        let (error, bound) = (found.orthogonality_error, found.orthogonality_bound);
        assert!(error <= bound + rounding, "{form:?}: {error} over {bound}");
        let dense = oft::matrix(24, form, &skew(form, 24, scale)).gram();
        let expected = dense.minus(&Matrix::identity(24)).symmetric_norm();
        close(error, expected, rounding);
        assert!(error > 1e-9 && (form.neumann_terms.is_none() || error > 10.0 * rounding));
    }
}
