//! What the binary can be told.

use std::path::PathBuf;

use clap::Parser;

const MORE: &str = "\
Exit codes:
  0  written: models/bundle/, models/native/ and reports/export/metrics.json
  1  something is wrong: a parameter, an input, or a bound of `export` in params.yaml is broken; models/bundle/ is then
     what it was before

Examples:
  export
  export --set export.precision=fp32
  export --set export.max_mcc_drop=0.01";

/// Make the bundle that ships: the checkpoint as ONNX files in 32 and 8 bits, its tokenizer, and a manifest.
///
/// Both files are run over the validation set by the engine that ships, and compared with the checkpoint.
///
/// Reads models/checkpoint/, data/prepared/, reports/eval/calibration.json and reports/eval/metrics.json.
#[derive(Parser)]
#[command(name = "export", version, after_help = MORE)]
pub(crate) struct Arguments {
    /// The parameters.
    #[arg(long, value_name = "PATH", default_value = "params.yaml")]
    pub(crate) params: PathBuf,
    /// One parameter for this run only; may be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub(crate) sets: Vec<String>,
}
