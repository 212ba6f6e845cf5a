//! Terms under which nothing could be compared.

use super::{Method, Protocol};
use crate::error::Error;

impl Protocol {
    /// Refuses what would not be a fair comparison, or none at all.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.fault() {
            Some(reason) => Err(Error::Protocol { reason }),
            None => Ok(()),
        }
    }

    /// What is wrong with the terms, and what to do.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.methods.is_empty() {
            return Some("there is no method; start with `Protocol::new`".into());
        }
        let names: Vec<&str> = self.methods.iter().map(Method::name).collect();
        if let Some(name) = repeated(&names) {
            return Some(format!("two methods are called `{name}`; name them apart"));
        }
        if names.iter().any(|name| name.trim().is_empty()) {
            return Some("a method has no name; give it one".into());
        }
        if self.steps == 0 {
            return Some("every run would train 0 steps; set `with_steps`".into());
        }
        if let Some(reason) = self.fault_of_seeds() {
            return Some(reason);
        }
        let mut methods = self.methods.iter();
        methods.find_map(|method| self.fault_of_rates(method))
    }

    fn fault_of_seeds(&self) -> Option<String> {
        for (name, seeds) in [("tuning", &self.tuning_seeds), ("test", &self.test_seeds)] {
            if seeds.is_empty() {
                return Some(format!("there is no {name} seed; set `with_{name}_seeds`"));
            }
        }
        let seeds = [&self.tuning_seeds[..], &self.test_seeds[..]].concat();
        let seed = repeated(&seeds)?;
        Some(format!(
            "seed {seed} is there twice; a test seed must be in no tuning run, and a seed twice in a list counts one \
             run double"
        ))
    }

    fn fault_of_rates(&self, method: &Method) -> Option<String> {
        let (name, rates) = (method.name(), self.rates_of(method));
        if rates.is_empty() {
            return Some(format!(
                "`{name}` has no learning rate to try; set `with_rates`"
            ));
        }
        if rates.len() != self.rates.len() {
            return Some(format!(
                "`{name}` would try {} learning rates and the others {}, which is not the same budget; give it as many",
                rates.len(),
                self.rates.len()
            ));
        }
        if let Some(rate) = rates
            .iter()
            .find(|rate| !(rate.is_finite() && **rate > 0.0))
        {
            return Some(format!(
                "`{name}` has the learning rate {rate}; give positive numbers"
            ));
        }
        let rate = repeated(rates)?;
        Some(format!(
            "`{name}` has the learning rate {rate:e} twice; leave one out"
        ))
    }
}

fn repeated<T: PartialEq + Copy>(values: &[T]) -> Option<T> {
    let mut places = values.iter().enumerate();
    let second = places.find(|(place, value)| values[..*place].contains(value));
    second.map(|(_, value)| *value)
}
