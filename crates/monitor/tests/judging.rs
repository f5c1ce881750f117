//! The commands that judge, run as a user runs them: `check`, `watch`, `report`, `label`, `export-candidates`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use wellformed_core::bundle::{Decision, FileEntry, Headline, Manifest, Origin, PROFILE, Precision};
use wellformed_core::files::sha256_bytes;
use wellformed_core::label::Label;
use wellformed_core::record::{Channel, Level, Prediction, Problem, Record, Service, Timestamp, entropy_bits};
use wellformed_drift::profile::Source;
use wellformed_drift::{Features, Profile};

/// A number from 0 to 1 that looks like chance and is the same each time (Weyl sequence).
fn chance(index: usize, stream: usize) -> f64 {
    ((index + 1) as f64 * [0.618_033_988_75, 0.414_213_562_37, 0.732_050_807_57][stream]).fract()
}

/// The probability of the sentence with this number, and its length in tokens.
fn usual(index: usize) -> (f64, u32) {
    (0.25 + 0.7 * chance(index, 0).sqrt(), 6 + (9.0 * chance(index, 1)) as u32)
}

fn label(p: f64) -> Label {
    if p > 0.5 { Label::Acceptable } else { Label::Unacceptable }
}

/// What people would say of the sentence: the model is right as often as it says.
fn truth(index: usize) -> Label {
    if chance(index, 2) < usual(index).0 { Label::Acceptable } else { Label::Unacceptable }
}

struct Place {
    folder: TempDir,
    digest: String,
}

