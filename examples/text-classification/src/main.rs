//! The command line of the crate; `--help` says what there is.
#![expect(clippy::print_stderr, reason = "a program for the command line")]

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use peak_alloc::PeakAlloc;
use text_classification::{Error, cli};

/// Counts, so that a run can say what it took.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    let options = cli::Options::parse();
    let interrupted = Arc::new(AtomicBool::new(false));
    // Others have nothing to save.
    if options.command.trains() {
        let flag = interrupted.clone();
        let installed = ctrlc::set_handler(move || {
            // Asked twice, the user means now.
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            eprintln!("stopping after this step; once more stops at once, without saving");
        });
        if let Err(error) = installed {
            eprintln!("Ctrl-C will stop without saving: {error}");
        }
    }
    let (mut out, mut notes) = (std::io::stdout(), std::io::stderr());
    match cli::run(&options, &mut out, &mut notes, &interrupted) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the results has read enough.
        Err(Error::Io { source, path, .. })
            if source.kind() == ErrorKind::BrokenPipe && path == Path::new(cli::OUTPUT) =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
