//! The contents of an adapter file, whether read, received as bytes or taken from a model.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::ParamId;
use burn::tensor::TensorData;

use super::fingerprint::Fingerprint;
use crate::adapter::Site;
use crate::error::{Error, Origin, Problem};

/// An adapter as files hold it: parameters, what they belong to, and fingerprints of the base.
/// Intact and finite.
///
/// [`save_adapters`](crate::GoftModule::save_adapters) and
/// [`load_adapters`](crate::GoftModule::load_adapters) are the short way for paths. In memory an
/// adapter file serves where there are no files, as in a browser, and undoes a merge.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use burn_goft::{AdapterFile, Goft, GoftModule};
///
/// let base = LinearConfig::new(8, 3).init(&Device::flex());
/// let model = base.clone().apply_goft(Goft::strict().with_init_std(0.5))?;
/// let bytes = AdapterFile::capture(&model)?.to_bytes()?;
///
/// let file = AdapterFile::from_bytes(&bytes)?;
/// file.check(&base)?; // a dry run
/// let loaded = base.load_adapters(file)?;
/// assert_eq!(loaded.weight.val().into_data(), model.weight.val().into_data());
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterFile {
    pub(super) origin: Origin,
    /// The site of every adapted weight by path.
    pub(super) targets: BTreeMap<String, Site>,
    /// Every tensor by name.
    pub(super) tensors: BTreeMap<String, Entry>,
    /// Which of the tensors are running statistics.
    pub(super) buffers: BTreeSet<String>,
    /// Fingerprints of what is not in the file, by path.
    pub(super) bases: BTreeMap<String, Fingerprint>,
    pub(super) any_base: bool,
}

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) data: TensorData,
    /// The id that its parameter had.
    pub(super) id: Option<ParamId>,
}

impl AdapterFile {
    /// For a model that holds the trained one in a field: every path gets `prefix` and a dot in
    /// front.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{module::Module, nn::{Linear, LinearConfig}, tensor::Device};
    /// use burn_goft::{AdapterFile, Goft, GoftModule};
    ///
    /// #[derive(Module, Debug)]
    /// struct Wrapped {
    ///     inner: Linear,
    /// }
    ///
    /// let inner = LinearConfig::new(8, 3).init(&Device::flex());
    /// let file = AdapterFile::capture(&inner.clone().apply_goft(Goft::strict())?)?;
    /// let wrapped = Wrapped { inner }.load_adapters(file.under("inner"))?;
    /// assert_eq!(wrapped.adapters().keys().collect::<Vec<_>>(), ["inner.weight"]);
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        self.renamed(|path| {
            Some(match path {
                // A lone parameter has an empty path.
                "" => prefix.to_string(),
                path => format!("{prefix}.{path}"),
            })
        })
    }

    /// For the model in a field of the trained one: only what is under `prefix` and a dot, without
    /// it. If nothing is, loading the file is an error ([`is_mismatch`](Error::is_mismatch)).
    #[must_use]
    pub fn inside(self, prefix: &str) -> Self {
        self.renamed(|path| {
            if path == prefix {
                return Some(String::new());
            }
            let rest = path.strip_prefix(prefix)?.strip_prefix('.')?;
            Some(rest.to_string())
        })
    }

    fn renamed(self, rename: impl Fn(&str) -> Option<String>) -> Self {
        fn keys<V>(
            map: BTreeMap<String, V>,
            rename: &impl Fn(&str) -> Option<String>,
        ) -> BTreeMap<String, V> {
            let renamed = map.into_iter();
            renamed
                .filter_map(|(path, value)| Some((rename(&path)?, value)))
                .collect()
        }
        // A parameter's name is that of its target and more: one rule fits both.
        Self {
            targets: keys(self.targets, &rename),
            tensors: keys(self.tensors, &rename),
            bases: keys(self.bases, &rename),
            buffers: self
                .buffers
                .iter()
                .filter_map(|path| rename(path))
                .collect(),
            ..self
        }
    }

    /// For a base that is not the one of the training: fingerprints are not compared. Shapes still
    /// are.
    #[must_use]
    pub fn for_any_base(self) -> Self {
        Self {
            any_base: true,
            ..self
        }
    }

    /// For a second layer of one model, or a training that starts anew: parameters get new ids, and
    /// an optimizer's record does not know them.
    #[must_use]
    pub fn with_new_ids(mut self) -> Self {
        for entry in self.tensors.values_mut() {
            entry.id = None;
        }
        self
    }

    /// Paths of the adapted weights.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str)
    }

    /// Which axis of which shape is rotated in an adapted weight; none for another path.
    pub fn site(&self, target: &str) -> Option<&Site> {
        self.targets.get(target)
    }

    /// Paths of what the file does not hold and knows by a fingerprint: adapted weights, and
    /// everything that was frozen.
    pub fn bases(&self) -> impl Iterator<Item = &str> {
        self.bases.keys().map(String::as_str)
    }

    /// What was trained beside the adapters, and running statistics, by path.
    pub fn values(&self) -> impl Iterator<Item = (&str, &TensorData)> {
        self.kept()
            .map(|(path, entry)| (path.as_str(), &entry.data))
    }

    /// Names of all tensors: parameters of adapters, parameters trained beside them, and running
    /// statistics.
    pub fn tensors(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(super) fn mismatch(&self, reason: String) -> Error {
        Problem::Mismatch {
            origin: self.origin.clone(),
            reason,
        }
        .into()
    }

    /// `target.goft.field` into target and field. A kept parameter may have `goft` in its path too,
    /// so the target must be one.
    pub(super) fn split<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        // A lone parameter has an empty path.
        let lone = || Some(("", name.strip_prefix("goft.")?));
        let parts = name.rsplit_once(".goft.").or_else(lone);
        parts.filter(|(target, _)| self.targets.contains_key(*target))
    }

    /// The tensors that are not of adapters: parameters trained beside them, and running
    /// statistics.
    pub(super) fn kept(&self) -> impl Iterator<Item = (&String, &Entry)> {
        let tensors = self.tensors.iter();
        tensors.filter(|(name, _)| self.split(name).is_none())
    }
}
