//! The binary of the stage `export`.

mod arguments;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use wellformed_core::params::{ExportStage, Params, StageParams};
use wellformed_export::export;
use wellformed_export::places::Places;
use wellformed_export::tracking;
use wellformed_track::Journal;

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
    let params = Params::load(&arguments.params, &arguments.sets)?;
    let places = Places::in_project(Path::new(""));
    let lines = export(&ExportStage::from_params(&params), &places)?;
    tracking::record(&Journal::in_project(Path::new(""), &params), &places);
    Ok(lines)
}
