//! The methods, a row each.

use burn::module::{Lora, Module, ModuleMapper, Param, ParamGroup};
use burn::tensor::{Tensor, TensorData};
use burn_goft::{Goft, GoftModule, NormScale, Oft};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::classifier::Classifier;
use crate::error::Error;
use crate::parameters::{self, Parameter};

/// A way to fine-tune: what it can be applied to, how it is attached, and how it trains by default.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// As the command line spells it.
    pub name: &'static str,
    /// What it trains beside the head.
    pub summary: &'static str,
    /// Peak learning rate of what is trained in the encoder.
    pub learning_rate: f64,
    /// Peak learning rate of the head, which starts at random whatever the method.
    pub head_learning_rate: f64,
    /// Strength of the orthogonality penalty, where the method has one.
    pub penalty: Option<f64>,
    /// What its targets are called in messages; none if it takes none.
    what: Option<&'static str>,
    /// Which parameters it can be applied to.
    eligible: fn(&Parameter) -> bool,
    attach: fn(Classifier, &Attachment) -> Result<Classifier, Error>,
    /// What its file is.
    pub(crate) file: FileKind,
}

/// How the trained parameters are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// By `save_goft`, which attaches by itself.
    Goft,
    /// The tensors by path; the method is attached first.
    Tensors,
}

/// What attaching needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    /// Paths of the parameters the method is applied to.
    pub(crate) paths: Vec<String>,
    /// Rank of LoRA.
    pub(crate) rank: usize,
    pub(crate) seed: u64,
}

/// All methods. A new one is a row.
///
/// Each learning rate, the head's along with the encoder's, has the highest mean accuracy over two searches with a 6-layer encoder
/// (all-MiniLM-L6-v2) on sentences of movie reviews: 392 to learn from in 40 steps of 16, 168 others to validate, three rates half
/// a decade apart; then 394 and 286 others, and five rates, so that no rate is at the edge of what was tried. It is one seed each: a
/// neighbouring rate may do as well (`goft` at 5e-2, tried in the second search only, had one sentence more), and a longer training
/// may want a smaller one. Angles are in radians and want larger steps than weights.
pub const METHODS: [Method; 8] = [
    Method {
        name: "linear-probe",
        summary: "nothing: the encoder stays as it is",
        learning_rate: 0.0,
        head_learning_rate: 3e-2,
        penalty: None,
        what: None,
        eligible: |_| false,
        attach: |model, _| Ok(train_only(model, &[])),
        file: FileKind::Tensors,
    },
    Method {
        name: "bitfit",
        summary: "the biases of the encoder",
        learning_rate: 3e-3,
        head_learning_rate: 3e-3,
        penalty: None,
        what: Some("bias of the encoder"),
        eligible: Parameter::is_bias,
        attach: |model, how| Ok(train_only(model, &how.paths)),
        file: FileKind::Tensors,
    },
    Method {
        name: "full",
        summary: "the whole encoder",
        learning_rate: 3e-4,
        head_learning_rate: 9e-3,
        penalty: None,
        what: Some("parameter of the encoder"),
        eligible: Parameter::is_pretrained,
        attach: |model, how| Ok(train_only(model, &how.paths)),
        file: FileKind::Tensors,
    },
    Method {
        name: "lora",
        summary: "two factors of low rank beside each linear weight",
        learning_rate: 3e-3,
        head_learning_rate: 9e-3,
        penalty: None,
        what: Some(WEIGHT),
        eligible: Parameter::is_weight,
        attach: attach_lora,
        file: FileKind::Tensors,
    },
    Method {
        name: "goft",
        summary: "a rotation of each linear weight",
        learning_rate: 1.5e-2,
        head_learning_rate: 9e-3,
        penalty: None,
        what: Some(WEIGHT),
        eligible: Parameter::is_weight,
        attach: |model, how| attach_goft(model, how, Goft::strict()),
        file: FileKind::Goft,
    },
    Method {
        name: "goft-star",
        summary: "a rotation of each linear weight, and the norms of its neurons",
        learning_rate: 1.5e-2,
        head_learning_rate: 9e-3,
        penalty: None,
        what: Some(WEIGHT),
        eligible: Parameter::is_weight,
        attach: |model, how| {
            let goft = Goft::strict().with_norm_scale(NormScale::Neuron);
            attach_goft(model, how, goft)
        },
        file: FileKind::Goft,
    },
    Method {
        name: "qgoft",
        summary: "a quasi-orthogonal transform of each linear weight",
        learning_rate: 9e-3,
        head_learning_rate: 9e-3,
        penalty: Some(1e-3),
        what: Some(WEIGHT),
        eligible: Parameter::is_weight,
        attach: |model, how| attach_goft(model, how, Goft::quasi()),
        file: FileKind::Goft,
    },
    Method {
        name: "oft",
        summary: "a rotation of each linear weight, in blocks of 32",
        learning_rate: 1e-3,
        head_learning_rate: 3e-3,
        penalty: None,
        what: Some(WEIGHT),
        eligible: Parameter::is_weight,
        attach: |model, how| attach_goft(model, how, Goft::oft(Oft::exact(32))),
        file: FileKind::Goft,
    },
];

