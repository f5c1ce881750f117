//! What the server tells its operators: logs without sentences, metrics that add up, and records.

use serde_json::{Value, json};
use wellformed_core::record::{Channel, Level, Prediction, Record, Service, TextPolicy};
use wellformed_infer::Precision;
use wellformed_serve::{LogFormat, Records, Settings};

use crate::support::{
    Answer, DIGEST, JSON, Running, expected, request, send, start, start_logging, start_recording, start_with_records,
    until, write,
};

/// A word that is in every request and may be in no log.
const SECRET: &str = "marmoset";

fn ask_everything(server: &Running) -> Vec<Answer> {
    let id = ("X-Request-Id", "asked-1");
    let body = json!({"sentence": format!("The {SECRET} sleeps.")}).to_string();
    vec![
        send(server.address, "POST", "/predict", &[JSON, id], &body),
        server.post("/predict", &json!({"sentences": [format!("A {SECRET}."), "It rains."]})),
        server.get(&format!("/predict?text={SECRET}")),
        server.post("/explain", &json!({"sentence": format!("The {SECRET} sleeps.")})),
        server.get(&format!("/explain?text={SECRET}")),
        server.get(&format!("/?text={SECRET}")),
        server.post("/predict", &json!({SECRET: "unknown field"})),
        server.post("/predict", &json!({"sentence": [SECRET]})),
        server.post("/explain", &json!({"sentence": "a", "perturbation": SECRET})),
        send(server.address, "POST", "/predict", &[JSON], &format!("{{{SECRET}")),
        send(server.address, "POST", "/predict", &[JSON, ("X-Request-Id", &format!("the {SECRET}"))], &body),
        server.get(&format!("/{SECRET}")),
        send(server.address, SECRET, "/predict", &[], ""),
    ]
}

#[test]
fn the_log_has_a_line_for_each_request_and_never_a_sentence() {
    for format in [LogFormat::Json, LogFormat::Text] {
        let mut server = start_logging(Settings::default(), format);
        let answers = ask_everything(&server);
        server.end();
        let log = server.log.text();
        assert!(!log.contains(SECRET), "{log}");
        assert!(!log.contains("rains"), "{log}");
        assert_eq!(log.lines().count(), answers.len(), "{log}");
        assert!(log.lines().next().unwrap().contains("asked-1"), "{log}");
    }
}

#[test]
fn a_line_of_the_log_says_what_was_answered_and_where_the_time_went() {
    let mut server = start();
    let answers = ask_everything(&server);
    server.end();
    let lines: Vec<Value> = server.log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (line, answer) in lines.iter().zip(&answers) {
        assert_eq!(line["status"], answer.status);
        assert_eq!(line["id"], answer.headers["x-request-id"]);
        let ms = |name: &str| line["ms"][name].as_f64().unwrap();
        assert!(ms("tokenization") + ms("queue") + ms("inference") <= ms("total") + 0.01, "{line}");
        assert_eq!(line["time"].as_str().unwrap().len(), "2020-01-01T00:00:00.000Z".len());
    }
    assert_eq!(lines[0]["route"], "/predict");
    assert_eq!(lines[0]["method"], "POST");
    assert_eq!((&lines[0]["sentences"], &lines[0]["tokens"]), (&json!(1), &json!(5)));
    assert_eq!((&lines[1]["sentences"], &lines[1]["tokens"]), (&json!(2), &json!(8)));
    assert!(lines[0]["ms"]["inference"].as_f64().unwrap() > 0.0);
    assert!(lines[0].get("error").is_none());
    assert_eq!(lines[6]["error"], "unknown_field");
    assert_eq!(lines[9]["error"], "malformed_json");
    assert_eq!(lines[11]["route"], "other");
    assert_eq!(lines[12]["method"], "other");
}

#[test]
fn a_client_that_hangs_up_has_a_line_too() {
    let mut server = start();
    server.hand.hold();
    let gone = write(server.address, &request("POST", "/predict", &[JSON], "{\"sentence\": \"It rains.\"}"));
    until("the model has it", || server.hand.seen() == 1);
    drop(gone);
    until("the server notices", || server.log.text().contains("client_gone"));
    server.hand.release();
    server.end();
    let line: Value = serde_json::from_str(server.log.text().lines().next().unwrap()).unwrap();
    assert_eq!((&line["status"], &line["tokens"]), (&json!(499), &json!(4)));
}

#[test]
fn metrics_add_up() {
    let server = start();
    let answers = ask_everything(&server);
    let long = server.post("/predict", &json!({"sentence": format!("#a #b {}", "word ".repeat(50))}));
    assert_eq!(long.status, 200);
    let metric = |name: &str| server.metric(&format!("wellformed_{name}"));
    let requests = |method: &str, route: &str, status: u16| {
        metric(&format!("http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"))
    };
    assert_eq!(requests("POST", "/predict", 200), 4.0);
    assert_eq!(requests("POST", "/predict", 422), 2.0);
    assert_eq!(requests("POST", "/predict", 400), 1.0);
    assert_eq!(requests("GET", "/predict", 200), 1.0);
    assert_eq!(requests("GET", "other", 404), 1.0);
    assert_eq!(requests("other", "/predict", 405), 1.0);
    let errors = answers.iter().filter(|answer| answer.status >= 400).count() as f64;
    let text = server.get("/metrics").body;
    let sum = |prefix: &str| -> f64 {
        let lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    assert_eq!(sum("wellformed_errors_total{"), errors);
    // 4 + 1 predicted alone, 1 pair more, and 3 explanations.
    assert_eq!(sum("wellformed_sentences_total{"), 9.0);
    assert_eq!(metric("explanations_total"), 3.0);
    let tokens = 5.0 + (4.0 + 4.0) + 3.0 + 5.0 + 3.0 + 3.0 + 5.0 + 24.0;
    assert_eq!(metric("tokens_total"), tokens);
    assert_eq!(metric("truncated_sentences_total"), 1.0);
    assert_eq!(metric("unknown_tokens_total"), 2.0);
    assert_eq!(metric("batch_sentences_sum"), 6.0, "explanations are no batches of sentences");
    assert_eq!(metric("batch_tokens_sum"), tokens - 5.0 - 3.0 - 3.0);
    assert_eq!(metric("batch_sentences_count"), server.hand.batches().len() as f64 - 3.0);
    for phase in ["tokenization", "queue", "inference"] {
        assert_eq!(metric(&format!("phase_seconds_count{{phase=\"{phase}\"}}")), 8.0, "{phase}");
    }
    assert_eq!(metric("http_request_seconds_count{route=\"/explain\"}"), 3.0);
    assert_eq!(metric("http_requests_in_flight"), 1.0, "the one that asks");
    assert_eq!(metric("queue_sentences"), 0.0);
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("wellformed_build_info{version="), "{text}");
    assert!(!text.contains(SECRET));
}

