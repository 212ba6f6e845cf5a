//! One traversal for everything that reads a model: which parameters there are, which carry an
//! adapter, and their values.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId, Reparameterization};
use burn::tensor::{DType, Device, Tensor};

use crate::adapter::{GoftAdapter, Holder, is_trainable, letterbox};
use crate::numeric::dense;

/// A float parameter of a model, as [`parameters`] finds it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ParameterInfo {
    /// Path with dots; for an adapter's own parameter `target.goft.name`.
    pub path: String,
    /// The struct that holds the parameter, as burn names it: `Struct:Linear`.
    pub container: String,
    /// Its shape. An adapter's own parameters are rows.
    pub shape: Vec<usize>,
    /// The dtype of its values, which may be packed.
    pub dtype: DType,
    /// Where its values are.
    pub device: Device,
    /// The id by which optimizers know it.
    pub id: ParamId,
    /// Whether the optimizer sees it (in training mode, or once back in it).
    pub trainable: bool,
    /// What the parameter belongs to.
    pub owner: Owner,
    /// The names of all fields of the struct that hold parameters or modules.
    pub(crate) siblings: Vec<String>,
}

/// What a parameter belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owner {
    /// The model itself.
    Model,
    /// An adapter of this crate.
    Goft {
        /// Path of the adapted parameter.
        target: String,
        /// Name of the adapter's parameter.
        field: String,
    },
    /// A reparameterization of another kind, such as burn's LoRA.
    Other {
        /// Path of the parameter that carries it.
        target: String,
        /// Its name, such as `lora`.
        name: String,
    },
}

impl ParameterInfo {
    /// Number of values.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The path of the struct that holds the parameter.
    pub(crate) fn parent(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// The parameter's own name.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// Whether the parameter belongs to one of this crate's adapters.
    pub(crate) fn is_goft(&self) -> bool {
        matches!(self.owner, Owner::Goft { .. })
    }

    pub(crate) fn is_model(&self) -> bool {
        self.owner == Owner::Model
    }
}

/// What holds a parameter; `all` are the parameters of its model.
pub(crate) fn holder<'a>(info: &'a ParameterInfo, all: &[ParameterInfo]) -> Holder<'a> {
    let parent = info.parent();
    let bias = all
        .iter()
        .find(|other| other.name() == "bias" && other.parent() == parent);
    Holder {
        container: &info.container,
        field: info.name(),
        fields: &info.siblings,
        bias: bias.map(ParameterInfo::count),
    }
}

/// All float parameters of a model in traversal order, those of adapters included.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use burn_goft::{Goft, GoftModule, parameters};
///
/// let linear = LinearConfig::new(8, 3).init(&Device::flex()).apply_goft(Goft::strict())?;
/// let paths: Vec<_> = parameters(&linear).into_iter().map(|info| info.path).collect();
/// assert_eq!(paths, ["weight", "weight.goft.angles", "bias"]);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn parameters<M: Module>(model: &M) -> Vec<ParameterInfo> {
    let mut infos = Vec::new();
    visit_parameters(model, |info, _| infos.push(info.clone()));
    infos
}

/// Calls `visit` for every float parameter of a model in traversal order, with a function that
/// gives its values in a row: those of the base where it carries an adapter, as floats where it is
/// packed.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use burn_goft::visit_parameters;
///
/// let linear = LinearConfig::new(8, 3).init(&Device::flex());
/// let mut largest = 0f32;
/// visit_parameters(&linear, |_, values| {
///     largest = largest.max(values().abs().max().into_scalar::<f32>());
/// });
/// assert!(largest > 0.0);
/// # }
/// ```
pub fn visit_parameters<M: Module>(
    model: &M,
    visit: impl FnMut(&ParameterInfo, &dyn Fn() -> Tensor<1>),
) {
    // What a struct holds is known when it is left, and its first parameter comes before.
    let mut fields = Fields::default();
    model.visit(&mut fields);
    model.visit(&mut Walker {
        place: Place::default(),
        fields: fields.by_parent,
        visit,
    });
}

/// The adapters of a model by the path of their target.
pub(crate) fn adapters<M: Module>(model: &M) -> BTreeMap<String, GoftAdapter> {
    let mut collector = Collector::default();
    model.visit(&mut collector);
    letterbox::close();
    collector.adapters
}

/// Changes each adapter of a model, by the path of its target.
pub(crate) fn map_adapters<M: Module>(
    model: M,
    change: impl FnMut(&str) -> Option<letterbox::Change>,
) -> M {
    let mut sender = Sender {
        place: Place::default(),
        change,
    };
    let model = model.map(&mut sender);
    letterbox::close();
    model
}

/// Switches all adapters of a model on or off.
pub(crate) fn set_enabled<M: Module>(model: M, enabled: bool) -> M {
    map_adapters(model, |_| {
        Some(Box::new(move |adapter: GoftAdapter| {
            adapter.enabled(enabled)
        }))
    })
}

