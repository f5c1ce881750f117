//! The document of the API, against what the server really answers.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use wellformed_core::record::TextPolicy;
use wellformed_serve::{Monitor, Records, Settings};

use crate::support::{Answer, JSON, Running, send, start, start_with, start_with_records, usual};

/// What is wrong with a value by a schema of the document: nothing, or a line for each place.
fn problems(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{at}: {value} is against {what}"));
        }
    };
    let mut inner: Vec<(&Value, &Value, String)> = Vec::new();
    for (keyword, wanted) in schema.as_object().unwrap() {
        let rule = format!("{keyword} {wanted}");
        let number =
            |bound: fn(f64, f64) -> bool| value.as_f64().is_none_or(|value| bound(value, wanted.as_f64().unwrap()));
        let length = |bound: fn(usize, usize) -> bool| {
            value.as_array().is_none_or(|list| bound(list.len(), wanted.as_u64().unwrap() as usize))
        };
        match &**keyword {
            "description" => {}
            "$ref" => {
                let target = document.pointer(wanted.as_str().unwrap().strip_prefix('#').unwrap()).unwrap();
                inner.push((target, value, at.to_owned()));
            }
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "number" => value.is_number(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("type {other}"),
                };
                must(wanted.as_array().map_or_else(|| is(wanted), |names| names.iter().any(is)), &rule);
            }
            "enum" => must(wanted.as_array().unwrap().contains(value), &rule),
            "const" => must(value == wanted, &rule),
            "pattern" => {
                let text = value.as_str().unwrap();
                must(matches(wanted.as_str().unwrap(), text), &rule);
            }
            "minimum" => must(number(|value, bound| value >= bound), &rule),
            "exclusiveMinimum" => must(number(|value, bound| value > bound), &rule),
            "maximum" => must(number(|value, bound| value <= bound), &rule),
            "minItems" => must(length(|count, bound| count >= bound), &rule),
            "maxItems" => must(length(|count, bound| count <= bound), &rule),
            "items" => {
                let list = value.as_array().into_iter().flatten().enumerate();
                inner.extend(list.map(|(index, item)| (wanted, item, format!("{at}[{index}]"))));
            }
            "required" => {
                let mut names = wanted.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                must(!value.is_object() || names.all(|name| value.get(name).is_some()), &rule);
            }
            "properties" => {
                let known = wanted.as_object().unwrap().iter();
                let there = known.filter_map(|(name, schema)| Some((schema, value.get(name)?, format!("{at}.{name}"))));
                inner.extend(there);
            }
            "additionalProperties" => {
                assert_eq!(wanted, false);
                let mut names = value.as_object().into_iter().flat_map(|object| object.keys());
                must(names.all(|name| schema["properties"].get(name).is_some()), &rule);
            }
            "oneOf" => {
                let fits = |one: &&Value| problems(document, one, value, at).is_empty();
                must(wanted.as_array().unwrap().iter().filter(fits).count() == 1, "oneOf");
            }
            other => panic!("{at}: the document uses {other}, which this test does not understand"),
        }
    }
    for (schema, value, at) in inner {
        found.extend(problems(document, schema, value, &at));
    }
    found
}

/// The patterns that the document uses.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "^[0-9a-f]{64}$" => text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
        "^[a-z_]+$" => !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'_')),
        other => panic!("the document uses the pattern {other}, which this test does not understand"),
    }
}

fn document(server: &Running) -> Value {
    server.get("/openapi.json").json()
}

/// Fails when the document does not say what was answered.
fn check(document: &Value, method: &str, path: &str, answer: &Answer) {
    let route = path.split('?').next().unwrap();
    let operation = &document["paths"][route][method.to_lowercase()];
    let response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{method} {path}: {} is not in the document: {answer:?}", answer.status);
    let content = response["content"].as_object().unwrap();
    let kind = answer.headers["content-type"].split(';').next().unwrap();
    let media = content.get(kind).unwrap_or_else(|| panic!("{method} {path}: {kind} is not in the document"));
    if kind == "application/json" {
        let problems = problems(document, &media["schema"], &answer.json(), "answer");
        assert!(problems.is_empty(), "{method} {path}: {problems:?} in {}", answer.body);
    }
}

