//! Files put together by hand: valid JSON, valid safetensors, and where asked a checksum that is
//! right.

use std::collections::BTreeMap;

use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use super::Bench;
use super::contents::{Contents, Tensor};
use crate::common;

fn opened() -> (Bench, Contents) {
    let bench = Bench::new();
    let contents = Contents::of(&bench.bytes);
    (bench, contents)
}

#[test]
fn the_checksum_covers_what_the_format_says_and_the_bytes_come_out_again() {
    let (bench, contents) = opened();
    assert_eq!(contents.manifest["sha256"], contents.checksum());
    assert!(!bench.is_refused("put together again", &contents.clone().to_bytes()));
    assert!(!bench.is_refused("signed again", &contents.signed()));
}

#[test]
fn no_change_of_the_metadata_goes_unnoticed() {
    let (bench, contents) = opened();
    let others = [
        json!(null),
        json!(0),
        json!(1),
        json!(3),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!("1"),
        json!(""),
        json!("strict"),
        json!("direct"),
        json!("input"),
        json!(true),
        json!([]),
        json!({}),
        json!([1]),
        json!("0 1 3x3 one.weight"),
        json!("1 0 3x3 one.weight"),
        json!("f two.bias"),
        json!(["0 1 3x3 one.weight"]),
        json!(["0 1 3x3 one.weight", "0 1 3x4 two.weight"]),
        json!(["0 1 3x3 one.weight", "0 1 3x3 two.bias"]),
        json!(["0 1 3 one.weight", "0 1 3x3 two.weight"]),
        json!([
            "0 1 3x3 one.weight",
            "0 1 3x3 two.weight",
            "0 1 3x3 three.weight"
        ]),
        json!([
            "0 1 18446744073709551615x18446744073709551616 one.weight",
            "0 1 -3x3 two.weight"
        ]),
        json!(["two.bias"]),
        json!(["two.bias", "one.weight.goft.block_offsets"]),
        json!("0".repeat(64)),
    ];
    let mut count = 0;
    for pointer in [
        "",
        "/version",
        "/targets",
        "/targets/0",
        "/targets/1",
        "/ids",
        "/ids/0",
        "/ids/4",
        "/bases",
        "/bases/0",
        "/bases/2",
        "/buffers",
        "/sha256",
    ] {
        for other in &others {
            let mut changed = contents.clone();
            let place = changed.manifest.pointer_mut(pointer).unwrap();
            if place == other {
                continue;
            }
            *place = other.clone();
            count += 1;
            let what = format!("`{pointer}` set to {other}");
            assert!(bench.is_refused(&what, &changed.to_bytes()), "{what}");
        }
        if let Some((parent, name)) = pointer.rsplit_once('/')
            && let Some(object) = contents.clone().manifest.pointer_mut(parent)
            && let Some(object) = object.as_object_mut()
        {
            let mut changed = contents.clone();
            object.remove(name);
            *changed.manifest.pointer_mut(parent).unwrap() = Value::Object(object.clone());
            count += 1;
            assert!(bench.is_refused(&format!("`{pointer}` removed"), &changed.to_bytes()));
        }
    }
    for list in ["targets", "ids", "bases"] {
        let lines = contents.manifest[list].as_array().unwrap();
        for index in 0..lines.len() {
            let mut changed = contents.clone();
            let lines = changed.manifest[list].as_array_mut().unwrap();
            lines.remove(index);
            count += 1;
            let what = format!("`{list}` without line {index}");
            assert!(bench.is_refused(&what, &changed.to_bytes()), "{what}");
        }
        let mut changed = contents.clone();
        let lines = changed.manifest[list].as_array_mut().unwrap();
        lines.reverse();
        count += 1;
        assert!(bench.is_refused(&format!("`{list}` reversed"), &changed.to_bytes()));
    }
    let mut changed = contents.clone();
    changed.manifest["more"] = json!(1);
    assert!(bench.is_refused("a field more", &changed.to_bytes()));
    assert!(count > 200, "{count}");
}

