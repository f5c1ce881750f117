//! Weights & Biases: a run folder as its own client writes it in offline mode, without Python.
//!
//! ```text
//! wandb/offline-run-20260131_120000-ab12cd34/
//!   run-ab12cd34.wandb      the log: every record of the run, in order
//!   files/media/table/      tables, as W&B's workspace shows them
//!   artifacts/              what the log's artifacts consist of
//!   logs/upload.log         what the uploader said, in online mode
//!   open.lock               while a process is writing
//! ```
//!
//! A resumed training and every later stage write a folder of their own with the same run id, which `wandb sync` joins
//! on the server. The client replaces the server's summary by that of the folder that it uploads last, so a new folder
//! begins with the summary of those before it.

mod artifact;
mod chart;
mod live;
mod log;
mod proto;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wellformed_core::files::sha256_bytes;

use self::live::Upload;
use self::log::Writer;
use self::proto::{
    Cpu, Environment, Exit, Files, FilesItem, Git, GpuNvidia, Header, History, Info, Item, Memory, Metric,
    MetricOptions, Record, Stats, Step, Update, VersionInfo,
};
use crate::id::characters;
use crate::mark::Mark;
use crate::sink::{Artifact, Chart, Matrix, Outcome, Run, Sample, Sink, Table};

pub use self::live::Live;

/// The client whose logs these are like. It refuses logs that ask for a newer one.
const PRODUCER: &str = concat!("wellformed ", env!("CARGO_PKG_VERSION"));
const MIN_CONSUMER: &str = "0.70.0";

/// Groups of metrics, and the metric that is their horizontal axis.
const AXES: [(&str, &str); 2] = [("train/*", "step"), ("epochs/*", "epoch")];

/// What a run folder needs to know beside the run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of all run folders, `wandb`.
    pub folder: PathBuf,
    /// The project on the server.
    pub project: String,
    /// The user or team on the server; empty for the key's own.
    pub entity: String,
    /// Whether tables may quote sentences.
    pub sentences: bool,
    /// How to upload while the run goes on.
    pub live: Option<Live>,
}

/// The sink.
#[derive(Debug)]
pub struct Wandb {
    settings: Settings,
    open: Option<Open>,
}

/// A run folder that is being written.
#[derive(Debug)]
struct Open {
    folder: PathBuf,
    writer: Writer,
    mark: Mark,
    run: Arc<Run>,
    /// Rows of history so far; the client counts on from the server's where the run goes on there.
    rows: i64,
    upload: Option<Upload>,
}

impl Wandb {
    /// A sink that has not started.
    pub fn new(settings: Settings) -> Self {
        Self { settings, open: None }
    }

    fn open(&mut self) -> Result<&mut Open> {
        self.open.as_mut().context("the run has not started")
    }

    /// A table's files, and its row in history and summary.
    fn log_table(&mut self, time: SystemTime, table: &Table) -> Result<()> {
        let settings = self.settings.clone();
        let open = self.open()?;
        let step = open.rows;
        let content = format!(
            "{{\"columns\":{},\"data\":{}}}",
            serde_json::to_string(&table.columns)?,
            serde_json::to_string(&table.rows)?
        );
        let sha256 = sha256_bytes(content.as_bytes());
        let path = format!("media/table/{}_{step}_{}.table.json", table.key, &sha256[..20]);
        let file = open.folder.join("files").join(&path);
        fs::write(&file, &content).with_context(|| format!("cannot write {}", file.display()))?;

        let staging = absolute(&open.folder)?.join(format!("artifacts/{step}-{}", table.key));
        let (record, mut value) = artifact::of_table(table, &open.run.id, &staging)?;
        open.artifact(record, &settings)?;
        let files = vec![FilesItem { path: path.clone(), policy: 0, kind: 2 }];
        open.write(Record { files: Some(Files { files }), ..Record::default() })?;
        value.insert("_type".to_owned(), "table-file".into());
        value.insert("path".to_owned(), path.into());
        value.insert("sha256".to_owned(), sha256.into());
        value.insert("size".to_owned(), content.len().into());
        value.insert("nrows".to_owned(), table.rows.len().into());
        value.insert("ncols".to_owned(), table.columns.len().into());
        // Leaf by leaf, as the client does.
        open.row(time, value.iter().map(|(field, value)| item(&[&table.key, field], value.to_string())).collect())
    }

