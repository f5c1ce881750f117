//! What is counted and measured, in the text form that Prometheus reads.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use wellformed_infer::{Label, Prediction};

use crate::log::Log;
use crate::model::Model;
use crate::record::Records;

/// The content type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LabelLabels {
    label: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Every metric of the server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram>,
    phase_seconds: Family<PhaseLabels, Histogram>,
    errors: Family<CodeLabels, Counter>,
    rejected: Family<ReasonLabels, Counter>,
    in_flight: Gauge,
    connections: Gauge,
    sentences: Family<LabelLabels, Counter>,
    explanations: Counter,
    tokens: Counter,
    truncated: Counter,
    unknown: Counter,
    abandoned: Counter,
    queue_sentences: Gauge,
    queue_tokens: Gauge,
    batch_sentences: Histogram,
    batch_tokens: Histogram,
    batch_seconds: Histogram,
    memory: Gauge,
}

/// From 50 µs to 26 s, doubling or nearly so.
pub(crate) fn seconds() -> Histogram {
    const BOUNDS: [f64; 18] = [
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1.0,
        2.5, 10.0, 30.0,
    ];
    Histogram::new(BOUNDS)
}

impl Metrics {
    pub(crate) fn new(model: &dyn Model, log: &Log, records: &Records) -> Self {
        let mut registry = Registry::with_prefix("wellformed");
        let metrics = Self {
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            phase_seconds: Family::new_with_constructor(seconds),
            errors: Family::default(),
            rejected: Family::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            sentences: Family::default(),
            explanations: Counter::default(),
            tokens: Counter::default(),
            truncated: Counter::default(),
            unknown: Counter::default(),
            abandoned: Counter::default(),
            queue_sentences: Gauge::default(),
            queue_tokens: Gauge::default(),
            batch_sentences: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            batch_tokens: Histogram::new([8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0]),
            batch_seconds: seconds(),
            memory: Gauge::default(),
            registry: Registry::default(),
        };
        let m = &metrics;
        registry.register("http_requests", "Requests answered", m.requests.clone());
        let help = "From a request's head to its answer";
        registry.register_with_unit("http_request", help, Unit::Seconds, m.request_seconds.clone());
        let help = "The parts of a prediction's time, for each request: tokenization, queue, inference";
        registry.register_with_unit("phase", help, Unit::Seconds, m.phase_seconds.clone());
        registry.register("errors", "Answers that were errors, by their code", m.errors.clone());
        registry.register("rejected_requests", "Requests that the queue did not take", m.rejected.clone());
        registry.register("http_requests_in_flight", "Requests being worked on", m.in_flight.clone());
        registry.register("http_connections", "Connections that are open", m.connections.clone());
        registry.register("sentences", "Sentences answered, by the model's decision", m.sentences.clone());
        registry.register("explanations", "Sentences explained; they count as sentences too", m.explanations.clone());
        registry.register("tokens", "Tokens of the sentences answered", m.tokens.clone());
        registry.register("truncated_sentences", "Sentences longer than the model takes", m.truncated.clone());
        registry.register("unknown_tokens", "Tokens that the vocabulary does not have", m.unknown.clone());
        let help = "Sentences left out because whoever asked had gone, or had waited too long";
        registry.register("abandoned_sentences", help, m.abandoned.clone());
        registry.register("queue_sentences", "Sentences waiting", m.queue_sentences.clone());
        registry.register("queue_tokens", "Tokens waiting", m.queue_tokens.clone());
        registry.register("batch_sentences", "Sentences of each batch", m.batch_sentences.clone());
        registry.register("batch_tokens", "Tokens of each batch", m.batch_tokens.clone());
        registry.register_with_unit("batch", "Time of each batch", Unit::Seconds, m.batch_seconds.clone());
        registry.register("log_lines_lost", "Log lines that could not be written in time", log.lost());
        registry.register("records_lost", "Records of predictions that could not be written in time", records.lost());
        records.monitor().register(&mut registry);
        let help = "Memory that is resident; 0 where the system does not tell";
        registry.register_with_unit("resident_memory", help, Unit::Bytes, m.memory.clone());
        let start = Gauge::<f64, AtomicU64>::default();
        start.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        registry.register_with_unit("start_time", "When the server started, in Unix time", Unit::Seconds, start);
        let info = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("bundle", model.digest().to_owned()),
            ("precision", model.precision().name().to_owned()),
        ];
        registry.register("build", "What is being served", Info::new(info.to_vec()));
        // Series that exist from the beginning can be watched for their first rise.
        for label in Label::ALL {
            let _ = metrics.sentences.get_or_create(&LabelLabels { label: label.name() });
        }
        for reason in ["queue_full", "stopping"] {
            let _ = metrics.rejected.get_or_create(&ReasonLabels { reason });
        }
        Self { registry, ..metrics }
    }

    /// All metrics as text.
    pub(crate) fn text(&self) -> String {
        self.memory.set(resident_memory().unwrap_or(0));
        let mut text = String::with_capacity(16 << 10);
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(crate) fn request_began(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn request_ended(&self, method: &'static str, route: &'static str, status: u16, time: Duration) {
        self.in_flight.dec();
        self.requests.get_or_create(&RequestLabels { method, route, status }).inc();
        self.request_seconds.get_or_create(&RouteLabels { route }).observe(time.as_secs_f64());
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.get().max(0) as usize
    }

    pub(crate) fn error(&self, code: &'static str) {
        self.errors.get_or_create(&CodeLabels { code }).inc();
    }

    pub(crate) fn rejected(&self, reason: &'static str) {
        self.rejected.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub(crate) fn connection_opened(&self) {
        self.connections.inc();
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.dec();
    }

    pub(crate) fn phases(&self, tokenization: Duration, queue: Duration, inference: Duration) {
        for (phase, time) in [("tokenization", tokenization), ("queue", queue), ("inference", inference)] {
            self.phase_seconds.get_or_create(&PhaseLabels { phase }).observe(time.as_secs_f64());
        }
    }

    pub(crate) fn predicted(&self, prediction: &Prediction) {
        self.sentences.get_or_create(&LabelLabels { label: prediction.label.name() }).inc();
        self.tokens.inc_by(prediction.tokens as u64);
        self.truncated.inc_by(u64::from(prediction.truncated));
        self.unknown.inc_by(prediction.unknown_tokens as u64);
    }

    pub(crate) fn explained(&self) {
        self.explanations.inc();
    }

    pub(crate) fn abandoned(&self, sentences: usize) {
        self.abandoned.inc_by(sentences as u64);
    }

    pub(crate) fn queue(&self, sentences: usize, tokens: usize) {
        self.queue_sentences.set(sentences as i64);
        self.queue_tokens.set(tokens as i64);
    }

    pub(crate) fn batch(&self, sentences: usize, tokens: usize, time: Duration) {
        self.batch_sentences.observe(sentences as f64);
        self.batch_tokens.observe(tokens as f64);
        self.batch_seconds.observe(time.as_secs_f64());
    }
}

/// Resident memory in bytes, where `/proc` tells.
fn resident_memory() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
