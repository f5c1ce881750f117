//! What is asked and answered, and every way of asking wrongly.

use serde_json::json;
use wellformed_serve::{AllowOrigin, Settings};

use crate::support::{DIGEST, JSON, MAX_LENGTH, expected, send, start, start_with};

#[test]
fn one_sentence_is_answered_with_a_list_of_one_prediction() {
    let server = start();
    let answer = server.post("/predict", &json!({"sentence": "The whole choir sang loudly."}));
    assert_eq!(
        answer.json(),
        json!({"bundle": DIGEST, "predictions": [{
            "label": "acceptable",
            "probabilities": {"unacceptable": 1.0 - 0.024, "acceptable": 0.024},
            "logits": {"unacceptable": 0.5, "acceptable": -0.25},
            "tokens": 7,
            "truncated": false,
            "unknown_tokens": 0,
        }]})
    );
    assert_eq!(answer.headers["content-type"], "application/json");
}

#[test]
fn many_sentences_are_answered_in_their_order() {
    let server = start();
    let sentences: Vec<String> = (1..=200).map(|words| "ab ".repeat(1 + words % 17) + "c").collect();
    let answer = server.post("/predict", &json!({"sentences": sentences}));
    let wanted: Vec<f64> = sentences.iter().map(|sentence| expected(sentence)).collect();
    assert_eq!(answer.acceptable(), wanted);
}

#[test]
fn a_query_is_answered_like_a_body() {
    let server = start();
    let query = server.get("/predict?text=Caf%C3%A9s+open%20late%3F");
    let body = server.post("/predict", &json!({"sentence": "Cafés open late?"}));
    assert_eq!(query.status, 200);
    assert_eq!(query.json(), body.json());
}

#[test]
fn a_sentence_that_is_cut_and_a_word_that_is_unknown_are_told() {
    let server = start();
    let answer = server.post("/predict", &json!({"sentence": format!("a#b {}", "word ".repeat(100))}));
    let prediction = &answer.json()["predictions"][0];
    assert_eq!(prediction["truncated"], true);
    assert_eq!(prediction["tokens"], MAX_LENGTH);
    assert_eq!(prediction["unknown_tokens"], 1);
}

#[test]
fn an_explanation_has_the_words_where_they_stand() {
    let server = start();
    let answer = server.post("/explain", &json!({"sentence": "Öl  is expensive."}));
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["perturbation"], "omit");
    assert_eq!(json["bundle"], DIGEST);
    assert_eq!(json["prediction"]["tokens"], 5);
    assert_eq!(
        json["words"],
        json!([
            {"text": "Öl", "start": 0, "end": 3, "weight": -0.03},
            {"text": "is", "start": 5, "end": 7, "weight": -0.02},
            {"text": "expensive.", "start": 8, "end": 18, "weight": 0.1},
        ])
    );
}

#[test]
fn an_explanation_can_mask_and_can_be_asked_for_by_a_query() {
    let server = start();
    let body = server.post("/explain", &json!({"sentence": "It is late.", "perturbation": "mask"}));
    assert_eq!(body.json()["perturbation"], "mask");
    let query = server.get("/explain?text=It+is+late.&perturbation=mask");
    assert_eq!(query.json(), body.json());
}

