//! The queue: who is predicted with whom, and who is not predicted at all.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use wellformed_serve::{Ended, Settings};

use crate::support::{JSON, Running, expected, request, start, start_with, until, write};

fn sentence(words: usize) -> String {
    format!("{}end", "word ".repeat(words))
}

/// Lets one request occupy the only worker.
fn occupy(server: &Running) -> std::thread::JoinHandle<crate::support::Answer> {
    server.hand.hold();
    let before = server.hand.batches().len();
    let first = server.post_later("/predict", json!({"sentence": "It rains."}));
    until("the worker is occupied", || server.hand.batches().len() == before + 1);
    first
}

#[test]
fn sentences_that_wait_together_are_predicted_together_and_go_back_to_their_owners() {
    let server = start_with(Settings { batch_tokens: 1000, ..Settings::default() });
    let first = occupy(&server);
    let requests: Vec<_> =
        (0..20).map(|words| server.post_later("/predict", json!({"sentence": sentence(words)}))).collect();
    until("20 sentences wait", || server.queued() == 20);
    server.hand.release();
    assert_eq!(first.join().unwrap().acceptable(), [expected("It rains.")]);
    for (words, request) in requests.into_iter().enumerate() {
        assert_eq!(request.join().unwrap().acceptable(), [expected(&sentence(words))], "the owner of {words} words");
    }
    let sizes: Vec<usize> = server.hand.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 20]);
}

#[test]
fn a_batch_has_no_more_tokens_than_it_may_and_at_least_one_sentence() {
    let server = start_with(Settings { batch_tokens: 10, ..Settings::default() });
    let first = occupy(&server);
    // With [CLS] and [SEP]: 4, 4, 4 tokens, then 13, then 4.
    let sentences = [sentence(1), sentence(1), sentence(1), sentence(10), sentence(1)];
    let request = server.post_later("/predict", json!({"sentences": sentences}));
    until("5 sentences wait", || server.queued() == 5);
    server.hand.release();
    first.join().unwrap();
    let wanted: Vec<f64> = sentences.iter().map(|sentence| expected(sentence)).collect();
    assert_eq!(request.join().unwrap().acceptable(), wanted);
    assert_eq!(server.hand.batches()[1..], [vec![4, 4], vec![4], vec![13], vec![4]]);
}

#[test]
fn workers_that_are_free_share_what_waits() {
    let server = start_with(Settings { threads: 2, ..Settings::default() });
    server.hand.hold();
    let request = server.post_later("/predict", json!({"sentences": vec!["It rains."; 10]}));
    until("all sentences are taken", || server.hand.seen() == 10);
    let sizes: Vec<usize> = server.hand.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [5, 5], "two batches at once, neither of them finished");
    server.hand.release();
    assert_eq!(request.join().unwrap().acceptable(), vec![expected("It rains."); 10]);
}

#[test]
fn a_lone_sentence_does_not_wait_for_others() {
    let server = start_with(Settings { window: Duration::from_hours(1), ..Settings::default() });
    for _ in 0..3 {
        assert_eq!(server.post("/predict", &json!({"sentence": "It rains."})).status, 200);
    }
    let many = server.post("/predict", &json!({"sentences": vec!["It rains."; 5]}));
    assert_eq!(many.status, 200, "several in one request do not wait either");
}

#[test]
fn after_a_large_batch_a_small_one_waits_for_more_but_not_for_longer_than_the_window() {
    let server = start_with(Settings { window: Duration::from_millis(300), ..Settings::default() });
    let first = occupy(&server);
    let large = server.post_later("/predict", json!({"sentences": vec!["It rains."; 8]}));
    until("8 sentences wait", || server.queued() == 8);
    server.hand.release();
    first.join().unwrap();
    large.join().unwrap();
    let small: Vec<_> = (0..2).map(|_| server.post_later("/predict", json!({"sentence": "It rains."}))).collect();
    for request in small {
        assert_eq!(request.join().unwrap().status, 200, "nobody is forgotten");
    }
    assert_eq!(server.hand.seen(), 11);
}

