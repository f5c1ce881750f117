//! What the commands that judge have in common: the reference, the settings, the window, the words.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use indicatif::ProgressBar;
use wellformed_core::bundle::{MANIFEST, Manifest, PROFILE};
use wellformed_core::files::{read_json, sha256_file};
use wellformed_core::record::{Record, Timestamp};
use wellformed_drift::{Checker, Expected, Observation, Profile, Report, Settings, Verdict, Window};

use crate::observe::{Names, observation};
use crate::read::Records;

/// The file with the settings that is read where none is named, if it is there.
pub const SETTINGS: &str = "monitor.yaml";

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

/// A reference that was read.
#[derive(Debug)]
pub struct Judge {
    /// The profile made ready.
    pub checker: Checker,
    /// The bundle's digest.
    pub digest: String,
}

impl Reference {
    /// Reads bundle and settings.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or a setting makes no sense.
    pub fn read(&self) -> Result<Judge> {
        let manifest_path = self.bundle.join(MANIFEST);
        let manifest: Manifest = read_json(&manifest_path).with_context(|| {
            format!(
                "{} is no bundle; --bundle names one, and `cargo xtask repro` or `dvc pull models/bundle` brings it",
                self.bundle.display()
            )
        })?;
        ensure!(
            manifest.is_sealed(),
            "{}: its digest is not that of its content; it was changed, copy the bundle again",
            manifest_path.display()
        );
        let path = self.bundle.join(PROFILE);
        ensure!(
            manifest.files.contains_key(PROFILE),
            "{} brings no {PROFILE}: its validation set was too small to say what is usual, so nothing can be judged; \
             export a bundle of at least 100 sentences of validation",
            self.bundle.display()
        );
        let found = sha256_file(&path)?;
        let expected = manifest.files.get(PROFILE).map(|file| file.sha256.as_str());
        ensure!(
            expected == Some(found.as_str()),
            "{}: its SHA-256 is {found}, but {MANIFEST} says {}; copy the bundle again",
            path.display(),
            expected.unwrap_or("nothing of it")
        );
        let profile: Profile = read_json(&path)?;
        let settings = self.settings()?;
        let checker = Checker::new(profile, settings, Expected { bundle: Some(manifest.digest.clone()) })?;
        Ok(Judge { checker, digest: manifest.digest })
    }

    fn settings(&self) -> Result<Settings> {
        let read = |path: &Path| Settings::read(path).with_context(|| path.display().to_string());
        match &self.settings {
            Some(path) => {
                ensure!(path.is_file(), "there is no settings file {}", path.display());
                read(path)
            }
            None if Path::new(SETTINGS).is_file() => read(Path::new(SETTINGS)),
            None => Ok(Settings::default()),
        }
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
    let mut window = judge.checker.window()?;
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

/// The report in a few lines for a terminal or a log.
pub fn in_words(report: &Report) -> String {
    let mut text = format!("{}: {}\n", report.verdict, headline(report));
    for reason in &report.reasons {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:18}{}", reason.verdict.to_string(), reason.text);
    }
    if let Some(performance) = &report.performance {
        let (mcc, usual) = (&performance.estimated.mcc, &performance.reference_estimated.mcc);
        let _ = write!(
            text,
            "MCC without labels, if the probabilities are calibrated: {:.3} ({:.3} to {:.3}); on the reference {:.3}",
            mcc.value, mcc.low, mcc.high, usual.value
        );
        let measured = performance.reference_measured.as_ref();
        let _ = match measured {
            Some(measured) => writeln!(text, ", where it really is {:.3}", measured.mcc.value),
            None => writeln!(text),
        };
    }
    if let Some([median, p95, p99]) = report.service.latency_ms {
        let _ = writeln!(
            text,
            "latency {median:.1} ms, 95 % below {p95:.1} ms, 99 % below {p99:.1} ms; defects {:.2} %, refused {:.2} %",
            100.0 * report.service.defect_share,
            100.0 * report.service.refused_share
        );
    }
    text
}

/// How much was judged, and against what.
pub fn headline(report: &Report) -> String {
    let span = match (report.from_ms, report.to_ms) {
        (Some(from), Some(to)) => format!(", {} to {}", moment(from), moment(to)),
        _ => String::new(),
    };
    format!(
        "{} predictions of {} records{span}, {} sentences judged against {} of the reference",
        report.predictions, report.records, report.counted, report.reference_sentences
    )
}

/// A moment as people read it, in UTC.
pub(crate) fn moment(millis: i64) -> String {
    Timestamp::from_unix_millis(u64::try_from(millis).unwrap_or(0)).to_string()
}