#[test]
fn a_body_that_cannot_be_used_is_refused_and_the_field_is_named() {
    let server = start();
    let cases = [
        ("/predict", json!({}), "missing_field", Some("sentence")),
        ("/predict", json!({"sentence": 3}), "wrong_type", Some("sentence")),
        ("/predict", json!({"sentence": null}), "wrong_type", Some("sentence")),
        ("/predict", json!({"sentence": ""}), "empty_sentence", Some("sentence")),
        ("/predict", json!({"sentence": " \n\t "}), "empty_sentence", Some("sentence")),
        ("/predict", json!({"sentences": "It rains."}), "wrong_type", Some("sentences")),
        ("/predict", json!({"sentences": []}), "empty_list", Some("sentences")),
        ("/predict", json!({"sentences": ["a", "b", 3]}), "wrong_type", Some("sentences[2]")),
        ("/predict", json!({"sentences": ["a", " ", "b"]}), "empty_sentence", Some("sentences[1]")),
        ("/predict", json!({"sentence": "a", "sentences": ["b"]}), "ambiguous", Some("sentence")),
        ("/predict", json!({"sentence": "a", "txet": "b"}), "unknown_field", Some("txet")),
        ("/predict", json!(["a", "b"]), "wrong_type", None),
        ("/predict", json!("a"), "wrong_type", None),
        ("/explain", json!({"perturbation": "omit"}), "missing_field", Some("sentence")),
        ("/explain", json!({"sentence": ["a"]}), "wrong_type", Some("sentence")),
        ("/explain", json!({"sentence": " "}), "empty_sentence", Some("sentence")),
        ("/explain", json!({"sentence": "a", "perturbation": "blur"}), "unknown_value", Some("perturbation")),
        ("/explain", json!({"sentence": "a", "perturbation": 1}), "wrong_type", Some("perturbation")),
        ("/explain", json!({"sentence": "a", "label": 1}), "unknown_field", Some("label")),
    ];
    for (path, body, code, field) in cases {
        let answer = server.post(path, &body);
        assert_eq!(answer.error(), (422, code.to_owned(), field.map(str::to_owned)), "{path} {body}");
    }
    assert_eq!(server.hand.seen(), 0, "nothing was predicted");
}

#[test]
fn one_bad_sentence_among_many_is_named_wherever_it_stands() {
    let server = start();
    let mut sentences = vec!["It rains."; 100];
    sentences[77] = "";
    let answer = server.post("/predict", &json!({"sentences": sentences}));
    assert_eq!(answer.error(), (422, "empty_sentence".to_owned(), Some("sentences[77]".to_owned())));
}

#[test]
fn a_query_that_cannot_be_used_is_refused_and_the_parameter_is_named() {
    let server = start();
    let cases = [
        ("/predict", "missing_field", Some("text")),
        ("/predict?text=", "empty_sentence", Some("text")),
        ("/predict?text=a&text=b", "ambiguous", Some("text")),
        ("/predict?sentence=a", "unknown_field", None),
        ("/predict?text=a&perturbation=omit", "unknown_field", None),
        ("/explain?perturbation=omit", "missing_field", Some("text")),
        ("/explain?text=a&perturbation=blur", "unknown_value", Some("perturbation")),
    ];
    for (path, code, field) in cases {
        assert_eq!(server.get(path).error(), (422, code.to_owned(), field.map(str::to_owned)), "{path}");
    }
}

#[test]
fn malformed_json_is_refused_with_the_place() {
    let server = start();
    for (body, place) in [
        ("", "line 1 column 0"),
        ("{\"sentence\": \"a\",}", "line 1 column 18"),
        ("{\n  \"sentence\": \"a\"\n", "line 3 column 0"),
        ("{\"sentence\": \"a\"} x", "line 1 column 19"),
        ("{\"sentence\": \"\\ud800\"}", "line 1 column 21"),
    ] {
        let answer = send(server.address, "POST", "/predict", &[JSON], body);
        assert_eq!(answer.error(), (400, "malformed_json".to_owned(), None), "{body}");
        assert!(answer.message().contains(place), "{body}: {}", answer.message());
    }
}

