//! Every panel's search and every rule, asked of an OpenSearch-compatible server that holds the sample.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wellformed_kibana::alert::{self, fires, rules};
use wellformed_kibana::install::Request;
use wellformed_kibana::panel::{Chart, Panel, Source, Split, Statistic};
use wellformed_kibana::request::{Period, Row, rows, search};
use wellformed_kibana::{panels, verdict};

use crate::sample::{PERIOD, bulk, records, verdicts};
use crate::support::{Http, Osmem, records_template_for_open_search};

/// The documents, as JSON.
struct Sample {
    records: Vec<Value>,
    verdicts: Vec<Value>,
}

impl Sample {
    fn new() -> Self {
        Self {
            records: records().iter().map(|one| serde_json::to_value(one).unwrap()).collect(),
            verdicts: verdicts().iter().map(|one| serde_json::to_value(one).unwrap()).collect(),
        }
    }

    fn predictions(&self) -> Vec<&Value> {
        self.records.iter().filter(|one| one["type"] == "prediction").collect()
    }

    fn problems(&self) -> Vec<&Value> {
        self.records.iter().filter(|one| one["type"] == "problem").collect()
    }

    /// The documents that a panel is about, chosen by its name and not by its filter.
    fn of(&self, panel: &str) -> Vec<&Value> {
        match panel {
            "problems" | "problems-by-code" | "problem-table" => self.problems(),
            "problem-share" => self.predictions().into_iter().chain(self.problems()).collect(),
            "cold-starts" => self.predictions().into_iter().filter(|one| one["cold_start"] == true).collect(),
            "start-time" => self.records.iter().filter(|one| one["type"] == "start").collect(),
            "drift-verdicts" | "estimated-mcc" | "latest-verdicts" => self.verdicts.iter().collect(),
            "drift-alerts" => self.verdicts.iter().filter(|one| one["verdict"] == "alert").collect(),
            "drifting-signals" => {
                self.verdicts.iter().filter(|one| one["verdict"] == "alert" || one["verdict"] == "warn").collect()
            }
            _ => self.predictions(),
        }
    }

    /// Into which part of its panel a document falls.
    fn part(panel: &str, one: &Value) -> Vec<String> {
        let word = |name: &str| one[name].as_str().unwrap().to_owned();
        let part = match panel {
            "volume" | "cold-starts" => word("service"),
            "label-share" | "confidence" => word("label"),
            "problems-by-code" => word("code"),
            "problem-table" => format!("{}/{}", word("code"), word("channel")),
            "problem-share" => match word("level").as_str() {
                "INFO" => "answered".into(),
                "WARN" => "refused".into(),
                _ => "failed".into(),
            },
            "truncated" => if one["truncated"] == true { "truncated" } else { "whole" }.into(),
            "unknown-tokens" => if one["unknown_tokens"] == 0 { "all known" } else { "some unknown" }.into(),
            "drift-verdicts" => match word("verdict").as_str() {
                "insufficient_data" => "not enough data".into(),
                "warn" => "warning".into(),
                other => other.into(),
            },
            "drifting-signals" => {
                return one["findings"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|f| f["signal"].as_str().unwrap().into())
                    .collect();
            }
            _ => "all".into(),
        };
        vec![part]
    }
}

fn filled() -> Osmem {
    let server = Osmem::start();
    let http = &server.http;
    http.json("PUT", "_index_template/wellformed-records", &records_template_for_open_search());
    http.json("PUT", "_index_template/wellformed-verdicts", &verdict::index_template());
    let records = records();
    let documents =
        records.iter().map(|one| ("wellformed-records-2026.03.01", one.id(), serde_json::to_value(one).unwrap()));
    send(http, bulk(documents));
    let verdicts = verdicts();
    send(http, bulk(verdicts.iter().map(|one| (verdict::INDEX, one.id(), serde_json::to_value(one).unwrap()))));
    server
}

fn send(http: &Http, body: Vec<u8>) {
    let body = Some(("application/x-ndjson".to_owned(), body));
    let answer = http.expect(&Request { method: "POST", path: "_bulk?refresh=true".into(), headers: Vec::new(), body });
    assert_eq!(answer["errors"], false, "{answer}");
}

fn ask(http: &Http, panel: &Panel) -> Vec<Row> {
    let answer = http.json("POST", &format!("{}/_search", panel.source.indices()), &search(panel, PERIOD));
    rows(panel, &answer).unwrap()
}

