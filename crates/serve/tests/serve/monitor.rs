//! The server's own monitor: what it says of the last predictions, and what it never says.

use std::time::Duration;

use serde_json::{Value, json};
use wellformed_core::record::{Record, TextPolicy};
use wellformed_drift::{Checker, Expected};
use wellformed_serve::{Ended, Monitor, Records, Settings};
use wellformed_verdict::{Names, observation};

use crate::binary::{Process, bundle, fails};
use crate::support::{
    Running, get, monitor, post, read, request, send, start, start_with_records, until, usual, write,
};

const AT_ONCE: Duration = Duration::ZERO;

fn watched(monitor: Monitor, texts: TextPolicy) -> Running {
    start_with_records(Settings::default(), Records::new(texts).watched_by(monitor))
}

fn keeping_texts() -> TextPolicy {
    TextPolicy::read(|name| (name == "WELLFORMED_LOG_TEXT").then(|| "1".to_owned())).unwrap()
}

/// Asks about usual sentences, five to a request: of a few requests, the first of a process is a large share.
fn ask(server: &Running, numbers: std::ops::Range<usize>, change: impl Fn(String) -> String) {
    let sentences: Vec<String> = numbers.map(|index| change(usual(index))).collect();
    for five in sentences.chunks(5) {
        assert_eq!(server.post("/predict", &json!({ "sentences": five })).status, 200);
    }
}

fn report(server: &Running) -> Value {
    let answer = server.get("/monitor.json");
    assert_eq!((answer.status, &*answer.headers["content-type"]), (200, "application/json"), "{answer:?}");
    answer.json()
}

fn verdict(server: &Running) -> String {
    report(server)["verdict"].as_str().unwrap().to_owned()
}

/// The verdict that the metrics show; there is one at most.
fn shown(server: &Running) -> Option<String> {
    let text = server.get("/metrics").body;
    let lines = text.lines().filter_map(|line| line.strip_prefix("wellformed_monitor_verdict{verdict=\""));
    let ones: Vec<&str> = lines.filter_map(|line| line.strip_suffix("\"} 1")).collect();
    assert!(ones.len() <= 1, "{text}");
    ones.first().map(|&name| name.to_owned())
}

#[test]
fn the_verdict_follows_the_last_predictions() {
    let server = watched(monitor(200, AT_ONCE), TextPolicy::default());
    assert_eq!(verdict(&server), "insufficient_data");
    ask(&server, 300..399, |one| one);
    assert_eq!(verdict(&server), "insufficient_data", "99 are one too few");
    ask(&server, 399..500, |one| one);
    assert_eq!(verdict(&server), "ok");
    ask(&server, 500..650, |one| format!("{one} {one}"));
    let found = report(&server);
    assert_eq!((&found["verdict"], &found["records"]), (&json!("alert"), &json!(200)));
    let codes: Vec<&str> =
        found["reasons"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"tokens") && codes.contains(&"p_acceptable"), "{codes:?}");
    let page = server.get("/monitor");
    assert!(page.body.contains("<title>alert: "), "{}", page.body);
    // What moved is out of the window again.
    ask(&server, 650..850, |one| one);
    assert_eq!(verdict(&server), "ok");
    assert!(server.get("/monitor").body.contains("the last 200 of 550 since the server started"));
}

#[test]
fn the_report_is_what_the_drift_check_says_of_the_last_records_in_the_file() {
    let mut server = start();
    ask(&server, 300..550, |one| one);
    assert_eq!(server.post("/predict", &json!({"sentence": ""})).status, 422);
    // An error is recorded when its answer has left.
    until("the error has come", || report(&server)["service"]["problems"] == json!({"empty_sentence": 1}));
    let found = report(&server);
    server.end();
    let records = server.records();
    let profile = crate::support::profile();
    let bundle = Some(crate::support::DIGEST.to_owned());
    let mut checker = Checker::new(profile, wellformed_verdict::Settings::default(), Expected { bundle }).unwrap();
    let (mut window, mut names) = (checker.window().unwrap(), Names::default());
    for record in &records[records.len() - 100..] {
        window.take(&observation(record, &mut names).unwrap());
    }
    let expected = serde_json::to_value(checker.check(&window).unwrap()).unwrap();
    assert_eq!(found, expected);
    assert_eq!((&found["records"], &found["predictions"]), (&json!(100), &json!(99)));
}