/// The paths of parameters that never train, whatever they are asked: running statistics, which
/// burn records as parameters.
pub(crate) fn buffers<M: Module>(model: &M) -> BTreeSet<String> {
    struct Ask;
    impl ModuleMapper for Ask {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if param.base().dtype().is_float() {
                // What a mapper computed is no leaf.
                param.map(Tensor::detach).set_require_grad(true)
            } else {
                param
            }
        }
    }
    let infos = parameters(&model.clone().map(&mut Ask)).into_iter();
    let buffers = infos.filter(|info| !info.trainable && info.dtype.is_float() && info.is_model());
    buffers.map(|info| info.path).collect()
}

/// Where a traversal is in a model.
#[derive(Default)]
pub(crate) struct Place {
    names: Vec<String>,
    containers: Vec<String>,
    /// Depth at which the innermost reparameterization was entered, and its name.
    reparameterization: Option<(usize, String)>,
}

/// The container by which burn announces what is attached to a parameter.
const ATTACHED: &str = "Reparameterization";

impl Place {
    pub(crate) fn enter(&mut self, name: &str, container_type: &str) {
        if container_type == ATTACHED && self.reparameterization.is_none() {
            self.reparameterization = Some((self.names.len(), name.to_string()));
        }
        self.names.push(name.to_string());
        self.containers.push(container_type.to_string());
    }

    pub(crate) fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
        if matches!(&self.reparameterization, Some((depth, _)) if *depth == self.names.len()) {
            self.reparameterization = None;
        }
    }

    pub(crate) fn path(&self) -> String {
        self.names.join(".")
    }

    /// The path of the struct around what is visited.
    pub(crate) fn parent(&self) -> String {
        let depth = self.names.len().saturating_sub(1);
        self.names[..depth].join(".")
    }

    fn container(&self) -> String {
        self.containers.last().cloned().unwrap_or_default()
    }

    fn owner(&self) -> Owner {
        let Some((depth, name)) = &self.reparameterization else {
            return Owner::Model;
        };
        let target = self.names[..*depth].join(".");
        if name == GoftAdapter::NAME {
            let field = self.names[depth + 1..].join(".");
            Owner::Goft { target, field }
        } else {
            let name = name.clone();
            Owner::Other { target, name }
        }
    }

    /// The target, where one of this crate's adapters was entered just now.
    fn entered_adapter(&self) -> Option<String> {
        let (depth, name) = self.reparameterization.as_ref()?;
        let just_now = self.names.len() == depth + 1;
        (name == GoftAdapter::NAME && just_now).then(|| self.names[..*depth].join("."))
    }
}

/// The names of the fields of every struct.
#[derive(Default)]
struct Fields {
    place: Place,
    by_parent: BTreeMap<String, Vec<String>>,
}

impl ModuleVisitor for Fields {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        let parent = self.place.path();
        self.place.enter(name, container_type);
        if self.place.reparameterization.is_none() {
            let fields = self.by_parent.entry(parent).or_default();
            fields.push(name.to_string());
        }
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }
}

struct Walker<F> {
    place: Place,
    fields: BTreeMap<String, Vec<String>>,
    visit: F,
}

impl<F: FnMut(&ParameterInfo, &dyn Fn() -> Tensor<1>)> ModuleVisitor for Walker<F> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Not `lazy_shape`: a column-layout `Linear` has it transposed until it is initialized.
        let shape = param.shape().to_vec();
        let count: usize = shape.iter().product();
        let fields = self.fields.get(&self.place.parent());
        let info = ParameterInfo {
            path: self.place.path(),
            container: self.place.container(),
            shape,
            dtype: param.base().dtype(),
            device: param.lazy_device(),
            id: param.id,
            trainable: is_trainable(param),
            owner: self.place.owner(),
            siblings: fields.cloned().unwrap_or_default(),
        };
        (self.visit)(&info, &|| dense(param.base()).reshape([count]));
    }
}

/// Collects adapters as they are entered.
#[derive(Default)]
struct Collector {
    place: Place,
    adapters: BTreeMap<String, GoftAdapter>,
    /// The target whose adapter was asked.
    asked: Option<String>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
        if let Some(target) = self.place.entered_adapter() {
            self.asked = Some(target);
            letterbox::ask();
        }
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        if self.place.entered_adapter().is_some() {
            letterbox::close();
            if let (Some(target), Some(adapter)) = (self.asked.take(), letterbox::shown()) {
                self.adapters.insert(target, adapter);
            }
        }
        self.place.exit();
    }
}

/// Leaves a change for adapters as they are entered.
struct Sender<F> {
    place: Place,
    change: F,
}

impl<F: FnMut(&str) -> Option<letterbox::Change>> ModuleMapper for Sender<F> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
        if let Some(target) = self.place.entered_adapter()
            && let Some(change) = (self.change)(&target)
        {
            letterbox::send(change);
        }
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }
}
