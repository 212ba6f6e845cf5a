//! COFT: OFT that stays near the identity.

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use crate::walk::Place;

/// See [`constrain_oft`](crate::GoftModule::constrain_oft).
pub(crate) fn constrain<M: Module>(model: M, radius: f64) -> M {
    assert!(
        radius > 0.0,
        "constrain_oft: asked for a radius of {radius}; pass a positive one, such as 0.1"
    );
    model.map(&mut Constrain {
        radius,
        place: Place::default(),
    })
}

struct Constrain {
    radius: f64,
    place: Place,
}

impl ModuleMapper for Constrain {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.place.exit(container_type);
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.place.meet(&flag);
        flag
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(form) = self.place.oft_of_skew() else {
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
