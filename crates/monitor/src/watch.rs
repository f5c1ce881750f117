//! `monitor watch`: a verdict again and again, and word to whoever has to know.
//!
//! An alarm is told once, again when something is added to it, again every `--remind`, and once more when it is over.
//! What was told is remembered in a state file, so that a restart repeats nothing.

mod keep;
mod notify;
mod state;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use clap::Args;
use wellformed_core::record::Timestamp;
use wellformed_drift::{Report, Verdict};
use wellformed_verdict::words::{headline, in_words};

use crate::judge::{EXIT_CODES, Reference, exit_code, window};
use crate::read::RecordArguments;

use self::notify::{Message, Sinks};
use self::state::State;

const MORE: &str = "\
Where word goes, as many as are named:
  --webhook URL         a POST with JSON: text, verdict, event, reasons, window. `text` is what chat services show.
  --github OWNER/NAME   a repository_dispatch of the type `drift`, which starts a workflow that listens to it. The token
                        is in GITHUB_TOKEN and needs the permission to write contents; GITHUB_API_URL names another
                        server than github.com's.
  --emf                 every verdict, told or not, as a line of JSON on standard output from which CloudWatch makes the
                        metrics DriftVerdict (0 ok, 1 insufficient data, 2 warn, 3 alert), DriftReasons and EstimatedMcc

With --keep, every verdict becomes a document of the index wellformed-verdicts, which the dashboard shows.

Where word cannot be delivered, the state stays as it was, and the next round tries again.";

/// The options of `monitor watch`.
#[derive(Debug, Args)]
#[command(after_help = format!("{MORE}\n\nWith --once, the verdict is the exit code.\n{EXIT_CODES}"))]
pub struct Options {
    #[command(flatten)]
    records: RecordArguments,
    #[command(flatten)]
    reference: Reference,
    /// How far each round looks back.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    window: Duration,
    /// How often.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    every: Duration,
    /// After how long an alarm that stays is told again.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    remind: Duration,
    /// Tell of warnings too, not of alerts alone.
    #[arg(long)]
    warnings: bool,
    /// What was told last is remembered here.
    #[arg(long, value_name = "FILE", default_value = "monitor-state.json")]
    state: PathBuf,
    /// Keep every verdict in the cluster (--url).
    #[arg(long)]
    keep: bool,
    /// One round, for a scheduler of your own.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    sinks: Sinks,
}

/// Watches.
///
/// # Errors
///
/// When bundle or settings cannot be read; with `--once`, when records cannot be read or word cannot be delivered.
pub fn run(options: &Options) -> Result<ExitCode> {
    ensure!(
        options.records.since.is_none() && options.records.until.is_none(),
        "--since and --until do not go with watch, whose window moves: use --window"
    );
    ensure!(
        !options.records.files.iter().any(|file| file.as_os_str() == "-") || options.once,
        "standard input can be read only once: name files or a cluster, or add --once"
    );
    ensure!(!options.keep || options.records.cluster.url.is_some(), "--keep needs a cluster: name it with --url");
    options.sinks.check()?;
    // What is wrong with the bundle is told now, not in an hour.
    options.reference.read()?;
    loop {
        match round(options) {
            Ok(verdict) if options.once => return Ok(exit_code(verdict)),
            Err(error) if options.once => return Err(error),
            Ok(_) => {}
            // A cluster that is away now may be there in an hour.
            Err(error) => eprintln!("error: {error:#}; trying again in {}", humantime::format_duration(options.every)),
        }
        thread::sleep(options.every);
    }
}

fn round(options: &Options) -> Result<Verdict> {
    let now = SystemTime::now();
    let mut arguments = options.records.clone();
    arguments.since = Some(Timestamp::from(now.checked_sub(options.window).unwrap_or(SystemTime::UNIX_EPOCH)));
    // The bundle may have been replaced since the last round.
    let mut judge = options.reference.read()?;
    let mut records = arguments.open()?;
    let report = judge.check(&window(&judge, &mut records, None, |_| {})?)?;
    eprintln!("{} {}: {}", Timestamp::from(now), report.verdict, headline(&report));
    if options.sinks.emf {
        println!("{}", notify::metrics(&report, Timestamp::from(now)));
    }
    if options.keep {
        keep::keep(&options.records.cluster.open()?, &keep::document(&report, judge.digest(), Timestamp::from(now)))?;
    }
    let least = if options.warnings { Verdict::Warn } else { Verdict::Alert };
    let state = State::read(&options.state)?;
    let next = state.after(&report, least, now, options.remind);
    if let Some(event) = next.event {
        eprint!("{}", in_words(&report));
        options.sinks.tell(&message(&report, event, judge.digest()))?;
    }
    next.state.write(&options.state).context("what was told cannot be remembered, so it will be told again")?;
    Ok(report.verdict)
}

fn message(report: &Report, event: state::Event, digest: &str) -> Message {
    let what = match event {
        state::Event::Raised => "",
        state::Event::Reminded => "still ",
        state::Event::Over => "over: ",
    };
    let mut text = format!(
        "Wellformed, bundle {}: {what}{}. {}.",
        digest.get(..12).unwrap_or(digest),
        report.verdict,
        headline(report)
    );
    for reason in report.reasons.iter().take(5) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n• {}: {}", reason.verdict, reason.text);
    }
    Message { text, event: event.name(), report: report.clone(), bundle: digest.to_owned() }
}
