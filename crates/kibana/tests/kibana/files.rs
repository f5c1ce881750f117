//! The files in `monitoring/`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use wellformed_kibana::assets::{Program, files, mark, saved_objects};
use wellformed_kibana::check::check;
use wellformed_kibana::field::{self, Field};
use wellformed_kibana::panel::Source;
use wellformed_kibana::request::{Period, search};
use wellformed_kibana::verdict::{Conclusion, Finding, Verdict, index_template};

use crate::support::{mappings, records_template, records_template_for_open_search, root};

#[test]
fn the_files_are_what_the_code_makes() {
    for (path, expected) in files() {
        let found = fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(
            found == expected,
            "{path} is not current; run `cargo run --release -p wellformed-kibana --example assets` and commit it"
        );
    }
}

#[test]
fn no_server_would_refuse_the_files() {
    for (program, path) in [
        (Program::Kibana, "monitoring/kibana.ndjson"),
        (Program::OpenSearchDashboards, "monitoring/opensearch-dashboards.ndjson"),
    ] {
        let text = fs::read_to_string(root().join(path)).unwrap();
        let violations: Vec<String> = check(program, &text, &mappings()).iter().map(ToString::to_string).collect();
        assert!(violations.is_empty(), "{path}:\n{}", violations.join("\n"));
        assert!(text.ends_with('\n') && text.lines().count() == saved_objects(program).len());
    }
}

#[test]
fn both_programs_get_the_same_panels_in_the_same_places() {
    let places = |program| {
        let objects = saved_objects(program);
        let dashboard = &objects.last().unwrap().attributes;
        let panels: Value = serde_json::from_str(dashboard["panelsJSON"].as_str().unwrap()).unwrap();
        panels.as_array().unwrap().iter().map(|one| one["gridData"].clone()).collect::<Vec<_>>()
    };
    let kibana = places(Program::Kibana);
    assert_eq!(kibana, places(Program::OpenSearchDashboards));
    assert_eq!(kibana.len(), wellformed_kibana::panels().len());
}

/// The field of an aggregation, and its name; of `filters` the number of parts.
fn operation(aggregation: &Value) -> (String, Value) {
    let mut kinds = aggregation.as_object().unwrap().iter().filter(|(kind, _)| *kind != "aggs");
    let (kind, params) = kinds.next().unwrap();
    let of = match kind.as_str() {
        "filters" => params["filters"].as_object().unwrap().len().into(),
        _ => params["field"].clone(),
    };
    (kind.clone(), of)
}

/// The aggregations of a search, the outermost first; those of one level by name.
fn flat(body: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut level = body;
    while let Some(aggregations) = level["aggs"].as_object() {
        found.extend(aggregations.values().map(operation));
        level = aggregations.values().find(|one| one["aggs"].is_object()).unwrap_or(&Value::Null);
    }
    found
}

#[test]
fn what_is_saved_asks_the_same_as_the_search() {
    let saved: Vec<Vec<Value>> = [Program::Kibana, Program::OpenSearchDashboards]
        .map(|program| saved_objects(program).into_iter().map(|one| one.to_json()).collect())
        .into();
    for panel in wellformed_kibana::panels() {
        let id = format!("wellformed-{}", panel.id);
        let body = search(&panel, Period { from_ms: 0, to_ms: 1000 });
        let [kibana, classic] = [0, 1].map(|index| saved[index].iter().find(|one| one["id"] == *id).unwrap());
        if kibana["type"] == "search" {
            for object in [kibana, classic] {
                let mut columns = vec![Value::from("timestamp")];
                columns.extend(object["attributes"]["columns"].as_array().unwrap().iter().cloned());
                assert_eq!(body["fields"], Value::from(columns));
                let by = object["attributes"]["sort"][0][0].as_str().unwrap();
                assert_eq!(body["sort"][0][by]["order"], object["attributes"]["sort"][0][1]);
            }
            continue;
        }
        let asked = flat(&body);

        let layer = &kibana["attributes"]["state"]["datasourceStates"]["formBased"]["layers"]["layer"];
        let lens: Vec<(String, Value)> = layer["columnOrder"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| &layer["columns"][id.as_str().unwrap()])
            .filter(|column| column["operationType"] != "count")
            .map(|column| {
                let kind = match column["operationType"].as_str().unwrap() {
                    "average" => "avg",
                    "unique_count" => "cardinality",
                    "percentile" => "percentiles",
                    same => same,
                };
                let parts = &column["params"]["filters"];
                let of = parts.as_array().map_or_else(|| column["sourceField"].clone(), |parts| parts.len().into());
                (kind.to_owned(), of)
            })
            .collect();
        assert_eq!(lens, asked, "{id} in Kibana");

        let state: Value = serde_json::from_str(classic["attributes"]["visState"].as_str().unwrap()).unwrap();
        let list = state["aggs"].as_array().unwrap();
        let (measures, divides): (Vec<&Value>, Vec<&Value>) = list.iter().partition(|one| one["schema"] == "metric");
        let classic: Vec<(String, Value)> = divides
            .into_iter()
            .chain(measures)
            .filter(|one| one["type"] != "count")
            .map(|one| {
                let parts = &one["params"]["filters"];
                let of = parts.as_array().map_or_else(|| one["params"]["field"].clone(), |parts| parts.len().into());
                (one["type"].as_str().unwrap().to_owned(), of)
            })
            .collect();
        // There, the percentiles of a field are one aggregation, and come after the other measures.
        let sorted = |mut list: Vec<(String, Value)>| {
            list.sort_by_key(|(kind, of)| (kind.clone(), of.to_string()));
            list.dedup();
            list
        };
        assert_eq!(sorted(classic), sorted(asked), "{id} in OpenSearch Dashboards");
    }
}

