//! One error: what was asked, what was found, what to do.

use std::path::PathBuf;

/// Everything that can go wrong with settings, models and files.
///
/// A programmer's mistake in a shape panics instead; see each function.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pattern is not a glob.
    #[error(
        "pattern `{pattern}` is not a valid glob: {reason}; `*` matches any characters of a parameter path"
    )]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What the glob parser says.
        reason: String,
    },

    /// A pattern matches no parameter.
    #[error(
        "pattern `{pattern}` of `{list}` matches no parameter; the model has {}; \
         write the path as the model's fields spell it, with `*` for any part", listing(.available)
    )]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// `targets`, `exclude` or `trainable`.
        list: &'static str,
        /// Paths that the pattern could have matched.
        available: Vec<String>,
    },

    /// Nothing is left to adapt.
    #[error(
        "nothing to adapt: {reason}; name the weights with `Goft::with_targets([..])`; the model has {}", listing(.available)
    )]
    NoTarget {
        /// Why no target was found.
        reason: &'static str,
        /// Paths of all rank-2 parameters.
        available: Vec<String>,
    },

    /// The numbers of an OFT form do not work.
    #[error("asked for OFT with {asked:?}: {reason}")]
    Oft {
        /// What was asked for.
        asked: crate::Oft,
        /// What is wrong, and what to do.
        reason: &'static str,
    },

    /// A target is not a matrix.
    #[error(
        "target `{path}` has shape {shape:?}, and a rotation needs a weight [d_input, d_output]; \
         target the weights alone (`*.weight`), or leave it out with `Goft::with_exclude([..])`"
    )]
    NotAMatrix {
        /// Path of the parameter.
        path: String,
        /// Its shape.
        shape: Vec<usize>,
    },

    /// The model carries an adapter already.
    #[error(
        "`{path}` already carries a `{name}` adapter, and burn would adapt that adapter's own parameters; merge it first \
         (`merge_goft`, or `materialize` for another method), or start from the model as it was before"
    )]
    AlreadyAdapted {
        /// Path of the parameter.
        path: String,
        /// Name of the reparameterization found, such as `goft` or `lora`.
        name: String,
    },

    /// The model carries no adapter.
    #[error(
        "asked to {asked}, but no parameter carries a GOFT adapter; call `apply_goft` or `load_goft` first"
    )]
    NotAdapted {
        /// What was asked.
        asked: &'static str,
    },

    /// The adapters are switched off.
    #[error(
        "asked to {asked} while the adapters are switched off, which would drop them; call `enable_goft(true)` first"
    )]
    Disabled {
        /// What was asked.
        asked: &'static str,
    },

    /// The adapter's parameters are frozen, so the ones trained beside it cannot be told from the rest.
    #[error(
        "asked to save, but the adapter of `{path}` is frozen, and then the parameters trained beside it cannot be told from \
         the pretrained ones; save before `freeze` or `no_grad` (`valid` is fine)"
    )]
    Frozen {
        /// Path of an adapted parameter.
        path: String,
    },

    /// A number is NaN or infinite.
    #[error("{what} of `{path}` holds {count} NaN or infinite values; {remedy}")]
    NonFinite {
        /// Path of the parameter.
        path: String,
        /// Which tensor.
        what: String,
        /// How many values.
        count: usize,
        /// What to do.
        remedy: &'static str,
    },

    /// A merge cannot be undone.
    #[error(
        "cannot unmerge: {what} {index} has condition number {condition:.3e}, its inverse would lose every digit; keep a copy \
         of the weight before merging such an adapter"
    )]
    Singular {
        /// `block` or `scale`.
        what: &'static str,
        /// Number of the block (in plan order) or of the scale.
        index: usize,
        /// Its condition number.
        condition: f64,
    },

    /// A metric has no value for what it was given.
    #[error("{metric} has no value here: {reason}")]
    Undefined {
        /// The function.
        metric: &'static str,
        /// What it needs and what was found.
        reason: String,
    },

    /// Two models cannot be compared.
    #[error(
        "cannot compare {what}: {before} before, {after} after; compare two states of one model on one batch, and trace both by \
         the same function"
    )]
    Incomparable {
        /// What differs.
        what: String,
        /// As it is in the model before.
        before: String,
        /// As it is in the model after.
        after: String,
    },

    /// The file system refused.
    #[error("{action} `{}`: {source}", .path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },

    /// The file is not an intact adapter file.
    #[error("`{}` is not an intact adapter file: {reason}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },

    /// The file is intact, but for something else than this model.
    #[error("`{}` does not fit the model: {reason}", .path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What the file has, what the model has, and what to do.
        reason: String,
    },
}

/// At most eight paths, and how many more there are.
fn listing(paths: &[String]) -> String {
    const SHOWN: usize = 8;
    if paths.is_empty() {
        return "no such parameter".into();
    }
    let shown: Vec<_> = paths
        .iter()
        .take(SHOWN)
        .map(|path| format!("`{path}`"))
        .collect();
    let more = match paths.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}
