//! Plain files in DVCLive's layout, which DVC and editors read:
//!
//! ```text
//! runs/ID/
//!   run.json                            stages, times, outcome, commit, hardware
//!   params.yaml                         all parameters
//!   metrics.json                        the newest value of everything
//!   plots/metrics/train/loss.tsv        a file for each metric: step and value
//!   plots/sklearn/confusion_matrix.json a row for each sentence: actual, predicted
//!   plots/custom/roc.json               a chart's rows
//!   tables/wrong.tsv                    a table
//! ```
//!
//! All stages of a run write into its one folder. Sentences are left out of tables; artifacts lie where the pipeline
//! puts them, so `run.json` names them and nothing is copied.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wellformed_core::files::{read_json, write_json, write_whole};

use crate::mark::Mark;
use crate::sink::{Artifact, Cell, Chart, Matrix, Outcome, Run, Sample, Sink, Table};

/// `metrics.json` is written whole, so not for every row.
const METRICS_EVERY: Duration = Duration::from_secs(5);

/// The sink.
#[derive(Debug)]
pub struct Files {
    parent: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    folder: PathBuf,
    mark: Mark,
    record: RunRecord,
    metrics: Map<String, Value>,
    written: Instant,
    series: BTreeMap<String, File>,
    step: u64,
}

/// `run.json`.
#[derive(Debug, Serialize, Deserialize)]
struct RunRecord {
    id: String,
    /// `running`, or how the newest stage ended.
    status: String,
    stages: Vec<Stage>,
    #[serde(default)]
    artifacts: Vec<Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stage {
    job: String,
    started: String,
    ended: Option<String>,
    outcome: Option<String>,
    commit: String,
    remote: String,
    machine: Value,
}

impl Files {
    /// A sink that will write into a folder below `parent`.
    pub fn new(parent: &Path) -> Self {
        Self { parent: parent.to_owned(), open: None }
    }

    fn open(&mut self) -> Result<&mut Open> {
        self.open.as_mut().context("the run has not started")
    }
}

impl Sink for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn start(&mut self, run: &Arc<Run>) -> Result<()> {
        fs::create_dir_all(&self.parent)
            .with_context(|| format!("cannot make the folder {}", self.parent.display()))?;
        mark_crashed(&self.parent);
        let folder = self.parent.join(&run.id);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let mark = Mark::set(&folder)?;
        let empty = RunRecord { id: run.id.clone(), status: String::new(), stages: Vec::new(), artifacts: Vec::new() };
        let mut record: RunRecord = read_json(&folder.join("run.json")).unwrap_or(empty);
        let (machine, commit) = (run.machine(), run.commit());
        "running".clone_into(&mut record.status);
        record.stages.push(Stage {
            job: run.job.clone(),
            started: humantime::format_rfc3339_millis(run.started).to_string(),
            ended: None,
            outcome: None,
            commit: commit.hash.clone(),
            remote: commit.remote.clone(),
            machine: json!({
                "os": machine.os, "cpu": machine.cpu, "cores": machine.cores, "processors": machine.processors,
                "memory_mb": machine.memory >> 20,
                "gpus": machine.gpus.iter().map(|gpu| gpu.name.as_str()).collect::<Vec<_>>(),
            }),
        });
        write_json(&folder.join("run.json"), &record)?;
        let mut yaml = String::new();
        write_yaml(&mut yaml, &run.config, 0);
        write_whole(&folder.join("params.yaml"), |writer| Ok(writer.write_all(yaml.as_bytes())?))?;
        if let Some(step) = run.resumed_after {
            cut_series(&folder.join("plots/metrics"), step)?;
        }
        let metrics = read_json(&folder.join("metrics.json")).unwrap_or_default();
        let (written, series) = (Instant::now(), BTreeMap::new());
        self.open = Some(Open { folder, mark, record, metrics, written, series, step: 0 });
        Ok(())
    }

    fn scalars(&mut self, _time: SystemTime, step: u64, values: &[(String, f64)]) -> Result<()> {
        let open = self.open()?;
        open.step = step;
        for (name, value) in values {
            open.append(name, *value)?;
            open.metric(name, *value);
        }
        if open.written.elapsed() >= METRICS_EVERY {
            open.write_metrics()?;
        }
        Ok(())
    }

    fn summary(&mut self, _time: SystemTime, values: &[(String, f64)]) -> Result<()> {
        let open = self.open()?;
        for (name, value) in values {
            open.metric(name, *value);
        }
        open.write_metrics()
    }

    fn system(&mut self, _time: SystemTime, sample: &Sample) -> Result<()> {
        let open = self.open()?;
        for (name, value) in &sample.0 {
            open.append(&format!("system/{}", name.replace('.', "/")), *value)?;
        }
        Ok(())
    }

    fn table(&mut self, _time: SystemTime, table: &Table) -> Result<()> {
        let table = table.without_quotes();
        let path = self.open()?.folder.join(format!("tables/{}.tsv", safe(&table.key)));
        write_whole(&path, |writer| {
            writeln!(writer, "{}", table.columns.iter().map(|name| flat(name)).collect::<Vec<_>>().join("\t"))?;
            for row in &table.rows {
                let cells: Vec<String> = row.iter().map(text).collect();
                writeln!(writer, "{}", cells.join("\t"))?;
            }
            Ok(())
        })
    }

