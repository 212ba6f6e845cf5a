//! Running statistics: state that moves in a forward pass, outside of what is trained.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Int, Tensor};

use super::parameters::{ParameterInfo, Place, buffers, parameters};

/// The paths of running statistics that move in a forward pass of a model in training mode: those
/// that no frozen layer holds still.
pub(crate) fn moving<M: Module>(model: &M) -> BTreeSet<String> {
    let mut flags = Flags::default();
    model.visit(&mut flags);
    let parent = |path: &str| {
        path.rsplit_once('.')
            .map_or("", |(parent, _)| parent)
            .to_string()
    };
    // A struct without a flag updates its statistics whenever it is called.
    let moves = |path: &String| flags.on.get(&parent(path)).copied().unwrap_or(true);
    buffers(model).into_iter().filter(moves).collect()
}

/// Holds the statistics of layers still in which nothing is trained.
pub(crate) fn settle<M: Module>(model: M) -> M {
    let all = buffers(&model);
    if all.is_empty() {
        return model;
    }
    let infos = parameters(&model);
    let is_trained = |parent: &str| {
        infos
            .iter()
            .any(|info| info.trainable && info.parent() == parent)
    };
    let held = infos.iter().filter(|info| all.contains(&info.path));
    let held: BTreeSet<String> = held
        .map(ParameterInfo::parent)
        .filter(|parent| !is_trained(parent))
        .map(String::from)
        .collect();
    model.map(&mut Hold {
        place: Place::default(),
        held,
    })
}

/// The state of training flags by the struct that holds them.
#[derive(Default)]
struct Flags {
    place: Place,
    on: BTreeMap<String, bool>,
}

impl ModuleVisitor for Flags {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        // `valid` switches a flag off and keeps what `train` restores.
        let on = flag.clone().train().is_enabled();
        *self.on.entry(self.place.parent()).or_default() |= on;
    }
}

/// Switches off the training flags of some structs.
struct Hold {
    place: Place,
    held: BTreeSet<String>,
}

impl ModuleMapper for Hold {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        if self.held.contains(&self.place.parent()) {
            flag.with_value(false)
        } else {
            flag
        }
    }
}

/// The model with running statistics of its own. Clones of a burn module share them, and mapping
/// writes where they share, so a base would change with the model that is trained or loaded beside
/// it.
pub(crate) fn separate<M: Module>(model: M) -> M {
    if buffers(&model).is_empty() {
        return model;
    }
    // A validation snapshot makes new statistics, which nothing else in burn does. Into it go all
    // leaves of the model as they were; for statistics that writes their values.
    let fresh = model.valid();
    let fresh = if is_autodiff(&model) {
        fresh.train()
    } else {
        fresh
    };
    let mut originals = Originals::default();
    model.visit(&mut originals);
    fresh.map(&mut originals)
}

fn is_autodiff<M: Module>(model: &M) -> bool {
    let infos = parameters(model);
    infos.iter().any(|info| info.device.is_autodiff())
}

/// All leaves of a model in traversal order.
#[derive(Default)]
struct Originals(VecDeque<Box<dyn Any>>);

impl Originals {
    fn next<T: 'static>(&mut self, other: T) -> T {
        drop(other);
        let original = self.0.pop_front().and_then(|leaf| leaf.downcast().ok());
        *original.expect("a module is mapped in the order in which it is visited")
    }
}

impl ModuleVisitor for Originals {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push_back(Box::new(param.clone()));
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.0.push_back(Box::new(param.clone()));
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.0.push_back(Box::new(param.clone()));
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.0.push_back(Box::new(flag.clone()));
    }
}

impl ModuleMapper for Originals {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.next(param)
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.next(param)
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        self.next(param)
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.next(flag)
    }
}
