//! The program of the README: two ways to fit a line, compared.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use fair_compare::{
    Comparison, Experiment, Lines, Method, Metric, Outcome, Protocol, Report, RunSpec, Split, Steps,
};

/// A line `y = slope x + offset` that was pretrained on other points, and has to fit new ones.
struct FitLine;

impl Experiment for FitLine {
    fn run(&self, spec: &RunSpec, steps: &mut Steps<'_>) -> Result<Outcome, Box<dyn Error>> {
        let train_offset = spec.method.setting("offset").is_some();
        let (mut slope, mut offset) = (1.0, 0.5);
        for (x, y) in points(spec.seed, spec.steps) {
            let loss = steps.time(|| {
                let error = slope * x + offset - y;
                slope -= spec.rate * 2.0 * error * x;
                if train_offset {
                    offset -= spec.rate * 2.0 * error;
                }
                error * error
            });
            steps.finite(loss)?; // a run that diverges is recorded as such
        }
        let held_out = match spec.split {
            Split::Validation => points(1001, 200),
            Split::Test => points(1002, 200),
        };
        let errors = held_out.iter().map(|(x, y)| slope * x + offset - y);
        let mean_square = errors.map(|error| error * error).sum::<f64>() / 200.0;
        Ok(Outcome::new(mean_square, 1 + u64::from(train_offset)))
    }

    fn machine(&self) -> String {
        "two cores of a server CPU".into()
    }
}

/// `y = 2 x + 1` with some noise, the same for the same seed.
fn points(seed: u64, count: u64) -> Vec<(f64, f64)> {
    let noise = |place: u64| ((seed * 7919 + place * 104_729) as f64).sin();
    let places = (0..count).map(|place| (noise(2 * place), noise(2 * place + 1)));
    places
        .map(|(x, noise)| (x, 2.0 * x + 1.0 + 0.3 * noise))
        .collect()
}

pub(crate) fn compare(folder: &Path) -> Result<Report, Box<dyn Error>> {
    let protocol = Protocol::new(Metric::lowest("squared error"), Method::new("slope"))
        .with_method(Method::new("slope and offset").with_setting("offset", true))
        .with_rates([1e-3, 1e-2, 1e-1, 1e1])
        .with_tuning_seeds([0, 1])
        .with_test_seeds([2, 3, 4, 5])
        .with_steps(300)
        .with_context("data", "y = 2 x + 1, noise of 0.3");
    let mut log = Lines::new(std::io::stderr());
    let report = Comparison::new(protocol, folder).run(&FitLine, &mut log)?;
    let report = report.with_title("Two ways to fit a line");
    report.write(folder)?;
    Ok(report)
}

fn main() -> Result<(), Box<dyn Error>> {
    let report = compare(Path::new("fit-line"))?;
    std::io::stdout().write_all(report.markdown().as_bytes())?;
    Ok(())
}
