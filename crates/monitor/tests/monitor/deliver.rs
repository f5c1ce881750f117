//! Documents into a cluster that misbehaves. What a real one says is in `chain`.

use std::time::{Duration, Instant};

use wellformed_monitor::deliver::{Delivered, DeliveryError, Patience, deliver};

use crate::stand_in::{Act, StandIn, bulk_answer};
use crate::support::{cluster, documents};

fn patience() -> Patience {
    let until = Some(Instant::now() + Duration::from_secs(20));
    Patience { first: Duration::from_millis(2), longest: Duration::from_millis(20), until }
}

fn answer(items: &[(u16, &str)]) -> Act {
    Act::Answer(200, "", bulk_answer(items))
}

/// Delivers so many documents to a server that does this.
fn delivered(count: u64, acts: Vec<Act>) -> (Result<Delivered, DeliveryError>, Vec<usize>) {
    let server = StandIn::start(acts, Act::Refuse);
    let outcome = deliver(&cluster(&server.url), &documents(count), &patience(), &mut |_| {});
    (outcome, server.bulks().iter().map(|asked| asked.body.lines().count() / 2).collect())
}

#[test]
fn a_request_creates_documents_under_their_own_names_in_the_index_of_their_day() {
    let server = StandIn::start(vec![answer(&[(201, ""), (409, "version_conflict_engine_exception")])], Act::Refuse);
    let done = deliver(&cluster(&server.url), &documents(2), &patience(), &mut |_| {}).unwrap();
    assert_eq!(done, Delivered { created: 1, already_there: 1, ..Delivered::default() });
    let asked = server.bulks().remove(0);
    assert!(asked.line.starts_with("POST /_bulk "), "{}", asked.line);
    assert!(asked.headers.iter().any(|header| header.eq_ignore_ascii_case("content-type: application/x-ndjson")));
    let first = asked.body.lines().next().unwrap();
    let expected = r#"{"create":{"_id":"prediction:r0:0:1790067600000","_index":"wellformed-records-2026.09.22"}}"#;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(first).unwrap(),
        serde_json::from_str::<serde_json::Value>(expected).unwrap()
    );
    assert!(asked.body.ends_with("}\n") && !asked.body.contains("_aws"));
}

#[test]
fn only_what_was_put_off_is_sent_again() {
    let (done, sent) = delivered(
        4,
        vec![
            answer(&[
                (201, ""),
                (429, "es_rejected_execution_exception"),
                (400, "mapper_parsing_exception"),
                (503, "x"),
            ]),
            answer(&[(201, ""), (429, "circuit_breaking_exception")]),
            answer(&[(201, "")]),
        ],
    );
    let done = done.unwrap();
    assert_eq!((done.created, done.already_there, done.refused.len(), done.repeated), (3, 0, 1, 2));
    assert_eq!((done.refused[0].place, &*done.refused[0].kind), (2, "mapper_parsing_exception"));
    assert_eq!(sent, [4, 2, 1]);
}

#[test]
fn a_server_that_is_busy_failing_or_away_is_tried_again() {
    let (done, sent) = delivered(
        1,
        vec![
            Act::Refuse,
            Act::Answer(429, "", "{}".to_owned()),
            Act::Answer(503, "Retry-After: 1\r\n", "<html>".to_owned()),
            Act::Answer(502, "", String::new()),
            answer(&[(409, "version_conflict_engine_exception")]),
        ],
    );
    assert_eq!(done.unwrap(), Delivered { already_there: 1, repeated: 4, ..Delivered::default() });
    assert_eq!(sent, [1, 1, 1, 1, 1]);
}

#[test]
fn patience_ends_with_an_error_that_says_what_went_wrong_last() {
    let until = Some(Instant::now() + Duration::from_millis(60));
    let patience = Patience { first: Duration::from_millis(2), longest: Duration::from_millis(10), until };
    let server = StandIn::start(Vec::new(), Act::Answer(503, "", "{}".to_owned()));
    let error = deliver(&cluster(&server.url), &documents(3), &patience, &mut |_| {}).unwrap_err();
    assert!(matches!(error, DeliveryError::OutOfPatience { left: 3, .. }), "{error:?}");
    assert!(error.to_string().contains("status 503") && error.to_string().contains(&server.url), "{error}");
    assert!(server.bulks().len() > 2, "it was tried several times");
}

#[test]
fn what_trying_again_would_not_change_ends_at_once() {
    let cases = [
        (Act::Answer(401, "", "{}".to_owned()), "credentials"),
        (Act::Answer(403, "", "{\"error\":{\"type\":\"security_exception\"}}".to_owned()), "security_exception"),
        (Act::Answer(404, "", "<html>".to_owned()), "address of Elasticsearch"),
        (Act::Answer(302, "Location: /login\r\n", String::new()), "address of Elasticsearch"),
        (Act::Answer(200, "", "<html>".to_owned()), "bulk API"),
        (answer(&[(201, "")]), "bulk API"),
        (answer(&[(201, ""), (404, "index_not_found_exception")]), "index_not_found_exception"),
        (answer(&[(201, ""), (403, "security_exception")]), "security_exception"),
        (answer(&[(400, "validation_exception"), (201, "")]), "validation_exception"),
    ];
    for (act, word) in cases {
        let (outcome, sent) = delivered(2, vec![act]);
        let error = outcome.unwrap_err();
        assert!(matches!(error, DeliveryError::Forbidden { .. }) && error.to_string().contains(word), "{error}");
        assert!(!error.to_string().contains("marmoset"), "{error}");
        assert_eq!(sent, [2]);
    }
}

#[test]
fn a_request_that_is_too_large_is_halved_down_to_the_document_that_is() {
    let too_large = || Act::Answer(413, "", String::new());
    let (done, sent) = delivered(
        4,
        vec![too_large(), answer(&[(201, ""), (201, "")]), too_large(), too_large(), answer(&[(201, "")])],
    );
    let done = done.unwrap();
    assert_eq!((done.created, done.refused.len(), done.refused[0].place), (3, 1, 2));
    assert_eq!(sent, [4, 2, 2, 1, 1]);
}

#[test]
fn many_documents_go_out_in_several_requests() {
    let all = |count: usize| answer(&vec![(201, ""); count]);
    let (done, sent) = delivered(2500, vec![all(1000), all(1000), all(500)]);
    assert_eq!(done.unwrap().created, 2500);
    assert_eq!(sent, [1000, 1000, 500]);
}