#[test]
fn fields_have_the_types_of_the_index_templates() {
    let mappings = mappings();
    let hold = |view: &str, fields: &[Field]| {
        for field in fields {
            assert_eq!(mappings[view].kind(field.name), Some(field.kind), "{view}: {}", field.name);
        }
    };
    hold("wellformed-records", field::record::ALL);
    hold("wellformed-verdicts", field::verdict::ALL);
}

#[test]
fn elasticsearch_and_opensearch_have_the_same_fields_for_records() {
    let (one, other) = (records_template(), records_template_for_open_search());
    assert_eq!(one["template"]["mappings"], other["template"]["mappings"]);
    assert_eq!(one["index_patterns"], other["index_patterns"]);
}

#[test]
fn data_views_search_the_indices_that_the_templates_are_for() {
    for (source, template) in [(Source::Records, records_template()), (Source::Verdicts, index_template())] {
        assert_eq!(template["index_patterns"], serde_json::json!([source.indices()]));
    }
}

#[test]
fn every_field_of_a_verdict_is_in_its_template() {
    let finding = Finding {
        signal: "tokens".into(),
        verdict: Conclusion::Alert,
        test: Some("ks".into()),
        statistic: Some(0.2),
        p_value: Some(0.001),
        reason: "longer sentences than the reference has".into(),
    };
    let verdict = Verdict {
        timestamp: "2026-03-01T00:00:00.000Z".into(),
        verdict: Conclusion::Alert,
        window_start: "2026-02-28T00:00:00.000Z".into(),
        window_end: "2026-03-01T00:00:00.000Z".into(),
        records: 500,
        signals: 12,
        findings: vec![finding],
        service: Some("lambda".into()),
        bundle: "b1".into(),
        estimated_mcc: Some(0.3),
        estimated_mcc_low: Some(0.2),
        estimated_mcc_high: Some(0.4),
    };
    let mapping = &mappings()["wellformed-verdicts"];
    let value = serde_json::to_value(&verdict).unwrap();
    assert_eq!(value["type"], "verdict");
    let mut names: BTreeSet<String> = value.as_object().unwrap().keys().cloned().collect();
    names.remove("findings");
    names.extend(value["findings"][0].as_object().unwrap().keys().map(|name| format!("findings.{name}")));
    for name in &names {
        assert!(mapping.has(name), "{name} is not in the template, and the template is strict");
    }
    let properties = index_template()["template"]["mappings"]["properties"].clone();
    let inner = properties["findings"]["properties"].as_object().unwrap().len();
    assert_eq!(properties.as_object().unwrap().len() - 1 + inner, names.len(), "the template has more fields");
    let read: Verdict = serde_json::from_value(value).unwrap();
    assert_eq!(read, verdict);
}

#[test]
fn a_dashboard_carries_the_mark_of_its_definition() {
    let objects = saved_objects(Program::Kibana);
    let value = objects.last().unwrap().to_json();
    let mark = mark(&value).unwrap();
    assert!(mark.starts_with("[definition ") && mark.len() == "[definition 0123456789ab]".len(), "{mark}");
}
