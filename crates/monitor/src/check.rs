//! `monitor check`: a verdict on records.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use wellformed_core::files::write_json;
use wellformed_verdict::words::in_words;

use crate::judge::{EXIT_CODES, Reference, exit_code, window};
use crate::read::RecordArguments;

const EXAMPLES: &str = "\
Examples:
  monitor check records.jsonl
  monitor check --last 500 --json records.jsonl | jq .reasons
  monitor check --since 24h --url http://127.0.0.1:9200
  aws logs filter-log-events --log-group-name /aws/lambda/wellformed | monitor check -";

/// The options of `monitor check`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXIT_CODES}\n\n{EXAMPLES}"))]
pub struct Options {
    #[command(flatten)]
    records: RecordArguments,
    /// Judge the last so many records alone.
    #[arg(long, value_name = "COUNT", help_heading = "Records")]
    last: Option<usize>,
    #[command(flatten)]
    reference: Reference,
    /// Print everything that is said of the window, as one JSON object.
    #[arg(long)]
    json: bool,
    /// Write that object into a file besides.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Judges.
///
/// # Errors
///
/// When bundle, settings or records cannot be read.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mut judge = options.reference.read()?;
    let mut records = options.records.open()?;
    let window = window(&judge, &mut records, options.last, |_| {})?;
    let report = judge.check(&window)?;
    if let Some(path) = &options.output {
        write_json(path, &report)?;
    }
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", in_words(&report));
    }
    eprintln!("read {}", records.tally());
    Ok(exit_code(report.verdict))
}
