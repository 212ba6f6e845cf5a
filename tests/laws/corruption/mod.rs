//! Damaged files: none panics, and none loads as anything but the exact values that were saved.

mod contents;
mod damage;
mod forged;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use burn_goft::{Error, Goft, GoftModule, NormScale};

use crate::common;
use crate::models::{fill, stir, values};

/// As small as a file with every part gets.
#[derive(Module, Debug)]
struct Tiny {
    one: Linear,
    two: Linear,
}

fn device() -> Device {
    common::devices().remove(0).1
}

fn base() -> Tiny {
    let layer = || LinearConfig::new(3, 3).init(&device());
    fill(
        Tiny {
            one: layer(),
            two: layer(),
        },
        1,
    )
}

fn adapted() -> Tiny {
    let goft = Goft::quasi()
        .with_targets(["*.weight"])
        .with_trainable(["two.bias"])
        .with_norm_scale(NormScale::Neuron);
    stir(base().apply_goft(goft).unwrap(), 5, 0.3)
}

/// A file, the model to load it onto, and what must come of it.
struct Bench {
    _folder: tempfile::TempDir,
    path: PathBuf,
    base: Tiny,
    bytes: Vec<u8>,
    expected: BTreeMap<String, Vec<u64>>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adapter.safetensors");
        let model = adapted();
        model.save_adapters(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        Self {
            _folder: folder,
            path,
            base: base(),
            bytes,
            expected: values(&model),
        }
    }

    /// What loading these bytes gives; a panic is an outcome too, and never a right one.
    fn load(&self, what: &str, bytes: &[u8]) -> Result<BTreeMap<String, Vec<u64>>, Error> {
        std::fs::write(&self.path, bytes).unwrap();
        let load = || {
            self.base
                .clone()
                .load_adapters(&self.path)
                .map(|model| values(&model))
        };
        match catch_unwind(AssertUnwindSafe(load)) {
            Ok(outcome) => outcome,
            Err(_) => panic!("loading panicked: {what}"),
        }
    }

    /// Whether the load was refused; if not, the values must be the ones that were saved.
    fn is_refused(&self, what: &str, bytes: &[u8]) -> bool {
        match self.load(what, bytes) {
            Err(_) => true,
            Ok(found) => {
                assert_eq!(found, self.expected, "loaded silently wrong: {what}");
                false
            }
        }
    }
}

#[test]
fn no_damage_of_more_than_ten_thousand_panics_or_loads_other_values() {
    let bench = Bench::new();
    assert!(!bench.is_refused("the intact file", &bench.bytes));
    let (mut count, mut refused) = (0, 0);
    for (what, bytes) in damage::all(&bench.bytes) {
        if bytes == bench.bytes {
            continue;
        }
        count += 1;
        refused += usize::from(bench.is_refused(&what, &bytes));
    }
    assert!(count >= 10_000, "{count}");
    // What may load is text that means the same, such as white space or an escape in the header.
    assert!(refused as f64 > 0.99 * count as f64, "{refused} of {count}");
}

#[test]
fn every_flipped_bit_of_the_data_is_noticed() {
    let bench = Bench::new();
    let start = 8 + damage::header_length(&bench.bytes);
    for bit in 8 * start..8 * bench.bytes.len() {
        let mut bytes = bench.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(
            bench.is_refused(&format!("bit {bit} flipped"), &bytes),
            "bit {bit}"
        );
    }
}
