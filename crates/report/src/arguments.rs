//! What the binary can be told.

use std::path::PathBuf;

use clap::{ArgGroup, Parser};
use wellformed_report::sweep::DEFAULT_METRIC;

const MORE: &str = "\
Exit codes:
  0  written, or (with --check) MODEL_CARD.md is current
  1  something is wrong; with --check, also that MODEL_CARD.md is not current

Examples:
  cargo xtask report                          report/index.html and MODEL_CARD.md
  cargo xtask report --check                  is MODEL_CARD.md current?
  cargo xtask report --diff                   against where this branch left main, or the last commit
  cargo xtask report --diff v0.1 --md diff.md
  cargo xtask report --diff two-layers        against an experiment of `dvc exp run --name two-layers`
  cargo xtask report --sweep --by tune.mcc -- --all-commits

The pages quote sentences of the corpus: git ignores report/. Markdown never quotes one.";

/// Pages for people about runs, made of the files that a run leaves behind.
///
/// Without an option: report/index.html about the run in the working tree, and `MODEL_CARD.md`.
#[derive(Parser)]
#[command(name = "report", version, after_help = MORE)]
#[command(group = ArgGroup::new("task").args(["check", "diff", "sweep"]))]
pub(crate) struct Arguments {
    /// Write nothing; say whether `MODEL_CARD.md` is what the reports make of it.
    #[arg(long)]
    pub(crate) check: bool,
    /// Compare the working tree with a revision or an experiment: report/diff.html, and Markdown for a pull request.
    #[arg(long, value_name = "REVISION", num_args = 0..=1, default_missing_value = "")]
    pub(crate) diff: Option<String>,
    /// All runs that `dvc exp show` lists: a table, and report/sweep.html with parallel coordinates.
    #[arg(long)]
    pub(crate) sweep: bool,
    /// With --sweep, the metric that the runs are ordered by.
    #[arg(long, value_name = "METRIC", default_value = DEFAULT_METRIC, requires = "sweep")]
    pub(crate) by: String,
    /// Where the page goes, instead of its place under report/.
    #[arg(long, value_name = "PATH", conflicts_with = "check")]
    pub(crate) html: Option<PathBuf>,
    /// With --diff, where the Markdown goes, instead of the terminal.
    #[arg(long, value_name = "PATH", requires = "diff")]
    pub(crate) md: Option<PathBuf>,
    /// The DVC to ask.
    #[arg(long, value_name = "PATH", default_value = ".venv/bin/dvc")]
    pub(crate) dvc: PathBuf,
    /// With --sweep, passed on to `dvc exp show`.
    #[arg(last = true, value_name = "DVC ARGUMENT", requires = "sweep")]
    pub(crate) passed_on: Vec<String>,
}
