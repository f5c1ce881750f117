//! What the run that made the checkpoint is told of its bundle. None of it is read back.

use serde_json::{Value, json};
use wellformed_core::bundle::{MANIFEST, Manifest};
use wellformed_core::files::read_json;
use wellformed_track::{Artifact, Journal, Outcome, new_id};

use crate::places::Places;

/// Hands the finished bundle and the stage's numbers to the journal. Trouble with that is told, and costs nothing else.
pub fn record(journal: &Journal, places: &Places) {
    let read = || -> anyhow::Result<(Manifest, Value)> {
        Ok((read_json(&places.bundle.join(MANIFEST))?, read_json(&places.reports.join("metrics.json"))?))
    };
    let (manifest, metrics) = match read() {
        Ok(read) => read,
        Err(error) => {
            eprintln!("warning: the bundle is not tracked: {error:#}");
            return;
        }
    };
    let weights = places.checkpoint.join("model.safetensors");
    let run = journal.run_of(&weights).unwrap_or_else(new_id);
    let tracker = journal.start("export", &run, None);
    let mut numbers = Vec::new();
    collect("export".to_owned(), &metrics, &mut numbers);
    let numbers: Vec<(&str, f64)> = numbers.iter().map(|(name, number)| (name.as_str(), *number)).collect();
    tracker.summary(&numbers);
    let short = manifest.digest.get(..12).unwrap_or(&manifest.digest);
    tracker.artifact(Artifact {
        name: "wellformed".to_owned(),
        kind: "model".to_owned(),
        folder: places.bundle.clone(),
        aliases: vec!["latest".to_owned(), format!("bundle-{short}")],
        metadata: json!({
            "digest": manifest.digest, "default_precision": manifest.default_precision,
            "calibration": manifest.calibration, "metrics": manifest.metrics,
        }),
    });
    tracker.finish(Outcome::Finished);
}

/// Every number below a value, under names like `export/int8/mcc`.
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
