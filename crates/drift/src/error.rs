//! What cannot be measured, and why.

/// Why a metric has no value, or two models cannot be compared.
///
/// Two tensors whose shapes do not belong together are a mistake of the program and panic instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value is NaN or infinite.
    #[error(
        "{what} holds {count} NaN or infinite values; nothing can be measured with them; look for \
         the first layer that has some"
    )]
    #[non_exhaustive]
    NonFinite {
        /// What holds them.
        what: String,
        /// How many values.
        count: usize,
    },

    /// A metric has no value for what it was given.
    #[error("{metric} has no value here: {reason}")]
    #[non_exhaustive]
    Undefined {
        /// The function.
        metric: &'static str,
        /// What it needs and what was found.
        reason: String,
    },

    /// Two models cannot be compared.
    #[error(
        "cannot compare {what}: {before} before, {after} after; compare two states of one model on \
         one batch, and trace both by the same function"
    )]
    #[non_exhaustive]
    Incomparable {
        /// What differs.
        what: String,
        /// As it is in the model before.
        before: String,
        /// As it is in the model after.
        after: String,
    },
}

impl Error {
    pub(crate) fn undefined<T>(metric: &'static str, reason: impl Into<String>) -> Result<T, Self> {
        let reason = reason.into();
        Err(Self::Undefined { metric, reason })
    }

    /// Nothing, if nothing is broken.
    pub(crate) fn unless_finite(what: &str, broken: usize) -> Result<(), Self> {
        let what = what.into();
        match broken {
            0 => Ok(()),
            count => Err(Self::NonFinite { what, count }),
        }
    }
}
