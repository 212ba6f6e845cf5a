//! The parameters of a model by path.

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::tensor::Tensor;
use globset::Glob;

use crate::error::Error;

/// What is known of a float parameter without reading its values.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) path: String,
    pub(crate) id: ParamId,
    pub(crate) shape: Vec<usize>,
    pub(crate) count: usize,
    pub(crate) trained: bool,
    is_linear: bool,
}

impl Parameter {
    pub(crate) fn is_head(&self) -> bool {
        self.path.starts_with("head.")
    }

    /// The matrix of a linear layer of the encoder.
    pub(crate) fn is_weight(&self) -> bool {
        self.is_linear && self.path.ends_with(".weight") && !self.is_head()
    }

    /// A vector that is added, in a linear layer or in a layer norm of the encoder.
    pub(crate) fn is_bias(&self) -> bool {
        !self.is_head() && (self.path.ends_with(".bias") || self.path.ends_with(".beta"))
    }

    /// Whether it belongs to the pretrained encoder.
    pub(crate) fn is_pretrained(&self) -> bool {
        !self.is_head()
    }
}

/// Visits every float parameter with its path.
pub(crate) fn visit<M: Module>(model: &M, see: &mut impl See) {
    struct Walk<'a, S> {
        names: Vec<String>,
        containers: Vec<String>,
        see: &'a mut S,
    }
    impl<S: See> ModuleVisitor for Walk<'_, S> {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.names.push(name.into());
            self.containers.push(container_type.into());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.names.pop();
            self.containers.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let container = self.containers.last().map_or("", String::as_str);
            self.see.see(&self.names.join("."), container, param);
        }
    }
    model.visit(&mut Walk {
        names: Vec::new(),
        containers: Vec::new(),
        see,
    });
}

/// What is done with each parameter.
pub(crate) trait See {
    fn see<const D: usize>(&mut self, path: &str, container: &str, param: &Param<Tensor<D>>);
}

/// All float parameters in the order of the fields.
pub(crate) fn list<M: Module>(model: &M) -> Vec<Parameter> {
    struct List(Vec<Parameter>);
    impl See for List {
        fn see<const D: usize>(&mut self, path: &str, container: &str, param: &Param<Tensor<D>>) {
            self.0.push(Parameter {
                path: path.into(),
                id: param.id,
                shape: param.shape().to_vec(),
                count: param.shape().num_elements(),
                trained: param.is_require_grad(),
                is_linear: container == "Struct:Linear",
            });
        }
    }
    let mut list = List(Vec::new());
    visit(model, &mut list);
    list.0
}

/// The parameters that training changes.
pub(crate) fn trained<M: Module>(model: &M) -> ParamGroup {
    let trained = list(model).into_iter().filter(|p| p.trained);
    ParamGroup::from_ids(trained.map(|p| p.id).collect())
}

/// The first parameter that holds NaN or infinity.
pub(crate) fn first_not_finite<M: Module>(model: &M) -> Option<String> {
    struct First(Option<String>);
    impl See for First {
        fn see<const D: usize>(&mut self, path: &str, _container: &str, param: &Param<Tensor<D>>) {
            if self.0.is_none() {
                let finite = param.base().detach().is_finite().all();
                if !finite.into_scalar::<bool>() {
                    self.0 = Some(path.into());
                }
            }
        }
    }
    let mut first = First(None);
    visit(model, &mut first);
    first.0
}

/// The paths that match any of the globs, in the model's order. A glob that matches none is refused.
pub(crate) fn matching(
    candidates: &[Parameter],
    globs: &[String],
    what: &str,
) -> Result<Vec<String>, Error> {
    let mut chosen = vec![false; candidates.len()];
    for glob in globs {
        let matcher = Glob::new(glob).map_err(|error| {
            Error::Settings(format!("`{glob}` is not a valid glob: {}", error.kind()))
        })?;
        let matcher = matcher.compile_matcher();
        let mut any = false;
        for (chosen, candidate) in chosen.iter_mut().zip(candidates) {
            let matches = matcher.is_match(&candidate.path);
            *chosen |= matches;
            any |= matches;
        }
        if !any {
            let shown = candidates.iter().take(6).map(|c| format!("`{}`", c.path));
            let shown = shown.collect::<Vec<_>>().join(", ");
            return Err(Error::Settings(format!(
                "the target `{glob}` matches no {what}; there are {} of them, {shown} and so on; `*` stands for any part",
                candidates.len()
            )));
        }
    }
    let kept = candidates.iter().zip(chosen).filter(|(_, chosen)| *chosen);
    Ok(kept.map(|(candidate, _)| candidate.path.clone()).collect())
}