#[test]
fn no_change_of_a_tensor_goes_unnoticed() {
    let (bench, contents) = opened();
    let names: Vec<_> = contents.tensors.keys().cloned().collect();
    let change = |what: &str, change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut changed = contents.clone();
        change(&mut changed.tensors);
        assert!(bench.is_refused(what, &changed.to_bytes()), "{what}");
    };
    for name in &names {
        change(&format!("`{name}` removed"), &|tensors| {
            tensors.remove(name);
        });
        change(&format!("`{name}` renamed"), &|tensors| {
            let tensor = tensors.remove(name).unwrap();
            tensors.insert(format!("{name}s"), tensor);
        });
        change(&format!("`{name}` twice"), &|tensors| {
            tensors.insert(format!("more.{name}"), tensors[name].clone());
        });
        change(&format!("`{name}` reshaped"), &|tensors| {
            let tensor = tensors.get_mut(name).unwrap();
            tensor.1.push(1);
        });
        for dtype in [Dtype::I32, Dtype::U32] {
            change(&format!("`{name}` as {dtype:?}"), &|tensors| {
                tensors.get_mut(name).unwrap().0 = dtype;
            });
        }
        for dtype in [Dtype::F16, Dtype::BF16] {
            change(&format!("`{name}` as {dtype:?}"), &|tensors| {
                let tensor = tensors.get_mut(name).unwrap();
                tensor.0 = dtype;
                tensor.1.push(2);
            });
        }
        for other in names.iter().filter(|other| *other < name) {
            change(&format!("`{name}` and `{other}` exchanged"), &|tensors| {
                let (one, two) = (tensors[name].clone(), tensors[other].clone());
                tensors.insert(name.clone(), two);
                tensors.insert(other.clone(), one);
            });
        }
    }
}

#[test]
fn a_value_that_is_not_finite_is_refused_by_name_whatever_the_checksum() {
    let (bench, contents) = opened();
    for (name, (_, _, data)) in &contents.tensors {
        for place in 0..data.len() / 4 {
            for value in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut changed = contents.clone();
                let data = &mut changed.tensors.get_mut(name).unwrap().2;
                data[4 * place..4 * place + 4].copy_from_slice(&value.to_le_bytes());
                let what = format!("{value} in `{name}` at {place}");
                let error = bench.load(&what, &changed.signed()).unwrap_err();
                assert!(error.is_not_finite(), "{what}: {error}");
                let named = format!("of `{name}` holds 1 NaN or infinite values; ");
                assert!(error.to_string().contains(&named), "{what}: {error}");
                let remedy = "the training that wrote it had diverged; load an earlier file";
                assert!(error.to_string().ends_with(remedy), "{error}");
            }
        }
    }
}

fn floats(shape: &[usize]) -> Tensor {
    let values = common::normal(1, shape.iter().product());
    let bytes = values
        .iter()
        .flat_map(|value| (*value as f32).to_le_bytes());
    (Dtype::F32, shape.to_vec(), bytes.collect())
}