#[test]
fn every_answer_is_one_that_the_document_describes() {
    let server = start_with(Settings { max_body: 3000, max_sentences: 4, queue_sentences: 1, ..Settings::default() });
    let document = document(&server);
    let mut statuses = BTreeSet::new();
    let mut answered = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let answer = send(server.address, method, path, headers, body);
        check(&document, method, path, &answer);
        let route = path.split('?').next().unwrap();
        statuses.insert((method.to_lowercase(), route.to_owned(), answer.status));
        answer.status
    };
    for path in
        ["/info", "/monitor", "/monitor.json", "/health", "/health/live", "/health/ready", "/metrics", "/openapi.json"]
    {
        assert_eq!(answered("GET", path, &[], ""), 200);
    }
    // Enough to be judged, so that every part of the report is there.
    let enough: Vec<String> = (0..100).map(usual).collect();
    for four in enough.chunks(4) {
        assert_eq!(answered("POST", "/predict", &[JSON], &json!({"sentences": four}).to_string()), 200);
    }
    assert_eq!(answered("GET", "/monitor", &[("Accept", "application/json")], ""), 200);
    assert!(!server.get("/monitor.json").json()["signals"].as_array().unwrap().is_empty());
    for path in ["/predict", "/explain"] {
        assert_eq!(answered("GET", &format!("{path}?text=a%23+sentence"), &[], ""), 200);
        assert_eq!(answered("GET", path, &[], ""), 422);
        let mut post = |body: &str| answered("POST", path, &[JSON], body);
        assert_eq!(post("{\"sentence\": \"It rains.\"}"), 200);
        assert_eq!(post(&json!({"sentence": "word ".repeat(100)}).to_string()), 200);
        assert_eq!(post("{"), 400);
        assert_eq!(post(&json!({"sentence": "word ".repeat(1000)}).to_string()), 413);
        assert_eq!(post("{\"sentence\": \"\"}"), 422);
        assert_eq!(answered("POST", path, &[], "{}"), 415);
    }
    assert_eq!(answered("POST", "/predict", &[JSON], "{\"sentences\": [\"a\", \"b\", \"c\"]}"), 200);
    assert_eq!(answered("POST", "/predict", &[JSON], "{\"sentences\": [\"a\", \"b\", \"c\", \"d\", \"e\"]}"), 413);
    // A worker that is held and a queue that is full.
    server.hand.hold();
    let seen = server.hand.seen();
    let taken = server.post_later("/predict", json!({"sentence": "It rains."}));
    crate::support::until("the worker is occupied", || server.hand.seen() == seen + 1);
    let waits = server.post_later("/predict", json!({"sentence": "It rains."}));
    crate::support::until("one waits", || server.queued() == 1);
    assert_eq!(answered("GET", "/explain?text=a", &[], ""), 429);
    assert_eq!(answered("POST", "/predict", &[JSON], "{\"sentence\": \"It rains.\"}"), 429);
    server.hand.release();
    taken.join().unwrap();
    waits.join().unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            assert!(statuses.contains(&(method.clone(), path.clone(), 200)), "{method} {path} was not asked");
        }
    }
}

#[test]
fn answers_that_come_too_late_are_in_the_document_too() {
    let server = start_with(Settings { timeout: Duration::from_millis(200), ..Settings::default() });
    let document = document(&server);
    server.hand.hold();
    for path in ["/predict", "/explain"] {
        let answer = server.post(path, &json!({"sentence": "It rains."}));
        assert_eq!(answer.status, 503);
        check(&document, "POST", path, &answer);
    }
}

#[test]
fn a_monitor_that_has_no_verdicts_is_in_the_document_too() {
    let texts = TextPolicy::default;
    for monitor in [Monitor::off(), Monitor::without_profile()] {
        let server = start_with_records(Settings::default(), Records::new(texts()).watched_by(monitor));
        let document = document(&server);
        for (path, accepted) in [("/monitor", "text/html"), ("/monitor", "application/json"), ("/monitor.json", "*/*")]
        {
            let answer = send(server.address, "GET", path, &[("Accept", accepted)], "");
            assert_eq!(answer.status, 404);
            check(&document, "GET", path, &answer);
        }
    }
}