#[test]
fn a_page_is_for_browsers_and_json_for_those_who_ask_for_it() {
    let server = start();
    let kind = |path: &str, accepted: &str| {
        let answer = send(server.address, "GET", path, &[("Accept", accepted)], "");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(path == "/monitor", answer.headers.get("vary").is_some_and(|names| names == "accept"));
        answer.headers["content-type"].clone()
    };
    let (page, json) = ("text/html; charset=utf-8", "application/json");
    assert_eq!(kind("/monitor", "*/*"), page);
    assert_eq!(kind("/monitor", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), page);
    assert_eq!(kind("/monitor", "application/json"), json);
    assert_eq!(kind("/monitor", "application/json; q=0.9, text/plain"), json);
    assert_eq!(kind("/monitor", "application/json;q=0.1, text/html"), page);
    assert_eq!(kind("/monitor.json", "text/html"), json);
    assert_eq!(server.get("/monitor").headers["content-type"], page);
    assert_eq!(server.post("/monitor", &json!({})).status, 405);
    assert!(server.get("/").body.contains("<a href=\"/monitor\">"));
    assert!(server.get("/monitor").body.contains("<a href=\"/\">"));
}

#[test]
fn the_page_may_apply_its_own_style_and_nothing_else() {
    let server = start();
    ask(&server, 0..150, |one| one);
    let page = server.get("/monitor");
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && policy.ends_with("; frame-ancestors 'none'"), "{policy}");
    for inline in ["<script", "style=", "http://", "https://", "<link", "<img", "url("] {
        assert!(!page.body.contains(inline), "{inline}");
    }
    assert_eq!(page.body.matches("<style>").count(), 1);
    assert_eq!(server.get("/").headers["content-security-policy"].matches("style-src 'self'").count(), 1);
}

#[test]
fn no_word_of_a_sentence_is_kept_unless_it_is_asked_for() {
    let server = watched(monitor(200, AT_ONCE), TextPolicy::default());
    ask(&server, 0..150, |one| format!("marmoset {one}"));
    for path in ["/monitor", "/monitor.json", "/metrics"] {
        let answer = server.get(path);
        assert!(answer.status == 200 && !answer.body.contains("marmoset"), "{path}: {}", answer.body);
    }
    assert!(server.get("/monitor").body.contains("Least certain"));
    assert!(server.get("/").body.contains("and is not kept."));

    let server = watched(monitor(200, AT_ONCE), keeping_texts());
    let long = "&\u{e9}".repeat(1000);
    ask(&server, 0..5, |one| format!("The <b>marmoset</b> of me@example.org saw \"{one}\" {long}"));
    let page = server.get("/monitor").body;
    assert!(page.contains("The &lt;b&gt;marmoset&lt;/b&gt; of [email] saw &quot;"), "{page}");
    assert!(!page.contains("<b>") && !page.contains("example.org"), "{page}");
    assert!(page.contains("&amp;\u{e9}&amp;\u{2026}") || page.contains("&amp;\u{e9}\u{2026}"), "cut: {page}");
    assert!(page.len() < 40_000, "{}", page.len());
    assert!(!server.get("/").body.contains("and is not kept."));
}

#[test]
fn a_server_whose_predictions_are_not_watched_says_why() {
    let unwatched = [
        (Monitor::off(), "monitor_off", "--monitor-window"),
        (Monitor::without_profile(), "no_profile", "profile.json"),
    ];
    for (monitor, code, part) in unwatched {
        let server = watched(monitor, TextPolicy::default());
        ask(&server, 0..3, |one| one);
        let answer = server.get("/monitor.json");
        assert_eq!(answer.error(), (404, code.to_owned(), None));
        assert!(answer.message().contains(part), "{answer:?}");
        let page = server.get("/monitor");
        assert_eq!((page.status, &*page.headers["content-type"]), (404, "text/html; charset=utf-8"));
        assert!(page.body.contains("There is no verdict") && page.body.contains(part), "{}", page.body);
        assert!(!server.get("/metrics").body.contains("wellformed_monitor"));
        assert!(!server.get("/").body.contains("/monitor"));
    }
}

#[test]
fn the_verdict_is_a_metric_that_is_current_without_anyone_looking_at_the_page() {
    let server = watched(monitor(200, AT_ONCE), TextPolicy::default());
    ask(&server, 300..500, |one| one);
    until("the verdict is ok", || shown(&server).as_deref() == Some("ok"));
    assert_eq!(server.metric("wellformed_monitor_window_records"), 200.0);
    assert!(server.metric("wellformed_monitor_judged_seconds") > 1e9);
    ask(&server, 500..650, |one| format!("{one} {one}"));
    until("the verdict is alert", || shown(&server).as_deref() == Some("alert"));
    assert_eq!(server.metric("wellformed_monitor_records_lost_total"), 0.0);
}

#[test]
fn a_verdict_is_not_found_again_while_it_rests_or_while_nothing_has_come() {
    let judged = |server: &Running| server.metric("wellformed_monitor_judging_seconds_count");
    let server = watched(monitor(200, Duration::from_hours(1)), TextPolicy::default());
    assert_eq!(verdict(&server), "insufficient_data");
    ask(&server, 300..500, |one| one);
    for _ in 0..5 {
        assert_eq!(verdict(&server), "insufficient_data");
    }
    assert_eq!(judged(&server), 1.0);

    let server = watched(monitor(200, AT_ONCE), TextPolicy::default());
    for _ in 0..5 {
        verdict(&server);
    }
    assert_eq!(judged(&server), 1.0);
}

