//! `cargo xtask bench`: our throughput beside what a user would run instead, measured in the same run.

mod cold_start;
mod infer;
mod monitor;
mod serve;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::environment::{BENCH, Environment};
use crate::process::{cargo, describe, run};
use crate::repro::{VALIDATION, binary, build, needs};

pub use cold_start::{ColdStarts, cold_start};
pub use infer::{Inference, infer};
pub use monitor::{Monitoring, monitor};
pub use serve::{Serving, serve};

/// One epoch of a training run, as both sides report it.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// From 0.
    pub epoch: u64,
    /// Wall-clock time of the training part, in seconds.
    pub seconds: f64,
    /// Sentences trained on in a second.
    pub sentences_per_second: f64,
    /// Matthews correlation coefficient after the epoch: on GLUE's validation set by the yardstick, on *tune* by `train`.
    pub mcc: f64,
}

impl Epoch {
    /// Reads one line of `bench/torch_train.py`.
    ///
    /// # Errors
    ///
    /// When the line is not a JSON object with the four fields.
    pub fn parse(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        let number = |key: &str| value[key].as_f64().with_context(|| format!("no number `{key}` in {line}"));
        Ok(Self {
            epoch: value["epoch"].as_u64().with_context(|| format!("no whole number `epoch` in {line}"))?,
            seconds: number("seconds")?,
            sentences_per_second: number("sentences_per_second")?,
            mcc: number("mcc")?,
        })
    }
}

/// What both sides train: the same encoder on the same sentences, in batches of the same size.
#[derive(Debug, Clone, clap::Args)]
pub struct Training {
    /// Encoder layers to keep.
    #[arg(long, default_value_t = 4)]
    pub layers: usize,
    /// Sentences per batch.
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Epochs of each run; the first of a run warms caches and is not counted when there are more.
    #[arg(long, default_value_t = 2)]
    pub epochs: usize,
    /// How often both sides run, in turn.
    #[arg(long, default_value_t = 3)]
    pub repeat: usize,
}

/// Sentences per second of one side: smallest, median and largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The slowest epoch.
    pub low: f64,
    /// The median epoch.
    pub median: f64,
    /// The fastest epoch.
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

/// Keeps a report as `reports/bench/NAME.json`.
fn keep(root: &Path, name: &str, report: &Value) -> Result<()> {
    let folder = root.join("reports/bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, format!("{report:#}\n")).with_context(|| format!("cannot write {}", path.display()))
}

/// Trains with the project's `train` and with `PyTorch` in turn, prints a table with the ratio, and writes
/// `reports/bench/train.json`.
///
/// # Errors
///
/// When data or base model are not there yet, or either side fails.
pub fn train(root: &Path, training: &Training) -> Result<()> {
    needs(
        root,
        &[("data/prepared/train.parquet", "prepare"), ("data/raw/corpus.zip", "fetch"), ("models/base", "fetch")],
    )?;
    let environment = Environment::ensure(root, BENCH)?;
    build(&[])?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 1..=training.repeat.max(1) {
        eprintln!("run {turn} of {}", training.repeat.max(1));
        // The side that goes first changes, so that a machine that slows down favours neither.
        for side in if turn % 2 == 1 { [true, false] } else { [false, true] } {
            let epochs = if side { this_project(root, training)? } else { pytorch(root, &environment, training)? };
            let counted = epochs.len().min(if epochs.len() > 1 { epochs.len() - 1 } else { 1 });
            let figures = epochs[epochs.len() - counted..].iter().map(|epoch| epoch.sentences_per_second);
            if side { ours.extend(figures) } else { theirs.extend(figures) }
        }
    }
    let (ours, theirs) = (Spread::of(ours), Spread::of(theirs));
    println!(
        "Training throughput in sentences/s, {} layers, batches of {}, median (lowest to highest epoch):",
        training.layers, training.batch
    );
    for (name, spread) in [("wellformed (flex)", ours), ("PyTorch 2.9", theirs)] {
        println!("  {name:18} {:7.1} ({:.1} to {:.1})", spread.median, spread.low, spread.high);
    }
    println!("  ratio              {:7.2}", ours.median / theirs.median);
    let report = json!({
        "layers": training.layers, "batch": training.batch, "ours": ours.json(), "pytorch": theirs.json(),
        "ratio": ours.median / theirs.median,
    });
    keep(root, "train", &report)
}

/// The project's own stage, in a folder of its own, so that no output of the pipeline is touched.
fn this_project(root: &Path, training: &Training) -> Result<Vec<Epoch>> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    for place in ["data", "models"] {
        fs::create_dir(folder.path().join(place))?;
    }
    for input in ["data/prepared", "models/base"] {
        std::os::unix::fs::symlink(root.join(input), folder.path().join(input))?;
    }
    let binaries = std::env::var_os("WELLFORMED_BINARIES").map_or_else(|| target.join("release"), Into::into);
    let mut command = Command::new(binaries.join("train"));
    command
        .current_dir(folder.path())
        .arg("--params")
        .arg(root.join("params.yaml"))
        .args(["--timings", "timings.jsonl"]);
    // What the yardstick does: [CLS] through the pooler.
    let sets = [
        "model.pooling=cls".to_owned(),
        "compute.device=flex".to_owned(),
        format!("model.layers={}", training.layers),
        format!("train.batch_size={}", training.batch),
        format!("train.epochs={}", training.epochs),
    ];
    for set in sets {
        command.args(["--set", &set]);
    }
    run(&mut command)?;
    let timings = fs::read_to_string(folder.path().join("timings.jsonl")).context("train wrote no timings")?;
    timings.lines().map(Epoch::parse).collect()
}

/// `bench/torch_train.py`, in the bench's environment.
fn pytorch(root: &Path, environment: &Environment, training: &Training) -> Result<Vec<Epoch>> {
    let mut command = environment.python();
    command.args(["bench/torch_train.py", "--cola", "data/raw/corpus.zip", "--base", "models/base"]);
    for (name, value) in [("--layers", training.layers), ("--batch", training.batch), ("--epochs", training.epochs)] {
        command.arg(name).arg(value.to_string());
    }
    command.current_dir(root).stdout(Stdio::piped());
    eprintln!("$ {}", describe(&command));
    let output = command.spawn().and_then(std::process::Child::wait_with_output);
    let output = output.context("cannot start the environment's Python")?;
    if !output.status.success() {
        bail!("bench/torch_train.py failed; its own message is above");
    }
    String::from_utf8_lossy(&output.stdout).lines().map(Epoch::parse).collect()
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
    fn an_epoch_is_read_from_the_yardsticks_line() {
        let line = r#"{"epoch": 1, "train_loss": 0.5, "seconds": 12.5, "sentences_per_second": 684.1, "mcc": 0.25}"#;
        let expected = Epoch { epoch: 1, seconds: 12.5, sentences_per_second: 684.1, mcc: 0.25 };
        assert_eq!(Epoch::parse(line).unwrap(), expected);
    }

    #[test]
    fn a_line_without_a_figure_is_refused_by_name() {
        let error = Epoch::parse(r#"{"epoch": 1, "seconds": 2.0, "mcc": 0.1}"#).unwrap_err().to_string();
        assert!(error.contains("sentences_per_second"), "{error}");
    }
}
