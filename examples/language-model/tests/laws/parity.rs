//! Every kind of model against what transformers computes of it.
//!
//! `scripts/tiny_models.py` makes the folders.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use language_model::Pretrained;
use language_model::model::{Cache, Layout};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    ids: Vec<i64>,
    logits: Vec<Vec<f64>>,
}

/// The committed folders, and those of `TINY_MODELS` if it names others.
fn folders() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let root = std::env::var_os("TINY_MODELS").map_or(fixtures, PathBuf::from);
    let entries = std::fs::read_dir(root).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(found.len() > 8, "{found:?}");
    found
}

fn reference(folder: &Path) -> Reference {
    let text = std::fs::read(folder.join("reference.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Rows of ids, padded on the right.
fn ids(rows: &[&[i64]], device: &Device) -> Tensor<2, Int> {
    let longest = rows.iter().map(|row| row.len()).max().unwrap();
    let padded = rows.iter().flat_map(|row| {
        let padding = std::iter::repeat_n(&0, longest - row.len());
        row.iter().chain(padding).copied()
    });
    let data = TensorData::new(padded.collect::<Vec<_>>(), [rows.len(), longest]);
    Tensor::from_data(data, device)
}

fn assert_close(what: &str, found: Tensor<3>, row: usize, start: usize, expected: &[Vec<f64>]) {
    let [_, _, vocabulary] = found.dims();
    let found = found.slice([row..row + 1, start..start + expected.len(), 0..vocabulary]);
    let found: Vec<f64> = found.into_data().iter().collect();
    for (index, (found, expected)) in found.iter().zip(expected.iter().flatten()).enumerate() {
        let error = (found - expected).abs();
        assert!(
            error < 1e-5,
            "{what}: logit {index} is {found}, expected {expected}"
        );
    }
}

#[test]
fn logits_are_those_of_transformers() {
    let device = Device::flex();
    for folder in folders() {
        let Pretrained { model, .. } = Pretrained::load(&folder, &device).unwrap();
        let rows = reference(&folder).rows;
        let name = folder.file_name().unwrap().to_str().unwrap();
        for row in &rows {
            let logits = model.forward(
                ids(&[&row.ids], &device),
                &Layout::of_rows(&[row.ids.len()]),
            );
            assert_close(name, logits, 0, 0, &row.logits);
        }
        // In a batch with padding.
        let batch: Vec<&[i64]> = rows.iter().map(|row| row.ids.as_slice()).collect();
        let lengths: Vec<_> = batch.iter().map(|row| row.len()).collect();
        let logits = model.forward(ids(&batch, &device), &Layout::of_rows(&lengths));
        for (index, row) in rows.iter().enumerate() {
            assert_close(
                &format!("{name}, padded"),
                logits.clone(),
                index,
                0,
                &row.logits,
            );
        }
        // One behind another in one row.
        let joined: Vec<i64> = batch.concat();
        let logits = model.forward(ids(&[&joined], &device), &Layout::packed(&[lengths]));
        let mut start = 0;
        for row in &rows {
            assert_close(
                &format!("{name}, packed"),
                logits.clone(),
                0,
                start,
                &row.logits,
            );
            start += row.ids.len();
        }
        // In pieces, from a cache.
        for row in &rows {
            let mut cache = Cache::new(vec![0]);
            let (first, rest) = row.ids.split_at(4);
            let hidden = model.go_on(ids(&[first], &device), &mut cache);
            assert_close(
                &format!("{name}, cached"),
                model.logits(hidden),
                0,
                0,
                &row.logits[..4],
            );
            for (id, expected) in rest.iter().zip(&row.logits[4..]) {
                let hidden = model.go_on(ids(&[&[*id]], &device), &mut cache);
                let expected = std::slice::from_ref(expected);
                assert_close(
                    &format!("{name}, cached"),
                    model.logits(hidden),
                    0,
                    0,
                    expected,
                );
            }
            assert_eq!(cache.tokens(), row.ids.len());
        }
        // Padded on the left, so that texts end together.
        let longest = batch[0].len();
        let padding: Vec<_> = batch.iter().map(|row| longest - row.len()).collect();
        let mut cache = Cache::new(padding.clone());
        let padded = |range: std::ops::Range<usize>| {
            let rows = batch.iter().zip(&padding).map(|(row, padding)| {
                let row = std::iter::repeat_n(0, *padding).chain(row.iter().copied());
                row.collect::<Vec<_>>()[range.clone()].to_vec()
            });
            rows.collect::<Vec<_>>()
        };
        let mut last = None;
        for range in [
            0..longest - 2,
            longest - 2..longest - 1,
            longest - 1..longest,
        ] {
            let rows = padded(range);
            let rows: Vec<&[i64]> = rows.iter().map(Vec::as_slice).collect();
            last = Some(model.logits(model.go_on(ids(&rows, &device), &mut cache)));
        }
        for (index, row) in rows.iter().enumerate() {
            let expected = std::slice::from_ref(row.logits.last().unwrap());
            assert_close(
                &format!("{name}, padded on the left"),
                last.clone().unwrap(),
                index,
                0,
                expected,
            );
        }
    }
}

/// From some length on LongRoPE turns positions otherwise: also those of tokens in a cache.
#[test]
fn a_cache_that_grows_beyond_the_pretrained_length_is_made_anew() {
    let (_place, folder) = crate::common::model("phi3");
    let path = folder.join("config.json");
    let mut config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["original_max_position_embeddings"] = 8.into();
    config["rope_parameters"]["original_max_position_embeddings"] = 8.into();
    std::fs::write(&path, config.to_string()).unwrap();
    let device = Device::flex();
    let Pretrained { model, .. } = Pretrained::load(&folder, &device).unwrap();
    let row: Vec<i64> = (3..14).collect();
    let whole = |count: usize| -> Vec<f64> {
        let logits = model.forward(ids(&[&row[..count]], &device), &Layout::of_rows(&[count]));
        logits.narrow(1, count - 1, 1).into_data().iter().collect()
    };
    let mut cache = Cache::new(vec![0]);
    let mut found = model.logits(model.go_on(ids(&[&row[..3]], &device), &mut cache));
    for count in 4..=row.len() {
        found = model.logits(model.go_on(ids(&[&row[count - 1..count]], &device), &mut cache));
        let logits: Vec<f64> = found.clone().into_data().iter().collect();
        for (found, expected) in logits.iter().zip(whole(count)) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{count}: {found} {expected}"
            );
        }
    }
    assert_eq!(found.dims()[1], 1);
    // Short and long texts differ indeed.
    let long = whole(9);
    config["rope_parameters"]["long_factor"] = config["rope_parameters"]["short_factor"].clone();
    std::fs::write(&path, config.to_string()).unwrap();
    let Pretrained { model, .. } = Pretrained::load(&folder, &device).unwrap();
    let logits = model.forward(ids(&[&row[..9]], &device), &Layout::of_rows(&[9]));
    let short: Vec<f64> = logits.narrow(1, 8, 1).into_data().iter().collect();
    assert!(long.iter().zip(&short).any(|(a, b)| (a - b).abs() > 1e-3));
}
