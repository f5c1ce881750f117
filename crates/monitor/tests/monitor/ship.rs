//! `monitor ship` over a server that is told what to do. What a real one says is in `chain`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::tempdir;

use crate::stand_in::{Act, StandIn, bulk_answer};
use crate::support::{fixture, line};

fn ship(log: &Path, url: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monitor"));
    command.arg("ship").arg(log).args(["--url", url, "--patience", "2s"]).args(more).stdin(Stdio::null());
    command.env_remove("ELASTICSEARCH_URL").output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn append(log: &Path, text: &str) {
    OpenOptions::new().create(true).append(true).open(log).unwrap().write_all(text.as_bytes()).unwrap();
}

fn created(count: usize) -> Act {
    Act::Answer(200, "", bulk_answer(&vec![(201, ""); count]))
}

#[test]
fn a_log_is_sent_once_and_then_only_what_is_new() {
    let folder = tempdir().unwrap();
    let log = folder.path().join("records.jsonl");
    append(&log, &format!("{}\nSTART RequestId: x\n{}\n{}", line(1), line(2), &line(3)[..80]));
    let server = StandIn::start(vec![created(2), created(1)], Act::Refuse);
    let output = ship(&log, &server.url, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let expected =
        "records.jsonl: 2 records sent (2 new, 0 there already), 1 other lines left out, 80 bytes at the end";
    assert!(said(&output).contains(expected), "{}", said(&output));
    assert!(said(&ship(&log, &server.url, &[])).contains("0 records sent"), "nothing is new");
    append(&log, &format!("{}\n", &line(3)[80..]));
    assert!(said(&ship(&log, &server.url, &[])).contains("1 records sent (1 new"));
    let bodies: Vec<usize> = server.bulks().iter().map(|asked| asked.body.lines().count() / 2).collect();
    assert_eq!(bodies, [2, 1]);
}

#[test]
fn a_log_that_was_rotated_before_it_was_sent_whole_is_sent_whole() {
    let folder = tempdir().unwrap();
    let log = folder.path().join("records.jsonl");
    append(&log, &format!("{}\n", line(1)));
    let server = StandIn::start(vec![created(1), created(1), created(2)], Act::Refuse);
    ship(&log, &server.url, &[]);
    append(&log, &format!("{}\n", line(2)));
    fs::rename(&log, folder.path().join("records.jsonl.1")).unwrap();
    append(&log, &format!("{}\n{}\n", line(3), line(4)));
    let output = ship(&log, &server.url, &[]);
    assert!(said(&output).contains("3 records sent (3 new"), "{}", said(&output));
    let ids: Vec<bool> = server.bulks().iter().map(|asked| asked.body.contains("prediction:r2:")).collect();
    assert_eq!(ids, [false, true, false], "the old file's rest is sent on its own, first");
}

#[test]
fn a_log_that_came_and_was_rotated_away_unseen_is_sent_but_not_what_was_there_before() {
    let folder = tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let log = file("records.jsonl");
    append(&file("records.jsonl.9"), &format!("{}\n", line(9)));
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    OpenOptions::new().write(true).open(file("records.jsonl.9")).unwrap().set_modified(long_ago).unwrap();
    append(&log, &format!("{}\n", line(1)));
    let server = StandIn::start(vec![created(1), created(1), created(1)], Act::Refuse);
    ship(&log, &server.url, &[]);
    fs::rename(&log, file("records.jsonl.2")).unwrap();
    append(&file("records.jsonl.1"), &format!("{}\n", line(2)));
    append(&log, &format!("{}\n", line(3)));
    let output = ship(&log, &server.url, &[]);
    assert!(said(&output).contains("2 records sent (2 new"), "{}", said(&output));
    assert!(server.bulks()[1].body.contains("prediction:r2:"), "the older one first");
}

#[test]
fn a_log_that_was_emptied_is_read_from_its_start_and_that_is_said() {
    let folder = tempdir().unwrap();
    let log = folder.path().join("records.jsonl");
    append(&log, &format!("{}\n{}\n", line(1), line(2)));
    let server = StandIn::start(vec![created(2), created(1)], Act::Refuse);
    ship(&log, &server.url, &[]);
    fs::write(&log, format!("{}\n", line(3))).unwrap();
    let output = ship(&log, &server.url, &[]);
    assert!(said(&output).contains("copytruncate") && said(&output).contains("1 records sent"), "{}", said(&output));
}

#[test]
fn what_will_never_be_taken_is_kept_with_its_reason_and_can_be_sent_again() {
    let folder = tempdir().unwrap();
    let log = folder.path().join("records.jsonl");
    let damaged = line(2).replace("\"tokens\":7", "\"tokens\":-7");
    append(&log, &format!("{}\n{damaged}\n{}\n", line(1), line(3)));
    let refused = Act::Answer(200, "", bulk_answer(&[(400, "mapper_parsing_exception"), (201, "")]));
    let server = StandIn::start(vec![refused, created(1)], Act::Refuse);
    let output = ship(&log, &server.url, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("2 refused") && !said(&output).contains("marmoset"), "{}", said(&output));
    let kept = folder.path().join("records.jsonl.refused.jsonl");
    let text = fs::read_to_string(&kept).unwrap();
    let letters: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<&str> = letters.iter().map(|letter| letter["line"].as_str().unwrap()).collect();
    assert_eq!(lines, [damaged, line(1)]);
    assert!(letters[1]["refused"].as_str().unwrap().starts_with("mapper_parsing_exception: "));
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&kept).unwrap().permissions()) & 0o777, 0o600);
    // The one that the cluster refused fits now; the damaged one never will.
    let output = ship(&kept, &server.url, &[]);
    assert!(
        said(&output).contains("1 records sent (1 new") && said(&output).contains("1 refused"),
        "{}",
        said(&output)
    );
}

