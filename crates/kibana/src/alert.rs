//! Rules for Kibana's alerting: too many failures, silence, drift.
//!
//! A rule without actions shows on Kibana's page of alerts. Whom it tells is for each installation to say (a connector
//! has an address and a secret), and `install` leaves such actions alone.

use serde_json::{Value, json};

use crate::field::{record, verdict};
use crate::filter::Filter;
use crate::panel::Source;

/// The share of requests that failed through the service's fault, above which somebody is told.
pub const FAILED_SHARE: f64 = 0.05;

/// A rule with the name by which Kibana's routes know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// A UUID, version 4, as Kibana demands; fixed, so that a rule is found again.
    pub id: &'static str,
    /// The body of `POST /api/alerting/rule/{id}`.
    pub rule: Value,
}

impl Rule {
    /// What people call it.
    pub fn name(&self) -> &str {
        self.rule["name"].as_str().unwrap_or(self.id)
    }
}

/// All rules.
pub fn rules() -> Vec<Rule> {
    vec![
        Rule { id: "6b1f0a52-3c1e-4d0a-9a55-1c7d0e2f4a01", rule: failed_share() },
        Rule { id: "6b1f0a52-3c1e-4d0a-9a55-1c7d0e2f4a02", rule: silence() },
        Rule { id: "6b1f0a52-3c1e-4d0a-9a55-1c7d0e2f4a03", rule: drift() },
    ]
}

/// Requests that failed.
pub fn failures() -> Filter {
    Filter::All(vec![Filter::Is(record::TYPE, "problem"), Filter::Is(record::LEVEL, "ERROR")])
}

/// Requests and sentences that were answered, refused or failed: everything but starts.
pub fn outcomes() -> Filter {
    Filter::OneOf(record::TYPE, &["prediction", "problem"])
}

/// More than [`FAILED_SHARE`] of a quarter of an hour. The rule type is the only one of Kibana's that divides two counts;
/// it is there from 8.11 on.
fn failed_share() -> Value {
    json!({
        "actions": [],
        "consumer": "logs",
        "enabled": true,
        "name": "Wellformed: share of failures",
        "params": {
            "alertOnGroupDisappear": false,
            "alertOnNoData": false,
            "criteria": [{
                "comparator": ">",
                "equation": "A / B",
                "label": "Share of failures",
                "metrics": [
                    {"aggType": "count", "filter": failures().kql(), "name": "A"},
                    {"aggType": "count", "filter": outcomes().kql(), "name": "B"},
                ],
                "threshold": [FAILED_SHARE],
                "timeSize": 15,
                "timeUnit": "m",
            }],
            "searchConfiguration": {
                "index": Source::Records.data_view(),
                "query": {"language": "kuery", "query": outcomes().kql()},
            },
        },
        "rule_type_id": "observability.rules.custom_threshold",
        "schedule": {"interval": "5m"},
        "tags": ["wellformed"],
    })
}

/// No prediction for a day: nobody asks, or records no longer arrive.
fn silence() -> Value {
    by_count(
        "Wellformed: no predictions for a day",
        Source::Records,
        &Filter::Is(record::TYPE, "prediction"),
        (24, "h"),
        ("<", 1),
        "15m",
    )
}

/// A verdict `alert` within the hour.
fn drift() -> Value {
    by_count("Wellformed: drift", Source::Verdicts, &Filter::Is(verdict::VERDICT, "alert"), (1, "h"), (">", 0), "10m")
}

/// A rule about the number of documents in the last while.
fn by_count(
    name: &str,
    source: Source,
    filter: &Filter,
    (size, unit): (u32, &str),
    (comparator, threshold): (&str, u32),
    interval: &str,
) -> Value {
    json!({
        "actions": [],
        "consumer": "stackAlerts",
        "enabled": true,
        "name": name,
        "params": {
            "aggType": "count",
            "esQuery": json!({"query": filter.dsl()}).to_string(),
            // A document that was counted once would otherwise not be counted again, and an alert would end by itself.
            "excludeHitsFromPreviousRun": false,
            "groupBy": "all",
            "index": [source.indices()],
            "searchType": "esQuery",
            "size": 0,
            "threshold": [threshold],
            "thresholdComparator": comparator,
            "timeField": source.time().name,
            "timeWindowSize": size,
            "timeWindowUnit": unit,
        },
        "rule_type_id": ".es-query",
        "schedule": {"interval": interval},
        "tags": ["wellformed"],
    })
}

/// The search by which Kibana decides a rule, at a moment in milliseconds since 1970. Of the answer, [`fires`] tells
/// whether there is an alert.
pub fn search(rule: &Rule, now_ms: i64) -> (String, Value) {
    let params = &rule.rule["params"];
    let criterion = &params["criteria"][0];
    let share = criterion.is_object();
    let (size, unit) = if share {
        (&criterion["timeSize"], &criterion["timeUnit"])
    } else {
        (&params["timeWindowSize"], &params["timeWindowUnit"])
    };
    let minutes = size.as_i64().unwrap_or(0) * if unit == "h" { 60 } else { 1 };
    let (indices, time, condition) = if share {
        (Source::Records.indices(), Source::Records.time().name, outcomes().dsl())
    } else {
        let query: Value =
            params["esQuery"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        (
            params["index"][0].as_str().unwrap_or_default(),
            params["timeField"].as_str().unwrap_or_default(),
            query["query"].clone(),
        )
    };
    let within = json!({"range": {time: {"format": "epoch_millis", "gte": now_ms - minutes * 60_000, "lte": now_ms}}});
    let mut body = json!({
        "query": {"bool": {"filter": [condition, within]}},
        "size": 0,
        "track_total_hits": true,
    });
    if share {
        body["aggs"] = json!({"A": {"filter": failures().dsl()}, "B": {"filter": outcomes().dsl()}});
    }
    (indices.to_owned(), body)
}

/// Whether the answer to [`search`] means an alert.
pub fn fires(rule: &Rule, answer: &Value) -> bool {
    let params = &rule.rule["params"];
    let criterion = &params["criteria"][0];
    let (value, comparator, threshold) = if criterion.is_object() {
        let count = |name: &str| answer["aggregations"][name]["doc_count"].as_f64().unwrap_or(0.0);
        // Without documents the quotient is not a number, and no comparison with it is true.
        (count("A") / count("B"), &criterion["comparator"], &criterion["threshold"][0])
    } else {
        let hits = answer["hits"]["total"]["value"].as_f64().unwrap_or(0.0);
        (hits, &params["thresholdComparator"], &params["threshold"][0])
    };
    let threshold = threshold.as_f64().unwrap_or(f64::NAN);
    if comparator == "<" { value < threshold } else { value > threshold }
}