#[test]
fn however_many_come_at_once_the_window_is_no_longer_and_every_record_is_accounted_for() {
    let server = watched(monitor(150, AT_ONCE), TextPolicy::default());
    let sentences: Vec<String> = (0..256).map(usual).collect();
    let ask = || {
        let (address, body) = (server.address, json!({ "sentences": sentences }));
        std::thread::spawn(move || (0..20).map(|_| post(address, "/predict", &body).status).collect::<Vec<_>>())
    };
    let asking: Vec<_> = (0..3).map(|_| ask()).collect();
    for thread in asking {
        assert_eq!(thread.join().unwrap(), [200; 20]);
    }
    assert_eq!(report(&server)["records"], 150);
    assert_eq!(server.metric("wellformed_monitor_window_records"), 150.0);
    let page = server.get("/monitor").body;
    assert!(page.contains("the last 150 of 15360 since the server started"), "{page}");
}

#[test]
fn a_page_that_is_being_made_does_not_keep_the_server() {
    let mut server = start();
    ask(&server, 0..200, |one| one);
    let looking = write(server.address, &request("GET", "/monitor", &[], ""));
    assert_eq!(server.end(), Ended::Finished);
    assert_eq!(read(looking).status, 200, "what was accepted is answered");
}

#[test]
fn the_binary_watches_a_real_bundle_and_reads_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("watch.yaml");
    std::fs::write(&settings, "drift: {min_records: 30}\n").unwrap();
    let server =
        Process::start(&["--log", "off", "--monitor-settings", settings.to_str().unwrap(), "--monitor-window", "60"]);
    let found = || get(server.address, "/monitor.json").json();
    let sentences: Vec<String> = (0..40).map(|index| format!("The cat number {index} sleeps.")).collect();
    assert_eq!(post(server.address, "/predict", &json!({ "sentences": sentences })).status, 200);
    let found = found();
    assert_eq!((&found["predictions"], &found["counted"]), (&json!(40), &json!(40)));
    assert_eq!(found["reference_sentences"], 256, "the fixture's profile");
    assert_eq!(found["signals"].as_array().unwrap().len(), 10);
    assert_ne!(found["verdict"], "insufficient_data");
    assert!(get(server.address, "/monitor").body.contains(found["verdict"].as_str().unwrap()));
}

#[test]
fn the_binary_serves_a_bundle_without_a_profile_and_refuses_one_with_another_profile() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for entry in std::fs::read_dir(bundle()).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, path(from.file_name().unwrap().to_str().unwrap())).unwrap();
    }
    let option = ["--bundle", folder.path().to_str().unwrap()];
    let profile = std::fs::read_to_string(path("profile.json")).unwrap();
    std::fs::write(path("profile.json"), profile.replacen("0.", "0.0", 1)).unwrap();
    let output = fails(&option);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("profile.json"), "{message}");

    std::fs::remove_file(path("profile.json")).unwrap();
    let manifest = std::fs::read_to_string(path("bundle.json")).unwrap();
    let mut manifest: wellformed_core::bundle::Manifest = serde_json::from_str(&manifest).unwrap();
    manifest.files.remove("profile.json");
    std::fs::write(path("bundle.json"), serde_json::to_vec(&manifest.seal()).unwrap()).unwrap();
    let server = Process::start_with(folder.path(), &["--log", "off"]);
    assert_eq!(post(server.address, "/predict", &json!({"sentence": "The cat sleeps."})).status, 200);
    assert_eq!(get(server.address, "/monitor.json").error().1, "no_profile");
}

#[test]
fn windows_and_settings_that_cannot_be_meant_are_refused() {
    let folder = bundle();
    let bundle = ["--bundle", folder.to_str().unwrap()];
    for (options, part) in [
        (&["--monitor-window", "99"][..], "--monitor-window is 99; expected 100 (drift.min_records) to 100000"),
        (&["--monitor-window", "100001"][..], "--monitor-window is 100001"),
        (&["--monitor-settings", "no/such.yaml"][..], "no/such.yaml"),
        (&["--monitor-window", "0", "--monitor-settings", "monitor.yaml"][..], "leave one of them away"),
    ] {
        let output = fails(&[&bundle, options].concat());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_start_is_no_record_to_judge() {
    let mut server = start();
    let found = report(&server);
    assert_eq!(found["records"], 0);
    server.end();
    assert!(matches!(server.records()[..], [Record::Start(_)]));
}
