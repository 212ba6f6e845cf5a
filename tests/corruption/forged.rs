//! Files put together by hand: valid JSON, valid safetensors, and where asked a checksum that is right.

use std::collections::BTreeMap;

use burn_goft::Error;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use crate::contents::{Contents, Tensor};
use crate::{Bench, common};

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
        json!(2),
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
        json!(["one.weight 3 3"]),
        json!(["one.weight 3 3", "two.weight 3 4"]),
        json!(["one.weight 3 3", "two.bias 3 3"]),
        json!(["one.weight 3", "two.weight 3 3"]),
        json!(["one.weight 3 3", "two.weight 3 3", "three.weight 3 3"]),
        json!([
            "one.weight 18446744073709551615 18446744073709551616",
            "two.weight -3 3"
        ]),
        json!("0".repeat(64)),
    ];
    let mut count = 0;
    for pointer in [
        "",
        "/version",
        "/summary",
        "/summary/kind",
        "/summary/angle_form",
        "/summary/norm_scale",
        "/targets",
        "/targets/0",
        "/targets/1",
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
                assert!(
                    matches!(&error, Error::NonFinite { path, count: 1, .. } if path == name),
                    "{what}: {error}"
                );
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
    let cases: [(&str, &str, Change); 15] = [
        (
            "blocks of another weight",
            "has shape [3, 2, 2], and a weight [3, 3] needs [2, 2, 2]",
            |c| {
                c.tensors
                    .insert("one.weight.goft.blocks".into(), floats(&[3, 2, 2]));
            },
        ),
        ("blocks in another order of axes", "needs [2, 2, 2]", |c| {
            c.tensors
                .insert("one.weight.goft.blocks".into(), floats(&[8]));
        }),
        (
            "a scale of another weight",
            "a weight [3, 3] needs [3]",
            |c| {
                c.tensors
                    .insert("one.weight.goft.neuron_scale".into(), floats(&[4]));
            },
        ),
        (
            "no rotation",
            "exactly one of angles, tanh_angles, blocks and skew",
            |c| {
                c.tensors.remove("one.weight.goft.blocks");
            },
        ),
        (
            "two rotations",
            "exactly one of angles, tanh_angles, blocks and skew",
            |c| {
                c.tensors
                    .insert("one.weight.goft.angles".into(), floats(&[2]));
            },
        ),
        (
            "two forms of OFT",
            "exactly one of angles, tanh_angles, blocks and skew",
            |c| {
                c.tensors.remove("one.weight.goft.blocks");
                c.tensors
                    .insert("one.weight.goft.skew_b2".into(), floats(&[1]));
                c.tensors
                    .insert("one.weight.goft.skew_b3".into(), floats(&[3]));
            },
        ),
        (
            "a form of OFT that does not work",
            "knows no adapter parameter `skew_b1`",
            |c| {
                c.tensors
                    .insert("one.weight.goft.skew_b1".into(), floats(&[0]));
            },
        ),
        (
            "skew parameters of another dimension",
            "`one.weight.goft.skew_b2` has shape [2], and a weight [3, 3] needs [1]",
            |c| {
                c.tensors.remove("one.weight.goft.blocks");
                c.tensors
                    .insert("one.weight.goft.skew_b2".into(), floats(&[2]));
            },
        ),
        ("two scales", "at most one scale, for `one.weight`", |c| {
            c.tensors
                .insert("one.weight.goft.input_scale".into(), floats(&[3]));
        }),
        (
            "an unknown parameter",
            "knows no adapter parameter `shift`",
            |c| {
                c.tensors
                    .insert("one.weight.goft.shift".into(), floats(&[3]));
            },
        ),
        (
            "a parameter without its target",
            "`one.weight.goft.blocks`",
            |c| {
                c.manifest["targets"] = json!(["two.weight 3 3"]);
            },
        ),
        (
            "a target without its parameters",
            "exactly one of angles, tanh_angles, blocks and skew",
            |c| {
                c.tensors.retain(|name, _| !name.starts_with("one."));
            },
        ),
        (
            "a target of another shape",
            "of shape [3, 4], and the model has [3, 3]",
            |c| {
                c.manifest["targets"] = json!(["one.weight 3 4", "two.weight 3 3"]);
            },
        ),
        (
            "a target that is no matrix",
            "`one.bias` of shape [3, 3], and the model has [3]",
            |c| {
                c.manifest["targets"] = json!(["one.bias 3 3", "two.weight 3 3"]);
            },
        ),
        (
            "a kept parameter of another shape",
            "`two.bias` of shape [4], and the model has [3]",
            |c| {
                c.tensors.insert("two.bias".into(), floats(&[4]));
            },
        ),
    ];
    for (what, message, change) in cases {
        let mut changed = contents.clone();
        change(&mut changed);
        let error = bench.load(what, &changed.signed()).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{what}: {error}");
        assert!(error.to_string().contains(message), "{what}: {error}");
    }
}

#[test]
fn sizes_beyond_any_machine_are_refused_whatever_the_checksum() {
    let (bench, contents) = opened();
    let sizes = [
        "0 0",
        "0 3",
        "3 0",
        "18446744073709551615 18446744073709551615",
        "9223372036854775808 2",
    ];
    for size in sizes {
        let mut changed = contents.clone();
        changed.manifest["targets"] = json!([format!("one.weight {size}"), "two.weight 3 3"]);
        assert!(bench.is_refused(size, &changed.signed()), "{size}");
    }
}
