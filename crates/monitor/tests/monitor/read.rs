//! Records from files of every kind.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::tempdir;
use wellformed_core::record::{Record, Timestamp};
use wellformed_monitor::read::{Records, Span, Tally, moment};

use crate::support::{fixture, function_log, line, record};

fn read(files: &[PathBuf], span: Span) -> (Vec<Record>, Tally) {
    let mut records = Records::of_files(files, span);
    let all = records.by_ref().map(|record| record.unwrap()).collect();
    (all, records.tally().clone())
}

fn of_the_function() -> Vec<Record> {
    function_log().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_log_an_export_a_payload_and_what_a_failed_one_leaves_hold_the_same_records() {
    let folder = tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let log = fs::read_to_string(fixture("function.log")).unwrap();
    let before = |start: &str| log.lines().map(|line| [start, line, "\n"].concat()).collect::<String>();
    let exported = before("2026-09-22T09:14:22.123Z ");
    let tailed = before("2026-09-22T09:14:22+00:00 2026/09/22/[7]01 ");
    let events: Vec<_> = log.lines().map(|line| serde_json::json!({"timestamp": 1, "message": line})).collect();
    let events = serde_json::json!({"events": events, "searchedLogStreams": []});
    let payload = fs::read_to_string(fixture("subscription-moto.json")).unwrap();
    let failed = format!("{{\"version\":\"1.0\",\"requestContext\":{{}},\"requestPayload\":{payload}}}");
    let files = [
        fixture("function.log"),
        fixture("subscription-moto.json"),
        file("packed.log.gz", &gzip(&log)),
        file("two-members.gz", &[gzip(&log[..100]), gzip(&log[100..])].concat()),
        file("exported.gz", &gzip(&exported)),
        file("tailed.txt", tailed.as_bytes()),
        file("events.json", events.to_string().as_bytes()),
        file("events-indented.json", format!("{events:#}\n").as_bytes()),
        file("failed.json", failed.as_bytes()),
        file("failed-twice.json", format!("{failed}\n").as_bytes()),
    ];
    for path in files {
        let (records, tally) = read(std::slice::from_ref(&path), Span::default());
        assert_eq!(records, of_the_function(), "{}", path.display());
        assert_eq!((tally.records, tally.others, tally.damaged), (4, 5, 0), "{}", path.display());
    }
}

#[test]
fn damaged_lines_are_counted_and_named_and_the_rest_is_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("records.jsonl");
    let lines =
        [line(1), line(2)[..50].to_owned(), line(3).replace("\"tokens\":7", "\"tokens\":-7"), String::new(), line(4)];
    fs::write(&path, lines.join("\n")).unwrap();
    let (records, tally) = read(std::slice::from_ref(&path), Span::default());
    assert_eq!(records, [record(1), record(4)]);
    assert_eq!((tally.records, tally.others, tally.damaged), (2, 1, 2));
    let places: Vec<&str> = tally.first_damaged.iter().map(|(place, _)| place.rsplit(':').next().unwrap()).collect();
    assert_eq!(places, ["2", "3"]);
    let shown = tally.to_string();
    assert!(shown.starts_with("2 records, 1 other lines, 2 damaged records left out\n"), "{shown}");
    assert!(shown.contains(&format!("{}:2: ", path.display())), "{shown}");
}

#[test]
fn the_time_asked_for_includes_its_start_and_not_its_end() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("records.jsonl");
    fs::write(&path, (0..10).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let at = |number| Some(record(number).timestamp());
    let (records, tally) = read(&[path], Span { since: at(3), until: at(6) });
    assert_eq!(records, [record(3), record(4), record(5)]);
    assert_eq!(tally.outside, 7);
}

#[test]
fn a_moment_is_a_time_or_how_long_ago() {
    assert_eq!(moment("2026-09-22T09:14:22.123Z").unwrap().unix_millis(), 1_790_068_462_123);
    let ago = Timestamp::now().unix_millis() - moment("24h").unwrap().unix_millis();
    assert!((86_400_000..86_460_000).contains(&ago), "{ago}");
    assert!(moment("yesterday").unwrap_err().contains("24h"));
}

#[test]
fn a_file_that_is_not_there_or_something_else_entirely_is_named() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("other.json");
    fs::write(&file, "{\n  \"name\": \"marmoset\"\n}\n").unwrap();
    for (path, word) in [(folder.path().join("missing.jsonl"), "missing.jsonl"), (file, "none that CloudWatch")] {
        let error = format!("{:#}", Records::of_files(&[path], Span::default()).next().unwrap().unwrap_err());
        assert!(error.contains(word) && !error.contains("marmoset"), "{error}");
    }
}

#[test]
fn schema_says_that_its_files_are_current_or_not() {
    let folder = tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monitor"));
        let output =
            command.arg("schema").args(arguments).arg("--folder").arg(folder.path()).stdin(Stdio::null()).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(&["--check"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("record.schema.json is not there") && said.contains("0 of 5"), "{said}");
    assert_eq!(run(&[]).0, Some(0));
    assert_eq!(run(&["--check"]).0, Some(0));
    let template = folder.path().join("index-template.json");
    fs::write(&template, fs::read_to_string(&template).unwrap().replace("\"keyword\"", "\"text\"")).unwrap();
    let (code, said) = run(&["--check"]);
    assert!(code == Some(1) && said.contains("index-template.json is not current"), "{said}");
}
