//! What the commands that judge have in common: the options of the reference, the window out of records, exit codes.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use indicatif::ProgressBar;
use wellformed_core::record::Record;
use wellformed_drift::{Observation, Verdict, Window};
use wellformed_verdict::{Judge, Names, observation};

use crate::read::Records;

/// Exit codes, for the help of every command that ends with a verdict.
pub const EXIT_CODES: &str = "\
Exit codes:
   0  ok
   1  the monitor itself failed; nothing is said of the model
   2  the command line is wrong
  10  warn: look at it
  20  alert: act
  30  insufficient data: too few sentences to judge, and nothing else is wrong";

/// The exit code of a verdict: none that a program that fails ends with, so that nobody takes a broken monitor for a
/// broken model.
pub fn exit_code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Ok => 0,
        Verdict::Warn => 10,
        Verdict::Alert => 20,
        Verdict::InsufficientData => 30,
    })
}

/// What predictions are held against.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Reference")]
pub struct Reference {
    /// The bundle that is deployed: its profile is the reference, and predictions of another bundle are told apart.
    #[arg(long, value_name = "FOLDER", default_value = "models/bundle")]
    pub bundle: PathBuf,
    /// When to speak up, as docs/drift.md explains; monitor.yaml if it is there, or else the defaults.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
}

impl Reference {
    /// Reads bundle and settings.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or a setting makes no sense.
    pub fn read(&self) -> Result<Judge> {
        Ok(Judge::read(&self.bundle, wellformed_verdict::settings(self.settings.as_deref())?)?)
    }
}

/// Reads all records, or the last so many predictions, into a window; `see` is shown each record that counts.
///
/// # Errors
///
/// When a source cannot be read.
pub fn window(
    judge: &Judge,
    records: &mut Records,
    last: Option<usize>,
    mut see: impl FnMut(&Record),
) -> Result<Window> {
    let mut window = judge.window()?;
    let mut names = Names::default();
    let bar = spinner("reading records");
    let mut kept: VecDeque<Observation> = VecDeque::new();
    for record in records {
        let record = record?;
        bar.inc(1);
        see(&record);
        let Some(observation) = observation(&record, &mut names) else { continue };
        match last {
            None => window.take(&observation),
            Some(last) => {
                if kept.len() == last {
                    kept.pop_front();
                }
                kept.push_back(observation);
            }
        }
    }
    for observation in &kept {
        window.take(observation);
    }
    bar.finish_and_clear();
    Ok(window)
}

/// A counter that is drawn on a terminal only.
pub(crate) fn spinner(message: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(message);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
