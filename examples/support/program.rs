//! What the programs do around their commands: Ctrl-C, where output goes, and how errors end.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn_goft_finetune::Error;

/// Runs a command. One that `saves` hears of Ctrl-C and ends after its step; `output` is what its
/// errors call the standard output.
#[expect(clippy::print_stderr, reason = "a program for the command line")]
pub(crate) fn run(
    saves: bool,
    output: &str,
    command: impl FnOnce(&mut dyn Write, &mut dyn Write, &AtomicBool) -> Result<(), Error>,
) -> ExitCode {
    let interrupted = Arc::new(AtomicBool::new(false));
    // Others have nothing to save.
    if saves {
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
    match command(&mut out, &mut notes, &interrupted) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the results has read enough.
        Err(Error::Io { source, path, .. })
            if source.kind() == ErrorKind::BrokenPipe && path == Path::new(output) =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
