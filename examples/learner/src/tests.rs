#[path = "../../support/stored.rs"]
mod stored;

use super::*;

fn options(more: &[&str]) -> Options {
    Options::parse_from(["learner"].iter().chain(more))
}

#[test]
fn one_epoch_moves_the_adapter_and_nothing_else() {
    let out = tempfile::tempdir().unwrap();
    let device = device::device("flex").unwrap();
    let digits = Digits::load();
    let held_out = Batch::new(&digits.held_out, Mounting::Sideways, &device);
    let base = pretrained(&device).unwrap();
    let goft = Goft::quasi().with_targets(["encoder.*.weight"]);
    let start = stored::bits(&base.clone().apply_goft(goft).unwrap());

    let trained = train(&options(&["--epochs", "1"]), &digits, &device, out.path()).unwrap();
    let mut end = stored::bits(&trained);
    assert!(end.keys().eq(start.keys()));
    let is_adapter = |path: &String| path.contains(".goft.");
    // Six weights in each of the four blocks.
    assert_eq!(end.keys().filter(|path| is_adapter(path)).count(), 24);
    for (path, bits) in &end {
        assert_eq!(*bits != start[path], is_adapter(path), "{path}");
    }
    end.retain(|path, _| !is_adapter(path));
    assert_eq!(end, stored::bits(&base));
    assert!(trained.accuracy(&held_out) > base.accuracy(&held_out));

    let file = out.path().join("adapter.safetensors");
    let [loaded, merged] = save_load_merge(&trained, &file, &device).unwrap();
    let logits = |model: &Vit| model.forward(held_out.images.clone());
    assert_eq!(logits(&loaded).into_data(), logits(&trained).into_data());
    let difference = logits(&merged) - logits(&trained);
    assert!(difference.abs().max().into_scalar::<f32>() < 1e-4);
    assert!(out.path().join("checkpoint/model-1.bpk").exists());
}

#[test]
fn bad_input_is_an_error() {
    let refused = |more: &[&str]| run(&options(more)).unwrap_err().to_string();
    assert!(refused(&["--device", "abacus"]).contains("no device is called `abacus`"));

    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = file.path().to_str().unwrap();
    let message = refused(&["--out", folder]);
    assert!(message.contains("cannot write to"), "{message}");
    assert!(message.contains(folder), "{message}");
}