    fn log_panel(&mut self, key: &str, panel: &Value) -> Result<()> {
        let update = vec![item(&["_wandb", "visualize", key], panel.to_string())];
        self.open()?.write(Record { config: Some(Update { update }), ..Record::default() })
    }

    /// The uploader's failure costs the upload and nothing else.
    fn offline_from_here(folder: &Path, error: &anyhow::Error) {
        eprintln!(
            "warning: W&B is not being told of this run: {error:#}. It is complete on disk: `wandb sync {}` uploads it.",
            folder.display()
        );
    }
}

impl Sink for Wandb {
    fn name(&self) -> &'static str {
        "wandb"
    }

    fn start(&mut self, run: &Arc<Run>) -> Result<()> {
        let settings = &self.settings;
        fs::create_dir_all(&settings.folder)
            .with_context(|| format!("cannot make the folder {}", settings.folder.display()))?;
        mark_crashed(&settings.folder);
        let carried = summary_so_far(&settings.folder, &run.id);
        let folder = new_folder(&settings.folder, run)?;
        let mark = Mark::set(&folder)?;
        for inner in ["files/media/table", "logs"] {
            fs::create_dir_all(folder.join(inner))?;
        }
        let writer = Writer::create(&folder.join(format!("run-{}.wandb", run.id)))?;
        let mut open = Open { folder, writer, mark, run: Arc::clone(run), rows: 0, upload: None };
        open.write_head(settings)?;
        if !carried.is_empty() {
            let update = carried.into_values().collect();
            open.write(Record { summary: Some(Update { update }), ..Record::default() })?;
        }
        if let Some(live) = &settings.live {
            match live.start(&open.folder) {
                Ok(upload) => open.upload = Some(upload),
                Err(error) => Self::offline_from_here(&open.folder, &error),
            }
        }
        self.open = Some(open);
        Ok(())
    }

    fn scalars(&mut self, time: SystemTime, _step: u64, values: &[(String, f64)]) -> Result<()> {
        let items = values.iter().map(|(name, value)| item(&[name], number(*value))).collect();
        self.open()?.row(time, items)
    }

    fn summary(&mut self, _time: SystemTime, values: &[(String, f64)]) -> Result<()> {
        let update = values.iter().map(|(name, value)| item(&[name], number(*value))).collect();
        self.open()?.write(Record { summary: Some(Update { update }), ..Record::default() })
    }

    fn system(&mut self, time: SystemTime, sample: &Sample) -> Result<()> {
        let open = self.open()?;
        let of = |(name, value): &(String, f64)| Item {
            key: name.clone(),
            nested_key: Vec::new(),
            value_json: number(*value),
        };
        let stats = Stats { timestamp: Some(time.into()), item: sample.0.iter().map(of).collect() };
        open.write(Record { stats: Some(stats), ..Record::default() })?;
        if let Some(mut upload) = open.upload.take() {
            match upload.check() {
                Ok(()) => open.upload = Some(upload),
                Err(error) => Self::offline_from_here(&open.folder, &error),
            }
        }
        Ok(())
    }

    fn table(&mut self, time: SystemTime, table: &Table) -> Result<()> {
        if self.settings.sentences {
            self.log_table(time, table)
        } else {
            self.log_table(time, &table.without_quotes())
        }
    }

    fn matrix(&mut self, time: SystemTime, matrix: &Matrix) -> Result<()> {
        self.log_panel(&matrix.key, &chart::of_matrix(matrix))?;
        self.log_table(time, &chart::table_of_matrix(matrix))
    }

    fn chart(&mut self, time: SystemTime, chart: &Chart) -> Result<()> {
        self.log_panel(&chart.key, &chart::of_chart(chart))?;
        self.log_table(time, &chart::table_of_chart(chart))
    }

    fn artifact(&mut self, _time: SystemTime, artifact: &Artifact) -> Result<()> {
        let settings = self.settings.clone();
        let open = self.open()?;
        let staging = absolute(&open.folder)?.join(format!("artifacts/{}", artifact.name));
        let record = artifact::of_folder(artifact, &staging)?;
        open.artifact(record, &settings)
    }

    fn finish(&mut self, time: SystemTime, outcome: Outcome) -> Result<()> {
        let mut open = self.open.take().context("the run has not started")?;
        let runtime = time.duration_since(open.run.started).unwrap_or_default().as_secs();
        let update = vec![item(&["_wandb", "runtime"], runtime.to_string())];
        open.write(Record { summary: Some(Update { update }), ..Record::default() })?;
        open.write(exit(outcome, runtime as i32))?;
        open.writer.sync()?;
        open.mark.remove()?;
        if let Some(Err(error)) = open.upload.map(Upload::finish) {
            Self::offline_from_here(&open.folder, &error);
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        let upload = self.settings.live.as_ref().map_or(Duration::ZERO, |live| live.limit + Duration::from_secs(15));
        Duration::from_secs(30) + upload
    }
}

