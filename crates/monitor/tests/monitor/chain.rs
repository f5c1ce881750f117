//! The whole way: the function answers, its log goes through the forwarder into a server, and is read back from there.
//! Every part is the real program; the server is osmem-server from the Python package index, which speaks as OpenSearch does.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::tempdir;
use wellformed_core::record::Record;
use wellformed_monitor::bulk::INDEX;
use wellformed_monitor::read::{Records, Span};

use crate::forwarder::event;
use crate::osmem::Osmem;
use crate::runtime_api::{Function, bootstrap};
use crate::stand_in::{Act, StandIn};
use crate::support::{cluster, fixture, line, record};

const GROUP: &str = "/aws/lambda/wellformed";
const FORWARDER: &str = env!("CARGO_BIN_EXE_forwarder");

fn by_id(records: impl IntoIterator<Item = Record>) -> BTreeMap<String, Record> {
    let mut known = BTreeMap::new();
    for record in records {
        let record = record.without_metrics();
        assert!(known.insert(record.id(), record).is_none(), "an id that is there twice");
    }
    known
}

/// The log of a function that answered so many events, with Lambda's own lines among its own.
fn log_of_the_function(events: usize) -> Vec<String> {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infer/tests/fixtures/bundle");
    let variables = [
        ("WELLFORMED_BUNDLE", bundle.to_str().unwrap()),
        ("WELLFORMED_HASH_KEY", "a key of our own, long enough"),
        ("WELLFORMED_LOG_TEXT", "1"),
    ];
    let mut function = Function::start(&bootstrap(), "wellformed", &variables);
    for number in 0..events {
        let question = match number % 4 {
            0 => json!({"sentence": format!("The baker opened oven {number}.")}),
            1 => json!({"sentences": ["The tea was cold.", "Thé naïf, “cold”.", "Write to me@example.org."]}),
            2 => json!({"sentence": "Bakers sleep.", "explain": true}),
            _ => json!({"sentenc": "misspelt"}),
        };
        assert!(function.invoke(&question).0);
    }
    let (stdout, stderr) = function.kill();
    assert_eq!(stderr, "");
    let mut lines = vec!["INIT_START Runtime Version: provided:al2023".to_owned()];
    for line in stdout.lines() {
        lines.extend([format!("START RequestId: {}", lines.len()), line.to_owned(), "END RequestId".to_owned()]);
    }
    lines
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor) and the binary `bootstrap`: cargo xtask test brings both"]
fn every_record_of_the_function_arrives_once_through_failures_of_every_part() {
    let log = log_of_the_function(80);
    let written = by_id(log.iter().filter_map(|line| serde_json::from_str(line).ok()));
    // A start; of four events five predictions and a problem.
    assert_eq!(written.len(), 1 + 20 * (1 + 3 + 1 + 1));
    let payloads: Vec<Value> = log.chunks(60).map(|lines| event("DATA_MESSAGE", GROUP, lines)).collect();
    assert!(payloads.len() >= 6);

    let mut server = Osmem::start();
    let gate = StandIn::before(&server.address);
    let start = || Function::start(FORWARDER.as_ref(), "forwarder", &[("ELASTICSEARCH_URL", &gate.url)]);
    let mut forwarder = start();
    let count = |answer: &Value, name: &str| answer[name].as_u64().unwrap();

    // Nothing happens.
    assert!(forwarder.invoke(&event("CONTROL_MESSAGE", GROUP, &log)).0);
    let (fine, first) = forwarder.invoke(&payloads[0]);
    assert!(fine && count(&first, "created") > 0 && count(&first, "skipped") > 0, "{first}");

    // The server does it, but its answer is lost: it is asked again, and has everything.
    gate.next(&[Act::LoseAnswer, Act::Refuse]);
    let (fine, done) = forwarder.invoke(&payloads[1]);
    assert!(fine && count(&done, "created") == 0 && count(&done, "already_there") > 0, "{done}");
    assert_eq!(count(&done, "repeated"), 2);

    // The forwarder is killed before it hears that the server did it; Lambda sends the payload to another one.
    gate.next(&[Act::HoldAnswer]);
    let before = gate.bulks().len();
    forwarder.send(&payloads[2]);
    wait("the forwarder sends", || gate.bulks().len() > before);
    let (stdout, stderr) = forwarder.kill();
    gate.let_go();
    assert!(!(stdout + &stderr).contains("Bakers"), "a sentence is in the forwarder's log");
    forwarder = start();
    let (fine, done) = forwarder.invoke(&payloads[2]);
    assert!(fine && count(&done, "created") + count(&done, "already_there") > 0, "{done}");

    // The server is killed while records are coming, and another one comes up at another address.
    gate.otherwise(Act::Refuse);
    forwarder.send(&payloads[3]);
    wait("the forwarder is refused", || gate.bulks().len() > before + 3);
    server = server.kill_and_restart();
    gate.move_to(&server.address);
    gate.otherwise(Act::Pass);
    let (fine, done) = forwarder.posted();
    assert!(fine && count(&done, "repeated") > 0, "{done}");

    // Everything comes again, as Lambda may do with any event.
    for payload in &payloads {
        assert!(forwarder.invoke(payload).0);
    }
    for payload in &payloads {
        let (fine, done) = forwarder.invoke(payload);
        assert!(fine && count(&done, "created") == 0, "{done}");
    }
    let arrived = server.records();
    assert_eq!(arrived.len(), written.len());
    assert_eq!(by_id(arrived), written, "every field of every record");

    // The same log from a file finds everything there.
    let folder = tempdir().unwrap();
    let file = folder.path().join("function.log");
    fs::write(&file, log.join("\n") + "\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_monitor"))
        .args(["ship", file.to_str().unwrap(), "--url", &server.url()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&format!("{0} records sent (0 new, {0} there already)", written.len())), "{said}");
    assert_eq!(server.records().len(), written.len());
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor): cargo xtask test brings it"]
fn the_payload_of_moto_arrives_field_by_field() {
    let server = Osmem::start();
    let mut forwarder = Function::start(FORWARDER.as_ref(), "forwarder", &[("ELASTICSEARCH_URL", &server.url())]);
    let payload: Value = serde_json::from_slice(&fs::read(fixture("subscription-moto.json")).unwrap()).unwrap();
    assert!(forwarder.invoke(&payload).0);
    let written = fs::read_to_string(fixture("function.log")).unwrap();
    let written = by_id(written.lines().filter_map(|line| serde_json::from_str(line).ok()));
    assert_eq!(by_id(server.records()), written);
    let indices: Vec<String> = server.dump().iter().map(|hit| hit["_index"].as_str().unwrap().to_owned()).collect();
    assert!(indices.iter().all(|index| index == "wellformed-records-2026.09.22"), "{indices:?}");
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor): cargo xtask test brings it"]
fn a_record_that_the_mapping_refuses_fails_its_payload_and_the_others_arrive() {
    let server = Osmem::start();
    // A cluster whose template is of another time: it knows no `tokens`.
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../monitoring/opensearch-index-template.json");
    let mut template: Value = serde_json::from_str(&fs::read_to_string(template).unwrap()).unwrap();
    template["template"]["mappings"]["properties"]["version"] = json!({"type": "long"});
    server.put("_index_template/wellformed-records", &template.to_string());
    let mut forwarder = Function::start(FORWARDER.as_ref(), "forwarder", &[("ELASTICSEARCH_URL", &server.url())]);
    let lines = [line(1).replace("\"0.1.0\"", "\"7\""), line(2), line(3).replace("\"0.1.0\"", "\"8\"")];
    let (fine, error) = forwarder.invoke(&event("DATA_MESSAGE", GROUP, &lines));
    assert!(!fine && error["errorType"] == "Forwarder.Unusable", "{error}");
    assert!(error["errorMessage"].as_str().unwrap().contains("1 are refused"), "{error}");
    assert_eq!(server.dump().len(), 2);
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor): cargo xtask test brings it"]
fn a_cluster_without_the_template_is_not_written_to() {
    let server = Osmem::start();
    let cluster = cluster(&server.url());
    assert!(cluster.ask("DELETE", "_index_template/wellformed-records", None).unwrap().is_success());
    let mut forwarder = Function::start(FORWARDER.as_ref(), "forwarder", &[("ELASTICSEARCH_URL", &server.url())]);
    let (fine, error) = forwarder.invoke(&event("DATA_MESSAGE", GROUP, &[line(1)]));
    assert!(!fine && error["errorMessage"].as_str().unwrap().contains("index template"), "{error}");
    assert_eq!(server.dump(), Vec::<Value>::new());
}

