//! The binary of the stage `export`.

mod arguments;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use wellformed_core::params::{ExportStage, Params};
use wellformed_export::export;
use wellformed_export::places::Places;

use arguments::Arguments;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(warning) = Params::override_warning() {
        eprintln!("{warning}");
    }
    match run(&arguments) {
        Ok(lines) => {
            println!("{}", lines.join("\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Vec<String>> {
    let stage: ExportStage = Params::load_stage(&arguments.params, &arguments.sets)?;
    export(&stage, &Places::in_project(Path::new("")))
}
