//! COFT: OFT that stays near the identity.

use burn::module::{Flag, Module, ModuleMapper, Param, Reparameterization};
use burn::tensor::Tensor;

use crate::adapter::GoftAdapter;
use crate::oft::Oft;

/// See [`constrain_oft`](crate::GoftModule::constrain_oft).
pub(crate) fn constrain<M: Module>(model: M, radius: f64) -> M {
    assert!(
        radius > 0.0,
        "constrain_oft: asked for a radius of {radius}; pass a positive one, such as 0.1"
    );
    model.map(&mut Constrain {
        radius,
        names: Vec::new(),
        oft: None,
    })
}

struct Constrain {
    radius: f64,
    names: Vec<String>,
    /// The form of the adapter whose parameters come next.
    oft: Option<Oft>,
}

impl ModuleMapper for Constrain {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.names.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.names.pop();
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.oft = Oft::read(&flag).or(self.oft);
        flag
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_skew = matches!(&self.names[..], [.., adapter, field] if adapter == GoftAdapter::NAME && field == "skew");
        let Some(form) = self.oft.filter(|_| is_skew) else {
            return param;
        };
        let radius = self.radius;
        param.map(|skew| {
            let tracked = skew.is_require_grad();
            let shape = skew.shape();
            let row = skew.detach().reshape([shape.num_elements()]);
            let held = form.held_within(row, radius).reshape(shape).detach();
            if tracked { held.require_grad() } else { held }
        })
    }
}
