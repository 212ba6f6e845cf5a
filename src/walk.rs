//! One traversal for everything that reads a model: which parameters there are, which carry an adapter, and their values.

use std::collections::BTreeMap;

use burn::module::{Flag, Module, ModuleVisitor, Param, Reparameterization};
use burn::tensor::{DType, Device, Tensor};

use crate::adapter::GoftAdapter;
use crate::oft::Oft;
use crate::switch::Switch;

/// A float parameter of a model.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Path with dots; for an adapter's own parameter `target.goft.field`.
    pub(crate) path: String,
    /// The struct that holds the parameter, as burn names it: `Struct:Linear`.
    pub(crate) container: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) device: Device,
    /// What the parameter belongs to.
    pub(crate) owner: Owner,
    /// All values in a row, if the walk wanted them.
    pub(crate) values: Option<Tensor<1>>,
    /// Whether the optimizer sees it (in training mode, or once back in it).
    pub(crate) trainable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    Model,
    /// A parameter of our adapter on `target`.
    Goft {
        target: String,
        field: String,
    },
    /// A parameter of another reparameterization.
    Other {
        target: String,
        name: String,
    },
}

impl Entry {
    pub(crate) fn goft(&self) -> Option<(&str, &str)> {
        match &self.owner {
            Owner::Goft { target, field } => Some((target, field)),
            _ => None,
        }
    }
}

/// All float parameters of a model in traversal order.
pub(crate) fn entries<M: Module>(model: &M, want: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let mut walker = Walker {
        names: Vec::new(),
        containers: Vec::new(),
        reparameterization: None,
        oft: None,
        entries: Vec::new(),
        want,
    };
    model.visit(&mut walker);
    walker.entries
}

/// Whether any adapter of the model is switched off.
pub(crate) fn any_switched_off<M: Module>(model: &M) -> bool {
    struct Off(bool);
    impl ModuleVisitor for Off {
        fn visit_flag(&mut self, flag: &Param<Flag>) {
            self.0 |= Switch::read(flag) == Some(false);
        }
    }
    let mut off = Off(false);
    model.visit(&mut off);
    off.0
}

/// The adapters of a model by target path, rebuilt around their current values, without autodiff.
pub(crate) fn adapters<M: Module>(model: &M) -> BTreeMap<String, GoftAdapter> {
    let mut adapters = BTreeMap::new();
    for entry in entries(model, |entry| entry.goft().is_some()) {
        let Some((target, field)) = entry.goft() else {
            continue;
        };
        let adapter = adapters
            .entry(target.to_string())
            .or_insert_with(GoftAdapter::empty);
        let values = entry.values.clone().expect("the walk wanted it");
        let known = adapter.set(field, values.without_autodiff(), &entry.shape);
        debug_assert!(known, "the adapter has a field {field} that it cannot set");
    }
    adapters
}

/// Where a mapper is in a model.
#[derive(Default)]
pub(crate) struct Place {
    names: Vec<String>,
    in_adapter: bool,
    oft: Option<Oft>,
}

impl Place {
    pub(crate) fn enter(&mut self, name: &str, container_type: &str) {
        self.names.push(name.to_string());
        self.in_adapter |= container_type == "Reparameterization";
    }

    pub(crate) fn exit(&mut self, container_type: &str) {
        self.names.pop();
        if container_type == "Reparameterization" {
            (self.in_adapter, self.oft) = (false, None);
        }
    }

    /// To be told of every flag: the form of an OFT adapter is one.
    pub(crate) fn meet(&mut self, flag: &Param<Flag>) {
        if self.in_adapter {
            self.oft = Oft::read(flag).or(self.oft);
        }
    }

    /// The path of the parameter here, as files spell it.
    pub(crate) fn path(&self) -> String {
        named(self.names.join("."), self.oft)
    }

    /// The form, if the parameter here is the skew parameters of an OFT adapter.
    pub(crate) fn oft_of_skew(&self) -> Option<Oft> {
        self.oft
            .filter(|_| self.names.last().is_some_and(|name| name == "skew"))
    }
}

/// The name of a parameter in files: that of OFT's has the form in it.
fn named(path: String, oft: Option<Oft>) -> String {
    match (oft, path.strip_suffix("skew")) {
        (Some(form), Some(start)) => format!("{start}{}", form.field()),
        _ => path,
    }
}

struct Walker<F> {
    names: Vec<String>,
    containers: Vec<String>,
    /// Depth at which the innermost reparameterization was entered, and its name.
    reparameterization: Option<(usize, String)>,
    /// The form of the adapter that was entered.
    oft: Option<Oft>,
    entries: Vec<Entry>,
    want: F,
}

impl<F: Fn(&Entry) -> bool> Walker<F> {
    fn owner(&self) -> Owner {
        match &self.reparameterization {
            None => Owner::Model,
            Some((depth, name)) => {
                let target = self.names[..*depth].join(".");
                if name == GoftAdapter::NAME {
                    let field = self.names[depth + 1..].join(".");
                    Owner::Goft {
                        target,
                        field: named(field, self.oft),
                    }
                } else {
                    let name = name.clone();
                    Owner::Other { target, name }
                }
            }
        }
    }
}

impl<F: Fn(&Entry) -> bool> ModuleVisitor for Walker<F> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if container_type == "Reparameterization" && self.reparameterization.is_none() {
            self.reparameterization = Some((self.names.len(), name.to_string()));
        }
        self.names.push(name.to_string());
        self.containers.push(container_type.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.names.pop();
        self.containers.pop();
        if matches!(&self.reparameterization, Some((depth, _)) if *depth == self.names.len()) {
            self.reparameterization = None;
            self.oft = None;
        }
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        if self.reparameterization.is_some() {
            self.oft = Oft::read(flag).or(self.oft);
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let mut entry = Entry {
            path: named(self.names.join("."), self.oft),
            container: self.containers.last().cloned().unwrap_or_default(),
            // Not `lazy_shape`: a column-layout `Linear` has it transposed until it is initialised.
            shape: param.shape().to_vec(),
            device: param.lazy_device(),
            owner: self.owner(),
            values: None,
            trainable: is_trainable(param),
        };
        if (self.want)(&entry) {
            let value = param.base();
            let value = match value.dtype() {
                DType::QFloat(_) => value.dequantize(),
                _ => value,
            };
            entry.values = Some(value.reshape([entry.shape.iter().product::<usize>()]));
        }
        self.entries.push(entry);
    }
}

/// `valid` clears the tensor's own state and keeps the setting in the parameter, from where only `train` reads it.
fn is_trainable<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    if !cfg!(feature = "autodiff") || param.lazy_device().is_autodiff() {
        return param.is_require_grad();
    }
    if param.lazy_shape().num_elements() == 0 {
        return true;
    }
    Module::train(param.clone()).is_require_grad()
}
