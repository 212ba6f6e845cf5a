//! Files that do not fit: each refusal is of its kind, says what was found and what to do.

use std::path::{Path, PathBuf};

use burn::module::{Lora, Module};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use burn_goft::{Goft, GoftModule, NormScale, Override, Strict};

use super::file;
use crate::common;
use crate::methods;
use crate::models::{Encoder, Example, Mlp, example, fill, stir, values};

fn device() -> Device {
    common::devices().remove(0).1
}

fn adapted<M: Example>(goft: &Goft) -> M {
    stir(
        example::<M>(&device()).apply_goft(goft.clone()).unwrap(),
        5,
        0.2,
    )
}

fn saved<M: Module>(model: M) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    model.save_adapters(&path).unwrap();
    (folder, path)
}

/// The reason of a mismatch, after checking that the message names the file.
fn mismatch<M: Module>(model: M, path: &Path) -> String {
    let error = model.load_adapters(path).unwrap_err();
    let message = error.to_string();
    assert!(error.is_mismatch() && !error.is_other_base(), "{message}");
    let start = format!("`{}` does not fit the model: ", path.display());
    let reason = message.strip_prefix(&start).expect(&message);
    reason.to_string()
}

#[test]
fn an_adapter_of_another_form_does_not_load_into_adapters_that_are_there() {
    let strict = Goft::strict;
    let fc1 = "`fc1.weight` along axis 0 by";
    let cases = [
        (strict(), Goft::quasi(), "angles", "block_offsets"),
        (Goft::quasi(), strict(), "block_offsets", "angles"),
        (Goft::new(Strict::tanh()), strict(), "tanh_angles", "angles"),
        (
            Goft::new(methods::neighbors()),
            strict(),
            "angles_neighbors",
            "angles",
        ),
        (
            strict().with_norm_scale(NormScale::Neuron),
            strict(),
            "angles and neuron_scale_offsets",
            "angles",
        ),
        (
            strict(),
            strict().with_norm_scale(NormScale::Input),
            "angles",
            "angles and input_scale_offsets",
        ),
        (
            strict().with_override(Override::new("fc1.weight").with_axis(1)),
            strict(),
            "along axis 1 by angles_axis1",
            "along axis 0 by angles",
        ),
    ];
    let remedy =
        "; take those off first with `detach_adapters`, and the file's are attached as they are";
    for (in_file, in_model, found, expected) in cases {
        let (_folder, path) = saved(adapted::<Mlp>(&in_file));
        let model = adapted::<Mlp>(&in_model);
        let reason = mismatch(model.clone(), &path);
        let one = |by: &str| match by.strip_prefix("along") {
            Some(rest) => format!("`fc1.weight` along{rest}"),
            None => format!("{fc1} {by}"),
        };
        let expected = format!(
            "its adapters differ from the model's: only the file adapts {}, only the model adapts {}{remedy}",
            one(found),
            one(expected)
        );
        assert_eq!(reason, expected);
        assert!(example::<Mlp>(&device()).load_adapters(&path).is_ok());
        assert!(model.detach_adapters().load_adapters(&path).is_ok());
    }
    // Of other targets.
    let (_folder, path) = saved(adapted::<Mlp>(&strict()));
    let expected =
        format!("its adapters differ from the model's: only the file adapts {fc1} angles{remedy}");
    let fewer = strict().with_targets(["fc2.weight", "head.weight"]);
    assert_eq!(mismatch(adapted::<Mlp>(&fewer), &path), expected);
}

#[derive(Module, Debug)]
struct Headless {
    fc1: Linear,
    fc2: Linear,
}

fn headless(d_hidden: usize) -> Headless {
    let layer = |d_input, d_output| LinearConfig::new(d_input, d_output).init(&device());
    fill(
        Headless {
            fc1: layer(7, d_hidden),
            fc2: layer(d_hidden, 5),
        },
        2,
    )
}

const REMEDY: &str = "; load it onto the model it was trained on";

#[test]
fn a_model_of_another_shape_is_refused_with_both_shapes() {
    let (_folder, path) = saved(headless(12).apply_goft(Goft::strict()).unwrap());
    assert!(headless(12).load_adapters(&path).is_ok());
    let expected = format!(
        "it was trained with `fc1.weight` of shape [7, 12], and the model has [7, 9]{REMEDY}"
    );
    assert_eq!(mismatch(headless(9), &path), expected);
    let adapted = headless(9).apply_goft(Goft::strict()).unwrap();
    assert_eq!(mismatch(adapted, &path), expected);
}

#[test]
fn another_model_is_refused_with_the_path_it_lacks() {
    let (_folder, path) = saved(adapted::<Encoder>(&Goft::strict()));
    let expected = format!(
        "it was trained with `encoder.layers.0.mha.key.weight`, which the model does not have{REMEDY}"
    );
    assert_eq!(mismatch(example::<Mlp>(&device()), &path), expected);
    assert_eq!(mismatch(adapted::<Mlp>(&Goft::strict()), &path), expected);
}

#[test]
fn a_model_without_a_kept_parameter_is_refused() {
    let goft = Goft::strict().with_trainable(["head.*"]);
    let (_folder, path) = saved(adapted::<Mlp>(&goft));
    let expected =
        format!("it was trained with `head.bias`, which the model does not have{REMEDY}");
    assert_eq!(mismatch(headless(12), &path), expected);
}

