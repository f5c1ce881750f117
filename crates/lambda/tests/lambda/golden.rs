//! Every event of `fixtures/events` against the answer of the same name in `fixtures/answers`. The bodies of HTTP
//! answers stand there as JSON, not as JSON in a string, so that they can be read.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::support::{answer, event, fixtures};

#[test]
fn every_golden_event_gets_its_golden_answer() {
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fixtures().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let events = names("events");
    assert_eq!(events, names("answers"));
    for kind in ["direct", "rest", "http", "url", "alb", "ping"] {
        assert!(events.iter().any(|name| name.starts_with(kind)), "no event of the kind {kind}");
    }
    for name in &events {
        let text = fs::read_to_string(fixtures().join("answers").join(name).with_extension("json")).unwrap();
        let golden: Value = serde_json::from_str(&text).unwrap();
        let mut got = answer(&event(name)).unwrap();
        if let Some(body) = got.get_mut("body") {
            // Lambda's callers refuse a body that is not a string.
            let text = body.as_str().unwrap().to_owned();
            if !text.is_empty() {
                *body = serde_json::from_str(&text).unwrap();
            }
        }
        assert_eq!(got, golden, "{name}");
    }
}

#[test]
fn an_answer_lists_its_fields_in_the_documented_order() {
    let (mut handler, _) = crate::support::handler();
    let payload = wellformed_lambda::event::Payload(Ok(event("url-get")));
    let text = serde_json::to_string(&handler.handle(payload, "request-1").unwrap()).unwrap();
    let body = r#"{\"bundle\":\"fake0000000000000000000000000000000000000000000000000000000000000\",\"predictions\":[{\"label\":\"acceptable\",\"probabilities\":{\"unacceptable\":0.125,\"acceptable\":0.875},\"logits\":{\"unacceptable\":-1.0,\"acceptable\":1.5},\"tokens\":6,\"truncated\":false,\"unknown_tokens\":0}]}"#;
    assert!(text.contains(body), "{text}");
}
