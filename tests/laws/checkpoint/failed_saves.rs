//! A save that fails leaves everything as it was and says why.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn_goft::{Error, Goft, GoftModule};

use super::file;
use crate::common;
use crate::models::{Mlp, example, rewrite, stir, values};

fn adapted() -> Mlp {
    let (_, device) = common::devices().remove(0);
    let goft = Goft::quasi().with_trainable(["head.*"]);
    let model = example::<Mlp>(&device.autodiff()).apply_goft(goft).unwrap();
    stir(model, 5, 0.2)
}

fn listing(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Saves over an intact file, which must survive, and returns the refusal.
fn refusal(model: &Mlp) -> Error {
    let folder = tempfile::tempdir().unwrap();
    adapted().save_adapters(file(&folder)).unwrap();
    let before = std::fs::read(file(&folder)).unwrap();
    let error = model.save_adapters(file(&folder)).unwrap_err();
    assert_eq!(std::fs::read(file(&folder)).unwrap(), before);
    assert_eq!(listing(folder.path()), ["adapter.safetensors"]);
    error
}

#[test]
fn a_diverged_adapter_is_not_saved() {
    for broken in [f64::NAN, f64::INFINITY] {
        let error = refusal(&stir(adapted(), 5, broken));
        assert!(error.is_not_finite(), "{error}");
        assert_eq!(
            error.to_string(),
            "the value of `fc1.weight.goft.block_offsets` holds 24 NaN or infinite values; the training has diverged, and nothing was \
             written; lower the learning rate, or go back to the last saved file"
        );
    }
}

#[test]
fn a_diverged_kept_parameter_is_not_saved() {
    #[derive(Default)]
    struct Break(Vec<String>);
    impl ModuleMapper for Break {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.0.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.0.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let broken = vec![f64::NEG_INFINITY; param.shape().num_elements()];
            if self.0 == ["head", "bias"] {
                rewrite(param, &broken)
            } else {
                param
            }
        }
    }
    let error = refusal(&adapted().map(&mut Break::default()));
    assert!(error.is_not_finite(), "{error}");
    let start = "the value of `head.bias` holds 3 NaN or infinite values; ";
    assert!(error.to_string().starts_with(start), "{error}");
}

#[test]
fn a_frozen_model_is_not_saved() {
    for frozen in [
        adapted().freeze(),
        adapted().no_grad(),
        adapted().freeze().valid(),
    ] {
        let error = refusal(&frozen);
        assert!(error.is_not_adapted(), "{error}");
        assert_eq!(
            error.to_string(),
            "asked to save, but the adapter of `fc1.weight` is frozen, and then the parameters trained beside it cannot be told \
             from the pretrained ones; save before `freeze` or `no_grad` (`valid` is fine)"
        );
    }
}

#[test]
fn a_model_without_adapters_is_not_saved() {
    let (_, device) = common::devices().remove(0);
    let error = refusal(&example::<Mlp>(&device));
    assert!(error.is_not_adapted(), "{error}");
    assert_eq!(
        error.to_string(),
        "asked to save the adapter, but no parameter carries an adapter; call `apply_goft` or `load_adapters` first"
    );
}

#[test]
fn a_path_that_is_a_folder_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    for inner in ["empty", "full"] {
        std::fs::create_dir(folder.path().join(inner)).unwrap();
    }
    std::fs::write(folder.path().join("full/file"), b"content").unwrap();
    for inner in ["empty", "full"] {
        let path = folder.path().join(inner);
        let error = adapted().save_adapters(&path).unwrap_err();
        assert!(error.is_io(), "{error}");
        let start = format!("writing adapter file `{}`: ", path.display());
        assert!(error.to_string().starts_with(&start), "{error}");
    }
    assert_eq!(listing(folder.path()), ["empty", "full"]);
    assert_eq!(listing(&folder.path().join("empty")), Vec::<String>::new());
    assert_eq!(
        std::fs::read(folder.path().join("full/file")).unwrap(),
        b"content"
    );
}

