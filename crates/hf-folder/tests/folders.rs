//! Folders of made-up models: nothing here knows an architecture.

use std::collections::BTreeMap;
use std::path::Path;

use hf_folder::{Dtype, Error, HfFolder, Rewritten, floats};
use safetensors::tensor::TensorView;
use tempfile::TempDir;

const DTYPES: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::BF16];

/// Numbers that all dtypes hold.
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    let number = |index| ((index * 37 + seed * 11) % 101) as f32 / 8.0 - 6.0;
    (0..count).map(number).collect()
}

/// What a file is made of: name, dtype, shape, bytes.
type Entry = (String, Dtype, Vec<usize>, Vec<u8>);

fn entry(name: &str, dtype: Dtype, shape: &[usize], seed: usize) -> Entry {
    let count = shape.iter().product();
    let bytes = match dtype {
        Dtype::I64 => (0..count as i64).flat_map(i64::to_le_bytes).collect(),
        _ => floats::encode(dtype, &numbers(seed, count)).unwrap().0,
    };
    (name.into(), dtype, shape.into(), bytes)
}

fn write_shard(path: &Path, entries: &[Entry], metadata: &[(&str, &str)]) {
    let views = entries.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes).unwrap();
        (name.clone(), view)
    });
    let metadata = metadata
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    safetensors::serialize_to_file(views, Some(metadata.collect()), path).unwrap();
}

/// A model in two shards of several dtypes, with files around it.
fn sharded(folder: &Path) {
    let first = [
        entry("gyre.warp", Dtype::BF16, &[3, 5], 1),
        entry("gyre.ids", Dtype::I64, &[7], 0),
        entry("gyre.scale", Dtype::F32, &[], 2),
    ];
    let second = [
        entry("wabe.0.weft", Dtype::F16, &[2, 3, 4], 3),
        entry("wabe.empty", Dtype::F32, &[0, 4], 0),
        entry("wabe.1.weft", Dtype::F32, &[4, 4], 4),
    ];
    let names = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ];
    write_shard(
        &folder.join(names[0]),
        &first,
        &[("format", "pt"), ("note", "as it was")],
    );
    write_shard(&folder.join(names[1]), &second, &[("format", "pt")]);
    let map: BTreeMap<&str, &str> = first
        .iter()
        .map(|entry| (entry.0.as_str(), names[0]))
        .chain(second.iter().map(|entry| (entry.0.as_str(), names[1])))
        .collect();
    let index = serde_json::json!({ "metadata": { "total_size": 0 }, "weight_map": map });
    write(
        folder,
        "model.safetensors.index.json",
        index.to_string().as_bytes(),
    );
    for name in [
        "config.json",
        "tokenizer.json",
        "extra/notes.txt",
        "vocab.txt",
    ] {
        write(folder, name, name.as_bytes());
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// All files of a folder, by path in it.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                files.insert(name.replace('\\', "/"), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// A folder of the model, and a place for its copy.
fn model() -> (TempDir, std::path::PathBuf, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let (source, out) = (place.path().join("source"), place.path().join("out"));
    std::fs::create_dir(&source).unwrap();
    sharded(&source);
    (place, source, out)
}

fn copied(source: &Path, out: &Path) -> Result<Rewritten, Error> {
    HfFolder::open(source).unwrap().rewrite(out, |_| Ok(None))
}

#[test]
fn without_changes_the_copy_is_the_folder() {
    let (_place, source, out) = model();
    let done = copied(&source, &out).unwrap();
    assert_eq!(contents(&out), contents(&source));
    assert_eq!((done.replaced.len(), done.kept), (0, 6));
    assert!(done.left_out.is_empty());
    let names: Vec<_> = done
        .copied
        .iter()
        .map(|path| path.to_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "config.json",
            "extra/notes.txt",
            "model.safetensors.index.json",
            "tokenizer.json",
            "vocab.txt"
        ]
    );
}

