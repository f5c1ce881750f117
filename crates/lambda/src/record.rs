//! One line of JSON on standard output for each prediction: the seam between predicting and monitoring.
//!
//! Whatever is to be recorded of a prediction becomes a field of [`Record`]; wherever records are to go, something
//! implements [`Recorder`]. A record never holds the sentence.

use std::io::Write;
use std::time::SystemTime;

use serde::{Serialize, Serializer};
use wellformed_infer::{Label, Precision};

/// What is written of an event.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record<'a> {
    /// The model was opened; the process is ready for events.
    Start(Start<'a>),
    /// A sentence was predicted.
    Prediction(Verdict<'a>),
    /// A request was refused, or its prediction failed.
    Problem(Refusal<'a>),
}

/// A process is ready.
#[derive(Debug, Clone, Serialize)]
pub struct Start<'a> {
    /// When.
    #[serde(rename = "timestamp", serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// The severity that Lambda's log filter reads: `INFO`.
    pub level: &'static str,
    /// The function's version, as Lambda numbers them.
    pub function_version: &'a str,
    /// The bundle's digest.
    pub bundle: &'a str,
    /// Which of the bundle's models predicts.
    pub precision: Precision,
    /// Threads that predict.
    pub threads: usize,
    /// From the start of `main` to here, in milliseconds.
    pub init_ms: f64,
}

/// A prediction.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict<'a> {
    /// When it was made.
    #[serde(rename = "timestamp", serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// The severity that Lambda's log filter reads: `INFO`.
    pub level: &'static str,
    /// Lambda's name for the invocation.
    pub request_id: &'a str,
    /// The sentence's place in the request, from 0.
    pub index: usize,
    /// The function's version, as Lambda numbers them.
    pub function_version: &'a str,
    /// The bundle's digest.
    pub bundle: &'a str,
    /// Which of the bundle's models predicted.
    pub precision: Precision,
    /// How the request came: `direct`, `rest`, `http` or `alb`.
    pub channel: &'static str,
    /// The decision.
    pub label: Label,
    /// The calibrated probability of *acceptable*.
    pub p_acceptable: f64,
    /// Tokens that the model saw.
    pub tokens: usize,
    /// Whether the sentence was cut.
    pub truncated: bool,
    /// Tokens that the vocabulary does not have.
    pub unknown_tokens: usize,
    /// Whether an explanation was asked for.
    pub explained: bool,
    /// From text to token ids, in milliseconds.
    pub tokenization_ms: f64,
    /// From token ids to logits, in milliseconds; of a list, the time of the batch that the sentence was in.
    pub inference_ms: f64,
    /// The whole invocation up to this record, all its sentences included, in milliseconds.
    pub total_ms: f64,
    /// Whether this was the first event of its process.
    pub cold_start: bool,
}

/// A request that got an error.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal<'a> {
    /// When.
    #[serde(rename = "timestamp", serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// The severity that Lambda's log filter reads: `WARN` where the caller was wrong, `ERROR` where this program was.
    pub level: &'static str,
    /// Lambda's name for the invocation.
    pub request_id: &'a str,
    /// The function's version, as Lambda numbers them.
    pub function_version: &'a str,
    /// The bundle's digest.
    pub bundle: &'a str,
    /// How the request came: `direct`, `rest`, `http` or `alb`.
    pub channel: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The code of the answer.
    pub code: &'static str,
}

/// Where records go.
pub trait Recorder {
    /// Takes a record. Must not fail a prediction, and so returns nothing.
    fn record(&mut self, record: &Record<'_>);
}

/// Records as lines of JSON.
#[derive(Debug)]
pub struct Lines<W>(pub W);

impl<W: Write> Recorder for Lines<W> {
    fn record(&mut self, record: &Record<'_>) {
        if let Ok(mut line) = serde_json::to_vec(record) {
            line.push(b'\n');
            // One write, so that lines stay whole. Where the log cannot be written there is nobody to tell.
            let _ = self.0.write_all(&line).and_then(|()| self.0.flush());
        }
    }
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}
