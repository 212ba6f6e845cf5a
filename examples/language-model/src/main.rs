//! The command line of the crate; `--help` says what there is.

use std::process::ExitCode;

use burn_goft_finetune::keep_freed_memory;
use clap::Parser;
use language_model::cli;
use peak_alloc::PeakAlloc;

#[path = "../../support/program.rs"]
mod program;

/// Counts, so that a run can say what it took.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    keep_freed_memory();
    let options = cli::Options::parse();
    program::run(
        options.command.trains(),
        cli::OUTPUT,
        |out, notes, interrupted| cli::run(&options, out, notes, interrupted),
    )
}
