//! Records to test with.

use std::path::PathBuf;

use wellformed_core::record::Record;
use wellformed_monitor::bulk::{Document, INDEX};
use wellformed_monitor::cluster::{Cluster, Credentials};

/// A line of a log, of the prediction that is so far from the first.
pub(crate) fn line(number: u64) -> String {
    let (minutes, millis) = (number / 60_000 % 60, number % 60_000);
    format!(
        "{{\"type\":\"prediction\",\"timestamp\":\"2026-09-22T09:{minutes:02}:{:02}.{:03}Z\",\"level\":\"INFO\",\
         \"service\":\"serve\",\"version\":\"0.1.0\",\"request_id\":\"r{number}\",\"index\":0,\"bundle\":\"b683\",\
         \"precision\":\"int8\",\"channel\":\"http\",\"label\":\"acceptable\",\"p_acceptable\":0.875,\
         \"entropy\":0.5435644431995964,\"tokens\":7,\"truncated\":false,\"unknown_tokens\":0,\"characters\":26,\
         \"non_ascii_share\":0.0,\"explained\":false,\"tokenization_ms\":0.015,\"inference_ms\":2.5,\"total_ms\":2.6,\
         \"cold_start\":false}}",
        millis / 1000,
        millis % 1000
    )
}

pub(crate) fn record(number: u64) -> Record {
    serde_json::from_str(&line(number)).unwrap()
}

pub(crate) fn documents(count: u64) -> Vec<Document> {
    (0..count).map(|number| Document::of(record(number), INDEX).unwrap()).collect()
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The lines of a function's log, among them two predictions, a problem and a start.
pub(crate) fn function_log() -> Vec<String> {
    std::fs::read_to_string(fixture("function.log")).unwrap().lines().map(str::to_owned).collect()
}

pub(crate) fn cluster(url: &str) -> Cluster {
    Cluster::open(url, Credentials::None, None).unwrap()
}
