//! The trait, and what can be said about a run.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::commit::{self, Commit};
use crate::machine::Machine;

/// Where a run is written. All calls of a sink come from one thread, `start` first and `finish` last; after an error
/// there are no more.
pub trait Sink: Send {
    /// What warnings call it.
    fn name(&self) -> &'static str;

    /// A run begins, or goes on.
    ///
    /// # Errors
    ///
    /// As all methods: when it cannot be written.
    fn start(&mut self, run: &Arc<Run>) -> Result<()>;

    /// Numbers at an optimiser step, one row of the run's history.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn scalars(&mut self, time: SystemTime, step: u64, values: &[(String, f64)]) -> Result<()>;

    /// Numbers that stand for the whole run.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn summary(&mut self, time: SystemTime, values: &[(String, f64)]) -> Result<()>;

    /// What the machine was doing.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn system(&mut self, time: SystemTime, sample: &Sample) -> Result<()>;

    /// A table.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn table(&mut self, time: SystemTime, table: &Table) -> Result<()>;

    /// A confusion matrix.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn matrix(&mut self, time: SystemTime, matrix: &Matrix) -> Result<()>;

    /// A table that is to be drawn: ROC, precision and recall, reliability.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn chart(&mut self, time: SystemTime, chart: &Chart) -> Result<()>;

    /// A folder of files that belongs to the run.
    ///
    /// # Errors
    ///
    /// When it cannot be read or written.
    fn artifact(&mut self, time: SystemTime, artifact: &Artifact) -> Result<()>;

    /// The run ends; what is returned after this is complete.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn finish(&mut self, time: SystemTime, outcome: Outcome) -> Result<()>;

    /// How long a finishing process waits for [`Sink::finish`].
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should.
    Finished,
    /// With an error that was told.
    Failed,
    /// Without a word: a panic, a kill, a power cut.
    Crashed,
}

impl Outcome {
    /// The exit code that W&B is told.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Finished => 0,
            Self::Failed => 1,
            Self::Crashed => 255,
        }
    }

    /// `finished`, `failed` or `crashed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Crashed => "crashed",
        }
    }
}

/// What a sink is told when a run starts.
#[derive(Debug)]
pub struct Run {
    /// The same for every stage and every resumption of a run.
    pub id: String,
    /// The stage: `train`, `eval`, `export`.
    pub job: String,
    /// A name for people; empty when there is none.
    pub name: String,
    /// All parameters, by section.
    pub config: Value,
    /// When this part of the run started.
    pub started: SystemTime,
    /// Optimiser steps of this run that are done and kept, when an interrupted training goes on; rows of later steps
    /// come again.
    pub resumed_after: Option<u64>,
    /// The project, whose git commit is looked up.
    pub root: PathBuf,
    machine: OnceLock<Machine>,
    commit: OnceLock<Commit>,
}

impl Run {
    /// A part of a run that starts now.
    pub fn new(id: &str, job: &str, config: Value) -> Self {
        Self {
            id: id.to_owned(),
            job: job.to_owned(),
            name: String::new(),
            config,
            started: SystemTime::now(),
            resumed_after: None,
            root: PathBuf::new(),
            machine: OnceLock::new(),
            commit: OnceLock::new(),
        }
    }

    /// The hardware; looked at on first use, because that may take a second where there is a GPU.
    pub fn machine(&self) -> &Machine {
        self.machine.get_or_init(Machine::look)
    }

    /// What git says of the project; empty outside a repository.
    pub fn commit(&self) -> &Commit {
        self.commit.get_or_init(|| commit::of(&self.root))
    }
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A table with a header.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its key: letters, digits, `_`.
    pub key: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<Cell>>,
    /// The column that quotes sentences, if one does: it goes only where params.yaml allows.
    pub quotes: Option<usize>,
}

impl Table {
    /// The table without the column that quotes sentences.
    #[must_use]
    pub fn without_quotes(&self) -> Self {
        let Some(quotes) = self.quotes else { return self.clone() };
        let mut table = self.clone();
        table.quotes = None;
        if quotes < table.columns.len() {
            table.columns.remove(quotes);
        }
        for row in table.rows.iter_mut().filter(|row| quotes < row.len()) {
            row.remove(quotes);
        }
        table
    }
}

/// A confusion matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Its key: letters, digits, `_`.
    pub key: String,
    /// Above the chart.
    pub title: String,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// `counts[actual][predicted]`.
    pub counts: Vec<Vec<u64>>,
}

/// How a table is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartKind {
    /// A curve for each class with the area below it, as W&B draws ROC and precision–recall.
    Area {
        /// Column of the class.
        class: String,
        /// Column and title of the horizontal axis.
        x: (String, String),
        /// Column and title of the vertical axis.
        y: (String, String),
    },
    /// A line.
    Line {
        /// Column of the horizontal axis.
        x: String,
        /// Column of the vertical axis.
        y: String,
        /// Column that names the line a row belongs to, when there are several.
        stroke: Option<String>,
    },
    /// Bars.
    Bar {
        /// Column that names a bar.
        label: String,
        /// Column of its length.
        value: String,
    },
}

/// A table that is to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Its key: letters, digits, `_`.
    pub key: String,
    /// Above the chart.
    pub title: String,
    /// How.
    pub kind: ChartKind,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

/// A folder of files that belongs to a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// Its name, the same for every version of it: letters, digits, `_`, `-`, `.`.
    pub name: String,
    /// What it is: `model`.
    pub kind: String,
    /// The folder, with everything below it.
    pub folder: PathBuf,
    /// What is to be known of it without opening it: a JSON object.
    pub metadata: Value,
    /// Names of this version, such as `latest`.
    pub aliases: Vec<String>,
}

/// What the machine was doing: names as W&B's own client has them, percentages from 0 to 100, sizes in MB.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample(pub Vec<(String, f64)>);
