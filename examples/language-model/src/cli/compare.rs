//! `compare`: several methods on equal terms.

use std::io::Write;
use std::sync::atomic::AtomicBool;

use burn_goft_finetune::Error;
use fair_compare::Lines;

use super::options::Compare;
use super::write;
use crate::compare::compare;

pub(super) fn run(
    options: &Compare,
    out: &mut dyn Write,
    notes: &mut dyn Write,
    interrupted: &AtomicBool,
) -> Result<(), Error> {
    let report = compare(&options.config(), &mut Lines::new(notes), interrupted)?;
    write(out, &report.markdown())
}