#[test]
fn tensors_are_read_by_name_whatever_their_shard() {
    let (_place, source, _) = model();
    let folder = HfFolder::open(&source).unwrap();
    let names: Vec<_> = folder
        .tensors()
        .map(|tensor| tensor.name().to_string())
        .collect();
    assert_eq!(
        names,
        [
            "gyre.ids",
            "gyre.scale",
            "gyre.warp",
            "wabe.0.weft",
            "wabe.1.weft",
            "wabe.empty"
        ]
    );
    for (name, seed, shape) in [
        ("gyre.warp", 1, &[3, 5][..]),
        ("gyre.scale", 2, &[]),
        ("wabe.0.weft", 3, &[2, 3, 4]),
        ("wabe.empty", 0, &[0, 4]),
    ] {
        let tensor = folder.tensor(name).unwrap();
        assert_eq!(tensor.shape(), shape);
        let bytes = tensor.read().unwrap();
        assert_eq!(bytes.len(), tensor.size());
        let count = shape.iter().product();
        assert_eq!(
            floats::decode(tensor.dtype(), &bytes).unwrap(),
            numbers(seed, count)
        );
    }
    assert_eq!(
        floats::decode(
            Dtype::I64,
            &folder.tensor("gyre.ids").unwrap().read().unwrap()
        ),
        None
    );
    let error = folder.tensor("wabe.7.weft").unwrap_err().to_string();
    assert!(
        error.contains("`wabe.7.weft` is not among the 6"),
        "{error}"
    );
    assert!(error.contains("wabe.0.weft"), "{error}");
}

/// Every other byte is where it was.
#[test]
fn only_what_was_given_changes() {
    let (_place, source, out) = model();
    let folder = HfFolder::open(&source).unwrap();
    let changed = [
        "gyre.warp",
        "wabe.0.weft",
        "wabe.1.weft",
        "gyre.scale",
        "wabe.empty",
    ];
    let done = folder.rewrite(&out, |tensor| {
        if !changed.contains(&tensor.name()) {
            return Ok(None);
        }
        let values = floats::decode(tensor.dtype(), &tensor.read()?).unwrap();
        Ok(Some(values.into_iter().map(|x| x + 0.5).collect()))
    });
    let done = done.unwrap();
    assert_eq!((done.replaced.len(), done.kept), (5, 1));
    assert!(done.replaced.iter().all(|one| one.rounding.largest == 0.0));
    let copy = HfFolder::open(&out).unwrap();
    for tensor in folder.tensors() {
        let after = copy.tensor(tensor.name()).unwrap();
        assert_eq!(
            (after.dtype(), after.shape()),
            (tensor.dtype(), tensor.shape())
        );
        let (before, found) = (tensor.read().unwrap(), after.read().unwrap());
        if changed.contains(&tensor.name()) {
            let expected = floats::decode(tensor.dtype(), &before).unwrap();
            let expected: Vec<_> = expected.into_iter().map(|x| x + 0.5).collect();
            assert_eq!(floats::decode(tensor.dtype(), &found).unwrap(), expected);
        } else {
            assert_eq!(found, before);
        }
    }
    let (before, after) = (contents(&source), contents(&out));
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &before {
        assert_eq!(bytes.len(), after[name].len(), "{name}");
        if !name.ends_with(".safetensors") {
            assert_eq!(bytes, &after[name], "{name}");
            continue;
        }
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(bytes[..header], after[name][..header], "{name}");
    }
}

#[test]
fn rounding_is_to_the_nearest_and_reported() {
    for dtype in DTYPES {
        let place = tempfile::tempdir().unwrap();
        let (source, out) = (place.path().join("in"), place.path().join("out"));
        std::fs::create_dir(&source).unwrap();
        let entries = [entry("a", dtype, &[64], 5)];
        write_shard(&source.join("model.safetensors"), &entries, &[]);
        let values: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin()).collect();
        let folder = HfFolder::open(&source).unwrap();
        let done = folder.rewrite(&out, |_| Ok(Some(values.clone()))).unwrap();
        let found = HfFolder::open(&out)
            .unwrap()
            .tensor("a")
            .unwrap()
            .read()
            .unwrap();
        let found = floats::decode(dtype, &found).unwrap();
        // Digits of the significand, and so half the distance of neighbors below 1.
        let half = match dtype {
            Dtype::F32 => 0.0,
            Dtype::F16 => 2f64.powi(-12),
            _ => 2f64.powi(-9),
        };
        let differences = found.iter().zip(&values).map(|(a, b)| f64::from(*a - *b));
        let differences: Vec<f64> = differences.collect();
        let largest = differences.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        assert!(largest <= half, "{dtype:?}: {largest}");
        let squares = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>();
        let wide: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
        let relative = (squares(&differences) / squares(&wide)).sqrt();
        let rounding = done.replaced[0].rounding;
        assert_eq!((rounding.largest, rounding.overflows), (largest, 0));
        assert!((rounding.relative - relative).abs() <= 1e-12, "{dtype:?}");
        assert_eq!(dtype == Dtype::F32, rounding.relative == 0.0);
    }
}

