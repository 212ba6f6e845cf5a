//! What an adapter's rotation does, of every kind, against dense float64 matrices; and the bounds of OFT.

use std::f64::consts::PI;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};
use burn_goft::{
    Error, Goft, GoftAdapter, Kind, Oft, identity_distance, oft_bounds, orthogonality_error,
    quasi_bounds, relative_change, rotation_drift,
};

use crate::common::{self, angles, blocks, normal, numbers, panic_message, tensor};
use crate::oracle::{self, Matrix, Rotation};
use crate::svd::singular_values;
use crate::{close, device};

/// Rounding of products of a few dozen f64 numbers.
const ROUNDING: f64 = 1e-12;

/// Sets the one parameter of an adapter.
struct Fill<'a>(&'a [f64]);

impl ModuleMapper for Fill<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| tensor(self.0, value.dims(), &value.device(), value.dtype()))
    }
}

fn adapter(goft: &Goft, d: usize, parameters: &[f64]) -> GoftAdapter {
    GoftAdapter::new(goft, [d, 3], DType::F64, &device()).map(&mut Fill(parameters))
}

fn skew(form: Oft, d: usize, size: f64) -> Vec<f64> {
    let entries = normal(3, form.parameter_count(d));
    entries.iter().map(|entry| size * entry).collect()
}

fn tensor_of(numbers: &[f64]) -> Tensor<1> {
    tensor(numbers, [numbers.len()], &device(), DType::F64)
}

fn spectral(matrix: &Matrix) -> f64 {
    singular_values(matrix)[0]
}

/// An adapter, and the matrix that it stands for.
fn cases() -> Vec<(String, usize, GoftAdapter, Matrix)> {
    let mut cases = Vec::new();
    for d in [1, 2, 3, 5, 13, 70] {
        let parameters = angles(5, d - 1);
        let dense = Rotation::strict(d, &parameters).matrix();
        let strict = adapter(&Goft::strict(), d, &parameters);
        cases.push((format!("strict, d = {d}"), d, strict, dense));

        let parameters = blocks(Kind::Quasi, 6, d - 1);
        let dense = Rotation::new(d, &parameters).matrix();
        let quasi = adapter(&Goft::quasi(), d, &parameters);
        cases.push((format!("quasi, d = {d}"), d, quasi, dense));

        for form in [
            Oft::exact(2),
            Oft::exact(32),
            Oft::neumann(5, 4),
            Oft::neumann(32, 5),
        ] {
            let parameters = skew(form, d, 0.05);
            let dense = oracle::oft::matrix(d, form, &parameters);
            let oft = adapter(&Goft::oft(form), d, &parameters);
            cases.push((format!("{form:?}, d = {d}"), d, oft, dense));
        }
    }
    cases
}

#[test]
fn every_kind_is_measured_as_its_dense_matrix() {
    for (case, d, adapter, dense) in cases() {
        let found = rotation_drift(&adapter, d).unwrap_or_else(|error| panic!("{case}: {error}"));
        let identity = Matrix::identity(d);
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
        let gram = dense.gram().minus(&identity).frobenius();
        near("orthogonality", found.orthogonality_error, gram);
        let bound = found.orthogonality_bound;
        assert!(gram <= bound + tolerance, "{case}: {gram} over {bound}");
        if adapter.kind() != Kind::Oft {
            let blocks = adapter.blocks();
            assert_eq!(bound, quasi_bounds(blocks.clone()).gram_frobenius, "{case}");
            let error = orthogonality_error(blocks).frobenius;
            assert_eq!(found.orthogonality_error, error, "{case}");
        }
    }
}

/// `R - I` of a strict rotation and of one that is not normal, sizes beyond what finds every eigenvalue.
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
        ("quasi", blocks(Kind::Quasi, 9, d - 1)),
    ] {
        let dense = Rotation::new(d, &entries).matrix();
        let excess = dense.minus(&Matrix::identity(d));
        let blocks = tensor(&entries, [d - 1, 2, 2], &device(), DType::F64);
        let found = identity_distance(blocks).unwrap();
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

/// The planes of one level, by angles spread evenly up to a half turn: eigenvalues of `R - I` crowd where the largest is, the worst case
/// for Lanczos's method. It finds the norm from below, and nearer than the documentation promises.
#[test]
fn crowded_eigenvalues_are_found_to_what_is_promised() {
    let d = 4096;
    let turned = (1..=d / 2).map(|k| 2.0 * PI * k as f64 / d as f64);
    let entries: Vec<f64> = turned
        .clone()
        .chain(vec![0.0; d / 2 - 1])
        .flat_map(oracle::givens)
        .collect();
    let blocks = tensor(&entries, [d - 1, 2, 2], &device(), DType::F64);
    let found = identity_distance(blocks).unwrap();
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
        let dense = Rotation::new(4, &entries).matrix();
        let excess = dense.minus(&Matrix::identity(4));
        let blocks = tensor(&entries, [3, 2, 2], &device(), DType::F64);
        let found = identity_distance(blocks).unwrap();
        close(found.spectral / spectral(&excess), 1.0, 1e-9);
        close(found.frobenius / excess.frobenius(), 1.0, 1e-9);
    }
}

