//! Records and verdicts to fill a server with: the real types, made-up values that a rule computes from a number.

use serde_json::Value;
use wellformed_core::label::Label;
use wellformed_core::precision::Precision;
use wellformed_core::record::{Channel, Level, Prediction, Problem, Record, Service, Start, Timestamp, entropy_bits};
use wellformed_kibana::request::Period;
use wellformed_kibana::verdict::{Conclusion, Finding, Verdict};

/// 2026-03-01T00:00:00Z, and six hours.
pub(crate) const PERIOD: Period = Period { from_ms: 1_772_323_200_000, to_ms: 1_772_344_800_000 };

const BUNDLES: [&str; 2] = ["aa11", "bb22"];

/// A moment of the period: step `index` of `count`.
fn moment(index: u32, count: u32) -> Timestamp {
    let length = (PERIOD.to_ms - PERIOD.from_ms) as u64;
    Timestamp::from_unix_millis(PERIOD.from_ms as u64 + length * u64::from(index) / u64::from(count))
}

fn service(index: u32) -> Service {
    if index.is_multiple_of(3) { Service::Serve } else { Service::Lambda }
}

/// 900 predictions, 37 problems, 6 starts.
pub(crate) fn records() -> Vec<Record> {
    let mut records = Vec::new();
    for index in 0..900 {
        // Both ends are among the probabilities: the histogram must not lose them.
        let p = f64::from(index * 37 % 901) / 900.0;
        records.push(Record::Prediction(Box::new(Prediction {
            timestamp: moment(index / 2, 450),
            level: Level::Info,
            service: service(index / 2),
            version: "7".into(),
            // Two sentences a request.
            request_id: format!("request-{}", index / 2),
            index: index % 2,
            bundle: BUNDLES[usize::from(index >= 600)].into(),
            precision: Precision::Int8,
            channel: Channel::Http,
            label: if p > 0.5 { Label::Acceptable } else { Label::Unacceptable },
            p_acceptable: p,
            entropy: entropy_bits(p),
            tokens: 4 + index % 29,
            truncated: index % 50 == 0,
            unknown_tokens: if index % 20 == 7 { 2 } else { 0 },
            pieces_per_word: Some(1.0),
            frequent_share: Some(0.5),
            surprise: Some(6.0),
            characters: 12 + index % 90,
            non_ascii_share: if index % 10 == 0 { 0.25 } else { 0.0 },
            text_hash: Some(format!("{index:016x}")),
            explained: false,
            tokenization_ms: 0.05 + f64::from(index % 7) / 100.0,
            inference_ms: 3.0 + f64::from(index % 11) / 10.0,
            total_ms: 5.0 + f64::from(index * 13 % 100),
            cold_start: index % 180 < 2,
            text: None,
            aws: None,
        })));
    }
    let codes = [("malformed_json", 400), ("too_many_sentences", 400), ("body_too_large", 413), ("internal", 500)];
    for index in 0..37 {
        let (code, status) = codes[(index % 4) as usize];
        records.push(Record::Problem(Problem {
            timestamp: moment(index, 37),
            level: Level::of_status(status),
            service: service(index),
            version: "7".into(),
            request_id: format!("refused-{index}"),
            bundle: BUNDLES[0].into(),
            channel: if index % 2 == 0 { Channel::Http } else { Channel::Direct },
            status,
            code: code.into(),
            aws: None,
        }));
    }
    for index in 0..6 {
        records.push(Record::Start(Start {
            timestamp: moment(index, 6),
            level: Level::Info,
            service: service(index),
            version: "7".into(),
            bundle: BUNDLES[0].into(),
            precision: Precision::Int8,
            threads: 1,
            init_ms: 90.0 + 10.0 * f64::from(index),
        }));
    }
    records
}

/// 24 verdicts: ten ok, two without enough data, eight warnings, four alerts.
pub(crate) fn verdicts() -> Vec<Verdict> {
    let finding = |signal: &str, verdict| Finding {
        signal: signal.into(),
        verdict,
        test: Some("ks".into()),
        statistic: Some(0.2),
        p_value: Some(0.0004),
        reason: "the window differs from the reference".into(),
    };
    (0..24)
        .map(|index| {
            let (verdict, findings) = match index {
                0..10 => (Conclusion::Ok, vec![]),
                10..12 => (Conclusion::InsufficientData, vec![]),
                12..20 => (Conclusion::Warn, vec![finding("entropy", Conclusion::Warn)]),
                _ => (
                    Conclusion::Alert,
                    vec![finding("entropy", Conclusion::Warn), finding("tokens", Conclusion::Alert)],
                ),
            };
            let mcc = (verdict != Conclusion::InsufficientData).then(|| 0.3 - f64::from(index) / 100.0);
            Verdict {
                timestamp: moment(index + 1, 24).to_string(),
                verdict,
                window_start: moment(index, 24).to_string(),
                window_end: moment(index + 1, 24).to_string(),
                records: 30 + u64::from(index),
                signals: 12,
                findings,
                service: None,
                bundle: BUNDLES[0].into(),
                estimated_mcc: mcc,
                estimated_mcc_low: mcc.map(|mcc| mcc - 0.1),
                estimated_mcc_high: mcc.map(|mcc| mcc + 0.1),
            }
        })
        .collect()
}

/// A `_bulk` body that makes documents with these ids.
pub(crate) fn bulk(documents: impl Iterator<Item = (&'static str, String, Value)>) -> Vec<u8> {
    let mut body = String::new();
    for (index, id, document) in documents {
        body += &serde_json::json!({"create": {"_index": index, "_id": id}}).to_string();
        body.push('\n');
        body += &document.to_string();
        body.push('\n');
    }
    body.into_bytes()
}