impl Place {
    /// A folder with a bundle's manifest and profile.
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let features = |index: usize| {
            let (p, tokens) = usual(index);
            Features {
                tokens,
                unknown_tokens: 0,
                truncated: false,
                characters: Some(5 * tokens),
                non_ascii_share: Some(0.0),
                signals: None,
                p_acceptable: p,
                label: label(p),
                precision: Some(Precision::Int8),
                text_hash: None,
                latency_ms: None,
                cold_start: None,
            }
        };
        let rows: Vec<Features> = (0..600).map(features).collect();
        let labels: Vec<Label> = (0..600).map(truth).collect();
        let source = Source {
            split: "validation".to_owned(),
            precision: Precision::Int8,
            max_length: 128,
            threshold: 0.5,
            files: BTreeMap::from([("model.int8.onnx".to_owned(), "ab".repeat(32))]),
        };
        let profile = serde_json::to_vec(&Profile::build(source, &rows, Some(&labels)).unwrap()).unwrap();
        let bundle = folder.path().join("models/bundle");
        fs::create_dir_all(&bundle).unwrap();
        fs::write(bundle.join(PROFILE), &profile).unwrap();
        let file = FileEntry { sha256: sha256_bytes(&profile), bytes: profile.len() as u64 };
        let manifest = Manifest {
            format: 1,
            digest: String::new(),
            labels: Label::ALL,
            max_length: 128,
            vocabulary: 100,
            calibration: Decision { temperature: 1.0, threshold: 0.5 },
            default_precision: Precision::Int8,
            files: BTreeMap::from([(PROFILE.to_owned(), file)]),
            origin: Origin {
                data: BTreeMap::new(),
                base_model: "random".to_owned(),
                base_model_sha256: None,
                checkpoint_sha256: String::new(),
                git_commit: None,
                uncommitted: false,
                parameters: Value::Null,
            },
            metrics: Headline {
                sentences: 600,
                mcc: 0.4,
                mcc_low: 0.3,
                mcc_high: 0.5,
                accuracy: 0.7,
                int8_mcc: 0.4,
                ece: None,
            },
        }
        .seal();
        fs::write(bundle.join("bundle.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
        Self { folder, digest: manifest.digest }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A record like those of the reference, of this minute.
    fn record(&self, index: usize) -> Prediction {
        let (p, tokens) = usual(index);
        Prediction {
            timestamp: Timestamp::from_unix_millis(Timestamp::now().unix_millis() - 60_000 + index as u64),
            level: Level::Info,
            service: Service::Serve,
            version: "1".to_owned(),
            request_id: format!("request-{index}"),
            index: 0,
            bundle: self.digest.clone(),
            precision: Precision::Int8,
            channel: Channel::Http,
            label: label(p),
            p_acceptable: p,
            entropy: entropy_bits(p),
            tokens,
            truncated: false,
            unknown_tokens: 0,
            characters: 5 * tokens,
            non_ascii_share: 0.0,
            pieces_per_word: None,
            frequent_share: None,
            surprise: None,
            text_hash: Some(format!("{index:016x}")),
            explained: false,
            tokenization_ms: 0.1,
            inference_ms: 1.0,
            total_ms: 2.0,
            cold_start: false,
            text: None,
            aws: None,
        }
    }

    /// Writes records, changed, as a log.
    fn log(&self, name: &str, indices: std::ops::Range<usize>, change: impl Fn(&mut Prediction)) -> Vec<Record> {
        let record = |index| {
            let mut prediction = self.record(index);
            change(&mut prediction);
            Record::Prediction(Box::new(prediction))
        };
        let records: Vec<Record> = indices.map(record).collect();
        let lines: Vec<u8> = records.iter().flat_map(|record| record.to_line().unwrap()).collect();
        fs::write(self.path(name), lines).unwrap();
        records
    }

    fn monitor(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monitor"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

fn harder(prediction: &mut Prediction) {
    prediction.p_acceptable *= 0.6;
    prediction.label = label(prediction.p_acceptable);
    prediction.entropy = entropy_bits(prediction.p_acceptable);
}

#[test]
fn check_ends_with_a_code_of_its_own_for_each_verdict() {
    let place = Place::new();
    place.log("usual.jsonl", 600..1000, |_| {});
    let output = place.monitor(&["check", "usual.jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).starts_with("ok: 400 predictions of 400 records"), "{}", text(&output));

    place.log("harder.jsonl", 600..1000, harder);
    let output = place.monitor(&["check", "--json", "harder.jsonl"]);
    assert_eq!(output.status.code(), Some(20), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["counted"]), (&json!("alert"), &json!(400)));
    let codes: Vec<&str> =
        report["reasons"].as_array().unwrap().iter().filter_map(|one| one["code"].as_str()).collect();
    assert!(codes.contains(&"p_acceptable") && codes.contains(&"label"), "{codes:?}");

    let output = place.monitor(&["check", "--last", "50", "usual.jsonl"]);
    assert_eq!(output.status.code(), Some(30), "{}", text(&output));

    place.log("slow.jsonl", 600..1000, |one| one.total_ms = 300.0);
    let output = place.monitor(&["check", "slow.jsonl"]);
    assert_eq!(output.status.code(), Some(10), "{}", text(&output));
    assert!(text(&output).contains("above the limit of 250 (service.latency_p95_ms)"), "{}", text(&output));
    fs::write(place.path("monitor.yaml"), "service: {latency_p95_ms: {warn: 500, alert: 900}}\n").unwrap();
    assert_eq!(place.monitor(&["check", "slow.jsonl"]).status.code(), Some(0));

    let output = place.monitor(&["check", "missing.jsonl"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    fs::write(place.path("monitor.yaml"), "service: {latency: 3}\n").unwrap();
    let output = place.monitor(&["check", "usual.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("monitor.yaml") && text(&output).contains("latency"), "{}", text(&output));
}

#[test]
fn a_profile_that_is_not_the_bundles_is_refused() {
    let place = Place::new();
    place.log("usual.jsonl", 600..1000, |_| {});
    let path = place.path("models/bundle/profile.json");
    let changed = fs::read_to_string(&path).unwrap().replacen("0.9", "0.8", 1);
    fs::write(&path, changed).unwrap();
    let output = place.monitor(&["check", "usual.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("profile.json: its SHA-256 is"), "{}", text(&output));
}

#[test]
fn labels_are_joined_by_id_or_by_hash_and_give_the_mcc_of_the_confusion_matrix() {
    let place = Place::new();
    let records = place.log("usual.jsonl", 600..1000, |_| {});
    let mut by_id = vec!["label,id,note".to_owned()];
    let mut by_hash = vec!["text_hash\tlabel".to_owned()];
    let (mut both, mut rows) = ([[0_u64; 2]; 2], Vec::new());
    for (at, record) in records.iter().enumerate().take(200) {
        let Record::Prediction(one) = record else { unreachable!() };
        let truth = truth(600 + at);
        both[truth.index()][one.label.index()] += 1;
        rows.push(truth);
        by_id.push(format!("{},{},", truth.index(), record.id()));
        by_hash.push(format!("{}\t{}", one.text_hash.as_deref().unwrap(), truth.index()));
    }
    by_id.extend(["1,of-another-log,".to_owned(), ",not-yet,".to_owned()]);
    fs::write(place.path("labels.csv"), by_id.join("\n")).unwrap();
    fs::write(place.path("labels.tsv"), by_hash.join("\n")).unwrap();
    let [[tn, fp], [fn_, tp]] = both.map(|row| row.map(|count| count as f64));
    let mcc = (tp * tn - fp * fn_) / ((tp + fp) * (tp + fn_) * (tn + fp) * (tn + fn_)).sqrt();
    for (file, missing) in [("labels.csv", 1), ("labels.tsv", 0)] {
        let output = place.monitor(&["label", "--labels", file, "--json", "usual.jsonl"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let measured = &found["report"]["performance"]["measured"];
        assert!((measured["mcc"]["value"].as_f64().unwrap() - mcc).abs() < 1e-9, "{measured}");
        assert_eq!(measured["sentences"], 200);
        assert_eq!(found["labels"]["not_found"], missing);
    }
    fs::write(place.path("wrong.csv"), "id,label\nrequest,yes\n").unwrap();
    let output = place.monitor(&["label", "--labels", "wrong.csv", "usual.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("row 1: label is \"yes\", but must be 1, 0 or empty"), "{}", text(&output));
}

#[test]
fn candidates_need_texts_and_become_a_file_that_the_pipeline_takes() {
    let place = Place::new();
    place.log("usual.jsonl", 600..700, |_| {});
    let output = place.monitor(&["export-candidates", "--output", "to-label.csv", "usual.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("WELLFORMED_LOG_TEXT=1"), "{}", text(&output));
    assert!(!place.path("to-label.csv").exists());

    // Each sentence twice.
    let records = place.log("texts.jsonl", 600..700, |one| {
        one.text = Some(format!("The baker, at \"number {}\", waited.", one.request_id.len() + one.tokens as usize));
    });
    let uncertain = |record: &Record| match record {
        Record::Prediction(one) => one.entropy,
        _ => 0.0,
    };
    for (file, delimiter) in [("to-label.csv", b','), ("to-label.tsv", b'\t')] {
        let output = place.monitor(&["export-candidates", "--count", "5", "--output", file, "texts.jsonl"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .quoting(delimiter == b',')
            .from_path(place.path(file))
            .unwrap();
        assert_eq!(reader.headers().unwrap(), vec!["sentence", "label", "source", "id"]);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 5);
        let entropy = |row: &csv::StringRecord| {
            let record = records.iter().find(|record| record.id() == row[3]).unwrap();
            uncertain(record)
        };
        assert!(rows.windows(2).all(|pair| entropy(&pair[0]) >= entropy(&pair[1])));
        assert!(rows[0][0].starts_with("The baker, at \"number "), "{}", &rows[0][0]);
        assert_eq!((&rows[0][1], &rows[0][2]), ("", "production"));
    }
}

#[test]
fn the_report_is_one_file_that_loads_nothing_and_shows_the_verdict_first() {
    let place = Place::new();
    place.log("harder.jsonl", 600..1000, |one| {
        harder(one);
        one.text = Some("The <b>teapot</b> was & remained cold.".to_owned());
    });
    let output = place.monitor(&["report", "--output", "page.html", "harder.jsonl"]);
    assert_eq!(output.status.code(), Some(20), "{}", text(&output));
    let page = fs::read_to_string(place.path("page.html")).unwrap();
    assert!(page.find("This is no longer what the model was measured on").unwrap() < page.find("<main").unwrap());
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("The &lt;b&gt;teapot&lt;/b&gt; was &amp; remained cold."));
    for loading in ["http://", "https://", "<script", "url(", "<link", "<img"] {
        assert!(!page.contains(loading), "{loading}");
    }
    let mut ids: Vec<&str> = page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "each id once");
}

/// Takes requests and answers each with the next status; the requests with their bodies come back.
fn listener(statuses: Vec<u16>) -> (String, thread::JoinHandle<Vec<(String, Value)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || {
        let mut requests = Vec::new();
        for status in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            let (head, body) = loop {
                let mut buffer = [0; 4096];
                let count = stream.read(&mut buffer).unwrap();
                bytes.extend(&buffer[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length =
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    break (head.to_owned(), body.to_owned());
                }
            };
            requests.push((head, serde_json::from_str(&body).unwrap()));
            write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        }
        requests
    };
    (address, thread::spawn(serve))
}

#[test]
fn watch_tells_an_alarm_once_and_its_end_once_and_tries_again_where_it_was_not_heard() {
    let place = Place::new();
    let (address, requests) = listener(vec![500, 200, 200]);
    let watch = |log: &str| {
        let arguments = ["watch", "--once", "--webhook", &address, "--emf", log];
        place.monitor(&arguments)
    };
    place.log("log.jsonl", 600..1000, harder);
    let output = watch("log.jsonl");
    assert_eq!(output.status.code(), Some(1), "not heard: {}", text(&output));
    assert!(text(&output).contains("HTTP status 500"), "{}", text(&output));
    let output = watch("log.jsonl");
    assert_eq!(output.status.code(), Some(20), "{}", text(&output));
    let metrics: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(metrics["DriftVerdict"], 3);
    assert_eq!(metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Wellformed");
    // The same again: nobody is told; the listener would not answer.
    assert_eq!(watch("log.jsonl").status.code(), Some(20));
    // Silence is no recovery.
    place.log("log.jsonl", 600..610, |_| {});
    assert_eq!(watch("log.jsonl").status.code(), Some(30));
    place.log("log.jsonl", 600..1000, |_| {});
    assert_eq!(watch("log.jsonl").status.code(), Some(0));
    assert_eq!(watch("log.jsonl").status.code(), Some(0));

    let requests = requests.join().unwrap();
    let events: Vec<&str> = requests.iter().map(|(_, body)| body["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["raised", "raised", "over"]);
    assert_eq!(requests[1].1["verdict"], "alert");
    assert!(requests[1].1["text"].as_str().unwrap().contains("probability of acceptable"), "{}", requests[1].1);
}

#[test]
fn watch_starts_a_workflow_on_github_and_needs_a_token_for_it() {
    let place = Place::new();
    place.log("log.jsonl", 600..1000, harder);
    let (address, requests) = listener(vec![204]);
    let arguments = ["watch", "--once", "--github", "owner/name", "log.jsonl"];
    let output = place.command(&arguments).env_remove("GITHUB_TOKEN").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("GITHUB_TOKEN"), "{}", text(&output));
    let mut command = place.command(&arguments);
    let output = command.env("GITHUB_TOKEN", "secret-token").env("GITHUB_API_URL", &address).output().unwrap();
    assert_eq!(output.status.code(), Some(20), "{}", text(&output));
    assert!(!text(&output).contains("secret-token"));
    let (head, body) = requests.join().unwrap().remove(0);
    assert!(head.starts_with("POST /repos/owner/name/dispatches HTTP/1.1"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer secret-token"), "{head}");
    assert_eq!(body["event_type"], "drift");
    // What GitHub allows: ten keys.
    assert!(body["client_payload"].as_object().unwrap().len() <= 10);
    assert_eq!(body["client_payload"]["verdict"], "alert");
}

#[test]
fn problems_count_as_defects_or_refusals() {
    let place = Place::new();
    let mut records = place.log("log.jsonl", 600..1000, |_| {});
    for index in 0..40 {
        let level = if index % 2 == 0 { Level::Error } else { Level::Warn };
        records.push(Record::Problem(Problem {
            timestamp: Timestamp::now(),
            level,
            service: Service::Serve,
            version: "1".to_owned(),
            request_id: format!("problem-{index}"),
            bundle: place.digest.clone(),
            channel: Channel::Http,
            status: if index % 2 == 0 { 500 } else { 400 },
            code: if index % 2 == 0 { "internal" } else { "empty_sentence" }.to_owned(),
            aws: None,
        }));
    }
    write(&place.path("log.jsonl"), &records);
    let output = place.monitor(&["check", "--json", "log.jsonl"]);
    assert_eq!(output.status.code(), Some(20), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["service"]["problems"], json!({"internal": 20, "empty_sentence": 20}));
    assert_eq!(report["reasons"][0]["code"], "defect_share");
}

#[test]
fn a_request_with_many_sentences_is_one_cold_start_and_one_latency() {
    let place = Place::new();
    // The first request of the process has a hundred sentences; three hundred requests of one sentence follow.
    place.log("log.jsonl", 600..1000, |one| {
        let number: u32 = one.request_id.trim_start_matches("request-").parse().unwrap();
        if number < 700 {
            (one.request_id, one.index) = ("request-600".to_owned(), number - 600);
            (one.cold_start, one.total_ms) = (true, 900.0);
        }
    });
    let output = place.monitor(&["check", "--json", "log.jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["service"]["cold_start_share"], json!(1.0 / 301.0));
    assert_eq!(report["service"]["latency_ms"][1], 2.0);
}

fn write(path: &Path, records: &[Record]) {
    let lines: Vec<u8> = records.iter().flat_map(|record| record.to_line().unwrap()).collect();
    fs::write(path, lines).unwrap();
}
