//! Downloading one file, told with CoLA's archive: what breaks is resumed, what is wrong is refused.

use std::fs;
use std::time::Duration;

use wellformed_core::files::sha256_bytes;
use wellformed_fetch::FetchError;

use crate::server::{Fault, Server};
use crate::support::{Project, cola_archive, sets};

const PATH: &str = "/CoLA/cola_public_1.1.zip";

/// Parameters that take CoLA from `server`, and want these bytes.
fn cola(server: &Server, wanted: &[u8]) -> Vec<String> {
    let url = format!("data.cola.url={}", server.url(PATH));
    sets(&["data.source=cola", &url, &format!("data.cola.sha256='{}'", sha256_bytes(wanted))])
}

#[test]
fn the_archive_is_stored_byte_for_byte_and_not_fetched_twice() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.put(PATH, &archive);
    let line = project.data(&cola(&server, &archive)).unwrap();
    assert!(line.contains("CoLA's archive"), "{line}");
    assert_eq!(project.corpus(), archive);
    assert!(project.downloads().is_empty(), "{:?}", project.downloads());

    server.forget();
    let line = project.data(&cola(&server, &archive)).unwrap();
    assert!(line.contains("corpus.zip is already here"), "{line}");
    assert!(server.log().is_empty(), "{:?}", server.log());
}

#[test]
fn an_archive_that_dvc_pulled_needs_no_network() {
    let (project, archive) = (Project::new(), cola_archive());
    project.file("data/raw/corpus.zip", &archive);
    let nowhere = sets(&[
        "data.cola.url=http://127.0.0.1:9/cola.zip",
        &format!("data.cola.sha256='{}'", sha256_bytes(&archive).to_uppercase()),
    ]);
    assert!(project.data(&nowhere).unwrap().contains("already here"));
}

#[test]
fn a_broken_connection_is_resumed_and_no_byte_is_sent_twice() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.put(PATH, &archive);
    server.fail(PATH, &[Fault::Cut(300), Fault::Cut(400)]);
    project.data(&cola(&server, &archive)).unwrap();
    assert_eq!(project.corpus(), archive);

    let seen = server.seen(PATH);
    let answers: Vec<(u16, usize)> = seen.iter().map(|seen| (seen.status, seen.sent)).collect();
    assert_eq!(answers, [(200, 300), (206, 400), (206, archive.len() - 700)]);
    let ranges: Vec<Option<&str>> = seen.iter().map(|seen| seen.headers.get("range").map(String::as_str)).collect();
    assert_eq!(ranges, [None, Some("bytes=300-"), Some("bytes=700-")]);
    assert!(seen[1].headers["if-range"].starts_with("\"site-"), "{:?}", seen[1].headers);
}

#[test]
fn a_later_run_goes_on_where_an_earlier_one_gave_up() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.put(PATH, &archive);
    server.fail(PATH, &[Fault::Cut(500), Fault::Cut(0), Fault::Cut(0), Fault::Cut(0)]);
    let error = project.data(&cola(&server, &archive)).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    assert!(!project.places.corpus.exists(), "half a file must not be where a whole one belongs");
    assert_eq!(project.downloads().len(), 2, "the unfinished file and its note stay");

    server.forget();
    project.data(&cola(&server, &archive)).unwrap();
    assert_eq!(project.corpus(), archive);
    let sent: usize = server.log().iter().map(|seen| seen.sent).sum();
    assert_eq!(sent, archive.len() - 500);
}

#[test]
fn an_unfinished_file_of_another_version_is_not_continued() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.put(PATH, &archive);
    server.fail(PATH, &[Fault::Cut(500), Fault::Cut(0), Fault::Cut(0), Fault::Cut(0)]);
    project.data(&cola(&server, &archive)).unwrap_err();

    let newer: Vec<u8> = archive.iter().rev().copied().collect();
    server.put(PATH, &newer);
    server.forget();
    project.data(&cola(&server, &newer)).unwrap();
    assert_eq!(project.corpus(), newer);
    assert_eq!(server.log()[0].headers.get("range"), None);
}

#[test]
fn a_file_that_changes_between_two_attempts_is_fetched_whole_again() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    let older: Vec<u8> = archive.iter().map(|byte| byte ^ 0xff).collect();
    server.put(PATH, &older);
    server.fail(PATH, &[Fault::CutAndReplace(500, archive.clone())]);
    project.data(&cola(&server, &archive)).unwrap();
    assert_eq!(project.corpus(), archive);
    let answers: Vec<(u16, usize)> = server.log().iter().map(|seen| (seen.status, seen.sent)).collect();
    assert_eq!(answers, [(200, 500), (200, archive.len())], "the range was asked for, but its condition failed");
    assert_eq!(server.log()[1].headers["range"], "bytes=500-");
}

#[test]
fn without_entity_tags_the_digest_tells_a_patchwork_and_one_whole_file_is_fetched() {
    let (server, project, archive) = (Server::untagged_site(), Project::new(), cola_archive());
    let older: Vec<u8> = archive.iter().map(|byte| byte ^ 0xff).collect();
    server.put(PATH, &older);
    server.fail(PATH, &[Fault::CutAndReplace(500, archive.clone())]);
    project.data(&cola(&server, &archive)).unwrap();
    assert_eq!(project.corpus(), archive);
    let statuses: Vec<u16> = server.log().iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [200, 206, 200]);
}

#[test]
fn a_server_without_ranges_starts_again() {
    let (server, project, archive) = (Server::simple_site(), Project::new(), cola_archive());
    server.put(PATH, &archive);
    server.fail(PATH, &[Fault::Cut(500)]);
    project.data(&cola(&server, &archive)).unwrap();
    assert_eq!(project.corpus(), archive);
}

