//! What the forwarder does with a payload, over a server that is told what to do.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};
use wellformed_monitor::bulk::INDEX;
use wellformed_monitor::cloudwatch::Subscription;
use wellformed_monitor::forwarder::{Failure, Forwarded, Forwarder};

use crate::stand_in::{Act, StandIn, bulk_answer};
use crate::support::{cluster, fixture, line};

/// What `CloudWatch` sends for these lines.
pub(crate) fn event(kind: &str, group: &str, lines: &[String]) -> Value {
    let events: Vec<Value> = lines
        .iter()
        .enumerate()
        .map(
            |(number, line)| json!({"id": format!("3684{number:052}"), "timestamp": 1, "message": format!("{line}\n")}),
        )
        .collect();
    let payload = json!({
        "messageType": kind, "owner": "123456789012", "logGroup": group, "logStream": "2026/09/22/[7]01",
        "subscriptionFilters": ["records"], "logEvents": events,
    });
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(payload.to_string().as_bytes()).unwrap();
    json!({"awslogs": {"data": BASE64_STANDARD.encode(packed.finish().unwrap())}})
}

fn subscription(event: &Value) -> Subscription {
    serde_json::from_value(event.clone()).unwrap()
}

fn data(lines: &[String]) -> Subscription {
    subscription(&event("DATA_MESSAGE", "/aws/lambda/wellformed", lines))
}

fn forward(server: &StandIn, event: &Subscription) -> Result<Forwarded, Failure> {
    let own = Some("/aws/lambda/forwarder".to_owned());
    let mut forwarder = Forwarder::new(cluster(&server.url), INDEX.to_owned(), own);
    forwarder.forward(event, Instant::now() + Duration::from_secs(20))
}

fn answer(items: &[(u16, &str)]) -> Act {
    Act::Answer(200, "", bulk_answer(items))
}

#[test]
fn the_payload_of_moto_is_forwarded_record_by_record() {
    let server = StandIn::start(vec![answer(&[(201, ""); 4])], Act::Refuse);
    let event: Subscription = serde_json::from_slice(&fs::read(fixture("subscription-moto.json")).unwrap()).unwrap();
    let done = forward(&server, &event).unwrap();
    assert_eq!(done, Forwarded { created: 4, skipped: 5, ..Forwarded::default() });
    let body = server.bulks().remove(0).body;
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(kinds, ["start", "prediction", "prediction", "problem"]);
    assert_eq!(lines[5]["text"], "Naïve “bakers” opens, the oven.");
    assert!(!body.contains("_aws"));
}

#[test]
fn a_control_message_and_the_forwarders_own_log_are_not_forwarded() {
    let server = StandIn::start(Vec::new(), Act::Refuse);
    let lines = [line(1), line(2)];
    let control = subscription(&event("CONTROL_MESSAGE", "/aws/lambda/wellformed", &lines));
    assert_eq!(forward(&server, &control).unwrap(), Forwarded::default());
    let own = subscription(&event("DATA_MESSAGE", "/aws/lambda/forwarder", &lines));
    assert_eq!(forward(&server, &own).unwrap(), Forwarded { skipped: 2, ..Forwarded::default() });
    assert!(server.asked().is_empty());
}

#[test]
fn what_will_never_be_taken_fails_the_invocation_after_everything_else_was_delivered() {
    let server = StandIn::start(
        vec![answer(&[(201, ""), (400, "mapper_parsing_exception"), (429, "busy")]), answer(&[(201, "")])],
        Act::Refuse,
    );
    let damaged = line(4).replace("\"tokens\":7", "\"tokens\":\"marmoset\"");
    let failure = forward(&server, &data(&[line(1), line(2), line(3), damaged])).unwrap_err();
    assert!(matches!(failure, Failure::Unusable { damaged: 1, refused: 1, .. }), "{failure:?}");
    assert_eq!(server.bulks().len(), 2, "what was put off was sent again first");
    let diagnostic = Diagnostic::from(failure);
    assert_eq!(diagnostic.error_type, "Forwarder.Unusable");
    assert!(!diagnostic.error_message.contains("marmoset"), "{}", diagnostic.error_message);
}

#[test]
fn a_cluster_that_takes_nothing_fails_the_invocation_so_that_lambda_repeats_it() {
    let cases =
        [(Act::Answer(401, "", "{}".to_owned()), "credentials"), (Act::Answer(503, "", "{}".to_owned()), "503")];
    for (act, word) in cases {
        let server = StandIn::start(Vec::new(), act);
        let mut forwarder = Forwarder::new(cluster(&server.url), INDEX.to_owned(), None);
        let failure = forwarder.forward(&data(&[line(1)]), Instant::now() + Duration::from_millis(300)).unwrap_err();
        let diagnostic = Diagnostic::from(failure);
        assert_eq!(diagnostic.error_type, "Forwarder.Undelivered");
        assert!(diagnostic.error_message.contains(word), "{}", diagnostic.error_message);
    }
}

#[test]
fn what_is_no_payload_is_said_to_be_none() {
    let server = StandIn::start(Vec::new(), Act::Refuse);
    for (data, word) in [("%%%", "base64"), ("bWFybW9zZXQ=", "gzip")] {
        let failure = forward(&server, &subscription(&json!({"awslogs": {"data": data}}))).unwrap_err();
        assert!(failure.to_string().contains(word), "{failure}");
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(b"{\"marmoset\": 1}").unwrap();
    let other = json!({"awslogs": {"data": BASE64_STANDARD.encode(packed.finish().unwrap())}});
    let failure = forward(&server, &subscription(&other)).unwrap_err();
    assert!(failure.to_string().contains("CloudWatch Logs") && !failure.to_string().contains("marmoset"), "{failure}");
}

#[test]
fn settings_are_checked_and_no_secret_is_repeated() {
    let read = |variables: &[(&str, &str)]| {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Forwarder::read(find).map(|_| ()).map_err(|error| format!("{error:#}"))
    };
    let url = ("ELASTICSEARCH_URL", "https://search.example.org");
    assert_eq!(read(&[url, ("ELASTICSEARCH_API_KEY", "hunter2"), ("WELLFORMED_INDEX", "my-records")]), Ok(()));
    assert!(read(&[]).unwrap_err().contains("ELASTICSEARCH_URL is not set"));
    assert!(read(&[url, ("WELLFORMED_INDEX", "My records")]).unwrap_err().contains("My records"));
    let error = read(&[url, ("ELASTICSEARCH_API_KEY", "hunter2"), ("ELASTICSEARCH_USERNAME", "me")]).unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
    let ca = ("ELASTICSEARCH_CA", "-----BEGIN MARMOSET-----");
    let error = read(&[url, ca]).unwrap_err();
    assert!(error.starts_with("ELASTICSEARCH_CA ") && error.contains("PEM"), "{error}");
    assert!(read(&[url, ca, ("ELASTICSEARCH_CA_FILE", "/ca.pem")]).unwrap_err().contains("leave one of them away"));
}
