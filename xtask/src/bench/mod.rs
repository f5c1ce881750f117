//! `cargo xtask bench`: our speed beside what a user would run instead, measured in the same run, kept with the machine
//! it was measured on, and written up in `docs/benchmarks.md`.

mod child;
mod cold_start;
mod infer;
mod machine;
mod monitor;
mod monitor_speed;
pub mod page;
mod release;
mod serve;
mod train;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::process::{cargo, run};
use crate::repro::{VALIDATION, binary};

pub use cold_start::ColdStarts;
pub use infer::Inference;
pub use monitor::Monitoring;
pub use release::Releases;
pub use serve::Serving;
pub use train::{Epoch, SAME, Training};

/// What was asked for: a measurement, or the page of all of them.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Benchmarks {
    /// Write docs/benchmarks.md, the page of everything measured, out of reports/bench/*.json.
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// Fail unless docs/benchmarks.md is what the files of reports/bench/ give.
    #[arg(long)]
    check: bool,
    #[command(subcommand)]
    what: Option<What>,
}

/// What is measured.
#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Training: an epoch of this project's `train` and of `PyTorch` (`bench/torch_train.py`, in .venv-bench) in turn, on
    /// models of three shapes, in 32 bits and in mixed precision; and `PyTorch` with every batch padded to 128 tokens.
    Train(Training),
    /// Inference: this project's engine and ONNX Runtime in Python (`bench/ort_infer.py`, in .venv-onnx) in turn, on the
    /// bundle and on models of other sizes with random weights.
    Infer(Inference),
    /// `serve` under load from another process, with 1, 8, 64 and 256 connections, and its memory over a million
    /// requests.
    Serve(Serving),
    /// The monitor: false alarms on windows in which nothing has changed, and what it finds of shuffled words, other
    /// languages, a wrong tokenizer and more; and a million records beside pandas and scipy (`bench/pandas_check.py`,
    /// in .venv-pandas).
    Monitor(Monitoring),
    /// The image of AWS Lambda from nothing to its first answer, beside Python with ONNX Runtime
    /// (`bench/lambda_handler.py`), both under the same limits. Needs docker, or root with buildah, skopeo and runc.
    ColdStart(ColdStarts),
    /// Releases and rollbacks against moto and a registry, and what callers get of candidates that are no good, beside a
    /// script that moves the alias (`bench/release.sh`). Needs root, docker-registry, buildah, skopeo and runc.
    Release(Releases),
}

/// Measures and keeps what was measured as `reports/bench/NAME.json`, or writes or checks the page.
///
/// # Errors
///
/// When something that is needed is not there, a program that is measured fails, or the page is not current.
pub fn bench(root: &Path, asked: &Benchmarks) -> Result<()> {
    let Some(what) = &asked.what else {
        return if asked.check { page::check(root) } else { page::write(root) };
    };
    // Before anything is measured, so that its load is not our own.
    let machine = machine::describe(root);
    if let Some(load) = machine::busy(&machine) {
        eprintln!(
            "warning: this machine is busy with other things (load {load}): what is measured now will be called \
             provisional. A busy machine does not slow both sides alike: threads that wait for each other suffer most."
        );
    }
    let measured = match what {
        What::Train(training) => vec![train::train(root, training)?],
        What::Infer(inference) => vec![infer::infer(root, inference)?],
        What::Serve(serving) => vec![serve::serve(root, serving)?],
        What::Monitor(monitoring) => monitor::monitor(root, monitoring)?,
        What::ColdStart(starts) => vec![cold_start::cold_start(root, starts)?],
        What::Release(releases) => vec![release::release(root, releases)?],
    };
    for Measured { name, mut report } in measured {
        report["machine"] = machine.clone();
        println!("{}", keep(root, &name, &report)?);
    }
    if page::check(root).is_err() {
        eprintln!("docs/benchmarks.md does not show these figures yet: cargo xtask bench --write");
    }
    Ok(())
}

/// What a measurement found.
struct Measured {
    /// Of its file, without the ending.
    name: String,
    report: Value,
}

