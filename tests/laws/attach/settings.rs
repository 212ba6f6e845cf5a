//! The settings as a file.

use burn::config::{Config, config_to_json};
use burn_goft::{
    AngleForm, Goft, Hra, Method, NormScale, Oft, Override, Road, RoadScales, Strict, Topology,
};

use crate::methods;

#[test]
fn settings_come_back_from_json_as_they_were() {
    for goft in methods::settings() {
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
    let goft = Goft::new(Strict::tanh())
        .with_norm_scale(NormScale::Neuron)
        .with_targets(["a"])
        .with_exclude(["b"])
        .with_trainable(["c"])
        .with_axis(1)
        .with_override(Override::new("d").with_axis(2))
        .with_init_std(0.5);
    let expected = r#"{"method":{"strict":{"angle_form":"tanh","topology":"tree"}},"norm_scale":"neuron","targets":["a"],"exclude":["b"],"trainable":["c"],"axis":1,"overrides":[{"pattern":"d","axis":2}],"init_std":0.5}"#;
    assert_eq!(serde_json::to_string(&goft).unwrap(), expected);
    let names = [
        (Goft::quasi(), r#"{"quasi":{"topology":"tree"}}"#),
        (
            Goft::new(methods::neighbors()),
            r#"{"strict":{"angle_form":"direct","topology":"neighbors"}}"#,
        ),
        (
            Goft::oft(Oft::neumann(4, 5)),
            r#"{"oft":{"block_size":4,"neumann_terms":5}}"#,
        ),
        (Goft::hra(Hra::new(8)), r#"{"hra":{"reflections":8}}"#),
        (
            Goft::road(Road::new(RoadScales::Four)),
            r#"{"road":{"scales":"four"}}"#,
        ),
    ];
    for (goft, expected) in names {
        assert_eq!(serde_json::to_string(&goft.method).unwrap(), expected);
    }
}

#[test]
fn only_the_method_is_required() {
    for (json, goft) in [
        (r#"{"method": {"strict": {}}}"#, Goft::strict()),
        (r#"{"method": {"quasi": {}}}"#, Goft::quasi()),
        (
            r#"{"method": {"oft": {"block_size": 4}}}"#,
            Goft::oft(Oft::exact(4)),
        ),
        (
            r#"{"method": {"hra": {"reflections": 8}}}"#,
            Goft::hra(Hra::new(8)),
        ),
        (r#"{"method": {"road": {}}}"#, Goft::road(Road::default())),
    ] {
        assert_eq!(serde_json::from_str::<Goft>(json).unwrap(), goft);
    }
    assert!(serde_json::from_str::<Goft>("{}").is_err());
    let defaults = Goft::strict();
    let Method::Strict(form) = defaults.method else {
        panic!("{:?}", defaults.method)
    };
    assert_eq!(
        (form.angle_form, form.topology),
        (AngleForm::Direct, Topology::Tree)
    );
    assert_eq!(defaults.norm_scale, NormScale::None);
    assert_eq!(defaults.init_std, 0.0);
}

#[test]
fn an_unknown_field_or_value_is_refused_by_name() {
    for (json, name) in [
        (r#"{"method": {"strict": {}}, "rank": 8}"#, "rank"),
        (r#"{"method": {"strict": {}}, "target": []}"#, "target"),
        (r#"{"method": {"strict": {"rank": 8}}}"#, "rank"),
        (r#"{"method": {"loose": {}}}"#, "loose"),
        (
            r#"{"method": {"strict": {}}, "norm_scale": "output"}"#,
            "output",
        ),
        (
            r#"{"method": {"strict": {}}, "overrides": [{"pattern": "a", "rank": 8}]}"#,
            "rank",
        ),
    ] {
        let error = serde_json::from_str::<Goft>(json).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
}