/// The rows' groups without the time or the range, which are the innermost.
fn part_of(panel: &Panel, row: &Row) -> String {
    let keys = match panel.chart {
        Chart::Course { .. } | Chart::Histogram { .. } => &row.keys[..row.keys.len() - 1],
        _ => &row.keys[..],
    };
    if keys.is_empty() { "all".to_owned() } else { keys.join("/") }
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor): cargo xtask test brings it"]
fn no_panel_is_empty_and_what_each_shows_adds_up_to_what_was_sent() {
    let server = filled();
    let sample = Sample::new();
    for panel in panels() {
        let rows = ask(&server.http, &panel);
        let documents = sample.of(panel.id);
        assert!(!documents.is_empty() && !rows.is_empty(), "{} is empty", panel.id);
        if let Chart::Documents { .. } = panel.chart {
            assert_eq!(rows.len(), documents.len().min(500), "{}", panel.id);
            continue;
        }
        let mut shown: BTreeMap<String, u64> = BTreeMap::new();
        for row in &rows {
            *shown.entry(part_of(&panel, row)).or_default() += row.documents;
        }
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for one in &documents {
            for part in Sample::part(panel.id, one) {
                *expected.entry(part).or_default() += 1;
            }
        }
        assert_eq!(shown, expected, "{}", panel.id);
        for (index, measure) in panel.chart.measures().iter().enumerate() {
            assert!(rows.iter().any(|row| row.values[index].is_some()), "{}: no value of {}", panel.id, measure.label);
            statistic(&panel, index, measure.statistic, &rows, &documents);
        }
    }
}

/// What a statistic says in the rows, against the documents.
fn statistic(panel: &Panel, index: usize, statistic: Statistic, rows: &[Row], documents: &[&Value]) {
    let id = panel.id;
    let values = |name: &str| -> Vec<f64> { documents.iter().filter_map(|one| one[name].as_f64()).collect() };
    let shown = || rows.iter().filter_map(|row| row.values[index]);
    match statistic {
        Statistic::Count => {
            // Verdicts that name two signals are in two rows.
            let twice = if id == "drifting-signals" { 4.0 } else { 0.0 };
            assert_eq!(shown().sum::<f64>(), documents.len() as f64 + twice, "{id}");
        }
        Statistic::Average(field) => {
            // Groups without the field have no mean; the others weigh as much as they have documents with it.
            let sent = values(field.name);
            let low = sent.iter().copied().fold(f64::INFINITY, f64::min);
            let high = sent.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert!(shown().all(|mean| mean >= low - 1e-9 && mean <= high + 1e-9), "{id}");
            if sent.len() == documents.len() {
                let sum: f64 = rows.iter().filter_map(|row| Some(row.values[index]? * row.documents as f64)).sum();
                let expected: f64 = sent.iter().sum();
                assert!((sum - expected).abs() < 1e-6 * expected.abs().max(1.0), "{id}: {sum}, expected {expected}");
            }
        }
        Statistic::Maximum(field) => {
            let expected = values(field.name).into_iter().fold(f64::NEG_INFINITY, f64::max);
            assert_eq!(shown().fold(f64::NEG_INFINITY, f64::max), expected, "{id}");
        }
        Statistic::Percentile(field, percent) => {
            let mut sent = values(field.name);
            sent.sort_by(f64::total_cmp);
            let at = |share: f64| sent[((sent.len() - 1) as f64 * share) as usize];
            if let Chart::Number(_) = panel.chart {
                let value = shown().next().unwrap();
                let share = percent / 100.0;
                let (low, high) = (at((share - 0.02).max(0.0)), at((share + 0.02).min(1.0)));
                assert!(value >= low && value <= high, "{id}: {value}, expected {low} to {high}");
            }
            assert!(shown().all(|value| value >= at(0.0) && value <= at(1.0)), "{id}");
        }
        Statistic::Distinct(field) => {
            let mut sent: Vec<String> = documents.iter().map(|one| one[field.name].to_string()).collect();
            sent.sort();
            sent.dedup();
            // No request is in two groups of these panels.
            assert_eq!(shown().sum::<f64>(), sent.len() as f64, "{id}");
        }
    }
}

