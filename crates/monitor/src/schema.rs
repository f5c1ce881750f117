//! `monitor schema`: the files in `monitoring/` that follow from the record's type.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;
use wellformed_core::files::write_json;

use crate::assets;

const MORE: &str = "\
Exit codes:
  0  the files are written; with --check, they are current
  1  with --check, one of them is missing or not current

Examples:
  monitor schema
  monitor schema --check";

/// The options of `monitor schema`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub struct Options {
    /// The folder of the files.
    #[arg(long, value_name = "FOLDER", default_value = "monitoring")]
    folder: PathBuf,
    /// Write nothing; say whether the files are those that would be written.
    #[arg(long)]
    check: bool,
}

/// Writes the files, or checks them.
///
/// # Errors
///
/// When a file cannot be written or read.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mut stale = 0;
    let assets = assets::all()?;
    for asset in &assets {
        let path = options.folder.join(asset.name);
        if !options.check {
            write_json(&path, &asset.content)?;
            continue;
        }
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            read => Some(read.with_context(|| format!("cannot read {}", path.display()))?),
        };
        // Compared as JSON: the order of the fields says nothing.
        let found = text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        if found.as_ref() != Some(&asset.content) {
            stale += 1;
            let what = if text.is_some() { "is not current" } else { "is not there" };
            eprintln!("{} {what}; run `monitor schema` and commit it", path.display());
        }
    }
    if options.check {
        println!("{}: {} of {} files are current", options.folder.display(), assets.len() - stale, assets.len());
    } else {
        println!("{}: {} files written", options.folder.display(), assets.len());
    }
    Ok(if stale == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