#[test]
fn contents_that_make_no_adapter_are_refused_whatever_the_checksum() {
    let (bench, contents) = opened();
    type Change = fn(&mut Contents);
    const OFFSETS: &str = "one.weight.goft.block_offsets";
    const UNKNOWN: &str = "which are not those of a method that this build knows";
    let cases: [(&str, &str, Change); 18] = [
        (
            "blocks of another weight",
            "`block_offsets` has 12 values, and a weight [3, 3] rotated along axis 0 needs [2, 2, 2]",
            |c| c.set(OFFSETS, &[3, 2, 2]),
        ),
        (
            "blocks in another order of axes",
            "`one.weight.goft.block_offsets` has shape [8], and a weight [3, 3] needs [2, 2, 2]",
            |c| c.set(OFFSETS, &[8]),
        ),
        (
            "a scale of another weight",
            "`neuron_scale_offsets` has 4 values, and a weight [3, 3] rotated along axis 0 needs [3]",
            |c| c.set("one.weight.goft.neuron_scale_offsets", &[4]),
        ),
        ("no rotation", UNKNOWN, |c| c.remove(OFFSETS)),
        ("two rotations", UNKNOWN, |c| {
            c.set("one.weight.goft.angles", &[2]);
        }),
        ("two forms of OFT", UNKNOWN, |c| {
            c.remove(OFFSETS);
            c.set("one.weight.goft.skew_b2", &[1]);
            c.set("one.weight.goft.skew_b3", &[3]);
        }),
        ("a form of OFT that does not work", UNKNOWN, |c| {
            c.remove(OFFSETS);
            c.set("one.weight.goft.skew_b1", &[0]);
        }),
        (
            "skew parameters of another dimension",
            "`skew_b2` has 2 values, and a weight [3, 3] rotated along axis 0 needs [1]",
            |c| {
                c.remove(OFFSETS);
                c.set("one.weight.goft.skew_b2", &[2]);
            },
        ),
        ("an odd number of reflections", UNKNOWN, |c| {
            c.remove(OFFSETS);
            c.set("one.weight.goft.reflections_r3", &[3, 3]);
        }),
        ("the angles of RoAd alone", UNKNOWN, |c| {
            c.remove(OFFSETS);
            c.set("one.weight.goft.road1_angles", &[1]);
        }),
        ("two forms of RoAd", UNKNOWN, |c| {
            c.remove(OFFSETS);
            c.set("one.weight.goft.road1_angles", &[1]);
            c.set("one.weight.goft.road2_scale_offsets", &[1, 2]);
        }),
        (
            "two scales",
            "for `one.weight` it holds more than one norm scale",
            |c| c.set("one.weight.goft.input_scale_offsets", &[3]),
        ),
        ("an unknown parameter", UNKNOWN, |c| {
            c.set("one.weight.goft.shift", &[3]);
        }),
        (
            "a parameter without its target",
            "`one.weight.goft.block_offsets`, which the model does not have",
            |c| c.manifest["targets"] = json!(["0 1 3x3 two.weight"]),
        ),
        ("a target without its parameters", UNKNOWN, |c| {
            c.tensors.retain(|name, _| !name.starts_with("one."));
            c.drop_lines("ids", "one.");
        }),
        (
            "a target of another shape",
            "of shape [3, 4], and the model has [3, 3]",
            |c| {
                c.manifest["targets"] = json!(["0 1 3x4 one.weight", "0 1 3x3 two.weight"]);
            },
        ),
        (
            "a target that is no matrix",
            "`one.bias` of shape [3, 3], and the model has [3]",
            |c| {
                c.manifest["targets"] = json!(["0 1 3x3 one.bias", "0 1 3x3 two.weight"]);
            },
        ),
        (
            "a kept parameter of another shape",
            "`two.bias` of shape [4], and the model has [3]",
            |c| c.set("two.bias", &[4]),
        ),
    ];
    for (what, message, change) in cases {
        let mut changed = contents.clone();
        change(&mut changed);
        let error = bench.load(what, &changed.signed()).unwrap_err();
        assert!(error.is_mismatch(), "{what}: {error}");
        assert!(error.to_string().contains(message), "{what}: {error}");
    }
}

impl Contents {
    fn set(&mut self, name: &str, shape: &[usize]) {
        self.tensors.insert(name.into(), floats(shape));
    }

    fn remove(&mut self, name: &str) {
        self.tensors.remove(name);
        self.drop_lines("ids", name);
    }

    /// Without the lines about paths that start so.
    fn drop_lines(&mut self, list: &str, path: &str) {
        let lines = self.manifest[list].as_array_mut().unwrap();
        let about = |line: &Value| {
            line.as_str()
                .unwrap()
                .split_once(' ')
                .unwrap()
                .1
                .to_string()
        };
        lines.retain(|line| !about(line).starts_with(path));
    }
}