#[test]
fn the_bounds_of_oft_hold_and_are_attained() {
    for terms in 1..=9 {
        for (size, d) in [(2, 2), (2, 7), (5, 5), (8, 21)] {
            for scale in [0.01, 0.1, 0.25] {
                let form = Oft::neumann(size, terms);
                let parameters = skew(form, d, scale);
                let q = spectral(&oracle::oft::skew(d, form, &parameters));
                let bounds = oft_bounds(form, tensor_of(&parameters), d).unwrap();
                let gram = oracle::oft::matrix(d, form, &parameters).gram();
                let excess = gram.minus(&Matrix::identity(d));
                let (norm, frobenius) = (excess.symmetric_norm(), excess.frobenius());
                let case = format!("{form:?}, d = {d}, q = {q}: {bounds:?}, found {norm}");

                close(bounds.skew_spectral, q, ROUNDING);
                let rounding = ROUNDING * (1.0 + bounds.gram_frobenius);
                assert!(norm <= bounds.gram_spectral + rounding, "{case}");
                assert!(frobenius <= bounds.gram_frobenius + rounding, "{case}");
                // By the largest angle alone, or a third of it; in the Frobenius norm of as many axes as a block has.
                let share = match (terms + 1) % 4 {
                    0 if q < 1.0 => 1.0 / 3.0,
                    0 => continue,
                    _ => 1.0 - 1e-9,
                };
                assert!(norm >= share * bounds.gram_spectral - rounding, "{case}");
                let axes = (d as f64).sqrt();
                let least = share * bounds.gram_frobenius / axes;
                assert!(frobenius >= least - rounding, "{case}");
            }
        }
    }
}

/// Planes that all turn alike: the bound by Frobenius norms is the error.
#[test]
fn the_bound_by_frobenius_norms_is_attained() {
    for terms in [1, 2, 4, 5] {
        let (form, d, q) = (Oft::neumann(2, terms), 8, 0.3f64);
        let bounds = oft_bounds(form, tensor_of(&[q; 4]), d).unwrap();
        let gram = oracle::oft::matrix(d, form, &[q; 4]).gram();
        let error = gram.minus(&Matrix::identity(d)).frobenius();
        close(bounds.gram_frobenius, error, ROUNDING);
    }
}

#[test]
fn an_exact_inverse_is_orthogonal_whatever_the_parameters_are() {
    for scale in [0.1, 1.0, 5.0] {
        let form = Oft::exact(8);
        let parameters = skew(form, 21, scale);
        let bounds = oft_bounds(form, tensor_of(&parameters), 21).unwrap();
        assert!(bounds.gram_spectral < 1e-300 && bounds.gram_frobenius < 1e-300);
        // The tangent of half the largest angle of rotation.
        let dense = oracle::oft::matrix(21, form, &parameters);
        let chord = spectral(&dense.minus(&Matrix::identity(21)));
        close(
            2.0 * bounds.skew_spectral.atan().sin() / chord,
            1.0,
            ROUNDING,
        );
    }
}

/// Near 180 degrees Newton's steps do not get to the end, and the bound says by how much, which the plane at rest attains.
#[test]
fn what_newtons_steps_leave_is_bounded_and_attained() {
    for (size, degrees, within) in [(32, 179.0, 1e-60), (32, 179.9, 0.65), (64, 179.9, 0.9)] {
        let form = Oft::exact(size);
        let parameters = tensor_of(&oracle::oft::turning(size, degrees));
        let bounds = oft_bounds(form, parameters.clone(), size).unwrap();
        assert!(bounds.gram_spectral <= within, "{bounds:?}");
        let blocks = common::numbers(&form.blocks(parameters, size));
        let gram = Matrix::new(size, size, blocks).gram();
        let error = gram.minus(&Matrix::identity(size)).symmetric_norm();
        let case = format!("{size} {degrees}: {bounds:?}, found {error}");
        assert!(error <= bounds.gram_spectral + 1e-10, "{case}");
        assert!(error >= 0.99 * bounds.gram_spectral - 1e-10, "{case}");
    }
}

