//! What the forwarder's program does in its image: what can be said of it without a cluster.
//!
//! Its events are what `CloudWatch` Logs sends to a subscribed function: JSON, packed by gzip, in base64 (Amazon
//! `CloudWatch` Logs user guide, "Real-time processing of log data with subscriptions").

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use wellformed_core::label::Label;
use wellformed_core::precision::Precision;
use wellformed_core::record::{Channel, Level, Prediction, Record, Service, Timestamp};

use crate::error::Error;
use crate::sandbox::{LOG_GROUP, Limits, Prepared, Sandbox};
use crate::verify::{Check, Expectations, check, listed};

/// The cluster's address.
const URL: &str = "ELASTICSEARCH_URL";
/// Where no cluster is: a port below 1024 that nobody uses any more.
const NOWHERE: &str = "http://127.0.0.1:1";
/// The log group of the function that predicts, which is not the forwarder's own.
const PREDICTOR: &str = "/aws/lambda/predictor";
/// How long Lambda waits for the forwarder, of which it takes 3 s less to try again and again.
const DEADLINE: Duration = Duration::from_secs(6);
/// In the records that are sent, and not to be in the log.
const SENTENCE: &str = "The plumber forgot his umbrella.";

/// What the program has to be told to start.
pub(crate) fn variables() -> BTreeMap<String, String> {
    BTreeMap::from([(URL.to_owned(), NOWHERE.to_owned())])
}

/// The event with which `CloudWatch` tries whether the function can be reached: there is nothing to forward.
pub(crate) fn control_message() -> Vec<u8> {
    let check = "CWL CONTROL MESSAGE: Checking health of destination Lambda function.";
    event("CONTROL_MESSAGE", "", &[check.to_owned()])
}

/// An event of a subscription with these lines.
fn event(kind: &str, group: &str, lines: &[String]) -> Vec<u8> {
    let events: Vec<Value> = (0_u64..)
        .zip(lines)
        .map(|(number, line)| json!({"id": format!("{number:056}"), "timestamp": 1_790_068_462_123_u64, "message": line}))
        .collect();
    let payload = json!({
        "messageType": kind, "owner": "123456789012", "logGroup": group, "logStream": "2026/09/22/[7]01",
        "subscriptionFilters": ["records"], "logEvents": events,
    });
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    // Into memory, which takes everything.
    let packed = packed.write_all(payload.to_string().as_bytes()).and_then(|()| packed.finish()).unwrap_or_default();
    json!({"awslogs": {"data": BASE64_STANDARD.encode(packed)}}).to_string().into_bytes()
}

/// A line of the log of the function that predicts.
fn record() -> Result<String, Error> {
    let prediction = Prediction {
        timestamp: Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_068_462_123)),
        level: Level::Info,
        service: Service::Lambda,
        version: "7".to_owned(),
        request_id: "8e1c2f0a-3f0e-4f6e-9a43-0d7d1f5a7a01".to_owned(),
        index: 0,
        bundle: "0".repeat(64),
        precision: Precision::Int8,
        channel: Channel::Direct,
        label: Label::Acceptable,
        p_acceptable: 0.875,
        entropy: 0.543_564_443_199_596_4,
        tokens: 8,
        truncated: false,
        unknown_tokens: 0,
        characters: 32,
        non_ascii_share: 0.0,
        pieces_per_word: None,
        frequent_share: None,
        surprise: None,
        text_hash: None,
        explained: false,
        tokenization_ms: 0.015,
        inference_ms: 2.5,
        total_ms: 2.6,
        cold_start: false,
        text: Some(SENTENCE.to_owned()),
        aws: None,
    };
    let line = Record::Prediction(Box::new(prediction)).with_metrics().to_line();
    let line = line.map_err(|error| Error::Invalid(format!("a record cannot be written as JSON: {error}")))?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// What a program that is ready, and whose cluster is nowhere, answers.
pub(crate) fn run(
    prepared: &Prepared,
    sandbox: Sandbox,
    expected: &Expectations,
    checks: &mut Vec<Check>,
) -> Result<(), Error> {
    sandbox.shutdown();
    without_an_address(prepared, expected.limits, checks)?;

    let mut sandbox = prepared.start(Limits { timeout: DEADLINE, ..expected.limits }, &variables())?;
    let mut log = Vec::new();
    let mut ask = |event: &[u8]| -> Result<(Option<String>, Value), Error> {
        let answer = sandbox.invoke(event)?;
        let (error, found) = (answer.function_error.clone(), answer.json());
        log.extend(answer.log);
        log.push(found.to_string());
        Ok((error, found))
    };

    let nothing = json!({
        "created": 0, "already_there": 0, "skipped": 0, "damaged": 0, "refused": 0, "repeated": 0,
    });
    let (error, found) = ask(&control_message())?;
    checks.push(check("a control message forwards nothing", error.is_none() && found == nothing, found.to_string()));

    let lines = ["START RequestId: 8e1c2f0a-3f0e-4f6e-9a43-0d7d1f5a7a01 Version: 7\n".to_owned(), record()?];
    let (error, found) = ask(&event("DATA_MESSAGE", LOG_GROUP, &lines))?;
    let kept = error.is_none() && found["skipped"] == 2 && found["created"] == 0;
    checks.push(check("its own log is not forwarded", kept, found.to_string()));

    // Lambda repeats what fails, and keeps it in the end: so it has to fail, with the error that says what to do.
    for (claim, event, wanted) in [
        (
            "records that no cluster takes make the invocation fail",
            event("DATA_MESSAGE", PREDICTOR, &lines),
            "Forwarder.Undelivered",
        ),
        (
            "what is no log makes the invocation fail",
            br#"{"awslogs": {"data": "no log"}}"#.to_vec(),
            "Forwarder.NotALog",
        ),
    ] {
        let (error, found) = ask(&event)?;
        checks.push(check(claim, error.is_some() && found["errorType"] == wanted, found.to_string()));
    }
    let lives = sandbox.is_alive();
    checks.push(check("it lives on after failures", lives, if lives { "yes" } else { "it ended" }.to_owned()));
    log.extend(sandbox.shutdown());
    let told: Vec<String> = log.into_iter().filter(|line| line.contains(SENTENCE)).collect();
    checks.push(check("no sentence is in its log or its answers", told.is_empty(), listed(&told)));
    Ok(())
}

/// Without the cluster's address it must not get ready, and has to say what is missing.
fn without_an_address(prepared: &Prepared, limits: Limits, checks: &mut Vec<Check>) -> Result<(), Error> {
    let (passed, found) = match prepared.start(limits, &BTreeMap::new()) {
        Ok(_) => (false, "it gets ready all the same".to_owned()),
        Err(Error::Init { log, .. }) => (log.contains(URL), log),
        Err(error) => return Err(error),
    };
    checks.push(check("without a cluster's address it says what is missing", passed, found));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn an_event_unpacks_to_its_lines_and_a_line_is_a_record_with_a_sentence() {
        let event: Value = serde_json::from_slice(&event("DATA_MESSAGE", PREDICTOR, &[record().unwrap()])).unwrap();
        let packed = BASE64_STANDARD.decode(event["awslogs"]["data"].as_str().unwrap()).unwrap();
        let mut payload = String::new();
        GzDecoder::new(&*packed).read_to_string(&mut payload).unwrap();
        let payload: Value = serde_json::from_str(&payload).unwrap();
        assert_eq!(payload["logGroup"], PREDICTOR);
        let line = payload["logEvents"][0]["message"].as_str().unwrap();
        let Record::Prediction(prediction) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
        assert_eq!(prediction.text.as_deref(), Some(SENTENCE));
    }
}
