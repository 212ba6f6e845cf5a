//! Where two protocols differ.

use std::collections::BTreeSet;

use serde_json::Value;

/// A line for every place in which `asked` is not what is `stored`.
pub(super) fn between(stored: &Value, asked: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", stored, asked, &mut lines);
    lines
}

fn compare(place: &str, stored: &Value, asked: &Value, lines: &mut Vec<String>) {
    match (stored, asked) {
        (Value::Object(old), Value::Object(new)) => {
            // In one order, whatever map serde_json was built with.
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let dot = if place.is_empty() { "" } else { "." };
                let place = format!("{place}{dot}{key}");
                let value = |map: &serde_json::Map<_, _>| map.get(key).cloned();
                differ(&place, value(old), value(new), lines);
            }
        }
        // Lists of another length differ as a whole: which element is new is anyone's guess.
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{place}[{index}]"), old, new, lines);
            }
        }
        _ if stored != asked => {
            let (stored, asked) = (short(stored), short(asked));
            lines.push(format!("`{place}` is {stored} and was asked as {asked}"))
        }
        _ => {}
    }
}

fn differ(place: &str, stored: Option<Value>, asked: Option<Value>, lines: &mut Vec<String>) {
    match (stored, asked) {
        (Some(stored), Some(asked)) => compare(place, &stored, &asked, lines),
        (Some(stored), None) => {
            let stored = short(&stored);
            lines.push(format!("`{place}` is {stored} and was not asked"))
        }
        (None, Some(asked)) => {
            let asked = short(&asked);
            lines.push(format!("`{place}` is not stored and was asked as {asked}"))
        }
        (None, None) => {}
    }
}

/// What has a name is called by it.
fn short(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.get("name").unwrap_or(value).clone(),
        Value::Array(list) => list.iter().map(short).collect(),
        _ => value.clone(),
    }
}
