//! The methods: a file and a row of the table for each.
//!
//! Everything outside this folder asks a [`Method`] and never which one it is.

mod cayley;
mod excess;
mod form;
mod givens;
mod hra;
mod inverse;
mod oft;
mod oft_bounds;
mod pairs;
mod penalty;
mod quasi;
mod road;
#[cfg(all(test, feature = "flex"))]
mod tests;

use std::fmt;

use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Problem};
pub use excess::OftBounds;
pub(crate) use form::{Field, Form, Undone};
pub use givens::{AngleForm, Givens, Strict};
pub use hra::Hra;
pub use oft::Oft;
pub use oft_bounds::oft_bounds;
pub use penalty::Penalty;
pub use quasi::{Quasi, QuasiGivens};
pub use road::{Road, RoadScales};

/// Makes [`Method`] from one row per method.
macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident($form:ty),)*) => {
        /// Which rotation an adapter learns, and its settings.
        ///
        /// # Example
        ///
        /// ```
        /// use burn_goft::{Goft, Method, Oft};
        ///
        /// let method = Method::from(Oft::exact(32));
        /// assert_eq!(method.name(), "oft");
        /// assert_eq!(Goft::new(method), Goft::oft(Oft::exact(32)));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Method {
            $($(#[$doc])* $variant($form),)*
        }

        $(impl From<$form> for Method {
            fn from(form: $form) -> Self {
                Self::$variant(form)
            }
        })*

        /// Evaluates an expression for the form of any method.
        macro_rules! for_form {
            ($method:expr, $bound:ident => $body:expr) => {
                match $method {
                    $(Method::$variant($bound) => $body,)*
                }
            };
        }

        impl Method {
            /// The short name in files and reports: `goft`, `qgoft`, `oft`, `hra`, `road`.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => <$form as Form>::NAME,)*
                }
            }

            /// The method whose parameters have these names, in any order.
            pub(crate) fn read(names: &[&str]) -> Option<Self> {
                let forms = [$(<$form as Form>::read(names).map(Self::$variant),)*];
                forms.into_iter().flatten().next()
            }

            /// One example of every method with each of its settings that changes its parameters.
            #[cfg(all(test, feature = "flex"))]
            fn examples() -> Vec<Self> {
                let mut examples = Vec::new();
                $(examples.extend(<$form as Form>::examples().into_iter().map(Self::$variant));)*
                examples
            }
        }
    };
}

methods! {
    /// GOFT: one angle per pair, strictly orthogonal, `d - 1` parameters for vectors of length `d`.
    Strict(Strict),
    /// qGOFT: one free 2x2 block per pair, `4(d - 1)` parameters, near-orthogonal through a
    /// [`Penalty`]. Not to be confused with quantization, for which burn uses the letter q.
    Quasi(Quasi),
    /// OFT: orthogonal blocks of neighboring coordinates by the Cayley transform, `b(b - 1)/2`
    /// parameters per block.
    Oft(Oft),
    /// HRA: a product of Householder reflections, `r d` parameters.
    Hra(Hra),
    /// RoAd: neighbors are rotated and scaled, `d` to `4d` parameters.
    Road(Road),
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Method {
    /// Refuses settings that make no sense.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |reason| Problem::Setting {
            asked: format!("{self:?}"),
            reason,
        };
        Ok(for_form!(self, form => form.check()).map_err(refuse)?)
    }

    /// Name and shape of every parameter for vectors of length `dim`; none if there is nothing to
    /// rotate.
    pub(crate) fn fields(&self, dim: usize) -> Vec<Field> {
        if dim < 2 {
            return Vec::new();
        }
        for_form!(self, form => form.fields(dim))
    }

    /// Parameters at the identity, plus noise of this standard deviation in their own units.
    pub(crate) fn initial(
        &self,
        dim: usize,
        std: f64,
        dtype: DType,
        device: &Device,
    ) -> Vec<Tensor<1>> {
        if dim < 2 {
            return Vec::new();
        }
        for_form!(self, form => form.initial(dim, std, dtype, device))
    }

    /// `R`, or `R^T`, along an axis of `x`. The result has the dtype of `x`.
    pub(crate) fn turn<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        transpose: bool,
    ) -> Tensor<D> {
        if x.dims()[axis] < 2 || x.shape().num_elements() == 0 {
            return x;
        }
        for_form!(self, form => form.turn(parameters, x, axis, transpose))
    }

    /// `R^-1` along an axis of `x`. A condition number beyond `largest` is an error.
    pub(crate) fn undo<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        largest: f64,
    ) -> Result<Undone<D>, Error> {
        if x.dims()[axis] < 2 || x.shape().num_elements() == 0 {
            return Ok(Undone {
                tensor: x,
                condition: 1.0,
            });
        }
        for_form!(self, form => form.undo(parameters, x, axis, largest))
    }

    /// The penalty of a rotation of vectors of length `dim`, `[1]`; none if it is zero whatever the
    /// parameters.
    pub(crate) fn penalty(
        &self,
        parameters: &[Tensor<1>],
        dim: usize,
        penalty: Penalty,
    ) -> Option<Tensor<1>> {
        if dim < 2 {
            return None;
        }
        for_form!(self, form => form.penalty(parameters, dim, penalty))
    }

    /// The parameters moved to where every part of the rotation is within `radius` of the identity;
    /// none if the method defines no such projection.
    pub(crate) fn project(&self, parameters: &[Tensor<1>], radius: f64) -> Option<Vec<Tensor<1>>> {
        for_form!(self, form => form.project(parameters, radius))
    }

    /// A bound on `|| R^T R - I ||_2`, beyond rounding.
    pub(crate) fn gram_bound(&self, parameters: &[Tensor<1>], dim: usize) -> f64 {
        if dim < 2 {
            return 0.0;
        }
        for_form!(self, form => form.gram_bound(parameters, dim))
    }

    /// The 2x2 blocks of a rotation made of pairs.
    pub(crate) fn blocks(&self, parameters: &[Tensor<1>], dim: usize) -> Option<Tensor<3>> {
        if dim < 2 {
            return None;
        }
        for_form!(self, form => form.pair_blocks(parameters, dim))
    }
}