/// The head would be set, and be missing from the next file.
#[test]
fn adapters_beside_which_the_kept_parameters_are_frozen_are_refused() {
    let (_folder, path) = saved(adapted::<Mlp>(&Goft::strict().with_trainable(["head.*"])));
    let model = adapted::<Mlp>(&Goft::strict().with_exclude(["head.*"]));
    let expected = "it holds `head.bias`, trained beside the adapters, which the model has frozen, and saving would lose it; \
                    take the adapters off first with `detach_adapters`, or attach with \
                    `Goft::with_trainable([\"head.bias\"])`";
    assert_eq!(mismatch(model, &path), expected);
}

#[test]
fn a_model_that_nobody_trains_takes_kept_parameters_though_they_are_frozen() {
    let saved_model = adapted::<Mlp>(&Goft::strict().with_trainable(["head.*"]));
    let (_folder, path) = saved(saved_model.clone());
    let model = adapted::<Mlp>(&Goft::strict().with_exclude(["head.*"]));
    let model = stir(model, 8, 0.3).no_grad();
    assert_ne!(values(&model), values(&saved_model));
    let loaded = model.load_adapters(&path).unwrap();
    assert_eq!(values(&loaded), values(&saved_model));
}

#[test]
fn a_model_with_an_adapter_of_another_method_is_refused() {
    let (_folder, path) = saved(adapted::<Mlp>(&Goft::strict()));
    let model = example::<Mlp>(&device()).apply_lora(Lora::new(2, 4.0));
    let error = model.load_adapters(&path).unwrap_err();
    assert!(error.is_already_adapted(), "{error}");
    assert!(error.to_string().contains("a `lora` adapter"), "{error}");
}

fn unreadable(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(file(&folder), bytes).unwrap();
    let error = example::<Mlp>(&device())
        .load_adapters(file(&folder))
        .unwrap_err();
    let message = error.to_string();
    let start = format!(
        "`{}` is not an intact adapter file: ",
        file(&folder).display()
    );
    assert!(error.is_format(), "{message}");
    message.strip_prefix(&start).expect(&message).to_string()
}

#[test]
fn a_file_that_is_no_safetensors_is_refused() {
    for bytes in [&b""[..], b"{}", b"PK\x03\x04", &[0xff; 64]] {
        let reason = unreadable(bytes);
        assert!(
            reason.starts_with("it is no safetensors file ("),
            "{reason}"
        );
    }
}

#[test]
fn a_safetensors_file_of_another_program_is_refused() {
    let expected = "its metadata has no `burn-goft` entry; it is safetensors, but not saved by `save_adapters`";
    let data = [0u8; 8];
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &data).unwrap();
    for metadata in [
        None,
        Some([("format".to_string(), "pt".to_string())].into()),
    ] {
        let tensors = [("fc1.weight.goft.angles", view.clone())];
        assert_eq!(
            unreadable(&safetensors::serialize(tensors, metadata).unwrap()),
            expected
        );
    }
}

/// The file with its manifest text edited and the header's length set right.
fn edited_file(path: &Path, from: &str, to: &str) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    assert!(header.contains(from), "{header}");
    let header = header.replace(from, to);
    let mut edited = (header.len() as u64).to_le_bytes().to_vec();
    edited.extend(header.as_bytes());
    edited.extend(&bytes[8 + length..]);
    edited
}

#[test]
fn a_file_of_another_version_is_refused_with_both_versions() {
    let (_folder, path) = saved(adapted::<Mlp>(&Goft::strict()));
    let earlier = "load it with the burn-goft that wrote it";
    let later = "a newer burn-goft wrote it; update to that";
    for (version, remedy) in [("1", earlier), ("0", earlier), ("3", later), ("77", later)] {
        let edited = format!(r#"\"version\":{version}"#);
        let bytes = edited_file(&path, r#"\"version\":2"#, &edited);
        assert_eq!(
            unreadable(&bytes),
            format!("it has format version {version}, and this build reads version 2; {remedy}")
        );
    }
}

#[test]
fn a_later_version_is_named_even_if_its_manifest_has_other_fields() {
    let (_folder, path) = saved(adapted::<Mlp>(&Goft::strict()));
    let later = r#"\"version\":3,\"shards\":3"#;
    let bytes = edited_file(&path, r#"\"version\":2"#, later);
    assert!(unreadable(&bytes).starts_with("it has format version 3, "));
}

#[test]
fn an_edited_file_is_refused_by_its_checksum() {
    let (_folder, path) = saved(adapted::<Mlp>(&Goft::strict()));
    let expected = "its checksum does not match: the file was damaged or edited after it was saved";
    assert_eq!(
        unreadable(&edited_file(&path, "7x12 fc1.weight", "12x7 fc1.weight")),
        expected
    );
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(unreadable(&bytes), expected);
}

#[test]
fn a_path_that_cannot_be_read_is_an_io_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    let paths = [
        folder.path().to_path_buf(),
        folder.path().join("missing.safetensors"),
        folder.path().join("missing").join("adapter.safetensors"),
        folder.path().join("file").join("adapter.safetensors"),
    ];
    for path in paths {
        let error = example::<Mlp>(&device()).load_adapters(&path).unwrap_err();
        assert!(error.is_io(), "{error}");
        let expected = format!("reading adapter file `{}`: ", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        let error = example::<Mlp>(&device())
            .unmerge_adapters(&path)
            .unwrap_err();
        assert!(error.is_io(), "{error}");
    }
}