#[test]
fn an_unfinished_file_longer_than_the_file_is_thrown_away() {
    let (server, project, archive) = (Server::untagged_site(), Project::new(), cola_archive());
    server.put(PATH, &archive);
    server.fail(PATH, &[Fault::Cut(500), Fault::Cut(0), Fault::Cut(0), Fault::Cut(0)]);
    project.data(&cola(&server, &archive)).unwrap_err();
    let [_, part] = project.downloads().try_into().unwrap();
    project.file(&format!("data/.downloads/{part}"), vec![0; archive.len() + 10]);
    project.data(&cola(&server, &archive)).unwrap();
    assert_eq!(project.corpus(), archive);
    assert!(server.log().iter().any(|seen| seen.status == 416));
}

#[test]
fn a_wrong_digest_is_refused_and_nothing_is_kept() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.put(PATH, b"<html>Please log in to the network</html>");
    let earlier = project.file("data/raw/corpus.zip", "what was there before");
    let error = project.data(&cola(&server, &archive)).unwrap_err();
    assert!(matches!(&error, FetchError::Digest(_)), "{error:?}");
    assert_eq!(error.exit_code(), 1);
    let text = error.to_string();
    for part in [
        "cola_public_1.1.zip has the wrong digest",
        &sha256_bytes(b"<html>Please log in to the network</html>"),
        &sha256_bytes(&archive),
        "data.cola.sha256 in params.yaml",
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    assert_eq!(fs::read(earlier).unwrap(), b"what was there before");
    assert!(project.downloads().is_empty(), "{:?}", project.downloads());
    assert_eq!(server.log().len(), 1, "a wrong file is no transient error");
}

#[test]
fn a_404_is_final_and_says_what_to_do() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    let error = project.data(&cola(&server, &archive)).unwrap_err();
    assert!(matches!(&error, FetchError::Refused { status: 404, .. }), "{error:?}");
    assert_eq!((error.exit_code(), server.log().len()), (1, 1));
    let text = error.to_string();
    assert!(text.contains(&server.url(PATH)) && text.contains("data.cola.url") && text.contains("dvc pull"), "{text}");
}

#[test]
fn a_403_is_final_too() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.fail(PATH, &[Fault::Status(403, Vec::new())]);
    let error = project.data(&cola(&server, &archive)).unwrap_err();
    assert!(matches!(&error, FetchError::Refused { status: 403, .. }), "{error:?}");
    assert_eq!(server.log().len(), 1);
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.put(PATH, &archive);
    server
        .fail(PATH, &[Fault::Status(503, Vec::new()), Fault::Status(429, Vec::new()), Fault::Status(500, Vec::new())]);
    project.data(&cola(&server, &archive)).unwrap();
    let statuses: Vec<u16> = server.log().iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [503, 429, 500, 200]);
}

#[test]
fn a_server_that_stays_in_trouble_is_out_of_reach() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.fail(PATH, &vec![Fault::Status(503, Vec::new()); 9]);
    let error = project.data(&cola(&server, &archive)).unwrap_err();
    assert_eq!((error.exit_code(), server.log().len()), (3, 4), "{error}");
    let text = error.to_string();
    for part in ["cannot be reached", "503", "4 attempts", "dvc pull data/raw/corpus.zip", "--preset starter"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

#[test]
fn the_pause_that_a_server_asks_for_is_kept() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.put(PATH, &archive);
    server.fail(PATH, &[Fault::Status(503, vec![("retry-after", "1".to_owned())])]);
    let started = std::time::Instant::now();
    project.data(&cola(&server, &archive)).unwrap();
    // Our own first pause would be 5 ms.
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn a_server_that_asks_for_an_hour_is_out_of_reach_at_once() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.fail(PATH, &[Fault::Status(429, vec![("retry-after", "3600".to_owned())])]);
    let error = project.data(&cola(&server, &archive)).unwrap_err();
    assert_eq!((error.exit_code(), server.log().len()), (3, 1));
    assert!(error.to_string().contains("3600 s"), "{error}");
}

#[test]
fn a_silent_server_is_not_waited_for_for_ever() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.put(PATH, &archive);
    server.fail(PATH, &[Fault::Silence(Duration::from_secs(30))]);
    let started = std::time::Instant::now();
    project.data(&cola(&server, &archive)).unwrap();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(project.corpus(), archive);
}

#[test]
fn nobody_at_home_is_out_of_reach_with_ways_out() {
    let project = Project::new();
    let nowhere = sets(&["data.cola.url=http://127.0.0.1:9/CoLA/cola_public_1.1.zip"]);
    let error = project.data(&nowhere).unwrap_err();
    assert!(matches!(&error, FetchError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.exit_code(), 3);
    let text = error.to_string();
    assert!(text.contains("http://127.0.0.1:9/CoLA/cola_public_1.1.zip cannot be reached"), "{text}");
    assert!(text.contains("2 attempts"), "no answer at all is not worth more: {text}");
    assert!(text.contains("dvc pull data/raw/corpus.zip"), "{text}");
}

#[test]
fn a_redirect_is_followed_and_a_circle_is_not() {
    let (server, project, archive) = (Server::site(), Project::new(), cola_archive());
    server.put("/elsewhere.zip", &archive);
    server.fail(PATH, &[Fault::Status(301, vec![("location", "/elsewhere.zip".to_owned())])]);
    project.data(&cola(&server, &archive)).unwrap();
    assert_eq!(project.corpus(), archive);

    let (server, project) = (Server::site(), Project::new());
    server.fail(PATH, &vec![Fault::Status(302, vec![("location", PATH.to_owned())]); 99]);
    let error = project.data(&cola(&server, &archive)).unwrap_err();
    assert!(error.to_string().contains("10 redirects"), "{error}");
    assert_eq!(server.log().len(), 11);
}
