//! Decompositions of matrices of a moderate size.

use faer::MatRef;
use faer::linalg::solvers::Svd;

use crate::error::Error;

/// Singular values, falling.
pub(crate) fn singular_values(
    metric: &'static str,
    matrix: MatRef<'_, f64>,
) -> Result<Vec<f64>, Error> {
    matrix.singular_values().or_else(|_| no_convergence(metric))
}

/// The thin singular value decomposition.
pub(crate) fn thin_svd(metric: &'static str, matrix: MatRef<'_, f64>) -> Result<Svd<f64>, Error> {
    matrix.thin_svd().or_else(|_| no_convergence(metric))
}

pub(crate) fn no_convergence<T>(metric: &'static str) -> Result<T, Error> {
    Error::undefined(
        metric,
        "the iteration for its singular values did not converge",
    )
}
