//! The binary `monitor`.

use std::process::ExitCode;

use clap::Parser;
use wellformed_monitor::arguments::Arguments;

fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
