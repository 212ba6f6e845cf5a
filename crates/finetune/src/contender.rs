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
    /// The rank after the colon.
    pub rank: Option<usize>,
}

impl Contender {
    /// Its own rank, or else the one that all share.
    pub fn rank_or(&self, shared: usize) -> usize {
        self.rank.unwrap_or(shared)
    }

    /// All that are named, each once.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] for a name that is none, and for two names of one method and rank.
    ///
    /// ```
    /// use burn_goft_finetune::Contender;
    ///
    /// let names = ["lora", "lora:8"].map(String::from);
    /// assert_eq!(Contender::all(&names, 4)?.len(), 2);
    /// let message = Contender::all(&names, 8).unwrap_err().to_string();
    /// assert!(message.contains("named twice, as `lora` and as `lora:8`"));
    /// # Ok::<(), burn_goft_finetune::Error>(())
    /// ```
    pub fn all(names: &[String], shared_rank: usize) -> Result<Vec<Self>, Error> {
        let mut all: Vec<Self> = Vec::new();
        for name in names {
            let one: Self = name.parse()?;
            let rank = |of: &Self| of.method.has_rank.then(|| of.rank_or(shared_rank));
            let known = all.iter().position(|other| {
                other.method.name == one.method.name && rank(other) == rank(&one)
            });
            if let Some(known) = known {
                let as_what = match &names[known] == name {
                    true => String::new(),
                    false => format!(", as `{}` and as `{name}`", names[known]),
                };
                return Err(Error::Settings(format!(
                    "the method `{}` is named twice{as_what}; name it once",
                    one.method.name
                )));
            }
            all.push(one);
        }
        Ok(all)
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
        // One spelling for each: names stand in records.
        match rank.parse::<usize>() {
            Ok(number) if number > 0 && number.to_string() == rank => Ok(Self {
                method,
                rank: Some(number),
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
            ("lora:08", "a rank is a whole number, at least 1"),
            ("lora:+8", "a rank is a whole number, at least 1"),
        ] {
            let message = text.parse::<Contender>().unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
}
