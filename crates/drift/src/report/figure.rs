//! The report as a heat map.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::table::number;
use super::{DriftReport, Measured};
use crate::metric::{Metric, Shade};
use crate::{representations, weights};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const CELL: (i32, i32) = (96, 26);
const MARGIN: i32 = 16;
/// Pixels that a character of a label takes, on the safe side.
const LETTER: i32 = 8;
/// Nothing moved, and everything did.
const PALE: RGBColor = RGBColor(255, 255, 255);
const DARK: RGBColor = RGBColor(0, 84, 147);
const GRAY: RGBColor = RGBColor(225, 225, 225);

/// Rows of cells under one header; every cell is a distance, 0 where nothing moved.
struct Panel {
    header: Vec<&'static str>,
    rows: Vec<(String, Vec<Option<f64>>)>,
}

pub(super) fn draw(report: &DriftReport) -> String {
    let panels = [
        panel(&representations::METRICS, &report.layers),
        panel(&weights::METRICS, &report.weights),
    ];
    let panels: Vec<Panel> = panels
        .into_iter()
        .filter(|panel| !panel.rows.is_empty())
        .collect();
    let names = panels.iter().flat_map(|panel| &panel.rows);
    let longest = names
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let label = LETTER * longest as i32 + MARGIN;
    let columns = panels
        .iter()
        .map(|panel| panel.header.len())
        .max()
        .unwrap_or(0);
    let lines: usize = panels.iter().map(|panel| panel.rows.len() + 2).sum();
    let width = label + CELL.0 * columns as i32 + 2 * MARGIN;
    let height = CELL.1 * (lines as i32 + 2) + MARGIN;
    let mut svg = String::new();
    {
        let size = (width.max(420) as u32, height as u32);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        paint(&area, &panels, label).expect("a string takes everything that is drawn into it");
    }
    svg
}

/// A column for each metric that has a shade.
fn panel<Of>(metrics: &[Metric<Of>], measured: &[Measured]) -> Panel {
    let shaded = metrics
        .iter()
        .filter_map(|metric| Some((metric, metric.shade.as_ref()?)));
    let shaded = Vec::from_iter(shaded);
    let cell = |row: &Measured, (metric, shade): &(&Metric<Of>, &Shade)| {
        let numbers = metric.columns.iter().map(|column| row.get(column.key));
        Some((shade.distance)(&numbers.collect::<Option<Vec<f64>>>()?))
    };
    let row = |row: &Measured| {
        let cells = shaded.iter().map(|metric| cell(row, metric));
        (row.name.clone(), cells.collect())
    };
    Panel {
        header: shaded.iter().map(|(_, shade)| shade.header).collect(),
        rows: measured.iter().map(row).collect(),
    }
}

fn paint(area: &Area<'_>, panels: &[Panel], label: i32) -> Result<(), Box<dyn Error>> {
    area.fill(&WHITE)?;
    text(
        area,
        "How far each layer moved (0: not at all)",
        (MARGIN, MARGIN + CELL.1 / 2),
        HPos::Left,
        17,
    )?;
    let mut top = MARGIN + 2 * CELL.1;
    for panel in panels {
        for (column, name) in panel.header.iter().enumerate() {
            text(area, name, middle(label, column, top), HPos::Center, 13)?;
        }
        for (name, cells) in &panel.rows {
            top += CELL.1;
            text(area, name, (label, top + CELL.1 / 2), HPos::Right, 13)?;
            for (column, value) in cells.iter().enumerate() {
                cell(area, *value, label, column, top)?;
            }
        }
        top += 2 * CELL.1;
    }
    Ok(area.present()?)
}

fn cell(
    area: &Area<'_>,
    value: Option<f64>,
    label: i32,
    column: usize,
    top: i32,
) -> Result<(), Box<dyn Error>> {
    let (x, y) = middle(label, column, top);
    let corner = |side: i32| (x + side * (CELL.0 / 2 - 1), y + side * (CELL.1 / 2 - 1));
    // The root, so that the first percent can be told from nothing.
    let shade = value.map(|value| value.clamp(0.0, 1.0).sqrt());
    let color = shade.map_or(GRAY, mixed);
    area.draw(&Rectangle::new([corner(-1), corner(1)], color.filled()))?;
    let ink = match shade {
        Some(shade) if shade > 0.6 => &WHITE,
        _ => &BLACK,
    };
    write(area, &number(value), (x, y), HPos::Center, 13, ink)
}

fn middle(label: i32, column: usize, top: i32) -> (i32, i32) {
    (
        label + MARGIN + CELL.0 * column as i32 + CELL.0 / 2,
        top + CELL.1 / 2,
    )
}

fn mixed(shade: f64) -> RGBColor {
    let mix = |pale: u8, dark: u8| {
        (f64::from(pale) + shade * (f64::from(dark) - f64::from(pale))).round() as u8
    };
    RGBColor(
        mix(PALE.0, DARK.0),
        mix(PALE.1, DARK.1),
        mix(PALE.2, DARK.2),
    )
}

fn text(
    area: &Area<'_>,
    content: &str,
    at: (i32, i32),
    side: HPos,
    size: i32,
) -> Result<(), Box<dyn Error>> {
    write(area, content, at, side, size, &BLACK)
}

fn write(
    area: &Area<'_>,
    content: &str,
    at: (i32, i32),
    side: HPos,
    size: i32,
    ink: &RGBColor,
) -> Result<(), Box<dyn Error>> {
    let style = ("sans-serif", size).into_text_style(area).color(ink);
    area.draw_text(content, &style.pos(Pos::new(side, VPos::Center)), at)?;
    Ok(())
}
