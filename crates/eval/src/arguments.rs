//! What the binary can be told.

use std::path::PathBuf;

use clap::Parser;

const MORE: &str = "\
Exit codes:
  0  written: reports/eval/ and data/eval/wrong.csv
  1  something is wrong: a parameter, the prepared data, the checkpoint

Examples:
  eval
  eval --set eval.bootstrap_samples=10000
  eval --set compute.device=libtorch";

/// Say everything about the checkpoint: metrics, plots, calibration, wrong predictions.
///
/// Reads data/prepared/{tune,validation,phenomena}.parquet and models/checkpoint/.
#[derive(Parser)]
#[command(name = "eval", version, after_help = MORE)]
pub(crate) struct Arguments {
    /// The parameters.
    #[arg(long, value_name = "PATH", default_value = "params.yaml")]
    pub(crate) params: PathBuf,
    /// One parameter for this run only; may be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub(crate) sets: Vec<String>,
}
