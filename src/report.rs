//! What is adapted and what it costs.

use std::fmt;

use burn::module::Module;

use crate::goft::Kind;
use crate::walk::{self, Owner};

/// What [`apply_goft`](crate::GoftModule::apply_goft) did to a model, or what a loaded model carries. Prints as a table.
#[derive(Debug, Clone, PartialEq)]
pub struct GoftReport {
    /// Adapted weights in the order of the model's fields.
    pub layers: Vec<AdaptedLayer>,
    /// Parameters trained beside the adapters.
    pub kept_parameters: usize,
    /// All float parameters of the model, adapters included.
    pub total_parameters: usize,
}

/// One row of a [`GoftReport`].
#[derive(Debug, Clone, PartialEq)]
pub struct AdaptedLayer {
    /// Path of the weight.
    pub path: String,
    /// The method.
    pub kind: Kind,
    /// Length of the rotated axis, the `d` of the formulas.
    pub d_input: usize,
    /// Number of neurons.
    pub d_output: usize,
    /// Trainable numbers of the adapter, its norm scale included.
    pub parameters: usize,
}

impl GoftReport {
    pub(crate) fn of<M: Module>(model: &M) -> Self {
        let entries = walk::entries(model, |_| false);
        let adapters = walk::adapters(model);
        let mut layers: Vec<AdaptedLayer> = Vec::new();
        let mut kept_parameters = 0;
        let mut total_parameters = 0;
        for entry in &entries {
            let count: usize = entry.shape.iter().product();
            total_parameters += count;
            match &entry.owner {
                Owner::Model => match adapters.get(&entry.path) {
                    Some(adapter) => layers.push(AdaptedLayer {
                        path: entry.path.clone(),
                        kind: adapter.kind(),
                        d_input: entry.shape[0],
                        d_output: entry.shape[1],
                        parameters: 0,
                    }),
                    None if entry.trainable => kept_parameters += count,
                    None => {}
                },
                // Follows its base, whose row is the last.
                Owner::Goft { .. } => {
                    layers
                        .last_mut()
                        .expect("an adapter follows its base")
                        .parameters += count
                }
                Owner::Other { .. } => {}
            }
        }
        Self {
            layers,
            kept_parameters,
            total_parameters,
        }
    }

    /// Trainable numbers: all adapters and the parameters kept trainable beside them.
    pub fn trainable_parameters(&self) -> usize {
        let adapters: usize = self.layers.iter().map(|layer| layer.parameters).sum();
        adapters + self.kept_parameters
    }

    /// Trainable share of all parameters, 0 to 1.
    pub fn trainable_share(&self) -> f64 {
        self.trainable_parameters() as f64 / self.total_parameters.max(1) as f64
    }
}

impl fmt::Display for GoftReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layers.is_empty() {
            writeln!(f, "no weight carries a GOFT adapter")?;
            return self.totals(f);
        }
        let width = self.layers.iter().map(|layer| layer.path.len()).max();
        let width = width.unwrap_or(0).max("weight".len());
        writeln!(
            f,
            "{:width$}  kind    d_input  d_output  parameters",
            "weight"
        )?;
        for layer in &self.layers {
            let kind = match layer.kind {
                Kind::Strict => "strict",
                Kind::Quasi => "quasi",
                Kind::Oft => "oft",
            };
            writeln!(
                f,
                "{:width$}  {kind:6}  {:7}  {:8}  {:10}",
                layer.path, layer.d_input, layer.d_output, layer.parameters
            )?;
        }
        self.totals(f)
    }
}

impl GoftReport {
    fn totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kept_parameters > 0 && !self.layers.is_empty() {
            writeln!(
                f,
                "kept trainable beside the adapters: {} parameters",
                self.kept_parameters
            )?;
        }
        write!(
            f,
            "trainable {} of {} parameters ({:.3} %)",
            self.trainable_parameters(),
            self.total_parameters,
            100.0 * self.trainable_share()
        )
    }
}