impl Measured {
    fn new(name: &str, report: Value) -> Self {
        Self { name: name.to_owned(), report }
    }
}

/// Progress over so many runs of programs; nothing where the output is no terminal.
fn bar(runs: usize) -> ProgressBar {
    let bar = ProgressBar::new(runs as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A line above a bar; on standard error where there is none.
fn tell(bar: &ProgressBar, line: &str) {
    if bar.is_hidden() {
        eprintln!("{line}");
    } else {
        bar.println(line);
    }
}

/// Several figures of one thing: smallest, median and largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub low: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    /// Of at least one figure; of none, zeros.
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(0.0);
        let (last, middle) = (figures.len().saturating_sub(1), figures.len() / 2);
        let median = if figures.len().is_multiple_of(2) {
            f64::midpoint(at(middle.saturating_sub(1)), at(middle))
        } else {
            at(middle)
        };
        Self { low: at(0), median, high: at(last) }
    }

    /// As in a report; of no figures at all, nothing.
    fn of_any(figures: Vec<f64>) -> Value {
        if figures.is_empty() { Value::Null } else { Self::of(figures).json() }
    }

    fn json(self) -> Value {
        json!({ "low": self.low, "median": self.median, "high": self.high })
    }
}

/// Builds every binary and the examples that measure, with the features of every other build; unless
/// `WELLFORMED_BINARIES` names a folder where they are.
fn build_examples(root: &Path) -> Result<Built> {
    if std::env::var_os("WELLFORMED_BINARIES").is_none() {
        run(cargo().args(["build", "--release", "--locked", "--workspace", "--bins", "--examples"]))?;
    }
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let sentences = scratch.path().join("sentences.txt");
    write_sentences(root, &sentences)?;
    Ok(Built { root: root.to_owned(), scratch, sentences })
}

/// What is needed to measure inference.
struct Built {
    root: PathBuf,
    scratch: tempfile::TempDir,
    /// The sentences of *validation*, one a line.
    sentences: PathBuf,
}

impl Built {
    fn example(&self, name: &str) -> Command {
        Command::new(binary(&self.root, "examples").join(name))
    }
}

fn write_sentences(root: &Path, path: &Path) -> Result<()> {
    let mut command = Command::new(binary(root, "predict"));
    let output = command.args(["--json", "--quiet", "--file", VALIDATION]).current_dir(root).output();
    let output = output.context("cannot start predict")?;
    if !output.status.success() {
        bail!("predict could not read {VALIDATION}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut text = String::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let row: Value = serde_json::from_str(line).context("predict printed a line that is not JSON")?;
        text += row["sentence"].as_str().context("a line without a sentence")?;
        text.push('\n');
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Keeps a report as `reports/bench/NAME.json`, whole or not at all, and gives that path.
fn keep(root: &Path, name: &str, report: &Value) -> Result<String> {
    let path = format!("reports/bench/{name}.json");
    write_whole(&root.join(&path), &format!("{report:#}\n"))?;
    Ok(path)
}

/// Writes a file under another name first, so that an interruption leaves the old one.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a file without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let unfinished = path.with_extension("unfinished");
    let written = fs::write(&unfinished, text).and_then(|()| fs::rename(&unfinished, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_between_the_extremes() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Spread { low: 1.0, median: 2.0, high: 3.0 });
        assert_eq!(Spread::of(vec![4.0, 1.0]), Spread { low: 1.0, median: 2.5, high: 4.0 });
    }

    #[test]
    fn a_report_replaces_the_one_before_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for figure in [1, 2] {
            keep(folder.path(), "speed", &json!({ "figure": figure })).unwrap();
        }
        let names: Vec<_> = fs::read_dir(folder.path().join("reports/bench")).unwrap().collect();
        assert_eq!(names.len(), 1);
        let text = fs::read_to_string(folder.path().join("reports/bench/speed.json")).unwrap();
        assert_eq!(text, "{\n  \"figure\": 2\n}\n");
    }
}
