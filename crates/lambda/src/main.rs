//! The binary `bootstrap`: what Lambda starts.

use std::process::ExitCode;
use std::time::Instant;

use wellformed_lambda::runtime;

fn main() -> ExitCode {
    match runtime::run(Instant::now()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
