//! Predictions to measure.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wellformed_core::dataset::{Domain, Example, Split};
use wellformed_core::label::Label;
use wellformed_core::params::EvalParams;
use wellformed_eval::predict::Predicted;

/// `fixtures/report.json`, made by `fixtures/make_report.py`.
pub(crate) fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/report.json")).unwrap()
}

/// The fixture's predictions, with sentences that no report may quote.
pub(crate) fn predictions() -> Vec<Predicted> {
    let rows = fixture()["predictions"].as_array().unwrap().clone();
    let row = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap();
        let split = Split::ALL.into_iter().find(|split| split.name() == text("split")).unwrap();
        let label = Label::from_index(row["label"].as_u64().unwrap() as usize).unwrap();
        let domain = Domain::from_name(text("domain")).unwrap();
        let logits: [f32; 2] = serde_json::from_value(row["logits"].clone()).unwrap();
        predicted(split, text("id"), text("source"), domain, label, logits)
    };
    rows.iter().map(row).collect()
}

pub(crate) fn predicted(
    split: Split,
    id: &str,
    source: &str,
    domain: Domain,
    label: Label,
    logits: [f32; 2],
) -> Predicted {
    let example = Example {
        id: id.to_owned(),
        sentence: format!("The {SECRET} of {id}, \"quoted\", snores."),
        label,
        source: source.to_owned(),
        domain,
        input_ids: vec![101, 7, 102],
    };
    Predicted::new(split, example, logits)
}

/// A word that is in every sentence and in no name.
pub(crate) const SECRET: &str = "marmoset";

pub(crate) fn params() -> EvalParams {
    EvalParams { batch_size: 16, bootstrap_samples: 4000, confidence: 0.95, calibration_bins: 10 }
}

/// Every file below a folder, by its path in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}