#[test]
fn every_prediction_that_is_answered_is_recorded_and_so_is_every_error() {
    let mut server = start();
    let id = ("X-Request-Id", "batch-1");
    send(server.address, "POST", "/predict", &[JSON, id], "{\"sentences\": [\"A b c.\", \"  It rains, na\u{ef}f. \"]}");
    send(server.address, "POST", "/predict", &[JSON, id], "{\"sentences\": [\"A b c.\", \"\"]}");
    server.post("/explain", &json!({"sentence": "It rains."}));
    server.get("/?text=It%20rains.");
    server.get("/nothing");
    server.end();
    let records = server.records();
    let Record::Start(ready) = &records[0] else { panic!("{records:?}") };
    assert_eq!((ready.service, &*ready.bundle, ready.precision), (Service::Serve, DIGEST, Precision::Int8));
    let predictions: Vec<&Prediction> = records
        .iter()
        .filter_map(|record| match record {
            Record::Prediction(prediction) => Some(&**prediction),
            _ => None,
        })
        .collect();
    let short: Vec<_> = predictions.iter().map(|p| (p.index, p.tokens, p.explained, p.channel, p.cold_start)).collect();
    let (http, page) = (Channel::Http, Channel::Page);
    assert_eq!(
        short,
        [(0, 5, false, http, true), (1, 5, false, http, true), (0, 4, true, http, false), (0, 4, true, page, false)]
    );
    assert_eq!(predictions[1].request_id, "batch-1");
    assert_eq!((predictions[1].characters, predictions[1].non_ascii_share), (15, 1.0 / 15.0));
    assert_eq!(predictions[0].p_acceptable, expected("A b c."));
    assert!(predictions.iter().all(|p| p.text.is_none() && p.text_hash.is_none() && p.total_ms >= p.inference_ms));
    let problems: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Problem(problem) => Some((problem.status, &*problem.code, problem.level)),
            _ => None,
        })
        .collect();
    assert_eq!(problems, [(422, "empty_sentence", Level::Warn), (404, "not_found", Level::Warn)]);
    assert_eq!(records.len(), 1 + 4 + 2);
}

#[test]
fn records_hold_no_sentence_unless_it_is_asked_for() {
    let mut server = start();
    ask_everything(&server);
    server.end();
    assert!(server.records().len() > 10);
    assert!(!server.records.text().contains(SECRET), "{}", server.records.text());

    let texts = TextPolicy::read(|name| match name {
        "WELLFORMED_LOG_TEXT" => Some("1".to_owned()),
        _ => Some("a key of our own, long enough".to_owned()),
    });
    let mut server = start_recording(Settings::default(), LogFormat::Json, texts.unwrap());
    server.post("/predict", &json!({"sentence": format!("The {SECRET} writes to me@example.org.")}));
    server.end();
    let Record::Prediction(prediction) = &server.records()[1] else { panic!("{}", server.records.text()) };
    assert_eq!(prediction.text.as_deref(), Some(&*format!("The {SECRET} writes to [email].")));
    assert_eq!(prediction.text_hash.as_ref().unwrap().len(), 16);
    assert!(!server.log.text().contains(SECRET), "the access log never has a sentence");
}

/// An output that is stuck until it is told to go on, and that may fail.
#[derive(Clone, Default)]
struct Stuck(std::sync::Arc<(std::sync::Mutex<bool>, std::sync::Condvar)>);

impl std::io::Write for Stuck {
    fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
        let mut free = self.0.0.lock().unwrap();
        while !*free {
            free = self.0.1.wait(free).unwrap();
        }
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn records_that_cannot_be_written_hold_up_no_answer_and_are_counted() {
    let stuck = Stuck::default();
    let records = Records::new(TextPolicy::default()).to(stuck.clone()).unwrap();
    let server = start_with_records(Settings { max_sentences: 300, ..Settings::default() }, records);
    let sentences = vec!["It rains."; 250];
    // More than may wait to be written.
    for _ in 0..40 {
        assert_eq!(server.post("/predict", &json!({"sentences": sentences})).status, 200);
    }
    let lost = || server.metric("wellformed_records_lost_total");
    let early = lost();
    assert!(early > 0.0 && early < 10_001.0, "{early}");
    *stuck.0.0.lock().unwrap() = true;
    stuck.0.1.notify_all();
    // What waited fails now.
    until("all are counted", || lost() == 10_001.0);
}