/// A `monitor ship --follow` that runs.
fn follow(log: &Path, url: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monitor"));
    command.args(["ship", "--follow", "--every", "20ms", "--url", url]).arg(log);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor): cargo xtask test brings it"]
fn a_followed_log_arrives_once_while_it_is_rotated_and_the_follower_and_the_server_are_killed() {
    const RECORDS: u64 = 4000;
    let folder = tempdir().unwrap();
    let log = folder.path().join("records.jsonl");
    let mut server = Osmem::start();
    let gate = StandIn::before(&server.address);
    let writer = {
        let log = log.clone();
        thread::spawn(move || write_and_rotate(&log, RECORDS))
    };
    let mut round = 0;
    while !writer.is_finished() {
        round += 1;
        let mut follower = follow(&log, &gate.url);
        thread::sleep(Duration::from_millis(100 + 40 * (round % 5)));
        if round % 4 == 0 {
            gate.otherwise(Act::Refuse);
            server = server.kill_and_restart();
            gate.move_to(&server.address);
            gate.otherwise(Act::Pass);
        }
        gate.next(&[Act::LoseAnswer]);
        follower.kill().unwrap();
        follower.wait().unwrap();
    }
    writer.join().unwrap();
    let mut follower = follow(&log, &gate.url);
    wait("everything has arrived", || server.dump().len() as u64 >= RECORDS);
    follower.kill().unwrap();
    follower.wait().unwrap();
    println!("{round} followers were killed, and {} bulk requests made", gate.bulks().len());
    assert!(round > 8);
    assert_eq!(by_id(server.records()), by_id((0..RECORDS).map(record)));
    // Page after page, in the order of time, from the start asked for up to its end.
    let span = Span { since: Some(record(500).timestamp()), until: Some(record(3200).timestamp()) };
    let read: Vec<Record> =
        Records::of_cluster(cluster(&server.url()), INDEX, span).map(|record| record.unwrap()).collect();
    assert_eq!(read, (500..3200).map(record).collect::<Vec<_>>());
    let kept = folder.path().join("records.jsonl.refused.jsonl");
    assert!(!kept.exists(), "{}", fs::read_to_string(kept).unwrap());
}

/// Writes records in pieces that are no whole lines, and renames the log now and then.
fn write_and_rotate(log: &Path, records: u64) {
    let renamed = |number: u64| -> PathBuf { log.with_file_name(format!("records.jsonl.{number}")) };
    let open = || OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut file = open();
    for number in 0..records {
        let text = line(number) + "\n";
        let (start, end) = text.split_at(text.len() / 3);
        file.write_all(start.as_bytes()).unwrap();
        if number % 40 == 0 {
            thread::sleep(Duration::from_millis(30));
        }
        file.write_all(end.as_bytes()).unwrap();
        if number % 700 == 699 {
            fs::rename(log, renamed(number)).unwrap();
            // The old file is still written to for a moment, as by a server that was not told yet.
            if number % 1400 == 699 {
                thread::sleep(Duration::from_millis(30));
            }
            file = open();
        }
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_mins(2), "waited too long until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
