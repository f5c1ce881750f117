//! The binary of the stage `prepare`.

mod arguments;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use wellformed_core::params::Params;
use wellformed_prepare::{Places, prepare};

use arguments::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(warning) = Params::override_warning() {
        eprintln!("{warning}");
    }
    let stage = match Params::load_stage(&arguments.params, &arguments.sets) {
        Ok(stage) => stage,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match prepare(&stage, &Places::in_project(Path::new(""))) {
        Ok(lines) => {
            println!("{}", lines.join("\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
