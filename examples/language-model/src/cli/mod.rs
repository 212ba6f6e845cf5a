//! The command line.

mod bench;
mod chat;
mod compare;
mod eval;
mod generate;
mod loaded;
mod options;
mod train;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn_goft_finetune::Error;

pub use chat::talk;
pub use loaded::Loaded;
use options::Merge;
pub use options::{Command, Options};

use crate::device::device;
use crate::folder::find;
use crate::merge::{LogitDifference, merge};

/// What messages call the standard output.
pub const OUTPUT: &str = "standard output";

/// Does what the options say.
///
/// # Errors
///
/// All of [`Error`].
pub fn run(
    options: &Options,
    out: &mut dyn Write,
    notes: &mut dyn Write,
    interrupted: &AtomicBool,
) -> Result<(), Error> {
    match &options.command {
        Command::Train(options) => train::run(options, out, notes, interrupted),
        Command::Generate(options) => generate::run(options, out, notes),
        Command::Chat(options) => chat::run(options, out),
        Command::Eval(options) => eval::run(options, out, notes),
        Command::Compare(options) => compare::run(options, out, notes, interrupted),
        Command::Bench(options) => bench::run(options, out),
        Command::Merge(options) => run_merge(options, out),
    }
}

fn write(out: &mut dyn Write, text: &str) -> Result<(), Error> {
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Error::io("writing", OUTPUT))
}

fn run_merge(options: &Merge, out: &mut dyn Write) -> Result<(), Error> {
    let device = device(&options.device).map_err(Error::Settings)?;
    let model = find(&options.model)?;
    let done = merge(&model, &options.adapter, &options.out, &device)?;
    let worst = done
        .replaced
        .iter()
        .max_by(|a, b| a.rounding.relative.total_cmp(&b.rounding.relative));
    let mut text = format!(
        "{}: {} tensors merged, {} as they were\n",
        options.out.display(),
        done.replaced.len(),
        done.kept
    );
    if let Some(worst) = worst {
        text += &format!(
            "rounding to the files' precision changed `{}` the most, by {:.1e} of its norm\n",
            worst.name, worst.rounding.relative
        );
    }
    for left in &done.left_out {
        text += &format!(
            "left out `{}`, which holds other or older weights\n",
            Path::display(left)
        );
    }
    write(out, &text)?;
    if options.unchecked {
        return Ok(());
    }
    // The folder is written: what cannot be compared makes it no worse.
    let compared =
        match LogitDifference::measure(&model, &options.adapter, &options.out, &options.device) {
            Ok(difference) => difference.to_string(),
            Err(error) => format!("its logits were not compared with the adapted model's: {error}"),
        };
    write(out, &format!("{compared}\n"))
}
