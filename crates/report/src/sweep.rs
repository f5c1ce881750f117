//! What `dvc exp show --json` knows: a row for each run, its parameters and its metrics.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::parameters::{Flat, flatten, same};

/// A run that DVC remembers.
#[derive(Debug, Clone)]
pub struct Row {
    /// The experiment's name, or the branch or commit it stands on.
    pub name: String,
    /// Whether it is a commit rather than an experiment.
    pub is_commit: bool,
    /// Its parameters.
    pub parameters: Flat,
    /// Its metrics.
    pub metrics: Flat,
}

/// The runs, and what tells them apart.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The metric that they are ordered by, the best first.
    pub by: String,
    /// Whether less is better of it.
    pub lower_is_better: bool,
    /// The runs that have the metric.
    pub rows: Vec<Row>,
    /// Parameters that have more than one value among them.
    pub varied: Vec<String>,
    /// Runs that wait, run or have failed.
    pub unfinished: Vec<String>,
}

/// What is chosen by, unless a person asks for another.
pub const DEFAULT_METRIC: &str = "tune.mcc";

/// Metrics that stand beside it, where they are.
pub const BESIDE: [&str; 5] =
    ["tune.mcc", "tune.log_loss", "validation.mcc", "validation.accuracy", "phenomena.accuracy"];

impl Sweep {
    /// Reads what `dvc exp show --json` prints.
    ///
    /// # Errors
    ///
    /// When it is not that, or no run has the metric; the metrics that there are, are named.
    pub fn read(json: &[u8], by: &str) -> Result<Self> {
        let commits: Vec<Value> =
            serde_json::from_slice(json).context("`dvc exp show --json` did not print the list that was expected")?;
        let mut rows = Vec::new();
        let mut unfinished = Vec::new();
        for commit in commits.iter().filter(|commit| commit["rev"] != "workspace") {
            match row(commit, true) {
                Some(row) => rows.push(row),
                None => unfinished.push(name(commit)),
            }
            for experiment in commit["experiments"].as_array().into_iter().flatten() {
                // The last revision is the result; those before it are its checkpoints.
                let result = experiment["revs"].as_array().and_then(|revs| revs.last());
                let is_done = matches!(experiment["executor"]["state"].as_str(), None | Some("success"));
                match result.filter(|_| is_done).and_then(|result| row(result, false)) {
                    Some(mut row) => {
                        if let Some(given) = experiment["name"].as_str() {
                            given.clone_into(&mut row.name);
                        }
                        rows.push(row);
                    }
                    None => {
                        unfinished.push(experiment["name"].as_str().map_or_else(|| name(experiment), str::to_owned));
                    }
                }
            }
        }
        let known: BTreeSet<String> = rows.iter().flat_map(|row| row.metrics.keys().cloned()).collect();
        rows.retain(|row| row.number(by).is_some());
        if rows.is_empty() {
            bail!(
                "no run that DVC knows has the metric {by}; there {}",
                if known.is_empty() {
                    "are no metrics at all: run `dvc exp run` first".to_owned()
                } else {
                    format!("are {}", known.into_iter().collect::<Vec<_>>().join(", "))
                }
            );
        }
        let lower_is_better = ["loss", "brier", "ece"].iter().any(|name| by.contains(name));
        let sign = if lower_is_better { -1.0 } else { 1.0 };
        rows.sort_by(|a, b| {
            let [a, b] = [a, b].map(|row| sign * row.number(by).unwrap_or(f64::NEG_INFINITY));
            b.total_cmp(&a)
        });
        let varied = varied(&rows);
        Ok(Self { by: by.to_owned(), lower_is_better, rows, varied, unfinished })
    }

    /// The metrics to show, the one chosen by first.
    pub fn metrics(&self) -> Vec<String> {
        let beside = BESIDE.iter().filter(|name| **name != self.by);
        let is_there = |name: &&&str| self.rows.iter().any(|row| row.number(name).is_some());
        std::iter::once(self.by.clone()).chain(beside.filter(is_there).map(|name| (*name).to_owned())).collect()
    }
}

impl Row {
    /// A metric.
    pub fn number(&self, metric: &str) -> Option<f64> {
        self.metrics.get(metric).and_then(Value::as_f64)
    }
}

fn name(entry: &Value) -> String {
    let rev = entry["rev"].as_str().unwrap_or("a run");
    entry["name"].as_str().map_or_else(|| rev[..rev.len().min(7)].to_owned(), str::to_owned)
}

fn row(entry: &Value, is_commit: bool) -> Option<Row> {
    let files = |kind: &str| -> Flat {
        let mut flat = Flat::new();
        for (_, file) in entry["data"][kind].as_object().into_iter().flatten() {
            for (key, value) in flatten(&file["data"]) {
                flat.entry(key).or_insert(value);
            }
        }
        flat
    };
    let (parameters, metrics) = (files("params"), files("metrics"));
    (!metrics.is_empty()).then(|| Row { name: name(entry), is_commit, parameters, metrics })
}

fn varied(rows: &[Row]) -> Vec<String> {
    let keys: BTreeSet<&String> = rows.iter().flat_map(|row| row.parameters.keys()).collect();
    let differs = |key: &&String| {
        let first = rows[0].parameters.get(*key);
        rows.iter().any(|row| match (row.parameters.get(*key), first) {
            (Some(a), Some(b)) => !same(a, b),
            (a, b) => a.is_some() != b.is_some(),
        })
    };
    keys.into_iter().filter(|key| !key.starts_with("workspace.dependencies.")).filter(differs).cloned().collect()
}