/// `R W`, by its dense blocks.
fn turned(adapter: &GoftAdapter, weight: &Tensor<2>) -> Tensor<2> {
    let skew = adapter.skew_parameter().unwrap().val();
    let blocks = adapter.oft().unwrap().blocks(skew, 32);
    blocks.squeeze_dim::<2>(0).matmul(weight.clone())
}

/// What cannot be undone by the transpose is undone by inverses.
#[test]
fn a_rotation_beyond_newtons_steps_is_unmerged() {
    let goft = Goft::oft(Oft::exact(32));
    for (degrees, exact) in [(90.0, true), (179.9, false)] {
        let adapter = adapter(&goft, 32, &oracle::oft::turning(32, degrees));
        let weight = tensor(&normal(7, 96), [32, 3], &device(), DType::F64);
        let merged = turned(&adapter, &weight);
        let unmerged = adapter.unmerge(merged).unwrap();
        assert_eq!(unmerged.condition == 1.0, exact, "{}", unmerged.condition);
        let moved = relative_change(weight, unmerged.weight).unwrap();
        assert!(moved < 1e-10, "{degrees}: {moved}");
    }
}

#[test]
fn parameters_that_are_not_finite_are_an_error_and_too_few_a_panic() {
    let form = Oft::neumann(2, 5);
    let broken = oft_bounds(form, tensor_of(&[0.1, f64::NAN]), 4);
    assert!(
        matches!(broken, Err(Error::NonFinite { count: 2, .. })),
        "{broken:?}"
    );
    let message = panic_message(|| oft_bounds(form, tensor_of(&[0.1]), 4));
    assert!(
        message.contains("needs 2 skew parameters, found 1"),
        "{message}"
    );
    for broken in [f64::NAN, f64::INFINITY] {
        for goft in [Goft::quasi(), Goft::oft(form)] {
            let count = numbers_of(&goft);
            let mut parameters = vec![0.1; count];
            parameters[1] = broken;
            let found = rotation_drift(&adapter(&goft, 4, &parameters), 4);
            assert!(
                matches!(found, Err(Error::NonFinite { .. })),
                "{broken}: {found:?}"
            );
        }
    }
    // A report has no infinity in it: JSON knows none.
    let huge = rotation_drift(&adapter(&Goft::quasi(), 2, &[1e200; 4]), 2);
    assert!(matches!(huge, Err(Error::Undefined { .. })), "{huge:?}");
}

fn numbers_of(goft: &Goft) -> usize {
    let adapter = GoftAdapter::new(goft, [4, 3], DType::F64, &device());
    let parameter = match adapter.block_parameter() {
        Some(blocks) => numbers(&blocks.val()),
        None => numbers(&adapter.skew_parameter().unwrap().val()),
    };
    parameter.len()
}

/// In f32 the error of a series is beyond rounding where the bound is, and within it where the bound is below.
#[test]
fn the_error_is_the_one_of_the_adapters_dtype() {
    for (form, scale) in [(Oft::exact(8), 0.1), (Oft::neumann(8, 5), 0.1)] {
        let goft = Goft::oft(form);
        let adapter = GoftAdapter::new(&goft, [24, 3], DType::F32, &device());
        let adapter = adapter.map(&mut Fill(&skew(form, 24, scale)));
        let found = rotation_drift(&adapter, 24).unwrap();
        // Of 24 rows of 8 entries, each a sum of 8 products, on top of the blocks' own rounding.
        let rounding = 32.0 * 24f64.sqrt() * common::epsilon(DType::F32);
        let (error, bound) = (found.orthogonality_error, found.orthogonality_bound);
        assert!(error <= bound + rounding, "{form:?}: {error} over {bound}");
        let dense = oracle::oft::matrix(24, form, &skew(form, 24, scale)).gram();
        let expected = dense.minus(&Matrix::identity(24)).frobenius();
        close(error, expected, rounding);
        assert!(error > 0.0 && (form.neumann_terms.is_none() || error > 10.0 * rounding));
    }
}
