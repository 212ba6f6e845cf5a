//! What a method says of itself.

use std::fmt::Debug;

use burn::tensor::{DType, Device, Distribution, Tensor};
use serde::{Serialize, de::DeserializeOwned};

use super::penalty::Penalty;
use crate::error::Error;
use crate::product::exactly;

/// A parameter of a rotation: the last part of its path, and its shape in files.
///
/// The name says everything that a reader must know of the form, so that parameters of one form
/// cannot be loaded as another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

impl Field {
    pub(crate) fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The rotation of one adapter, undone.
pub(crate) struct Undone<const D: usize> {
    pub(crate) tensor: Tensor<D>,
    /// Bound on the condition number of what was undone.
    pub(crate) condition: f64,
}

/// A learned rotation of vectors, by its settings; parameters come as rows in the order of
/// [`fields`](Self::fields). No method is asked about vectors of fewer than two coordinates.
pub(crate) trait Form: Copy + Debug + PartialEq + Serialize + DeserializeOwned {
    /// The method's short name.
    const NAME: &'static str;

    /// What is wrong with the settings, and what to do.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Name and shape of every parameter.
    fn fields(&self, dim: usize) -> Vec<Field>;

    /// The settings that give parameters these names: the inverse of [`fields`](Self::fields).
    fn read(names: &[&str]) -> Option<Self>;

    /// Parameters at the identity, plus noise. By default the identity is where all parameters are
    /// zero, so that weight decay leads back to the pretrained model.
    fn initial(&self, dim: usize, std: f64, dtype: DType, device: &Device) -> Vec<Tensor<1>> {
        let fields = self.fields(dim).into_iter();
        let parameter = |field: Field| noise(field.count(), std, dtype, device);
        fields.map(parameter).collect()
    }

    /// `R`, or `R^T`, along an axis of `x`.
    fn turn<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        transpose: bool,
    ) -> Tensor<D>;

    /// `R^-1` along an axis of `x`. By default `R` is orthogonal, and its inverse the transpose.
    fn undo<const D: usize>(
        &self,
        parameters: &[Tensor<1>],
        x: Tensor<D>,
        axis: usize,
        largest: f64,
    ) -> Result<Undone<D>, Error> {
        let _ = largest;
        Ok(Undone {
            tensor: exactly(|| self.turn(parameters, x, axis, true)),
            condition: 1.0,
        })
    }

    /// The penalty, `[1]`; by default there is none, `R` being orthogonal whatever the parameters.
    fn penalty(&self, parameters: &[Tensor<1>], dim: usize, penalty: Penalty) -> Option<Tensor<1>> {
        let _ = (parameters, dim, penalty);
        None
    }

    /// The parameters moved into a radius around the identity, if the method has such a constraint.
    fn project(&self, parameters: &[Tensor<1>], radius: f64) -> Option<Vec<Tensor<1>>> {
        let _ = (parameters, radius);
        None
    }

    /// A bound on `|| R^T R - I ||_2`, by default 0: orthogonal to rounding.
    fn gram_bound(&self, parameters: &[Tensor<1>], dim: usize) -> f64 {
        let _ = (parameters, dim);
        0.0
    }

    /// The blocks of a rotation made of pairs.
    fn pair_blocks(&self, parameters: &[Tensor<1>], dim: usize) -> Option<Tensor<3>> {
        let _ = (parameters, dim);
        None
    }

    /// One example of each setting that changes the parameters' names.
    #[cfg(all(test, feature = "flex"))]
    fn examples() -> Vec<Self>;
}

/// Values of the normal distribution with mean 0.
pub(super) fn noise(count: usize, std: f64, dtype: DType, device: &Device) -> Tensor<1> {
    if std == 0.0 {
        Tensor::zeros([count], (device, dtype))
    } else {
        Tensor::random([count], Distribution::Normal(0.0, std), (device, dtype))
    }
}
