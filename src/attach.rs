//! The traversal that puts adapters on a model, whether made by settings or read from a file.

use std::collections::BTreeMap;

use burn::module::{Param, Reparameterizer};
use burn::tensor::Tensor;

use crate::adapter::GoftAdapter;
use crate::goft::Goft;
use crate::targets::Role;

/// Attaches by the roles that [`select`](crate::targets::select) found.
pub(crate) struct BySettings<'a> {
    pub(crate) goft: &'a Goft,
    pub(crate) roles: BTreeMap<String, Role>,
}

impl Reparameterizer for BySettings<'_> {
    type Reparam = GoftAdapter;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<GoftAdapter>) {
        let role = self.roles.get(path).copied().unwrap_or(Role::Frozen);
        role.prepare(param, |base| self.goft.adapter_for(base))
    }
}

/// Attaches adapters that exist already, and puts other values under them or in the parameters beside them.
pub(crate) struct Given {
    pub(crate) adapters: BTreeMap<String, GoftAdapter>,
    /// New values by path, flat: of a weight that is adapted, or of a parameter trained beside the adapters.
    pub(crate) values: BTreeMap<String, Tensor<1>>,
}

impl Reparameterizer for Given {
    type Reparam = GoftAdapter;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<GoftAdapter>) {
        let adapter = self.adapters.remove(path);
        let value = self.values.remove(path);
        let role = match (&adapter, &value) {
            (Some(_), _) => Role::Target,
            (None, Some(_)) => Role::Trainable,
            (None, None) => Role::Frozen,
        };
        let param = match value {
            Some(value) => replace(param, value),
            None => param,
        };
        match adapter {
            Some(adapter) => role.prepare(param, |_| adapter),
            None => role.prepare(param, |_| unreachable!("only targets have an adapter")),
        }
    }
}

/// The parameter with other values: same id, shape, dtype, device and training state.
pub(crate) fn replace<const D: usize>(
    param: Param<Tensor<D>>,
    value: Tensor<1>,
) -> Param<Tensor<D>> {
    param.map(|old| {
        let (shape, dtype, tracked) = (old.shape(), old.dtype(), old.is_require_grad());
        let value = value.to_device(&old.device()).reshape(shape);
        let value = if dtype.is_float() {
            value.cast(dtype)
        } else {
            value
        };
        let value = value.detach();
        if tracked { value.require_grad() } else { value }
    })
}