/// KQL of the few forms that are used here, in the server's own query language, Lucene's.
fn lucene(kql: &str) -> String {
    let pairs = [(" : ", ":"), (" or ", " OR "), (" and ", " AND "), (" > ", ":>"), (" <= ", ":<=")];
    let query = pairs.iter().fold(kql.to_owned(), |query, (from, to)| query.replace(from, to));
    if query.is_empty() { "*:*".to_owned() } else { query }
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor): cargo xtask test brings it"]
fn the_saved_queries_select_what_the_searches_select() {
    let server = filled();
    let mut filters = vec![(Source::Records, alert::failures()), (Source::Records, alert::outcomes())];
    for panel in panels() {
        filters.push((panel.source, panel.filter.clone()));
        if let Chart::Course { split: Some(Split::Conditions { parts, .. }), .. } = &panel.chart {
            filters.extend(parts.iter().map(|(_, filter)| (panel.source, filter.clone())));
        }
    }
    for (source, filter) in filters {
        let count = |query: Value| {
            let body = json!({"query": query, "size": 0, "track_total_hits": true});
            server.http.json("POST", &format!("{}/_search", source.indices()), &body)["hits"]["total"]["value"]
                .as_u64()
                .unwrap()
        };
        let saved = count(json!({"query_string": {"query": lucene(&filter.kql())}}));
        assert_eq!(saved, count(filter.dsl()), "{}", filter.kql());
        assert!(saved > 0, "nothing is {}", filter.kql());
    }
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor): cargo xtask test brings it"]
fn the_histogram_has_every_probability_in_its_range_both_ends_included() {
    let server = filled();
    let sample = Sample::new();
    for (id, name) in [("confidence", "p_acceptable"), ("entropy-histogram", "entropy")] {
        let panel = panels().into_iter().find(|panel| panel.id == id).unwrap();
        let mut shown = vec![0; 20];
        for row in ask(&server.http, &panel) {
            let from: f64 = row.keys.last().unwrap().parse().unwrap();
            shown[(from * 20.0).round() as usize] += row.documents;
        }
        let mut expected = vec![0; 20];
        for one in sample.predictions() {
            // The bounds are those of the request: a value is in the last range whose lower bound it reaches.
            let value = one[name].as_f64().unwrap();
            let bin = (0..20).rev().find(|bin| value >= f64::from(*bin) / 20.0).unwrap();
            expected[bin as usize] += 1;
        }
        assert_eq!(shown, expected, "{id}");
        assert!(shown[0] > 0 && shown[19] > 0);
    }
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor): cargo xtask test brings it"]
fn the_least_certain_predictions_come_first_and_the_newest_verdict_does() {
    let server = filled();
    let sample = Sample::new();
    let find = |id| panels().into_iter().find(|panel| panel.id == id).unwrap();

    let rows = ask(&server.http, &find("least-certain"));
    let entropies: Vec<f64> = rows.iter().map(|row| row.keys[2].parse().unwrap()).collect();
    let mut expected: Vec<f64> = sample.predictions().iter().map(|one| one["entropy"].as_f64().unwrap()).collect();
    expected.sort_by(|a, b| b.total_cmp(a));
    expected.truncate(500);
    assert_eq!(entropies, expected);

    let rows = ask(&server.http, &find("latest-verdicts"));
    assert_eq!(rows[0].keys[0], "alert");
    assert_eq!(rows[0].keys[4], "entropy, tokens");
    assert_eq!(rows.last().unwrap().keys[0], "ok");
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor): cargo xtask test brings it"]
fn each_rule_fires_when_it_should_and_only_then() {
    let server = filled();
    let http = &server.http;
    let decide = |name: &str, now_ms: i64| {
        let rule = rules().into_iter().find(|rule| rule.name().contains(name)).unwrap();
        let (indices, body) = alert::search(&rule, now_ms);
        fires(&rule, &http.json("POST", &format!("{indices}/_search"), &body))
    };
    let hour = 3_600_000;
    let (start, end) = (PERIOD.from_ms, PERIOD.to_ms);

    // The last verdicts are alerts; those of the first hours are not.
    assert!(decide("drift", end));
    assert!(!decide("drift", start + 3 * hour));
    assert!(!decide("drift", end + 2 * hour));

    assert!(!decide("no predictions", end));
    assert!(decide("no predictions", end + 25 * hour));
    assert!(decide("no predictions", start - hour));

    // One failure in 15 minutes with some 38 predictions is less than 5 %.
    assert!(!decide("failures", end));
    assert!(!decide("failures", end + 48 * hour), "no requests are no failures");
    let failure = |index: i64| {
        let document = json!({
            "type": "problem", "timestamp": end - 60_000 * (index % 10), "level": "ERROR", "service": "lambda",
            "version": "7", "request_id": format!("failed-{index}"), "bundle": "aa11", "channel": "http",
            "status": 500, "code": "internal",
        });
        ("wellformed-records-2026.03.01", format!("failed-{index}"), document)
    };
    send(http, bulk((0..5).map(failure)));
    assert!(decide("failures", end));
}

#[test]
fn an_answer_without_what_was_asked_for_is_an_error_that_names_the_panel() {
    let panel = panels().into_iter().find(|panel| panel.id == "volume").unwrap();
    let error = rows(&panel, &json!({"hits": {"total": {"value": 3}}, "aggregations": {}})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "panel volume: the server's answer has no aggregations.split.buckets, which the request asks for"
    );
}

#[test]
fn intervals_give_at_most_a_hundred_moments_up_to_eight_years() {
    for hours in [1, 6, 24, 24 * 7, 24 * 30, 24 * 365, 24 * 365 * 8] {
        let period = Period { from_ms: 0, to_ms: hours * 3_600_000 };
        assert!(period.to_ms / period.interval_ms() < 100, "{hours} h");
    }
    assert_eq!(PERIOD.interval_ms(), 300_000);
}

#[test]
fn sources_have_different_indices() {
    assert!(!Source::Records.indices().starts_with(Source::Verdicts.indices().trim_end_matches('*')));
}
