//! The two figures.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::measure::Results;
use crate::methods::Method;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Told apart by eyes of every kind (Okabe and Ito), in the order of the methods.
const COLORS: [RGBColor; 5] = [
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];
const GRAY: RGBColor = RGBColor(190, 190, 190);
/// Odd, so that the middle one holds what did not move.
const BINS: usize = 61;

/// Writes both figures and says where.
pub(crate) fn draw(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    let (curves, angles) = (
        folder.join("learning_curves.svg"),
        folder.join("angles.svg"),
    );
    draw_curves(results, &curves)?;
    draw_angles(results, &angles)?;
    eprintln!("learning curves: {}", curves.display());
    eprintln!("angles between neurons: {}", angles.display());
    Ok(())
}

fn draw_curves(results: &Results, file: &Path) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(file, (900, 560)).into_drawing_area();
    area.fill(&WHITE)?;
    let epochs = results.curves[0]
        .last()
        .map_or(0, |(epoch, _)| *epoch)
        .max(1);
    let lowest = results
        .curves
        .iter()
        .flatten()
        .fold(100.0f64, |lowest, (_, accuracy)| lowest.min(*accuracy));
    let bottom = (lowest / 10.0).floor() * 10.0;
    let mut chart = ChartBuilder::on(&area)
        .caption("Adapting to the sideways camera", ("sans-serif", 24))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(0..epochs, bottom..100.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("epoch")
        .y_desc("accuracy on held-out sideways digits (%)")
        .y_label_formatter(&|accuracy| format!("{accuracy:.0}"))
        .label_style(("sans-serif", 15))
        .draw()?;
    for ((method, curve), color) in Method::ALL.iter().zip(&results.curves).zip(COLORS) {
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(curve.iter().copied(), style))?
            .label(method.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .legend_area_size(32)
        .label_font(("sans-serif", 15))
        .background_style(WHITE)
        .border_style(GRAY)
        .draw()?;
    Ok(area.present()?)
}

/// Above, the angles before (gray) and after (colored); below, how far each angle moved.
fn draw_angles(results: &Results, file: &Path) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(file, (1500, 700)).into_drawing_area();
    area.fill(&WHITE)?;
    let title = "Angles between the neurons of a layer before (gray) and after adaptation, first seed; below, how far each moved";
    let area = area.titled(title, ("sans-serif", 22))?;
    let before = &results.angles_before;
    let moved: Vec<Vec<f64>> = results
        .angles_after
        .iter()
        .map(|after| difference(before, after))
        .collect();
    let spread = moved
        .iter()
        .map(|moved| percentile(moved, 0.995))
        .fold(0.1, f64::max);
    let panels = area.split_evenly((2, Method::ALL.len()));
    let (above, below) = panels.split_at(Method::ALL.len());
    for (index, method) in Method::ALL.iter().enumerate() {
        let (after, moved, color) = (&results.angles_after[index], &moved[index], COLORS[index]);
        let panel = Panel {
            area: &above[index],
            title: method.name().into(),
            unit: "angle (degrees)",
            range: (50.0, 130.0),
        };
        panel.draw(&[(before, GRAY.filled()), (after, color.stroke_width(2))])?;
        let mean = moved.iter().map(|change| change.abs()).sum::<f64>() / moved.len() as f64;
        let panel = Panel {
            area: &below[index],
            title: match mean < 0.001 {
                true => "moved by rounding only".into(),
                false => format!("moved by {mean:.2} on average"),
            },
            unit: "change of angle (degrees)",
            range: (-spread, spread),
        };
        panel.draw(&[(moved, color.filled())])?;
    }
    Ok(area.present()?)
}

struct Panel<'a, 'b> {
    area: &'a Area<'b>,
    title: String,
    unit: &'static str,
    range: (f64, f64),
}

impl Panel<'_, '_> {
    /// Histograms over each other: bars where the style is filled, an outline where it is not.
    fn draw(&self, histograms: &[(&Vec<f64>, ShapeStyle)]) -> Result<(), Box<dyn Error>> {
        let (start, end) = self.range;
        let shares: Vec<Vec<f64>> = histograms
            .iter()
            .map(|(values, _)| shares(values, self.range))
            .collect();
        let top = shares.iter().flatten().fold(0.0f64, |a, b| a.max(*b)) * 1.08;
        let mut chart = ChartBuilder::on(self.area)
            .caption(&self.title, ("sans-serif", 17))
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(48)
            .build_cartesian_2d(start..end, 0.0..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .x_labels(5)
            .y_labels(5)
            .x_label_formatter(&short)
            .y_label_formatter(&short)
            .x_desc(self.unit)
            .y_desc("pairs (%)")
            .label_style(("sans-serif", 13))
            .draw()?;
        let width = (end - start) / BINS as f64;
        for (shares, (_, style)) in shares.iter().zip(histograms) {
            let left = |bin: usize| start + width * bin as f64;
            let bars = shares.iter().enumerate();
            if style.filled {
                chart.draw_series(bars.map(|(bin, share)| {
                    Rectangle::new([(left(bin), 0.0), (left(bin + 1), *share)], *style)
                }))?;
            } else {
                let steps =
                    bars.flat_map(|(bin, share)| [(left(bin), *share), (left(bin + 1), *share)]);
                chart.draw_series(LineSeries::new(steps, *style))?;
            }
        }
        Ok(())
    }
}

/// One decimal where there is one.
fn short(value: &f64) -> String {
    let text = format!("{value:.1}");
    text.trim_end_matches(".0").into()
}

fn difference(before: &[f64], after: &[f64]) -> Vec<f64> {
    before
        .iter()
        .zip(after)
        .map(|(before, after)| after - before)
        .collect()
}

/// The size below which this share of the values lies.
fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    sizes[((sizes.len() - 1) as f64 * share) as usize]
}

/// Percentage of the values in each bin; what lies outside the range counts in its last bins.
fn shares(values: &[f64], (start, end): (f64, f64)) -> Vec<f64> {
    let mut shares = vec![0.0; BINS];
    for value in values {
        let bin = ((value - start) / (end - start) * BINS as f64).floor();
        shares[bin.clamp(0.0, (BINS - 1) as f64) as usize] += 100.0 / values.len() as f64;
    }
    shares
}