#[test]
fn lines_that_mean_nothing_are_refused_whatever_the_checksum() {
    let (bench, contents) = opened();
    let base = &contents.manifest["bases"][0];
    let base = base
        .as_str()
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_string();
    let infinite = "7f800000".to_string() + &base[8..];
    let cases = [
        ("targets", "0 1 3x3", "is not `axis neuron_axis shape path`"),
        ("targets", "0 1 3 one.weight", "is not `axis"),
        ("targets", "0 0 3x3 one.weight", "is not `axis"),
        ("targets", "2 0 3x3 one.weight", "is not `axis"),
        ("targets", "0 2 3x3 one.weight", "is not `axis"),
        ("targets", "-1 0 3x3 one.weight", "is not `axis"),
        ("targets", "0 1 3x3x one.weight", "is not `axis"),
        ("targets", "one.weight 3 3", "is not `axis"),
        ("ids", "two.bias", "is not `id path`"),
        ("ids", "ghij two.bias", "is not `id path`"),
        ("ids", "10000000000000000 two.bias", "is not `id path`"),
        (
            "ids",
            "7 three.bias",
            "an id for `three.bias`, and no tensor",
        ),
        ("bases", "one.bias", "is not `fingerprint path`"),
        ("bases", &format!("{base}0 one.bias"), "is not `fingerprint"),
        ("bases", &format!("{} one.bias", &base[1..]), "is not `fing"),
        (
            "bases",
            &format!("g{} one.bias", &base[1..]),
            "is not `fing",
        ),
        (
            "bases",
            &format!("{infinite} one.bias"),
            "is not `fingerprint",
        ),
        ("buffers", "three.mean", "`three.mean`, and no tensor"),
    ];
    for (list, line, message) in cases {
        let what = format!("`{line}` in `{list}`");
        let mut changed = contents.clone();
        let lines = changed.manifest[list].as_array_mut().unwrap();
        if list == "buffers" || line.starts_with("7 ") {
            lines.push(json!(line));
        } else {
            lines[0] = json!(line);
        }
        let error = bench.load(&what, &changed.signed()).unwrap_err();
        assert!(error.is_format(), "{what}: {error}");
        assert!(error.to_string().contains(message), "{what}: {error}");
    }
}

/// What a fingerprint says is believed, if the checksum is right.
#[test]
fn a_fingerprint_of_another_base_is_refused_by_its_path_whatever_the_checksum() {
    let (bench, contents) = opened();
    for index in 0..contents.manifest["bases"].as_array().unwrap().len() {
        let mut changed = contents.clone();
        let line = &mut changed.manifest["bases"][index];
        let (digits, path) = line.as_str().unwrap().split_once(' ').unwrap();
        let (path, rest) = (path.to_string(), digits[8..].to_string());
        // Four times the norm in one of the sums.
        let norm = f32::from_bits(u32::from_str_radix(&digits[32..40], 16).unwrap());
        *line = json!(format!("{:08x}{rest} {path}", (4.0 * norm).to_bits()));
        let error = bench.load(&path, &changed.signed()).unwrap_err();
        assert!(error.is_other_base(), "{path}: {error}");
        assert!(
            error.to_string().contains(&format!("`{path}` differs")),
            "{error}"
        );
    }
}

#[test]
fn sizes_beyond_any_machine_are_refused_whatever_the_checksum() {
    let (bench, contents) = opened();
    let sizes = [
        "0x0",
        "0x3",
        "3x0",
        "18446744073709551615x18446744073709551615",
        "9223372036854775808x2",
    ];
    for size in sizes {
        let mut changed = contents.clone();
        let target = format!("0 1 {size} one.weight");
        changed.manifest["targets"] = json!([target, "0 1 3x3 two.weight"]);
        assert!(bench.is_refused(size, &changed.signed()), "{size}");
    }
}
