//! One of the methods that are compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One of the methods: a name for the table, and what is fixed about it beside the learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    pub(crate) name: String,
    pub(crate) settings: BTreeMap<String, Value>,
    /// Instead of the protocol's.
    pub(crate) rates: Option<Vec<f64>>,
}

impl Method {
    /// A method on the protocol's learning rates.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            settings: BTreeMap::new(),
            rates: None,
        }
    }

    /// A setting that the experiment reads back with [`setting`](Self::setting), such as a rank.
    pub fn with_setting(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Learning rates of its own: as many as the protocol's, at another place.
    pub fn with_rates(mut self, rates: impl IntoIterator<Item = f64>) -> Self {
        self.rates = Some(ascending(rates));
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A setting, `None` if there is none of that name.
    pub fn setting(&self, name: &str) -> Option<&Value> {
        self.settings.get(name)
    }
}

/// Learning rates in rising order.
pub(crate) fn ascending(rates: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut rates: Vec<f64> = rates.into_iter().collect();
    rates.sort_by(f64::total_cmp);
    rates
}
