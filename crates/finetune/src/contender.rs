//! A method as a comparison names it.

use std::str::FromStr;

use crate::error::Error;
use crate::method::Method;

/// A method as a comparison names it: `goft`, `lora`, or with a rank of its own `lora:1`.
///
/// ```
/// use burn_goft_finetune::Contender;
///
/// let lora: Contender = "lora:1".parse()?;
/// assert_eq!((lora.method.name, lora.rank_or(8)), ("lora", 1));
/// let lora: Contender = "lora".parse()?;
/// assert_eq!(lora.rank_or(8), 8);
/// # Ok::<(), burn_goft_finetune::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// The method.
    pub method: &'static Method,
    /// The rank behind the colon.
    pub rank: Option<usize>,
}

impl Contender {
    /// Its own rank, or else the one that all share.
    pub fn rank_or(&self, shared: usize) -> usize {
        self.rank.unwrap_or(shared)
    }
}

impl FromStr for Contender {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::Settings`] for a method there is none of, for a rank of a method that has none, and for
    /// one that is no number above 0.
    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((name, rank)) = text.split_once(':') else {
            let method = Method::named(text)?;
            return Ok(Self { method, rank: None });
        };
        let method = Method::named(name)?;
        if !method.has_rank {
            return Err(Error::Settings(format!(
                "`{name}` has no rank; name it without `:{rank}`"
            )));
        }
        match rank.parse() {
            Ok(rank) if rank > 0 => Ok(Self {
                method,
                rank: Some(rank),
            }),
            _ => Err(Error::Settings(format!(
                "`{text}` asks for `{name}` of rank `{rank}`; a rank is a whole number, at least 1"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_contender_says_why() {
        for (text, reason) in [
            ("gotf", "no method is called `gotf`"),
            ("gotf:1", "no method is called `gotf`"),
            ("goft:2", "`goft` has no rank; name it without `:2`"),
            ("lora:0", "a rank is a whole number, at least 1"),
            ("lora:", "a rank is a whole number, at least 1"),
            ("lora:1:2", "a rank is a whole number, at least 1"),
        ] {
            let message = text.parse::<Contender>().unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
}