const WEIGHT: &str = "linear weight of the encoder";

impl Method {
    /// The method of a name.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] with the names there are.
    pub fn named(name: &str) -> Result<&'static Self, Error> {
        let found = METHODS.iter().find(|method| method.name == name);
        found.ok_or_else(|| {
            let names: Vec<_> = METHODS.iter().map(|method| method.name).collect();
            Error::Settings(format!(
                "no method is called `{name}`; choose one of {}",
                names.join(", ")
            ))
        })
    }

    pub(crate) fn trains_head_only(&self) -> bool {
        self.what.is_none()
    }

    /// The paths that globs choose; without globs, all that the method can be applied to.
    pub(crate) fn targets(
        &self,
        model: &Classifier,
        globs: &[String],
    ) -> Result<Vec<String>, Error> {
        let mut candidates = parameters::list(model);
        candidates.retain(self.eligible);
        match (globs.is_empty(), self.what) {
            (true, _) => Ok(candidates.into_iter().map(|c| c.path).collect()),
            (false, Some(what)) => parameters::matching(&candidates, globs, what),
            (false, None) => Err(Error::Settings(format!(
                "`{}` trains the head only and takes no targets; leave them out",
                self.name
            ))),
        }
    }

    /// Attaches the method; the head is trained as well, everything else is frozen.
    pub(crate) fn attach(&self, model: Classifier, how: &Attachment) -> Result<Classifier, Error> {
        (self.attach)(model, how)
    }
}

fn head() -> ParamGroup {
    ParamGroup::from_paths(vec!["head.weight", "head.bias"])
}

fn train_only(model: Classifier, paths: &[String]) -> Classifier {
    let chosen = ParamGroup::from_paths(paths.to_vec());
    let frozen = model.no_grad();
    frozen.unfreeze_group(head()).unfreeze_group(chosen)
}

fn attach_goft(model: Classifier, how: &Attachment, goft: Goft) -> Result<Classifier, Error> {
    let goft = goft.with_targets(how.paths.clone());
    Ok(model.apply_goft(goft.with_trainable(["head.*"]))?)
}

/// Scale `alpha / rank` is 2.
fn attach_lora(model: Classifier, how: &Attachment) -> Result<Classifier, Error> {
    let smallest = parameters::list(&model)
        .into_iter()
        .filter(|p| how.paths.contains(&p.path));
    let smallest = smallest.filter_map(|p| Some((*p.shape.iter().min()?, p)));
    if let Some((most, target)) = smallest.min_by_key(|(most, _)| *most)
        && how.rank > most
    {
        return Err(Error::Settings(format!(
            "asked for LoRA of rank {}, and `{}` is {:?}: no matrix has a rank above its smaller side; take 1 to {most}",
            how.rank, target.path, target.shape
        )));
    }
    let lora = Lora::new(how.rank, 2.0 * how.rank as f64);
    let chosen = ParamGroup::from_paths(how.paths.clone());
    let model = model.apply_lora(lora.set_param_group(chosen));
    let mut factors = FirstFactors {
        names: Vec::new(),
        random: StdRng::seed_from_u64(how.seed),
    };
    Ok(model.map(&mut factors).unfreeze_group(head()))
}

/// Draws LoRA's first factors again, from the run's own seed instead of the device's shared generator: uniform within
/// `1 / sqrt(d_input)`, as PEFT does.
struct FirstFactors {
    names: Vec<String>,
    random: StdRng,
}

impl ModuleMapper for FirstFactors {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.names.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.names.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.names.ends_with(&["lora".into(), "a".into()]) {
            return param;
        }
        param.map(|old| {
            let shape = old.shape();
            let bound = 1.0 / (shape[0] as f32).sqrt();
            let count = shape.num_elements();
            let values = (0..count).map(|_| self.random.random_range(-bound..bound));
            let data = TensorData::new(values.collect::<Vec<f32>>(), shape);
            let new = Tensor::<D>::from_data(data, (&old.device(), old.dtype()));
            if old.is_require_grad() {
                new.require_grad()
            } else {
                new
            }
        })
    }
}
