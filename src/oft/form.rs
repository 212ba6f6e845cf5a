//! The form as files spell it and visitors meet it.

use burn::module::{
    Content, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
    ParamId,
};

use super::Oft;

/// The id under which a form shows itself to a visitor, with block size and terms in its lower bits.
const MARK: u64 = 0x6f66_7400_0000_0000;
const MARK_BITS: u64 = 0xffff_ff00_0000_0000;
const TERMS_BITS: u32 = 12;

impl Oft {
    /// The name of the skew parameters in a file: what a reader of it must know of the form.
    pub(crate) fn field(&self) -> String {
        match self.neumann_terms {
            None => format!("skew_b{}", self.block_size),
            Some(terms) => format!("skew_b{}_k{terms}", self.block_size),
        }
    }

    /// The form of such a name.
    pub(crate) fn of_field(field: &str) -> Option<Self> {
        let numbers = field.strip_prefix("skew_b")?;
        let (size, terms) = match numbers.split_once("_k") {
            None => (numbers, None),
            Some((size, terms)) => (size, Some(terms.parse().ok()?)),
        };
        let form = Self {
            block_size: size.parse().ok()?,
            neumann_terms: terms,
        };
        // One spelling for each form, and none that does not work.
        (form.check().is_ok() && form.field() == field).then_some(form)
    }

    /// What is wrong with the numbers, if something is.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let sizes = 2..1 << 28;
        let terms = 1..(1 << TERMS_BITS) - 1;
        if !sizes.contains(&self.block_size) {
            return Err("a block needs a size of at least 2, such as 32");
        }
        match self.neumann_terms {
            Some(k) if !terms.contains(&k) => {
                Err("a Neumann series needs at least 1 term, such as 5")
            }
            _ => Ok(()),
        }
    }

    /// The form that a visited flag stands for.
    pub(crate) fn read(flag: &Param<Flag>) -> Option<Self> {
        let id = flag.id.val();
        if id & MARK_BITS != MARK {
            return None;
        }
        let number = id & !MARK_BITS;
        let terms = (number & ((1 << TERMS_BITS) - 1)) as usize;
        Some(Self {
            block_size: (number >> TERMS_BITS) as usize,
            neumann_terms: terms.checked_sub(1),
        })
    }

    fn flag(&self) -> Param<Flag> {
        let terms = self.neumann_terms.map_or(0, |terms| terms as u64 + 1);
        let number = ((self.block_size as u64) << TERMS_BITS) | terms;
        Param::initialized(ParamId::from(MARK | number), Flag::new(true))
    }
}

/// A constant of its adapter. A visitor sees only parameters and flags: it shows itself as a flag, which nobody can set.
impl Module for Oft {
    without_tensors!();

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_flag(&self.flag());
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        mapper.map_flag(self.flag());
        self
    }
}

impl ModuleDisplayDefault for Oft {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&self.field()).optional()
    }
}

impl ModuleDisplay for Oft {}
