//! Records: their form, their ids, their metrics, and what they say of a text.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::{Value, json};
use wellformed_core::label::Label;
use wellformed_core::precision::Precision;
use wellformed_core::record::{
    Channel, EmbeddedMetrics, Level, Prediction, Problem, Record, Service, Start, TextPolicy, Timestamp, entropy_bits,
    redact,
};

const TIME: &str = "2026-09-22T09:14:22.123Z";

fn time() -> Timestamp {
    Timestamp::parse(TIME).unwrap()
}

fn prediction() -> Prediction {
    Prediction {
        timestamp: time(),
        level: Level::Info,
        service: Service::Lambda,
        version: "7".to_owned(),
        request_id: "request-9".to_owned(),
        index: 2,
        bundle: "abc".to_owned(),
        precision: Precision::Fp32,
        channel: Channel::Rest,
        label: Label::Acceptable,
        p_acceptable: 0.1 + 0.2,
        entropy: 0.875,
        tokens: 7,
        truncated: false,
        unknown_tokens: 1,
        characters: 30,
        non_ascii_share: 0.1,
        pieces_per_word: Some(1.5),
        frequent_share: Some(0.5),
        surprise: Some(7.25),
        text_hash: Some("00112233aabbccdd".to_owned()),
        explained: false,
        tokenization_ms: 0.015,
        inference_ms: 2.5,
        total_ms: 2.6,
        cold_start: true,
        text: Some("It rains.".to_owned()),
        aws: Some(EmbeddedMetrics::of_prediction(time())),
    }
}

fn problem() -> Problem {
    Problem {
        timestamp: time(),
        level: Level::Warn,
        service: Service::Serve,
        version: "0.1.0".to_owned(),
        request_id: "request-9".to_owned(),
        bundle: "abc".to_owned(),
        channel: Channel::Page,
        status: 422,
        code: "empty_sentence".to_owned(),
        aws: None,
    }
}

fn start() -> Start {
    Start {
        timestamp: time(),
        level: Level::Info,
        service: Service::Lambda,
        version: "$LATEST".to_owned(),
        bundle: "abc".to_owned(),
        precision: Precision::Int8,
        threads: 2,
        init_ms: 41.25,
    }
}

fn all() -> [Record; 3] {
    [Record::Start(start()), Record::Prediction(Box::new(prediction())), Record::Problem(problem())]
}

#[test]
fn a_prediction_is_one_line_with_the_agreed_names() {
    let line = String::from_utf8(Record::Prediction(Box::new(prediction())).to_line().unwrap()).unwrap();
    let expected = concat!(
        r#"{"type":"prediction","timestamp":"2026-09-22T09:14:22.123Z","level":"INFO","service":"lambda","version":"7","#,
        r#""request_id":"request-9","index":2,"bundle":"abc","precision":"fp32","channel":"rest","label":"acceptable","#,
        r#""p_acceptable":0.30000000000000004,"entropy":0.875,"tokens":7,"truncated":false,"unknown_tokens":1,"#,
        r#""characters":30,"non_ascii_share":0.1,"pieces_per_word":1.5,"frequent_share":0.5,"surprise":7.25,"#,
        r#""text_hash":"00112233aabbccdd","explained":false,"#,
        r#""tokenization_ms":0.015,"inference_ms":2.5,"total_ms":2.6,"cold_start":true,"text":"It rains.","#,
        r#""_aws":{"Timestamp":1790068462123,"CloudWatchMetrics":[{"Namespace":"Wellformed","#,
        r#""Dimensions":[["service"],["service","version"]],"Metrics":[{"Name":"p_acceptable","Unit":"None"},"#,
        r#"{"Name":"entropy","Unit":"None"},{"Name":"tokens","Unit":"Count"},"#,
        r#"{"Name":"inference_ms","Unit":"Milliseconds"},{"Name":"total_ms","Unit":"Milliseconds"}]}]}}"#,
        "\n"
    );
    assert_eq!(line, expected);
}

#[test]
fn problems_and_starts_have_the_agreed_names() {
    let [start, _, problem] = all().map(|record| serde_json::to_value(record).unwrap());
    let expected = json!({
        "type": "problem", "timestamp": TIME, "level": "WARN", "service": "serve", "version": "0.1.0",
        "request_id": "request-9", "bundle": "abc", "channel": "page", "status": 422, "code": "empty_sentence",
    });
    assert_eq!(problem, expected);
    let expected = json!({
        "type": "start", "timestamp": TIME, "level": "INFO", "service": "lambda", "version": "$LATEST", "bundle": "abc",
        "precision": "int8", "threads": 2, "init_ms": 41.25,
    });
    assert_eq!(start, expected);
}

