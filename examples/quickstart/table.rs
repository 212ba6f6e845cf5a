//! The table: what was measured, for people and for programs.

use serde::Serialize;

/// One method. Accuracies are percentages on held-out images, means over the seeds; `None` where a
/// key does not apply.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) method: &'static str,
    pub(crate) trainable: usize,
    pub(crate) new_before: f64,
    pub(crate) new_after: f64,
    /// Sample standard deviation over the seeds.
    pub(crate) new_after_std: Option<f64>,
    pub(crate) old_before: f64,
    pub(crate) old_after: f64,
    pub(crate) old_adapter_off: Option<f64>,
    pub(crate) seconds_per_epoch: f64,
    /// Largest difference of logits between the adapted, the reloaded and the merged model.
    pub(crate) merged_max_diff: Option<f64>,
    /// Mean absolute change of the angle between two neurons of a layer, degrees.
    pub(crate) angle_change: f64,
}

pub(crate) fn print_json(rows: &[Row]) {
    for row in rows {
        println!("{}", serde_json::to_string(row).expect("plain numbers"));
    }
}

pub(crate) fn print(rows: &[Row]) {
    const HEADER: [&str; 10] = [
        "",
        "trainable",
        "sideways",
        "sideways",
        "upright",
        "upright",
        "adapter",
        "angles",
        "s per",
        "merged",
    ];
    const HEADER_2: [&str; 10] = [
        "method",
        "parameters",
        "before %",
        "after %",
        "before %",
        "after %",
        "off %",
        "moved deg",
        "epoch",
        "differs",
    ];
    let mut lines = vec![HEADER.map(String::from), HEADER_2.map(String::from)];
    lines.extend(rows.iter().map(Row::cells));
    for line in &lines {
        let mut text = String::new();
        for (column, cell) in line.iter().enumerate() {
            let width = lines.iter().map(|line| line[column].chars().count()).max();
            let width = width.unwrap_or(0);
            text += &match column {
                0 => format!("{cell:width$}"),
                _ => format!("  {cell:>width$}"),
            };
        }
        println!("{}", text.trim_end());
    }
}

impl Row {
    fn cells(&self) -> [String; 10] {
        let spread = self.new_after_std.map(|std| format!(" ± {std:.1}"));
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        [
            self.method.into(),
            self.trainable.to_string(),
            format!("{:.1}", self.new_before),
            format!("{:.1}{}", self.new_after, spread.unwrap_or_default()),
            format!("{:.1}", self.old_before),
            format!("{:.1}", self.old_after),
            or_dash(self.old_adapter_off.map(|off| format!("{off:.1}"))),
            match self.angle_change < 0.001 {
                true => format!("{:.0e}", self.angle_change),
                false => format!("{:.2}", self.angle_change),
            },
            format!("{:.2}", self.seconds_per_epoch),
            or_dash(self.merged_max_diff.map(|diff| format!("{diff:.0e}"))),
        ]
    }
}
