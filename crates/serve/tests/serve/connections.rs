//! Clients that are slow, idle, or too many.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::json;
use wellformed_serve::Settings;

use crate::support::{JSON, read, request, start, start_with, write};

#[test]
fn a_head_that_does_not_arrive_closes_its_connection() {
    let settings = Settings { head_timeout: Duration::from_millis(200), ..Settings::default() };
    let server = start_with(settings);
    for sent in ["", "POST /predict HTTP/1.1\r\nHost: te"] {
        let mut stream = write(server.address, sent);
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server closes the connection");
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "there was nothing to answer");
    }
}

#[test]
fn a_body_that_does_not_arrive_in_time_is_the_clients_fault() {
    let server = start_with(Settings { timeout: Duration::from_millis(200), ..Settings::default() });
    let head = "POST /predict HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let answer = read(write(server.address, head));
    assert_eq!(answer.error(), (408, "slow_body".to_owned(), None));
}

#[test]
fn several_requests_pass_through_one_connection() {
    let server = start();
    let body = "{\"sentence\": \"It rains.\"}";
    let keep = request("POST", "/predict", &[JSON], body).replace("Connection: close\r\n", "");
    let mut stream = write(server.address, &keep);
    stream.write_all(request("GET", "/health/live", &[], "").as_bytes()).unwrap();
    let both = read(stream);
    assert_eq!(both.status, 200);
    assert!(both.body.contains("predictions") && both.body.contains("\"live\""), "{both:?}");
}

#[test]
fn connections_beyond_the_limit_wait_until_there_is_room() {
    let server = start_with(Settings { max_connections: 1, ..Settings::default() });
    let first = write(server.address, "GET /health/live HTTP/1.1\r\n");
    let second = server.post_later("/predict", json!({"sentence": "It rains."}));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.hand.seen(), 0, "the second waits outside");
    drop(first);
    assert_eq!(second.join().unwrap().status, 200);
}

#[test]
fn a_head_that_does_not_end_is_not_collected_for_ever() {
    let server = start();
    let text = "a".repeat(100_000);
    let answer = server.get(&format!("/predict?text={text}"));
    assert!([414, 431].contains(&answer.status), "{}", answer.status);
    assert_eq!(server.get("/health/live").status, 200);
}

#[test]
fn what_is_not_http_is_refused() {
    let server = start();
    assert_eq!(read(write(server.address, "hello\r\n\r\n")).status, 400);
    assert_eq!(server.get("/health/live").status, 200);
}