#[test]
fn what_was_written_is_read_back_the_same() {
    for record in all() {
        let read: Record = serde_json::from_slice(&record.to_line().unwrap()).unwrap();
        assert_eq!(read, record);
    }
    let bare = Prediction { text: None, text_hash: None, aws: None, ..prediction() };
    let record = Record::Prediction(Box::new(bare));
    let line = record.to_line().unwrap();
    assert!(!String::from_utf8_lossy(&line).contains("null"), "what is not there has no field");
    assert_eq!(serde_json::from_slice::<Record>(&line).unwrap(), record);
}

#[test]
fn a_field_that_is_not_known_or_not_there_or_of_another_type_is_refused_by_name() {
    let good = serde_json::to_value(Record::Prediction(Box::new(prediction()))).unwrap();
    let read = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut value = good.clone();
        change(value.as_object_mut().unwrap());
        serde_json::from_value::<Record>(value).unwrap_err().to_string()
    };
    let error = read(&|fields| drop(fields.insert("surprising".to_owned(), json!(1))));
    assert!(error.contains("surprising"), "{error}");
    let error = read(&|fields| drop(fields.remove("tokens")));
    assert!(error.contains("tokens"), "{error}");
    let error = read(&|fields| drop(fields.insert("timestamp".to_owned(), json!("yesterday"))));
    assert!(error.contains("yesterday") && error.contains("2026-09-22T09:14:22.123Z"), "{error}");
    let error = read(&|fields| drop(fields.insert("type".to_owned(), json!("platform.start"))));
    assert!(error.contains("platform.start"), "{error}");
}

#[test]
fn every_metric_and_every_dimension_is_a_field_of_the_line() {
    for record in all() {
        let line = serde_json::to_value(record.with_metrics()).unwrap();
        if line["type"] == "start" {
            assert!(line.get("_aws").is_none());
            continue;
        }
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
        }
        for name in directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap()) {
            assert!(line[name.as_str().unwrap()].is_string(), "{name}");
        }
        assert_eq!(line["_aws"]["Timestamp"], time().unix_millis());
    }
}

#[test]
fn an_id_is_the_lines_own_and_tells_lines_apart() {
    let [start, predicted, failed] = all();
    assert_eq!(predicted.id(), "prediction:request-9:2:1790068462123");
    assert_eq!(failed.id(), "problem:request-9:1790068462123");
    assert_eq!(start.id(), "start:lambda:$LATEST:1790068462123:41250");
    assert_eq!(predicted.clone().without_metrics().id(), predicted.id());
    let later = Timestamp::from_unix_millis(time().unix_millis() + 1);
    for other in [Prediction { index: 3, ..prediction() }, Prediction { timestamp: later, ..prediction() }] {
        assert_ne!(Record::Prediction(Box::new(other)).id(), predicted.id());
    }
}

