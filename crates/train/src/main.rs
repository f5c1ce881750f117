//! The binary of the stage `train`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use mimalloc::MiMalloc;
use wellformed_core::params::{Params, StageParams, TrainStage};
use wellformed_kernels::memory::keep_freed_pages;
use wellformed_track::Journal;
use wellformed_train::stage::{self, Places};

/// Tensors are allocated and freed at every step; the system's allocator gives their pages back each time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Fine-tunes the base model: data/prepared and models/base become models/checkpoint, the best epoch on tune.
///
/// Interrupted, it goes on after the last complete epoch when it is run again, with the same result. Everything that
/// can be chosen is in params.yaml: `seed`, `compute`, `model`, `train`; and `track`, which says where the run is
/// written while it goes on.
#[derive(Debug, Parser)]
#[command(name = "train", version)]
struct Arguments {
    /// The parameters.
    #[arg(long, value_name = "FILE", default_value = "params.yaml")]
    params: PathBuf,
    /// Another value for a parameter, for trying things by hand (DVC does not know of it): --set train.lr=5e-5
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,
    /// Also write how fast each epoch was: a JSON object a line
    #[arg(long, value_name = "FILE")]
    timings: Option<PathBuf>,
}

fn main() -> ExitCode {
    keep_freed_pages();
    match run(&Arguments::parse()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<String> {
    if let Some(warning) = Params::override_warning() {
        eprintln!("{warning}");
    }
    let params = Params::load(&arguments.params, &arguments.sets)?;
    let (places, journal) = (Places::in_project(Path::new("")), Journal::in_project(Path::new(""), &params));
    let (line, timings) = stage::run(&TrainStage::from_params(&params), &journal, &places)?;
    if let Some(path) = &arguments.timings {
        stage::write_timings(path, &timings)?;
    }
    Ok(line)
}
