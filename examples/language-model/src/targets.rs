//! What a method is applied to, as people say it.

/// Names for several layers, and the globs that they stand for.
pub const PRESETS: [(&str, &[&str]); 3] = [
    ("all-linear", &["model.layers.*"]),
    ("attention", &["model.layers.*.self_attn.*"]),
    ("feed-forward", &["model.layers.*.mlp.*"]),
];

/// Globs on parameter paths, from presets, names of layers such as `q_proj`, and globs. All linear
/// layers without any.
///
/// ```
/// use language_model::globs;
///
/// let given = ["q_proj".to_string(), "feed-forward".into(), "*.3.*".into()];
/// assert_eq!(globs(&given), ["*.q_proj.weight", "model.layers.*.mlp.*", "*.3.*"]);
/// assert_eq!(globs(&[]), ["model.layers.*"]);
/// ```
pub fn globs(given: &[String]) -> Vec<String> {
    if given.is_empty() {
        return globs(&["all-linear".into()]);
    }
    let of = |name: &String| match PRESETS.iter().find(|(preset, _)| preset == name) {
        Some((_, globs)) => globs.iter().map(|glob| glob.to_string()).collect(),
        None if name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
            vec![format!("*.{name}.weight")]
        }
        None => vec![name.clone()],
    };
    given.iter().flat_map(of).collect()
}
