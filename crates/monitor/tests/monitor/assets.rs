//! The files in `monitoring/`.

use std::fs;
use std::path::Path;

use serde_json::Value;
use wellformed_monitor::assets;

use crate::support::function_log;

#[test]
fn the_files_in_monitoring_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../monitoring");
    for asset in assets::all().unwrap() {
        let text = fs::read_to_string(folder.join(asset.name)).unwrap_or_default();
        let found: Option<Value> = serde_json::from_str(&text).ok();
        assert_eq!(found.as_ref(), Some(&asset.content), "monitoring/{}: run `monitor schema`", asset.name);
    }
}

#[test]
fn every_field_that_is_written_has_a_type_but_for_what_is_not_sent() {
    let properties = assets::properties().unwrap();
    for line in function_log().iter().filter(|line| line.starts_with("{\"type\"")) {
        let record: Value = serde_json::from_str(line).unwrap();
        for (name, value) in record.as_object().unwrap().iter().filter(|(name, _)| *name != "_aws") {
            let kind = properties[name]["type"].as_str().unwrap();
            let fits = match kind {
                "keyword" | "text" | "date" => value.is_string(),
                "boolean" => value.is_boolean(),
                "long" | "integer" => value.is_u64(),
                "double" => value.is_number(),
                _ => false,
            };
            assert!(fits, "{name} is {value}, not {kind}");
        }
    }
    assert!(!properties.contains_key("_aws"));
    assert_eq!(properties["timestamp"]["type"], "date");
    assert_eq!(properties["text"]["type"], "text");
}

#[test]
fn the_document_has_every_field_and_says_which_record_has_it() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring.md");
    let document = fs::read_to_string(document).unwrap();
    let schema = assets::record_schema();
    let mut names = 0;
    for (column, kind) in schema["oneOf"].as_array().unwrap().iter().enumerate() {
        let required: Vec<&str> =
            kind["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        for name in kind["properties"].as_object().unwrap().keys() {
            let row = document.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap_or_else(|| {
                panic!("docs/monitoring.md has no row for {name}");
            });
            let mark = row.split('|').nth(2 + column).unwrap().trim();
            assert_eq!(mark, if required.contains(&&**name) { "●" } else { "○" }, "{row}");
            names += 1;
        }
    }
    let marks = document.lines().filter(|line| line.starts_with("| `")).flat_map(|line| line.chars());
    assert_eq!(marks.filter(|c| "●○".contains(*c)).count(), names, "the table has a field that records do not have");
}