#[test]
fn a_full_queue_refuses_and_what_it_has_taken_is_answered() {
    for settings in
        [Settings { queue_sentences: 4, ..Settings::default() }, Settings { queue_tokens: 16, ..Settings::default() }]
    {
        let server = start_with(settings);
        let first = occupy(&server);
        let taken: Vec<_> = (0..4).map(|_| server.post_later("/predict", json!({"sentence": "It rains."}))).collect();
        until("4 sentences wait", || server.queued() == 4);
        let refused = server.post("/predict", &json!({"sentence": "It rains."}));
        assert_eq!(refused.error(), (429, "queue_full".to_owned(), None));
        assert_eq!(refused.headers["retry-after"], "1");
        assert_eq!(server.metric("wellformed_rejected_requests_total{reason=\"queue_full\"}"), 1.0);
        server.hand.release();
        assert_eq!(first.join().unwrap().status, 200);
        for request in taken {
            assert_eq!(request.join().unwrap().status, 200);
        }
        assert_eq!(server.hand.seen(), 5, "the refused one was not predicted");
        assert_eq!(server.post("/predict", &json!({"sentence": "It rains."})).status, 200, "there is room again");
    }
}

#[test]
fn a_request_is_taken_whole_or_not_at_all() {
    let server = start_with(Settings { queue_sentences: 4, ..Settings::default() });
    let first = occupy(&server);
    let taken = server.post_later("/predict", json!({"sentences": ["a", "b", "c"]}));
    until("3 sentences wait", || server.queued() == 3);
    assert_eq!(server.post("/predict", &json!({"sentences": ["d", "e"]})).status, 429);
    assert_eq!(server.queued(), 3);
    server.hand.release();
    first.join().unwrap();
    assert_eq!(taken.join().unwrap().status, 200);
}

#[test]
fn a_request_that_waits_too_long_is_told_and_not_predicted() {
    let server = start_with(Settings { timeout: Duration::from_secs(2), ..Settings::default() });
    let first = occupy(&server);
    let late = server.post("/predict", &json!({"sentences": ["It", "snows."]}));
    assert_eq!(late.error(), (503, "timeout".to_owned(), None));
    assert_eq!(late.headers["retry-after"], "1");
    // The one in the model's hands runs out of time as well, but it is too late to leave it out.
    assert_eq!(first.join().unwrap().status, 503);
    server.hand.release();
    assert_eq!(server.post("/predict", &json!({"sentence": "It rains."})).status, 200);
    assert_eq!(server.hand.seen(), 2, "the two that were late were left out");
    assert_eq!(server.metric("wellformed_abandoned_sentences_total"), 2.0);
}

#[test]
fn who_hangs_up_is_not_predicted_and_leaves_room_for_others() {
    let server = start_with(Settings { queue_sentences: 2, ..Settings::default() });
    let first = occupy(&server);
    let body = "{\"sentences\": [\"It rains.\", \"It snows.\"]}";
    let gone = write(server.address, &request("POST", "/predict", &[JSON], body));
    until("2 sentences wait", || server.queued() == 2);
    drop(gone);
    until("the server notices", || {
        server.metric("wellformed_http_requests_total{method=\"POST\",route=\"/predict\",status=\"499\"}") == 1.0
    });
    let other = server.post_later("/predict", json!({"sentence": "It hails."}));
    until("the places are free", || server.queued() == 1);
    server.hand.release();
    assert_eq!(first.join().unwrap().status, 200);
    assert_eq!(other.join().unwrap().status, 200);
    assert_eq!(server.hand.seen(), 2);
    assert_eq!(server.metric("wellformed_abandoned_sentences_total"), 2.0);
}

