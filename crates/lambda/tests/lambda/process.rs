//! The real process under a real Runtime API.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::tempdir;
use wellformed_infer::{Options, Predictor};
use wellformed_lambda::question::MAX_BYTES;

use crate::runtime_api::{Bootstrap, bundle, program};
use crate::support::event;

const WORD: &str = "marmoset";

fn sentence() -> Value {
    json!({"sentence": format!("The {WORD} sleeps.")})
}

/// The lines of a log, each of them JSON.
fn records(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn answers_are_the_predictions_of_the_bundle() {
    let predictor = Predictor::open(&bundle(), &Options::default()).unwrap();
    let mut process = Bootstrap::start(&bundle(), &[]);
    let texts = ["The baker opened the oven.", "Oven the opened baker the.", "It rains."];
    let expected: Vec<Value> = texts
        .iter()
        .map(|text| {
            let prediction = predictor.predict(text).unwrap();
            let [unacceptable, acceptable] = prediction.probabilities;
            // Printed as 32 bits, read as 64.
            let logits = prediction.logits.map(|logit| logit.to_string().parse::<f64>().unwrap());
            json!({
                "label": prediction.label.name(),
                "probabilities": {"unacceptable": unacceptable, "acceptable": acceptable},
                "logits": {"unacceptable": logits[0], "acceptable": logits[1]},
                "tokens": prediction.tokens, "truncated": false, "unknown_tokens": prediction.unknown_tokens,
            })
        })
        .collect();
    let one = process.invoke(&json!({"sentence": texts[0]}));
    assert_eq!(one, json!({"bundle": predictor.digest(), "predictions": [expected[0]]}));
    let all = process.invoke(&json!({"sentences": texts}));
    assert_eq!(all, json!({"bundle": predictor.digest(), "predictions": expected}));

    let explained = process.invoke(&json!({"sentence": texts[0], "explain": true}));
    let words = explained["predictions"][0]["explanation"]["words"].as_array().unwrap();
    assert!(words.len() >= 5 && words.iter().all(|word| word["weight"].is_f64()), "{explained}");
}

#[test]
fn every_golden_event_is_answered_by_one_process_that_opened_its_bundle_once() {
    let mut process = Bootstrap::start(&bundle(), &[]);
    let mut names: Vec<String> = fs::read_dir(crate::support::fixtures().join("events"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    for name in &names {
        let answer = process.invoke(&event(name));
        // Sentences differ in what the model says of them, not in whether it says something.
        let golden = fs::read(crate::support::fixtures().join("answers").join(name).with_extension("json")).unwrap();
        let golden: Value = serde_json::from_slice(&golden).unwrap();
        if name != "url-panic" {
            assert_eq!(answer.get("statusCode"), golden.get("statusCode"), "{name}: {answer}");
        }
    }
    for _ in 0..200 {
        process.invoke(&sentence());
    }
    let (stdout, stderr) = process.stop();
    let records = records(&stdout);
    assert_eq!(records[0]["type"], "start");
    let of = |kind: &str| records.iter().filter(|record| record["type"] == kind).count();
    assert_eq!(of("start"), 1);
    assert!(of("prediction") > 200);
    assert_eq!(records.iter().filter(|record| record["cold_start"] == true).count(), 1);
    assert!(records.iter().all(|record| record["version"] == "7" && record["service"] == "lambda"));
    assert_eq!(stderr, "");
    assert!(!stdout.contains(WORD), "a sentence is in the log");
}

#[test]
fn wrong_input_of_every_kind_is_answered_and_the_process_lives_on() {
    let mut process = Bootstrap::start(&bundle(), &[]);
    let nested = "[".repeat(100_000);
    let payloads: [(&[u8], &str); 6] = [
        (b"", "malformed_json"),
        (b"{\"sentence\": \"The marmoset", "malformed_json"),
        (b"The marmoset sleeps.", "malformed_json"),
        (b"{\"sentence\": \"caf\xe9 marmoset\"}", "malformed_json"),
        (b"{\"sentence\": \"\\ud800 marmoset\"}", "malformed_json"),
        (nested.as_bytes(), "malformed_json"),
    ];
    for (payload, code) in payloads {
        let post = process.send(payload);
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(40)]).into_owned();
        assert!(post.path.ends_with("/response"), "{shown}: {post:?}");
        assert_eq!((&post.body["statusCode"], &post.body["error"]["code"]), (&json!(400), &json!(code)), "{shown}");
        assert!(process.invoke(&sentence())["predictions"].is_array(), "after {shown}");
    }
    for name in ["url-post-not-utf8", "url-post-not-base64", "rest-post-malformed"] {
        let answer = process.invoke(&event(name));
        assert_eq!(answer["statusCode"], 400, "{name}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert!(body["error"]["message"].is_string() && body["error"]["field"] == "body", "{body}");
    }
    // Lambda hands over 6 MB at most.
    let huge = process.invoke(&json!({"sentence": format!("{WORD} ").repeat(6_000_000 / 9)}));
    assert_eq!((&huge["statusCode"], &huge["error"]["code"]), (&json!(413), &json!("body_too_large")));
    let long = process.invoke(&json!({"sentence": format!("{WORD} ").repeat(MAX_BYTES / 9)}));
    assert_eq!(long["predictions"][0]["truncated"], true);
    let odd = process.invoke(&json!({"sentence": "\u{0}\u{202e}\u{1f95f} na\u{308}ive\u{fffd}"}));
    assert!(odd["predictions"][0]["label"].is_string(), "{odd}");
    let (stdout, stderr) = process.stop();
    let records = records(&stdout);
    assert_eq!(records.iter().filter(|record| record["type"] == "start").count(), 1);
    assert_eq!(records.iter().filter(|record| record["type"] == "problem").count(), 6 + 3 + 1);
    assert!(!stdout.contains(WORD) && !stderr.contains(WORD), "a sentence is in the log");
}

#[test]
fn the_precision_and_the_threads_are_those_of_the_environment() {
    for precision in ["fp32", "int8"] {
        let variables = [("WELLFORMED_PRECISION", precision), ("WELLFORMED_THREADS", "2")];
        let mut process = Bootstrap::start(&bundle(), &variables);
        process.invoke(&sentence());
        let (stdout, _) = process.stop();
        let records = records(&stdout);
        assert_eq!((&records[0]["precision"], &records[0]["threads"]), (&json!(precision), &json!(2)));
        assert_eq!(records[1]["precision"], precision);
    }
}

#[test]
fn a_key_adds_hashes_and_nothing_of_a_sentence_is_logged_unless_it_is_asked_for() {
    const KEY: &str = "a key of our own, long enough";
    let mut process = Bootstrap::start(&bundle(), &[("WELLFORMED_HASH_KEY", KEY)]);
    process.invoke(&sentence());
    process.invoke(&sentence());
    let (stdout, stderr) = process.stop();
    assert!(!stdout.contains(WORD) && !stderr.contains(WORD), "a sentence is in the log");
    assert!(!stdout.contains(KEY) && !stderr.contains(KEY), "the key is in the log");
    let hashed = records(&stdout);
    let hash = hashed[1]["text_hash"].as_str().unwrap();
    assert!(hash.len() == 16 && hashed[2]["text_hash"] == hash, "{stdout}");

    let mut process = Bootstrap::start(&bundle(), &[("WELLFORMED_LOG_TEXT", "1")]);
    process.invoke(&json!({"sentence": format!("Write to a.{WORD}@example.org, or the {WORD} sleeps.")}));
    let (stdout, _) = process.stop();
    assert_eq!(records(&stdout)[1]["text"], format!("Write to [email], or the {WORD} sleeps."));
}

/// Starts a process that cannot get ready; what it tells of it.
fn fails_to_start(bundle: &std::path::Path, variables: &[(&str, &str)]) -> String {
    let mut process = Bootstrap::start(bundle, variables);
    let post = process.api.post();
    assert_eq!(post.path, "init/error");
    assert_eq!(post.body["errorType"], "Wellformed.Init");
    let message = post.body["errorMessage"].as_str().unwrap().to_owned();
    assert_eq!(process.wait().code(), Some(1));
    assert_eq!(process.api.asked(), 0, "it must not ask for events");
    assert_eq!(process.stderr(), format!("error: {message}\n"));
    message
}

#[test]
fn a_damaged_bundle_is_an_init_error_that_names_the_file() {
    let folder = tempdir().unwrap();
    for entry in fs::read_dir(bundle()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let tokenizer = folder.path().join("tokenizer.json");
    let mut bytes = fs::read(&tokenizer).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&tokenizer, bytes).unwrap();
    let message = fails_to_start(folder.path(), &[]);
    assert!(message.contains("tokenizer.json"), "{message}");
    fs::remove_file(folder.path().join("bundle.json")).unwrap();
    let message = fails_to_start(folder.path(), &[]);
    assert!(message.contains("bundle.json"), "{message}");
}

#[test]
fn a_bundle_that_is_not_there_and_a_wrong_setting_are_init_errors() {
    let message = fails_to_start("/no/such/bundle".as_ref(), &[]);
    assert!(message.contains("/no/such/bundle"), "{message}");
    let message = fails_to_start(&bundle(), &[("WELLFORMED_PRECISION", "fp16")]);
    assert!(message.contains("WELLFORMED_PRECISION") && message.contains("fp16"), "{message}");
    let message = fails_to_start(&bundle(), &[("WELLFORMED_HASH_KEY", "hunter2")]);
    assert!(message.contains("WELLFORMED_HASH_KEY") && !message.contains("hunter2"), "{message}");
}

#[test]
fn started_by_hand_it_says_what_starts_it() {
    let output = Command::new(program()).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("AWS_LAMBDA_RUNTIME_API") && stderr.contains("docs/lambda.md"), "{stderr}");
}

#[test]
#[ignore = "needs the static build of docs/lambda.md; its path in WELLFORMED_BOOTSTRAP"]
fn the_binary_that_ships_is_static_and_at_most_12_mb() {
    let path = std::env::var("WELLFORMED_BOOTSTRAP").expect("WELLFORMED_BOOTSTRAP is the path of the static binary");
    let bytes = fs::read(&path).unwrap();
    println!("{path}: {} bytes", bytes.len());
    assert!(bytes.len() <= 12_000_000, "{} bytes", bytes.len());
    // ELF-64, little endian: a program that needs a dynamic linker names it in a program header of type PT_INTERP.
    assert_eq!(&bytes[..6], b"\x7fELF\x02\x01");
    let number = |at: usize, size: usize| bytes[at..at + size].iter().rev().fold(0, |sum, b| sum << 8 | *b as usize);
    let (headers, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    assert!(count > 0 && size == 56);
    assert!((0..count).all(|index| number(headers + index * size, 4) != 3), "{path} needs a dynamic linker");
}