    fn matrix(&mut self, _time: SystemTime, matrix: &Matrix) -> Result<()> {
        let mut rows = Vec::new();
        for (actual, counts) in matrix.classes.iter().zip(&matrix.counts) {
            for (predicted, &count) in matrix.classes.iter().zip(counts) {
                let row = json!({"actual": actual, "predicted": predicted});
                rows.extend(std::iter::repeat_n(row, count as usize));
            }
        }
        write_json(&self.open()?.folder.join(format!("plots/sklearn/{}.json", safe(&matrix.key))), &rows)
    }

    fn chart(&mut self, _time: SystemTime, chart: &Chart) -> Result<()> {
        let row = |cells: &Vec<Cell>| -> BTreeMap<String, Cell> {
            chart.columns.iter().cloned().zip(cells.iter().cloned()).collect()
        };
        let rows: Vec<_> = chart.rows.iter().map(row).collect();
        write_json(&self.open()?.folder.join(format!("plots/custom/{}.json", safe(&chart.key))), &rows)
    }

    fn artifact(&mut self, _time: SystemTime, artifact: &Artifact) -> Result<()> {
        let open = self.open()?;
        open.record.artifacts.push(json!({
            "name": artifact.name, "kind": artifact.kind, "folder": artifact.folder.display().to_string(),
            "metadata": artifact.metadata, "aliases": artifact.aliases,
        }));
        write_json(&open.folder.join("run.json"), &open.record)
    }

    fn finish(&mut self, time: SystemTime, outcome: Outcome) -> Result<()> {
        let mut open = self.open.take().context("the run has not started")?;
        open.write_metrics()?;
        open.record.end(outcome, Some(time));
        write_json(&open.folder.join("run.json"), &open.record)?;
        open.mark.remove()
    }
}

impl RunRecord {
    fn end(&mut self, outcome: Outcome, time: Option<SystemTime>) {
        outcome.name().clone_into(&mut self.status);
        if let Some(stage) = self.stages.last_mut() {
            stage.ended = time.map(|time| humantime::format_rfc3339_millis(time).to_string());
            stage.outcome = Some(outcome.name().to_owned());
        }
    }
}

impl Open {
    /// Another line of a metric's file, handed to the operating system at once.
    fn append(&mut self, name: &str, value: f64) -> Result<()> {
        let path = || self.folder.join("plots/metrics").join(format!("{}.tsv", safe(name)));
        if !self.series.contains_key(name) {
            let path = path();
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let open = || -> Result<File> {
                let mut file = File::options().create(true).append(true).open(&path)?;
                if file.metadata()?.len() == 0 {
                    file.write_all(format!("step\t{}\n", flat(name.rsplit('/').next().unwrap_or(name))).as_bytes())?;
                }
                Ok(file)
            };
            let file = open().with_context(|| format!("cannot write {}", path.display()))?;
            self.series.insert(name.to_owned(), file);
        }
        if let Some(file) = self.series.get_mut(name) {
            let line = format!("{}\t{value}\n", self.step);
            file.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", path().display()))?;
        }
        Ok(())
    }

    /// The newest value of a metric, nested at its `/`.
    fn metric(&mut self, name: &str, value: f64) {
        let mut parts: Vec<&str> = name.split('/').collect();
        let last = parts.pop().unwrap_or(name);
        let mut place = &mut self.metrics;
        for part in parts {
            let inner = place.entry(part).or_insert_with(|| json!({}));
            if !inner.is_object() {
                *inner = json!({});
            }
            let Value::Object(inner) = inner else { return };
            place = inner;
        }
        place.insert(last.to_owned(), json!(value));
    }

    fn write_metrics(&mut self) -> Result<()> {
        self.written = Instant::now();
        write_json(&self.folder.join("metrics.json"), &self.metrics)
    }
}

/// A name as a path that stays where it is put.
fn safe(name: &str) -> String {
    let part = |part: &str| -> String {
        let part = part.trim_start_matches('.');
        part.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
    };
    name.split('/').map(part).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// Text in one cell of a TSV file.
fn flat(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Number(number) => number.to_string(),
        Cell::Text(text) => flat(text),
    }
}

/// Nested maps as YAML; every other value as JSON, which is YAML too.
fn write_yaml(yaml: &mut String, value: &Value, depth: usize) {
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        // Writing to a String cannot fail.
        let _ = match value {
            Value::Object(inner) if !inner.is_empty() => writeln!(yaml, "{:1$}{key}:", "", 2 * depth),
            value => writeln!(yaml, "{:1$}{key}: {value}", "", 2 * depth),
        };
        write_yaml(yaml, value, depth + 1);
    }
}

/// Removes the rows of steps that an interrupted training repeats, and a torn line at the end.
fn cut_series(folder: &Path, step: u64) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            cut_series(&path, step)?;
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let kept = |line: &&str| {
            let number = line.split('\t').next().and_then(|text| text.parse::<u64>().ok());
            line.ends_with('\n') && number.is_none_or(|number| number <= step)
        };
        let text: String = text.split_inclusive('\n').filter(kept).collect();
        write_whole(&path, |writer| Ok(writer.write_all(text.as_bytes())?))?;
    }
    Ok(())
}

/// Ends the records of processes that have died.
fn mark_crashed(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let folder = entry.path();
        let Some(mark) = Mark::of_the_dead(&folder) else { continue };
        let path = folder.join("run.json");
        if let Ok(mut record) = read_json::<RunRecord>(&path)
            && record.status == "running"
        {
            record.end(Outcome::Crashed, None);
            if let Err(error) = write_json(&path, &record) {
                eprintln!("warning: {} cannot be marked as crashed: {error:#}", folder.display());
            }
        }
        let _ = mark.remove();
    }
}