/// Copies of the weights in another format would be the old ones.
#[test]
fn other_copies_of_the_weights_are_left_out_and_named() {
    let (_place, source, out) = model();
    let weights = [
        "consolidated.safetensors",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "onnx/model.onnx",
        "original/consolidated.00.pth",
        "model.Q4_K_M.gguf",
        "adapter_config.json",
        "adapter_model.safetensors",
    ];
    for name in weights {
        write(&source, name, b"old");
    }
    for name in [".git/HEAD", ".cache/huggingface/x"] {
        write(&source, name, b"about the source");
    }
    write(&source, "original/params.json", b"{}");
    let done = copied(&source, &out).unwrap();
    let found: Vec<_> = done
        .left_out
        .iter()
        .map(|path| path.to_str().unwrap())
        .collect();
    let mut expected = weights;
    expected.sort();
    assert_eq!(found, expected);
    let copy = contents(&out);
    assert!(copy.contains_key("original/params.json"));
    assert!(weights.iter().all(|name| !copy.contains_key(*name)));
    assert!(
        !copy.keys().any(|name| name.starts_with('.')),
        "{:?}",
        copy.keys()
    );
}

#[cfg(unix)]
#[test]
fn a_cache_of_links_becomes_files() {
    let place = tempfile::tempdir().unwrap();
    let (blobs, snapshot) = (place.path().join("blobs"), place.path().join("snapshot"));
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::create_dir_all(&snapshot).unwrap();
    sharded(&blobs);
    let mut expected = contents(&blobs);
    expected.remove("extra/notes.txt");
    for name in expected.keys() {
        std::os::unix::fs::symlink(Path::new("../blobs").join(name), snapshot.join(name)).unwrap();
    }
    let out = place.path().join("out");
    copied(&snapshot, &out).unwrap();
    assert_eq!(contents(&out), expected);
    for entry in std::fs::read_dir(&out).unwrap() {
        assert!(!entry.unwrap().file_type().unwrap().is_symlink());
    }
}

/// What is in the parent of the copy, to see that nothing is left behind.
fn left(place: &TempDir) -> Vec<String> {
    let names = std::fs::read_dir(place.path()).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_fails_leaves_nothing() {
    let (place, source, out) = model();
    let folder = HfFolder::open(&source).unwrap();
    let at_last = |values: Vec<f32>| {
        folder.rewrite(&out, move |tensor| {
            Ok((tensor.name() == "wabe.1.weft").then(|| values.clone()))
        })
    };
    let error = at_last(vec![0.0; 15]).unwrap_err().to_string();
    assert!(
        error.contains("`wabe.1.weft` has 16 numbers, by its shape [4, 4], and was given 15"),
        "{error}"
    );
    let error = at_last(vec![f32::NAN; 16]).unwrap_err().to_string();
    assert!(
        error.contains("16 numbers that are NaN or infinite"),
        "{error}"
    );
    let error = folder.rewrite(&out, |tensor| match tensor.name() {
        "gyre.ids" => Ok(Some(vec![0.0; 7])),
        _ => Ok(None),
    });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("`gyre.ids` is stored as I64"), "{error}");
    let error = folder.rewrite(&out, |tensor| match tensor.name() {
        "wabe.0.weft" => Ok(Some(vec![70_000.0; 24])),
        _ => Ok(None),
    });
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("24 numbers beyond what F16 holds"),
        "{error}"
    );
    let error = folder
        .rewrite(&out, |_| Err("no adapter".into()))
        .unwrap_err();
    assert!(matches!(&error, Error::Change { .. }));
    assert!(error.to_string().contains("no adapter"), "{error}");
    assert_eq!(left(&place), ["source"]);
}

#[test]
fn nothing_is_written_over() {
    let (place, source, out) = model();
    let refused = |out: &Path| match copied(&source, out).unwrap_err() {
        error @ Error::Output { .. } => error.to_string(),
        other => panic!("{other}"),
    };
    let before = contents(&source);
    assert!(refused(&source).contains("not an empty folder"));
    assert!(refused(&source.join("merged")).contains("own folder"));
    assert!(refused(&place.path().join("source/../source/merged")).contains("own folder"));
    assert!(refused(&place.path().join("no/such/folder")).contains("create it first"));
    std::fs::write(&out, b"a file").unwrap();
    assert!(refused(&out).contains("not an empty folder"));
    std::fs::remove_file(&out).unwrap();
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine"), b"mine").unwrap();
    assert!(refused(&out).contains("not an empty folder"));
    std::fs::remove_file(out.join("mine")).unwrap();
    // An empty folder is a place for it.
    copied(&source, &out).unwrap();
    assert_eq!(contents(&out), before);
    assert_eq!(contents(&source), before);
    assert_eq!(left(&place), ["out", "source"]);
}

