//! COFT: OFT that stays near the identity.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;

use super::parameters::{adapters, map_adapters};
use crate::error::{Error, Problem};

/// The methods of a model's adapters, for a message.
fn methods<M: Module>(model: &M) -> String {
    let adapters = adapters(model).into_values();
    let names: BTreeSet<&str> = adapters.map(|adapter| adapter.method().name()).collect();
    match names.is_empty() {
        true => "none".into(),
        false => names.into_iter().collect::<Vec<_>>().join(", "),
    }
}

/// See [`project_adapters`](crate::GoftModule::project_adapters).
pub(crate) fn project<M: Module>(model: M, radius: f64) -> Result<M, Error> {
    if !(radius.is_finite() && radius > 0.0) {
        return Err(Problem::Setting {
            asked: format!("a projection to the radius {radius}"),
            reason: "it must be positive and finite; pass one such as 0.1".into(),
        }
        .into());
    }
    let projected = adapters(&model).into_iter();
    let mut projected: BTreeMap<_, _> = projected
        .filter_map(|(path, adapter)| Some((path, adapter.projected(radius)?)))
        .collect();
    if projected.is_empty() {
        return Err(Problem::NoProjection {
            methods: methods(&model),
        }
        .into());
    }
    Ok(map_adapters(model, |path| {
        let adapter = projected.remove(path)?;
        Some(Box::new(move |_| adapter))
    }))
}
