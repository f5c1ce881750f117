//! Inference: this project's engine beside ONNX Runtime in Python, on the same files and the same sentences.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Built, Measured, Spread, build_examples};
use crate::environment::{Environment, ONNX};
use crate::process::describe;
use crate::repro::{VALIDATION, binary, needs};

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Inference {
    /// Threads of both sides.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// How often both sides run, in turn.
    #[arg(long, default_value_t = 3)]
    pub repeat: usize,
}

/// A model, in the two precisions of a bundle.
struct Subject {
    name: &'static str,
    bundle: PathBuf,
}

/// Shapes whose speed is measured with random weights beside the bundle's own: layers, hidden, heads, inner.
const SHAPES: [(&str, [usize; 4]); 2] = [("6x384", [6, 384, 12, 1536]), ("2x128", [2, 128, 2, 512])];

/// The figures that both sides report.
const FIGURES: [&str; 4] = ["single_p50_us", "single_p99_us", "batched_sentences_per_second", "peak_memory_mb"];

/// Runs both sides in turn and prints a table with ratios.
///
/// # Errors
///
/// When bundle or prepared data are not there yet, or either side fails.
pub(super) fn infer(root: &Path, inference: &Inference) -> Result<Measured> {
    needs(root, &[("models/bundle/bundle.json", "export"), (VALIDATION, "prepare")])?;
    let environment = Environment::ensure(root, ONNX)?;
    let bench = Bench { root, environment, built: build_examples(root)? };
    let mut subjects = vec![Subject { name: "bundle", bundle: root.join("models/bundle") }];
    for (name, shape) in SHAPES {
        let bundle = bench.built.scratch.path().join(name);
        let mut command = bench.built.example("random_bundle");
        command.arg(&bundle).arg(root.join("models/bundle/tokenizer.json"));
        crate::process::run(command.args(shape.map(|number| number.to_string())))?;
        subjects.push(Subject { name, bundle });
    }

    let mut rows = Vec::new();
    for subject in &subjects {
        for precision in ["fp32", "int8"] {
            rows.push(bench.compare(subject, precision, inference)?);
        }
    }
    print(&rows, inference);
    let report = json!({ "threads": inference.threads, "repeat": inference.repeat, "rows": rows });
    let name = if inference.threads == 1 { "infer".to_owned() } else { format!("infer-{}", inference.threads) };
    Ok(Measured { name, report })
}

/// Makes the command that measures one side.
type Side<'a> = Box<dyn Fn() -> Command + 'a>;

struct Bench<'a> {
    root: &'a Path,
    environment: Environment,
    built: Built,
}

