//! W&B's own charts: the panel that `wandb.plot` puts into a run's configuration for each. A test holds them against
//! what the client writes.

use serde_json::{Value, json};

use crate::sink::{Cell, Chart, ChartKind, Matrix, Table};

/// The key of a chart's table.
pub(crate) fn table_key(key: &str) -> String {
    format!("{key}_table")
}

fn panel(key: &str, definition: &str, fields: &Value, strings: &Value) -> Value {
    let leaf = |name: &str| json!({"name": name, "fields": []});
    let table = json!({"name": "summaryTable", "args": [{"name": "tableKey", "value": table_key(key)}], "fields": []});
    json!({
        "panel_type": "Vega2",
        "panel_config": {
            "userQuery": {"queryFields": [{
                "name": "runSets",
                "args": [{"name": "runSets", "value": "${runSets}"}],
                "fields": [leaf("id"), leaf("name"), leaf("_defaultColorIndex"), table],
            }]},
            "panelDefId": definition,
            "transform": {"name": "tableWithLeafColNames"},
            "fieldSettings": fields,
            "stringSettings": strings,
        },
    })
}

/// The panel of a chart.
pub(crate) fn of_chart(chart: &Chart) -> Value {
    let title = &chart.title;
    match &chart.kind {
        ChartKind::Area { class, x, y } => panel(
            &chart.key,
            "wandb/area-under-curve/v0",
            &json!({"x": x.0, "y": y.0, "class": class}),
            &json!({"title": title, "x-axis-title": x.1, "y-axis-title": y.1}),
        ),
        ChartKind::Line { x, y, stroke } => {
            panel(&chart.key, "wandb/line/v0", &json!({"x": x, "y": y, "stroke": stroke}), &json!({"title": title}))
        }
        ChartKind::Bar { label, value } => {
            panel(&chart.key, "wandb/bar/v0", &json!({"label": label, "value": value}), &json!({"title": title}))
        }
    }
}

/// The panel of a confusion matrix.
pub(crate) fn of_matrix(matrix: &Matrix) -> Value {
    let [actual, predicted, count] = COLUMNS;
    let fields = json!({actual: actual, predicted: predicted, count: count});
    panel(&matrix.key, "wandb/confusion_matrix/v1", &fields, &json!({"title": matrix.title}))
}

const COLUMNS: [&str; 3] = ["Actual", "Predicted", "nPredictions"];

/// A row for each pair of classes.
pub(crate) fn table_of_matrix(matrix: &Matrix) -> Table {
    let mut rows = Vec::new();
    for (actual, counts) in matrix.classes.iter().zip(&matrix.counts) {
        for (predicted, &count) in matrix.classes.iter().zip(counts) {
            rows.push(vec![actual.as_str().into(), predicted.as_str().into(), Cell::Number(count as f64)]);
        }
    }
    Table { key: table_key(&matrix.key), columns: COLUMNS.map(str::to_owned).to_vec(), rows, quotes: None }
}

/// The table of a chart.
pub(crate) fn table_of_chart(chart: &Chart) -> Table {
    Table { key: table_key(&chart.key), columns: chart.columns.clone(), rows: chart.rows.clone(), quotes: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> Value {
        serde_json::from_str(include_str!("../../tests/fixtures/panels.json")).unwrap()
    }

    #[test]
    fn panels_are_those_that_the_client_writes() {
        let pair = |column: &str, title: &str| (column.to_owned(), title.to_owned());
        let class = || "class".to_owned();
        let charts = [
            (
                "roc",
                "ROC on validation",
                ChartKind::Area {
                    class: class(),
                    x: pair("fpr", "False positive rate"),
                    y: pair("tpr", "True positive rate"),
                },
            ),
            (
                "pr",
                "Precision and recall on validation",
                ChartKind::Area { class: class(), x: pair("recall", "Recall"), y: pair("precision", "Precision") },
            ),
            (
                "reliability",
                "Reliability",
                ChartKind::Line {
                    x: "confidence".to_owned(),
                    y: "accuracy".to_owned(),
                    stroke: Some("line".to_owned()),
                },
            ),
            (
                "by_source",
                "Accuracy by source",
                ChartKind::Bar { label: "source".to_owned(), value: "accuracy".to_owned() },
            ),
        ];
        let expected = fixture()["panels"].clone();
        for (key, title, kind) in charts {
            let (key, title) = (key.to_owned(), title.to_owned());
            let chart = Chart { key: key.clone(), title, kind, columns: Vec::new(), rows: Vec::new() };
            assert_eq!(of_chart(&chart), expected[&key], "{key}");
        }
        let matrix = Matrix {
            key: "confusion_matrix".to_owned(),
            title: "Confusion matrix on validation".to_owned(),
            classes: Vec::new(),
            counts: Vec::new(),
        };
        assert_eq!(of_matrix(&matrix), expected["confusion_matrix"]);
    }
}
