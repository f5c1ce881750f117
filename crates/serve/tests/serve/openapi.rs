//! The document of the API, against what the server really answers.

use std::collections::BTreeSet;
use std::time::Duration;

use jsonschema::Validator;
use serde_json::{Value, json};
use wellformed_serve::Settings;

use crate::support::{Answer, JSON, Running, send, start, start_with};

/// A schema of the document, with everything that it refers to.
fn validator(document: &Value, schema: &Value) -> Validator {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&whole).unwrap()
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
        let validator = validator(document, &media["schema"]);
        let problems: Vec<String> = validator.iter_errors(&answer.json()).map(|error| error.to_string()).collect();
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
    for path in ["/info", "/health", "/health/live", "/health/ready", "/metrics", "/openapi.json"] {
        assert_eq!(answered("GET", path, &[], ""), 200);
    }
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
fn the_documents_examples_are_answered_and_its_request_schemas_agree_with_the_server() {
    let server = start_with(Settings { max_sentences: 3, ..Settings::default() });
    let document = document(&server);
    for path in ["/predict", "/explain"] {
        let media = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
        let validator = validator(&document, &media["schema"]);
        assert!(validator.is_valid(&media["example"]));
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
            assert_eq!(validator.is_valid(&body), accepted, "{path} {body}");
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