impl Bench<'_> {
    /// `bench/ort_infer.py` with its task.
    fn yardstick(&self, task: &str) -> Command {
        let mut command = self.environment.python();
        command.args(["bench/ort_infer.py", task]).current_dir(self.root);
        command
    }

    /// One model in one precision: ours, ONNX Runtime on the same file and, for int8, ONNX Runtime on its own int8.
    fn compare(&self, subject: &Subject, precision: &str, inference: &Inference) -> Result<Value> {
        let file = subject.bundle.join(if precision == "fp32" { "model.onnx" } else { "model.int8.onnx" });
        let tokenizer = subject.bundle.join("tokenizer.json");
        let threads = inference.threads.to_string();
        let sentences = &self.built.sentences;
        let ours = || -> Command {
            let mut command = self.built.example("measure");
            command.arg("--bundle").arg(&subject.bundle).args(["--precision", precision, "--threads", &threads]);
            command.arg("--sentences").arg(sentences).args(["--repeat", "1"]);
            command
        };
        let theirs = |model: &Path| -> Command {
            let mut command = self.yardstick("measure");
            command.arg("--model").arg(model).arg("--tokenizer").arg(&tokenizer).arg("--sentences").arg(sentences);
            command.args(["--threads", &threads, "--repeat", "1"]);
            command
        };
        let own = self.built.scratch.path().join(format!("{}.own.int8.onnx", subject.name));
        let mut sides: Vec<(&str, Side<'_>)> =
            vec![("ours", Box::new(ours)), ("same_file", Box::new(|| theirs(&file)))];
        if precision == "int8" {
            let mut command = self.yardstick("quantize");
            command.arg("--model").arg(subject.bundle.join("model.onnx")).arg("--output").arg(&own);
            crate::process::run(&mut command)?;
            sides.push(("own_int8", Box::new(|| theirs(&own))));
        }
        let mut runs: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for turn in 0..inference.repeat.max(1) {
            eprintln!("{} {precision}, run {} of {}", subject.name, turn + 1, inference.repeat.max(1));
            // The side that goes first changes, so that a machine that slows down favours none.
            for index in 0..sides.len() {
                let (name, command) = &sides[(index + turn) % sides.len()];
                runs.entry(name).or_default().push(output(&mut command())?);
            }
        }
        let mut row = json!({ "model": subject.name, "precision": precision });
        for (name, runs) in &runs {
            for figure in FIGURES {
                let spread = Spread::of(runs.iter().filter_map(|run| run[figure].as_f64()).collect());
                row[*name][figure] = spread.json();
            }
        }
        row["same_file"]["onnxruntime"] = runs["same_file"][0]["onnxruntime"].clone();
        row["ours"]["instructions"] = runs["ours"][0]["instructions"].clone();
        // From the start of a process to the end of it, one sentence predicted between.
        let (mut first, mut python) = (Vec::new(), Vec::new());
        for _ in 0..inference.repeat.max(1) * 3 {
            let mut command = Command::new(binary(self.root, "predict"));
            command.arg("--bundle").arg(&subject.bundle).args(["--precision", precision, "--threads", "1"]);
            first.push(wall(command.arg("The cat sat on the mat."))?);
            let mut command = self.yardstick("first");
            python.push(wall(command.arg("--model").arg(&file).arg("--tokenizer").arg(&tokenizer))?);
        }
        row["ours"]["process_ms"] = Spread::of(first).json();
        row["same_file"]["process_ms"] = Spread::of(python).json();
        Ok(row)
    }
}

/// Runs a program that prints one JSON object.
pub(super) fn output(command: &mut Command) -> Result<Value> {
    let output = command.output().with_context(|| format!("cannot start `{}`", describe(command)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`{}` failed:\n{said}", describe(command));
    serde_json::from_slice(&output.stdout).with_context(|| format!("`{}` printed no JSON object", describe(command)))
}

/// Wall-clock time of a program, in ms.
fn wall(command: &mut Command) -> Result<f64> {
    let began = Instant::now();
    let output = command.output().with_context(|| format!("cannot start `{}`", describe(command)))?;
    let time = began.elapsed().as_secs_f64() * 1e3;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`{}` failed:\n{said}", describe(command));
    Ok(time)
}

fn print(rows: &[Value], inference: &Inference) {
    let figure = |row: &Value, side: &str, figure: &str| row[side][figure]["median"].as_f64().unwrap_or(f64::NAN);
    println!(
        "Inference with {} thread(s), medians of {} runs; ratio = ours / ONNX Runtime's (same file; its own int8)",
        inference.threads, inference.repeat
    );
    println!(
        "{:14} {:>24} {:>26} {:>22} {:>22}",
        "", "one sentence, us", "batched, sentences/s", "process to answer, ms", "peak memory, MB"
    );
    for row in rows {
        let name = format!("{} {}", row["model"].as_str().unwrap_or(""), row["precision"].as_str().unwrap_or(""));
        let cell = |of: &str| {
            let (ours, same, own) =
                (figure(row, "ours", of), figure(row, "same_file", of), figure(row, "own_int8", of));
            if own.is_nan() {
                format!("{ours:.0} ({:.2})", ours / same)
            } else {
                format!("{ours:.0} ({:.2}; {:.2})", ours / same, ours / own)
            }
        };
        println!(
            "{name:14} {:>24} {:>26} {:>22} {:>22}",
            cell(FIGURES[0]),
            cell(FIGURES[2]),
            cell("process_ms"),
            cell(FIGURES[3])
        );
    }
}
