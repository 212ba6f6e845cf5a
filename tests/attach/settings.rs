//! The settings as a file.

use burn::config::{Config, config_to_json};
use burn_goft::{AngleForm, Goft, Kind, NormScale, Oft};

use crate::models;

#[test]
fn settings_come_back_from_json_as_they_were() {
    for goft in models::settings() {
        let goft = goft
            .with_targets(["*.query.weight"])
            .with_exclude(["layers.0.*"])
            .with_trainable(["head.*"])
            .with_init_std(0.25);
        let json = config_to_json(&goft);
        assert_eq!(Goft::load_binary(json.as_bytes()).unwrap(), goft);
    }
}

#[test]
fn settings_come_back_from_a_file_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("goft.json");
    let goft = Goft::quasi().with_targets(["*.weight"]);
    goft.save(&path).unwrap();
    assert_eq!(Goft::load(&path).unwrap(), goft);
}

#[test]
fn the_names_in_a_settings_file_are_fixed() {
    let goft = Goft::strict()
        .with_angle_form(AngleForm::Tanh)
        .with_norm_scale(NormScale::Neuron)
        .with_targets(["a"])
        .with_exclude(["b"])
        .with_trainable(["c"])
        .with_init_std(0.5);
    let expected = r#"{"kind":"strict","angle_form":"tanh","norm_scale":"neuron","targets":["a"],"exclude":["b"],"trainable":["c"],"init_std":0.5}"#;
    assert_eq!(serde_json::to_string(&goft).unwrap(), expected);
}

#[test]
fn only_the_kind_is_required() {
    for (json, goft) in [
        (r#"{"kind": "strict"}"#, Goft::strict()),
        (r#"{"kind": "quasi"}"#, Goft::quasi()),
        (
            r#"{"kind": "oft", "oft": {"block_size": 4}}"#,
            Goft::oft(Oft::exact(4)),
        ),
    ] {
        assert_eq!(serde_json::from_str::<Goft>(json).unwrap(), goft);
    }
    assert!(serde_json::from_str::<Goft>("{}").is_err());
    let defaults = Goft::strict();
    assert_eq!(defaults.kind, Kind::Strict);
    assert_eq!(defaults.angle_form, AngleForm::Direct);
    assert_eq!(defaults.norm_scale, NormScale::None);
    assert_eq!(defaults.init_std, 0.0);
}

#[test]
fn an_unknown_field_or_value_is_refused_by_name() {
    for (json, name) in [
        (r#"{"kind": "strict", "rank": 8}"#, "rank"),
        (r#"{"kind": "strict", "target": []}"#, "target"),
        (r#"{"kind": "loose"}"#, "loose"),
        (r#"{"kind": "strict", "norm_scale": "output"}"#, "output"),
    ] {
        let error = serde_json::from_str::<Goft>(json).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
}
