//! One error: what was asked, what was found, what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// Everything that can go wrong with settings, models and files.
///
/// The message says what was asked, what was found and what to do; the predicates tell cases apart
/// for programs. A programmer's mistake in a shape panics instead; see each function.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use burn_goft::{Goft, GoftModule};
///
/// let linear = LinearConfig::new(4, 4).init(&Device::flex());
/// let error = linear.apply_goft(Goft::strict().with_targets(["*.query.weight"])).unwrap_err();
/// assert!(error.is_no_match());
/// assert!(error.to_string().contains("the model has `weight`"));
/// # }
/// ```
pub struct Error(Box<Problem>);

/// What went wrong. Private, so that messages and their parts can improve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error(
        "pattern `{pattern}` is not a valid glob: {reason}; `*` matches any characters of a parameter path"
    )]
    Pattern { pattern: String, reason: String },

    #[error(
        "pattern `{pattern}` of `{list}` matches no {what}; the model has {}; \
         write the path as the model's fields spell it, with `*` for any part{}",
        listing(.available), suggestion(.pattern, .available)
    )]
    NoMatch {
        pattern: String,
        list: &'static str,
        what: &'static str,
        available: Vec<String>,
    },

    #[error("nothing to adapt: {reason}; {remedy}; the model has {}", listing(.available))]
    NoTarget {
        reason: &'static str,
        remedy: &'static str,
        available: Vec<String>,
    },

    #[error("asked for {asked}: {reason}")]
    Setting { asked: String, reason: String },

    #[error("target `{path}` of shape {shape:?} in a `{container}`: {reason}")]
    Site {
        path: String,
        shape: Vec<usize>,
        container: String,
        reason: String,
    },

    #[error(
        "`{path}` already carries a `{name}` adapter, and burn would adapt that adapter's own parameters; take it off \
         (`detach_adapters`), merge it (`merge_adapters`, or `materialize` for another method), or start from the \
         model as it was before"
    )]
    AlreadyAdapted { path: String, name: String },

    #[error(
        "asked to {asked}, but no parameter carries an adapter; call `apply_goft` or `load_adapters` first"
    )]
    NotAdapted { asked: &'static str },

    #[error(
        "asked to {asked} while adapters are switched off, which would drop them; call `enable_adapters` first"
    )]
    Disabled { asked: &'static str },

    #[error(
        "asked to save, but the adapter of `{path}` is frozen, and then the parameters trained beside it cannot be \
         told from the pretrained ones; save before `freeze` or `no_grad` (`valid` is fine)"
    )]
    Frozen { path: String },

    #[error("{what} of `{path}` holds {count} NaN or infinite values; {remedy}")]
    NonFinite {
        path: String,
        what: String,
        count: usize,
        remedy: &'static str,
    },

    #[error(
        "cannot unmerge: {what} {index} has condition number {condition:.3e}, its inverse would lose every digit; \
         keep a copy of the weight before merging such an adapter"
    )]
    Singular {
        what: &'static str,
        index: usize,
        condition: f64,
    },

    #[error("{action} `{}`: {source}", .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },

    #[error("{origin} is not an intact adapter file: {reason}")]
    Format { origin: Origin, reason: String },

    #[error("{origin} does not fit the model: {reason}")]
    Mismatch { origin: Origin, reason: String },

    #[error(
        "{origin} was made on another base: `{path}` differs by about {difference:.1e} of its size, and {allowed:.0e} \
         is what rounding to its dtype explains; {remedy}"
    )]
    OtherBase {
        origin: Origin,
        path: String,
        difference: f64,
        allowed: f64,
        remedy: &'static str,
    },

    #[error(
        "{origin} was made on another base: by the weights of the model, the adapter {found}; {remedy}"
    )]
    Merged {
        origin: Origin,
        found: &'static str,
        remedy: &'static str,
    },

    #[error(
        "asked to project onto a ball around the identity, which is defined for OFT; the model's adapters are of these \
         methods: {methods}"
    )]
    NoProjection { methods: String },

    #[error(
        "asked to save, and `{path}` of a `{name}` trains too, which an adapter file does not hold; save the whole model \
         by its record, or freeze that first"
    )]
    Unsaved { path: String, name: String },
}

