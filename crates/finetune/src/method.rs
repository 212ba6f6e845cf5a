//! A way to fine-tune.

use burn::module::{Module, ParamGroup};
use burn::tensor::DType;
use burn_goft::{Goft, GoftModule, parameters};

use crate::attachment::Attachment;
use crate::error::Error;
use crate::lora;
use crate::rates::{Decline, Rates};
use crate::start;
use crate::targets::Targets;
use crate::task::Body;

/// A way to fine-tune: what it can be applied to, how it is attached, and how it trains by default.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// As command lines spell it.
    pub name: &'static str,
    /// What it trains beside the heads; `{body}` stands for what the body is called.
    pub(crate) summary: &'static str,
    /// Peak learning rate of what is trained in the body, for a short training.
    pub learning_rate: f64,
    /// Peak learning rate of the heads, which start at random whatever the method, for a short
    /// training.
    pub head_learning_rate: f64,
    /// Strength of the orthogonality penalty, where the method has one.
    pub penalty: Option<f64>,
    /// What becomes of the two rates in a longer training.
    pub longer: Decline,
    /// Whether [`Attachment::rank`] is looked at.
    pub has_rank: bool,
    /// Which parameters it can be applied to.
    pub(crate) targets: Targets,
    pub(crate) attach: Attach,
}

/// How a method is attached to its targets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attach {
    /// The targets themselves are trained.
    Targets,
    /// burn's factors stand beside the targets.
    Lora,
    /// An adapter of the library transforms the targets. Its file is the library's and attaches
    /// by itself.
    Adapter(fn(&Attachment) -> Goft),
}

impl Method {
    /// What the method trains beside the heads, in words.
    pub fn summary(&self, body: &Body) -> String {
        self.summary.replace("{body}", body.name)
    }

    /// Whether the body stays as it is.
    pub fn trains_heads_only(&self) -> bool {
        matches!(self.targets, Targets::None)
    }

    /// The default rates for a training of so many updates.
    ///
    /// ```
    /// use burn_goft_finetune::Method;
    ///
    /// let goft = Method::named("goft")?;
    /// assert_eq!(goft.rates(60).body, 1.5e-2);
    /// assert_eq!(goft.rates(200).body, 7.5e-3);
    /// # Ok::<(), burn_goft_finetune::Error>(())
    /// ```
    pub fn rates(&self, steps: usize) -> Rates {
        let factor = self.longer.factor(steps);
        Rates {
            body: factor * self.learning_rate,
            head: factor * self.head_learning_rate,
            penalty: self.penalty,
        }
    }

    /// The paths that globs choose; without globs, all that the method can be applied to.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] for an invalid glob, or one that matches nothing, for globs where the
    /// method takes none, and for a method that trains the parameters themselves where one is packed or
    /// of half precision.
    pub fn targets<M: Module>(
        &self,
        model: &M,
        body: &Body,
        globs: &[String],
    ) -> Result<Vec<String>, Error> {
        if self.trains_heads_only() && !globs.is_empty() {
            return Err(Error::Settings(format!(
                "`{}` trains the head only and takes no targets; leave them out",
                self.name
            )));
        }
        let chosen = self.targets.choose(model, body, globs)?;
        if matches!(self.attach, Attach::Targets) {
            refuse_low_precision(model, &chosen, self.name)?;
        }
        Ok(chosen)
    }

    /// Attaches the method; the heads are trained as well, everything else is frozen.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] for a rank that no target has; [`Error::Goft`] from the adapter.
    pub fn attach<M: Module>(&self, model: M, body: &Body, how: &Attachment) -> Result<M, Error> {
        let every = parameters(&model).into_iter().map(|known| known.path);
        let heads = ParamGroup::from_paths(every.filter(|path| body.is_head(path)).collect());
        match self.attach {
            Attach::Targets => {
                let chosen = ParamGroup::from_paths(how.paths.clone());
                let frozen = model.no_grad();
                Ok(frozen.unfreeze_group(heads).unfreeze_group(chosen))
            }
            Attach::Lora => Ok(lora::attach(model, how)?.unfreeze_group(heads)),
            Attach::Adapter(settings) => {
                let goft = settings(how).with_targets(how.paths.clone());
                let heads = body.heads.iter().map(|head| format!("{head}.*"));
                let model = model.apply_goft(goft.with_trainable(heads))?;
                Ok(start::draw_again(model, how.seed))
            }
        }
    }
}

/// Updates of a training are too small for the steps between numbers of half precision.
fn refuse_low_precision<M: Module>(model: &M, chosen: &[String], name: &str) -> Result<(), Error> {
    let low = parameters(model).into_iter().find(|known| {
        chosen.contains(&known.path) && !matches!(known.dtype, DType::F32 | DType::F64)
    });
    match low {
        None => Ok(()),
        Some(low) => Err(Error::Settings(format!(
            "`{name}` trains `{}` itself, which is kept in {:?}; keep the model in f32, or take a method that trains an adapter",
            low.path, low.dtype
        ))),
    }
}
