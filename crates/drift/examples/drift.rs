//! How far an adapted model has moved: the table, the figure and the JSON of a `DriftReport`.
//!
//! ```text
//! cargo run --release --package burn-goft-drift --example drift -- [FOLDER]
//! ```
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::path::PathBuf;

use burn::module::Module;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor};
use burn_goft::{Goft, GoftModule};
use burn_goft_drift::{Drift, Trace};

#[derive(Module, Debug)]
struct Classifier {
    encoder: TransformerEncoder,
    head: Linear,
}

// ANCHOR: trace
impl Classifier {
    /// One forward pass of tokens `[batch, tokens, 64]`, with everything on the way that is worth a
    /// look.
    fn trace(&self, tokens: Tensor<3>) -> Trace {
        let mut trace = Trace::new();
        let mut x = tokens;
        for (index, layer) in self.encoder.layers.iter().enumerate() {
            x = layer.forward(x, None, None);
            trace = trace.with_layer(format!("encoder.layers.{index}"), x.clone());
        }
        let pooled = x.mean_dim(1).squeeze_dim::<2>(1);
        trace
            .with_layer("pooled", pooled.clone())
            .with_logits(self.head.forward(pooled))
    }
}
// ANCHOR_END: trace

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or("drift-out".into()));
    let device = Device::flex();
    device.seed(1);
    let before = Classifier {
        encoder: TransformerEncoderConfig::new(64, 128, 4, 3)
            .with_dropout(0.0)
            .init(&device),
        head: LinearConfig::new(64, 10).init(&device),
    };
    // Random angles stand for a training.
    let goft = Goft::strict()
        .with_targets(["*.query.weight", "*.value.weight"])
        .with_init_std(0.1);
    let after = before.clone().apply_goft(goft)?;
    let tokens = Tensor::random([64, 16, 64], Distribution::Normal(0.0, 1.0), &device);

    // ANCHOR: compare
    let old = before.trace(tokens.clone());
    let new = after.trace(tokens);
    let report = Drift::new().compare(&before, old, &after, new)?;
    println!("{report}");
    // ANCHOR_END: compare

    // ANCHOR: keep
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("drift.svg"), report.svg())?;
    std::fs::write(folder.join("drift.json"), serde_json::to_string(&report)?)?;
    // ANCHOR_END: keep
    println!("figure and numbers: {}", folder.display());
    Ok(())
}
