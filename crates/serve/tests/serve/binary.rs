//! The binary, with a real bundle.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{get, post, until};

/// A small bundle with random weights.
pub(crate) fn bundle() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infer/tests/fixtures/bundle")
}

/// A server in a process of its own.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// A port that nobody has at the moment.
fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Process {
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_with(&bundle(), options)
    }

    /// With another bundle.
    pub(crate) fn start_with(bundle: &Path, options: &[&str]) -> Self {
        let address = free_address();
        let mut child = Command::new(env!("CARGO_BIN_EXE_serve"))
            .args(["--address", &address.to_string(), "--bundle"])
            .arg(bundle)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        until("the server answers", || {
            assert!(child.try_wait().unwrap().is_none(), "the server has ended");
            std::net::TcpStream::connect(address).is_ok()
        });
        Self { child, address }
    }

    /// Sends a signal by name.
    fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn fails(options: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_serve")).args(options).output().unwrap();
    assert!(!output.status.success());
    output
}

#[test]
fn the_binary_answers_with_the_bundle_and_ends_well_when_it_is_told_to() {
    for signal in ["TERM", "INT"] {
        let mut server = Process::start(&["--threads", "2"]);
        let answer = post(server.address, "/predict", &json!({"sentences": ["The cat sleeps.", "Cat the sleeps."]}));
        let json = answer.json();
        assert_eq!(json["bundle"], get(server.address, "/info").json()["bundle"]);
        for prediction in json["predictions"].as_array().unwrap() {
            let p = |label: &str| prediction["probabilities"][label].as_f64().unwrap();
            assert!((p("acceptable") + p("unacceptable") - 1.0).abs() < 1e-9);
        }
        let explained = post(server.address, "/explain", &json!({"sentence": "The cat sleeps."}));
        let words = explained.json()["words"].clone();
        let texts: Vec<&str> = words.as_array().unwrap().iter().map(|word| word["text"].as_str().unwrap()).collect();
        assert!(texts.concat().starts_with("Thecatsleeps"), "{texts:?}");
        server.signal(signal);
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
        let mut log = String::new();
        server.child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines.iter().map(|line| line["route"].as_str().unwrap()).collect::<Vec<_>>(),
            ["/predict", "/info", "/explain"]
        );
    }
}

#[test]
fn the_log_can_be_off_and_can_be_for_people() {
    let mut quiet = Process::start(&["--log", "off"]);
    get(quiet.address, "/health/live");
    quiet.signal("TERM");
    quiet.child.wait().unwrap();
    let mut log = String::new();
    quiet.child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(log, "");
    let mut server = Process::start(&["--log", "text"]);
    get(server.address, "/health/live");
    let mut line = String::new();
    BufReader::new(server.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains(" 200 GET /health/live "), "{line}");
}

#[test]
fn records_are_added_to_their_file_and_follow_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("logs/records.jsonl"), folder.path().join("logs/records.jsonl.1"));
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    // As if an earlier server had been killed while it wrote.
    std::fs::write(&path, "{\"type\":\"predic").unwrap();
    let mut server = Process::start(&["--log", "off", "--records", path.to_str().unwrap()]);
    let lines = |path: &PathBuf| -> Vec<String> {
        std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    let ask = |server: &Process| post(server.address, "/predict", &json!({"sentence": "The marmoset sleeps."}));
    ask(&server);
    until("a record is written", || lines(&path).len() == 3);
    std::fs::rename(&path, &old).unwrap();
    ask(&server);
    until("a record goes into the renamed file", || lines(&old).len() == 4);
    server.signal("HUP");
    // The signal takes effect some time soon; until then, records go into the renamed file.
    until("the file is opened again", || {
        ask(&server);
        path.exists()
    });
    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let all = [lines(&old), lines(&path)].concat();
    assert_eq!(all[0], "{\"type\":\"predic");
    let kinds: Vec<String> = all[1..]
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds[0], "start");
    assert!(kinds[1..].iter().all(|kind| kind == "prediction"), "{kinds:?}");
    assert!(!all.concat().contains("marmoset"));
}

#[test]
fn a_file_of_records_that_cannot_be_is_named_and_a_key_that_can_be_guessed_is_refused() {
    let folder = bundle();
    let bundle = ["--bundle", folder.to_str().unwrap()];
    let output = fails(&[bundle[0], bundle[1], "--records", "/dev/null/records.jsonl"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("/dev/null/records.jsonl"), "{message}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_serve"));
    let output = command.args(bundle).args(["--records", "-"]).env("WELLFORMED_HASH_KEY", "hunter2").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("WELLFORMED_HASH_KEY") && !message.contains("hunter2"), "{message}");
}

#[test]
fn a_bundle_that_is_not_there_is_named() {
    let output = fails(&["--bundle", "no/such/folder"]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: ") && message.contains("no/such/folder"), "{message}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let folder = bundle();
    let output = fails(&["--address", &address, "--bundle", folder.to_str().unwrap()]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains(&address) && message.contains("--address"), "{message}");
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    for (options, part) in [
        (["--batch-tokens", "0"], "--batch-tokens is 0"),
        (["--timeout", "-1"], "--timeout"),
        (["--window", "1e99"], "--window"),
        (["--allow-origin", "example.org"], "--allow-origin example.org"),
        (["--allow-origin", "https://example.org/"], "https://example.org"),
    ] {
        let options: Vec<String> = match options[1].strip_prefix('-') {
            Some(_) => vec![format!("{}={}", options[0], options[1])],
            None => options.map(str::to_owned).to_vec(),
        };
        let output = fails(&options.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(1));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(part) && message.contains("expected"), "{message}");
    }
}
