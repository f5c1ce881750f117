//! The files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use arrow::array::{Array, Float64Array, Int8Array, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use wellformed_core::dataset::{Domain, Split};
use wellformed_core::label::Label;
use wellformed_eval::places::Places;
use wellformed_eval::predict::Predicted;
use wellformed_eval::report::Report;
use wellformed_eval::tables::Table;
use wellformed_metrics::{Confusion, probability, roc_auc};

use crate::support::{SECRET, files, params, predicted, predictions};

fn table(report: &Report<'_>, name: &str) -> Table {
    report.plots.iter().find(|(plot, _)| *plot == name).unwrap().1.clone()
}

fn numbers(table: &Table, column: &str) -> Vec<f64> {
    let at = table.header.iter().position(|name| *name == column).unwrap();
    table.rows.iter().map(|row| row[at].parse().unwrap()).collect()
}

fn validation(predictions: &[Predicted]) -> Vec<&Predicted> {
    predictions.iter().filter(|one| one.split == Split::Validation).collect()
}

#[test]
fn no_report_quotes_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places::in_project(folder.path());
    let predictions = predictions();
    Report::new(&predictions, &params(), 1).unwrap().write(&places).unwrap();
    let reports = files(&places.reports);
    let names: Vec<&str> = reports.keys().map(|path| path.to_str().unwrap()).collect();
    let expected = [
        "by_phenomenon.csv",
        "by_source.csv",
        "calibration.json",
        "confidence.csv",
        "confusion.csv",
        "metrics.json",
        "precision_recall.csv",
        "predictions.parquet",
        "reliability.csv",
        "roc.csv",
    ];
    assert_eq!(names, expected);
    for (path, bytes) in &reports {
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found, "{} quotes a sentence", path.display());
    }
    // Parquet is compressed, so its columns are what counts.
    let file = File::open(places.reports.join("predictions.parquet")).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let columns: Vec<&String> = builder.schema().fields().iter().map(|field| field.name()).collect();
    assert_eq!(columns, ["id", "split", "label", "p_acceptable", "logit_unacceptable", "logit_acceptable"]);
    // What is for the reader's eyes quotes them.
    assert!(fs::read_to_string(places.data.join("wrong.csv")).unwrap().contains(SECRET));
}

#[test]
fn the_same_predictions_give_the_same_bytes() {
    let predictions = predictions();
    let run = || {
        let folder = tempfile::tempdir().unwrap();
        Report::new(&predictions, &params(), 1).unwrap().write(&Places::in_project(folder.path())).unwrap();
        files(folder.path())
    };
    let first = run();
    assert_eq!(first.len(), 11);
    assert!(first == run());
}

#[test]
fn predictions_hold_every_sentence_with_its_calibrated_probability() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places::in_project(folder.path());
    let predictions = predictions();
    let report = Report::new(&predictions, &params(), 1).unwrap();
    report.write(&places).unwrap();
    let file = File::open(places.reports.join("predictions.parquet")).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batch = reader.next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), predictions.len());
    let text = |name| batch.column_by_name(name).unwrap().as_any().downcast_ref::<StringArray>().unwrap();
    let label: &Int8Array = batch.column_by_name("label").unwrap().as_any().downcast_ref().unwrap();
    let p: &Float64Array = batch.column_by_name("p_acceptable").unwrap().as_any().downcast_ref().unwrap();
    for (row, one) in predictions.iter().enumerate() {
        assert_eq!((text("id").value(row), text("split").value(row)), (one.id.as_str(), one.split.name()));
        assert_eq!(label.value(row) as usize, one.label.index());
        assert_eq!(p.value(row), probability(one.logits, report.calibration.temperature));
    }
}

#[test]
fn wrong_predictions_stand_in_order_of_confidence() {
    let predictions = predictions();
    let report = Report::new(&predictions, &params(), 1).unwrap();
    let wrong: BTreeSet<&str> = validation(&predictions)
        .into_iter()
        .filter(|one| (one.logits[1] > one.logits[0]) != (one.label == Label::Acceptable))
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!(report.wrong.header, ["id", "source", "domain", "label", "predicted", "p_acceptable", "sentence"]);
    assert_eq!(report.wrong.rows.iter().map(|row| row[0].as_str()).collect::<BTreeSet<_>>(), wrong);
    assert_eq!(report.wrong.rows.len(), wrong.len());
    let confidence: Vec<f64> = numbers(&report.wrong, "p_acceptable").into_iter().map(|p| p.max(1.0 - p)).collect();
    assert!(confidence.is_sorted_by(|a, b| a >= b), "{confidence:?}");
    for row in &report.wrong.rows {
        assert_ne!(row[3], row[4], "label and prediction differ");
    }
}

#[test]
fn wrong_predictions_beyond_the_precision_of_probabilities_are_still_in_order() {
    let one =
        |id: &str, margin| predicted(Split::Validation, id, "gj04", Domain::In, Label::Unacceptable, [0.0, margin]);
    let predictions = [one("sure", 50.0), one("surer", 60.0), one("right", -1.0), one("surest", 70.0)];
    let report = Report::new(&predictions, &params(), 1).unwrap();
    let ids: Vec<&str> = report.wrong.rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(ids, ["surest", "surer", "sure"]);
}

