//! The binary `predict`.

mod arguments;

use std::process::ExitCode;

use clap::Parser;
use wellformed_predict::pipeline::Summary;
use wellformed_predict::task::predict;

use arguments::Arguments;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let check = arguments.check;
    let task = arguments.task().unwrap_or_else(|error| error.exit());
    match predict(&task) {
        Ok(summary) => code(&summary, check),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The exit codes that `--help` describes.
fn code(summary: &Summary, check: bool) -> ExitCode {
    if summary.cut_off {
        ExitCode::SUCCESS
    } else if summary.errors > 0 {
        ExitCode::from(3)
    } else if check && summary.unacceptable > 0 {
        ExitCode::from(4)
    } else {
        ExitCode::SUCCESS
    }
}