#[test]
fn times_are_kept_to_the_millisecond_and_days_are_those_of_utc() {
    assert_eq!(time().unix_millis(), 1_790_068_462_123);
    assert_eq!(time().to_string(), TIME);
    assert_eq!(time().day("."), "2026.09.22");
    assert_eq!(Timestamp::from_unix_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    assert_eq!(Timestamp::from(std::time::UNIX_EPOCH - std::time::Duration::from_secs(1)).unix_millis(), 0);
}

#[test]
fn entropy_of_known_probabilities() {
    // Python: -p * math.log2(p) - (1 - p) * math.log2(1 - p)
    for (p, bits) in [(0.0, 0.0), (1.0, 0.0), (0.5, 1.0), (0.875, 0.543_564_443_199_596), (0.01, 0.080_793_135_895_911)]
    {
        assert!((entropy_bits(p) - bits).abs() < 1e-12, "{p}: {}", entropy_bits(p));
    }
}

fn policy(variables: &[(&str, &str)]) -> Result<TextPolicy, String> {
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    TextPolicy::read(find).map_err(|error| error.to_string())
}

#[test]
fn by_default_a_text_is_counted_and_neither_kept_nor_hashed() {
    let facts = policy(&[("WELLFORMED_LOG_TEXT", ""), ("WELLFORMED_HASH_KEY", " ")]).unwrap().describe(" naïve \n");
    assert_eq!((facts.characters, facts.non_ascii_share), (5, 0.2));
    assert_eq!((facts.text_hash, facts.text), (None, None));
    assert_eq!(policy(&[]).unwrap().describe("").non_ascii_share, 0.0);
}

#[test]
fn the_hash_is_that_of_openssl_and_keyed() {
    // printf 'The tea was cold.' | openssl dgst -sha256 -hmac 'a key of our own, long enough'
    let hash = |key: &str, text: &str| policy(&[("WELLFORMED_HASH_KEY", key)]).unwrap().describe(text).text_hash;
    let key = "a key of our own, long enough";
    assert_eq!(hash(key, "  The tea was cold.\n").as_deref(), Some("ca6fe32a2ea4a26e"));
    assert_ne!(hash("another key, just as long", "The tea was cold."), hash(key, "The tea was cold."));
}

#[test]
fn a_key_is_not_repeated_neither_by_an_error_nor_by_debug() {
    let error = policy(&[("WELLFORMED_HASH_KEY", "hunter2")]).unwrap_err();
    assert!(error.contains("7 bytes") && error.contains("16") && !error.contains("hunter2"), "{error}");
    let shown = format!("{:?}", policy(&[("WELLFORMED_HASH_KEY", "correct horse battery")]).unwrap());
    assert!(!shown.contains("correct"), "{shown}");
    let error = policy(&[("WELLFORMED_LOG_TEXT", "yes")]).unwrap_err();
    assert!(error.contains("\"yes\"") && error.contains("WELLFORMED_LOG_TEXT"), "{error}");
}

#[test]
fn a_text_is_kept_only_if_it_is_asked_for_and_then_redacted() {
    let policy = policy(&[("WELLFORMED_LOG_TEXT", "1")]).unwrap();
    let facts = policy.describe("Write to jo.doe+x@example.org.");
    assert_eq!(facts.text.as_deref(), Some("Write to [email]."));
    assert_eq!(facts.characters, 30, "counted before it is redacted");
}

#[test]
fn addresses_and_long_numbers_are_redacted_and_nothing_else() {
    let same =
        ["", "Three cats sleep.", "In 1998 she had 3 cats.", "5 @ noon", "@", "a @b", "It is 10:45 now, 12 to go."];
    for text in same {
        assert_eq!(redact(text), text);
    }
    let cases = [
        ("Ask o'neil@mail.example.org, please.", "Ask [email], please."),
        ("(jürgen@müller.example)", "([email])"),
        ("a@b.org@c.org", "[email]@c.org"),
        ("Call +44 20 7946 0958 now.", "Call +[number] now."),
        ("Call (020) 7946-0958.", "Call ([number]."),
        ("4111-1111-1111-1111", "[number]"),
        ("Born 12/05/1998.", "Born [number]."),
        ("12345", "[number]"),
        ("٠١٢٣٤٥", "[number]"),
        ("Room 1234, floor 5.", "Room 1234, floor 5."),
        ("x@y 99999 z@w.org", "[email] [number] [email]"),
    ];
    for (text, expected) in cases {
        assert_eq!(redact(text), expected);
    }
}

/// The schema of a type's fields: of the variant of `Record` whose `type` is this.
fn variant(schema: &Value, kind: &str) -> Value {
    let root = schema["oneOf"].as_array().unwrap();
    root.iter().find(|one| one["properties"]["type"]["const"] == kind).unwrap().clone()
}

#[test]
fn the_schema_names_exactly_the_fields_that_are_written_and_says_what_each_is() {
    let schema = serde_json::to_value(schemars::schema_for!(Record)).unwrap();
    for record in all() {
        let line = serde_json::to_value(record.with_metrics()).unwrap();
        let variant = variant(&schema, line["type"].as_str().unwrap());
        let reference = variant["$ref"].as_str().map(|path| schema.pointer(path.trim_start_matches('#')).unwrap());
        let fields = reference.unwrap_or(&variant)["properties"].as_object().unwrap();
        let mut names: Vec<&String> = fields.keys().filter(|name| *name != "type").collect();
        let mut written: Vec<&String> = line.as_object().unwrap().keys().filter(|name| *name != "type").collect();
        names.sort();
        written.sort();
        assert_eq!(names, written);
        for (name, field) in fields.iter().filter(|(name, _)| *name != "type") {
            let described = field["description"].is_string();
            assert!(described, "{name} is not described: {field}");
        }
    }
    let text = schema.to_string();
    for (name, known) in [("precision", Precision::ALL.map(Precision::name)), ("label", Label::ALL.map(Label::name))] {
        assert!(text.contains(&json!(known).to_string()), "{name}");
    }
}