impl Open {
    fn write(&mut self, mut record: Record) -> Result<()> {
        record.info = Some(Info { stream_id: self.run.id.clone() });
        self.writer.write(record).with_context(|| format!("cannot write into {}", self.folder.display()))
    }

    /// One row of history, and the summary that follows from it.
    fn row(&mut self, time: SystemTime, mut items: Vec<Item>) -> Result<()> {
        let seconds = |since| time.duration_since(since).unwrap_or_default().as_secs_f64();
        items.push(item(&["_step"], self.rows.to_string()));
        items.push(item(&["_timestamp"], number(seconds(SystemTime::UNIX_EPOCH))));
        items.push(item(&["_runtime"], number(seconds(self.run.started))));
        let history = History { item: items.clone(), step: Some(Step { num: self.rows }) };
        self.rows += 1;
        self.write(Record { history: Some(history), ..Record::default() })?;
        self.write(Record { summary: Some(Update { update: items }), ..Record::default() })
    }

    fn artifact(&mut self, mut record: proto::Artifact, settings: &Settings) -> Result<()> {
        record.run_id.clone_from(&self.run.id);
        record.project.clone_from(&settings.project);
        record.entity.clone_from(&settings.entity);
        self.write(Record { artifact: Some(record), ..Record::default() })
    }

    /// Everything that stands before the first row.
    fn write_head(&mut self, settings: &Settings) -> Result<()> {
        let run = Arc::clone(&self.run);
        let version_info = Some(VersionInfo { producer: PRODUCER.to_owned(), min_consumer: MIN_CONSUMER.to_owned() });
        self.write(Record { header: Some(Header { version_info }), ..Record::default() })?;

        let (machine, commit) = (run.machine(), run.commit());
        let git = (!commit.hash.is_empty() || !commit.remote.is_empty())
            .then(|| Git { remote_url: commit.remote.clone(), commit: commit.hash.clone() });
        let sections = run.config.as_object().into_iter().flatten();
        let update = sections.map(|(key, value)| item(&[key], value.to_string())).collect();
        self.write(Record {
            run: Some(proto::Run {
                run_id: run.id.clone(),
                entity: settings.entity.clone(),
                project: settings.project.clone(),
                config: Some(Update { update }),
                job_type: run.job.clone(),
                display_name: run.name.clone(),
                host: machine.host.clone(),
                start_time: Some(run.started.into()),
                git: git.clone(),
                resume: true,
            }),
            ..Record::default()
        })?;
        self.write(Record {
            environment: Some(Environment {
                os: machine.os.clone(),
                started_at: Some(run.started.into()),
                program: run.job.clone(),
                git,
                host: machine.host.clone(),
                cpu_count: machine.cores,
                cpu_count_logical: machine.processors,
                gpu_type: machine.gpus.first().map(|gpu| gpu.name.clone()).unwrap_or_default(),
                gpu_count: machine.gpus.len() as u32,
                memory: Some(Memory { total: machine.memory }),
                cpu: Some(Cpu { count: machine.cores, count_logical: machine.processors, model: machine.cpu.clone() }),
                gpu_nvidia: machine
                    .gpus
                    .iter()
                    .map(|gpu| GpuNvidia { name: gpu.name.clone(), memory_total: gpu.memory, uuid: gpu.uuid.clone() })
                    .collect(),
                writer_id: characters(32),
            }),
            ..Record::default()
        })?;
        for (glob, axis) in AXES {
            let defined = MetricOptions { defined: true, ..MetricOptions::default() };
            let axis_options = Some(MetricOptions { hidden: true, ..defined });
            let axis_metric = Metric { name: axis.to_owned(), options: axis_options, ..Metric::default() };
            self.write(Record { metric: Some(axis_metric), ..Record::default() })?;
            let group = Metric {
                glob_name: glob.to_owned(),
                step_metric: axis.to_owned(),
                options: Some(MetricOptions { step_sync: true, ..defined }),
                ..Metric::default()
            };
            self.write(Record { metric: Some(group), ..Record::default() })?;
        }
        Ok(())
    }
}