#[test]
fn the_confusion_rows_count_up_to_the_confusion_matrix() {
    let predictions = predictions();
    let report = Report::new(&predictions, &params(), 1).unwrap();
    let rows = table(&report, "confusion.csv").rows;
    let class = |at: usize| rows.iter().map(|row| row[at] == "acceptable").collect::<Vec<bool>>();
    let confusion = Confusion::of(&class(0), &class(1)).unwrap();
    assert_eq!(rows.len(), report.metrics.validation.sentences);
    assert!((confusion.mcc() - report.metrics.validation.mcc).abs() < 1e-6);
}

#[test]
fn the_roc_rows_enclose_the_area_that_is_reported() {
    let predictions = predictions();
    let report = Report::new(&predictions, &params(), 1).unwrap();
    let roc = table(&report, "roc.csv");
    let (x, y) = (numbers(&roc, "false_positive_rate"), numbers(&roc, "true_positive_rate"));
    let area: f64 = (1..x.len()).map(|at| (x[at] - x[at - 1]) * f64::midpoint(y[at], y[at - 1])).sum();
    let part = validation(&predictions);
    let labels: Vec<bool> = part.iter().map(|one| one.label == Label::Acceptable).collect();
    let margins: Vec<f64> = part.iter().map(|one| f64::from(one.logits[1]) - f64::from(one.logits[0])).collect();
    assert!((area - roc_auc(&labels, &margins).unwrap()).abs() < 1e-5);
    assert_eq!(
        (roc.rows[0].as_slice(), x.last(), y.last()),
        (["0", "0", ""].map(str::to_owned).as_slice(), Some(&1.0), Some(&1.0))
    );
    let curve = table(&report, "precision_recall.csv");
    assert!(numbers(&curve, "recall").is_sorted());
    assert_eq!(numbers(&curve, "recall").last(), Some(&1.0));
}

#[test]
fn confidence_and_reliability_count_every_sentence_once() {
    let predictions = predictions();
    let report = Report::new(&predictions, &params(), 1).unwrap();
    let all = report.metrics.validation.sentences as f64;
    let confidence = table(&report, "confidence.csv");
    let sum = |table: &Table, column| numbers(table, column).iter().sum::<f64>();
    assert_eq!(confidence.rows.len(), params().calibration_bins);
    assert_eq!(sum(&confidence, "wrong"), report.wrong.rows.len() as f64);
    assert_eq!(sum(&confidence, "right") + sum(&confidence, "wrong"), all);
    let reliability = table(&report, "reliability.csv");
    assert_eq!((sum(&reliability, "sentences_before"), sum(&reliability, "sentences_after")), (all, all));
}

#[test]
fn sources_and_phenomena_have_a_row_each() {
    let predictions = predictions();
    let report = Report::new(&predictions, &params(), 1).unwrap();
    let sources = table(&report, "by_source.csv");
    let names: Vec<&str> = sources.rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["ad03", "bc01", "gj04", "ks08"]);
    assert_eq!(numbers(&sources, "sentences").iter().sum::<f64>(), 160.0);
    // ks08 is all that is out of domain.
    let out_of_domain = report.metrics.out_of_domain.as_ref().unwrap();
    assert_eq!(
        (numbers(&sources, "mcc")[3], numbers(&sources, "accuracy")[3]),
        (out_of_domain.mcc, out_of_domain.accuracy)
    );
    let phenomena = table(&report, "by_phenomenon.csv");
    let by_phenomenon = &report.metrics.phenomena.as_ref().unwrap().by_phenomenon;
    assert_eq!(phenomena.rows.len(), 3);
    for row in &phenomena.rows {
        assert_eq!(row[1], "20");
        assert_eq!(row[2].parse::<f64>().unwrap(), by_phenomenon[&row[0]]);
    }
}

#[test]
fn dvc_yaml_lists_exactly_what_is_written_and_columns_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("dvc.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let places = Places::in_project(folder.path());
    let predictions = predictions();
    let report = Report::new(&predictions, &params(), 1).unwrap();
    report.write(&places).unwrap();
    let named = |path: &Path| {
        text.lines().any(|line| line.trim().trim_start_matches("- ").trim_end_matches(':') == path.to_str().unwrap())
    };
    let written: Vec<_> = files(folder.path()).into_keys().collect();
    for path in &written {
        assert!(named(path), "dvc.yaml does not list {}", path.display());
    }
    let mut checked = 0;
    for (name, table) in &report.plots {
        let after = text.split(&format!("- reports/eval/{name}:")).nth(1).unwrap();
        for key in ["x: ", "y: "] {
            let column = after.split(key).nth(1).unwrap().lines().next().unwrap().trim();
            assert!(table.header.contains(&column), "dvc.yaml names the column {column}, which {name} does not have");
            checked += 1;
        }
    }
    assert_eq!(checked, 14);
}
