//! One learned parameter of an adapter, under the name that says what it is.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, FloatDType, Tensor};

use crate::methods::Field;
use crate::numeric::parameter_dtype;

/// The struct that holds a parameter, as burn's traversals name it.
const CONTAINER: &str = "Struct:GoftAdapter";

/// A parameter as a row, whatever its shape in files.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) field: Field,
    pub(crate) param: Param<Tensor<1>>,
}

impl Parameter {
    pub(crate) fn new(field: Field, values: Tensor<1>) -> Self {
        let param = Param::from_tensor(values);
        Self { field, param }
    }

    /// With the id that an optimizer's record may know it by.
    pub(crate) fn with_id(self, id: ParamId) -> Self {
        self.change(|param| with_id(param, id))
    }

    pub(crate) fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.enter_module(&self.field.name, CONTAINER);
        Module::visit(&self.param, visitor);
        visitor.exit_module(&self.field.name, CONTAINER);
    }

    pub(crate) fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let before = self.param.clone();
        mapper.enter_module(&self.field.name, CONTAINER);
        let after = Module::map(self.param, mapper);
        mapper.exit_module(&self.field.name, CONTAINER);
        Self {
            param: keep_precise(before, after),
            field: self.field,
        }
    }

    pub(crate) fn change(self, change: impl FnOnce(Param<Tensor<1>>) -> Param<Tensor<1>>) -> Self {
        Self {
            param: change(self.param),
            field: self.field,
        }
    }

    pub(crate) fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.param.collect_devices(devices)
    }
}

/// A mapper of the whole model may pack or narrow its parameters. Those of an adapter stay floats
/// of at least f32: a rotation by packed angles would be another one, and could not be trained.
fn keep_precise(before: Param<Tensor<1>>, after: Param<Tensor<1>>) -> Param<Tensor<1>> {
    let dtype = after.base().dtype();
    let (id, trained) = (after.id, is_trainable(&after) || !dtype.is_float());
    // A mapper may change more than values.
    let back = |before: Param<Tensor<1>>| {
        let trained = trained && is_trainable(&before);
        let before = with_id(before, id);
        match trained {
            true => before,
            false => before.set_require_grad(false),
        }
    };
    if !dtype.is_float() {
        return back(before);
    }
    if matches!(dtype, DType::F32 | DType::F64 | DType::Flex32) {
        return after;
    }
    // Only rounded: the values from before are the better ones. Other values were loaded.
    let (old, new) = (before.base(), after.base());
    let same_place = old.device() == new.device();
    if same_place && old.clone().cast(dtype).into_data() == new.clone().into_data() {
        return back(before);
    }
    let wide = FloatDType::from(parameter_dtype(dtype));
    after.map(|values| {
        let tracked = values.is_require_grad();
        let values = values.detach().cast(wide);
        if tracked {
            values.require_grad()
        } else {
            values
        }
    })
}

/// The parameter under another id, all else as it was.
pub(crate) fn with_id<const D: usize>(param: Param<Tensor<D>>, id: ParamId) -> Param<Tensor<D>> {
    let (_, values, mapper) = param.consume();
    Param::from_mapped_value(id, values, mapper)
}

/// Whether an optimizer sees the parameter, in training mode or once back in it. `valid` clears the
/// tensor's own state and keeps the setting in the parameter, from where only `train` reads it.
pub(crate) fn is_trainable<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    if !param.base().dtype().is_float() {
        return false;
    }
    if !cfg!(feature = "autodiff") || param.lazy_device().is_autodiff() {
        return param.is_require_grad();
    }
    if param.lazy_shape().num_elements() == 0 {
        return true;
    }
    Module::train(param.clone()).is_require_grad()
}
