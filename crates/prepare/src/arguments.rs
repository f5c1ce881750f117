//! What the binary can be told.

use std::path::PathBuf;

use clap::Parser;

const MORE: &str = "\
Exit codes:
  0  written: data/prepared/{train,tune,validation,phenomena}.parquet and reports/prepare/
  1  something is wrong: a parameter, the corpus, the tokenizer; nothing was written

Examples:
  prepare
  prepare --set prepare.max_length=64";

/// Check, tokenise and split the corpus (data/raw/corpus.zip) for the base model (models/base/tokenizer.json).
///
/// Labelled sentences in data/extra/ (TSV, CSV or Parquet) are added to the training split, and to no other.
#[derive(Parser)]
#[command(name = "prepare", version, after_help = MORE)]
pub(crate) struct Arguments {
    /// The parameters.
    #[arg(long, value_name = "PATH", default_value = "params.yaml")]
    pub(crate) params: PathBuf,
    /// One parameter for this run only; may be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub(crate) sets: Vec<String>,
}