#[test]
fn a_body_that_is_not_declared_as_plain_json_is_refused() {
    let server = start();
    let body = "{\"sentence\": \"It rains.\"}";
    let cases: [(&[(&str, &str)], u16); 7] = [
        (&[], 415),
        (&[("Content-Type", "text/plain")], 415),
        (&[("Content-Type", "application/x-www-form-urlencoded")], 415),
        (&[JSON, ("Content-Encoding", "gzip")], 415),
        (&[JSON, ("Content-Encoding", "identity")], 200),
        (&[("Content-Type", "Application/JSON; charset=utf-8")], 200),
        (&[("Content-Type", "application/problem+json")], 200),
    ];
    for (headers, status) in cases {
        assert_eq!(send(server.address, "POST", "/predict", headers, body).status, status, "{headers:?}");
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_predicted() {
    let settings = Settings { max_body: 2000, max_sentences: 3, ..Settings::default() };
    let server = start_with(settings);
    let long = server.post("/predict", &json!({"sentence": "a ".repeat(1000)}));
    assert_eq!(long.error(), (413, "body_too_large".to_owned(), None));
    let many = server.post("/predict", &json!({"sentences": ["a", "b", "c", "d"]}));
    assert_eq!(many.error(), (413, "too_many_sentences".to_owned(), Some("sentences".to_owned())));
    assert!(many.message().contains("4 sentences") && many.message().contains("may have 3"), "{}", many.message());
    assert_eq!(server.post("/predict", &json!({"sentences": ["a", "b", "c"]})).status, 200);
    assert_eq!(server.hand.seen(), 3);
}

#[test]
fn other_addresses_and_methods_are_answered_with_json_too() {
    let server = start();
    assert_eq!(server.get("/predictions").error(), (404, "not_found".to_owned(), None));
    assert_eq!(server.get("/predict/").error(), (404, "not_found".to_owned(), None));
    for (method, path, allowed) in [
        ("DELETE", "/predict", "GET,HEAD,POST"),
        ("POST", "/info", "GET,HEAD"),
        ("OPTIONS", "/predict", "GET,HEAD,POST"),
    ] {
        let answer = send(server.address, method, path, &[], "");
        assert_eq!(answer.error(), (405, "method_not_allowed".to_owned(), None), "{method} {path}");
        assert_eq!(answer.headers["allow"], allowed);
    }
}

#[test]
fn info_tells_what_is_served() {
    let server = start();
    let info = server.get("/info").json();
    assert_eq!(info["bundle"], DIGEST);
    assert_eq!(info["precision"], "int8");
    assert_eq!(info["max_length"], MAX_LENGTH);
    assert_eq!(info["labels"], json!(["unacceptable", "acceptable"]));
    assert_eq!(info["metrics"]["mcc"], 0.371);
    assert_eq!(info["origin"]["parameters"]["train"]["lr"], 0.001);
    assert_eq!(info["limits"]["sentences"], 256);
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_sane_request_id_is_kept_and_another_is_replaced() {
    let server = start();
    let id = |sent: &str| {
        let answer = send(server.address, "GET", "/health/live", &[("X-Request-Id", sent)], "");
        answer.headers["x-request-id"].clone()
    };
    assert_eq!(id("Order_7.a-b"), "Order_7.a-b");
    for insane in ["", "two words", "a\"b", "{}", &"x".repeat(65)] {
        let given = id(insane);
        assert_eq!(given.len(), 16, "{insane:?} became {given:?}");
        assert!(given.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    assert_ne!(server.get("/").headers["x-request-id"], server.get("/").headers["x-request-id"]);
}

#[test]
fn every_answer_forbids_what_a_page_does_not_need() {
    let server = start();
    for path in ["/", "/docs", "/page.js", "/predict?text=a", "/nowhere", "/metrics"] {
        let headers = server.get(path).headers;
        let policy = &headers["content-security-policy"];
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        let cached = if path == "/page.js" { "no-cache" } else { "no-store" };
        assert_eq!(headers["cache-control"], cached, "{path}");
    }
}

#[test]
fn other_origins_may_read_answers_only_where_they_are_allowed() {
    let origin = ("Origin", "https://example.org");
    let ask = |allow_origin: AllowOrigin| {
        let server = start_with(Settings { allow_origin, ..Settings::default() });
        let answer = send(server.address, "POST", "/predict", &[JSON, origin], "{\"sentence\": \"It rains.\"}");
        assert_eq!(answer.status, 200);
        answer.headers.get("access-control-allow-origin").cloned()
    };
    assert_eq!(ask(AllowOrigin::Nobody), None);
    assert_eq!(ask(AllowOrigin::These(vec!["https://example.com".parse().unwrap()])), None);
    let allowed = AllowOrigin::These(vec!["https://example.org".parse().unwrap()]);
    assert_eq!(ask(allowed.clone()).as_deref(), Some("https://example.org"));
    assert_eq!(ask(AllowOrigin::Everybody).as_deref(), Some("*"));

    let server = start_with(Settings { allow_origin: allowed, ..Settings::default() });
    let asks = [origin, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type")];
    let preflight = send(server.address, "OPTIONS", "/predict", &asks, "");
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.headers["access-control-allow-origin"], "https://example.org");
    assert!(preflight.headers["access-control-allow-headers"].contains("content-type"));
}