#[test]
fn a_folder_that_is_missing_or_is_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), b"content").unwrap();
    for inside in ["missing", "file"] {
        let path = folder.path().join(inside).join("adapter.safetensors");
        let error = adapted().save_adapters(&path).unwrap_err();
        assert!(error.is_io(), "{error}");
        let start = format!("writing adapter file `{}`: ", path.display());
        assert!(error.to_string().starts_with(&start), "{error}");
        let found = format!(
            "there is no folder `{}`; create it first",
            folder.path().join(inside).display()
        );
        assert!(error.to_string().ends_with(&found), "{error}");
    }
    assert_eq!(listing(folder.path()), ["file"]);
    assert_eq!(
        std::fs::read(folder.path().join("file")).unwrap(),
        b"content"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    // Not even the superuser can create a file there.
    let error = adapted()
        .save_adapters("/proc/self/adapter.safetensors")
        .unwrap_err();
    assert!(error.is_io(), "{error}");
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_leaves_the_earlier_file_and_nothing_beside_it() {
    const FOLDER: &str = "BURN_GOFT_FULL_DISK";
    const NAME: &str = "checkpoint::failed_saves::a_disk_that_is_full_leaves_the_earlier_file_and_nothing_beside_it";
    // In the process that may not write more than 512 bytes to a file.
    if let Some(folder) = std::env::var_os(FOLDER) {
        let path = Path::new(&folder).join("adapter.safetensors");
        let error = adapted().save_adapters(path).unwrap_err();
        assert!(error.is_io(), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(file(&folder), b"the earlier file").unwrap();
    let limited = r#"trap "" XFSZ; ulimit -f 1; exec "$0" --exact "$1""#;
    let output = std::process::Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .arg(NAME)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}");
    assert!(report.contains("1 passed"), "{report}");
    assert_eq!(std::fs::read(file(&folder)).unwrap(), b"the earlier file");
    assert_eq!(listing(folder.path()), ["adapter.safetensors"]);
}

#[test]
fn a_save_changes_nothing_of_the_model_and_leaves_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = adapted();
    let before = values(&model);
    model.save_adapters(file(&folder)).unwrap();
    assert_eq!(values(&model), before);
    assert_eq!(listing(folder.path()), ["adapter.safetensors"]);
}

#[test]
fn a_save_replaces_the_file_there_is_whatever_it_held() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(file(&folder), vec![7; 100_000]).unwrap();
    adapted().save_adapters(file(&folder)).unwrap();
    let (_, device) = common::devices().remove(0);
    let loaded = example::<Mlp>(&device)
        .load_adapters(file(&folder))
        .unwrap();
    assert_eq!(values(&loaded), values(&adapted()));
}

#[cfg(unix)]
#[test]
fn what_is_there_keeps_its_permissions_and_a_link_its_target() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (file(&folder), folder.path().join("latest"));
    let other = folder.path().join("elsewhere");
    std::fs::create_dir(&other).unwrap();
    let (within, relative) = (other.join("adapter.safetensors"), other.join("link"));
    symlink(&real, &link).unwrap();
    symlink("adapter.safetensors", &relative).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;

    // Through a link that leads nowhere yet, and then over what is there.
    for (link, real) in [(&link, &real), (&relative, &within)] {
        adapted().save_adapters(link).unwrap();
        std::fs::set_permissions(real, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(real, b"an older file").unwrap();
        adapted().save_adapters(link).unwrap();
        assert!(link.is_symlink() && !real.is_symlink());
        assert_eq!(mode(real), 0o600);
        example::<Mlp>(&common::devices().remove(0).1)
            .load_adapters(real)
            .unwrap();
    }

    std::fs::write(&real, b"kept").unwrap();
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o444)).unwrap();
    for path in [&real, &link] {
        let error = adapted().save_adapters(path).unwrap_err();
        assert!(
            error.is_io() && error.to_string().contains("read-only"),
            "{error}"
        );
        assert_eq!(std::fs::read(&real).unwrap(), b"kept");
    }
    assert_eq!(listing(&other), ["adapter.safetensors", "link"]);
    assert_eq!(
        listing(folder.path()),
        ["adapter.safetensors", "elsewhere", "latest"]
    );
}
