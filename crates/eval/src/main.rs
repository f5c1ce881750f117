//! The binary of the stage `eval`.

mod arguments;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use wellformed_core::params::{EvalStage, Params, StageParams};
use wellformed_eval::evaluate;
use wellformed_eval::places::Places;
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
    let journal = Journal::in_project(Path::new(""), &params);
    evaluate(&EvalStage::from_params(&params), &journal, &Places::in_project(Path::new("")))
}
