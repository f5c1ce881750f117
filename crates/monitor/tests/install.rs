//! `monitor install`, as a person runs it: into an OpenSearch-compatible server and a stand-in for Kibana.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(dead_code, reason = "the helpers of the crate `kibana` have more than is used here")]

#[path = "../../kibana/tests/kibana/stand_in.rs"]
mod stand_in;
#[path = "../../kibana/tests/kibana/support.rs"]
mod support;

use std::process::{Command, Output};

use stand_in::{Role, StandIn};
use support::Osmem;
use wellformed_kibana::assets::Program;
use wellformed_kibana::install::Server;

const KEY: &str = "c2VjcmV0OnNlY3JldA==";

/// Runs the binary with a login, and nothing else in the environment that it reads.
fn install(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monitor"));
    command.arg("install").args(arguments).env("ELASTICSEARCH_API_KEY", KEY);
    for name in ["ELASTICSEARCH_URL", "KIBANA_URL", "OPENSEARCH_DASHBOARDS_URL", "ELASTICSEARCH_USERNAME"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains(KEY), "the API key was printed");
    text
}

#[test]
fn without_a_server_it_says_which_options_there_are() {
    let output = install(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output), "error: no server is named: give at least one of --url, --kibana and --dashboards\n");
}

#[test]
fn kibana_is_asked_with_the_login_and_a_repetition_changes_nothing() {
    let kibana = StandIn::start(Role::Dashboards(Program::Kibana, "8.15.3"));
    let first = install(&["--kibana", &kibana.address]);
    assert!(first.status.success(), "{}", text(&first));
    assert!(text(&first).ends_with("created: 4, updated: 0, unchanged: 0, skipped: 0\n"), "{}", text(&first));
    for request in kibana.requests() {
        assert_eq!(request.headers["authorization"], format!("ApiKey {KEY}"), "{}", request.path);
    }
    let again = install(&["--kibana", &kibana.address]);
    assert!(text(&again).ends_with("created: 0, updated: 0, unchanged: 4, skipped: 0\n"), "{}", text(&again));
}

#[test]
fn a_refusal_ends_it_with_status_1_and_the_reason() {
    let kibana = StandIn::start(Role::Dashboards(Program::OpenSearchDashboards, "2.19.0"));
    let output = install(&["--kibana", &kibana.address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("is version 2.19.0, expected Kibana 8.9 or newer"), "{}", text(&output));
}

#[test]
#[ignore = "needs osmem-server (.venv-monitor): cargo xtask test brings it"]
fn a_cluster_gets_its_templates_and_a_rehearsal_changes_nothing() {
    let server = Osmem::start();
    let url = server.http.address();
    let rehearsed = install(&["--url", &url, "--dry-run"]);
    assert!(
        text(&rehearsed)
            .ends_with("to be created: 2, to be updated: 0, unchanged: 0, skipped: 1; nothing was changed\n"),
        "{}",
        text(&rehearsed)
    );
    let first = install(&["--url", &url]);
    assert!(text(&first).ends_with("created: 2, updated: 0, unchanged: 0, skipped: 1\n"), "{}", text(&first));
    let again = install(&["--url", &url]);
    assert!(text(&again).ends_with("created: 0, updated: 0, unchanged: 2, skipped: 1\n"), "{}", text(&again));
}
