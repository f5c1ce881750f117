//! `monitor report`: a page that shows a window beside the reference.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use wellformed_core::files::write_whole;
use wellformed_core::record::Timestamp;
use wellformed_verdict::words::headline;
use wellformed_verdict::{Facts, LeastCertain, page};

use crate::judge::{EXIT_CODES, Reference, exit_code, window};
use crate::read::RecordArguments;

const MORE: &str = "\
The page is one file that loads nothing from anywhere. It quotes sentences only if the records do.

Examples:
  monitor report --output monitor.html records.jsonl
  monitor report --output monitor.html --since 7days --url http://127.0.0.1:9200";

/// The options of `monitor report`.
#[derive(Debug, Args)]
#[command(after_help = format!("{MORE}\n\n{EXIT_CODES}"))]
pub struct Options {
    #[command(flatten)]
    records: RecordArguments,
    /// Judge the last so many records alone.
    #[arg(long, value_name = "COUNT", help_heading = "Records")]
    last: Option<usize>,
    #[command(flatten)]
    reference: Reference,
    /// The page.
    #[arg(long, value_name = "FILE", default_value = "monitor.html")]
    output: PathBuf,
}

/// Judges, and writes the page.
///
/// # Errors
///
/// When bundle, settings or records cannot be read, or the page cannot be written.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mut judge = options.reference.read()?;
    let mut records = options.records.open()?;
    let mut least_certain = LeastCertain::default();
    let window = window(&judge, &mut records, options.last, |record| least_certain.see(record))?;
    let report = judge.check(&window)?;
    let facts = Facts {
        made: Timestamp::now(),
        bundle: judge.digest(),
        source: judge.profile().source(),
        settings: judge.settings(),
        timeline: window.timeline(),
        distinct: window.distinct(),
        least_certain: least_certain.predictions(),
        records: &records.tally().to_string(),
        home: None,
    };
    let text = page(&report, &facts);
    write_whole(&options.output, |writer| Ok(writer.write_all(text.as_bytes())?))?;
    println!("{}: {}, {}", options.output.display(), report.verdict, headline(&report));
    eprintln!("read {}", records.tally());
    Ok(exit_code(report.verdict))
}