#[test]
fn what_could_not_be_sent_is_sent_the_next_time() {
    let folder = tempdir().unwrap();
    let log = folder.path().join("records.jsonl");
    append(&log, &format!("{}\n", line(1)));
    let server = StandIn::start(vec![Act::Answer(401, "", "{}".to_owned()), created(1)], Act::Refuse);
    let output = ship(&log, &server.url, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("credentials"), "{}", said(&output));
    assert!(said(&ship(&log, &server.url, &[])).contains("1 records sent"));
}

#[test]
fn the_state_can_be_kept_elsewhere_and_two_at_once_are_refused() {
    let (folder, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    let log = folder.path().join("records.jsonl");
    append(&log, &format!("{}\n", line(1)));
    let server = StandIn::start(vec![created(1)], Act::Refuse);
    let state = ["--state-folder", elsewhere.path().to_str().unwrap()];
    assert!(ship(&log, &server.url, &state).status.success());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the log");
    let lock = OpenOptions::new().write(true).open(elsewhere.path().join("records.jsonl.shipped.lock")).unwrap();
    lock.lock().unwrap();
    let output = ship(&log, &server.url, &state);
    assert!(said(&output).contains("another `monitor ship`"), "{}", said(&output));
}

#[test]
fn payloads_and_exports_are_sent_whole_and_nothing_is_remembered() {
    let folder = tempdir().unwrap();
    let payload = folder.path().join("payload.json");
    fs::copy(fixture("subscription-moto.json"), &payload).unwrap();
    let refused = [(409, "version_conflict_engine_exception"), (400, "mapper_parsing_exception"), (201, ""), (201, "")];
    let server = StandIn::start(vec![created(4), Act::Answer(200, "", bulk_answer(&refused))], Act::Refuse);
    let output = ship(&payload, &server.url, &["--once"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("4 records sent (4 new, 0 there already)"), "{}", said(&output));
    assert!(said(&output).contains("read: 4 records, 5 other lines"), "{}", said(&output));
    let output = ship(&payload, &server.url, &["--once"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("1 (mapper_parsing_exception)"), "{}", said(&output));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the payload");
}

#[test]
fn a_log_or_a_cluster_that_is_missing_is_named() {
    let folder = tempdir().unwrap();
    let log = folder.path().join("records.jsonl");
    let output = ship(&log, "http://127.0.0.1:1", &[]);
    assert!(said(&output).contains("records.jsonl is not there"), "{}", said(&output));
    append(&log, &format!("{}\n", line(1)));
    let output = ship(&log, "http://127.0.0.1:1", &[]);
    assert!(!output.status.success() && said(&output).contains("http://127.0.0.1:1/"), "{}", said(&output));
    let mut command = Command::new(env!("CARGO_BIN_EXE_monitor"));
    let output = command.arg("ship").arg(&log).env_remove("ELASTICSEARCH_URL").output().unwrap();
    assert!(said(&output).contains("--url") && said(&output).contains("ELASTICSEARCH_URL"), "{}", said(&output));
}
