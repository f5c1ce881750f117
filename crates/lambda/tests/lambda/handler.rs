//! What the handler does besides answering.

use lambda_runtime::Diagnostic;
use serde::Deserialize;
use serde_json::{Deserializer, Value, json};
use wellformed_core::record::TextPolicy;
use wellformed_lambda::event::Payload;
use wellformed_lambda::record::{Lines, Recorder};

use crate::support::{DIGEST, answer, event, handler, handler_with};

#[test]
fn a_prediction_is_recorded_without_its_sentence() {
    let (mut handler, kept) = handler();
    handler.handle(Payload(Ok(event("http-post"))), "request-9").unwrap();
    let mut records = kept.take();
    assert_eq!(records.len(), 1);
    let record = records[0].as_object_mut().unwrap();
    let time = record.remove("timestamp").unwrap();
    assert!(time.as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')), "{time}");
    // Python: -0.125 * math.log2(0.125) - 0.875 * math.log2(0.875)
    assert!(
        record.remove("entropy").unwrap().as_f64().is_some_and(|bits| (bits - 0.543_564_443_199_596).abs() < 1e-12)
    );
    assert!(record.remove("total_ms").unwrap().as_f64().is_some_and(|total| total >= 0.0));
    let expected = json!({
        "type": "prediction", "level": "INFO", "service": "lambda", "request_id": "request-9", "index": 0, "version": "7",
        "bundle": DIGEST, "precision": "int8", "channel": "http", "label": "acceptable", "p_acceptable": 0.875,
        "tokens": 7, "truncated": false, "unknown_tokens": 0, "characters": 26, "non_ascii_share": 0.0,
        "pieces_per_word": 1.25, "frequent_share": 0.5, "surprise": 6.5, "explained": false, "tokenization_ms": 0.015, "inference_ms": 2.5, "cold_start": true,
    });
    assert_eq!(Value::Object(record.clone()), expected);
}

#[test]
fn a_list_is_recorded_sentence_by_sentence() {
    let (mut handler, kept) = handler();
    handler.handle(Payload(Ok(event("direct-sentences"))), "request-9").unwrap();
    let records = kept.take();
    let seen: Vec<_> = records.iter().map(|record| (record["index"].clone(), record["label"].clone())).collect();
    assert_eq!(seen, [(json!(0), json!("acceptable")), (json!(1), json!("unacceptable"))]);
}

#[test]
fn only_the_first_event_of_a_process_is_a_cold_start() {
    let (mut handler, kept) = handler();
    for _ in 0..3 {
        handler.handle(Payload(Ok(event("direct-sentence"))), "request").unwrap();
    }
    let cold: Vec<_> = kept.take().iter().map(|record| record["cold_start"].clone()).collect();
    assert_eq!(cold, [true, false, false]);
}

#[test]
fn a_ping_predicts_nothing_but_takes_the_cold_start() {
    let (mut handler, kept) = handler();
    handler.handle(Payload(Ok(event("ping-warmup"))), "request").unwrap();
    assert_eq!(kept.take(), Vec::<Value>::new());
    handler.handle(Payload(Ok(event("direct-sentence"))), "request").unwrap();
    assert_eq!(kept.take()[0]["cold_start"], false);
}

#[test]
fn a_refusal_is_recorded_by_its_code_alone() {
    let (mut handler, kept) = handler();
    handler.handle(Payload(Ok(event("direct-misspelt"))), "request-9").unwrap();
    let mut records = kept.take();
    assert_eq!(records.len(), 1);
    records[0].as_object_mut().unwrap().remove("timestamp").unwrap();
    let expected = json!({
        "type": "problem", "level": "WARN", "service": "lambda", "request_id": "request-9", "version": "7",
        "bundle": DIGEST, "channel": "direct", "status": 400, "code": "missing_field",
    });
    assert_eq!(records[0], expected);
}

#[test]
fn a_panic_is_a_function_error_to_a_direct_invocation_and_the_next_event_is_answered() {
    let (mut handler, kept) = handler();
    let failure = handler.handle(Payload(Ok(json!({"sentence": "kaboom"}))), "request").unwrap_err();
    assert_eq!(failure.0.code, "internal");
    let diagnostic = Diagnostic::from(failure);
    assert_eq!(diagnostic.error_type, "Wellformed.Internal");
    assert!(!diagnostic.error_message.contains("kaboom"), "the sentence stays out of the message");
    let records = kept.take();
    assert_eq!((&records[0]["level"], &records[0]["status"]), (&json!("ERROR"), &json!(500)));
    assert!(handler.handle(Payload(Ok(event("direct-sentence"))), "request").is_ok());
}

#[test]
fn a_payload_that_is_not_json_is_refused_in_words() {
    // As the runtime reads it: the rest after an error is never looked at.
    let payload = Payload::deserialize(&mut Deserializer::from_str("{\"sentence\": oven}")).unwrap();
    let (mut handler, kept) = handler();
    let answer = serde_json::to_value(handler.handle(payload, "request").unwrap()).unwrap();
    assert_eq!(answer["statusCode"], 400);
    assert_eq!(answer["error"]["code"], "malformed_json");
    assert!(answer["error"]["message"].as_str().unwrap().contains("line 1 column 14"), "{answer}");
    assert_eq!(kept.take()[0]["code"], "malformed_json");
}

#[test]
fn events_of_any_shape_are_answered() {
    let shapes = [
        json!(null),
        json!([]),
        json!({}),
        json!({"Records": [{"body": "x"}]}),
        json!({"requestContext": {"http": {}}}),
        json!({"requestContext": "x", "httpMethod": 5}),
        json!({"httpMethod": ""}),
        json!({"httpMethod": "GET", "path": null, "queryStringParameters": ["x"]}),
        json!({"httpMethod": "POST", "body": {"sentence": "x"}}),
        json!({"httpMethod": "GET", "multiValueQueryStringParameters": {"text": [1, null, "Fine."]}}),
        json!({"requestContext": {"http": {"method": "get"}, "stage": 3}, "rawPath": 7}),
        json!({"requestContext": {"http": {"method": "POST"}}, "headers": {"content-type": [""]}, "body": "[[["}),
    ];
    for shape in shapes {
        let answer = answer(&shape).unwrap();
        let status = answer["statusCode"].as_u64().unwrap();
        let fine = shape["multiValueQueryStringParameters"].is_object();
        assert!(if fine { status == 200 } else { (400..500).contains(&status) }, "{shape} got {answer}");
    }
}

#[test]
fn a_record_is_one_line_with_its_metrics() {
    let mut lines = Lines(Vec::new());
    let (mut handler, kept) = handler();
    handler.handle(Payload(Ok(event("direct-sentences"))), "request-9").unwrap();
    handler.handle(Payload(Ok(event("direct-misspelt"))), "request-9").unwrap();
    for record in kept.take() {
        lines.record(serde_json::from_value(record).unwrap());
    }
    let text = String::from_utf8(lines.0).unwrap();
    let starts: Vec<&str> = text.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(starts, [r#"{"type":"prediction""#, r#"{"type":"prediction""#, r#"{"type":"problem""#]);
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Wellformed");
    }
}

#[test]
fn a_sentence_is_hashed_with_a_key_and_recorded_only_when_it_is_asked_for() {
    let policy = |variables: &[(&str, &str)]| {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        TextPolicy::read(find).unwrap()
    };
    let key = ("WELLFORMED_HASH_KEY", "a key of our own, long enough");
    let question = json!({"sentences": ["  The tea was cold. ", "Write to me@example.org."]});
    let (mut handler, kept) = handler_with(policy(&[key]));
    handler.handle(Payload(Ok(question.clone())), "request").unwrap();
    let records = kept.take();
    // printf 'The tea was cold.' | openssl dgst -sha256 -hmac 'a key of our own, long enough'
    assert_eq!(records[0]["text_hash"], "ca6fe32a2ea4a26e");
    assert!(records.iter().all(|record| record.get("text").is_none()));
    let (mut handler, kept) = handler_with(policy(&[key, ("WELLFORMED_LOG_TEXT", "1")]));
    handler.handle(Payload(Ok(question)), "request").unwrap();
    let records = kept.take();
    assert_eq!((&records[0]["text"], &records[1]["text"]), (&json!("The tea was cold."), &json!("Write to [email].")));
}
