//! `monitor label`: what people say of recorded sentences, held against what the model said.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::json;
use wellformed_core::label::Label;
use wellformed_core::record::Record;
use wellformed_drift::Verdict;
use wellformed_metrics::Confusion;
use wellformed_verdict::words::in_words;

use crate::judge::{EXIT_CODES, Reference, exit_code, window};
use crate::read::RecordArguments;

const MORE: &str = "\
The file of labels is CSV or TSV (by its name's ending) with a first line of names: `label` (1 acceptable, 0 not; rows
without one are passed over) and one of
  id           the record's name, as `monitor export-candidates` writes it and Elasticsearch keeps it
  text_hash    the sentence's hash: every record of that sentence is labelled by it
Other columns are not read.

The figures are of the sentences that were labelled. If those were chosen for being difficult, so are the figures: for a
figure of all sentences, label a random sample (`monitor export-candidates --choose random`).";

/// The options of `monitor label`.
#[derive(Debug, Args)]
#[command(after_help = format!("{MORE}\n\n{EXIT_CODES}"))]
pub struct Options {
    #[command(flatten)]
    records: RecordArguments,
    /// The labels.
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    #[command(flatten)]
    reference: Reference,
    /// Print the figures and the verdict as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Labels by what they are found by.
#[derive(Debug, Default)]
struct Labels {
    by_hash: bool,
    given: HashMap<String, Label>,
    /// Rows that have none yet.
    empty: usize,
}

impl Labels {
    fn read(path: &Path) -> Result<Self> {
        let tabs = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut reader = csv::ReaderBuilder::new().delimiter(if tabs { b'\t' } else { b',' }).from_reader(file);
        let names = reader.headers().with_context(|| format!("cannot read {}", path.display()))?.clone();
        let column = |name: &str| names.iter().position(|column| column.trim() == name);
        let label = column("label");
        let (key, by_hash) = match (column("id"), column("text_hash")) {
            (Some(id), _) => (id, false),
            (None, Some(hash)) => (hash, true),
            (None, None) => bail!("{}: the first line names neither `id` nor `text_hash`", path.display()),
        };
        let label = label.with_context(|| format!("{}: the first line names no column `label`", path.display()))?;
        let mut labels = Self { by_hash, ..Self::default() };
        for (index, row) in reader.records().enumerate() {
            let place = || format!("{}, row {}", path.display(), index + 1);
            let row = row.with_context(place)?;
            let value = match row.get(label).map(str::trim) {
                None | Some("") => {
                    labels.empty += 1;
                    continue;
                }
                Some("1") => Label::Acceptable,
                Some("0") => Label::Unacceptable,
                Some(other) => bail!("{}: label is {other:?}, but must be 1, 0 or empty", place()),
            };
            let key = row.get(key).map(str::trim).filter(|key| !key.is_empty());
            let key = key.with_context(|| format!("{}: nothing says which record it is of", place()))?;
            let before = labels.given.insert(key.to_owned(), value);
            ensure!(before.is_none_or(|before| before == value), "{}: labelled 0 and 1 at once", place());
        }
        ensure!(!labels.given.is_empty(), "{}: no row has a label yet", path.display());
        Ok(labels)
    }

    /// The label of a record, each used once: a sentence that came a thousand times was judged once.
    fn take(&mut self, record: &Record) -> Option<(Label, Label)> {
        let Record::Prediction(prediction) = record else { return None };
        let label = if self.by_hash {
            self.given.remove(prediction.text_hash.as_deref()?)
        } else {
            self.given.remove(&record.id())
        };
        label.map(|label| (label, prediction.label))
    }
}

/// Measures.
///
/// # Errors
///
/// When the labels cannot be read, go with no record, or bundle, settings or records cannot be read.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mut labels = Labels::read(&options.labels)?;
    let given = labels.given.len();
    let mut judge = options.reference.read()?;
    let digest = judge.digest().to_owned();
    let mut records = options.records.open()?;
    let (mut truths, mut decisions, mut others) = (Vec::new(), Vec::new(), 0_u64);
    let window = window(&judge, &mut records, None, |record| {
        let Some((truth, decision)) = labels.take(record) else { return };
        if matches!(record, Record::Prediction(one) if one.bundle != digest) {
            others += 1;
            return;
        }
        truths.push(truth == Label::Acceptable);
        decisions.push(decision == Label::Acceptable);
    })?;
    ensure!(
        !truths.is_empty(),
        "none of the {given} labels goes with a prediction of bundle {}; are these the records that they were made of?",
        digest.get(..12).unwrap_or(&digest)
    );
    let confusion = Confusion::of(&truths, &decisions)?;
    let report = judge.check_with_labels(&window, Some(&confusion))?;
    let counts = json!({
        "given": given, "found": truths.len(), "of_other_bundles": others, "not_found": labels.given.len(),
        "empty": labels.empty, "confusion": confusion,
    });
    if options.json {
        println!("{}", json!({ "labels": counts, "report": report }));
        return Ok(exit_code(report.verdict));
    }
    print!("{}", in_words(&report));
    if let Some(found) = report.performance.as_ref().and_then(|performance| performance.measured.as_ref()) {
        println!(
            "MCC by {} labels: {:.3} ({:.3} to {:.3}), accuracy {:.3} ({:.3} to {:.3})",
            found.sentences,
            found.mcc.value,
            found.mcc.low,
            found.mcc.high,
            found.accuracy.value,
            found.accuracy.low,
            found.accuracy.high
        );
    } else if report.verdict == Verdict::InsufficientData {
        println!("MCC by {} labels: {:.3}, without an interval", confusion.total(), confusion.mcc());
    }
    println!(
        "{given} labels: {} found, {others} of other bundles, {} not found; {} rows have no label yet",
        truths.len(),
        labels.given.len(),
        labels.empty
    );
    Ok(exit_code(report.verdict))
}