#[test]
fn explanations_stand_in_the_same_queue_and_are_batches_of_their_own() {
    let server = start();
    let first = occupy(&server);
    let before = server.post_later("/predict", json!({"sentence": sentence(3)}));
    until("1 waits", || server.queued() == 1);
    let explained = server.post_later("/explain", json!({"sentence": sentence(4)}));
    until("2 wait", || server.queued() == 2);
    let after = server.post_later("/predict", json!({"sentence": sentence(5)}));
    until("3 wait", || server.queued() == 3);
    server.hand.release();
    for request in [first, before, explained, after] {
        assert_eq!(request.join().unwrap().status, 200);
    }
    assert_eq!(server.hand.batches()[1..], [vec![6], vec![7], vec![8]]);
}

#[test]
fn a_model_that_panics_costs_its_batch_and_not_the_server() {
    let server = start();
    server.hand.panics.store(true, Ordering::Relaxed);
    for path in ["/predict", "/explain"] {
        let failed = server.post(path, &json!({"sentence": "It rains."}));
        assert_eq!(failed.error(), (500, "internal".to_owned(), None));
    }
    server.hand.panics.store(false, Ordering::Relaxed);
    assert_eq!(server.post("/predict", &json!({"sentence": "It rains."})).status, 200);
}

#[test]
fn many_clients_at_once_each_get_their_own() {
    let server = start_with(Settings { threads: 2, batch_tokens: 64, ..Settings::default() });
    let clients: Vec<_> = (0..32)
        .map(|client| {
            let address = server.address;
            std::thread::spawn(move || {
                for turn in 0..25 {
                    let sentence = format!("{} {}", "x".repeat(client + 1), "y".repeat(turn + 1));
                    let answer = crate::support::post(address, "/predict", &json!({"sentence": sentence}));
                    assert_eq!(answer.acceptable(), [expected(&sentence)]);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(server.hand.seen(), 32 * 25);
    assert_eq!(server.queued(), 0);
}

#[test]
fn stopping_finishes_what_was_accepted() {
    let mut server = start();
    let first = occupy(&server);
    let waiting: Vec<_> =
        (0..5).map(|words| server.post_later("/predict", json!({"sentence": sentence(words)}))).collect();
    until("5 sentences wait", || server.queued() == 5);
    server.stop();
    until("no new connection is taken", || std::net::TcpStream::connect(server.address).is_err());
    server.hand.release();
    assert_eq!(first.join().unwrap().status, 200);
    for (words, request) in waiting.into_iter().enumerate() {
        assert_eq!(request.join().unwrap().acceptable(), [expected(&sentence(words))]);
    }
    assert_eq!(server.end(), Ended::Finished);
}

#[test]
fn stopping_says_so_before_it_stops_accepting() {
    let mut server = start_with(Settings { shutdown_delay: Duration::from_secs(3), ..Settings::default() });
    assert_eq!(server.get("/health/ready").status, 200);
    server.stop();
    let mut answer = server.get("/health/ready");
    until("readiness is withdrawn", || {
        answer = server.get("/health/ready");
        answer.status == 503
    });
    assert_eq!(answer.json()["status"], "stopping");
    assert_eq!(server.get("/health/live").status, 200, "it still runs");
    assert_eq!(server.post("/predict", &json!({"sentence": "It rains."})).status, 200, "and still answers");
    assert_eq!(server.end(), Ended::Finished);
}

#[test]
fn stopping_does_not_wait_for_connections_on_which_nothing_was_asked() {
    let mut server = start_with(Settings { shutdown_timeout: Duration::from_hours(1), ..Settings::default() });
    let _silent = write(server.address, "");
    let _begun = write(server.address, "GET /health/li");
    until("both are open", || server.metric("wellformed_http_connections") >= 3.0);
    assert_eq!(server.end(), Ended::Finished);
}

#[test]
fn stopping_does_not_wait_for_ever() {
    let mut server = start_with(Settings { shutdown_timeout: Duration::from_millis(100), ..Settings::default() });
    let _first = occupy(&server);
    assert_eq!(server.end(), Ended::Unfinished(1));
}