fn exit(outcome: Outcome, runtime: i32) -> Record {
    Record { exit: Some(Exit { exit_code: outcome.exit_code(), runtime }), ..Record::default() }
}

fn item(path: &[&str], value_json: String) -> Item {
    Item { key: String::new(), nested_key: path.iter().map(|&part| part.to_owned()).collect(), value_json }
}

/// As Python writes it: what JSON has no number for goes bare.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        json!(value).to_string()
    }
}

fn absolute(folder: &Path) -> Result<PathBuf> {
    fs::canonicalize(folder).with_context(|| format!("cannot find {}", folder.display()))
}

/// Makes `offline-run-TIME-ID`. Two parts of a run that start within a second get times a second apart.
fn new_folder(parent: &Path, run: &Run) -> Result<PathBuf> {
    for second in 0..60 {
        let time = humantime::format_rfc3339_seconds(run.started + Duration::from_secs(second)).to_string();
        let time: String = time.chars().filter(char::is_ascii_alphanumeric).collect();
        let time = time.trim_end_matches('Z').replace('T', "_");
        let folder = parent.join(format!("offline-run-{time}-{}", run.id));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("cannot make the folder {}", folder.display())),
        }
    }
    anyhow::bail!("{} has too many folders of the run {} from this minute", parent.display(), run.id)
}

/// The run folders, oldest first.
fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_run = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("offline-run-"))
    };
    let mut found: Vec<PathBuf> = entries.filter(is_run).collect();
    found.sort();
    found
}

/// The log in a run folder.
fn log_in(folder: &Path) -> Option<PathBuf> {
    let id = folder.file_name()?.to_str()?.rsplit('-').next()?;
    Some(folder.join(format!("run-{id}.wandb"))).filter(|path| path.is_file())
}

/// Ends the logs of processes that have died.
fn mark_crashed(parent: &Path) {
    for folder in folders(parent) {
        let Some(mark) = Mark::of_the_dead(&folder) else { continue };
        let end = || -> Result<bool> {
            let Some(path) = log_in(&folder) else { return Ok(false) };
            let (mut writer, records) = Writer::append(&path)?;
            let ended = records.iter().any(|record| record.exit.is_some());
            if !ended {
                let info = records.last().and_then(|record| record.info.clone());
                writer.write(Record { info, ..exit(Outcome::Crashed, runtime(&records)) })?;
                writer.sync()?;
            }
            Ok(!ended)
        };
        match end() {
            Ok(true) => eprintln!("{}: its process ended without a word; marked as crashed", folder.display()),
            Ok(false) => {}
            Err(error) => eprintln!("warning: {} cannot be marked as crashed: {error:#}", folder.display()),
        }
        // Once is enough: what could not be mended is not looked at again.
        let _ = mark.remove();
    }
}

/// Whole seconds from the start to the last row.
fn runtime(records: &[Record]) -> i32 {
    let rows = records.iter().rev().filter_map(|record| record.history.as_ref());
    let mut items = rows.flat_map(|row| &row.item);
    let found = items.find(|item| item.nested_key == ["_runtime"]);
    found.and_then(|item| item.value_json.parse::<f64>().ok()).unwrap_or(0.0) as i32
}

/// What earlier parts of a run have in their summaries, less what W&B itself keeps there.
fn summary_so_far(parent: &Path, id: &str) -> BTreeMap<Vec<String>, Item> {
    let mut summary = BTreeMap::new();
    for folder in folders(parent) {
        let Some(path) = log_in(&folder).filter(|path| path.ends_with(format!("run-{id}.wandb"))) else { continue };
        let Ok((records, _)) = log::read(&path) else { continue };
        for item in records.into_iter().filter_map(|record| record.summary).flat_map(|summary| summary.update) {
            if !item.nested_key.first().is_none_or(|key| key.starts_with('_')) {
                summary.insert(item.nested_key.clone(), item);
            }
        }
    }
    summary
}
