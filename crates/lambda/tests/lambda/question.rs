//! Limits, and the hints that a wrong request gets.

use serde_json::{Value, json};
use wellformed_infer::Perturbation;
use wellformed_lambda::problem::Problem;
use wellformed_lambda::question::{MAX_BYTES, MAX_EXPLAINED, MAX_SENTENCES, Question};

use crate::support::{answer, event};

fn refused(value: Value) -> Problem {
    Question::from_json(&value).unwrap_err()
}

fn sentences(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("Oven {index} is hot.")).collect()
}

#[test]
fn as_many_sentences_as_the_limit_and_no_more() {
    assert!(Question::from_json(&json!({"sentences": sentences(MAX_SENTENCES)})).is_ok());
    let problem = refused(json!({"sentences": sentences(MAX_SENTENCES + 1)}));
    assert_eq!((problem.status, problem.code), (400, "too_many_sentences"));
    assert!(problem.message.contains("257 sentences; at most 256"), "{problem:?}");
}

#[test]
fn fewer_sentences_are_explained_than_predicted_and_by_the_path_one() {
    let asked = |count: usize| json!({"sentences": sentences(count), "explain": true});
    assert!(Question::from_json(&asked(MAX_EXPLAINED)).is_ok());
    assert_eq!(refused(asked(MAX_EXPLAINED + 1)).code, "too_many_sentences");
    let mut event = event("http-post-explain");
    event["body"] = json!(json!({"sentences": sentences(1)}).to_string());
    assert_eq!(answer(&event).unwrap()["statusCode"], 200);
    event["body"] = json!(json!({"sentences": sentences(2)}).to_string());
    assert_eq!(answer(&event).unwrap()["statusCode"], 400);
}

#[test]
fn as_much_text_as_the_limit_and_no_more() {
    assert!(Question::from_json(&json!({"sentence": "x".repeat(MAX_BYTES)})).is_ok());
    let problem = refused(json!({"sentence": "x".repeat(MAX_BYTES + 1)}));
    assert_eq!((problem.status, problem.code, problem.field.as_deref()), (413, "body_too_large", Some("sentence")));
    let half = "x".repeat(MAX_BYTES / 2);
    assert_eq!(refused(json!({"sentences": [half, half, "x"]})).field.as_deref(), Some("sentences"));
}

#[test]
fn a_body_is_measured_before_it_is_read_in_base64_and_without() {
    let mut plain = event("http-post");
    plain["body"] = json!("x".repeat(MAX_BYTES + 1));
    assert_eq!(answer(&plain).unwrap()["statusCode"], 413);
    let mut encoded = event("url-post-base64-form");
    encoded["body"] = json!("A".repeat((MAX_BYTES + 4) / 3 * 4 + 4));
    assert_eq!(answer(&encoded).unwrap()["statusCode"], 413);
    encoded["body"] = json!("?".repeat(2 * MAX_BYTES));
    assert_eq!(answer(&encoded).unwrap()["statusCode"], 413, "too long comes before malformed");
}

#[test]
fn wrong_requests_are_told_which_field() {
    let cases = [
        (json!({"sentence": 5}), "wrong_type", "sentence", "found a number"),
        (json!({"sentence": ["One.", "Two."]}), "wrong_type", "sentence", "use sentences"),
        (json!({"sentences": "One."}), "wrong_type", "sentences", "expected a list of strings, found a string"),
        (json!({"sentences": []}), "empty_list", "sentences", "the list is empty"),
        (json!({"sentences": ["One.", null]}), "wrong_type", "sentences[1]", "found null"),
        (json!({"sentence": "One.", "sentences": ["Two."]}), "ambiguous", "sentences", "one of the two"),
        (json!({"sentence": null}), "missing_field", "sentence", "found the fields sentence"),
        (json!({}), "missing_field", "sentence", "found no fields"),
        (json!({"sentence": "\t\u{a0}"}), "empty_sentence", "sentence", "empty"),
        (json!({"sentence": "One.", "explain": 1}), "wrong_type", "explain", "found a number"),
        (json!({"sentence": "One.", "perturbation": "drop"}), "unknown_value", "perturbation", "\"mask\""),
        (json!({"sentence": "One.", "perturbation": 1}), "unknown_value", "perturbation", "\"mask\""),
        (json!(3), "wrong_type", "", "found a number"),
    ];
    for (value, code, field, hint) in cases {
        let problem = refused(value.clone());
        assert_eq!(
            (problem.status, problem.code, problem.field.as_deref().unwrap_or("")),
            (400, code, field),
            "{value}"
        );
        assert!(problem.message.contains(hint), "{value}: {}", problem.message);
    }
}

#[test]
fn null_is_as_good_as_absent() {
    let asked = json!({"sentence": "One.", "sentences": null, "explain": null, "perturbation": null});
    let expected = Question { sentences: vec!["One.".to_owned()], explain: false, perturbation: Perturbation::Omit };
    assert_eq!(Question::from_json(&asked), Ok(expected));
}