#[test]
fn damaged_folders_are_refused_with_what_was_found() {
    let message = |change: &dyn Fn(&Path)| {
        let (_place, source, _) = model();
        change(&source);
        HfFolder::open(&source).unwrap_err().to_string()
    };
    let second = "model-00002-of-00002.safetensors";
    let index = "model.safetensors.index.json";
    let edit = |folder: &Path, name: &str, edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(folder.join(name)).unwrap();
        edit(&mut bytes);
        std::fs::write(folder.join(name), bytes).unwrap();
    };
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path));
    let table: [Damage<'_>; 9] = [
        ("this file, and it is not there", &|folder| {
            std::fs::remove_file(folder.join(second)).unwrap();
        }),
        ("bytes, and the file has", &|folder| {
            edit(folder, second, &|bytes| bytes.truncate(bytes.len() - 1));
        }),
        ("bytes, and the file has", &|folder| {
            edit(folder, second, &|bytes| bytes.push(0))
        }),
        ("is no safetensors file", &|folder| {
            edit(folder, second, &|bytes| bytes.truncate(3))
        }),
        ("its header is said to have", &|folder| {
            write(
                folder,
                second,
                b"version https://git-lfs.github.com/spec/v1",
            );
        }),
        ("its header cannot be read", &|folder| {
            edit(folder, second, &|bytes| bytes[8] = b'#');
        }),
        ("it is no index of shards", &|folder| {
            write(folder, index, b"{}")
        }),
        ("not one in its folder", &|folder| {
            write(
                folder,
                index,
                br#"{"weight_map": {"a": "../model.safetensors"}}"#,
            );
        }),
        ("has both", &|folder| {
            write(folder, "model.safetensors", b"")
        }),
    ];
    for (expected, change) in table {
        let found = message(change);
        assert!(found.contains(expected), "{found}");
    }
    let wrong = r#"{"weight_map": {"mome": "model-00001-of-00002.safetensors"}}"#;
    let found = message(&|folder| write(folder, index, wrong.as_bytes()));
    assert!(
        found.contains("tensor `mome` is not in this file"),
        "{found}"
    );
}

#[test]
fn the_only_weights_are_the_models() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let open = || HfFolder::open(folder);
    let error = open().unwrap_err().to_string();
    assert!(error.contains("has neither"), "{error}");
    assert!(
        HfFolder::open(folder.join("nowhere"))
            .unwrap_err()
            .to_string()
            .contains("no such folder")
    );
    write_shard(
        &folder.join("weights.safetensors"),
        &[entry("a", Dtype::F32, &[2], 1)],
        &[],
    );
    write_shard(
        &folder.join("adapter.safetensors"),
        &[entry("b", Dtype::F32, &[2], 1)],
        &[],
    );
    assert!(open().unwrap().tensor("a").is_ok());
    write_shard(
        &folder.join("others.safetensors"),
        &[entry("a", Dtype::F32, &[2], 1)],
        &[],
    );
    let error = open().unwrap_err().to_string();
    assert!(
        error.contains("others.safetensors, weights.safetensors"),
        "{error}"
    );
}

proptest::proptest! {
    /// Bits of any number survive, and rounding is to the nearest with ties to even.
    #[test]
    fn numbers_round_as_the_formats_say(bits in proptest::prelude::any::<u32>()) {
        let value = f32::from_bits(bits);
        proptest::prop_assume!(value.is_finite());
        for dtype in DTYPES {
            let (bytes, _) = floats::encode(dtype, &[value]).unwrap();
            let once = floats::decode(dtype, &bytes).unwrap()[0];
            let (again, rounding) = floats::encode(dtype, &[once]).unwrap();
            proptest::prop_assert_eq!(&again, &bytes);
            proptest::prop_assert_eq!(rounding.overflows, 0);
            if dtype == Dtype::BF16 && once.is_finite() {
                // The upper half of an f32, by arithmetic on its bits.
                let expected = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16 << 16;
                proptest::prop_assert_eq!(once.to_bits(), expected);
            }
        }
    }
}