#[test]
fn a_field_that_the_document_does_not_have_would_be_noticed() {
    let server = start();
    let document = document(&server);
    let mut answer = server.post("/predict", &json!({"sentence": "It rains."}));
    let mut changed = answer.json();
    changed["predictions"][0]["mood"] = json!("cheerful");
    answer.body = changed.to_string();
    let noticed = std::panic::catch_unwind(|| check(&document, "POST", "/predict", &answer));
    assert!(noticed.is_err());
}

#[test]
fn values_that_are_against_a_schema_are_found() {
    let document = json!({"parts": {"Name": {"type": "string", "pattern": "^[a-z_]+$"}}});
    let schema = json!({
        "type": "object", "required": ["name", "share"], "additionalProperties": false,
        "properties": {
            "name": {"$ref": "#/parts/Name"},
            "share": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
            "list": {"type": "array", "items": {"enum": [1, 2]}, "minItems": 1, "maxItems": 2},
            "either": {"oneOf": [{"type": "string"}, {"type": "integer", "exclusiveMinimum": 0}, {"const": 7}]},
        },
    });
    let count = |value: Value| problems(&document, &schema, &value, "it").len();
    assert_eq!(count(json!({"name": "a_b", "share": 0.5, "list": [1, 2], "either": 3})), 0);
    assert_eq!(count(json!({"name": "a_b", "share": null, "either": "x"})), 0);
    for wrong in [
        json!([]),
        json!({"share": 1}),
        json!({"name": "A", "share": 1}),
        json!({"name": "a", "share": 1.5}),
        json!({"name": "a", "share": -1}),
        json!({"name": "a", "share": "1"}),
        json!({"name": "a", "share": 1, "list": []}),
        json!({"name": "a", "share": 1, "list": [1, 1, 1]}),
        json!({"name": "a", "share": 1, "list": [3]}),
        json!({"name": "a", "share": 1, "either": 7}),
        json!({"name": "a", "share": 1, "either": 0}),
        json!({"name": "a", "share": 1, "more": 1}),
    ] {
        assert_eq!(count(wrong.clone()), 1, "{wrong}");
    }
}

#[test]
fn the_documents_examples_are_answered_and_its_request_schemas_agree_with_the_server() {
    let server = start_with(Settings { max_sentences: 3, ..Settings::default() });
    let document = document(&server);
    for path in ["/predict", "/explain"] {
        let media = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
        let is_valid = |body: &Value| problems(&document, &media["schema"], body, "body").is_empty();
        assert!(is_valid(&media["example"]));
        let bodies = [
            media["example"].clone(),
            json!({"sentence": "a"}),
            json!({"sentence": 1}),
            json!({"sentence": "a", "perturbation": "mask"}),
            json!({"sentence": "a", "perturbation": "blur"}),
            json!({"sentences": ["a", "b"]}),
            json!({"sentences": []}),
            json!({"sentences": ["a", "b", "c", "d"]}),
            json!({"sentences": ["a", 2]}),
            json!({"sentence": "a", "sentences": ["b"]}),
            json!({}),
            json!([]),
            json!({"sentence": "a", "more": 1}),
        ];
        for body in bodies {
            let accepted = server.post(path, &body).status == 200;
            assert_eq!(is_valid(&body), accepted, "{path} {body}");
        }
    }
}

#[test]
fn the_document_has_this_servers_version_and_limits() {
    let server = start_with(Settings { max_sentences: 7, ..Settings::default() });
    let text = server.get("/openapi.json").body;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let list = &document["components"]["schemas"]["PredictRequest"]["oneOf"][1]["properties"]["sentences"];
    assert_eq!(list["maxItems"], 7);
    assert!(!text.contains("{max"), "a place that was not filled");
}