/// Where an adapter file came from, as messages name it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    Path(PathBuf),
    Bytes,
    Model,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "`{}`", path.display()),
            Self::Bytes => f.write_str("the adapter read from bytes"),
            Self::Model => f.write_str("the adapter taken from a model"),
        }
    }
}

impl From<&Path> for Origin {
    fn from(path: &Path) -> Self {
        Self::Path(path.into())
    }
}

impl Error {
    /// Settings make no sense in themselves: an invalid glob, a block size of 1, a
    /// negative standard deviation.
    pub fn is_invalid_setting(&self) -> bool {
        matches!(*self.0, Problem::Pattern { .. } | Problem::Setting { .. })
    }

    /// A pattern matches nothing in the model.
    pub fn is_no_match(&self) -> bool {
        matches!(*self.0, Problem::NoMatch { .. })
    }

    /// Nothing is left to adapt, or a target cannot be adapted as it is asked for.
    pub fn is_no_target(&self) -> bool {
        matches!(*self.0, Problem::NoTarget { .. } | Problem::Site { .. })
    }

    /// The model carries adapters already.
    pub fn is_already_adapted(&self) -> bool {
        matches!(*self.0, Problem::AlreadyAdapted { .. })
    }

    /// The model carries no adapter that the call is for; or one of its adapters is switched off
    /// (merging) or frozen (saving).
    pub fn is_not_adapted(&self) -> bool {
        matches!(
            *self.0,
            Problem::NotAdapted { .. }
                | Problem::NoProjection { .. }
                | Problem::Disabled { .. }
                | Problem::Frozen { .. }
        )
    }

    /// Something trains that an adapter file does not hold, such as burn's LoRA on another layer.
    pub fn is_unsaved(&self) -> bool {
        matches!(*self.0, Problem::Unsaved { .. })
    }

    /// A value is NaN or infinite.
    pub fn is_not_finite(&self) -> bool {
        matches!(*self.0, Problem::NonFinite { .. })
    }

    /// A merge cannot be undone.
    pub fn is_singular(&self) -> bool {
        matches!(*self.0, Problem::Singular { .. })
    }

    /// The file system refused; [`source`](std::error::Error::source) is its error.
    pub fn is_io(&self) -> bool {
        matches!(*self.0, Problem::Io { .. })
    }

    /// The bytes are no intact adapter file of a version that this build reads.
    pub fn is_format(&self) -> bool {
        matches!(*self.0, Problem::Format { .. })
    }

    /// The file is intact, but for something else than this model.
    pub fn is_mismatch(&self) -> bool {
        matches!(
            *self.0,
            Problem::Mismatch { .. } | Problem::OtherBase { .. } | Problem::Merged { .. }
        )
    }

    /// The file fits the model's paths and shapes, but was made on other pretrained values.
    pub fn is_other_base(&self) -> bool {
        matches!(*self.0, Problem::OtherBase { .. } | Problem::Merged { .. })
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// At most this many paths are listed.
const SHOWN: usize = 8;

/// Some paths, and how many more there are.
pub(crate) fn listing(paths: &[String]) -> String {
    if paths.is_empty() {
        return "no such parameter".into();
    }
    let shown = paths.iter().take(SHOWN);
    let shown: Vec<_> = shown.map(|path| format!("`{path}`")).collect();
    let more = match paths.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}

/// A pattern that would have matched, where a `*` in front or behind is all that is missing.
fn suggestion(pattern: &str, available: &[String]) -> String {
    let core = pattern.trim_matches('*').trim_matches('.');
    let matched = available.iter().filter(|path| path.contains(core));
    match (core.is_empty(), matched.count()) {
        (true, _) | (_, 0) => String::new(),
        (_, count) => format!(" (`*{core}*` would match {count})"),
    }
}
