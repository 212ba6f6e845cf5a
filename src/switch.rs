//! An on / off state that lives inside an adapter and follows value semantics: a clone has its own.
//!
//! A mapper reaches an attached adapter only through the parameters it maps, and a recorded parameter would put a runtime
//! state into every checkpoint. burn's flags are not recorded, but `valid`, `freeze` and `unfreeze` set them. So the switch
//! offers the mapper a flag that exists only for the call, and obeys only an answer signed with [`SIGNATURE`].

use burn::module::{
    Content, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
    ParamId,
};
/// The id that marks an answer as meant for the switch. Mappers of burn keep the id they are given.
const SIGNATURE: u64 = 0x676f_6674_5f6f_6e21;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch {
    on: bool,
}

impl Switch {
    pub(crate) fn new(on: bool) -> Self {
        Self { on }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Whether a visited flag is a switch, and if so, whether it is on.
    pub(crate) fn read(flag: &Param<Flag>) -> Option<bool> {
        (flag.id == ParamId::from(!SIGNATURE)).then(|| flag.is_enabled())
    }

    fn question(&self) -> Param<Flag> {
        Param::initialized(ParamId::from(!SIGNATURE), Flag::new(self.on))
    }
}

/// Sets every switch of a module.
pub(crate) struct Flip(pub(crate) bool);

impl ModuleMapper for Flip {
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        if flag.id == ParamId::from(!SIGNATURE) {
            Param::initialized(ParamId::from(SIGNATURE), Flag::new(self.0))
        } else {
            flag
        }
    }
}

impl Module for Switch {
    without_tensors!();

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_flag(&self.question());
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let answer = mapper.map_flag(self.question());
        if answer.id == ParamId::from(SIGNATURE) {
            Self::new(answer.is_enabled())
        } else {
            self
        }
    }
}

impl ModuleDisplayDefault for Switch {
    fn content(&self, content: Content) -> Option<Content> {
        let state = if self.on { "on" } else { "off" };
        content.add_formatted(&state.to_string()).optional()
    }
}

impl ModuleDisplay for Switch {}
