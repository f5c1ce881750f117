//! What the run that made the checkpoint is told of its evaluation. None of it is read back.

use serde::Serialize;
use serde_json::Value;
use wellformed_core::label::Label;
use wellformed_track::{Cell, Chart, ChartKind, Journal, Matrix, Outcome, Table as Tracked, Tracker, new_id};

use crate::places::Places;
use crate::report::Report;
use crate::tables::Table;

/// Writes everything at once, when the reports are written: an evaluation that fails leaves no trace of a run.
pub(crate) fn record(report: &Report<'_>, journal: &Journal, places: &Places) {
    let weights = places.checkpoint.join("model.safetensors");
    let run = journal.run_of(&weights).unwrap_or_else(new_id);
    let tracker = journal.start("eval", &run, None);
    for (name, table) in &report.plots {
        match *name {
            "confusion.csv" => tracker.matrix(matrix(table)),
            "roc.csv" => tracker.chart(curve(
                table,
                ("roc", "ROC on validation"),
                ("false_positive_rate", "fpr", "False positive rate"),
                ("true_positive_rate", "tpr", "True positive rate"),
            )),
            "precision_recall.csv" => tracker.chart(curve(
                table,
                ("precision_recall", "Precision and recall on validation"),
                ("recall", "recall", "Recall"),
                ("precision", "precision", "Precision"),
            )),
            "reliability.csv" => tracker.chart(reliability(table)),
            "by_source.csv" => tracker.chart(bars(table, "by_source", "source", "Accuracy by source on validation")),
            "by_phenomenon.csv" => {
                tracker.chart(bars(table, "by_phenomenon", "phenomenon", "Accuracy by phenomenon"));
            }
            // Right and wrong by confidence: the table of wrong predictions says it, a line each.
            _ => {}
        }
    }
    tracker.table(wrong(&report.wrong));
    summarise(&tracker, "eval", &report.metrics);
    summarise(&tracker, "calibration", &report.calibration);
    tracker.finish(Outcome::Finished);
}

/// Every number below a value, under names like `eval/validation/mcc`.
fn summarise(tracker: &Tracker, prefix: &str, value: &impl Serialize) {
    fn collect(name: String, value: &Value, numbers: &mut Vec<(String, f64)>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    collect(format!("{name}/{key}"), value, numbers);
                }
            }
            value => numbers.extend(value.as_f64().map(|number| (name, number))),
        }
    }
    let mut numbers = Vec::new();
    // Plain structs of numbers always become JSON.
    collect(prefix.to_owned(), &serde_json::to_value(value).unwrap_or_default(), &mut numbers);
    let numbers: Vec<(&str, f64)> = numbers.iter().map(|(name, number)| (name.as_str(), *number)).collect();
    tracker.summary(&numbers);
}

/// The cells of a column, in the order of the rows.
fn column<'t>(table: &'t Table, name: &str) -> impl Iterator<Item = &'t str> {
    let at = table.header.iter().position(|header| *header == name);
    table.rows.iter().filter_map(move |row| row.get(at?).map(String::as_str))
}

fn number(text: &str) -> Cell {
    text.parse().map_or(Cell::Empty, Cell::Number)
}

fn matrix(table: &Table) -> Matrix {
    let classes = [Label::Unacceptable, Label::Acceptable].map(|label| label.name().to_owned()).to_vec();
    let place = |name: &str| classes.iter().position(|class| class == name);
    let mut counts = vec![vec![0; classes.len()]; classes.len()];
    for (actual, predicted) in column(table, "actual").zip(column(table, "predicted")) {
        if let (Some(actual), Some(predicted)) = (place(actual), place(predicted)) {
            counts[actual][predicted] += 1;
        }
    }
    Matrix { key: "confusion_matrix".to_owned(), title: "Confusion matrix on validation".to_owned(), classes, counts }
}

/// A curve of the positive class, with its columns (of the report, of the chart) and the titles of its axes.
fn curve(table: &Table, (key, title): (&str, &str), x: (&str, &str, &str), y: (&str, &str, &str)) -> Chart {
    let class = Label::Acceptable.name();
    let pair = |(_, column, title): (&str, &str, &str)| (column.to_owned(), title.to_owned());
    let points = column(table, x.0).zip(column(table, y.0));
    Chart {
        key: key.to_owned(),
        title: title.to_owned(),
        kind: ChartKind::Area { class: "class".to_owned(), x: pair(x), y: pair(y) },
        columns: vec!["class".to_owned(), x.1.to_owned(), y.1.to_owned()],
        rows: points.map(|(x, y)| vec![class.into(), number(x), number(y)]).collect(),
    }
}

/// Three lines: before and after the temperature, and what would be ideal.
fn reliability(table: &Table) -> Chart {
    let mut rows = Vec::new();
    for line in ["before", "after", "ideal"] {
        for (confidence, accuracy) in column(table, "confidence").zip(column(table, line)) {
            // A bin may be empty before or after.
            if !accuracy.is_empty() {
                rows.push(vec![number(confidence), number(accuracy), line.into()]);
            }
        }
    }
    let [confidence, accuracy, line] = ["confidence", "accuracy", "line"].map(str::to_owned);
    Chart {
        key: "reliability".to_owned(),
        title: "Accuracy by confidence on validation, before and after the temperature".to_owned(),
        kind: ChartKind::Line { x: confidence.clone(), y: accuracy.clone(), stroke: Some(line.clone()) },
        columns: vec![confidence, accuracy, line],
        rows,
    }
}

fn bars(table: &Table, key: &str, label: &str, title: &str) -> Chart {
    let rows = column(table, label).zip(column(table, "accuracy"));
    Chart {
        key: key.to_owned(),
        title: title.to_owned(),
        kind: ChartKind::Bar { label: label.to_owned(), value: "accuracy".to_owned() },
        columns: vec![label.to_owned(), "accuracy".to_owned()],
        rows: rows.map(|(label, accuracy)| vec![label.into(), number(accuracy)]).collect(),
    }
}

/// `wrong.csv`, whose probability is a number and whose last column is the sentence.
fn wrong(table: &Table) -> Tracked {
    let cell = |(name, text): (&&str, &String)| match *name {
        "p_acceptable" => number(text),
        _ => Cell::Text(text.clone()),
    };
    Tracked {
        key: "wrong".to_owned(),
        columns: table.header.iter().map(|name| (*name).to_owned()).collect(),
        rows: table.rows.iter().map(|row| table.header.iter().zip(row).map(cell).collect()).collect(),
        quotes: table.header.iter().position(|name| *name == "sentence"),
    }
}
